"""A bad network: two network namespaces, and between them a wire that loses, delays, repeats and reorders packets.

impaired_network.py NEAR FAR [--loss 0.2] [--delay 20] [--jitter 30] [--reorder 0.05] [--duplicate 0.02] [--seed 1] [--sip-only]

NEAR gets the address 10.77.0.1, FAR 10.77.0.2. Loss, reordering and duplicates are shares of the packets of each direction; delay and
jitter are milliseconds. A reordered packet is overtaken by those of the next 50 ms. With --sip-only, packets of other ports than 5060
pass untouched. What happens to a packet depends on the seed and on how many came before it, not on the clock.

Prints "ready", and removes the namespaces on the end of its standard input.
"""

import argparse
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
OVERTAKEN = 0.05

parser = argparse.ArgumentParser()
parser.add_argument("near")
parser.add_argument("far")
for name in ("loss", "delay", "jitter", "reorder", "duplicate"):
    parser.add_argument("--" + name, type=float, default=0.0)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--sip-only", action="store_true")
wish = parser.parse_args()


def run(*words, check=True):
    subprocess.run(words, check=check, stderr=None if check else subprocess.DEVNULL)


def end_of_the_wire(namespace, address, peer):
    """Opens a TUN device and moves it into a new namespace; packets keep coming to the descriptor."""
    wire = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    # Names are unique on the machine while the device is being moved.
    name = f"ab{os.getpid() % 100000}{namespace[-1]}"[:15]
    fcntl.ioctl(wire, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN_NO_PI))
    run("ip", "netns", "add", namespace)
    run("ip", "link", "set", name, "netns", namespace)
    inside = ("ip", "-n", namespace)
    run(*inside, "link", "set", "lo", "up")
    run(*inside, "addr", "add", f"{address}/32", "peer", f"{peer}/32", "dev", name)
    run(*inside, "link", "set", name, "up", "txqueuelen", "10000")
    return wire


def is_sip(packet):
    header = (packet[0] & 15) * 4
    if packet[9] != 17 or len(packet) < header + 4:
        return packet[9] == 6
    return 5060 in struct.unpack_from("!HH", packet, header)


class Direction:
    """What happens to the packets that go one way."""

    def __init__(self, out, seed):
        self.out, self.chance = out, random.Random(seed)

    def take(self, packet, now):
        if packet[0] >> 4 != 4:
            return
        if wish.sip_only and not is_sip(packet):
            self.send(packet)
            return
        loss, jitter, reorder, duplicate = (self.chance.random() for _ in range(4))
        if loss < wish.loss:
            return
        delay = (wish.delay + jitter * wish.jitter) / 1000
        if reorder < wish.reorder:
            delay += OVERTAKEN
        copies = 2 if duplicate < wish.duplicate else 1
        for copy in range(copies):
            if delay == 0:
                self.send(packet)
            else:
                heapq.heappush(waiting, (now + delay + copy * 0.005, next_number(), self, packet))

    def send(self, packet):
        try:
            os.write(self.out, packet)
        except OSError:
            # The other end is not up, or its queue is full.
            pass


numbers = iter(range(1 << 62))
next_number = numbers.__next__
waiting = []
namespaces = (wish.near, wish.far)
for namespace in namespaces:
    run("ip", "netns", "del", namespace, check=False)
try:
    near = end_of_the_wire(wish.near, "10.77.0.1", "10.77.0.2")
    far = end_of_the_wire(wish.far, "10.77.0.2", "10.77.0.1")
    directions = {near: Direction(far, wish.seed), far: Direction(near, wish.seed + 1)}
    poll = select.poll()
    for descriptor in (near, far, sys.stdin.fileno()):
        poll.register(descriptor, select.POLLIN)
    print("ready", flush=True)
    over = False
    while not over:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, direction, packet = heapq.heappop(waiting)
            direction.send(packet)
        patience = max(0.0, waiting[0][0] - now) * 1000 if waiting else None
        for descriptor, _ in poll.poll(patience):
            if descriptor == sys.stdin.fileno():
                over = not os.read(descriptor, 1024)
                continue
            for _ in range(64):
                try:
                    packet = os.read(descriptor, 4096)
                except BlockingIOError:
                    break
                directions[descriptor].take(packet, time.monotonic())
finally:
    for namespace in namespaces:
        run("ip", "netns", "del", namespace, check=False)
