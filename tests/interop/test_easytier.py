"""Two real EasyTier nodes: proves the harness, so that a failure elsewhere is not its own."""
from easytier import EasyTierNode
from tools import iperf
from waiting import wait_until


def test_two_easytier_nodes_route_ping_and_carry_traffic(world, underlay):
    a, b = world.host("a"), world.host("b")
    world.segment("net", "10.201.1.0/24", a, b)
    first = EasyTierNode(a, "10.144.1.1", listen=[f"{underlay}://0.0.0.0:11010"])
    second = EasyTierNode(b, "10.144.1.2", peers=[f"{underlay}://{a.address()}:11010"])

    first.wait_for_route("b")
    second.wait_for_route("a")
    wait_until(lambda: a.pings(second.ip), 10, "ping a -> b")
    wait_until(lambda: b.pings(first.ip), 10, "ping b -> a")
    assert iperf(b, a, second.ip) > 1e6
    assert iperf(b, a, second.ip, udp=True) > 1e6
