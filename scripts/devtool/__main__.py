"""The command line of ./dev: one function per command, each with its own --help."""
import argparse
import os
import shutil
import sys

from . import demo, fuzzing, packetdrill, storms, suites, tidy
from .building import build, build_command
from .shell import Failure, ROOT


def test_command(arguments):
    build("dev")
    return suites.finish(suites.unit("dev", arguments.name))


def sim_command(arguments):
    if arguments.stacks:
        build("dev", [storms.STACKS.program])
        return suites.finish(storms.run_seeds(storms.STACKS, "dev", arguments.stacks, arguments.first))
    build("dev", [suites.SIM_PROGRAM])
    if arguments.seeds:
        return suites.finish(storms.run_seeds(storms.STORM, "dev", arguments.seeds, arguments.first))
    return suites.finish(suites.sim("dev", arguments.name, arguments.seed, arguments.times))


def check_command(arguments):
    return suites.finish(suites.check(with_e2e=not arguments.no_e2e))


def sanitizer_command(arguments):
    if arguments.e2e:
        become_root_for("its end-to-end part")
    return suites.finish(suites.sanitized(arguments.command, arguments.e2e))


def become_root_for(what):
    """Starts the same command again under sudo where root is needed and sudo is there."""
    if os.geteuid() == 0:
        return
    sudo = shutil.which("sudo")
    if sudo:
        print(f"{what} needs root: starting again under sudo", flush=True)
        kept = [f"{name}={os.environ[name]}" for name in ("SELVAGE_BIN_DIR", "CI") if name in os.environ]
        os.execv(sudo, [sudo, "env", *kept, str(ROOT / "dev"), *sys.argv[1:]])


def e2e_command(arguments):
    become_root_for("./dev e2e")
    if not suites.interop_obstacle() and not os.environ.get("SELVAGE_BIN_DIR"):
        build("dev")
    counts = suites.e2e(arguments.rest)
    print(counts, flush=True)
    return 1 if counts.failed else 0


def soak_command(arguments):
    become_root_for("./dev soak")
    if not os.environ.get("SELVAGE_BIN_DIR"):
        build("dev", ["selvaged", "selvage"])
    return suites.soak(arguments.minutes)


def format_command(_arguments):
    suites.format_files()


def add_test_commands(commands):
    test = commands.add_parser("test", help="unit tests (debug build)")
    test.add_argument("name", nargs="?", help="a test program (rpc, rpc_test) or a part of a test's name")
    test.set_defaults(function=test_command)

    sim = commands.add_parser("sim", help="simulation tests")
    sim.add_argument("name", nargs="?", help="part of a test's name")
    sim.add_argument("--seed", type=int, help="use this seed instead of the fixed ones")
    sim.add_argument("--times", type=int, default=1, metavar="K",
                     help="run K times, from the second on with new random seeds")
    sim.add_argument("--seeds", type=int, metavar="N",
                     help="the storm scenario for N seeds, in parallel; prints those that fail")
    sim.add_argument("--stacks", type=int, metavar="N",
                     help="instead: two TCP/IP stacks with an adversary between them, for N seeds")
    sim.add_argument("--first", type=int, default=1, metavar="S",
                     help="the first seed of --seeds or --stacks (default 1)")
    sim.set_defaults(function=sim_command)

    check = commands.add_parser(
        "check", help="everything before a push: format, layers, build, unit, sim, contract, end to end")
    check.add_argument("--no-e2e", action="store_true", help="leave out the end-to-end tests")
    check.set_defaults(function=check_command)

    for name, what in (("asan", "address and undefined behaviour sanitizers"), ("tsan", "thread sanitizer")):
        sanitizer = commands.add_parser(name, help=f"unit and simulation tests under the {what}")
        sanitizer.add_argument("--e2e", action="store_true", help="also the end-to-end tests (needs root)")
        sanitizer.set_defaults(function=sanitizer_command)

    e2e = commands.add_parser("e2e", help="end-to-end tests with real EasyTier peers (needs root)")
    e2e.epilog = "Further arguments go to pytest, such as -k proxy -x."
    e2e.set_defaults(function=e2e_command)

    soak = commands.add_parser("soak", help="real nodes under load, one killed every minute (needs root)")
    soak.add_argument("--minutes", type=float, default=30, help="how long (default 30)")
    soak.set_defaults(function=soak_command)


def parser():
    root = argparse.ArgumentParser(
        prog="./dev", description="Builds, tests and starts Selvage.",
        epilog="Each command has its own --help. 'setup' installs what a fresh Debian 12 lacks.")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands.add_parser("setup", help="install the Debian packages that are missing (root or sudo)")

    commands.add_parser(
        "up", help="install what is missing, build, start two nodes without privileges and show them at work"
    ).set_defaults(function=demo.up_command)
    commands.add_parser("down", help="stop what ./dev up started").set_defaults(function=demo.down_command)

    building = commands.add_parser("build", help="configure and compile")
    building.add_argument("--preset", default="dev", help="a preset of CMakePresets.json (default dev)")
    building.add_argument("-j", "--jobs", type=int, help="compile this many files at once")
    building.add_argument("targets", nargs="*", help="CMake targets; all without")
    building.set_defaults(function=build_command)

    add_test_commands(commands)

    checked = commands.add_parser("tidy", help="clang-tidy over all files that changed since found clean")
    checked.add_argument("--changed", action="store_true", help="only files that differ from main")
    checked.add_argument("--all", action="store_true", help="also files that were found clean before")
    checked.add_argument("-j", "--jobs", type=int, help="check this many files at once")
    checked.add_argument("files", nargs="*", help="only these files or folders")
    checked.set_defaults(function=tidy.tidy_command)

    drill = commands.add_parser("packetdrill", help="play packetdrill's public TCP scripts to our stack (needs root)")
    drill.add_argument("tree", help="a checkout of google/packetdrill in which packetdrill is built")
    drill.add_argument("names", nargs="*", help="parts of the names of scripts; all without")
    drill.add_argument("-v", "--verbose", action="store_true", help="all that packetdrill says about a failure")
    drill.set_defaults(function=packetdrill.packetdrill_command)

    fuzz = commands.add_parser("fuzz", help="run a fuzz target; without arguments list them")
    fuzz.add_argument("target", nargs="?", help="a target of fuzz/, or 'all'")
    fuzz.add_argument("seconds", nargs="?", type=int, default=60, help="for each target (default 60)")
    fuzz.set_defaults(function=fuzzing.fuzz_command)

    bench = commands.add_parser("bench", help="benchmarks with the flags of release")
    bench.add_argument("name", nargs="?", help="part of a benchmark's name, or 'vpn', 'throughput' or 'netstack-kernel' (need root)")
    bench.epilog = "Further arguments go to Google Benchmark, such as --benchmark_min_time=2."
    bench.set_defaults(function=fuzzing.bench_command)

    commands.add_parser("format", help="lay out all C++ files").set_defaults(function=format_command)
    return root


def main():
    commands = parser()
    arguments, rest = commands.parse_known_args()
    if rest and arguments.command not in ("e2e", "bench"):
        commands.error(f"unknown arguments: {' '.join(rest)}")
    arguments.rest = rest
    try:
        return arguments.function(arguments) or 0
    except Failure as failure:
        print(f"dev {arguments.command}: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


sys.exit(main())
