"""Every way to speak to the proxy, from a real EasyTier node with a TUN device.

    caller (EasyTier, TUN) ---net--- selvage (TUN as root, or none as nobody) ---beyond--- server
"""
import sys

from easytier import EasyTierNode
from selvage import PASSWORD, PASSWORD_HASH
from tools import listening, web_server
from waiting import wait_until

OPEN = {"proxy": {"enabled": True, "allow": ["caller"]},
        "echo": {"enabled": True, "allow": ["caller"]},
        "discard": {"enabled": True, "allow": ["caller"]},
        "chargen": {"enabled": True, "allow": ["caller"]}}
LOCKED = {"proxy": {"enabled": True, "allow": ["caller"], "users": {"ops": PASSWORD_HASH}}}

# A name server that knows one answer: python3 -c ... ADDRESS
NAME_SERVER = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((sys.argv[1], 5353))
while True:
    question, peer = sock.recvfrom(512)
    head = question[:2] + b"\\x81\\x80" + question[4:6] + b"\\x00\\x01\\x00\\x00\\x00\\x00"
    body = question[12:]
    sock.sendto(head + body + b"\\xc0\\x0c\\x00\\x01\\x00\\x01\\x00\\x00\\x00\\x3c\\x00\\x04\\x0a\\x01\\x02\\x03", peer)
