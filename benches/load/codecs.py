#!/usr/bin/env python3
"""What a call costs with each codec and with SRTP, beside plain G.711 in the same run.

    cargo build --release
    benches/load/codecs.py [--calls 3000] [--at-once 150] [--rounds 3] [--only opus,PCMU+SDES]

A call is INVITE, 200, ACK, the beginning of the greeting, BYE. SIPp (Debian package sip-tester) keeps `--at-once` of them going on
core 1, offering one codec alone; the server runs on core 0. SDES is an offer in RTP/SAVP with AES_CM_128_HMAC_SHA1_80.

Each measurement stands between two of plain PCMU, and is divided by the mean of these; the middle of all rounds is printed, with the
least and the most. CPU is user and system time of the whole server, which holds on a busy machine too; calls a second are by the
clock, and only worth something on a machine that does nothing else. `PCMU` itself is a row: it shows how even the machine is.
What recording and playing costs for each second of a call is `cargo bench --bench media`'s to say.
"""
import argparse, csv, os, pathlib, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

# Room for 24,000 calls: the server remembers each INVITE for 32 s, 4 for each call that there may be at once and 1024 more.
SETTINGS = """data_dir = "data"
[sip]
listen = ["udp:127.0.0.1:{port}"]
trusted_peers = ["127.0.0.1"]
max_calls = 24000
[rtp]
ports = "10000-59999"
[deposit]
calls_per_minute = 0
calls_per_hour = 0
[log]
level = "warn"
"""
# Payload types, and what the offer says of them.
CODECS = {"PCMU": (0, "PCMU/8000"), "PCMA": (8, "PCMA/8000"), "G722": (9, "G722/8000"), "opus": (107, "opus/48000/2"), "G729": (18, "G729/8000")}
CASES = [*CODECS, "PCMU+SDES", "opus+SDES"]
BASELINE = "PCMU"
CRYPTO = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\n"
SCENARIO = """<?xml version="1.0" encoding="UTF-8"?>
<scenario name="{case}">
<send retrans="500"><![CDATA[
INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: <sip:2025550143@[local_ip]:[local_port]>;tag=[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:2025550143@[local_ip]:[local_port]>
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio {sink} {profile} {payload_type} 101
a=rtpmap:{payload_type} {encoding}
a=rtpmap:101 telephone-event/8000
{crypto}]]></send>
<recv response="100" optional="true"/>
<recv response="200"><action>
<ereg regexp="m=audio [0-9]+ {profile} {payload_type} " search_in="body" check_it="true" assign_to="answer"/>
</action></recv>
<Reference variables="answer"/>
<send><![CDATA[
ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: <sip:2025550143@[local_ip]:[local_port]>;tag=[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Content-Length: 0

]]></send>
<pause milliseconds="{listen}"/>
<send retrans="500"><![CDATA[
BYE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: <sip:2025550143@[local_ip]:[local_port]>;tag=[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 2 BYE
Content-Length: 0

]]></send>
<recv response="200"/>
</scenario>
"""


def main():
    arguments = parse()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="afterbeep-codecs-", dir=arguments.dir))
    try:
        measure(arguments, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--afterbeep", default="target/release/afterbeep")
    parser.add_argument("--calls", type=int, default=3000, help="calls of one measurement")
    parser.add_argument("--at-once", type=int, default=150)
    parser.add_argument("--listen", type=int, default=100, help="how long the greeting is listened to, in milliseconds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", type=lambda text: text.split(","), default=CASES, help="some of " + ", ".join(CASES))
    parser.add_argument("--dir", default=None, help="where the data folder is made")
    arguments = parser.parse_args()
    if unknown := set(arguments.only) - set(CASES):
        parser.error(f"unknown: {', '.join(unknown)}")
    arguments.afterbeep = os.path.abspath(arguments.afterbeep)
    return arguments


def measure(arguments, folder):
    server = Server(arguments, folder)
    # Its kernel buffer is soon full, and loses the rest for nothing.
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 0))
    sink.setblocking(False)
    run = lambda case: one(arguments, server, sink, case)
    # Prompts are encoded when they are first played, which is not measured.
    for case in dict.fromkeys([BASELINE, *arguments.only]):
        Run(arguments, server, sink, case, calls=100).checked()
    results = {case: [] for case in arguments.only}
    before = run(BASELINE)
    for number in range(1, arguments.rounds + 1):
        for case in arguments.only:
            cost, after = run(case), run(BASELINE)
            cpu = 2 * cost["cpu"] / (before["cpu"] + after["cpu"])
            rate = 2 * cost["rate"] / (before["rate"] + after["rate"])
            print(f"round {number}: {case:<10} {cost['cpu'] * 1000:.3f} CPU ms a call, {cost['rate']:.0f} calls a second; PCMU before "
                  f"{before['cpu'] * 1000:.3f} and {before['rate']:.0f}, after {after['cpu'] * 1000:.3f} and {after['rate']:.0f}", flush=True)
            results[case].append((cpu, rate, cost))
            before = after
    server.stop()
    print(f"\n{'':<11}{'CPU ms a call':>14}{'x PCMU':>8}  {'least to most':<15}{'calls/s':>8}{'x PCMU':>8}  least to most")
    for case, rounds in results.items():
        cpu, rate = sorted(it[0] for it in rounds), sorted(it[1] for it in rounds)
        middle = lambda what: statistics.median(it[2][what] for it in rounds)
        print(f"{case:<11}{middle('cpu') * 1000:>14.3f}{statistics.median(cpu):>8.2f}  {f'{cpu[0]:.2f} to {cpu[-1]:.2f}':<15}"
              f"{middle('rate'):>8.0f}{statistics.median(rate):>8.2f}  {rate[0]:.2f} to {rate[-1]:.2f}")


