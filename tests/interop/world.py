"""Network namespaces, links and processes of one test, and their removal.

A world is a set of hosts (one network namespace each) joined by segments (one bridge each, in a
namespace of its own). Everything has a name that begins with the prefix of this process, so that
what a killed run left behind can be found and removed by the next.
"""
import ipaddress
import itertools
import os
import re
import shutil
import signal
import subprocess
import warnings
from pathlib import Path

from waiting import wait_until

PREFIX = "slvt"
NAMESPACES = Path("/run/netns")  # where ip-netns(8) keeps the names
NOBODY = 65534
_numbers = itertools.count(1)

# What an ordinary user is: no capability now, none to gain.
_AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs",
              "--bounding-set=-all", "--inh-caps=-all"]


def command(*words):
    """Runs a program of the test's own set-up; its failure is an error with its output."""
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def sweep_leftovers():
    """Removes the namespaces of runs that are no longer alive.

    Files of tests run side by side and each sweeps first, so another may take a leftover away at any
    moment; and a leftover may be a mere file, whose mount went with the machine that it was made on.
    Neither is this run's concern: what cannot be removed is reported and left.
    """
    for name in sorted(path.name for path in NAMESPACES.glob(f"{PREFIX}*")):
        match = re.fullmatch(PREFIX + r"(\d+)-.*", name)
        if not match or (int(match.group(1)) != os.getpid() and os.path.exists(f"/proc/{match.group(1)}")):
            continue
        try:
            if os.path.ismount(NAMESPACES / name):
                end_processes(name)
            command("ip", "netns", "delete", name)
        except (AssertionError, RuntimeError) as error:
            if (NAMESPACES / name).exists():
                warnings.warn(f"left behind by an earlier run: {name}: {error}")
        shutil.rmtree(f"/etc/netns/{name}", ignore_errors=True)


def end_processes(name):
    """Kills what runs in a namespace and waits until it is gone."""
    def gone():
        if not (NAMESPACES / name).exists():
            return True
        for pid in command("ip", "netns", "pids", name).split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        return not command("ip", "netns", "pids", name).split()

    wait_until(gone, 5, f"processes in {name} are gone")


def remove_namespace(name):
    end_processes(name)
    command("ip", "netns", "delete", name)
    shutil.rmtree(f"/etc/netns/{name}", ignore_errors=True)


class Process:
    """A program in a host, with its output in a file that a failing test shows."""

    def __init__(self, host, name, words, *, as_nobody=False, env=None, stdin=subprocess.DEVNULL,
                 stdout=None):
        self.name = name
        self.log = host.world.directory / f"{host.name}-{name}-{next(_numbers)}.log"
        with open(self.log, "wb") as output:
            self.popen = subprocess.Popen(
                host.command_line(words, as_nobody), stdin=stdin, stdout=stdout or output,
                stderr=output, env={**os.environ, **(env or {})}, start_new_session=True)
        host.world.processes.append(self)

    @property
    def alive(self):
        return self.popen.poll() is None

    def kill(self):
        if self.alive:
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(10)

    def terminate(self, timeout=30):
        """SIGTERM and wait; answers with the exit status."""
        if self.alive:
            self.popen.terminate()
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not stop within {timeout} s of SIGTERM") from None

    def text(self):
        return self.log.read_text(errors="replace")


