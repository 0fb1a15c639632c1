"""End to end throughput of two Selvage nodes as ratios to two EasyTier nodes of the same run.

    ./dev bench throughput [--rounds 3] [--seconds 4] [--bin-dir build/release/bin]

Needs root. Both pairs are built in network namespaces, each with TUN devices; then rounds alternate
between them, because absolute figures of a shared machine move from minute to minute and only ratios
of one run say something. Measured are iperf3 over one TCP stream, and a download through SOCKS5 at
the far node's virtual address (EasyTier's own SOCKS5 against the proxy service), over a tcp and over
a udp underlay.
"""
import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "interop"))

from easytier import EasyTierNode  # noqa: E402
from selvage import SelvageNode  # noqa: E402
from tools import iperf, web_server  # noqa: E402
from world import World, sweep_leftovers  # noqa: E402

DOWNLOAD_BYTES = 1 << 30  # cut off by --seconds, so that a slow pair does not take for ever


class Pair:
    """near ---net--- far ---beyond--- server, both nodes of one kind."""

    def __init__(self, world, kind, underlay, binaries):
        short = f"{kind[0]}{underlay[0]}"
        near, far, server = (world.host(f"{short}-{name}") for name in ("near", "far", "server"))
        world.segment(f"{short}n", "10.201.1.0/24", near, far)
        world.segment(f"{short}b", "10.202.1.0/24", far, server)
        self.server_address = server.address(f"{short}b")
        web_server(server, self.server_address)
        listen = [f"{underlay}://0.0.0.0:11010"]
        peers = [f"{underlay}://{far.address(f'{short}n')}:11010"]
        if kind == "easytier":
            self.far = EasyTierNode(far, "10.144.1.2", listen=listen, socks5_proxy="socks5://0.0.0.0:1080")
            self.near = EasyTierNode(near, "10.144.1.1", peers=peers)
        else:
            services = {"proxy": {"enabled": True, "allow": ["any-member"]}}
            self.far = SelvageNode(far, "10.144.1.2", tun=True, binary_directory=binaries, listen=listen,
                                   services=services)
            self.near = SelvageNode(near, "10.144.1.1", tun=True, binary_directory=binaries, peers=peers)
        self.near.wait_for_route(far.name)
        self.far.wait_for_route(near.name)

    def tun_bits(self, seconds):
        return iperf(self.far.host, self.near.host, self.far.ip, seconds=seconds)

    def proxy_bits(self, seconds):
        # Exit status 28 is the time limit, which is how most rounds end.
        done = self.near.host.run(
            "curl", "-s", "--max-time", seconds, "--socks5", f"{self.far.ip}:1080", "-o", "/dev/null",
            "-w", "%{speed_download}", f"http://{self.server_address}:8000/bytes/{DOWNLOAD_BYTES}",
            check=False, timeout=seconds + 10)
        if done.returncode not in (0, 28):
            raise RuntimeError(f"curl ended with {done.returncode}: {done.stderr}")
        return float(done.stdout) * 8


def measure(underlay, arguments):
    """Prints one line per measurement: medians of both kinds and their ratio."""
    directory = Path(tempfile.mkdtemp(prefix="selvage-throughput-"))
    directory.chmod(0o755)
    world = World(directory)
    try:
        pairs = {kind: Pair(world, kind, underlay, arguments.bin_dir) for kind in arguments.kinds}
        for name, what in (("tun", Pair.tun_bits), ("proxy", Pair.proxy_bits)):
            seen = {kind: [] for kind in pairs}
            for _ in range(arguments.rounds):
                for kind, pair in pairs.items():
                    seen[kind].append(what(pair, arguments.seconds) / 1e9)
            medians = {kind: statistics.median(values) for kind, values in seen.items()}
            line = "  ".join(f"{kind} {medians[kind]:.3f} Gbit/s "
                             f"({min(seen[kind]):.3f}-{max(seen[kind]):.3f})" for kind in seen)
            if len(medians) == 2:
                line += f"  ratio {medians['selvage'] / medians['easytier']:.2f}"
            print(f"{underlay:>4} {name:>6}: {line}", flush=True)
    finally:
        for complaint in world.close():
            print(f"  ! {complaint}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="for each measurement of each round")
    parser.add_argument("--underlay", choices=["tcp", "udp"], nargs="+", default=["tcp", "udp"])
    parser.add_argument("--kinds", choices=["easytier", "selvage"], nargs="+", default=["easytier", "selvage"])
    parser.add_argument("--bin-dir", type=Path, default=ROOT / "build" / "release" / "bin")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("throughput: needs root for network namespaces")
    sweep_leftovers()
    for underlay in arguments.underlay:
        measure(underlay, arguments)


if __name__ == "__main__":
    main()
