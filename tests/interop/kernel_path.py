"""A kernel and our stack with a bad path between them, in two network namespaces.

    client ===box=== far ---tun--- our stack

The box (tests/netstack/netstack_box.cc) has a rate, a delay, a loss and a reordering. In `far` a
kernel answers at KERNEL, and forwards to our stack behind a TUN device at OURS
(tests/netstack/netstack_peer.cc), so that both are reached through the same box. The tests against
the kernel and ./dev bench netstack-kernel use it.
"""
from waiting import wait_until

CLIENT, KERNEL, ROUTER, OURS = "10.9.1.1", "10.9.2.1", "10.9.3.1", "10.9.3.2"
CLIENT6, KERNEL6, ROUTER6, OURS6 = "fd09:1::1", "fd09:2::1", "fd09:3::1", "fd09:3::2"
PROGRAMS = ("netstack_box", "netstack_peer")


class KernelPath:
    """`box` and `peer` are the settings of the two programs, as their command lines want them."""

    def __init__(self, world, number, binaries, box=(), peer=()):
        self.client = world.host(f"c{number}")
        self.far = world.host(f"k{number}")
        left, right, ours = f"bl{number}", f"br{number}", f"bo{number}"
        self.device = left
        self.start("box", binaries / "netstack_box", left, right, *box)
        self.far.run("ip", "link", "set", left, "netns", self.client.netns)
        self.client.run("ip", "link", "set", left, "up")
        self.far.run("ip", "link", "set", right, "up")
        for host, device, own, own6 in ((self.client, left, CLIENT, CLIENT6), (self.far, right, KERNEL, KERNEL6)):
            host.run("ip", "addr", "add", f"{own}/32", "dev", device)
            host.run("ip", "-6", "addr", "add", f"{own6}/128", "dev", device, "nodad")
        for network in ("10.9.2.0/24", "10.9.3.0/24", "fd09:2::/64", "fd09:3::/64"):
            self.client.run("ip", "-6" if ":" in network else "-4", "route", "add", network, "dev", left)
        for network in ("10.9.1.0/24", "fd09:1::/64"):
            self.far.run("ip", "-6" if ":" in network else "-4", "route", "add", network, "dev", right)
        self.far.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self.start("peer", binaries / "netstack_peer", ours, f"{ROUTER}/24", f"{ROUTER6}/64", *peer)

    def start(self, name, *words):
        process = self.far.spawn(name, *words)
        wait_until(lambda: "ready" in process.text(), 20, f"{name} is ready: {process.text()}")
        return process
