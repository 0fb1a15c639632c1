"""One [acl] on an EasyTier node and on a Selvage node: the same packets pass and the same are dropped."""
import json
import sys
from pathlib import Path

import pytest

from easytier import EasyTierNode

PROBER = Path(__file__).with_name("acl_prober.py")
CALLER, RECEIVER = "10.144.1.1", "10.144.1.2"


def rule(name, priority, action="Allow", **more):
    return {"name": name, "priority": priority, "enabled": True, "action": action, **more}


# By priority, not by place; lists of every kind; rules that are off or for others.
INBOUND = [
    rule("web", 100, protocol="TCP", ports=["80", "8000-8100"], stateful=True),
    rule("not 8050", 200, "Drop", protocol="TCP", ports=["8050"]),
    rule("dns", 90, protocol="UDP", ports=["53"], source_ips=[f"{CALLER}/32"]),
    rule("of another", 80, protocol="UDP", ports=["54"], source_ips=["10.144.1.99/32"]),
    rule("to us", 70, protocol="TCP", ports=["90"], destination_ips=["10.144.1.0/30"]),
    rule("to another", 70, protocol="TCP", ports=["91"], destination_ips=["10.144.1.77"]),
    rule("from port", 60, protocol="TCP", ports=["92"], source_ports=["7000-7001"]),
    {**rule("off", 300, protocol="TCP", ports=["93"]), "enabled": False},
    rule("operators", 50, protocol="TCP", ports=["94"], source_groups=["ops"]),
    rule("developers", 50, protocol="TCP", ports=["95"], source_groups=["dev"]),
    rule("look", 40, "Noop", protocol="TCP", ports=["96"]),
    rule("by number", 30, 1, protocol=2, ports=["97"], source_ips=[f"{CALLER}/32"], destination_ips=["10.144.1.2"]),
]
OUTBOUND = [rule("no 99", 10, "Drop", protocol="TCP", ports=["99"])]
DECLARES = [{"group_name": "ops", "group_secret": "o-secret"}, {"group_name": "dev", "group_secret": "d-secret"}]

RULES = {"acl_v1": {
    "chains": [
        {"name": "in", "chain_type": "Inbound", "enabled": True, "default_action": "Drop", "rules": INBOUND},
        {"name": "out", "chain_type": 2, "enabled": True, "default_action": "Allow", "rules": OUTBOUND},
    ],
    "group": {"declares": DECLARES, "members": []},
}}
# The caller is in one of the groups and judges nothing.
MEMBERSHIP = {"acl_v1": {"chains": [], "group": {"declares": DECLARES[:1], "members": ["ops"]}}}

# What the caller sends, and whether it gets through.
CALLS = [
    ({"kind": "tcp", "port": 80}, True),
    ({"kind": "tcp", "port": 8100}, True),
    ({"kind": "tcp", "port": 8050}, False),
    ({"kind": "tcp", "port": 8101}, False),
    ({"kind": "udp", "port": 80}, False),
    ({"kind": "udp", "port": 53}, True),
    ({"kind": "udp", "port": 54}, False),
    ({"kind": "tcp", "port": 53}, False),
    ({"kind": "tcp", "port": 90}, True),
    ({"kind": "tcp", "port": 91}, False),
    ({"kind": "tcp", "port": 92, "source_port": 7001}, True),
    ({"kind": "tcp", "port": 92, "source_port": 7002}, False),
    ({"kind": "tcp", "port": 93}, False),
    ({"kind": "tcp", "port": 94}, True),
    ({"kind": "tcp", "port": 95}, False),
    ({"kind": "tcp", "port": 96}, True),
    ({"kind": "udp", "port": 97}, True),
]
# What the receiver itself sends: its answers come back although its Inbound chain drops the rest.
OWN_CALLS = [
    ({"kind": "tcp", "port": 98}, True),
    ({"kind": "udp", "port": 98}, True),
    ({"kind": "tcp", "port": 99}, False),
]


def probe(host, address, calls):
    """Sends the packets all at once: {packet: whether an answer came}."""
    probes = [{**call, "to": address} for call, _ in calls]
    answers = json.loads(host.run(sys.executable, "-B", PROBER, json.dumps(probes), timeout=60).stdout)
    return {json.dumps(call): answer for (call, _), answer in zip(calls, answers)}


def expected(calls):
    return {json.dumps(call): verdict for call, verdict in calls}


