"""Seeing what passes a node and what does not: drops."""
import pytest

from easytier import EasyTierNode
from waiting import wait_until

CALLER, NODE = "10.144.1.1", "10.144.1.2"
CLOSED = {"acl_v1": {"chains": [
    {"name": "in", "chain_type": "Inbound", "enabled": True, "default_action": "Allow", "rules": [
        {"name": "no 99", "priority": 1, "enabled": True, "protocol": "TCP", "ports": ["99"], "action": "Drop"}]},
]}}


@pytest.fixture
def pair(world, selvage_node):
    """An EasyTier caller and a Selvage node with a TUN device, joined."""
    caller, host = world.host("caller"), world.host("selvage")
    world.segment("net", "10.201.1.0/24", caller, host)
    node = selvage_node(host, NODE, tun=True, listen=["udp://0.0.0.0:11010"], acl=CLOSED)
    easytier = EasyTierNode(caller, CALLER, peers=[f"udp://{host.address()}:11010"])
    easytier.wait_for_route("selvage")
    node.wait_for_route("caller")
    return easytier, node


def samples(node, reason):
    [row] = node.cli("drops", reason)
    assert row["packets"] >= len(row["last"])
    return row["last"]


def test_drops_are_told_with_the_last_packets_of_each_reason(pair):
    easytier, node = pair
    assert not node.host.pings("10.144.1.77")
    last = samples(node, "no_route")[-1]
    assert (last["neighbour"], last["source"], last["destination"], last["protocol"]) == (0, NODE, "10.144.1.77", 1)

    def denied():
        easytier.host.run("curl", "-s", "--connect-timeout", "1", f"http://{NODE}:99/", check=False)
        return samples(node, "acl_denied")

    refused = wait_until(denied, 20, "a denied packet is in the list")[-1]
    peer = node.route_to("caller")["peer_id"]
    assert refused["neighbour"] == refused["from_peer"] == peer
    assert refused["source"].startswith(f"{CALLER}:") and refused["destination"] == f"{NODE}:99"
    text = node.run_cli("drops").stdout
    assert "acl_denied: " in text and f"-> {NODE}:99 protocol 6" in text
    assert [row["reason"] for row in node.cli("drops", "bad_seal")] == ["bad_seal"]
    assert "bad_seal" not in text
