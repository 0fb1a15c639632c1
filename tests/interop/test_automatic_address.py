"""Automatic addresses: three mixed nodes choose without collisions and move when they must."""
import pytest

from easytier import EasyTierNode
from waiting import wait_until


def address_of(inet):
    value = inet["address"]["addr"]
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


class Meadow:
    """A hub and two leaves, each with a TUN device or (Selvage, rootless) without."""

    def __init__(self, world, underlay, selvage_node):
        self.world = world
        self.underlay = underlay
        self.selvage_node = selvage_node
        self.hosts = [world.host(name) for name in ("one", "two", "three")]
        world.segment("net", "10.201.1.0/24", *self.hosts)
        self.nodes = []

    def start(self, number, kind, **keys):
        host = self.hosts[number]
        listen = [f"{self.underlay}://0.0.0.0:11010"]
        peers = [f"{self.underlay}://{self.hosts[0].address()}:11010"] if number else []
        if kind == "easytier":
            node = EasyTierNode(host, None, listen=listen, peers=peers, **keys)
        else:
            node = self.selvage_node(host, None, tun=kind == "tun", listen=listen, peers=peers, **keys)
        self.nodes.append(node)
        return node

    def addresses(self):
        """What the first Selvage node knows of everybody; None stands for no address."""
        asked = next(node for node in self.nodes if node.kind == "selvage")
        own = asked.cli("status")["ipv4"]
        return [own, *[route["ipv4"] for route in asked.routes()]]

    def settled(self):
        """Everybody has an address, all differ, and all are in one network."""
        seen = self.addresses()
        complete = len(seen) == len(self.nodes) and all(seen)
        return seen if complete and len(set(seen)) == len(seen) else None

    def wait_until_settled(self):
        return wait_until(self.settled, 60, "all nodes have addresses of their own")


@pytest.fixture
def meadow(world, underlay, selvage_node):
    return Meadow(world, underlay, selvage_node)


def test_three_mixed_nodes_get_three_addresses(meadow):
    meadow.start(0, "easytier", dhcp=True)
    two = meadow.start(1, "tun", dhcp=True)
    three = meadow.start(2, "rootless", dhcp=True)
    seen = meadow.wait_until_settled()
    assert {address.rsplit(".", 1)[0] for address in seen} == {"10.126.126"}
    # The addresses work: the kernel's of the EasyTier node, ours with TUN and without.
    addresses = {node.name: node.cli("status")["ipv4"].split("/")[0] for node in (two, three)}
    hub = meadow.hosts[0]
    wait_until(lambda: all(hub.pings(address) for address in addresses.values()), 20, "both answer")
    two.host.reaches(addresses["three"])
    assert addresses["two"] in two.host.run("ip", "-o", "-4", "addr", "show", "dev", "sv0").stdout


def test_we_join_the_network_of_static_nodes_and_leave_an_address_to_them(meadow):
    one = meadow.start(0, "tun", dhcp=True)
    meadow.start(1, "easytier", ipv4="10.150.1.1/29")
    wait_until(lambda: one.cli("status")["ipv4"] == "10.150.1.2/29", 30, "the first free address is ours")
    one.host.reaches("10.150.1.1", count=2)
    meadow.start(2, "easytier", ipv4="10.150.1.2/29")
    wait_until(lambda: one.cli("status")["ipv4"] == "10.150.1.3/29", 60, "we gave way")
    shown = one.host.run("ip", "-o", "-4", "addr", "show", "dev", "sv0").stdout
    assert "10.150.1.3/29" in shown and "10.150.1.2" not in shown
    one.host.reaches("10.150.1.2")  # the other, at the address we left
