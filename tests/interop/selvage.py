"""A Selvage node in a namespace: with a TUN device as root, or without one as an ordinary user."""
import json
import mmap
import os
import signal
from pathlib import Path

from toml_text import toml_text
from waiting import wait_until
from world import NOBODY

ROOT = Path(__file__).resolve().parents[2]

# "clover-leaf" through crypt(3), SHA-512 with the fewest rounds: the tests are not about its cost.
PASSWORD = "clover-leaf"
PASSWORD_HASH = ("$6$rounds=1000$meadow$"
                 "g4QWnsIyO6ub0XmdyGBSZHehIQ8BnWgQQMR25XK.veCQ0wxnYVxn9ok0EIU.QSr.OJcIVIKSqR8Kz8/5WalQn0")


def binaries():
    return Path(os.environ.get("SELVAGE_BIN_DIR", ROOT / "build" / "dev" / "bin"))


def sanitized():
    """Whether selvaged was built with a sanitizer, whose memory is several times the node's own."""
    with open(binaries() / "selvaged", "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as code:
        return any(code.find(name) >= 0 for name in (b"__asan_init", b"__tsan_init"))


class SelvageNode:
    """selvaged with the configuration of issue-sized tests; `ip` is its virtual address."""

    kind = "selvage"

    def __init__(self, host, ip, *, tun, binary_directory, listen=(), peers=(), network="meadow",
                 secret="clover", services=None, flags=None, **keys):
        self.host = host
        self.name = self.hostname = host.name
        self.ip = ip
        self.tun = tun
        self.binaries = binary_directory
        self.directory = host.world.directory / f"{host.name}-run"
        self.directory.mkdir()
        if not tun:
            os.chown(self.directory, NOBODY, NOBODY)
        self.config = {
            "instance_name": host.name, "hostname": host.name, **({"ipv4": f"{ip}/24"} if ip else {}),
            "listeners": list(listen), **keys,
            "network_identity": {"network_name": network, "network_secret": secret},
            "peer": [{"uri": uri} for uri in peers],
            "flags": {**({"dev_name": "sv0"} if tun else {"no_tun": True}), **(flags or {})},
            "service": services or {},
        }
        self.process = None
        host.world.nodes.append(self)
        self.start()

    @property
    def environment(self):
        return {"XDG_RUNTIME_DIR": str(self.directory), "HOME": str(self.directory)}

    def start(self):
        file = self.directory / "selvage.toml"
        file.write_text(toml_text(self.config))
        file.chmod(0o644)
        self.process = self.host.spawn("selvaged", self.binaries / "selvaged", "-c", file,
                                       as_nobody=not self.tun, env=self.environment)
        wait_until(self.is_ready, 15, f"selvaged in {self.name} answers")

    def is_ready(self):
        if not self.process.alive:
            raise RuntimeError(f"selvaged ended with {self.process.popen.returncode}")
        return self.cli("status")

    def cli_words(self, *words):
        return [self.binaries / "selvage", "--socket", self.directory / "selvage" / f"{self.name}.sock", *words]

    def run_cli(self, *words, check=True, timeout=30, stdin=None):
        return self.host.run(*self.cli_words(*words), check=check, timeout=timeout, stdin=stdin,
                             as_nobody=not self.tun, env=self.environment)

    def cli(self, *words):
        """What `selvage --json ...` answers, as Python values."""
        return json.loads(self.run_cli("--json", *words).stdout)

    def counters(self):
        return {name: int(value) for name, value in self.cli("status").get("counters", {}).items()}

    def service(self, name):
        services = self.cli("services")
        return next(service for service in services if service["name"] == name)

    def sessions(self):
        return self.cli("sessions")

    def routes(self):
        return self.cli("routes")

    def route_to(self, hostname):
        return next((route for route in self.routes() if route.get("hostname") == hostname), None)

    def wait_for_route(self, hostname, timeout=20):
        return wait_until(lambda: self.route_to(hostname), timeout,
                          f"Selvage node {self.name} has a route to {hostname}")

    def pings(self, node):
        """Over the kernel and the TUN device, or by the command line where there is none."""
        if self.tun:
            return self.host.pings(node.ip)
        return self.run_cli("ping", node.ip, check=False).returncode == 0

    def kill(self):
        self.process.kill()

    def farewell(self):
        """Every test ends with this: the node lives, and stops cleanly when asked to."""
        if self.process.popen.returncode == -signal.SIGKILL:
            return []
        if not self.process.alive:
            return [f"selvaged in {self.name} had ended with {self.process.popen.returncode}"]
        status = self.process.terminate()
        if status != 0:
            return [f"selvaged in {self.name} ended with {status} after SIGTERM"]
        if self.tun and "sv0" in self.host.run("ip", "-o", "link").stdout:
            return [f"selvaged in {self.name} left its TUN device behind"]
        return []
