"""Runs the libFuzzer targets of fuzz/ and the benchmarks of bench/."""
import concurrent.futures
import os
import subprocess
import sys

from .building import build
from .shell import BUILD, Failure, ROOT, run, step
from .suites import interop_environment, interop_obstacle


def fuzz_targets():
    return sorted(path.stem.removesuffix("_fuzz") for path in (ROOT / "fuzz").glob("*_fuzz.cc"))


def fuzz_one(name, seconds):
    """Fuzzes one parser; new inputs are kept in build/fuzz/corpus, seeds come from fuzz/corpus."""
    corpus = BUILD / "fuzz" / "corpus" / name
    findings = BUILD / "fuzz" / "findings" / name
    corpus.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    program = BUILD / "fuzz" / "bin" / f"{name}_fuzz"
    seeds = ROOT / "fuzz" / "corpus" / name
    command = [program, f"-max_total_time={seconds}", f"-artifact_prefix={findings}/", "-print_final_stats=1",
               "-timeout=10", "-rss_limit_mb=2048", corpus]
    if seeds.is_dir():
        command.append(seeds)
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", check=False)
    lines = done.stderr.splitlines()
    if done.returncode != 0:
        print("\n".join(lines[-60:]))
        print(f"   {name}: a finding; repeat it with {program.relative_to(ROOT)} build/fuzz/findings/{name}/<file>")
        return False
    runs = next((line.split()[-1] for line in lines if "number_of_executed_units" in line), "?")
    print(f"   {name}: no finding in {runs} runs", flush=True)
    return True


def fuzz_command(arguments):
    targets = fuzz_targets()
    if arguments.target is None:
        print("\n".join(targets))
        return
    names = targets if arguments.target == "all" else [arguments.target.removesuffix("_fuzz")]
    unknown = [name for name in names if name not in targets]
    if unknown or not names:
        raise Failure(f"no fuzz target {arguments.target}; there are: {', '.join(targets) or 'none'}")
    build("fuzz", [f"{name}_fuzz" for name in names])
    at_once = os.cpu_count() or 1
    step(f"fuzz {len(names)} targets, {at_once} at a time, for {arguments.seconds} s each")
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        clean = list(pool.map(lambda name: fuzz_one(name, arguments.seconds), names))
    failed = [name for name, fine in zip(names, clean) if not fine]
    if failed:
        raise Failure("findings in: " + ", ".join(failed))


def bench_command(arguments):
    if arguments.name == "throughput":
        throughput(arguments.rest)
        return
    if arguments.name == "vpn":
        vpn(arguments.rest)
        return
    if arguments.name == "netstack-kernel":
        netstack_kernel(arguments.rest)
        return
    names = sorted(path.stem for path in (ROOT / "bench").glob("*_bench.cc"))
    wanted = [name for name in names if not arguments.name or arguments.name in name]
    if not wanted:
        raise Failure(f"no benchmark matches {arguments.name}; there are: {', '.join(names) or 'none'}")
    build("bench", wanted)
    for name in wanted:
        step(f"bench {name}")
        run([BUILD / "bench" / "bin" / name, *arguments.rest])


def throughput(rest):
    """The end to end comparison with EasyTier; see bench/throughput.py."""
    obstacle = interop_obstacle()
    if obstacle:
        raise Failure(f"throughput: {obstacle}")
    build("release", ["selvaged", "selvage"])
    run([interop_environment(), "-B", ROOT / "bench" / "throughput.py", *rest])


def vpn(rest):
    """The comparison with other VPNs; see bench/vpn.py."""
    obstacle = interop_obstacle()
    if obstacle:
        raise Failure(f"vpn: {obstacle}")
    build("release", ["selvaged", "selvage"])
    build("bench", ["packet_flood"])
    run([interop_environment(), "-B", ROOT / "bench" / "vpn.py", *rest])


def netstack_kernel(rest):
    """Our TCP against the kernel's; see bench/netstack_kernel.py."""
    build("bench", ["netstack_box", "netstack_peer"])
    run([sys.executable, "-B", ROOT / "bench" / "netstack_kernel.py", *rest])
