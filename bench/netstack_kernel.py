"""Bulk throughput of our TCP against the kernel's, as ratios of one run.

    ./dev bench netstack-kernel [--seconds 4] [--rounds 1] [--rate 100] [--kernel cubic]
                                [--congestion bbr] [--ipv6] [--loss 0,0.1,1] [--rtt 0,20,100]

Needs root. Two network namespaces are joined by a box in user space (bench/netstack_box.cc) with a
rate, a delay and a loss. In one the kernel is the client; in the other the kernel answers, and our
stack behind a TUN device (bench/netstack_peer.cc) to which that kernel forwards. Kernel to kernel
and kernel to Selvage take turns over the same path, in both directions: only their ratio says
something on a machine that others use.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "interop"))

from waiting import wait_until  # noqa: E402
from world import World, sweep_leftovers  # noqa: E402

CLIENT, KERNEL, ROUTER, OURS = "10.9.1.1", "10.9.2.1", "10.9.3.1", "10.9.3.2"
CLIENT6, KERNEL6, ROUTER6, OURS6 = "fd09:1::1", "fd09:2::1", "fd09:3::1", "fd09:3::2"
PEER_PROGRAM = ROOT / "bench" / "kernel_peer.py"


class Path3:
    """client ===box=== kernel ---tun--- our stack, with one setting of the box."""

    def __init__(self, world, number, binaries, box, options):
        self.options = options
        self.client = world.host(f"c{number}")
        self.far = world.host(f"k{number}")
        left, right, ours = f"bl{number}", f"br{number}", f"bo{number}"
        self.start("box", binaries / "netstack_box", left, right, *box)
        self.far.run("ip", "link", "set", left, "netns", self.client.netns)
        self.client.run("ip", "link", "set", left, "up")
        self.far.run("ip", "link", "set", right, "up")
        for host, device, own, own6 in ((self.client, left, CLIENT, CLIENT6), (self.far, right, KERNEL, KERNEL6)):
            host.run("ip", "addr", "add", f"{own}/32", "dev", device)
            host.run("ip", "-6", "addr", "add", f"{own6}/128", "dev", device, "nodad")
        for network in ("10.9.2.0/24", "10.9.3.0/24", "fd09:2::/64", "fd09:3::/64"):
            self.client.run("ip", "-6" if ":" in network else "-4", "route", "add", network, "dev", left)
        for network in ("10.9.1.0/24", "fd09:1::/64"):
            self.far.run("ip", "-6" if ":" in network else "-4", "route", "add", network, "dev", right)
        self.far.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self.start("peer", binaries / "netstack_peer", ours, f"{ROUTER}/24", f"{ROUTER6}/64",
                   f"congestion={options.congestion}", f"seconds={options.seconds}")
        kernel, self.ours = (KERNEL6, OURS6) if options.ipv6 else (KERNEL, OURS)
        self.kernel = kernel
        self.start("kernel", sys.executable, "-B", PEER_PROGRAM, "serve", kernel, options.seconds, options.kernel)

    def start(self, name, *words):
        process = self.far.spawn(name, *words)
        wait_until(lambda: "ready" in process.text(), 20, f"{name} is ready: {process.text()}")

    def measure(self, direction, address):
        done = self.client.run(
            sys.executable, "-B", PEER_PROGRAM, direction, address, self.options.seconds,
            self.options.kernel, timeout=self.options.seconds + 60)
        return int(done.stdout)


def box_settings(options, rtt, loss):
    rate = options.rate * 1_000_000
    # A queue of a quarter of a second's worth at most, and of one round trip at least.
    queue = max(rate // 8 * max(rtt, 20) // 1000, 65536)
    return [f"delay_us={rtt * 500}", f"loss_ppm={round(loss * 10_000)}", f"rate_bits={rate}",
            f"queue_bytes={queue}", f"reorder_ppm={round(options.reorder * 10_000)}"]


def cells(options, world, binaries):
    number = 0
    for rtt in options.rtt:
        for loss in options.loss:
            number += 1
            path = Path3(world, number, binaries, box_settings(options, rtt, loss), options)
            for direction in ("up", "down"):
                kernel, ours = [], []
                for _ in range(options.rounds):
                    kernel.append(path.measure(direction, path.kernel))
                    ours.append(path.measure(direction, path.ours))
                yield rtt, loss, direction, statistics.median(kernel), statistics.median(ours)
            for process in world.processes:
                process.kill()


def main():
    numbers = lambda kind: lambda text: [kind(word) for word in text.split(",")]  # noqa: E731
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--rate", type=int, default=100, help="Mbit/s of the box; 0 is no limit")
    parser.add_argument("--kernel", default="cubic", help="congestion control of the kernel's sockets")
    parser.add_argument("--congestion", default="bbr", help="congestion control of our stack")
    parser.add_argument("--ipv6", action="store_true")
    parser.add_argument("--reorder", type=float, default=0, help="per cent of packets that skip the delay")
    parser.add_argument("--rtt", type=numbers(int), default=[0, 20, 100])
    parser.add_argument("--loss", type=numbers(float), default=[0, 0.1, 1])
    parser.add_argument("--bin-dir", type=Path, default=ROOT / "build" / "bench" / "bin")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("netstack-kernel: needs root")
    sweep_leftovers()
    worst = None
    with tempfile.TemporaryDirectory() as directory:
        world = World(directory)
        try:
            print(f"box {options.rate} Mbit/s, kernel {options.kernel}, ours {options.congestion}, "
                  f"{'IPv6' if options.ipv6 else 'IPv4'}; up: the kernel sends, down: we send")
            print(" rtt   loss  dir    kernel      ours   ratio")
            for rtt, loss, direction, kernel, ours in cells(options, world, options.bin_dir):
                ratio = ours / max(kernel, 1)
                worst = ratio if worst is None else min(worst, ratio)
                print(f"{rtt:4} {loss:5.1f}%  {direction:4} {kernel / 1e6:8.1f}  {ours / 1e6:8.1f}  {ratio:6.2f}",
                      flush=True)
        except subprocess.SubprocessError as error:
            sys.exit(f"netstack-kernel: {error}")
        finally:
            for complaint in world.close():
                print(complaint, file=sys.stderr)
    print(f"worst ratio {worst:.2f}")


if __name__ == "__main__":
    main()
