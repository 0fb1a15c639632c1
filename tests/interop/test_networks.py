"""Networks behind an EasyTier node, and an EasyTier node as exit, for a Selvage node with TUN and without.

    selvage ---net--- gateway (EasyTier) ---beyond--- server
"""
import signal

import pytest

from easytier import EasyTierNode
from tools import web_server
from waiting import wait_until

SERVICES = {"proxy": {"enabled": True, "allow": ["any-member"], "listen_host": "127.0.0.1:1080"}}
PAGE = "a page beyond the mesh\n"


class Site:
    """The drawing above; the gateway announces 10.202.1.0/24 unless told otherwise."""

    def __init__(self, world, underlay, mode, selvage_node, gateway=None, **keys):
        self.world = world
        self.underlay = underlay
        self.gateway_host = world.host("gateway")
        host, server = world.host("selvage"), world.host("server")
        world.segment("net", "10.201.1.0/24", self.gateway_host, host)
        world.segment("beyond", "10.202.1.0/24", self.gateway_host, server)
        self.server = server.address("beyond")
        web_server(server, self.server)
        self.gateway = self.start_gateway(**(gateway or {"proxy_network": [{"cidr": "10.202.1.0/24"}]}))
        self.node = selvage_node(host, "10.144.1.2", tun=mode == "tun", services=SERVICES,
                                 peers=[f"{underlay}://{self.gateway_host.address()}:11010"], **keys)
        self.node.wait_for_route("gateway")

    def start_gateway(self, **keys):
        return EasyTierNode(self.gateway_host, "10.144.1.1", **keys,
                            listen=[f"{self.underlay}://0.0.0.0:11010"])

    def routes(self):
        """The kernel's routes that are ours."""
        lines = self.node.host.run("ip", "route", "show", "proto", "94").stdout.splitlines()
        return sorted(" ".join(line.split()) for line in lines)

    def wait_for_routes(self, *wanted):
        wait_until(lambda: self.routes() == sorted(wanted), 20, f"the kernel's routes are {wanted}")

    def fetch(self, *words):
        return self.node.host.run("curl", "-sS", "--max-time", "10", *words,
                                  f"http://{self.server}:8000/page", check=False).stdout


@pytest.fixture
def site(world, underlay, mode, selvage_node):
    return Site(world, underlay, mode, selvage_node)


def test_a_network_behind_easytier_is_reached(site):
    wait_until(lambda: site.node.route_to("gateway")["proxy_cidrs"] == ["10.202.1.0/24"], 20,
               "the network is announced")
    if site.node.tun:
        site.wait_for_routes("10.202.1.0/24 dev sv0 scope link metric 65535")
        assert site.fetch() == PAGE
        site.node.host.reaches(site.server, count=3)
    assert site.fetch("--socks5", "127.0.0.1:1080") == PAGE


def test_the_kernels_routes_come_and_go_with_the_networks(world, underlay, selvage_node):
    site = Site(world, underlay, "tun", selvage_node)
    ours = "10.202.1.0/24 dev sv0 scope link metric 65535"
    site.wait_for_routes(ours)
    site.gateway.kill()
    site.wait_for_routes()
    site.gateway = site.start_gateway(
        proxy_network=[{"cidr": "10.202.1.0/25"}, {"cidr": "192.168.77.0/24"}])
    site.wait_for_routes("10.202.1.0/25 dev sv0 scope link metric 65535",
                         "192.168.77.0/24 dev sv0 scope link metric 65535")
    wait_until(lambda: site.fetch() == PAGE, 10, "the server is reached again")
    # Killed, we leave nothing behind; started again, everything is back.
    site.node.process.popen.send_signal(signal.SIGKILL)
    site.node.process.popen.wait(10)
    wait_until(lambda: site.routes() == [], 10, "the kernel has none of our routes")
    site.node.start()
    site.wait_for_routes("10.202.1.0/25 dev sv0 scope link metric 65535",
                         "192.168.77.0/24 dev sv0 scope link metric 65535")
    # Over udp the gateway answers our former self, which has our address too, until its pings fail.
    wait_until(lambda: site.fetch() == PAGE, 60, "the server is reached after our restart")


def test_the_hosts_own_route_wins_and_manual_routes_replace_the_learnt(world, underlay, selvage_node):
    site = Site(world, underlay, "tun", selvage_node, routes=["10.202.1.0/30", "172.20.0.0/16"])
    site.wait_for_routes("10.202.1.0/30 dev sv0 scope link metric 65535",
                         "172.20.0.0/16 dev sv0 scope link metric 65535")
    assert site.fetch() == PAGE
    site.node.host.run("ip", "route", "add", "unreachable", "10.202.1.0/30", "metric", "10")
    assert site.fetch() == ""


def test_an_exit_node_carries_what_nobody_announces(world, underlay, selvage_node):
    site = Site(world, underlay, "tun", selvage_node, gateway={"flags": {"enable_exit_node": True}},
                routes=["10.202.0.0/16"], exit_nodes=["10.144.1.1"])
    site.wait_for_routes("10.202.0.0/16 dev sv0 scope link metric 65535")
    assert site.fetch() == PAGE
    assert site.node.counters()["dropped.bad_source"] == 0
