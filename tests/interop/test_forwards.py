"""Ports that lead somewhere fixed: from the mesh to the host's network and from the host into the mesh.

    caller (EasyTier, TUN) ---net--- selvage (TUN as root, or none as nobody) ---beyond--- server
"""
import sys

from easytier import EasyTierNode
from tools import listening, web_server
from waiting import wait_until

PAGE = "a page beyond the mesh\n"
# Two pieces in the mesh, which have to find the same way. A forward takes 2,000 bytes from the mesh, and
# into it what fits into one packet.
LARGE = 1900

# Answers every datagram with its sender's address and its size: python3 -c ... ADDRESS PORT
UDP_ECHO = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((sys.argv[1], int(sys.argv[2])))
while True:
    data, peer = sock.recvfrom(65535)
    sock.sendto(f"{peer[0]} {len(data)}".encode(), peer)
"""

# Asks until it is answered, for datagrams may be lost: python3 -c ... FROM FROM_PORT ADDRESS PORT SIZE
UDP_ASK = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((sys.argv[1], int(sys.argv[2])))
sock.settimeout(1)
for attempt in range(20):
    sock.sendto(b"x" * int(sys.argv[5]), (sys.argv[3], int(sys.argv[4])))
    try:
        data, peer = sock.recvfrom(65535)
        assert peer == (sys.argv[3], int(sys.argv[4])), peer
        print(data.decode())
        sys.exit()
    except socket.timeout:
        pass
sys.exit("no answer")
"""

# Reads a PROXY header of version 2 and says who called: python3 -c ... ADDRESS PORT
PROXY_READER = """
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
while True:
    with server.accept()[0] as stream, stream.makefile("rb") as lines:
        head = lines.read(16)
        assert head[:12] == bytes.fromhex("0d0a0d0a000d0a515549540a") and head[12:14] == bytes.fromhex("2111"), head
        body = lines.read(int.from_bytes(head[14:], "big"))
        source, target = socket.inet_ntoa(body[:4]), socket.inet_ntoa(body[4:8])
        port = int.from_bytes(body[10:12], "big")
        stream.sendall(f"{source} to {target}:{port} said {lines.readline().decode()}".encode())
"""


class Forwarded:
    """The drawing above; the server beyond and the caller both serve pages and echo datagrams."""

    def __init__(self, world, mode, selvage_node, **keys):
        caller, middle, server = world.host("caller"), world.host("selvage"), world.host("server")
        world.segment("net", "10.201.1.0/24", caller, middle)
        world.segment("beyond", "10.202.1.0/24", middle, server)
        middle.knows_name("page.test", server.address("beyond"))
        self.server, self.server_ip = server, server.address("beyond")
        self.caller = EasyTierNode(caller, "10.144.1.1", listen=["udp://0.0.0.0:11010"])
        web_server(server, self.server_ip)
        self.echo(server, self.server_ip)
        wait_until(lambda: listening(server, 5300, "u"), 5, "the server beyond echoes")
        self.node = selvage_node(middle, "10.144.1.2", tun=mode == "tun",
                                 peers=[f"udp://{caller.address()}:11010"], **keys)
        self.caller.wait_for_route("selvage")
        self.node.wait_for_route("caller")

    @staticmethod
    def echo(host, address):
        host.spawn("echo", sys.executable, "-c", UDP_ECHO, address, 5300)

    def serve_at_the_caller(self):
        web_server(self.caller.host, self.caller.ip)
        self.echo(self.caller.host, self.caller.ip)
        wait_until(lambda: listening(self.caller.host, 5300, "u"), 5, "the caller echoes")

    @staticmethod
    def ask(host, source, address, port, size, source_port=0):
        return host.run(sys.executable, "-c", UDP_ASK, source, source_port, address, port, size).stdout


def test_a_port_of_the_mesh_leads_to_the_hosts_network(world, mode, selvage_node):
    server = "10.202.1.2"
    here = Forwarded(world, mode, selvage_node, forward=[
        {"from": "mesh", "listen": "8080", "to": "page.test:8000", "allow": ["caller"]},
        {"from": "mesh", "listen": "8081", "to": f"{server}:9000", "allow": ["caller"],
         "proxy_protocol": True},
        {"from": "mesh", "listen": "8082", "to": f"{server}:8000", "allow": ["somebody-else"]},
        {"from": "mesh", "listen": "5300", "to": f"{server}:5300", "allow": ["caller"], "proto": "udp"},
        {"from": "mesh", "listen": "5301", "to": f"{server}:5300", "allow": ["somebody-else"],
         "proto": "udp"},
    ])
    caller, ip = here.caller.host, here.node.ip
    here.server.spawn("reader", sys.executable, "-c", PROXY_READER, server, 9000)
    wait_until(lambda: listening(here.server, 9000), 5, "the reader of PROXY headers listens")
    assert caller.run("curl", "-sS", "--max-time", "20", f"http://{ip}:8080/page").stdout == PAGE
    told = caller.run("bash", "-c", f"exec 3<>/dev/tcp/{ip}/8081; echo hello >&3; cat <&3").stdout
    assert told == f"{here.caller.ip} to {ip}:8081 said hello\n"
    refused = caller.run("curl", "-sS", "--max-time", "20", f"http://{ip}:8082/page", check=False)
    assert refused.returncode in (7, 56), "reset, not left waiting"
    middle = here.node.host.address("beyond")
    assert here.ask(caller, here.caller.ip, ip, 5300, 100) == f"{middle} 100\n"
    assert here.ask(caller, here.caller.ip, ip, 5300, LARGE) == f"{middle} {LARGE}\n"
    nothing = caller.run("bash", "-c", f"exec 3<>/dev/udp/{ip}/5301; echo x >&3; timeout 1 head -c 1 <&3",
                         check=False)
    assert nothing.stdout == ""


