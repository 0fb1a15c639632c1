"""`./dev up` and `./dev down`: two nodes without privileges on this machine, and a look at what they do.

    home 10.144.1.1 ---mesh over 127.0.0.1--- office 10.144.1.2 (proxy, shell, menu) --- a web server on its loopback

Everything lies in build/up: configurations, logs, and one pid file per process. With SELVAGE_BIN_DIR the programs
are taken from there and nothing is installed or built.
"""
import getpass
import json
import os
import pwd
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from .building import build
from .shell import BUILD, Failure, ROOT, run, step

UP = BUILD / "up"
BINARIES = Path(os.environ.get("SELVAGE_BIN_DIR") or BUILD / "release" / "bin").absolute()
NETWORK = "selvage-demo"
HOME, OFFICE = "10.144.1.1", "10.144.1.2"
DAEMON_OF = {"web": "http.server"}


def free_port(wanted, address="127.0.0.1"):
    """The port wanted, or another one when it is taken."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what an earlier ./dev up left takes no port
            try:
                probe.bind((address, port))
                return probe.getsockname()[1]
            except OSError:
                continue
    raise Failure("no free port on this machine")


def wait_for(condition, seconds, what, log=None):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            tail = "\n" + "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log else ""
            raise Failure(f"after {seconds} s still not: {what}{tail}")
        time.sleep(0.1)


def start(name, words, env=None):
    """Starts a process of the demonstration, with a log and a pid file."""
    with open(UP / f"{name}.log", "wb") as log:
        child = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 cwd=UP, env={**os.environ, **(env or {})}, start_new_session=True)
    (UP / f"{name}.pid").write_text(str(child.pid))
    return child


def is_ours(pid, name):
    """Whether the pid still is the process that we started, and not a later one with its number."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return DAEMON_OF.get(name, "selvaged").encode() in file.read()
    except OSError:
        return False


def stop_all():
    """Stops what runs; answers with how many there were."""
    stopped = 0
    for file in sorted(UP.glob("*.pid")):
        pid = int(file.read_text())
        if is_ours(pid, file.stem):
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + 10
            while is_ours(pid, file.stem) and time.monotonic() < deadline:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass
                time.sleep(0.05)
            if is_ours(pid, file.stem):
                os.kill(pid, signal.SIGKILL)
            stopped += 1
        file.unlink()
    return stopped


def shell_account():
    """Whose shell it is: yours, or for root one without rights, since a root shell wants allow_root."""
    if os.geteuid() != 0:
        return getpass.getuser()
    for name in (os.environ.get("SUDO_USER"), "nobody"):
        if name and name != "root":
            return pwd.getpwnam(name).pw_name
    return "nobody"


def password_hash(password):
    done = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=password, capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise Failure("openssl could not hash the demonstration's password; run ./dev setup")
    return done.stdout.strip()


def write_configs(demo):
    common = (f'network_identity = {{ network_name = "{NETWORK}", network_secret = "{demo["secret"]}" }}\n'
              "flags = { no_tun = true }\n")
    (UP / "office.toml").write_text(
        f'instance_name = "office"\nhostname = "office"\nipv4 = "{OFFICE}/24"\n'
        f'listeners = ["tcp://0.0.0.0:{demo["underlay"]}", "udp://0.0.0.0:{demo["underlay"]}"]\n{common}'
        '\n[service.proxy]\nenabled = true\nallow = ["any-member"]\nadvertise = true\n\n'
        "# Loopback is refused by default; this opens one port of it.\n[[service.proxy.rule]]\n"
        f'action = "allow"\nto = ["127.0.0.1/32"]\nports = ["{demo["web"]}"]\n'
        '\n[service.menu]\nenabled = true\nallow = ["any-member"]\nadvertise = true\n'
        '\n[service.shell]\nenabled = true\nallow = ["any-member"]\nadvertise = true\n'
        f'users = {{ demo = "{password_hash(demo["password"])}" }}\n'
        f'account = "{shell_account()}"\nshell = "/bin/bash"\n')
    forwards = "".join(
        f'\n[[forward]]\nfrom = "host"\nlisten = "127.0.0.1:{demo[name]}"\nto = "{OFFICE}:{port}"\n'
        for name, port in (("proxy", 1080), ("shell", 23)))
    (UP / "home.toml").write_text(
        f'instance_name = "home"\nhostname = "home"\nipv4 = "{HOME}/24"\nlisteners = []\n'
        f'peer = [{{ uri = "tcp://127.0.0.1:{demo["underlay"]}" }}]\n{common}\n'
        f"# Ports of this machine that lead to the office's proxy and shell.{forwards}")
    for name in ("office", "home"):
        (UP / f"{name}.toml").chmod(0o600)


