"""What must be refused: strangers, wrong secrets, garbage. Each is counted, and the node lives on."""
import json
import sys
from pathlib import Path

import pytest

from easytier import EasyTierNode
from selvage import PASSWORD, PASSWORD_HASH
from telnet import Telnet
from tools import web_server
from waiting import wait_until

STRANGER = Path(__file__).with_name("stranger.py")
REFUSED = Path(__file__).resolve().parents[1] / "vectors" / "link" / "refused.json"

SERVICES = {
    "proxy": {"enabled": True, "allow": ["10.144.1.99", "somebody-else"]},
    "shell": {"enabled": True, "allow": ["any-member"], "users": {"ops": PASSWORD_HASH},
              "account": "nobody", "shell": "/bin/bash"},
}


@pytest.fixture
def pair(world, mode, selvage_node):
    caller, host = world.host("caller"), world.host("selvage")
    world.segment("net", "10.201.1.0/24", caller, host)
    easytier = EasyTierNode(caller, "10.144.1.1", listen=["tcp://0.0.0.0:11010"])
    node = selvage_node(host, "10.144.1.2", tun=mode == "tun", services=SERVICES,
                        peers=[f"tcp://{caller.address()}:11010"])
    easytier.wait_for_route("selvage")
    node.wait_for_route("caller")
    return easytier, node


def test_a_caller_that_is_not_allowed_gets_nothing(pair):
    easytier, node = pair
    web_server(easytier.host, easytier.ip)
    done = easytier.host.run("curl", "-sS", "--max-time", "10", "--socks5", f"{node.ip}:1080",
                             f"http://{easytier.ip}:8000/page", check=False)
    assert done.returncode != 0 and not done.stdout
    wait_until(lambda: int(node.service("proxy")["refused"]) >= 1, 5, "the refusal is counted")
    assert int(node.service("proxy").get("accepted", 0)) == 0
    assert "caller" in node.process.text() and "not allowed" in node.process.text()


def test_destinations_on_the_host_itself_are_refused(world, selvage_node):
    """Loopback, link-local and metadata addresses, and the node's own, need a rule that names them."""
    caller, host = world.host("caller"), world.host("selvage")
    world.segment("net", "10.201.1.0/24", caller, host)
    easytier = EasyTierNode(caller, "10.144.1.1", listen=["tcp://0.0.0.0:11010"])
    node = selvage_node(host, "10.144.1.2", tun=True, peers=[f"tcp://{caller.address()}:11010"],
                        services={"proxy": {"enabled": True, "allow": ["any-member"]}})
    easytier.wait_for_route("selvage")
    node.wait_for_route("caller")
    web_server(host, "0.0.0.0")
    for destination in ("127.0.0.1", "127.1.2.3", "localhost", "0.0.0.0", "169.254.169.254"):
        done = caller.run("curl", "-sS", "--max-time", "10", "--socks5-hostname", f"{node.ip}:1080",
                          f"http://{destination}:8000/page", check=False)
        assert done.returncode == 97, f"{destination}: {done.stdout}{done.stderr}"  # refused by the proxy


def test_a_wrong_password_opens_nothing(pair):
    easytier, node = pair
    with Telnet(easytier.host, node.ip) as telnet:
        for user, password in (("ops", "guess"), ("ops", "") , ("root", PASSWORD)):
            telnet.log_in(user, password)
            telnet.expect(r"(?i)incorrect|denied|wrong|failed", timeout=15)
    with Telnet(easytier.host, node.ip) as telnet:  # and the right one still does
        telnet.log_in("ops", PASSWORD)
        telnet.expect(r"[$#] ")


@pytest.mark.parametrize("selvage_dials", [True, False], ids=["selvage-dials", "selvage-listens"])
def test_a_wrong_network_secret_joins_nothing(world, underlay, selvage_node, selvage_dials):
    caller, host = world.host("caller"), world.host("selvage")
    world.segment("net", "10.201.1.0/24", caller, host)
    listen = [f"{underlay}://0.0.0.0:11010"]
    if selvage_dials:
        easytier = EasyTierNode(caller, "10.144.1.1", listen=listen)
        node = selvage_node(host, "10.144.1.2", tun=False, secret="mistaken",
                            peers=[f"{underlay}://{caller.address()}:11010"])
    else:
        node = selvage_node(host, "10.144.1.2", tun=False, secret="mistaken", listen=listen)
        easytier = EasyTierNode(caller, "10.144.1.1", peers=[f"{underlay}://{host.address()}:11010"])
    wait_until(lambda: "secret" in node.process.text(), 15, "the log names the secret")
    assert not easytier.route_to("selvage")
    assert not node.route_to("caller")
    assert refusals(node) >= 1


def refusals(node):
    """The sum of the counters of what the node refused or dropped."""
    words = ("refused", "dropped", "drop", "bad", "malformed", "mismatch", "rejected", "failed")
    return sum(value for name, value in node.counters().items() if any(word in name for word in words))


def expected_outcome(vector):
    if vector["expect"].startswith("ignore"):
        return "silence"
    return "up" if vector["expect"].startswith("drop") else "closed"


def test_garbage_is_refused_and_counted_and_the_node_lives_on(world, selvage_node):
    stranger, host, friend = world.host("stranger"), world.host("selvage"), world.host("friend")
    world.segment("net", "10.201.1.0/24", stranger, host, friend)
    node = selvage_node(host, "10.144.1.2", tun=False, network="n1", secret="s1",
                        listen=["tcp://0.0.0.0:11010", "udp://0.0.0.0:11010"])
    vectors = json.loads(REFUSED.read_text())["vectors"]
    before = refusals(node)
    done = stranger.run(sys.executable, "-B", STRANGER, host.address(), "11010", timeout=120,
                        stdin=json.dumps(vectors))
    outcomes = json.loads(done.stdout)
    wrong = [f"{vector['name']}: expected {expected_outcome(vector)}, got {outcome}"
             for vector, outcome in zip(vectors, outcomes, strict=True)
             if outcome != expected_outcome(vector)]
    assert not wrong, "\n".join(wrong)
    assert refusals(node) - before >= len(vectors) // 2
    EasyTierNode(friend, "10.144.1.3", network="n1", secret="s1",
                 peers=[f"tcp://{host.address()}:11010"]).wait_for_route("selvage")
