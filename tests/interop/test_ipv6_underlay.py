"""The mesh over IPv6: an EasyTier node and a Selvage node, each as the one that dials."""
import pytest

from easytier import EasyTierNode


@pytest.fixture
def hosts(world):
    """Two hosts with IPv6 addresses beside those of the segment."""
    pair = world.host("caller"), world.host("selvage")
    world.segment("net", "10.201.1.0/24", *pair)
    for number, host in enumerate(pair, 1):
        host.run("ip", "addr", "add", f"fd77::{number}/64", "dev", "eth0", "nodad")
    return pair


def expect_joined(easytier, node):
    easytier.wait_for_route("selvage")
    node.wait_for_route("caller")
    easytier.host.reaches(node.ip, count=3)
    tunnel = node.cli("peers")[0]["conns"][0]
    assert "[fd77::" in tunnel["remote"] + tunnel["local"]


def test_selvage_dials(hosts, underlay, selvage_node):
    # The [::] twin of the wildcard listener takes the call, as enable_ipv6 promises.
    easytier = EasyTierNode(hosts[0], "10.144.1.1", listen=[f"{underlay}://0.0.0.0:11010"],
                            flags={"enable_ipv6": True})
    node = selvage_node(hosts[1], "10.144.1.2", tun=True, peers=[f"{underlay}://[fd77::1]:11010"])
    expect_joined(easytier, node)


def test_easytier_dials(hosts, underlay, selvage_node):
    node = selvage_node(hosts[1], "10.144.1.2", tun=True, listen=[f"{underlay}://0.0.0.0:11010/eth0"])
    easytier = EasyTierNode(hosts[0], "10.144.1.1", peers=[f"{underlay}://[fd77::2]:11010"],
                            flags={"enable_ipv6": True})
    expect_joined(easytier, node)


def test_a_name_with_both_families_is_dialled_over_the_one_that_works(hosts, underlay, selvage_node):
    easytier = EasyTierNode(hosts[0], "10.144.1.1", listen=[f"{underlay}://[::]:11010"],
                            flags={"enable_ipv6": True})
    hosts[1].knows_name("hub.test", "10.201.1.1")
    hosts[1].knows_name("hub.test", "fd77::1")
    node = selvage_node(hosts[1], "10.144.1.2", tun=True, peers=[f"{underlay}://hub.test:11010"])
    expect_joined(easytier, node)
