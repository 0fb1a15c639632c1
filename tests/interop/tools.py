"""Real programs as the callers of a mesh: iperf3, curl, a web server."""
import json
import sys
from pathlib import Path

from waiting import wait_until

WEB_SERVER = Path(__file__).with_name("web_server.py")


def listening(host, port, kind="t"):
    done = host.run("ss", "-Hln" + kind, f"sport = :{port}")
    return bool(done.stdout.strip())


def iperf(server, client, address, *, udp=False, seconds=2, rate="20M"):
    """Runs iperf3 from client to server; answers with received bits per second."""
    process = server.spawn("iperf3", "iperf3", "-s", "-1", "-p", "5201", "-B", address)
    wait_until(lambda: listening(server, 5201), 5, "iperf3 listens")
    words = ["iperf3", "-c", address, "-p", "5201", "-t", seconds, "-J", "--connect-timeout", "5000"]
    if udp:
        words += ["-u", "-b", rate, "-l", "1200"]
    result = json.loads(client.run(*words, timeout=seconds + 30).stdout)
    process.kill()
    end = result["end"]
    if udp:
        total = end["sum"]
        return total["bits_per_second"] * (1 - total["lost_percent"] / 100)
    return end["sum_received"]["bits_per_second"]


def web_server(host, address, port=8000):
    """A server with /page, /peer, /bytes/N (GET) and /upload (PUT); see web_server.py."""
    process = host.spawn("web", sys.executable, "-B", WEB_SERVER, address, port)
    wait_until(lambda: listening(host, port), 5, "the web server listens")
    return process
