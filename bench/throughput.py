"""End to end throughput of two Selvage nodes as ratios, all figures of a line from one run.

    ./dev bench throughput [--rounds 3] [--seconds 4] [--bin-dir build/release/bin]

Needs root. The pairs are built in network namespaces, each with TUN devices; then rounds alternate
between them, because absolute figures of a shared machine move from minute to minute and only ratios
of one run say something. Over a tcp and over a udp underlay:

    tun      iperf3, one TCP stream through the kernels: Selvage to EasyTier
    claims   the same, Selvage with claimed ports to Selvage without any
    proxy    a download through SOCKS5 at the far node's virtual address: our proxy to EasyTier's own
    forward  a download through a port forward of the near node: Selvage to EasyTier
    direct   the proxy's download to the same download from the far host without a mesh
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
        self.direct_address = far.address(f"{short}n")
        web_server(far, self.direct_address, 8001)
        forward = [{"bind_addr": "127.0.0.1:8000", "dst_addr": "10.144.1.2:8002", "proto": "tcp"}]
        listen = [f"{underlay}://0.0.0.0:11010"]
        peers = [f"{underlay}://{far.address(f'{short}n')}:11010"]
        if kind == "easytier":
            self.far = EasyTierNode(far, "10.144.1.2", listen=listen, socks5_proxy="socks5://0.0.0.0:1080")
            self.near = EasyTierNode(near, "10.144.1.1", peers=peers, port_forward=forward)
        else:
            services = {"proxy": {"enabled": True, "allow": ["any-member"]}} if kind == "selvage" else {}
            self.far = SelvageNode(far, "10.144.1.2", tun=True, binary_directory=binaries, listen=listen,
                                   services=services)
            self.near = SelvageNode(near, "10.144.1.1", tun=True, binary_directory=binaries, peers=peers,
                                    port_forward=forward)
        self.near.wait_for_route(far.name)
        self.far.wait_for_route(near.name)
        web_server(far, self.far.ip, 8002)

    def tun_bits(self, seconds):
        return iperf(self.far.host, self.near.host, self.far.ip, seconds=seconds)

    def proxy_bits(self, seconds):
        return self.download(seconds, "--socks5", f"{self.far.ip}:1080",
                             f"http://{self.server_address}:8000/bytes/{DOWNLOAD_BYTES}")

    def forward_bits(self, seconds):
        return self.download(seconds, f"http://127.0.0.1:8000/bytes/{DOWNLOAD_BYTES}")

    def direct_bits(self, seconds):
        return self.download(seconds, f"http://{self.direct_address}:8001/bytes/{DOWNLOAD_BYTES}")

    def download(self, seconds, *words):
        # Exit status 28 is the time limit, which is how most rounds end.
        done = self.near.host.run(
            "curl", "-s", "--max-time", seconds, "-o", "/dev/null", "-w", "%{speed_download}", *words,
            check=False, timeout=seconds + 10)
        if done.returncode not in (0, 28):
            raise RuntimeError(f"curl ended with {done.returncode}: {done.stderr}")
        return float(done.stdout) * 8


# Name, then what is compared with what: a pair and how it is measured, for each side.
LINES = (
    ("tun", ("selvage", Pair.tun_bits), ("easytier", Pair.tun_bits)),
    ("claims", ("selvage", Pair.tun_bits), ("unclaimed", Pair.tun_bits)),
    ("proxy", ("selvage", Pair.proxy_bits), ("easytier", Pair.proxy_bits)),
    ("forward", ("selvage", Pair.forward_bits), ("easytier", Pair.forward_bits)),
    ("direct", ("selvage", Pair.proxy_bits), ("selvage", Pair.direct_bits)),
)


def measure(underlay, arguments):
    """Prints one line per comparison: medians of both sides and their ratio."""
    directory = Path(tempfile.mkdtemp(prefix="selvage-throughput-"))
    directory.chmod(0o755)
    world = World(directory)
    try:
        lines = [line for line in LINES if line[0] in arguments.lines]
        kinds = dict.fromkeys(kind for line in lines for kind, _ in line[1:])
        pairs = {kind: Pair(world, kind, underlay, arguments.bin_dir) for kind in kinds}
        for name, *sides in lines:
            seen = [[], []]
            for _ in range(arguments.rounds):
                for (kind, how), values in zip(sides, seen):
                    values.append(how(pairs[kind], arguments.seconds) / 1e9)
            medians = [statistics.median(values) for values in seen]
            names = [kind if sides[0][0] != sides[1][0] else how.__name__.removesuffix("_bits")
                     for kind, how in sides]
            line = "  ".join(f"{side} {median:.3f} Gbit/s ({min(values):.3f}-{max(values):.3f})"
                             for side, median, values in zip(names, medians, seen))
            print(f"{underlay:>4} {name:>8}: {line}  ratio {medians[0] / medians[1]:.2f}", flush=True)
    finally:
        for complaint in world.close():
            print(f"  ! {complaint}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="for each measurement of each round")
    parser.add_argument("--underlay", choices=["tcp", "udp"], nargs="+", default=["tcp", "udp"])
    names = [line[0] for line in LINES]
    parser.add_argument("--lines", choices=names, nargs="+", default=names)
    parser.add_argument("--bin-dir", type=Path, default=ROOT / "build" / "release" / "bin")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("throughput: needs root for network namespaces")
    sweep_leftovers()
    for underlay in arguments.underlay:
        measure(underlay, arguments)


if __name__ == "__main__":
    main()
