"""Two Selvage nodes without any privilege: the mesh reached through listen_host and the command line.

    near (nobody) ---net--- far (nobody) ---beyond--- server
"""
import pytest

from selvage import PASSWORD_HASH
from tools import web_server


@pytest.fixture
def pair(world, underlay, selvage_node):
    near, far, server = world.host("near"), world.host("far"), world.host("server")
    world.segment("net", "10.201.1.0/24", near, far)
    world.segment("beyond", "10.202.1.0/24", far, server)
    web_server(server, server.address("beyond"))
    far_node = selvage_node(
        far, "10.144.1.2", tun=False, listen=[f"{underlay}://0.0.0.0:11010"],
        services={"proxy": {"enabled": True, "allow": ["near"]},
                  "echo": {"enabled": True, "allow": ["near"]},
                  "shell": {"enabled": True, "allow": ["near"], "users": {"ops": PASSWORD_HASH},
                            "account": "nobody", "shell": "/bin/bash"}})
    near_node = selvage_node(
        near, "10.144.1.1", tun=False, peers=[f"{underlay}://{far.address()}:11010"],
        services={"proxy": {"enabled": True, "allow": ["any-member"], "listen_host": "127.0.0.1:1080"}})
    near_node.wait_for_route("far")
    far_node.wait_for_route("near")
    return near_node, far_node, server.address("beyond")


def test_a_program_of_the_host_reaches_the_mesh_through_listen_host(pair):
    near, far, _ = pair
    done = near.host.run("curl", "-sS", "--max-time", "3", "--socks5", "127.0.0.1:1080",
                         f"telnet://{far.ip}:23", check=False)
    assert "login:" in done.stdout.lower(), done.stderr


def test_connect_carries_all_that_it_is_given_and_all_that_comes_back(pair):
    near, far, _ = pair
    text = "".join(f"line {number}\n" for number in range(50_000))
    assert near.run_cli("connect", f"{far.ip}:7", stdin=text, timeout=20).stdout == text


def test_connect_shows_what_a_service_said_before_it_gave_up(pair):
    near, far, _ = pair
    # The input ends inside a SOCKS greeting. The proxy has chosen its method by then, and ends.
    done = near.run_cli("connect", f"{far.ip}:1080", stdin="\x05\x01\x00", timeout=20, check=False)
    assert done.stdout.encode("latin-1") == b"\x05\x00", (done.stdout, done.stderr)


def test_tables_are_for_people_and_json_is_for_programs(pair):
    near, far, _ = pair
    for words in (["status"], ["peers"], ["routes"], ["services"], ["sessions"]):
        assert near.run_cli(*words).stdout.strip()
        near.cli(*words)
    assert "far" in near.run_cli("routes").stdout
    assert near.cli("status")["ipv4"].startswith(near.ip)
    assert near.run_cli("ping", far.hostname).stdout
