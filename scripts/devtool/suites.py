"""Runs the test suites and adds up their results.

Every suite answers with Counts; `./dev check` prints their sum as its last line. Unit tests are
counted one by one from the JSON that GoogleTest writes, end-to-end tests from pytest's JUnit XML.
"""
import concurrent.futures
import dataclasses
import json
import os
import random
import re
import shutil
import subprocess
import xml.etree.ElementTree

from .building import build
from .shell import BUILD, Failure, ROOT, Stopwatch, run, source_files, step

# ctest programs that are not unit tests, by the command that runs them.
SIM_PROGRAM = "sim_test"
CONTRACT_PROGRAM = "contract_test"
CLANG_FORMAT = "clang-format-19"


@dataclasses.dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other):
        return Counts(self.passed + other.passed, self.failed + other.failed,
                      self.skipped + other.skipped)

    def __str__(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return text + (f", {self.skipped} skipped" if self.skipped else "")


def finish(counts):
    """Prints the last line of a test command and turns failures into the exit status."""
    print(counts, flush=True)
    return 1 if counts.failed or not counts.passed else 0


def test_programs(preset):
    """The names of the programs that ctest knows in this preset."""
    listed = run(["ctest", "--test-dir", BUILD / preset, "--show-only=json-v1"], quiet=True)
    return [test["name"] for test in json.loads(listed.stdout)["tests"]]


def run_programs(preset, programs, *, env=None, title="tests"):
    """Runs GoogleTest programs through ctest, as many at once as there are cores."""
    watch = Stopwatch()
    step(f"{title} ({preset}): {', '.join(programs) or 'none'}")
    if not programs:
        return Counts()
    reports = BUILD / preset / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    pattern = "^(" + "|".join(re.escape(program) for program in programs) + ")$"
    done = run(
        ["ctest", "--test-dir", BUILD / preset, "--output-on-failure", "-j", os.cpu_count() or 1,
         "-R", pattern],
        env={"GTEST_OUTPUT": f"json:{reports}/", "GTEST_COLOR": "no", **(env or {})}, check=False)
    counts = sum((program_counts(reports / f"{program}.json") for program in programs), Counts())
    if done.returncode != 0 and counts.failed == 0:
        counts.failed += 1  # ctest saw a failure that no report holds, such as a leak found at exit.
    print(f"   {title}: {counts} in {watch}", flush=True)
    return counts


def program_counts(report):
    """Counts one program's report; a program that died without writing one is one failure."""
    if not report.exists():
        print(f"   {report.stem} ended without a report: it crashed, timed out or was not built")
        return Counts(failed=1)
    counts = Counts()
    for suite in json.loads(report.read_text())["testsuites"]:
        for test in suite["testsuite"]:
            if test.get("failures"):
                counts.failed += 1
            elif test.get("result") == "SKIPPED" or test.get("status") == "NOTRUN":
                counts.skipped += 1
            else:
                counts.passed += 1
    return counts


def unit(preset, name=None):
    programs = [program for program in test_programs(preset)
                if program not in (SIM_PROGRAM, CONTRACT_PROGRAM)]
    if name is None:
        return run_programs(preset, programs, title="unit tests")
    exact = [program for program in programs if program in (name, f"{name}_test")]
    if exact:
        return run_programs(preset, exact, title="unit tests")
    return run_programs(preset, programs, env={"GTEST_FILTER": f"*{name}*"}, title="unit tests")


def sim(preset, name=None, seed=None, times=1):
    """Runs the simulation tests with their fixed seeds, then `times` - 1 times with new ones."""
    if SIM_PROGRAM not in test_programs(preset):
        raise Failure(f"there is no {SIM_PROGRAM} in this build; the simulation tests belong in tests/sim/")
    env = {"GTEST_FILTER": f"*{name}*"} if name else {}
    counts = Counts()
    for number in range(times):
        chosen = seed if number == 0 else random.SystemRandom().randrange(1, 1 << 32)
        seeded = {"SELVAGE_SIM_SEED": str(chosen)} if chosen is not None else {}
        title = f"simulation, seed {chosen}" if seeded else "simulation"
        counts += run_programs(preset, [SIM_PROGRAM], env={**env, **seeded}, title=title)
    return counts


def contract(preset):
    programs = [program for program in test_programs(preset) if program == CONTRACT_PROGRAM]
    return run_programs(preset, programs, title="contract") if programs else Counts()


def format_check():
    """One test: every C++ file is laid out as .clang-format says."""
    step("format")
    files = source_files(".h", ".cc")
    done = run([CLANG_FORMAT, "--dry-run", "--Werror", *files], check=False)
    if done.returncode != 0:
        print("   some files are not formatted; run ./dev format")
        return Counts(failed=1)
    return Counts(passed=1)


def format_files():
    files = source_files(".h", ".cc")
    run([CLANG_FORMAT, "-i", *files])
    print(f"formatted {len(files)} files")


def interop_environment():
    """Creates .venv from the pinned requirements; done again only when they change."""
    venv = ROOT / ".venv"
    requirements = ROOT / "tests" / "interop" / "requirements.txt"
    stamp = venv / "requirements.txt"
    if stamp.exists() and stamp.read_text() == requirements.read_text():
        return venv / "bin" / "python"
    step("python environment for tests/interop")
    shutil.rmtree(venv, ignore_errors=True)
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else "python3"
    run([python, "-m", "venv", venv], hint="python3-venv is needed; run ./dev setup")
    run([venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check",
         "-r", requirements], hint="pip could not install tests/interop/requirements.txt; check the network")
    shutil.copy(requirements, stamp)
    return venv / "bin" / "python"


def interop_obstacle():
    """Why the end-to-end tests cannot run here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    if not os.path.exists("/dev/net/tun"):
        return "needs /dev/net/tun"
    probe = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        return "network namespaces are not permitted here"
    return None


def e2e(pytest_arguments=(), bin_dir=None):
    """Runs tests/interop with pytest; answers with its counts."""
    watch = Stopwatch()
    obstacle = interop_obstacle()
    if obstacle:
        print(f"   end to end: skipped: {obstacle}", flush=True)
        return Counts(skipped=1)
    python = interop_environment()
    step("end to end (network namespaces, real EasyTier peers)")
    # Most of a test's time is waiting, and each has namespaces of its own: files run side by side.
    files = [] if pytest_arguments else sorted((ROOT / "tests" / "interop").glob("test_*.py"))
    environment = {"SELVAGE_BIN_DIR": str(bin_dir)} if bin_dir else None
    if files:
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            results = list(pool.map(lambda path: e2e_run(python, path.stem, [path], environment, quiet=True), files))
        counts = sum(results, Counts())
    else:
        counts = e2e_run(python, "interop", ["tests/interop", *pytest_arguments], environment, quiet=False)
    print(f"   end to end: {counts} in {watch}", flush=True)
    return counts


def e2e_run(python, name, arguments, environment, quiet):
    """One run of pytest; a quiet one shows its output when it has ended."""
    report = BUILD / "interop" / f"{name}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    done = run([python, "-B", "-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={report}", *arguments],
               env=environment, check=False, quiet=quiet)
    counts = junit_counts(report)
    if done.returncode != 0 and counts.failed == 0:
        counts.failed = 1
    if quiet:
        print(done.stdout if counts.failed else f"   {name}: {counts}", flush=True)
    return counts


def soak(minutes):
    """tests/soak: prints its own table; answers with its exit status."""
    obstacle = interop_obstacle()
    if obstacle:
        raise Failure(f"the soak cannot run here: {obstacle}")
    python = interop_environment()
    step(f"soak of {minutes:g} minutes")
    return run([python, "-B", ROOT / "tests" / "soak" / "soak.py", "--minutes", minutes], check=False).returncode


def junit_counts(report):
    if not report.exists():
        return Counts(failed=1)
    suite = xml.etree.ElementTree.parse(report).getroot().find("testsuite")
    total, skipped = int(suite.get("tests")), int(suite.get("skipped"))
    failed = int(suite.get("failures")) + int(suite.get("errors"))
    return Counts(passed=max(0, total - skipped - failed), failed=failed, skipped=skipped)


def check(with_e2e=True):
    """Everything before a push. Goes on after a failure, so that one run shows all of them."""
    watch = Stopwatch()
    counts = format_check()
    build("dev")
    counts += unit("dev")
    if SIM_PROGRAM in test_programs("dev"):
        counts += sim("dev")
    counts += contract("dev")
    if with_e2e:
        counts += e2e()
    step(f"check took {watch}")
    return counts


def sanitized(preset, with_e2e):
    """Unit, simulation and contract tests, and on request the end-to-end ones, under a sanitizer."""
    build(preset)
    counts = unit(preset)
    if SIM_PROGRAM in test_programs(preset):
        counts += sim(preset)
    counts += contract(preset)
    if with_e2e:
        counts += e2e(bin_dir=BUILD / preset / "bin")
    return counts
