"""Operating a running node: reload, connectors, log levels, the service manager.

    caller (EasyTier, TUN) ---net--- selvage (none, as nobody) ---beyond--- server
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from easytier import EasyTierNode
from selvage import PASSWORD, PASSWORD_HASH, ROOT
from telnet import Telnet
from toml_text import toml_text
from tools import listening, web_server
from waiting import wait_until
from world import NOBODY

SLOW_BYTES = 64 * 1024 * 1024


def services():
    return {
        "proxy": {"enabled": True, "allow": ["caller"]},
        "shell": {"enabled": True, "allow": ["caller"], "users": {"ops": PASSWORD_HASH}, "shell": "/bin/sh"},
    }


class Operated:
    """The drawing above, joined and ready."""

    def __init__(self, world, selvage_node):
        caller, middle, server = world.host("caller"), world.host("selvage"), world.host("server")
        world.segment("net", "10.201.1.0/24", caller, middle)
        world.segment("beyond", "10.202.1.0/24", middle, server)
        self.server_host, self.server = server, server.address("beyond")
        self.node = selvage_node(middle, "10.144.1.2", tun=False, services=services(),
                                 listen=["tcp://0.0.0.0:11010"])
        self.caller = EasyTierNode(caller, "10.144.1.1", peers=[f"tcp://{middle.address()}:11010"])
        self.caller.wait_for_route("selvage")
        self.node.wait_for_route("caller")

    def write(self, text=None):
        file = self.node.directory / "selvage.toml"
        file.write_text(toml_text(self.node.config) if text is None else text)

    def reload(self, **options):
        return self.node.run_cli("--json", "reload", **options)


@pytest.fixture
def operated(world, selvage_node):
    return Operated(world, selvage_node)


def test_a_reload_keeps_a_running_transfer_and_a_telnet_session(operated):
    web_server(operated.server_host, operated.server)
    file = operated.caller.host.world.directory / "slow"
    curl = operated.caller.host.spawn(
        "curl", "curl", "-sS", "--max-time", "60", "--limit-rate", "16M", "--socks5",
        f"{operated.node.ip}:1080", "-o", file, f"http://{operated.server}:8000/bytes/{SLOW_BYTES}")
    wait_until(lambda: file.exists() and file.stat().st_size > 0, 20, "the transfer has begun")
    with Telnet(operated.caller.host, operated.node.ip) as telnet:
        telnet.log_in("ops", PASSWORD)
        telnet.expect(r"[$#] ")
        config = operated.node.config
        config["service"]["proxy"]["allow"] = ["any-member"]
        config["service"]["shell"]["max_sessions"] = 4
        config["hostname"] = "renamed"
        config["listeners"].append("udp://0.0.0.0:11010")
        config["flags"]["mtu"] = 1300
        operated.write()
        report = json.loads(operated.reload().stdout)
        assert report == {
            "applied": ["hostname", "listeners", "service.proxy.allow", "service.shell.max_sessions"],
            "needs_restart": ["flags.mtu"], "failures": [], "errors": []}
        telnet.command("echo still-$((40 + 2))")
        telnet.expect(r"still-42\r")
        operated.caller.wait_for_route("renamed")
        assert curl.popen.wait(60) == 0
        assert file.stat().st_size == SLOW_BYTES
    file.unlink()


def test_a_caller_who_may_no_longer_is_out_within_five_seconds(operated):
    with Telnet(operated.caller.host, operated.node.ip) as telnet:
        telnet.log_in("ops", PASSWORD)
        telnet.expect(r"[$#] ")
        operated.node.config["service"]["shell"]["allow"] = ["somebody-else"]
        operated.write()
        os.kill(selvaged_pid(operated.node), signal.SIGHUP)
        telnet.expect_end(5)
    wait_until(lambda: not operated.node.sessions(), 5, "the session is gone")


def selvaged_pid(node):
    """The daemon itself: `ip netns exec` and `setpriv` become it."""
    return node.process.popen.pid


def test_a_wrong_file_changes_nothing_and_is_told_by_line_and_key(operated):
    before = operated.node.cli("services")
    operated.node.config["hostname"] = "other"
    operated.node.config["service"]["echo"] = {"enabled": True, "port": 70000}
    operated.write()
    done = operated.reload(check=False)
    assert done.returncode == 1
    assert "selvage.toml:" in done.stderr and "service.echo.port" in done.stderr
    assert operated.node.cli("services") == before
    assert operated.node.cli("status")["hostname"] == "selvage"


def test_a_reload_that_is_cancelled_does_not_bar_the_next_one(operated):
    node = operated.node
    file = node.directory / "selvage.toml"
    text = file.read_text()
    file.unlink()
    os.mkfifo(file)
    file.chmod(0o644)
    socket_path = node.directory / "selvage" / f"{node.name}.sock"
    first = node.host.spawn("reload", node.binaries / "selvage", "--socket", socket_path, "reload",
                            as_nobody=True, env=node.environment)
    # The pipe opens when the node reads from it, and the node reads until we have written.
    pipe = wait_until(lambda: os.open(file, os.O_WRONLY | os.O_NONBLOCK), 10, "the file is being read")
    assert "another reload" in operated.reload(check=False).stderr
    first.kill()
    with open(pipe, "w", encoding="utf-8") as end:
        end.write(text)
    file.unlink()
    node.config["hostname"] = "after-all"
    operated.write()

    def applied():
        done = operated.reload(check=False)
        return done.returncode == 0 and node.cli("status")["hostname"] == "after-all"

    wait_until(applied, 10, "the next reload is applied")


ECHO = """
import socket, sys
server = socket.create_server((sys.argv[1], 7000))
while True:
    call, _ = server.accept()
    while data := call.recv(1000):
        call.send(data)
