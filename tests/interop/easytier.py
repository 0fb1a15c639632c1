"""A real EasyTier node in a namespace, spoken to over a pipe."""
import json
import subprocess
import sys
from pathlib import Path

from toml_text import toml_text
from waiting import wait_until

CHILD = Path(__file__).with_name("easytier_child.py")


class EasyTierNode:
    """EasyTier with a TUN device; `ip` is its virtual address."""

    kind = "easytier"

    def __init__(self, host, ip, *, listen=(), peers=(), network="meadow", secret="clover", flags=None,
                 **keys):
        self.host = host
        self.name = self.hostname = host.name
        self.ip = ip
        self.config = {
            "instance_name": host.name, "hostname": host.name, **({"ipv4": f"{ip}/24"} if ip else {}),
            "listeners": list(listen), "stun_servers": [], "stun_servers_v6": [], **keys,
            "network_identity": {"network_name": network, "network_secret": secret},
            "peer": [{"uri": uri} for uri in peers],
            "flags": {"dev_name": "et0", "enable_ipv6": False, "bind_device": False, **(flags or {})},
        }
        self.process = None
        host.world.nodes.append(self)
        self.start()

    def start(self):
        self.process = self.host.spawn(
            "easytier", sys.executable, "-B", CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={"RUST_LOG": "info", "RUST_BACKTRACE": "1"})
        self._write(json.dumps(toml_text(self.config)))
        self.call("start")

    def _write(self, line):
        self.process.popen.stdin.write(line.encode() + b"\n")
        self.process.popen.stdin.flush()

    def call(self, name, *arguments):
        self._write(json.dumps({"call": name, "arguments": arguments}))
        line = self.process.popen.stdout.readline()
        if not line:
            raise RuntimeError(f"EasyTier node {self.name} ended: see its log")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{self.name}: {name}: {answer['error']}")
        return answer["answer"]

    def routes(self):
        return self.call("routes")

    def peers(self):
        return self.call("peers")

    def route_to(self, hostname):
        """The route entry of a node by its host name, or None."""
        return next((route for route in self.routes() if route.get("hostname") == hostname), None)

    def kill(self):
        self.process.kill()

    def farewell(self):
        """Ends the node; its own complaints are none of ours."""
        if self.process.alive:
            self.process.popen.stdin.close()
            try:
                self.process.popen.wait(3)
            except subprocess.TimeoutExpired:
                pass
        self.process.kill()
        return []

    def wait_for_route(self, hostname, timeout=20):
        return wait_until(lambda: self.route_to(hostname), timeout,
                          f"EasyTier node {self.name} has a route to {hostname}")
