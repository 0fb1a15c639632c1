"""A network of real nodes under load, of which one is killed every minute, watched for as long as wanted.

    et1 --- sv1        et1, sv1: live through all of it; everybody dials one of them or both
     | \\   / |         et2, et3, sv2: killed in turn, one a minute, and started again
    et3 sv2 et2        iperf3 runs between et1 and sv1, et2 and sv1, sv2 and et3

Ends with a table and status 0 when no Selvage process grew and nobody was cut off for longer than the protocol's
timers take. Run it by `./dev soak --minutes 30`; it shares the harness of tests/interop, and nothing else: its
namespaces bear the number of this process, so tests may run beside it.
"""
import argparse
import concurrent.futures
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))

# pylint: disable=wrong-import-position
import selvage
import world as worlds
from easytier import EasyTierNode
from tools import listening
from waiting import wait_until

# A silent connection is noticed by its fifth lost ping, up to 32 s after the last good one (42 s); then dialling (2 s an
# attempt, at most 5 s between two), a session and its syncs.
UNROUTED_LIMIT = 60.0
GROWTH_LIMIT = 1.10
DOWN_SECONDS = 5.0
SAMPLE_SECONDS = 5.0
IPERF_SECONDS = 15
IPERF_RATE = "5M"


class Watched:
    """A node with what was seen of it."""

    def __init__(self, node, doomed):
        self.node = node
        self.doomed = doomed
        self.up_since = time.monotonic()
        self.kills = 0
        self.memory = []  # (seconds since the start of the soak, KiB), of this life
        self.lives = []   # memory of lives that are over
        self.cpu = 0.0    # seconds of this life

    @property
    def name(self):
        return self.node.name

    def pid(self):
        """Of the node itself: what we spawned became it through exec."""
        return self.node.process.popen.pid

    def sample(self, when):
        try:
            status = Path(f"/proc/{self.pid()}/status").read_text()
            fields = Path(f"/proc/{self.pid()}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return
        self.cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        for line in status.splitlines():
            if line.startswith("VmRSS:"):
                self.memory.append((when, int(line.split()[1])))

    def kill(self):
        self.node.kill()
        self.kills += 1
        self.up_since = None
        self.lives.append(self.memory)
        self.memory = []

    def start(self):
        self.node.start()
        self.up_since = time.monotonic()


class Flow:
    """iperf3 from one node to another, again and again."""

    def __init__(self, client, server, port):
        self.client, self.server, self.port = client, server, port
        self.runs, self.failures, self.rates = 0, 0, []
        self.listener = None

    def once(self):
        host = self.server.node.host
        if self.listener is None or not self.listener.alive:
            self.listener = host.spawn("iperf3", "iperf3", "-s", "-p", self.port)
            wait_until(lambda: listening(host, self.port), 10, "iperf3 listens")
        done = self.client.node.host.run(
            "iperf3", "-c", self.server.node.ip, "-p", self.port, "-t", IPERF_SECONDS, "-b", IPERF_RATE, "-J",
            "--connect-timeout", "3000", check=False, timeout=IPERF_SECONDS * 4)
        self.runs += 1
        try:
            self.rates.append(json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"] / 1e6)
        except (ValueError, KeyError):
            self.failures += 1  # one of its ends was killed


class Soak:
    def __init__(self, directory, binaries):
        self.world = worlds.World(directory)
        hosts = {name: self.world.host(name) for name in ("et1", "sv1", "et2", "et3", "sv2")}
        self.world.segment("net", "10.203.1.0/24", *hosts.values())
        listen = ["tcp://0.0.0.0:11010", "udp://0.0.0.0:11010"]

        def url(name, scheme):
            return f"{scheme}://{hosts[name].address()}:11010"

        def sv(name, ip, peers):
            return selvage.SelvageNode(hosts[name], ip, tun=True, binary_directory=binaries, listen=listen, peers=peers)

        def et(name, ip, peers):
            return EasyTierNode(hosts[name], ip, listen=listen, peers=peers)

        self.watched = {node.name: Watched(node, doomed) for node, doomed in (
            (et("et1", "10.144.9.1", []), False),
            (sv("sv1", "10.144.9.2", [url("et1", "tcp")]), False),
            (et("et2", "10.144.9.3", [url("sv1", "udp")]), True),
            (et("et3", "10.144.9.4", [url("et1", "tcp"), url("sv1", "tcp")]), True),
            (sv("sv2", "10.144.9.5", [url("et1", "udp"), url("sv1", "tcp")]), True))}
        by = self.watched
        self.flows = [Flow(by["et1"], by["sv1"], 5301), Flow(by["et2"], by["sv1"], 5302), Flow(by["sv2"], by["et3"], 5303)]
        self.gaps = {}       # (from, to) -> longest time without an answer while both were up
        self.answered = {}   # (from, to) -> when last, or when the wait began
        self.samples = 0
        self.started = time.monotonic()
        self.over = threading.Event()
        self.errors = []

    def elapsed(self):
        return time.monotonic() - self.started

    def pump(self, flow):
        while not self.over.is_set():
            try:
                flow.once()
            except Exception as error:  # pylint: disable=broad-except
                if not self.over.is_set():
                    flow.failures += 1
                    print(f"   {flow.client.name} to {flow.server.name}: {error}", flush=True)
            self.over.wait(1)

    def check_pair(self, pair):
        source, target = self.watched[pair[0]], self.watched[pair[1]]
        if source.up_since is None or target.up_since is None:
            self.answered.pop(pair, None)
            return
        began = max(source.up_since, target.up_since)
        since = max(self.answered.get(pair, began), began)
        good = source.node.host.pings(target.node.ip)
        if source.up_since is None or target.up_since is None:
            return  # killed meanwhile
        now = time.monotonic()
        self.gaps[pair] = max(self.gaps.get(pair, 0.0), now - since)
        self.answered[pair] = now if good else since

    def sample(self, pool):
        pairs = [(a, b) for a in self.watched for b in self.watched if a != b]
        for outcome in [pool.submit(self.check_pair, pair) for pair in pairs]:
            outcome.result()
        for node in self.watched.values():
            if node.up_since is not None:
                node.sample(self.elapsed())
        self.samples += 1

    def doomed(self):
        """One of either kind in turn: et2, sv2, et3, sv2, et2, ..."""
        while True:
            for name in ("et2", "sv2", "et3", "sv2"):
                yield self.watched[name]

    def run(self, minutes):
        end = self.started + minutes * 60
        victims = self.doomed()
        next_kill = self.started + 60
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            pumps = [pool.submit(self.pump, flow) for flow in self.flows]
            while time.monotonic() < end:
                self.sample(pool)
                if time.monotonic() >= next_kill and end - time.monotonic() > UNROUTED_LIMIT:
                    next_kill += 60
                    victim = next(victims)
                    print(f"   {self.elapsed():6.0f} s  kill {victim.name}", flush=True)
                    victim.kill()
                    self.over.wait(DOWN_SECONDS)
                    victim.start()
                self.over.wait(SAMPLE_SECONDS)
            self.over.set()
            for pump in pumps:
                pump.result()
        self.judge(minutes)

    def judge(self, minutes):
        warm = min(300.0, minutes * 60 / 3)
        for node in self.watched.values():
            if node.node.kind != "selvage":
                continue
            if not node.node.process.alive:
                self.errors.append(f"{node.name} ended by itself")
            settled = [kib for when, kib in node.memory if when >= warm]
            if not node.doomed and len(settled) >= 12:
                third = len(settled) // 3
                before, after = statistics.median(settled[:third]), statistics.median(settled[-third:])
                if after > before * GROWTH_LIMIT:
                    self.errors.append(f"{node.name} grew from {before:.0f} to {after:.0f} KiB")
            ends = [life[-1][1] for life in node.lives if life]
            if len(ends) >= 4 and ends[-1] > statistics.median(ends[: len(ends) // 2]) * GROWTH_LIMIT:
                self.errors.append(f"{node.name} grows from life to life: {ends}")
        for pair, gap in sorted(self.gaps.items()):
            if gap > UNROUTED_LIMIT:
                self.errors.append(f"{pair[0]} did not reach {pair[1]} for {gap:.0f} s")
        for flow in self.flows:
            if not flow.rates:
                self.errors.append(f"no traffic from {flow.client.name} to {flow.server.name}")

    def print_table(self, minutes):
        print(f"\n{minutes} minutes, {self.samples} samples; growth limit {GROWTH_LIMIT - 1:.0%}, "
              f"cut off at most {UNROUTED_LIMIT:.0f} s\n")
        print(f"{'node':6}{'kind':10}{'kills':>6}{'KiB first':>11}{'median':>9}{'last':>9}{'most':>9}{'CPU s':>8}")
        for node in self.watched.values():
            sizes = [kib for _, kib in node.memory] or [0]
            print(f"{node.name:6}{node.node.kind:10}{node.kills:6}{sizes[0]:11}{statistics.median(sizes):9.0f}"
                  f"{sizes[-1]:9}{max(sizes):9}{node.cpu:8.1f}")
        print("\nlongest time without an answer while both nodes were up, in seconds (row pings column)")
        names = list(self.watched)
        print(" " * 6 + "".join(f"{name:>7}" for name in names))
        for a in names:
            print(f"{a:6}" + "".join(f"{self.gaps.get((a, b), 0):7.1f}" if a != b else f"{'-':>7}" for b in names))
        print(f"\n{'iperf3':14}{'runs':>6}{'broken':>8}{'mean Mbit/s':>13}")
        for flow in self.flows:
            mean = statistics.mean(flow.rates) if flow.rates else 0
            print(f"{flow.client.name + ' > ' + flow.server.name:14}{flow.runs:6}{flow.failures:8}{mean:13.2f}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--minutes", type=float, default=30)
    minutes = arguments.parse_args().minutes
    directory = Path(tempfile.mkdtemp(prefix="slvs-"))
    directory.chmod(0o755)
    binaries = directory / "bin"
    binaries.mkdir()
    for name in ("selvaged", "selvage"):  # a build meanwhile must not change what is under test
        shutil.copy(selvage.binaries() / name, binaries / name)
    soak = None
    try:
        soak = Soak(directory, binaries)
        soak.run(minutes)
    finally:
        if soak is not None:
            soak.over.set()
            complaints = soak.world.close()
            soak.errors += [text for text in complaints if "sv" in text]
            if soak.errors:
                for title, text in soak.world.logs():
                    if "selvaged" in title:
                        print(f"--- {title}\n{text[-4000:]}")
        shutil.rmtree(directory, ignore_errors=True)
    soak.print_table(minutes)
    for error in soak.errors:
        print(f"failed: {error}")
    print("1 passed, 0 failed" if not soak.errors else "0 passed, 1 failed")
    return 1 if soak.errors else 0


if __name__ == "__main__":
    sys.exit(main())