def selvage(name, *words):
    return [str(BINARIES / "selvage"), "-n", name, *words]


def shown(name, *words):
    """The same, as one types it in the folder of the repository."""
    program = BINARIES / "selvage"
    return [str(program.relative_to(ROOT) if program.is_relative_to(ROOT) else program), "-n", name, *words]


def sees_office():
    done = subprocess.run(selvage("home", "--json", "routes"), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return False
    return any(route.get("hostname") == "office" for route in json.loads(done.stdout))


def start_nodes(demo):
    web = UP / "web"
    web.mkdir(exist_ok=True)
    (web / "index.html").write_text("Hello from the office: this page came through the mesh.\n")
    python = sys.executable
    start("web", [python, "-m", "http.server", demo["web"], "--bind", "127.0.0.1", "--directory", web])
    wait_for(lambda: accepts(demo["web"]), 10, "the web server accepts", UP / "web.log")
    for name in ("office", "home"):
        child = start(name, [BINARIES / "selvaged", "-c", UP / f"{name}.toml"])
        log = UP / f"{name}.log"
        wait_for(lambda: child.poll() is not None or answers(name), 15, f"{name} answers", log)
        if child.poll() is not None:
            raise Failure(f"{name} ended with {child.returncode}:\n{log.read_text(errors='replace')}")
    wait_for(sees_office, 30, "home has a route to office", UP / "home.log")


def answers(name):
    return subprocess.run(selvage(name, "status"), capture_output=True, check=False).returncode == 0


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def third_machine(demo):
    address = f"THIS_MACHINE:{demo['underlay']}"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # sends nothing; the kernel says which address it would use
            address = f"{probe.getsockname()[0]}:{demo['underlay']}"
    except OSError:
        pass
    return (f"--network-name {NETWORK} --network-secret {demo['secret']} -i 10.144.1.3/24 "
            f"-p tcp://{address}")


def show(demo):
    curl = ["curl", "-sS", "--max-time", "20", "--socks5", f"127.0.0.1:{demo['proxy']}",
            f"http://127.0.0.1:{demo['web']}/"]
    for what, words in (
            ("a page from the office's loopback, through the proxy at its virtual address", curl),
            ("who is calling, as the office knows it", shown("office", "whois", HOME)),
            ("ports of this machine that lead into the mesh", shown("home", "forwards"))):
        step(what)
        print("$ " + shlex.join(words), flush=True)
        run(words, hint=f"see {UP.relative_to(ROOT)}/*.log")
    line = third_machine(demo)
    home, office = (" ".join(shown(name)) for name in ("home", "office"))
    print(f"""
Two nodes are running without any privilege: home {HOME} and office {OFFICE} (see {UP.relative_to(ROOT)}/).

  open a shell      {home} shell office        user demo, password {demo['password']}
                    or telnet 127.0.0.1 {demo['shell']}, a forward to {OFFICE}:23
  open the menu     {home} shell office:2323   peers, routes, ping, log: to look and not touch
  look around       {home} status | peers | routes | forwards
                    {office} services | sessions | whois {HOME}
  a third machine   selvaged {line}
                    easytier-core {line}
                    then: telnet {OFFICE}, curl --socks5 {OFFICE}:1080 ...
  stop              ./dev down
""")


def up_command(_arguments):
    if not os.environ.get("SELVAGE_BIN_DIR"):
        build("release", ["selvaged", "selvage"])
    UP.mkdir(parents=True, exist_ok=True)
    if stop_all():
        print("   stopped what an earlier ./dev up had started")
    demo = {"underlay": free_port(11010, "0.0.0.0"), "web": free_port(18080), "proxy": free_port(11080),
            "shell": free_port(11023), "secret": secrets.token_urlsafe(18), "password": secrets.token_urlsafe(9)}
    write_configs(demo)
    step("two nodes on this machine")
    try:
        start_nodes(demo)
        show(demo)
    except Failure:
        stop_all()
        raise


def down_command(_arguments):
    stopped = stop_all() if UP.exists() else 0
    print(f"stopped {stopped} processes" if stopped else "nothing was running")
