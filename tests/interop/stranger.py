"""Speaks just enough of the protocol to send garbage: python3 stranger.py ADDRESS PORT < vectors.

Standard input is a list of vectors as in tests/vectors/link/refused.json, for network n1 with secret
s1. Standard output is a list of what happened to each: "closed", "up" (a ping was answered
afterwards), "silence" or "answered".
"""
import json
import socket
import struct
import sys

# The network's digest for n1 and s1; our peer id 0x01020304 stands in front of it, as in the vectors.
HANDSHAKE = bytes.fromhex("08e1cb868f0d108486880818012a026e3132203f14983858c5943db7d4c908d5d95ba8ce61"
                          "0134be86c6aca5d49cfb03deb4e4")
OUR_ID = 0x01020304
THEIR_ID_IN_VECTORS = bytes.fromhex("0d0c0b0a")
HANDSHAKE_TYPE, PING_TYPE, PONG_TYPE = 2, 4, 5
UDP_SYN, UDP_DATA = 1, 3


def peer_packet(kind, payload, to=0):
    return struct.pack("<IIBBBBI", OUR_ID, to, kind, 0, 1, 0, len(payload)) + payload


def framed(packet):
    return struct.pack("<I", len(packet)) + packet


class TcpLink:
    def __init__(self, address):
        self.socket = socket.create_connection(address, 5)
        self.buffer = b""

    def send_packet(self, packet):
        self.socket.sendall(framed(packet))

    def send_raw(self, wire):
        self.socket.sendall(wire)

    def receive(self, seconds):
        """One packet; b"" when the other side closed, None when nothing came."""
        self.socket.settimeout(seconds)
        try:
            while len(self.buffer) < 4 or len(self.buffer) < 4 + struct.unpack("<I", self.buffer[:4])[0]:
                piece = self.socket.recv(65536)
                if not piece:
                    return b""
                self.buffer += piece
        except TimeoutError:
            return None
        except ConnectionError:
            return b""
        size = struct.unpack("<I", self.buffer[:4])[0]
        packet, self.buffer = self.buffer[4:4 + size], self.buffer[4 + size:]
        return packet


class UdpLink:
    CONNECTION = 0x11223344

    def __init__(self, address, session):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(address)
        if session:
            self.socket.settimeout(5)
            self._send(UDP_SYN, b"12345678")
            self.socket.recv(2048)

    def _send(self, kind, body):
        self.socket.send(struct.pack("<IBBH", self.CONNECTION, kind, 0, len(body)) + body)

    def send_packet(self, packet):
        self._send(UDP_DATA, packet)

    def send_raw(self, wire):
        self.socket.send(wire)

    def receive(self, seconds):
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(2048)[8:]
        except (TimeoutError, ConnectionError):
            return None


def shake_hands(link):
    """Answers with the peer id that the node calls itself."""
    link.send_packet(peer_packet(HANDSHAKE_TYPE, HANDSHAKE))
    while True:
        packet = link.receive(5)
        if not packet:
            raise RuntimeError("no answer to our handshake")
        if packet[8] == HANDSHAKE_TYPE:
            return packet[0:4]


def ping_is_answered(link):
    link.send_packet(peer_packet(PING_TYPE, b"\1\2\3\4"))
    for _ in range(200):
        packet = link.receive(2)
        if not packet:
            return False
        if packet[8] == PONG_TYPE and packet[16:20] == b"\1\2\3\4":
            return True
    return False


def outcome_before_handshake(address, vector, patience):
    if vector["inputs"]["transport"] == "udp":
        link = UdpLink(address, session=False)
        link.send_raw(bytes.fromhex(vector["wire"]))
        return "silence" if link.receive(0.2) is None else "answered"
    link = TcpLink(address)
    link.send_raw(bytes.fromhex(vector["wire"]))
    while True:
        packet = link.receive(patience)
        if packet is None:
            return "silence"
        if packet == b"":
            return "closed"


def outcome_after_handshake(address, vector, patience):
    udp = vector["inputs"]["transport"] == "udp"
    link = UdpLink(address, session=True) if udp else TcpLink(address)
    node = shake_hands(link)
    wire = bytes.fromhex(vector["wire"])
    if udp:
        wire = struct.pack("<I", UdpLink.CONNECTION) + wire[4:]
    link.send_raw(wire.replace(THEIR_ID_IN_VECTORS, node))
    if vector["expect"].startswith("drop"):
        return "up" if ping_is_answered(link) else "closed"
    try:
        return "up" if ping_is_answered(link) else "closed"
    except ConnectionError:
        return "closed"


def main():
    address = (sys.argv[1], int(sys.argv[2]))
    outcomes = []
    for vector in json.load(sys.stdin):
        before = vector["inputs"]["state"].startswith("before")
        patience = 8 if "after" in vector["expect"] else 2
        run = outcome_before_handshake if before else outcome_after_handshake
        try:
            outcomes.append(run(address, vector, patience))
        except Exception as error:  # pylint: disable=broad-except
            outcomes.append(f"{type(error).__name__}: {error}")
    print(json.dumps(outcomes))


main()