@pytest.fixture(params=["easytier", "selvage"])
def receiver_kind(request):
    return request.param


@pytest.fixture
def pair(world, underlay, receiver_kind, selvage_node):
    """A caller and a receiver of the other kind: start(acl=..., tcp_whitelist=...) gives both."""
    def start(caller_keys=None, **receiver_keys):
        caller, receiver = world.host("caller"), world.host("receiver")
        world.segment("net", "10.201.1.0/24", caller, receiver)
        server = {"listen": [f"{underlay}://0.0.0.0:11010"], **receiver_keys}
        client = {"peers": [f"{underlay}://{receiver.address()}:11010"], **(caller_keys or {})}
        if receiver_kind == "easytier":
            to = EasyTierNode(receiver, RECEIVER, **server)
            call = selvage_node(caller, CALLER, tun=True, **client)
        else:
            to = selvage_node(receiver, RECEIVER, tun=True, **server)
            call = EasyTierNode(caller, CALLER, **client)
        to.wait_for_route("caller")
        call.wait_for_route("receiver")
        return call, to
    return start


def test_the_same_file_gives_the_same_verdicts(pair, receiver_kind):
    caller, receiver = pair({"acl": MEMBERSHIP}, acl=RULES)
    # First of all: once the receiver has sent any ICMP, such as "port unreachable", all ICMP of the
    # caller is an answer, in the reference and so with us.
    ping = [({"kind": "icmp"}, False)]
    assert probe(caller.host, RECEIVER, ping) == expected(ping)
    assert probe(caller.host, RECEIVER, CALLS) == expected(CALLS)
    assert probe(receiver.host, CALLER, OWN_CALLS) == expected(OWN_CALLS)
    if receiver_kind != "selvage":
        return
    # Each rule that matched has counted; the peer's proof was believed.
    listed = receiver.cli("acl")
    counted = {one["name"]: one["packets"] for chain in listed["chains"] for one in chain["rules"]}
    assert {name for name, packets in counted.items() if packets} == {
        "web", "not 8050", "dns", "to us", "from port", "operators", "look", "by number", "no 99"}
    assert [(member["hostname"], member["groups"]) for member in listed["members"]] == [("caller", ["ops"])]
    assert receiver.counters()["dropped.acl_denied"] > 0
    assert receiver.counters()["acl.inbound.answers"] >= 2


def test_whitelists_close_the_other_ports_of_their_protocol(pair):
    calls = [
        ({"kind": "tcp", "port": 80}, True),
        ({"kind": "tcp", "port": 8500}, True),
        ({"kind": "tcp", "port": 22}, False),
        ({"kind": "udp", "port": 53}, True),
        ({"kind": "udp", "port": 22}, False),
        ({"kind": "icmp"}, True),
    ]
    caller, _ = pair(tcp_whitelist=["80", "8000-9000"], udp_whitelist=["53"])
    assert probe(caller.host, RECEIVER, calls) == expected(calls)


def test_a_rate_limit_lets_the_burst_through_and_little_more(pair):
    limited = rule("calls", 1, protocol="TCP", rate_limit=1, burst_limit=3)
    caller, _ = pair(acl={"acl_v1": {"chains": [
        {"name": "in", "chain_type": "Inbound", "enabled": True, "default_action": "Drop", "rules": [limited]},
    ]}})
    # Each from a port of its own: what the receiver answers admits the rest of that flow. None waits
    # long enough to be sent again.
    calls = [({"kind": "tcp", "port": 80, "source_port": 7000 + i, "patience": 0.9}, None) for i in range(30)]
    passed = sum(probe(caller.host, RECEIVER, calls).values())
    assert 3 <= passed < 30


def test_check_says_offline_what_the_node_will_do(world, selvage_node):
    host = world.host("alone")
    node = selvage_node(host, RECEIVER, tun=True, acl=RULES)
    file = node.directory / "selvage.toml"
    for call, verdict in CALLS:
        words = ["--from", f"{CALLER}:{call.get('source_port', 40000)}", "--to", f"{RECEIVER}:{call['port']}",
                 "--protocol", call["kind"], "--from-group", "ops"]
        done = node.run_cli("--json", "acl", "check", file, *words, check=False)
        assert (json.loads(done.stdout)["verdict"] == "allowed") == verdict, (call, done.stdout)
        assert done.returncode == (0 if verdict else 1)
