"""The VPNs that bench/vpn.py compares, each as a pair of nodes over one link.

A pair has two hosts (network namespaces) near and far, the addresses of far inside (`target`) and the
processes that carry its packets. A kind that is not installed has no pair.
"""
import shutil
import subprocess
import time
from pathlib import Path

from easytier import EasyTierNode
from selvage import SelvageNode
from waiting import wait_until
from world import command

NEAR, FAR = "10.201.1.1", "10.201.1.2"  # of the link
INSIDE_NEAR, INSIDE_FAR = "10.144.1.1", "10.144.1.2"

# What a link does for its packets: which offloads of its devices are off.
LINKS = {
    "offloads": [],
    "nic": ["tso", "gso", "tx-udp-segmentation"],  # packets cross one by one, and are joined on receipt
    "plain": ["tso", "gso", "gro", "tx-udp-segmentation"],
}


class Pair:
    def __init__(self, world, name, link):
        self.name = name
        self.world = world
        self.near, self.far = world.host(f"{name}-n"), world.host(f"{name}-f")
        self.target = INSIDE_FAR
        self.directory = world.directory / name
        self.directory.mkdir()
        command("ip", "link", "add", "under0", "netns", self.near.netns, "type", "veth",
                "peer", "name", "under0", "netns", self.far.netns)
        for host, address in ((self.near, NEAR), (self.far, FAR)):
            host.run("ip", "addr", "add", f"{address}/24", "dev", "under0")
            host.run("ip", "link", "set", "under0", "up")
            for feature in LINKS[link]:
                host.run("ethtool", "-K", "under0", feature, "off", check=False)

    def start(self):
        """Both ends; remembers how long the near one took from its start to its first answered ping."""
        self.start_far()
        ping = f"until ping -n -c 1 -W 0.02 {self.target} >/dev/null 2>&1; do :; done; date +%s%N"
        waiter = self.near.spawn("first-ping", "sh", "-c", ping)
        before = time.time_ns()
        self.start_near()
        wait_until(lambda: not waiter.alive, 30, f"{self.name} is reached")
        self.start_ms = (int(waiter.text().split()[-1]) - before) / 1e6
        self.near.reaches(self.target)

    def pids(self):
        """Of the two nodes themselves, not of what started them."""
        return [self.pid(node) for node in (self.near_process, self.far_process)]

    @staticmethod
    def pid(process):
        """`ip netns exec` becomes the program, so that it is the process itself."""
        return process.popen.pid


class Bare(Pair):
    """The link itself: what the machine could do at best."""

    def start(self):
        self.target = FAR

    def pids(self):
        return []


class Selvage(Pair):
    def __init__(self, world, name, link, *, underlay, binaries, **keys):
        super().__init__(world, name, link)
        self.underlay, self.binaries, self.keys = underlay, binaries, keys

    def start_far(self):
        self.far_node = SelvageNode(self.far, INSIDE_FAR, tun=True, binary_directory=self.binaries,
                                    listen=[f"{self.underlay}://0.0.0.0:11010"], **self.keys)

    def start_near(self):
        self.near_node = SelvageNode(self.near, INSIDE_NEAR, tun=True, binary_directory=self.binaries,
                                     peers=[f"{self.underlay}://{FAR}:11010"], **self.keys)

    @property
    def near_process(self):
        return self.near_node.process

    @property
    def far_process(self):
        return self.far_node.process


class EasyTier(Pair):
    """The reference; `mixed` with a Selvage node at the far end."""

    def __init__(self, world, name, link, *, underlay, binaries=None, mixed=False):
        super().__init__(world, name, link)
        self.underlay, self.binaries, self.mixed = underlay, binaries, mixed

    def start_far(self):
        listen = [f"{self.underlay}://0.0.0.0:11010"]
        if self.mixed:
            self.far_node = SelvageNode(self.far, INSIDE_FAR, tun=True, binary_directory=self.binaries, listen=listen)
        else:
            self.far_node = EasyTierNode(self.far, INSIDE_FAR, listen=listen)

    def start_near(self):
        self.near_node = EasyTierNode(self.near, INSIDE_NEAR, peers=[f"{self.underlay}://{FAR}:11010"])

    @property
    def near_process(self):
        return self.near_node.process

    @property
    def far_process(self):
        return self.far_node.process


