#!/usr/bin/env python3
"""The load scenario: recordings, playbacks, set-up time and memory of a whole server, beside a floor measured in the same run.

    cargo build --release
    benches/load/run.py --vmload PATH/vmload --floor PATH/nullserver [--recordings 200,400,800,1600] [--playbacks 400,800]

The server runs on core 0, the generator on core 1. `vmload` is a SIP load generator that prints JSON, `nullserver` a server that
answers and writes to files and does nothing else: ratios to it hold on any machine, absolute figures only on this one.
"""
import argparse, json, os, pathlib, shutil, signal, socket, sqlite3, subprocess, sys, tempfile, time

PASSCODE = "49158730"
TALK = 20
SETTINGS = """data_dir = "data"
[sip]
listen = ["udp:127.0.0.1:{port}"]
trusted_peers = ["127.0.0.1"]
max_calls = 4900
[rtp]
ports = "20000-29999"
[deposit]
calls_per_minute = 0
calls_per_hour = 0
[log]
level = "warn"
"""


def main():
    arguments = parse()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="afterbeep-load-", dir=arguments.dir))
    print(f"{'what':<26}{'calls':>6}{'ok':>6}{'CPU %':>7}{'CPU s/1000':>11}{'MB':>6}{'200 p99':>9}{'dev p99':>9}{'gaps':>6}{'loss':>6}  note")
    try:
        floor = dict(zip(arguments.floors, [record_floor(arguments, folder, calls) for calls in arguments.floors])) if arguments.floor else {}
        server = Server(arguments, folder)
        for calls in arguments.recordings:
            row = record(arguments, server, calls)
            check_messages(server, row)
            show("recordings", row, floor.get(calls))
        for calls in arguments.playbacks:
            show("playbacks", play(arguments, server, calls))
        for rate in arguments.deposits:
            show(f"2-second deposits, {rate}/s", deposit(arguments, server, rate))
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def parse():
    numbers = lambda text: [int(number) for number in text.split(",") if number]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--afterbeep", default="target/release/afterbeep")
    parser.add_argument("--vmload", required=True)
    parser.add_argument("--floor", help="nullserver; left out, no ratios are printed")
    parser.add_argument("--recordings", type=numbers, default=[200, 400, 800, 1600])
    parser.add_argument("--playbacks", type=numbers, default=[400, 800])
    parser.add_argument("--deposits", type=numbers, default=[100, 200])
    parser.add_argument("--floors", type=numbers, default=[400, 1600])
    parser.add_argument("--fifo", action="store_true", help="run server and floor as SCHED_FIFO, on a machine that others use too")
    parser.add_argument("--dir", default=None, help="where the data folder is made")
    arguments = parser.parse_args()
    arguments.afterbeep = os.path.abspath(arguments.afterbeep)
    return arguments


class Server:
    """A server with mailboxes 1000 to 1999, pinned to core 0."""

    def __init__(self, arguments, folder):
        self.folder, self.port, self.binary = folder, free_port(), arguments.afterbeep
        (folder / "afterbeep.toml").write_text(SETTINGS.format(port=self.port))
        self.command("mailbox", "add", "1000", "--passcode", PASSCODE)
        self.command("mailbox", "set", "1000", "--enrolled", "on")
        self.copy_mailbox()
        self.start(arguments)

    def start(self, arguments):
        log = open(self.folder / "log", "w")
        command = [*pinned(arguments), self.binary, "serve", "--config", "afterbeep.toml"]
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=log, text=True)
        ready = self.process.stdout.readline()
        if not ready.startswith("ready"):
            sys.exit(f"the server did not start:\n{(self.folder / 'log').read_text()}")

    def command(self, *arguments):
        return subprocess.run([self.binary, *arguments, "--config", "afterbeep.toml"], cwd=self.folder, check=True, capture_output=True, text=True).stdout

    def copy_mailbox(self):
        """A thousand passcodes take minutes to hash: 999 mailboxes share the first one's."""
        with sqlite3.connect(self.folder / "data" / "afterbeep.db") as database:
            database.row_factory = sqlite3.Row
            first = dict(database.execute("SELECT * FROM mailboxes").fetchone())
            for number in range(1001, 2000):
                row = {**first, "id": f"load{number:022d}", "number": str(number)}
                names, marks = ",".join(row), ",".join("?" * len(row))
                database.execute(f"INSERT INTO mailboxes ({names}) VALUES ({marks})", list(row.values()))
                database.execute("INSERT INTO mailbox_numbers VALUES ('', ?, ?, 0)", (str(number), row["id"]))

    def messages(self):
        with sqlite3.connect(self.folder / "data" / "afterbeep.db") as database:
            return database.execute("SELECT COUNT(*), MIN(duration_ms), MAX(duration_ms) FROM messages").fetchone()

    def forget_messages(self):
        with sqlite3.connect(self.folder / "data" / "afterbeep.db", timeout=20) as database:
            database.execute("DELETE FROM messages")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def vmload(arguments, port, pid, calls, rate, duration, script, to="{m}"):
    out = tempfile.NamedTemporaryFile(suffix=".json")
    command = [arguments.vmload, "--target", f"127.0.0.1:{port}", "--to", to, "--mailboxes", "1000-1999", "--script", script,
               "--passcode", PASSCODE, "--rate", str(rate), "--concurrency", str(calls), "--duration", f"{duration}s",
               "--rtp-sockets", "64", "--server-pid", str(pid), "--watch-cpu", "0", "--pin-cpu", "1", "--fifo", "--json", out.name]
    subprocess.run(command, stderr=subprocess.DEVNULL)
    return json.load(open(out.name))


