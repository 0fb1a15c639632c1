"""The addresses of the overlay: IPv4 and IPv6 between an EasyTier node and a Selvage node, in both modes."""
import pytest

from easytier import EasyTierNode
from tools import web_server

SERVICES = {"echo": {"enabled": True, "allow": ["any-member"]},
            "proxy": {"enabled": True, "allow": ["any-member"]}}


@pytest.fixture
def pair(world, underlay, mode, selvage_node):
    caller, host = world.host("caller"), world.host("selvage")
    world.segment("net", "10.201.1.0/24", caller, host)
    easytier = EasyTierNode(caller, "10.144.1.1", ipv6="fd44::1/64", listen=[f"{underlay}://0.0.0.0:11010"])
    node = selvage_node(host, "10.144.1.2", tun=mode == "tun", ipv6="fd44::2/64", services=SERVICES,
                        peers=[f"{underlay}://{caller.address()}:11010"])
    easytier.wait_for_route("selvage")
    node.wait_for_route("caller")
    return easytier, node


def test_each_lists_the_addresses_of_the_other(pair):
    easytier, node = pair
    seen = easytier.route_to("selvage")["ipv6_addr"]
    assert seen["network_length"] == 64
    assert seen["address"] == {"part1": 0xfd440000, "part4": 2}
    assert node.route_to("caller")["ipv6"] == "fd44::1/64"
    assert node.cli("status")["ipv6"] == "fd44::2/64"


def test_pings_of_both_families_are_answered(pair):
    easytier, node = pair
    easytier.host.reaches("10.144.1.2", count=3)
    easytier.host.reaches("fd44::2", count=3)
    if node.tun:
        node.host.reaches("fd44::1", count=3)
    assert node.run_cli("ping", "fd44::1").stdout


def test_services_answer_at_the_ipv6_address_too(pair):
    easytier, node = pair
    web_server(easytier.host, "fd44::1")
    page = easytier.host.run("curl", "-sS", "--max-time", "10", "--socks5-hostname", "[fd44::2]:1080",
                             "http://[fd44::1]:8000/page").stdout
    assert page == "a page beyond the mesh\n"
    text = "".join(f"line {number}\n" for number in range(20_000))
    assert node.run_cli("connect", "[fd44::1]:8000", stdin="GET /page HTTP/1.0\r\n\r\n").stdout.endswith(
        "a page beyond the mesh\n")
    echoed = easytier.host.run("timeout", "10", "bash", "-c",
                               "exec 3<>/dev/tcp/fd44::2/7 4<&0; cat <&4 >&3 & head -c 20000 <&3", stdin=text).stdout
    assert echoed == text[:20_000]


def test_kernels_talk_over_ipv6(pair):
    easytier, node = pair
    if not node.tun:
        pytest.skip("there is no kernel behind the address")
    web_server(node.host, "fd44::2")
    seen = easytier.host.run("curl", "-sS", "--max-time", "10", "http://[fd44::2]:8000/peer").stdout
    assert seen == "fd44::1\n"
    web_server(easytier.host, "fd44::1")
    seen = node.host.run("curl", "-sS", "--max-time", "10", "http://[fd44::1]:8000/peer").stdout
    assert seen == "fd44::2\n"