class WireguardGo(Pair):
    def __init__(self, world, name, link, *, program):
        super().__init__(world, name, link)
        self.program = program
        self.keys = {}
        for end in "nf":
            secret = command("wg", "genkey")
            public = subprocess.run(["wg", "pubkey"], input=secret, capture_output=True, text=True, check=True)
            file = self.directory / f"key-{end}"
            file.write_text(secret)
            self.keys[end] = (file, public.stdout.strip())

    def _start(self, host, end, other, inside, peer):
        device = f"wg{self.world.tag.split('-')[0][-6:]}{end}"  # its control socket is shared by all namespaces
        process = host.spawn("wireguard-go", self.program, "-f", device)
        wait_until(lambda: host.run("wg", "show", device, check=False).returncode == 0, 10, "wireguard-go is up")
        host.run("wg", "set", device, "listen-port", 51820, "private-key", self.keys[end][0], "peer",
                 self.keys[other][1], "allowed-ips", "10.144.1.0/24", "endpoint", f"{peer}:51820")
        host.run("ip", "addr", "add", f"{inside}/24", "dev", device)
        host.run("ip", "link", "set", device, "up")
        return process

    def start_far(self):
        self.far_process = self._start(self.far, "f", "n", INSIDE_FAR, NEAR)

    def start_near(self):
        self.near_process = self._start(self.near, "n", "f", INSIDE_NEAR, FAR)


class Nebula(Pair):
    def __init__(self, world, name, link, *, program):
        super().__init__(world, name, link)
        self.program = program
        tool = str(Path(program).with_name("nebula-cert"))
        at = self.directory
        command(tool, "ca", "-name", "bench", "-out-crt", at / "ca.crt", "-out-key", at / "ca.key")
        for end, inside in (("n", INSIDE_NEAR), ("f", INSIDE_FAR)):
            command(tool, "sign", "-ca-crt", at / "ca.crt", "-ca-key", at / "ca.key", "-name", end, "-ip",
                    f"{inside}/24", "-out-crt", at / f"{end}.crt", "-out-key", at / f"{end}.key")

    def _start(self, host, end, peer_inside, peer):
        config = self.directory / f"{end}.yml"
        any_host = "[{port: any, proto: any, host: any}]"
        config.write_text(
            f"pki: {{ca: {self.directory}/ca.crt, cert: {self.directory}/{end}.crt, key: {self.directory}/{end}.key}}\n"
            f"static_host_map: {{'{peer_inside}': ['{peer}:4242']}}\n"
            "listen: {host: 0.0.0.0, port: 4242, batch: 64, read_buffer: 10485760, write_buffer: 10485760}\n"
            "lighthouse: {am_lighthouse: false}\ncipher: aes\n"
            "tun: {dev: nebula1, mtu: 1300, tx_queue: 500}\nlogging: {level: error, format: text}\n"
            f"firewall: {{outbound: {any_host}, inbound: {any_host}}}\n")
        return host.spawn("nebula", self.program, "-config", config)

    def start_far(self):
        self.far_process = self._start(self.far, "f", INSIDE_NEAR, NEAR)

    def start_near(self):
        self.near_process = self._start(self.near, "n", INSIDE_FAR, FAR)


