"""What nodes offer each other, asked through the mesh: two Selvage nodes and a real EasyTier node.

    asker (Selvage) ---net--- office (Selvage, with or without TUN) ---net--- stock (EasyTier)
"""
import pytest

from easytier import EasyTierNode
from waiting import wait_until

SERVICES = {
    "proxy": {"enabled": True, "allow": ["any-member"], "advertise": True},
    "menu": {"enabled": True, "allow": ["stock"], "advertise": True},
    "echo": {"enabled": True, "allow": ["any-member"]},
    "discard": {"enabled": False, "allow": ["any-member"], "advertise": True},
}


@pytest.fixture
def mesh(world, mode, selvage_node):
    """(asker, office, stock), everybody knowing everybody."""
    asker, office, stock = world.host("asker"), world.host("office"), world.host("stock")
    world.segment("net", "10.201.1.0/24", asker, office, stock)
    office_node = selvage_node(office, "10.144.1.2", tun=mode == "tun", services=SERVICES,
                               listen=["tcp://0.0.0.0:11010", "udp://0.0.0.0:11010"])
    asker_node = selvage_node(asker, "10.144.1.1", tun=False, peers=[f"tcp://{office.address()}:11010"])
    stock_node = EasyTierNode(stock, "10.144.1.3", peers=[f"udp://{office.address()}:11010"])
    for node, others in ((asker_node, ("office", "stock")), (office_node, ("asker", "stock")),
                         (stock_node, ("office", "asker"))):
        for other in others:
            node.wait_for_route(other)
    return asker_node, office_node, stock_node


def told(asker, *words):
    return {node["hostname"]: (node["state"], [(offer["service"], offer["port"], offer["protocol"])
                                               for offer in node["offers"]])
            for node in asker.cli("services", *words)}


def test_a_member_sees_what_it_may_use_of_what_is_advertised(mesh):
    asker, office, _ = mesh
    for target in ("office", office.ip):
        assert told(asker, "--of", target) == {"office": ("told", [("proxy", 1080, "tcp")])}
    table = asker.run_cli("services", "--of", "office").stdout
    assert f"{office.ip}:1080" in table and "menu" not in table and "echo" not in table


def test_a_stock_node_does_not_say_and_is_none_the_worse_for_it(mesh):
    asker, office, stock = mesh
    everybody = {"office": ("told", [("proxy", 1080, "tcp")]), "stock": ("does not say", [])}
    # Its first answer may be on its way while the mesh still settles.
    wait_until(lambda: told(asker, "--all") == everybody, 20, "both have answered")
    assert told(asker, "--of", "stock") == {"stock": ("does not say", [])}
    assert told(office, "--of", "asker") == {"asker": ("told", [])}
    assert "does not say" in asker.run_cli("services", "--of", "stock").stdout
    assert stock.host.pings(office.ip) or stock.host.reaches(office.ip)
    assert "office" in str(stock.routes())


def test_whoever_is_no_member_cannot_be_asked(mesh):
    asker, _, _ = mesh
    done = asker.run_cli("services", "--of", "nobody", check=False)
    assert done.returncode == 1 and "no member is called nobody" in done.stderr
    assert asker.run_cli("services", "--of", "office", "--all", check=False).returncode == 2