"""

# Asks through UDP ASSOCIATE and prints the address: python3 -c ... PROXY SERVER
ASK_BY_UDP = """
import socket, sys
control = socket.create_connection((sys.argv[1], 1080), 10)
control.sendall(bytes.fromhex("050100"))
assert control.recv(2) == bytes.fromhex("0500")
control.sendall(bytes.fromhex("05030001000000000000"))
reply = control.recv(10)
assert reply[:4] == bytes.fromhex("05000001"), reply
relay = (socket.inet_ntoa(reply[4:8]), int.from_bytes(reply[8:10], "big"))
assert relay[0] == sys.argv[1], relay
question = bytes.fromhex("1234010000010000000000000470616765047465737400" "00010001")
head = bytes.fromhex("00000001") + socket.inet_aton(sys.argv[2]) + (5353).to_bytes(2, "big")
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(10)
sock.sendto(bytes.fromhex("000001") + head[3:] + question, relay)
sock.sendto(head + question, relay)
answer, peer = sock.recvfrom(2048)
assert peer == relay and answer[:10] == head, (peer, answer)
print(socket.inet_ntoa(answer[-4:]))
"""


class Proxied:
    """The drawing above with a web server beyond."""

    def __init__(self, world, underlay, mode, selvage_node, services):
        caller, middle, server = world.host("caller"), world.host("selvage"), world.host("server")
        world.segment("net", "10.201.1.0/24", caller, middle)
        world.segment("beyond", "10.202.1.0/24", middle, server)
        for host, number in ((middle, 1), (server, 2)):
            host.run("ip", "-6", "addr", "add", f"2001:db8:7::{number}/64", "dev",
                     "eth1" if host is middle else "eth0", "nodad")
        self.server = server.address("beyond")
        middle.knows_name("page.test", self.server)
        self.server_host = server
        self.caller = EasyTierNode(caller, "10.144.1.1", listen=[f"{underlay}://0.0.0.0:11010"])
        self.node = selvage_node(middle, "10.144.1.2", tun=mode == "tun", services=services,
                                 peers=[f"{underlay}://{caller.address()}:11010"])
        web_server(server, self.server)
        self.caller.wait_for_route("selvage")
        self.node.wait_for_route("caller")

    def curl(self, *words, check=True):
        return self.caller.host.run("curl", "-sS", "--max-time", "30", *words, check=check).stdout


PAGE = "a page beyond the mesh\n"


def test_curl_speaks_every_protocol(world, underlay, mode, selvage_node):
    here = Proxied(world, underlay, mode, selvage_node, OPEN)
    proxy = f"{here.node.ip}:1080"
    by_address, by_name = f"http://{here.server}:8000/page", "http://page.test:8000/page"
    assert here.curl("--socks5", proxy, by_address) == PAGE
    assert here.curl("--socks5-hostname", proxy, by_name) == PAGE
    assert here.curl("--socks4", proxy, by_address) == PAGE
    assert here.curl("--socks4a", proxy, by_name) == PAGE
    assert here.curl("-x", f"http://{proxy}", by_name) == PAGE
    assert here.curl("-x", f"http://{proxy}", "-p", by_name) == PAGE
    # Two requests on one connection to the proxy.
    assert here.curl("-x", f"http://{proxy}", by_name, by_address) == PAGE + PAGE
    web_server(here.server_host, "2001:db8:7::2", 8001)
    assert here.curl("--socks5", proxy, "http://[2001:db8:7::2]:8001/page") == PAGE
    assert here.curl("-x", f"http://{proxy}", "http://[2001:db8:7::2]:8001/page") == PAGE
    refused = here.curl("-x", f"http://{proxy}", "-o", "/dev/null", "-w", "%{http_code}",
                        "http://127.0.0.1:8000/")
    assert refused == "403"


def test_the_password_is_asked_for_in_every_protocol(world, underlay, mode, selvage_node):
    here = Proxied(world, underlay, mode, selvage_node, LOCKED)
    proxy, page = f"{here.node.ip}:1080", "http://page.test:8000/page"
    user = f"ops:{PASSWORD}"
    assert here.curl("--socks5-hostname", proxy, "--proxy-user", user, page) == PAGE
    assert here.curl("-x", f"http://{proxy}", "--proxy-user", user, page) == PAGE
    assert here.curl("-x", f"http://{proxy}", "-p", "--proxy-user", user, page) == PAGE
    assert here.curl("-x", f"http://{proxy}", "-o", "/dev/null", "-w", "%{http_code}", page) == "407"
    assert here.curl("--socks5-hostname", proxy, page, check=False) == ""
    assert here.curl("--socks4a", proxy, page, check=False) == ""


def test_a_name_is_asked_for_by_udp_associate(world, underlay, mode, selvage_node):
    here = Proxied(world, underlay, mode, selvage_node, OPEN)
    here.server_host.spawn("names", sys.executable, "-c", NAME_SERVER, here.server)
    wait_until(lambda: listening(here.server_host, 5353, "u"), 5, "the name server listens")
    answer = here.caller.host.run(sys.executable, "-c", ASK_BY_UDP, here.node.ip, here.server)
    assert answer.stdout == "10.1.2.3\n"


def test_whois_names_the_caller_of_a_session(world, underlay, mode, selvage_node):
    here = Proxied(world, underlay, mode, selvage_node, OPEN)
    nc = here.caller.host.spawn("nc", "bash", "-c", f"exec 3<>/dev/tcp/{here.node.ip}/7; read <&3")
    wait_until(here.node.sessions, 10, "the session is there")
    session = here.node.sessions()[0]
    found = here.node.cli("whois", session["remote"])
    assert found["peer_name"] == "caller"
    assert found["virtual_address"] == "10.144.1.1"
    assert found["auth"] == "network secret"
    assert found["path"] == "direct"
    assert found["sessions"] == [session["id"]]
    assert "caller" in here.node.run_cli("whois", "10.144.1.1").stdout
    assert here.node.run_cli("whois", "10.144.1.77", check=False).returncode == 1
    here.node.run_cli("kill", str(session["id"]))
    wait_until(lambda: not nc.alive, 10, "the caller sees the end")
    assert not here.node.sessions()


def test_chargen_and_discard_serve_diagnosis(world, underlay, mode, selvage_node):
    here = Proxied(world, underlay, mode, selvage_node, OPEN)
    line = here.caller.host.run("bash", "-c", f"exec 3<>/dev/tcp/{here.node.ip}/19; head -n 2 <&3").stdout
    assert line.splitlines()[0].startswith(" !\"#$%&'()")
    here.caller.host.run("bash", "-c", f"head -c 5000000 /dev/zero > /dev/tcp/{here.node.ip}/9")
    wait_until(lambda: not here.node.sessions(), 10, "the sessions have ended")
