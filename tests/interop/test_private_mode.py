"""private_mode: a node of another network is turned away, and its end looks the same from either kind of node."""
import json

from easytier import EasyTierNode
from waiting import wait_until

OWN_AFFAIRS = {"TunDeviceReady", "ListenerAdded"}


def events(node):
    """(kind, content) of what EasyTier tells its user interface, the newest first."""
    return [item for text in node.call("management_events") for item in json.loads(text)["event"].items()]


def ending(client):
    """What the refused node could see: which events there were, and how much it was ever told."""
    seen = [(kind, content) for kind, content in events(client) if kind not in OWN_AFFAIRS]
    heard = {content["stats"]["rx_packets"] for kind, content in seen if kind == "PeerConnRemoved"}
    return {"events": {kind for kind, _ in seen}, "packets heard": heard, "routes": client.routes()}


def test_a_refused_node_sees_the_same_from_both_kinds(world, underlay, selvage_node):
    clients = {}
    for number, kind in enumerate(("easytier", "selvage")):
        server, outside = world.host(f"server{number}"), world.host(f"client{number}")
        world.segment(f"net{number}", f"10.20{number}.1.0/24", server, outside)
        keys = {"listen": [f"{underlay}://0.0.0.0:11010"], "flags": {"private_mode": True}}
        if kind == "easytier":
            EasyTierNode(server, "10.144.1.1", **keys)
        else:
            selvage_node(server, "10.144.1.1", tun=True, **keys)
        clients[kind] = EasyTierNode(outside, "10.145.1.2", network="other", secret="of-others",
                                     peers=[f"{underlay}://{server.address(f'net{number}')}:11010"])
    for kind, client in clients.items():
        # Over udp the refusal is silent, and lost pings tell.
        wait_until(lambda client=client: "PeerRemoved" in dict(events(client)), 60, f"{kind} has turned it away")
    endings = {kind: ending(client) for kind, client in clients.items()}
    assert endings["easytier"] == endings["selvage"]
    # It is taken at first and told nothing but the server's half of the handshake.
    assert endings["selvage"] == {
        "events": {"Connecting", "PeerConnAdded", "PeerAdded", "PeerConnRemoved", "PeerRemoved"},
        "packets heard": {"1"}, "routes": []}