def record(arguments, server, calls, script=f"@greet: wait-audio 5s; digits #; @beep: wait-beep 10s; talk {TALK}s; bye"):
    server.forget_messages()
    return vmload(arguments, server.port, server.process.pid, calls, max(20, calls // 15), 45, script)


def play(arguments, server, calls):
    # The message is heard again and again, so that the plateau is playback and not login.
    script = "wait-audio 5s; digits {m}#; wait-audio 5s; digits {passcode}#; wait 2s; digits 1; listen 25s; digits 5; listen 25s; bye"
    return vmload(arguments, server.port, server.process.pid, calls, 20, calls / 20 + 15, script, to="*98")


def deposit(arguments, server, rate):
    server.forget_messages()
    script = "wait-audio 5s; digits #; wait-beep 10s; talk 2500ms; bye"
    return vmload(arguments, server.port, server.process.pid, rate * 6, rate, 20, script)


def record_floor(arguments, folder, calls):
    port, written = free_port(), folder / "floor"
    written.mkdir(exist_ok=True)
    command = [*pinned(arguments), arguments.floor, "--listen", f"127.0.0.1:{port}", "--write", str(written)]
    floor = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    row = vmload(arguments, port, floor.pid, calls, max(20, calls // 15), 45, f"wait-audio 5s; digits #; wait-beep 10s; talk {TALK}s; bye")
    floor.kill()
    shutil.rmtree(written)
    show("floor, recordings", row)
    return row


def check_messages(server, row):
    """Every call left one message, none of them shorter than what was said."""
    time.sleep(1)
    count, shortest, longest = server.messages()
    whole = shortest is not None and shortest >= TALK * 1000 - 60
    row["note"] = f"{count} messages of {row['calls']['ok']}, {shortest} to {longest} ms" + ("" if whole else "  NOT WHOLE")


def cost(row):
    """CPU-seconds for 1000 seconds of calls, at the plateau."""
    plateau = row["server"]["plateau"]
    return plateau["cpu_pct"] / 100 / max(plateau["active_mean"], 1) * 1000


def show(what, row, floor=None):
    calls, rtp, sip, plateau = row["calls"], row["rtp"], row["sip"], row["server"]["plateau"]
    note = row.get("note", "")
    if floor:
        note += f"  {cost(row) / cost(floor):.2f} x the floor"
    if row["self"]["overloaded"]:
        note += "  GENERATOR OVERLOADED: void"
    if calls["failures"]:
        note += f"  failures: {calls['failures']}"
    print(f"{what:<26}{calls['peak_concurrent']:>6}{calls['ok']:>6}{plateau['cpu_pct']:>7.1f}{cost(row):>11.3f}{plateau['rss_kb_max'] / 1024:>6.0f}"
          f"{sip['invite_to_200_ms'].get('p99', 0):>9.1f}{rtp['deviation_ms'].get('p99', 0):>9.1f}{rtp['gaps']:>6}{rtp['lost']:>6}  {note}", flush=True)


def pinned(arguments):
    return ["taskset", "-c", "0", *(["chrt", "-f", "1"] if arguments.fifo else [])]


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


main()
