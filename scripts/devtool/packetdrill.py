"""Runs the public scripts of google/packetdrill against our stack (tests/packetdrill/README.md)."""
import os
import subprocess
from pathlib import Path

from .building import build
from .shell import BUILD, Failure, step

# The folders of gtests/net/tcp that concern what we have.
FOLDERS = ("blocking", "close", "cubic", "cwnd_moderation", "ecn", "fast_recovery", "fast_retransmit",
           "limited_transmit", "mss", "mtu_probe", "nagle", "sack", "shutdown", "slow_start", "ts_recent",
           "user_timeout", "validate")

# Run in a network and mount namespace of its own. The scripts begin with commands that set up a
# kernel: here they find files that take their settings, and a tun device that nobody uses. Nothing
# of it is seen outside.
PRIVATE_HOST = r"""
set -e
settings=$(mktemp -d)
mount -t tmpfs none "$settings"
cp -r /proc/sys/net/ipv4 "$settings/" 2>/dev/null || true
mkdir -p "$settings/ipv4"
for name in tcp_ecn tcp_ecn_option tcp_timestamps tcp_rmem tcp_wmem tcp_congestion_control tcp_recovery \
    tcp_early_retrans tcp_slow_start_after_idle tcp_min_tso_segs tcp_frto tcp_sack tcp_dsack tcp_fack \
    tcp_reordering tcp_tso_win_divisor tcp_pacing_ss_ratio tcp_pacing_ca_ratio tcp_notsent_lowat \
    tcp_fastopen tcp_fastopen_key tcp_syncookies tcp_syn_retries tcp_synack_retries tcp_mtu_probing \
    tcp_base_mss; do
    [ -e "$settings/ipv4/$name" ] || echo 0 > "$settings/ipv4/$name"
done
echo 2 > "$settings/ipv4/tcp_min_tso_segs"
chmod -R u+w "$settings/ipv4"
mount --bind "$settings/ipv4" /proc/sys/net/ipv4
# The queue of the device belongs to what is tested: our library reads here what a script has set.
mkdir "$settings/bin"
cat > "$settings/bin/tc" <<'TC'
#!/bin/sh
case "$1 $2" in
"qdisc add" | "qdisc replace") shift 5; echo "$@" > /proc/sys/net/ipv4/device_queue ;;
"qdisc delete" | "qdisc del") : > /proc/sys/net/ipv4/device_queue ;;
esac
TC
chmod +x "$settings/bin/tc"
export PATH="$settings/bin:$PATH"
: > "$settings/ipv4/device_queue"
mount -t tmpfs none /sys/module
mkdir -p /sys/module/tcp_cubic/parameters
ip tuntap add dev tun0 mode tun
ip addr add 192.168.0.1/16 dev tun0
ip link set tun0 up
cd "$1"
shift
exec "$@"
"""


def run_script(program, library, script):
    """Plays one script; empty when it passed, else what packetdrill had to say."""
    command = ["unshare", "--net", "--mount", "bash", "-c", PRIVATE_HOST, "bash", str(script.parent),
               "env", f"LD_PRELOAD={library}", str(program), f"--so_filename={library}"]
    if "--ip_version" not in script.read_text():
        command += ["--local_ip=192.168.0.1"]
    command.append(script.name)
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return "did not end within 60 s"
    if done.returncode == 0:
        return ""
    return (done.stderr + done.stdout).strip() or f"exit status {done.returncode}"


def chosen_scripts(tree, wanted):
    root = tree / "gtests/net/tcp"
    scripts = [script for folder in FOLDERS for script in sorted((root / folder).glob("*.pkt"))]
    if wanted:
        scripts = [script for script in scripts if any(part in str(script.relative_to(root)) for part in wanted)]
    if not scripts:
        raise Failure(f"no script of that name below {root}")
    return root, scripts


def packetdrill_command(arguments):
    tree = Path(arguments.tree).resolve()
    program = tree / "gtests/net/packetdrill/packetdrill"
    if not program.is_file():
        raise Failure(f"{program} is not there: build packetdrill first (tests/packetdrill/README.md)")
    if os.geteuid() != 0:
        raise Failure("./dev packetdrill needs root for the namespaces that it plays the scripts in")
    if not os.environ.get("SELVAGE_BIN_DIR"):
        build("dev", ["selvage_packetdrill"])
    library = Path(os.environ.get("SELVAGE_BIN_DIR", BUILD / "dev/bin")).parent / "tests/packetdrill"
    library = (library / "libselvage_packetdrill.so").resolve()
    root, scripts = chosen_scripts(tree, arguments.names)
    step(f"{len(scripts)} scripts of packetdrill")
    failed = 0
    for script in scripts:
        complaint = run_script(program, library, script)
        failed += bool(complaint)
        print(f"{'FAIL' if complaint else 'pass'} {script.relative_to(root)}", flush=True)
        if complaint:
            lines = complaint.splitlines()
            print("\n".join("     " + line for line in (lines if arguments.verbose else lines[:4])), flush=True)
    print(f"{len(scripts) - failed} passed, {failed} failed")
    return 1 if failed else 0
