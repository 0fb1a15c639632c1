"""Members of one network who live behind a shared server that belongs to another one.

    left (meadow) --- server (town) --- right (meadow)
"""
import pytest

from easytier import EasyTierNode
from tools import iperf, web_server
from waiting import wait_until


@pytest.fixture
def hosts(world):
    left, server, right = world.host("left"), world.host("server"), world.host("right")
    world.segment("west", "10.201.1.0/24", left, server)
    world.segment("east", "10.201.2.0/24", server, right)
    return left, server, right


def member(make, host, server, ip, underlay, segment, **options):
    return make(host, ip, peers=[f"{underlay}://{server.address(segment)}:11010"], **options)


@pytest.mark.parametrize("other", ["selvage", "easytier"])
def test_members_meet_through_an_easytier_server_of_another_network(
        hosts, underlay, selvage_node, other):
    left, server, right = hosts
    EasyTierNode(server, "10.99.1.1", network="town", secret="square",
                 listen=[f"{underlay}://0.0.0.0:11010"])
    one = member(selvage_node, left, server, "10.144.1.1", underlay, "west", tun=True)
    two = (member(selvage_node, right, server, "10.144.1.2", underlay, "east", tun=True)
           if other == "selvage" else
           member(EasyTierNode, right, server, "10.144.1.2", underlay, "east"))
    one.wait_for_route("right")
    two.wait_for_route("left")
    wait_until(lambda: one.host.pings(two.ip) and two.host.pings(one.ip), 20, "ping both ways")
    assert iperf(two.host, one.host, two.ip, seconds=1) > 2e6
    entry = one.route_to("PublicServer_server")
    assert entry and not entry.get("ipv4")


def test_services_are_reached_through_a_server_of_another_network(hosts, underlay, selvage_node):
    left, server, right = hosts
    EasyTierNode(server, "10.99.1.1", network="town", secret="square",
                 listen=[f"{underlay}://0.0.0.0:11010"])
    proxy = {"proxy": {"enabled": True, "allow": ["any-member"]}}
    one = member(selvage_node, left, server, "10.144.1.1", underlay, "west", tun=True)
    two = member(selvage_node, right, server, "10.144.1.2", underlay, "east", tun=False,
                 services=proxy)
    one.wait_for_route("right")
    two.wait_for_route("left")
    web_server(right, right.address("east"))
    done = left.run("curl", "-sS", "--max-time", "20", "--socks5", f"{two.ip}:1080",
                    f"http://{right.address('east')}:8000/page")
    assert done.stdout
