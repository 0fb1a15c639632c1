"""Selvage beside other userspace VPNs, all figures of a table from one run.

    ./dev bench vpn [--kinds selvage-udp,wireguard,...] [--measures tcp,tcp4,reverse,udp,ping,loaded,rss,start]
                    [--rounds 3] [--seconds 3] [--link offloads|nic|plain] [--bin-dir build/release/bin]

Needs root. Each VPN has two network namespaces, joined by a veth pair, and works with its default
encryption. Rounds alternate between the VPNs, because figures of a machine that others use move from
minute to minute: only ratios of one run say something. All rounds are printed, then medians, and
ratios to the first kind. What is not installed is left out and named.

    bare          no VPN
    selvage-udp   two Selvage nodes over their udp transport; selvage-tcp: over tcp
    clear-udp     as selvage-udp, without encryption
    easytier-udp  two EasyTier nodes; mixed-udp: EasyTier sends to Selvage
    wireguard     wireguard-go (--wireguard-go PROGRAM for another than the installed one)
    nebula, tinc, openvpn
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "interop"))
sys.path.insert(0, str(ROOT / "bench"))

import vpn_peers  # noqa: E402
from tools import listening  # noqa: E402
from waiting import wait_until  # noqa: E402
from world import World, sweep_leftovers  # noqa: E402

FLOOD = ROOT / "build" / "bench" / "bin" / "packet_flood"
TICKS = os.sysconf("SC_CLK_TCK")


def iperf(pair, seconds, *words):
    """One run of iperf3 from near to far; its JSON."""
    server = pair.far.spawn("iperf3", "iperf3", "-s", "-1", "-p", "5201", "-B", pair.target)
    try:
        wait_until(lambda: listening(pair.far, 5201), 5, "iperf3 listens")
        done = pair.near.run("iperf3", "-c", pair.target, "-p", "5201", "-t", seconds, "-J",
                             "--connect-timeout", 5000, *words, timeout=seconds + 30)
        return json.loads(done.stdout)["end"]
    finally:
        server.kill()


def cpu_seconds(pair):
    total = 0
    for pid in pair.pids():
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def rss_mb(pair):
    """Of the larger of the two nodes."""
    sizes = []
    for pid in pair.pids():
        text = Path(f"/proc/{pid}/status").read_text()
        sizes.append(int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1000)
    return max(sizes, default=0)


def measure_tcp(pair, seconds, *words):
    before = cpu_seconds(pair)
    end = iperf(pair, seconds, *words)
    received = end["sum_received"]
    cost = (cpu_seconds(pair) - before) / max(received["bytes"] / 1e9, 1e-9)
    return {"Gbit/s": received["bits_per_second"] / 1e9, "CPU s/GB": cost}


def measure_udp(pair, seconds):
    """64-byte datagrams as fast as the kernel takes them; see packet_flood.cc."""
    receiver = pair.far.spawn("flood", FLOOD, "receive", pair.target, "5202")
    wait_until(lambda: "ready" in receiver.text(), 5, "the receiver of the flood is ready")
    pair.near.run(FLOOD, "send", pair.target, "5202", "64", seconds, timeout=seconds + 30)
    receiver.terminate()
    arrived = int(receiver.text().split()[-1])
    return {"k/s delivered": arrived / seconds / 1e3, "RSS MB": rss_mb(pair)}


def ping_times(pair, seconds, interval=0.01):
    done = pair.near.run("ping", "-n", "-i", interval, "-c", int(seconds / interval), "-W", "1", pair.target,
                         check=False, timeout=seconds + 20)
    times = sorted(float(time_ms) for time_ms in re.findall(r"time=([\d.]+) ms", done.stdout))
    if not times:
        raise RuntimeError(f"{pair.name}: no ping was answered")
    return {"median ms": times[len(times) // 2], "p99 ms": times[int(len(times) * 0.99)]}


def measure_loaded(pair, seconds):
    """Pings beside one TCP stream."""
    server = pair.far.spawn("iperf3", "iperf3", "-s", "-1", "-p", "5201", "-B", pair.target)
    wait_until(lambda: listening(pair.far, 5201), 5, "iperf3 listens")
    load = pair.near.spawn("iperf3", "iperf3", "-c", pair.target, "-p", "5201", "-t", seconds + 2, "-O", "1")
    time.sleep(1)  # slow start is not what is asked about
    try:
        return ping_times(pair, seconds)
    finally:
        load.kill()
        server.kill()


def measure_rss(pair, _):
    return {"idle MB": rss_mb(pair)}


def measure_start(pair, _):
    return {"ms": pair.start_ms}


MEASURES = {
    "tcp": ("TCP, one stream", measure_tcp),
    "tcp4": ("TCP, four streams", lambda pair, seconds: measure_tcp(pair, seconds, "-P", "4")),
    "reverse": ("TCP, one stream towards the dialler", lambda pair, seconds: measure_tcp(pair, seconds, "-R")),
    "udp": ("UDP, 64 bytes", measure_udp),
    "ping": ("ping, idle", ping_times),
    "loaded": ("ping beside one TCP stream", measure_loaded),
    "rss": ("memory before any load", measure_rss),
    "start": ("from the start of the near node to its first answered ping", measure_start),
}
# Of programs only, and known once.
OF_NODES = ("rss", "start")


def report(title, rounds, base):
    """Every round, then the median and its ratio to the first kind."""
    units = next(iter(rounds.values()))[0].keys() if rounds else []
    for unit in units:
        print(f"\n{title}, {unit}")
        medians = {kind: statistics.median(seen[unit] for seen in all_seen) for kind, all_seen in rounds.items()}
        for kind, all_seen in rounds.items():
            seen = " ".join(f"{values[unit]:.3g}" for values in all_seen)
            ratio = medians[base] / medians[kind] if base in medians and medians[kind] else 0
            print(f"  {kind:13} {medians[kind]:9.3f}   {base} is {ratio:6.2f} of it   rounds: {seen}", flush=True)


def run(options, world):
    pairs = {}
    for kind in options.kinds:
        pair = vpn_peers.make(kind, world, options)
        if pair is None:
            print(f"{kind}: not installed")
            continue
        pair.start()
        pairs[kind] = pair
    print(f"link: {options.link}; {options.rounds} rounds of {options.seconds} s; "
          f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    for name in options.measures:
        title, measure = MEASURES[name]
        rounds = {}
        for _ in range(1 if name in OF_NODES else options.rounds):
            for kind, pair in pairs.items():
                if name in OF_NODES and not pair.pids():
                    continue
                try:
                    rounds.setdefault(kind, []).append(measure(pair, options.seconds))
                except (RuntimeError, AssertionError, subprocess.SubprocessError) as error:
                    print(f"  ! {kind}: {name}: {str(error)[:200]}", file=sys.stderr)
        rounds = {kind: seen for kind, seen in rounds.items() if seen}
        report(title, rounds, next(iter(k for k in rounds if k != "bare"), "bare"))


def names(known):
    def split(text):
        words = text.split(",")
        unknown = [word for word in words if word not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"none of {', '.join(known)}: {', '.join(unknown)}")
        return words
    return split


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", type=names(vpn_peers.KINDS), default=vpn_peers.KINDS)
    # Memory first, before any load.
    parser.add_argument("--measures", type=names(list(MEASURES)),
                        default=["rss", "start", "tcp", "tcp4", "reverse", "ping", "loaded", "udp"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="for each measurement of each round")
    parser.add_argument("--link", choices=list(vpn_peers.LINKS), default="offloads")
    parser.add_argument("--wireguard-go", default="wireguard-go", metavar="PROGRAM")
    parser.add_argument("--nebula", default="nebula", metavar="PROGRAM", help="nebula-cert is taken from beside it")
    parser.add_argument("--bin-dir", type=Path, default=ROOT / "build" / "release" / "bin")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("vpn: needs root for network namespaces")
    sweep_leftovers()
    directory = Path(tempfile.mkdtemp(prefix="selvage-vpn-"))
    directory.chmod(0o755)
    world = World(directory)
    try:
        run(options, world)
    finally:
        for complaint in world.close():
            print(f"  ! {complaint}", file=sys.stderr)


if __name__ == "__main__":
    main()
