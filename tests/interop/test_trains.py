"""Offloads of the kernel: what passes in trains arrives as it was sent, and so it does without them."""
import pytest

from easytier import EasyTierNode
from tools import iperf, web_server
from web_server import body_hash

DOWNLOAD_BYTES = 20_000_000


@pytest.fixture(params=["offloads", "without", "segments-only"])
def offloads(request, monkeypatch):
    """Which of them the Selvage nodes may use."""
    off = {"offloads": "", "without": "all", "segments-only": "tun,udp-join,cipher"}[request.param]
    monkeypatch.setenv("SELVAGE_OFFLOADS_OFF", off)
    return request.param


def downloads_whole(from_node, to_host):
    """Whether twenty megabytes arrive as they were sent."""
    url = f"http://{from_node.ip}:8000/bytes/{DOWNLOAD_BYTES}"
    got = to_host.run("sh", "-c", f"curl -sS --max-time 60 {url} | sha256sum", timeout=90)
    return got.stdout.split()[0] == body_hash(DOWNLOAD_BYTES)


def test_two_nodes(world, underlay, selvage_node, offloads):
    near, far = world.host("near"), world.host("far")
    world.segment("net", "10.201.1.0/24", near, far)
    server = selvage_node(far, "10.144.1.2", tun=True, listen=[f"{underlay}://0.0.0.0:11010"])
    client = selvage_node(near, "10.144.1.1", tun=True, peers=[f"{underlay}://{far.address()}:11010"])
    client.wait_for_route("far")
    server.wait_for_route("near")
    web_server(far, server.ip)
    assert downloads_whole(server, near)
    assert iperf(far, near, server.ip, udp=True, rate="20M", seconds=1) > 0
    sent, received = server.counters(), client.counters()
    in_trains = offloads == "offloads"
    assert (sent["tun.rx_trains"] > 0) == in_trains
    assert (received["tun.tx_trains"] > 0) == in_trains
    assert sent["tun.tx_refused_trains"] == received["tun.tx_refused_trains"] == 0


def test_with_easytier_at_the_other_end(world, underlay, selvage_node, offloads):
    near, far = world.host("near"), world.host("far")
    world.segment("net", "10.201.1.0/24", near, far)
    easytier = EasyTierNode(far, "10.144.1.2", listen=[f"{underlay}://0.0.0.0:11010"])
    node = selvage_node(near, "10.144.1.1", tun=True, peers=[f"{underlay}://{far.address()}:11010"])
    node.wait_for_route("far")
    easytier.wait_for_route("near")
    for server, host in ((easytier, near), (node, far)):
        web_server(server.host, server.ip)
        assert downloads_whole(server, host)
    assert (node.counters()["tun.rx_trains"] > 0) == (offloads == "offloads")
