"""TCP segments made up by hand, for attackers and for callers that do not exist."""
import ipaddress
import socket
import struct

ETHERTYPE = {4: 0x0800, 6: 0x86DD}
TCP = 6


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def tcp_packet(source, destination, flags, sequence):
    """An IP packet with an empty segment; both ends are (address, port) of one family."""
    own, peer = ipaddress.ip_address(source[0]), ipaddress.ip_address(destination[0])
    head = struct.pack("!HHIIBBH", source[1], destination[1], sequence, 0, 5 << 4, flags, 65535)
    if own.version == 4:
        pseudo = own.packed + peer.packed + struct.pack("!HH", TCP, 20)
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0x4000, 64, TCP, 0) + own.packed + peer.packed
        ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    else:
        pseudo = own.packed + peer.packed + struct.pack("!II", 20, TCP)
        ip = struct.pack("!IHBB", 6 << 28, 20, TCP, 64) + own.packed + peer.packed
    return ip + head + struct.pack("!HH", checksum(pseudo + head + bytes(4)), 0)


class PacketSocket:
    """Puts IP packets of one family into a TUN device, as if this host had sent them."""

    def __init__(self, device, ipv6):
        protocol = ETHERTYPE[6 if ipv6 else 4]
        self.to = (device, protocol)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, packet):
        """What finds the device's queue full is lost, as it would be further on."""
        try:
            self.socket.sendto(packet, self.to)
        except OSError as error:
            if error.errno != 105:  # ENOBUFS
                raise
