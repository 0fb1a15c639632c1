"""Bulk throughput of our TCP against the kernel's, as ratios of one run.

    ./dev bench netstack-kernel [--seconds 4] [--rounds 1] [--rate 100] [--kernel cubic]
                                [--congestion bbr] [--ipv6] [--loss 0,0.1,1] [--rtt 0,20,100]

Needs root. Kernel to kernel and kernel to Selvage take turns over the same path, a box in user space
with a rate, a delay and a loss (tests/interop/kernel_path.py), in both directions: only their ratio
says something on a machine that others use.
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

from kernel_path import KERNEL, KERNEL6, OURS, OURS6, KernelPath  # noqa: E402
from world import World, sweep_leftovers  # noqa: E402

PEER_PROGRAM = ROOT / "bench" / "kernel_peer.py"


class MeasuredPath(KernelPath):
    """One setting of the box, with the kernel's services at the far end as well."""

    def __init__(self, world, number, binaries, box, options):
        super().__init__(world, number, binaries, box,
                         (f"congestion={options.congestion}", f"seconds={options.seconds}"))
        self.options = options
        self.kernel, self.ours = (KERNEL6, OURS6) if options.ipv6 else (KERNEL, OURS)
        self.start("kernel", sys.executable, "-B", PEER_PROGRAM, "serve", self.kernel, options.seconds,
                   options.kernel)

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
            path = MeasuredPath(world, number, binaries, box_settings(options, rtt, loss), options)
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
