"""The shell as it is handed out: tokens, recordings, full-screen programs, and `selvage shell`.

    caller (EasyTier, TUN) ---net--- selvage (TUN as root, or none as nobody)
"""
import json
import os

import pytest

from easytier import EasyTierNode
from selvage import PASSWORD, PASSWORD_HASH
from telnet import Telnet
from tools import web_server
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
    token = node.run_cli("token").stdout.strip()
    waiting, = node.cli("token", "list")
    assert waiting["service"] == "shell" and 0 < waiting["seconds_left"] <= 600
    node.run_cli("token", "revoke", waiting["number"])
    assert node.cli("token", "list") == []
    with Telnet(easytier.host, node.ip) as telnet:
        telnet.log_in("visitor", token)
        telnet.expect(r"(?i)incorrect", timeout=15)
    again = node.run_cli("token", "revoke", waiting["number"], check=False)
    assert again.returncode == 1 and "no token" in again.stderr
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
        wait_until(lambda: not marker_runs(node.host, f"top{MARKER}"), 5, "top is gone")
        telnet.command("stty size")
        telnet.expect(r"45 120\r")
        telnet.expect(r"[$#] ")

        telnet.command(f"(exec -a top{MARKER} top -d 100)")
        wait_until(lambda: marker_runs(node.host, f"top{MARKER}"), 5, "top runs again")
        telnet.send("\x03")
        telnet.expect(r"[$#] ")
        wait_until(lambda: not marker_runs(node.host, f"top{MARKER}"), 5, "top is gone")

        telnet.command(f"(exec -a top{MARKER} top)")
        wait_until(lambda: marker_runs(node.host, f"top{MARKER}"), 5, "top runs once more")
    wait_until(lambda: not marker_runs(node.host, f"top{MARKER}"), 10, "no process is left")
    wait_until(lambda: not node.sessions(), 10, "the session is gone")


@pytest.mark.parametrize("account", ["root", ""])
def test_nobody_becomes_root_without_allow_root(host_pair, selvage_node, account):
    easytier, node = start(host_pair, "tun", selvage_node, account=account)
    with Telnet(easytier.host, node.ip) as telnet:
        telnet.log_in("ops", PASSWORD)
        telnet.expect(r"No shell here; the node's log says why\.\r")
        telnet.expect_end()
    assert "allow_root is not set" in node.process.text()


def test_a_recorded_session_can_be_read_again_and_tells_no_password(host_pair, mode, selvage_node):
    folder = host_pair[1].world.directory / "selvage-run" / "casts"
    easytier, node = start(host_pair, mode, selvage_node, record=str(folder))
    with Telnet(easytier.host, node.ip, rows=30, columns=100) as telnet:
        telnet.log_in("ops", PASSWORD)
        telnet.expect(r"This session is recorded\.\r")
        telnet.expect(r"[$#] ")
        telnet.command("echo seen-$((40 + 2))")
        telnet.expect(r"seen-42\r")
        telnet.command("stty -echo; echo go-$((0 + 1)); read word; stty echo; echo read-${#word}")
        telnet.expect(r"go-1\r")
        telnet.send("unseen-words\r")
        telnet.expect(r"read-12\r")
        telnet.resize(41, 132)
        telnet.command("until stty size | grep -q '41 132'; do :; done; echo si''zed")
        telnet.expect(r"sized\r")
        telnet.command("exit")
        telnet.expect_end()
    wait_until(lambda: not node.sessions(), 10, "the session is gone")
    file, = wait_until(lambda: list(folder.glob("*.cast")), 5, "the recording is there")
    assert file.stat().st_mode & 0o777 == 0o600 and "-caller" in file.name

    def whole():
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        return lines if "logout" in "".join(line[2] for line in lines[1:]) else None

    header, *events = wait_until(whole, 5, "the last words are on disk")
    assert (header["version"], header["width"], header["height"]) == (2, 100, 30)
    shown = "".join(event[2] for event in events if event[1] == "o")
    assert "seen-42" in shown and "unseen-words" not in shown and PASSWORD not in shown
    assert [0, "r", "132x41"][1:] in [event[1:] for event in events]
    assert all(now[0] <= later[0] for now, later in zip(events, events[1:]))


@pytest.fixture
def nodes(world, mode, selvage_node):
    """(near, far, the address of a web server beyond far): two Selvage nodes, near without privilege."""
    near, far, server = world.host("near"), world.host("far"), world.host("server")
    world.segment("net", "10.201.1.0/24", near, far)
    world.segment("beyond", "10.202.1.0/24", far, server)
    web_server(server, server.address("beyond"))
    far_node = selvage_node(far, "10.144.1.2", tun=mode == "tun", listen=["udp://0.0.0.0:11010"],
                            services={"shell": shell_service(),
                                      "proxy": {"enabled": True, "allow": ["near"],
                                                "listen_host": "127.0.0.1:1080"},
                                      "menu": {"enabled": True, "allow": ["near"]}})
    near_node = selvage_node(near, "10.144.1.1", tun=False, peers=[f"udp://{far.address()}:11010"])
    near_node.wait_for_route("far")
    far_node.wait_for_route("near")
    return near_node, far_node, server.address("beyond")


def shell_of(near, target):
    return Telnet(near.host, target, words=near.cli_words("shell", target), as_nobody=True,
                  env=near.environment)


def test_selvage_shell_logs_in_resizes_and_ends_with_its_escape(nodes):
    near, far, _ = nodes
    with shell_of(near, "far") as shell:
        shell.log_in("ops", PASSWORD)
        shell.expect(r"[$#] ")
        shell.command("stty size")
        shell.expect(r"24 80\r")
        shell.resize(41, 132)
        shell.command("until stty size | grep -q '41 132'; do :; done; echo si''zed")
        shell.expect(r"sized\r")
        shell.command(f"sleep {MARKER}3")
        wait_until(lambda: marker_runs(far.host, f"{MARKER}3"), 5, "the command runs")
        shell.send("\x03")
        shell.expect(r"[$#] ")
        shell.send("\x1d")
        shell.expect_end()
    wait_until(lambda: not far.sessions(), 10, "the session is gone")
    with shell_of(near, f"{far.ip}:2323") as menu:
        menu.expect(r"selvage> $")
        menu.send("ping near\r")
        menu.expect(r"near \(peer \d+\)")
        menu.send("\x04")
        menu.expect_end()


def test_selvage_proxy_runs_a_command_with_the_variables_set(nodes):
    _, far, server = nodes
    page = f"http://{server}:8000/page"
    assert far.run_cli("proxy", "--", "curl", "-sS", "--max-time", "20", page).stdout == "a page beyond the mesh\n"
    assert int(far.service("proxy")["accepted"]) == 1
    printed = far.run_cli("proxy").stdout
    assert "export http_proxy='http://127.0.0.1:1080'\n" in printed
    assert "export ALL_PROXY='socks5h://127.0.0.1:1080'\n" in printed
    failed = far.run_cli("proxy", "--", "sh", "-c", "exit 7", check=False)
    assert failed.returncode == 7
