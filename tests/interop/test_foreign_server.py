"""A Selvage node as shared server of networks that it does not belong to, and nodes that it refuses.

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


def town_server(selvage_node, host, underlay, **flags):
    return selvage_node(host, "10.99.1.1", tun=False, network="town", secret="square",
                        listen=[f"{underlay}://0.0.0.0:11010"], flags={"no_tun": True, **flags})


def member(make, host, ip, server, segment, underlay, **options):
    return make(host, ip, peers=[f"{underlay}://{server.address(segment)}:11010"], **options)


@pytest.mark.parametrize("kinds", ["easytier-easytier", "selvage-easytier"])
def test_members_of_another_network_meet_through_selvage(hosts, underlay, selvage_node, kinds):
    left, server, right = hosts
    shared = town_server(selvage_node, server, underlay)
    if kinds.startswith("easytier"):
        one = member(EasyTierNode, left, "10.144.1.1", server, "west", underlay)
    else:
        one = member(selvage_node, left, "10.144.1.1", server, "west", underlay, tun=True)
    two = member(EasyTierNode, right, "10.144.1.2", server, "east", underlay)
    meet(one, two)
    assert iperf(two.host, one.host, two.ip, seconds=1) > 2e6
    assert two.route_to("PublicServer_server"), "the server names itself as stock servers do"
    assert not shared.routes(), "nobody of another network is in our own"
    listed = shared.cli("foreign-networks")
    assert [network["network_name"] for network in listed["hosted"]] == ["meadow"]
    assert len(listed["hosted"][0]["peers"]) == 2
    wait_until(lambda: shared.cli("foreign-networks")["announced"], 15, "it is announced")
    assert "meadow" in shared.run_cli("foreign-networks").stdout


def test_servers_of_both_kinds_join_the_networks_that_they_host(hosts, underlay, selvage_node):
    """left meets right although each knows another server: town has two, one of either kind."""
    left, server, right = hosts
    second = hosts[0].world.host("second")
    hosts[0].world.segment("street", "10.201.3.0/24", server, second)
    hosts[0].world.segment("south", "10.201.4.0/24", second, right)
    shared = town_server(selvage_node, server, underlay)
    EasyTierNode(second, "10.99.1.2", network="town", secret="square",
                 listen=[f"{underlay}://0.0.0.0:11010"],
                 peers=[f"{underlay}://{server.address('street')}:11010"])
    one = member(EasyTierNode, left, "10.144.1.1", server, "west", underlay)
    two = member(selvage_node, right, "10.144.1.2", second, "south", underlay, tun=True)
    one.wait_for_route("right", timeout=40)
    two.wait_for_route("left", timeout=40)
    wait_until(lambda: one.host.pings(two.ip) and two.host.pings(one.ip), 20, "ping both ways")
    assert iperf(two.host, one.host, two.ip, seconds=1) > 1e6
    assert shared.counters()["foreign.wrapped_packets"] > 100
    servers = {entry["server_peer_id"] for entry in shared.cli("foreign-networks")["announced"]}
    assert len(servers) == 2


@pytest.mark.parametrize("flags, counter", [
    ({"relay_network_whitelist": "town n2*"}, "foreign.refused_not_listed"),
    ({"private_mode": True}, "foreign.refused_private_mode"),
], ids=["whitelist", "private-mode"])
def test_selvage_refuses_other_networks(hosts, underlay, selvage_node, flags, counter):
    left, server, right = hosts
    shared = town_server(selvage_node, server, underlay, **flags)
    one = member(EasyTierNode, left, "10.144.1.1", server, "west", underlay)
    two = member(selvage_node, right, "10.144.1.2", server, "east", underlay, tun=False)
    wait_until(lambda: shared.counters()[counter] >= 4, 30, "both are refused, and try again")
    assert not one.route_to("right") and not two.route_to("left")
    assert not shared.cli("foreign-networks")["hosted"]


@pytest.mark.parametrize("flags", [{"relay_network_whitelist": "town"}, {"private_mode": True}],
                         ids=["whitelist", "private-mode"])
def test_easytier_refuses_other_networks_of_selvage(hosts, underlay, selvage_node, flags):
    left, server, right = hosts
    EasyTierNode(server, "10.99.1.1", network="town", secret="square", flags=flags,
                 listen=[f"{underlay}://0.0.0.0:11010"])
    one = member(selvage_node, left, "10.144.1.1", server, "west", underlay, tun=True)
    two = member(selvage_node, right, "10.144.1.2", server, "east", underlay, tun=True)
    # Over udp the refusal is silent: the lost pings tell.
    wait_until(lambda: one.counters()["peer.conns_lost"] + two.counters()["peer.conns_lost"] >= 1, 40,
               "a connection is refused after its handshake")
    assert not one.route_to("right") and not two.route_to("left")


def test_calls_alone_are_carried_with_relay_all_peer_rpc(hosts, underlay, selvage_node):
    left, server, right = hosts
    shared = town_server(selvage_node, server, underlay, relay_network_whitelist="town",
                         relay_all_peer_rpc=True)
    one = member(EasyTierNode, left, "10.144.1.1", server, "west", underlay)
    two = member(EasyTierNode, right, "10.144.1.2", server, "east", underlay)
    one.wait_for_route("right")
    two.wait_for_route("left")
    assert not one.host.pings(two.ip)
    wait_until(lambda: shared.counters()["foreign_dropped.relay_disabled"] >= 1, 10,
               "data is dropped and counted")
