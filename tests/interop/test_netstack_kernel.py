"""Our TCP against the Linux kernel's over a bad path, IPv4 and IPv6, dialled by either side.

What is done, and what is compared, is in kernel_caller.py; nothing here depends on how long it takes.
"""
import sys
from pathlib import Path

import pytest

import selvage
from kernel_path import KernelPath, PROGRAMS

CALLER = Path(__file__).with_name("kernel_caller.py")
BOXES = {
    "far": ["delay_us=10000"],
    "lossy": ["delay_us=3000", "loss_ppm=10000"],
    "shuffled": ["delay_us=5000", "reorder_ppm=30000"],
    "narrow": ["delay_us=3000", "rate_bits=30000000", "queue_bytes=40000"],
    "bad": ["delay_us=4000", "loss_ppm=5000", "reorder_ppm=10000", "rate_bits=50000000", "queue_bytes=60000"],
}


@pytest.fixture
def call(world):
    """Runs a scenario of the caller: call(name, box settings, argument)."""
    missing = [name for name in PROGRAMS if not (selvage.binaries() / name).exists()]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not built in {selvage.binaries()}")
    if not Path("/dev/net/tun").exists():
        pytest.skip("needs /dev/net/tun")

    def run(scenario, box, argument=None):
        path = KernelPath(world, 1, selvage.binaries(), box)
        for number in range(2, 7):
            path.client.run("ip", "addr", "add", f"10.9.1.{number}/32", "dev", path.device)
            path.client.run("ip", "-6", "addr", "add", f"fd09:1::{number}/128", "dev", path.device, "nodad")
        # The way back to callers that do not exist ends in the client's namespace.
        path.far.run("ip", "route", "add", "10.77.0.0/16", "dev", "br1")
        path.far.run("ip", "-6", "route", "add", "fd77::/64", "dev", "br1")
        path.client.run(sys.executable, "-B", CALLER, scenario, argument or path.device, timeout=300)
    return run


@pytest.mark.parametrize("box", BOXES)
def test_bulk(call, box):
    call("bulk", BOXES[box], 1_000_000)


@pytest.mark.parametrize("box", ["lossy", "bad"])
def test_requests_and_answers(call, box):
    call("exchange", BOXES[box])


@pytest.mark.parametrize("box", ["lossy", "bad"])
def test_half_close(call, box):
    call("half_close", BOXES[box], 300_000)


def test_storm_of_resets(call):
    call("reset_storm", ["delay_us=1000"])


def test_five_thousand_connections(call):
    call("crowd", ["delay_us=1000"])


def test_flood_of_syns(call):
    call("flood", ["delay_us=1000"])
