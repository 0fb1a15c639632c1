"""With a TUN device the host keeps its half of the virtual address: all but claimed ports and their flows."""
import os
from pathlib import Path

import pytest

from easytier import EasyTierNode
from selvage import PASSWORD_HASH
from toml_text import toml_text
from tools import iperf, listening, web_server
from waiting import wait_until

SERVICES = {
    "proxy": {"enabled": True, "allow": ["any-member"]},
    "shell": {"enabled": True, "allow": ["any-member"], "users": {"ops": PASSWORD_HASH},
              "account": "nobody", "shell": "/bin/bash"},
}


@pytest.fixture
def pair(world, underlay, selvage_node):
    caller, host = world.host("caller"), world.host("selvage")
    world.segment("net", "10.201.1.0/24", caller, host)
    easytier = EasyTierNode(caller, "10.144.1.1", listen=[f"{underlay}://0.0.0.0:11010"])
    node = selvage_node(host, "10.144.1.2", tun=True, services=SERVICES,
                        peers=[f"{underlay}://{caller.address()}:11010"],
                        listen=["tcp://0.0.0.0:11010", "udp://0.0.0.0:11010"])
    easytier.wait_for_route("selvage")
    node.wait_for_route("caller")
    return easytier, node


def test_a_server_of_the_host_sees_the_callers_own_address(pair):
    easytier, node = pair
    web_server(node.host, node.ip)
    seen = easytier.host.run("curl", "-sS", "--max-time", "10", f"http://{node.ip}:8000/peer").stdout
    assert seen == f"{easytier.ip}\n"


@pytest.mark.parametrize("port", [1080, 23], ids=["proxy", "shell"])
def test_the_host_connects_from_a_claimed_port_number(pair, port):
    easytier, node = pair
    web_server(easytier.host, easytier.ip)
    page = node.host.run("curl", "-sS", "--max-time", "10", "--interface", node.ip, "--local-port", port,
                         f"http://{easytier.ip}:8000/page").stdout
    assert page == "a page beyond the mesh\n"


def test_no_socket_of_ours_listens_but_the_underlay(pair):
    _, node = pair
    lines = node.host.run("ss", "-Hltnup").stdout.splitlines()
    ours = [line for line in lines if "selvaged" in line]
    assert ours, "ss shows the process of every socket"
    for line in ours:
        kind, _, _, _, local = line.split()[:5]
        port = int(local.rsplit(":", 1)[1])
        # A datagram socket that dials has a port of the ephemeral range.
        assert port == 11010 or (kind == "udp" and port >= 32768), line
    assert not [line for line in lines if "selvaged" not in line]


def test_iperf_runs_between_the_kernels(pair):
    easytier, node = pair
    for server, client, address in ((node.host, easytier.host, node.ip),
                                    (easytier.host, node.host, easytier.ip)):
        assert iperf(server, client, address) > 5e6
        assert iperf(server, client, address, udp=True, rate="10M") > 5e6


def test_packets_go_before_other_programs(pair):
    _, node = pair
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("with a single processor scheduling is ordinary")
    if node.host.run("chrt", "--rr", "1", "true", check=False).returncode != 0:
        pytest.skip("this system lets nobody go before others")
    pid = node.process.popen.pid
    threads = [int(thread.name) for thread in Path(f"/proc/{pid}/task").iterdir()]
    policies = {thread: os.sched_getscheduler(thread) for thread in threads}
    assert policies.pop(pid) == os.SCHED_RR | os.SCHED_RESET_ON_FORK
    assert set(policies.values()) == {os.SCHED_OTHER}, "what the others do can wait"


PAGE = "a page beyond the mesh\n"


def test_the_host_keeps_a_port_that_it_listens_on_already(world, selvage_node):
    caller, host = world.host("caller"), world.host("selvage")
    world.segment("net", "10.201.1.0/24", caller, host)
    easytier = EasyTierNode(caller, "10.144.1.1", listen=["udp://0.0.0.0:11010"])
    server = web_server(host, "0.0.0.0", 1080)
    services = {"proxy": {"enabled": True, "allow": ["any-member"]},
                "echo": {"enabled": True, "allow": ["any-member"]}}
    node = selvage_node(host, "10.144.1.2", tun=True, services=services,
                        peers=[f"udp://{caller.address()}:11010"])
    easytier.wait_for_route("selvage")
    node.wait_for_route("caller")

    def page():
        return caller.run("curl", "-sS", "--max-time", "10", f"http://{node.ip}:1080/page", check=False).stdout

    assert "a program of this host listens there" in node.service("proxy")["state"]
    assert node.service("echo")["state"] == "listening", "the others are served"
    assert "a program of this host listens there" in node.process.text()
    assert page() == PAGE
    # Told so, the node takes the port; programs of the host itself still reach their server.
    node.config["service"]["proxy"]["shadow_host"] = True
    (node.directory / "selvage.toml").write_text(toml_text(node.config))
    node.run_cli("reload")
    assert node.service("proxy")["state"] == "listening (hides a program of the host)"
    assert page() != PAGE
    assert host.run("curl", "-sS", "--max-time", "10", f"http://{node.ip}:1080/page").stdout == PAGE
    server.kill()
    wait_until(lambda: not listening(host, 1080), 5, "the host's server is gone")
    assert node.service("proxy")["state"] == "listening"


def test_a_server_of_the_host_that_comes_later_is_told_of(pair):
    _, node = pair
    web_server(node.host, node.ip, 1080)
    assert node.service("proxy")["state"] == "listening (hides a program of the host)"