class Host:
    """One network namespace."""

    def __init__(self, world, name):
        self.world = world
        self.name = name
        self.netns = f"{world.tag}-{name}"
        self.addresses = {}  # segment name -> IPv4 address
        command("ip", "netns", "add", self.netns)
        self.run("ip", "link", "set", "lo", "up")
        self.run("sysctl", "-qw", "net.ipv4.ip_forward=0")

    def address(self, segment="net"):
        return self.addresses[segment]

    def command_line(self, words, as_nobody=False):
        user = _AS_NOBODY if as_nobody else []
        return ["ip", "netns", "exec", self.netns, *user, *[str(word) for word in words]]

    def run(self, *words, check=True, timeout=60, as_nobody=False, env=None, stdin=None):
        """Runs a program to its end; answers with its CompletedProcess."""
        done = subprocess.run(
            self.command_line(words, as_nobody), capture_output=True, text=True, errors="replace",
            timeout=timeout, check=False, input=stdin if stdin is not None else "",
            env={**os.environ, **(env or {})})
        if check and done.returncode != 0:
            raise AssertionError(f"in {self.name}: {' '.join(map(str, words))} ended with {done.returncode}:\n"
                                 f"{done.stdout}{done.stderr}")
        return done

    def spawn(self, name, *words, **options):
        return Process(self, name, words, **options)

    def knows_name(self, name, address):
        """Makes a name resolve for what starts in this host from now on, by an /etc/hosts of its own."""
        folder = Path("/etc/netns") / self.netns
        folder.mkdir(parents=True, exist_ok=True)
        hosts = folder / "hosts"
        before = hosts.read_text() if hosts.exists() else "127.0.0.1 localhost\n"
        hosts.write_text(before + f"{address} {name}\n")

    def pings(self, address, count=1):
        done = self.run("ping", "-n", "-c", count, "-i", "0.2", "-W", "1", address, check=False)
        return done.returncode == 0

    def reaches(self, address, count=1):
        """Waits until `count` pings in a row are answered: a change of the mesh takes a moment to be known."""
        return wait_until(lambda: self.pings(address, count), 20, f"{self.name} reaches {address}")


class World:
    """Everything that one test builds; close() removes it, whatever happened."""

    def __init__(self, directory):
        self.tag = f"{PREFIX}{os.getpid()}-{next(_numbers)}"
        self.directory = Path(directory)
        self.hosts = {}
        self.processes = []
        self.nodes = []  # asked at the end whether they are well
        self._switch = None
        self._last_logs = None  # set by close(); the files may be gone by then

    def host(self, name):
        self.hosts[name] = Host(self, name)
        return self.hosts[name]

    def segment(self, name, subnet, *hosts):
        """Joins hosts by a bridge; they get the first addresses of the subnet in order."""
        if self._switch is None:
            self._switch = Host(self, "switch")
        bridge = f"br{len([1 for host in hosts])}{name}"[:15]
        self._switch.run("ip", "link", "add", bridge, "type", "bridge")
        self._switch.run("ip", "link", "set", bridge, "up")
        network = ipaddress.ip_network(subnet)
        for number, host in enumerate(hosts, 1):
            port = f"{name}{number}"[:15]
            device = f"eth{len(host.addresses)}"
            command("ip", "link", "add", port, "netns", self._switch.netns,
                    "type", "veth", "peer", "name", device, "netns", host.netns)
            self._switch.run("ip", "link", "set", port, "master", bridge, "up")
            host.addresses[name] = str(network[number])
            host.run("ip", "addr", "add", f"{network[number]}/{network.prefixlen}", "dev", device)
            host.run("ip", "link", "set", device, "up")

    def logs(self):
        """(title, text) of every process, for the report of a failing test."""
        if self._last_logs is None:
            return [(process.log.name, process.text()[-20000:]) for process in self.processes]
        return self._last_logs

    def close(self):
        """Stops the nodes in order, kills the rest, removes the namespaces; answers with complaints."""
        complaints = []
        for node in reversed(self.nodes):
            try:
                complaints += node.farewell()
            except Exception as error:  # pylint: disable=broad-except
                complaints.append(f"{node.name}: {error}")
        for process in self.processes:
            process.kill()
        for host in [*self.hosts.values(), *([self._switch] if self._switch else [])]:
            try:
                remove_namespace(host.netns)
            except Exception as error:  # pylint: disable=broad-except
                complaints.append(f"{host.netns}: {error}")
        self._last_logs = self.logs()
        return complaints
