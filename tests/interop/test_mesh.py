"""Selvage as one of several in a mesh: ciphers, compression, both route policies, five mixed nodes, duplicates."""
import re
import sys
from pathlib import Path

import pytest

from easytier import EasyTierNode
from test_chains import Chain
from tools import iperf, listening
from waiting import wait_until

SLOW_LINK = Path(__file__).with_name("slow_link.py")
SLOW_MS = 80
# A neighbour on udp that dies is noticed by lost pings only: up to 32 s until the next one, then 10 s.
NOTICE_SECONDS = 75


@pytest.fixture
def two_hosts(world):
    one, other = world.host("easytier"), world.host("selvage")
    world.segment("net", "10.201.1.0/24", one, other)
    return one, other


def join(hosts, underlay, selvage_node, easytier_flags, selvage_flags):
    easytier = EasyTierNode(hosts[0], "10.144.1.1", listen=[f"{underlay}://0.0.0.0:11010"], flags=easytier_flags)
    node = selvage_node(hosts[1], "10.144.1.2", tun=True, flags=selvage_flags,
                        peers=[f"{underlay}://{hosts[0].address()}:11010"])
    easytier.wait_for_route("selvage")
    node.wait_for_route("easytier")
    return easytier, node


@pytest.mark.parametrize("cipher", ["aes-gcm", "aes-256-gcm", "chacha20", "xor", "none"])
def test_every_cipher_carries_packets_both_ways(two_hosts, underlay, selvage_node, cipher):
    flags = {"enable_encryption": False} if cipher == "none" else {"encryption_algorithm": cipher}
    easytier, node = join(two_hosts, underlay, selvage_node, flags, flags)
    wait_until(lambda: easytier.host.pings(node.ip), 10, "ping to Selvage")
    wait_until(lambda: node.host.pings(easytier.ip), 10, "ping to EasyTier")
    assert iperf(node.host, easytier.host, node.ip, seconds=1) > 1e6
    assert node.counters()["dropped.bad_seal"] == 0


def test_another_cipher_is_counted_and_carries_nothing(two_hosts, underlay, selvage_node):
    easytier = EasyTierNode(two_hosts[0], "10.144.1.1", listen=[f"{underlay}://0.0.0.0:11010"],
                            flags={"encryption_algorithm": "chacha20"})
    node = selvage_node(two_hosts[1], "10.144.1.2", tun=True,
                        peers=[f"{underlay}://{two_hosts[0].address()}:11010"])
    wait_until(lambda: node.counters()["dropped.bad_seal"] > 0, 20, "packets that do not open are counted")
    assert not easytier.host.pings(node.ip)


def transferred(host):
    counters = Path("/sys/class/net/eth0/statistics")
    return [int(host.run("cat", counters / name).stdout) for name in ("tx_bytes", "rx_bytes")]


def test_zstd_compresses_what_either_sends(two_hosts, underlay, selvage_node):
    easytier, node = join(two_hosts, underlay, selvage_node, {"data_compress_algo": 2},
                          {"data_compress_algo": "Zstd"})
    wait_until(lambda: easytier.host.pings(node.ip), 10, "ping")
    before = transferred(node.host)
    count, size = 40, 1200
    done = easytier.host.run("ping", "-n", "-c", count, "-i", "0.05", "-s", size, "-p", "00", node.ip)
    assert f"{count} received" in done.stdout
    sent, received = (now - then for now, then in zip(transferred(node.host), before))
    # Uncompressed each direction carries more than count * size; whatever else is said meanwhile is small.
    assert sent < count * size / 2, "Selvage compresses"
    assert received < count * size / 2, "EasyTier compresses"
    assert node.counters()["dropped.bad_compression"] == 0


@pytest.mark.parametrize("kinds", ["easytier-selvage", "selvage-easytier"])
@pytest.mark.parametrize("latency_first", [False, True], ids=["least-hop", "latency-first"])
def test_chains_carry_traffic_under_both_policies(world, underlay, selvage_node, kinds, latency_first):
    flags = {"latency_first": latency_first}

    def make(kind):
        if kind == "easytier":
            return lambda host, ip, **options: EasyTierNode(host, ip, flags=flags, **options)
        return lambda host, ip, **options: selvage_node(host, ip, tun=True, flags=flags, **options)

    end, middle = kinds.split("-")
    chain = Chain(world, underlay, make(end), make(middle))
    wait_until(chain.ends_meet, 20, "ping end to end")
    assert iperf(chain.right.host, chain.left.host, chain.right.ip, seconds=1) > 1e6


def round_trip_ms(host, address):
    found = re.search(r"time=([\d.]+) ms", host.run("ping", "-n", "-c", "1", "-W", "2", address, check=False).stdout)
    return float(found.group(1)) if found else None


@pytest.fixture
def square(world, underlay, selvage_node):
    """a --slow-- d, and a --- b --- c --- d; a and c are Selvage's. The slow link is a forwarder of its own."""
    def build(latency_first):
        hosts = {name: world.host(name) for name in ("a", "b", "c", "d", "slow")}
        ends = (("a", "b"), ("b", "c"), ("c", "d"), ("a", "slow"), ("slow", "d"))
        for number, (left, right) in enumerate(ends, 1):
            world.segment(left + right, f"10.201.{number}.0/24", hosts[left], hosts[right])
        flags = {"latency_first": latency_first, "disable_p2p": True}
        listen = [f"{underlay}://0.0.0.0:11010"]
        hosts["slow"].spawn("slow-link", sys.executable, "-B", SLOW_LINK, 11010, hosts["d"].address("slowd"), 11010,
                            SLOW_MS)
        wait_until(lambda: listening(hosts["slow"], 11010), 5, "the slow link is up")

        def url(host, segment):
            return f"{underlay}://{hosts[host].address(segment)}:11010"

        d = EasyTierNode(hosts["d"], "10.144.1.4", listen=listen, flags=flags)
        c = selvage_node(hosts["c"], "10.144.1.3", tun=True, listen=listen, flags=flags, peers=[url("d", "cd")])
        b = EasyTierNode(hosts["b"], "10.144.1.2", listen=listen, flags=flags, peers=[url("c", "bc")])
        a = selvage_node(hosts["a"], "10.144.1.1", tun=True, listen=listen, flags=flags,
                         peers=[url("b", "ab"), url("slow", "aslow")])
        for node in (a, b, c, d):
            for other in (a, b, c, d):
                if node is not other:
                    node.wait_for_route(other.hostname, 40)
        return a, d
    return build