"""
TALK = """
import socket, sys
call = socket.create_connection((sys.argv[1], 7000), 20)
call.settimeout(60)
for number in range(1_000_000):
    line = sys.stdin.readline().strip()
    call.sendall(line.encode())
    print(call.recv(1000).decode(), flush=True)
"""


def acl_dropping(*ports):
    rules = [{"name": "closed", "priority": 2, "enabled": True, "protocol": "TCP", "ports": list(ports),
              "action": "Drop"}] if ports else []
    rules.append({"name": "echo", "priority": 1, "enabled": True, "protocol": "TCP", "ports": ["7000"],
                  "action": "Allow"})
    return {"acl_v1": {"chains": [{"name": "in", "chain_type": "Inbound", "enabled": True,
                                   "default_action": "Allow", "rules": rules}]}}


@pytest.fixture
def talking(world, selvage_node):
    """A live TCP connection from an EasyTier node to a program beside a Selvage node with a device."""
    caller, host = world.host("caller"), world.host("selvage")
    world.segment("net", "10.201.1.0/24", caller, host)
    node = selvage_node(host, "10.144.1.2", tun=True, listen=["tcp://0.0.0.0:11010"], acl=acl_dropping())
    easytier = EasyTierNode(caller, "10.144.1.1", peers=[f"tcp://{host.address()}:11010"])
    easytier.wait_for_route("selvage")
    node.wait_for_route("caller")
    host.spawn("echo", sys.executable, "-c", ECHO, node.ip)
    wait_until(lambda: listening(host, 7000), 10, "the echo program listens")
    easytier.host.reaches(node.ip)
    call = easytier.host.spawn("talk", sys.executable, "-c", TALK, node.ip, stdin=subprocess.PIPE)
    return node, call


def packets_of(node, name):
    return next((rule["packets"] for chain in node.cli("acl")["chains"] for rule in chain["rules"]
                 if rule["name"] == name), 0)


def test_new_rules_hold_for_a_live_connection_from_its_next_packet_on(talking):
    node, call = talking

    def say(word):
        call.popen.stdin.write(word.encode() + b"\n")
        call.popen.stdin.flush()

    say("before")
    wait_until(lambda: "before" in call.text(), 10, "the connection lives")
    before = packets_of(node, "echo")
    assert before > 0
    node.config["acl"] = acl_dropping("7000")
    write_config(node)
    assert json.loads(node.run_cli("--json", "reload").stdout)["applied"] == ["acl"]
    say("meanwhile")
    wait_until(lambda: packets_of(node, "closed") >= 2, 20, "what the caller repeats is dropped")
    assert "meanwhile" not in call.text()
    assert packets_of(node, "echo") >= before, "a rule that stays keeps its counts"
    # Nothing was reset: when the rule goes, TCP's own repetition brings the connection back.
    node.config["acl"] = acl_dropping("7001")
    write_config(node)
    node.run_cli("reload")
    wait_until(lambda: "meanwhile" in call.text(), 60, "the connection goes on")
    say("after")
    wait_until(lambda: "after" in call.text(), 10, "and stays")


def write_config(node):
    (node.directory / "selvage.toml").write_text(toml_text(node.config))


def test_a_connector_added_while_running_joins_a_real_node(world, selvage_node):
    a, b = world.host("caller"), world.host("selvage")
    world.segment("net", "10.201.1.0/24", a, b)
    easytier = EasyTierNode(a, "10.144.1.1", listen=["tcp://0.0.0.0:11010"])
    node = selvage_node(b, "10.144.1.2", tun=False)
    assert node.cli("connectors") == []
    url = f"tcp://{a.address()}:11010"
    node.run_cli("connectors", "add", url)
    easytier.wait_for_route("selvage")
    node.wait_for_route("caller")
    wait_until(lambda: node.cli("connectors") == [{"url": url, "state": "connected"}], 10, "it is listed")
    [conn] = node.cli("peers", "-v")
    assert conn["tunnel"] == "tcp" and conn["is_client"] and conn["cipher"] == "aes-gcm"
    assert conn["resolved_remote"] == url
    route = node.cli("routes", "--to", "10.144.1.1")
    assert route["verdict"] == "member" and route["least_hop"]["hops"] == 1
    assert node.run_cli("routes", "--to", "192.0.2.1", check=False).returncode == 1
    node.run_cli("connectors", "remove", url)
    assert node.cli("connectors") == []
    assert node.pings(easytier), "the connection that is there stays"
    assert "no connector" in node.run_cli("connectors", "remove", url, check=False).stderr


def test_log_levels_change_while_running(operated):
    node = operated.node
    assert node.cli("log-level") == {"level": "info", "names": {}}
    assert node.cli("log-level", "warn", "connect=debug") == {"level": "warn", "names": {"connect": "debug"}}
    node.run_cli("connectors", "add", "tcp://127.0.0.1:9")
    wait_until(lambda: "connect failed again" in node.process.text(), 20, "debug lines of one module")
    assert "connector added" in node.process.text()
    assert node.cli("log-level", "connect=default") == {"level": "warn", "names": {}}
    assert "LEVEL" not in node.run_cli("log-level", "loud", check=False).stdout


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_unit(world):
    template = (ROOT / "packaging/systemd/selvaged@.service.in").read_text()
    unit = world.directory / "selvaged@home.service"
    unit.write_text(template.replace("@BINDIR@/selvaged", "/bin/true").replace("@SYSCONF@", "/etc"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if "Command 'man " not in line and unit.name in line]
    assert complaints == []  # but that the manual page is not installed here
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=30", unit],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-500:]


def test_prometheus_is_scraped_by_curl(world, selvage_binaries):
    host = world.host("selvage")
    daemon = host.spawn("selvaged", selvage_binaries / "selvaged", "--no-tun", "--no-listener", "-m", "scraped",
                        "--network-name", "meadow", "--metrics-listen", "9100", as_nobody=True,
                        env={"XDG_RUNTIME_DIR": str(nobodys_folder(world))})
    wait_until(lambda: listening(host, 9100), 15, "the metrics have their port")
    page = host.run("curl", "-sS", "--max-time", "10", "http://127.0.0.1:9100/metrics").stdout
    assert "# TYPE selvage_traffic_rx_bytes_total counter" in page
    assert 'selvage_traffic_rx_bytes_total{instance="scraped"} 0' in page
    assert "selvage_loop_longest_turn_seconds" in page
    assert daemon.terminate() == 0
    file = world.directory / "metrics.toml"
    file.write_text('instance_name = "by-file"\nflags.no_tun = true\nmetrics.listen = "9101"\n')
    by_file = host.spawn("selvaged", selvage_binaries / "selvaged", "-c", file, as_nobody=True,
                         env={"XDG_RUNTIME_DIR": str(world.directory / "nobody")})
    wait_until(lambda: listening(host, 9101), 15, "the metrics of the file have their port")
    page = host.run("curl", "-sS", "--max-time", "10", "http://127.0.0.1:9101/metrics").stdout
    assert 'selvage_traffic_rx_bytes_total{instance="by-file"} 0' in page
    assert by_file.terminate() == 0
    wide = host.run(selvage_binaries / "selvaged", "--metrics-listen", "0.0.0.0:9100", check=False)
    assert wide.returncode == 2 and "--metrics-for-all" in wide.stderr


def nobodys_folder(world):
    folder = world.directory / "nobody"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    return folder


def test_the_service_manager_hears_of_every_step(world, selvage_node, monkeypatch):
    host = world.host("selvage")
    path = world.directory / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        path.chmod(0o777)
        manager.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.setenv("WATCHDOG_USEC", "500000")
        node = selvage_node(host, "10.144.1.2", tun=False)

        def expect(line):
            wait_until(lambda: line in manager.recv(4096).decode().split("\n"), 15, f"{line} is told")

        expect("READY=1")
        expect("WATCHDOG=1")
        expect("WATCHDOG=1")
        os.kill(selvaged_pid(node), signal.SIGHUP)
        expect("RELOADING=1")
        expect("READY=1")
        assert node.process.terminate() == 0
        expect("STOPPING=1")
        node.start()