class Tinc(Pair):
    def __init__(self, world, name, link):
        super().__init__(world, name, link)
        for end in "nf":
            folder = self.directory / end
            (folder / "hosts").mkdir(parents=True)
            address = {"n": NEAR, "f": FAR}[end]
            inside = {"n": INSIDE_NEAR, "f": INSIDE_FAR}[end]
            connect = "ConnectTo = f\n" if end == "n" else ""
            (folder / "tinc.conf").write_text(f"Name = {end}\nInterface = tinc0\n{connect}")
            (folder / "hosts" / end).write_text(f"Address = {address}\nSubnet = {inside}/32\n")
            up = folder / "tinc-up"
            up.write_text(f"#!/bin/sh\nip addr add {inside}/24 dev $INTERFACE\nip link set $INTERFACE up mtu 1400\n")
            up.chmod(0o755)
            command("tincd", "-c", folder, "-K", "2048")
        for one, other in ("nf", "fn"):
            shutil.copy(self.directory / one / "hosts" / one, self.directory / other / "hosts" / one)

    def _start(self, host, end):
        folder = self.directory / end
        return host.spawn("tincd", "tincd", "-D", "-c", folder, f"--pidfile={folder}/pid")

    def start_far(self):
        self.far_process = self._start(self.far, "f")

    def start_near(self):
        self.near_process = self._start(self.near, "n")


class OpenVpn(Pair):
    def __init__(self, world, name, link):
        super().__init__(world, name, link)
        self.prints = {}
        for end in "nf":
            key, certificate = self.directory / f"{end}.key", self.directory / f"{end}.crt"
            command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1", "-nodes",
                    "-subj", f"/CN={end}", "-days", "2", "-keyout", key, "-out", certificate)
            text = command("openssl", "x509", "-fingerprint", "-sha256", "-noout", "-in", certificate)
            self.prints[end] = text.strip().split("=")[1]

    def _start(self, host, end, other, *role):
        own, peer = (INSIDE_NEAR, INSIDE_FAR) if end == "n" else (INSIDE_FAR, INSIDE_NEAR)
        return host.spawn(
            "openvpn", "openvpn", "--dev", "tun0", "--dev-type", "tun", "--proto", "udp", "--disable-dco",
            "--ifconfig", own, peer, "--cert", self.directory / f"{end}.crt", "--key", self.directory / f"{end}.key",
            "--peer-fingerprint", self.prints[other], "--data-ciphers", "AES-256-GCM", "--sndbuf", 4 << 20,
            "--rcvbuf", 4 << 20, "--verb", 1, *role)

    def start_far(self):
        self.far_process = self._start(self.far, "f", "n", "--tls-server", "--dh", "none", "--lport", 1194)

    def start_near(self):
        self.near_process = self._start(self.near, "n", "f", "--tls-client", "--nobind", "--remote", FAR, 1194)


def make(kind, world, options):
    """A pair of this kind, or None where it is not installed."""
    name = kind.replace("-", "")[:10]
    link = options.link
    base, _, underlay = kind.partition("-")
    if kind == "bare":
        return Bare(world, name, link)
    if base in ("selvage", "clear"):
        keys = {"flags": {"enable_encryption": False}} if base == "clear" else {}
        return Selvage(world, name, link, underlay=underlay, binaries=options.bin_dir, **keys)
    if base in ("easytier", "mixed"):
        return EasyTier(world, name, link, underlay=underlay, binaries=options.bin_dir, mixed=base == "mixed")
    program = {"wireguard": options.wireguard_go, "nebula": options.nebula, "tinc": "tincd"}.get(kind, kind)
    if shutil.which(program) is None or (kind == "wireguard" and shutil.which("wg") is None):
        return None
    if kind == "wireguard":
        return WireguardGo(world, name, link, program=program)
    if kind == "nebula":
        return Nebula(world, name, link, program=shutil.which(program))
    return {"tinc": Tinc, "openvpn": OpenVpn}[kind](world, name, link)


KINDS = ["bare", "selvage-udp", "selvage-tcp", "clear-udp", "easytier-udp", "easytier-tcp", "mixed-udp",
         "wireguard", "nebula", "tinc", "openvpn"]
