"""A Selvage node as shared server of networks that it does not belong to.

    left (meadow) --- server (town) --- right (meadow)
"""
import pytest

from easytier import EasyTierNode
from tools import iperf
from waiting import wait_until


@pytest.fixture
def hosts(world):
    left, server, right = world.host("left"), world.host("server"), world.host("right")
    world.segment("west", "10.201.1.0/24", left, server)
    world.segment("east", "10.201.2.0/24", server, right)
    return left, server, right


def meet(one, two):
    one.wait_for_route(two.name)
    two.wait_for_route(one.name)
    wait_until(lambda: one.host.pings(two.ip) and two.host.pings(one.ip), 20, "ping both ways")


@pytest.mark.parametrize("kinds", ["easytier-easytier", "selvage-easytier"])
def test_members_of_another_network_meet_through_selvage(hosts, underlay, selvage_node, kinds):
    left, server, right = hosts
    shared = selvage_node(server, "10.99.1.1", tun=False, network="town", secret="square",
                          listen=[f"{underlay}://0.0.0.0:11010"])
    peers = {"peers": [f"{underlay}://{server.address('west')}:11010"]}
    one = (EasyTierNode(left, "10.144.1.1", **peers) if kinds.startswith("easytier") else
           selvage_node(left, "10.144.1.1", tun=True, **peers))
    two = EasyTierNode(right, "10.144.1.2", peers=[f"{underlay}://{server.address('east')}:11010"])
    meet(one, two)
    assert iperf(two.host, one.host, two.ip, seconds=1) > 2e6
    assert two.route_to("PublicServer_server"), "the server names itself as stock servers do"
    assert not shared.routes(), "nobody of another network is in our own"