def test_a_port_of_the_host_leads_into_the_mesh(world, mode, selvage_node):
    here = Forwarded(
        world, mode, selvage_node,
        forward=[{"from": "host", "listen": "127.0.0.1:8080", "to": "10.144.1.1:8000"},
                 {"from": "host", "listen": "127.0.0.1:5300", "to": "10.144.1.1:5300", "proto": "udp"}],
        port_forward=[{"bind_addr": "127.0.0.1:8081", "dst_addr": "10.144.1.1:8000", "proto": "tcp"},
                      {"bind_addr": "127.0.0.1:5301", "dst_addr": "10.144.1.1:5300", "proto": "udp"}])
    here.serve_at_the_caller()
    middle = here.node.host
    for port in (8080, 8081):
        page = middle.run("curl", "-sS", "--max-time", "20", f"http://127.0.0.1:{port}/peer").stdout
        assert page == f"{here.node.ip}\n", "from the virtual address"
    for port in (5300, 5301):
        assert here.ask(middle, "127.0.0.1", "127.0.0.1", port, 100) == f"{here.node.ip} 100\n"
        assert here.ask(middle, "127.0.0.1", "127.0.0.1", port, 1200) == f"{here.node.ip} 1200\n"


def test_the_host_asks_from_a_claimed_udp_port_and_gets_its_answer(world, selvage_node):
    here = Forwarded(world, "tun", selvage_node, forward=[
        {"from": "mesh", "listen": "5300", "to": "10.202.1.2:5300", "allow": ["caller"], "proto": "udp"}])
    here.serve_at_the_caller()
    node, caller = here.node, here.caller
    for size in (100, LARGE):
        answer = here.ask(node.host, node.ip, caller.ip, 5300, size, source_port=5300)
        assert answer == f"{node.ip} {size}\n"
    answer = here.ask(node.host, node.ip, caller.ip, 5300, 5000, source_port=5300)
    assert answer == f"{node.ip} 5000\n", "whatever the kernel sends and takes"
    # At the same time the port serves others, and another port of the address is the kernel's.
    assert here.ask(caller.host, caller.ip, node.ip, 5300, LARGE).endswith(f" {LARGE}\n")
    node.host.spawn("echo", sys.executable, "-c", UDP_ECHO, node.ip, 5400)
    wait_until(lambda: listening(node.host, 5400, "u"), 5, "the host's own server echoes")
    assert here.ask(caller.host, caller.ip, node.ip, 5400, 5000) == f"{caller.ip} 5000\n"
    assert node.counters()["dropped.first_fragment_missing"] == 0


def test_the_references_own_keys_serve_programs_of_the_host(world, mode, selvage_node):
    here = Forwarded(world, mode, selvage_node, socks5_proxy="socks5://0.0.0.0:1080",
                     port_forward=[{"bind_addr": "0.0.0.0:8081", "dst_addr": "10.144.1.1:8000",
                                    "proto": "tcp"}])
    here.serve_at_the_caller()
    # From the host, and from beyond, which needs no membership there.
    for host, address in ((here.node.host, "127.0.0.1"),
                          (here.server, here.node.host.address("beyond"))):
        page = host.run("curl", "-sS", "--max-time", "20", "--socks5", f"{address}:1080",
                        f"http://{here.caller.ip}:8000/peer").stdout
        assert page == f"{here.node.ip}\n"
        assert host.run("curl", "-sS", "--max-time", "20", f"http://{address}:8081/page").stdout == PAGE
    # In the mesh the port is not ours.
    listed = here.node.cli("forwards")
    assert [(row["listen"], row["to"], row["accepted"]) for row in listed] == [
        ("0.0.0.0:8081", "10.144.1.1:8000", 2)]
    if mode == "rootless":
        closed = here.caller.host.run("curl", "-sS", "--max-time", "20", f"http://{here.node.ip}:1080/",
                                      check=False)
        assert closed.returncode == 7