def test_latency_first_takes_the_long_way_round_a_slow_link(square):
    a, d = square(latency_first=True)
    # Two directions, each either direct (SLOW_MS) or through b and c: less than one slow passage is neither.
    for source, target in ((a, d), (d, a)):
        wait_until(lambda source=source, target=target: (round_trip_ms(source.host, target.ip) or 1e9) < SLOW_MS, 120,
                   f"{source.name} and {target.name} avoid the slow link", interval=1)


def test_least_hop_takes_the_slow_link(square):
    a, d = square(latency_first=False)
    for source, target in ((a, d), (d, a)):
        # Until the slow link is up, the way round it is the shortest.
        wait_until(lambda source=source, target=target: (round_trip_ms(source.host, target.ip) or 0) >= 2 * SLOW_MS,
                   30, f"{source.name} and {target.name} use the slow link both ways", interval=0.5)


def listed(node):
    """(host name, hops) of everybody that a node has in its table."""
    return {(route["hostname"], route["cost"]) for route in node.routes()}


def test_five_mixed_nodes_agree_whoever_dies_and_returns(world, underlay, selvage_node):
    """a(EasyTier) --- b(Selvage) --- c(EasyTier) --- d(Selvage); e(Selvage, rootless) --- b and d."""
    hosts = [world.host(name) for name in "abcde"]
    world.segment("net", "10.201.1.0/24", *hosts)
    dials = {"a": "", "b": "a", "c": "b", "d": "c", "e": "bd"}
    nodes = {}
    flags = {"disable_p2p": True}
    for number, host in enumerate(hosts, 1):
        options = {"listen": [f"{underlay}://0.0.0.0:11010"], "flags": flags,
                   "peers": [f"{underlay}://{world.hosts[name].address()}:11010" for name in dials[host.name]]}
        ip = f"10.144.1.{number}"
        nodes[host.name] = EasyTierNode(host, ip, **options) if host.name in "ac" else \
            selvage_node(host, ip, tun=host.name != "e", **options)

    links = {frozenset((name, other)) for name, others in dials.items() for other in others}

    def hops(alive):
        out = {}
        for start in alive:
            out[start], frontier, far = {start: 0}, {start}, 0
            while frontier:
                far += 1
                frontier = {b for a in frontier for b in alive if frozenset((a, b)) in links and b not in out[start]}
                out[start].update(dict.fromkeys(frontier, far))
        return out

    def agree(alive):
        expected = hops(alive)
        for name in alive:
            wanted = {(other, far) for other, far in expected[name].items() if other != name}
            if {entry for entry in listed(nodes[name]) if entry[0] in nodes} != wanted:
                return False
        return True

    wait_until(lambda: agree(set(nodes)), 40, "five nodes agree")
    for victim in ("abcde" if underlay == "tcp" else "bc"):
        nodes[victim].kill()
        rest = set(nodes) - {victim}
        wait_until(lambda rest=rest: agree(rest), NOTICE_SECONDS, f"the rest agrees without {victim}", interval=0.5)
        nodes[victim].start()
        wait_until(lambda: agree(set(nodes)), NOTICE_SECONDS, f"all agree again with {victim}", interval=0.5)


def test_of_two_nodes_with_one_address_the_nearer_is_reached_and_the_other_takes_over(world, underlay, selvage_node):
    hosts = {name: world.host(name) for name in ("near", "middle", "far", "caller")}
    world.segment("net", "10.201.1.0/24", *hosts.values())
    listen, flags = [f"{underlay}://0.0.0.0:11010"], {"disable_p2p": True}

    def url(name):
        return f"{underlay}://{hosts[name].address()}:11010"

    caller = selvage_node(hosts["caller"], "10.144.1.1", tun=True, listen=listen)
    middle = selvage_node(hosts["middle"], "10.144.1.2", tun=True, listen=listen, peers=[url("caller")])
    near = EasyTierNode(hosts["near"], "10.144.1.9", listen=listen, peers=[url("caller")], flags=flags)
    far = EasyTierNode(hosts["far"], "10.144.1.9", listen=listen, peers=[url("middle")], flags=flags)
    for name in ("near", "far", "middle"):
        caller.wait_for_route(name)
    middle.wait_for_route("near")
    wait_until(lambda: caller.host.pings("10.144.1.9"), 10, "ping to the address of two")
    assert echoes(near) > 0 and echoes(far) == 0
    near.kill()
    wait_until(lambda: caller.host.pings("10.144.1.9"), NOTICE_SECONDS, "the farther node takes over", interval=0.5)
    assert echoes(far) > 0


def echoes(node):
    """Echo requests that the node's kernel has answered."""
    text = node.host.run("cat", "/proc/net/snmp").stdout
    names, values = [line.split() for line in text.splitlines() if line.startswith("Icmp:")]
    return int(dict(zip(names[1:], values[1:]))["OutEchoReps"])
