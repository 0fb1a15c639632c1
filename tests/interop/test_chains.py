"""Chains of three, whose ends meet only through the middle, and what happens when a node dies.

    left ---west--- middle ---east--- right
"""
import pytest

from easytier import EasyTierNode
from tools import iperf
from waiting import wait_until

# The slowest healing seen is that of an EasyTier neighbour that must first notice a dead connection.
HEAL_SECONDS = 60


class Chain:
    def __init__(self, world, underlay, make_end, make_middle):
        left, middle, right = world.host("left"), world.host("middle"), world.host("right")
        world.segment("west", "10.201.1.0/24", left, middle)
        world.segment("east", "10.201.2.0/24", middle, right)
        self.middle = make_middle(middle, "10.144.1.2", listen=[f"{underlay}://0.0.0.0:11010"])
        self.left = make_end(left, "10.144.1.1", peers=[f"{underlay}://{middle.address('west')}:11010"])
        self.right = make_end(right, "10.144.1.3", peers=[f"{underlay}://{middle.address('east')}:11010"])
        self.left.wait_for_route("right")
        self.right.wait_for_route("left")

    def ends_meet(self):
        return self.left.host.pings(self.right.ip) and self.right.host.pings(self.left.ip)


@pytest.fixture(params=["easytier-selvage-easytier", "easytier-rootless-easytier",
                        "selvage-easytier-selvage", "selvage-rootless-selvage"])
def chain(request, world, underlay, selvage_node):
    def make(kind):
        if kind == "easytier":
            return EasyTierNode
        return lambda host, ip, **options: selvage_node(host, ip, tun=kind == "selvage", **options)
    end, middle, _ = request.param.split("-")
    return Chain(world, underlay, make(end), make(middle))


def test_a_chain_carries_traffic_and_heals_after_any_death(chain):
    wait_until(chain.ends_meet, 20, "ping end to end")
    assert iperf(chain.right.host, chain.left.host, chain.right.ip, seconds=1) > 2e6
    assert iperf(chain.right.host, chain.left.host, chain.right.ip, udp=True, seconds=1, rate="5M") > 2e6
    for node in (chain.middle, chain.left, chain.right):
        node.kill()
        node.start()
        wait_until(chain.ends_meet, HEAL_SECONDS, f"the chain heals after {node.name} died", interval=0.2)
