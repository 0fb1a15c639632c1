"""Sends one packet each way at once for a list of probes and prints which of them got an answer.

A probe is {"kind": "tcp" | "udp" | "icmp", "to": address, "port": n, "source_port": n}. Nobody needs
to listen: a reset or "port unreachable" is an answer, too. What is dropped gets none within LIMIT.
"""
import json
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

LIMIT = 4  # long enough for two repetitions of a SYN or a datagram


def tcp(probe):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as call:
        call.settimeout(probe.get("patience", LIMIT))
        if "source_port" in probe:
            call.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            call.bind(("", probe["source_port"]))
        try:
            call.connect((probe["to"], probe["port"]))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return True


def udp(probe):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as call:
        call.settimeout(LIMIT / 4)
        call.connect((probe["to"], probe["port"]))
        for _ in range(4):
            try:
                call.send(b"probe")
                call.recv(100)
                return True
            except ConnectionRefusedError:
                return True
            except OSError:
                continue
        return False


def icmp(probe):
    done = subprocess.run(["ping", "-n", "-c", "2", "-i", "0.5", "-W", str(LIMIT), probe["to"]],
                          stdout=subprocess.DEVNULL, check=False)
    return done.returncode == 0


KINDS = {"tcp": tcp, "udp": udp, "icmp": icmp}

if __name__ == "__main__":
    probes = json.loads(sys.argv[1])
    with ThreadPoolExecutor(len(probes)) as pool:
        print(json.dumps(list(pool.map(lambda probe: KINDS[probe["kind"]](probe), probes))))
