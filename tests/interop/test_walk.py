"""The walk end to end: a real EasyTier node uses the proxy and the shell at a Selvage node's address.

    caller (EasyTier, TUN) ---net--- selvage (TUN as root, or none as nobody) ---beyond--- server

Every test runs over tcp and over udp, with a TUN device and without, from the same code.
"""
import hashlib
import os

import pytest

from easytier import EasyTierNode
from selvage import PASSWORD, PASSWORD_HASH
from telnet import Telnet
from tools import web_server
from waiting import wait_until
from web_server import body_hash

# SELVAGE_BULK_MIB=1024 is the size that a release is tried with; the default keeps CI short.
BULK = int(os.environ.get("SELVAGE_BULK_MIB", "256")) * 1024 * 1024
BULK_LIMIT = 60 + BULK // (4 * 1024 * 1024)  # seconds, at 4 MiB/s

SERVICES = {
    "proxy": {"enabled": True, "allow": ["caller"]},
    "shell": {"enabled": True, "allow": ["10.144.1.1"], "users": {"ops": PASSWORD_HASH},
              "account": "nobody", "shell": "/bin/bash"},
}


class Walk:
    """The drawing above, joined and ready."""

    def __init__(self, world, underlay, mode, selvage_node, selvage_dials):
        self.world = world
        caller, middle, server = world.host("caller"), world.host("selvage"), world.host("server")
        world.segment("net", "10.201.1.0/24", caller, middle)
        world.segment("beyond", "10.202.1.0/24", middle, server)
        self.server_host = server
        self.server = server.address("beyond")
        middle.knows_name("page.test", self.server)
        listen = [f"{underlay}://0.0.0.0:11010"]
        if selvage_dials:
            self.caller = EasyTierNode(caller, "10.144.1.1", listen=listen)
            self.node = selvage_node(middle, "10.144.1.2", tun=mode == "tun", services=SERVICES,
                                     peers=[f"{underlay}://{caller.address()}:11010"])
        else:
            self.node = selvage_node(middle, "10.144.1.2", tun=mode == "tun", services=SERVICES,
                                     listen=listen)
            self.caller = EasyTierNode(caller, "10.144.1.1",
                                       peers=[f"{underlay}://{middle.address()}:11010"])
        self.caller.wait_for_route("selvage")
        self.node.wait_for_route("caller")

    def curl(self, *words, by_name=False, **options):
        proxy = ["--socks5-hostname" if by_name else "--socks5", f"{self.node.ip}:1080"]
        return self.caller.host.run("curl", "-sS", "--max-time", BULK_LIMIT, *proxy, *words, **options)


@pytest.fixture
def walk(world, underlay, mode, selvage_node):
    return Walk(world, underlay, mode, selvage_node, selvage_dials=underlay == "udp")


@pytest.mark.parametrize("selvage_dials", [True, False], ids=["selvage-dials", "selvage-listens"])
def test_easytier_lists_us_and_pings_go_both_ways(world, underlay, mode, selvage_node, selvage_dials):
    walk = Walk(world, underlay, mode, selvage_node, selvage_dials)
    route = walk.caller.route_to("selvage")
    assert route["ipv4_addr"]["address"]["addr"] == 0x0A900102
    assert route["cost"] == 1
    walk.caller.host.reaches(walk.node.ip, count=3)
    wait_until(lambda: walk.node.pings(walk.caller), 20, "the node reaches its caller")


def test_curl_fetches_a_page_through_the_proxy(walk):
    web_server(walk.server_host, walk.server)
    assert walk.curl(f"http://{walk.server}:8000/page").stdout == "a page beyond the mesh\n"
    by_name = walk.curl("http://page.test:8000/page", by_name=True)
    assert by_name.stdout == "a page beyond the mesh\n"
    assert int(walk.node.service("proxy")["accepted"]) == 2


def test_bulk_transfers_through_the_proxy_are_intact(walk):
    web_server(walk.server_host, walk.server)
    file = walk.world.directory / "bulk"
    walk.curl("-o", file, f"http://{walk.server}:8000/bytes/{BULK}", timeout=BULK_LIMIT + 10)
    with open(file, "rb") as received:
        assert hashlib.file_digest(received, "sha256").hexdigest() == body_hash(BULK)
    up = walk.curl("-T", file, f"http://{walk.server}:8000/upload", timeout=BULK_LIMIT + 10)
    assert up.stdout.strip() == body_hash(BULK)
    file.unlink()


# Namespaces share their processes, so other runs of these tests need other markers.
MARKER = f"98{os.getpid()}"


def marker_runs(host, marker):
    return host.run("pgrep", "-f", f"sleep {marker}", check=False).stdout.split()


def test_telnet_logs_in_resizes_interrupts_and_leaves_nothing(walk):
    with Telnet(walk.caller.host, walk.node.ip, rows=30, columns=100) as telnet:
        telnet.log_in("ops", PASSWORD)
        telnet.expect(r"[$#] ")
        telnet.command("stty size")
        telnet.expect(r"30 100\r")
        telnet.command("echo $TERM-$(id -un)")
        telnet.expect(r"xterm-nobody\r")

        telnet.resize(41, 132)
        telnet.expect(r"[$#] ")
        wait_until(lambda: size_is(telnet, "41 132"), 10, "the new size reaches the shell")

        telnet.command(f"sleep {MARKER}1")
        wait_until(lambda: marker_runs(walk.node.host, MARKER + "1"), 5, "the command runs")
        telnet.send("\x03")
        telnet.expect(r"[$#] ")
        telnet.command("echo status-$?")
        telnet.expect(r"status-130\r")
        assert not marker_runs(walk.node.host, MARKER + "1")

        telnet.command(f"sleep {MARKER}2 & sleep {MARKER}3")
        wait_until(lambda: marker_runs(walk.node.host, MARKER + "3"), 5, "both commands run")
        assert len(walk.node.sessions()) == 1
    wait_until(lambda: not marker_runs(walk.node.host, MARKER), 10,
               "no process is left after the client vanished")
    wait_until(lambda: not walk.node.sessions(), 10, "the session is gone")


def size_is(telnet, size):
    telnet.command("stty size")
    return telnet.expect(r"(\d+ \d+)\r").group(1) == size
