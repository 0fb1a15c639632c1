"""Seeing what passes a node and what does not: drops, captures."""
import shutil
import signal
import struct

import pytest

from easytier import EasyTierNode
from waiting import wait_until

CALLER, NODE = "10.144.1.1", "10.144.1.2"
CLOSED = {"acl_v1": {"chains": [
    {"name": "in", "chain_type": "Inbound", "enabled": True, "default_action": "Allow", "rules": [
        {"name": "no 99", "priority": 1, "enabled": True, "protocol": "TCP", "ports": ["99"], "action": "Drop"}]},
]}}


@pytest.fixture
def pair(world, selvage_node):
    """An EasyTier caller and a Selvage node with a TUN device, joined."""
    caller, host = world.host("caller"), world.host("selvage")
    world.segment("net", "10.201.1.0/24", caller, host)
    node = selvage_node(host, NODE, tun=True, listen=["udp://0.0.0.0:11010"], acl=CLOSED)
    easytier = EasyTierNode(caller, CALLER, peers=[f"udp://{host.address()}:11010"])
    easytier.wait_for_route("selvage")
    node.wait_for_route("caller")
    return easytier, node


def samples(node, reason):
    [row] = node.cli("drops", reason)
    assert row["packets"] >= len(row["last"])
    return row["last"]


def test_drops_are_told_with_the_last_packets_of_each_reason(pair):
    easytier, node = pair
    assert not node.host.pings("10.144.1.77")
    last = samples(node, "no_route")[-1]
    assert (last["neighbour"], last["source"], last["destination"], last["protocol"]) == (0, NODE, "10.144.1.77", 1)

    def denied():
        easytier.host.run("curl", "-s", "--connect-timeout", "1", f"http://{NODE}:99/", check=False)
        return samples(node, "acl_denied")

    refused = wait_until(denied, 20, "a denied packet is in the list")[-1]
    peer = node.route_to("caller")["peer_id"]
    assert refused["neighbour"] == refused["from_peer"] == peer
    assert refused["source"].startswith(f"{CALLER}:") and refused["destination"] == f"{NODE}:99"
    text = node.run_cli("drops").stdout
    assert "acl_denied: " in text and f"-> {NODE}:99 protocol 6" in text
    assert [row["reason"] for row in node.cli("drops", "bad_seal")] == ["bad_seal"]
    assert "bad_seal" not in text


def captured(path):
    """(direction, comment, IP packet) of every packet block, and the number lost, of a pcapng file."""
    data, packets, lost, at = path.read_bytes(), [], None, 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        body = data[at + 8:at + length - 4]
        assert data[at + length - 4:at + length] == struct.pack("<I", length)
        if kind == 6:
            size, whole = struct.unpack_from("<II", body, 12)
            assert size == whole
            options = read_options(body[20 + (size + 3) // 4 * 4:])
            direction = {1: "in", 2: "out"}[struct.unpack("<I", options[2])[0]]
            packets.append((direction, options[1].decode(), body[20:20 + size]))
        elif kind == 5:
            lost = struct.unpack("<Q", read_options(body[12:])[5])[0]
        at += length
    return packets, lost


def read_options(data):
    options, at = {}, 0
    while True:
        code, size = struct.unpack_from("<HH", data, at)
        if code == 0:
            return options
        options[code] = data[at + 4:at + 4 + size]
        at += 4 + (size + 3) // 4 * 4


def start_capture(node, *words):
    """`selvage capture` under way; its file."""
    file = node.directory / f"{len(node.host.world.processes)}.pcapng"
    socket = node.directory / "selvage" / f"{node.name}.sock"
    process = node.host.spawn("capture", node.binaries / "selvage", "--socket", socket, "capture", file, *words,
                              as_nobody=not node.tun, env=node.environment)
    wait_until(lambda: "capturing" in process.text(), 10, "the capture has begun")
    return process, file


def test_a_capture_shows_the_ping_and_its_answer(pair):
    easytier, node = pair
    easytier.host.reaches(NODE)
    peer = node.route_to("caller")["peer_id"]
    process, file = start_capture(node, "--peer", "caller", "--flow", f"icmp,{CALLER}", "--count", "2")
    assert easytier.host.pings(NODE)
    assert process.popen.wait(10) == 0
    assert "2 packets, 0 lost" in process.text()
    (request, reply), lost = captured(file)
    assert lost == 0
    assert request[:2] == ("in", f"from peer {peer}") and reply[:2] == ("out", f"to peer {peer}")
    assert request[2][20] == 8 and reply[2][20] == 0, "echo request and echo reply"
    assert request[2][12:20] == bytes(map(int, f"{CALLER}.{NODE}".split(".")))
    assert request[2][28:] == reply[2][28:], "the same content comes back"
    assert file.stat().st_mode & 0o077 == 0
    if shutil.which("tcpdump"):
        text = node.host.run("tcpdump", "-n", "-r", file).stdout
        assert "ICMP echo request" in text and "ICMP echo reply" in text


def test_a_capture_ends_whole_when_it_is_interrupted(pair):
    easytier, node = pair
    process, file = start_capture(node, "--flow", "tcp,:98")
    easytier.host.run("curl", "-s", "--connect-timeout", "1", f"http://{NODE}:98/", check=False)
    wait_until(lambda: captured(file)[0], 10, "the SYN is in the file")
    assert easytier.host.pings(NODE), "and this is not"
    process.popen.send_signal(signal.SIGINT)
    assert process.popen.wait(10) == 0
    packets, lost = captured(file)
    assert lost == 0 and {packet[9] for _, _, packet in packets} == {6}
    assert "no member" in node.run_cli("capture", "-", "--peer", "nobody", check=False).stderr