def one(arguments, server, sink, case):
    """CPU-seconds of the server for a call, and calls a second."""
    before = server.cpu()
    run = Run(arguments, server, sink, case, arguments.calls)
    run.checked()
    # Records of calls are written half a second later.
    time.sleep(1.5)
    return {"cpu": (server.cpu() - before) / arguments.calls, "rate": arguments.calls / run.took}


class Run:
    """Some calls by SIPp."""

    def __init__(self, arguments, server, sink, case, calls):
        codec, _, secured = case.partition("+")
        self.payload_type, encoding = CODECS[codec]
        self.case, self.calls, self.sink, self.folder = case, calls, sink, server.folder
        scenario = SCENARIO.format(case=case, sink=sink.getsockname()[1], profile="RTP/SAVP" if secured else "RTP/AVP",
                                   payload_type=self.payload_type, encoding=encoding, crypto=CRYPTO if secured else "", listen=arguments.listen)
        (self.folder / "call.xml").write_text(scenario)
        statistic = self.folder / "statistics.csv"
        while self.heard() is not None:
            pass
        command = ["taskset", "-c", "1", "sipp", "-nostdin", "-sf", "call.xml", "-i", "127.0.0.1", "-p", str(free_port()), "-s", "1000",
                   "-m", str(calls), "-l", str(arguments.at_once), "-r", "2000", "-timeout", "120s", "-timeout_error",
                   "-trace_err", "-error_file", "errors", "-trace_stat", "-stf", statistic.name, f"127.0.0.1:{server.port}"]
        begin = time.monotonic()
        self.status = subprocess.run(command, cwd=self.folder, capture_output=True).returncode
        self.took = time.monotonic() - begin
        *_, last = csv.DictReader(statistic.open(), delimiter=";")
        self.good, self.again = int(last["SuccessfulCall(C)"]), int(last["Retransmissions(C)"])

    def heard(self):
        """The payload type of a packet that has come, if one has."""
        try:
            return self.sink.recv(2048)[1] & 0x7F
        except BlockingIOError:
            return None

    def checked(self):
        errors = self.folder / "errors"
        if self.status != 0 or self.good != self.calls:
            sys.exit(f"{self.case}: {self.good} of {self.calls} calls were right\n{errors.read_text()[:2000] if errors.exists() else ''}")
        if (heard := self.heard()) != self.payload_type:
            sys.exit(f"{self.case}: the greeting's packets have payload type {heard}, not {self.payload_type}")
        if self.again:
            print(f"{self.case}: {self.again} messages were sent again: too many calls at once", flush=True)


class Server:
    """A server with one mailbox, pinned to core 0."""

    def __init__(self, arguments, folder):
        self.folder, self.port = folder, free_port()
        (folder / "afterbeep.toml").write_text(SETTINGS.format(port=self.port))
        config = ["--config", "afterbeep.toml"]
        for command in (["add", "1000", "--passcode", "49158730"], ["set", "1000", "--enrolled", "on"]):
            subprocess.run([arguments.afterbeep, "mailbox", *command, *config], cwd=folder, check=True, capture_output=True)
        log = (folder / "log").open("w")
        command = ["taskset", "-c", "0", arguments.afterbeep, "serve", *config]
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True)
        if not self.process.stdout.readline().startswith("ready"):
            sys.exit(f"the server did not start:\n{(folder / 'log').read_text()}")

    def cpu(self):
        """User and system time so far, in seconds."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


main()
