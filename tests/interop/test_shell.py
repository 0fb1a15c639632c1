"""The shell as it is handed out: tokens, and what `selvage shell` makes of it.

    caller (EasyTier, TUN) ---net--- selvage (TUN as root, or none as nobody)
"""
import os

import pytest

from easytier import EasyTierNode
from selvage import PASSWORD, PASSWORD_HASH
from telnet import Telnet
from waiting import wait_until

# Namespaces share their processes, so other runs of these tests need other markers.
MARKER = f"97{os.getpid()}"


def shell_service(**keys):
    return {"enabled": True, "allow": ["any-member"], "users": {"ops": PASSWORD_HASH},
            "account": "nobody", "shell": "/bin/bash", **keys}


@pytest.fixture
def host_pair(world):
    caller, middle = world.host("caller"), world.host("selvage")
    world.segment("net", "10.201.1.0/24", caller, middle)
    return caller, middle


def start(host_pair, mode, selvage_node, **keys):
    caller, middle = host_pair
    node = selvage_node(middle, "10.144.1.2", tun=mode == "tun", listen=["udp://0.0.0.0:11010"],
                        services={"shell": shell_service(**keys)})
    easytier = EasyTierNode(caller, "10.144.1.1", peers=[f"udp://{middle.address()}:11010"])
    easytier.wait_for_route("selvage")
    node.wait_for_route("caller")
    return easytier, node


def marker_runs(host, marker):
    return host.run("pgrep", "-f", marker, check=False).stdout.split()


def test_a_token_opens_one_session(host_pair, mode, selvage_node):
    easytier, node = start(host_pair, mode, selvage_node)
    token = node.run_cli("token", "shell", "--ttl", "5m").stdout.strip()
    with Telnet(easytier.host, node.ip) as telnet:
        telnet.log_in("visitor", token)
        telnet.expect(r"[$#] ")
    with Telnet(easytier.host, node.ip) as telnet:
        telnet.log_in("visitor", token)
        telnet.expect(r"(?i)incorrect", timeout=15)
        telnet.log_in("ops", PASSWORD)
        telnet.expect(r"[$#] ")
    refused = node.run_cli("token", "echo", check=False)
    assert refused.returncode == 1 and "no service echo is enabled" in refused.stderr


def test_top_runs_is_resized_and_left(host_pair, mode, selvage_node):
    easytier, node = start(host_pair, mode, selvage_node)
    with Telnet(easytier.host, node.ip, rows=30, columns=100) as telnet:
        telnet.log_in("ops", PASSWORD)
        telnet.expect(r"[$#] ")
        telnet.command(f"(exec -a top{MARKER} top)")
        telnet.expect(r"load average")
        wait_until(lambda: marker_runs(node.host, f"top{MARKER}"), 5, "top runs")
        telnet.resize(45, 120)
        telnet.expect(r"load average")  # top draws anew
        telnet.send("q")
        telnet.expect(r"[$#] ")
        assert not marker_runs(node.host, f"top{MARKER}")
        telnet.command("stty size")
        telnet.expect(r"45 120\r")

        telnet.command(f"(exec -a top{MARKER} top -d 100)")
        wait_until(lambda: marker_runs(node.host, f"top{MARKER}"), 5, "top runs again")
        telnet.send("\x03")
        telnet.expect(r"[$#] ")
        assert not marker_runs(node.host, f"top{MARKER}")

        telnet.command(f"(exec -a top{MARKER} top)")
        wait_until(lambda: marker_runs(node.host, f"top{MARKER}"), 5, "top runs once more")
    wait_until(lambda: not marker_runs(node.host, f"top{MARKER}"), 10, "no process is left")
    wait_until(lambda: not node.sessions(), 10, "the session is gone")
