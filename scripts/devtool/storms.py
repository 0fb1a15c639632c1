"""`./dev sim --seeds N` and `--stacks N`: one scenario for many seeds, in as many processes as there are cores."""
import concurrent.futures
import dataclasses
import os
import re
import subprocess

from .shell import BUILD, ROOT, Stopwatch, step
from .suites import Counts, SIM_PROGRAM

SEEDS_PER_PROCESS = 10


@dataclasses.dataclass(frozen=True)
class Scenario:
    test: str
    program: str
    variable: str  # takes "first:count"
    repeat: str    # how to run one seed


STORM = Scenario("Storm.LeavesANetworkThatIsWhole", SIM_PROGRAM, "SELVAGE_SIM_SEEDS",
                 "./dev sim Storm --seed {seed}")
STACKS = Scenario("StackAdversary.ChangesNoByteAndEndsNoStream", "netstack_core_test", "SELVAGE_STACK_SEEDS",
                  "./dev sim --stacks 1 --first {seed}")
FAILED = re.compile(r"^--- seed (\d+) failed", re.MULTILINE)


def run_chunk(scenario, program, first, count):
    """Runs some seeds in one process; answers with those that failed and what was said about them."""
    done = subprocess.run(
        [str(program), f"--gtest_filter={scenario.test}", "--gtest_color=no"], cwd=ROOT,
        env={**os.environ, scenario.variable: f"{first}:{count}"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    failed = sorted({int(seed) for seed in FAILED.findall(done.stdout)})
    if done.returncode == 0:
        return [], ""
    if failed:
        return failed, done.stdout
    if count == 1:
        return [first], done.stdout + f"\nended with {done.returncode}\n"
    # It died without naming a seed: one at a time.
    parts = [run_chunk(scenario, program, first + i, 1) for i in range(count)]
    return [seed for seeds, _ in parts for seed in seeds], "".join(text for _, text in parts)


def run_seeds(scenario, preset, seeds, first=1):
    """Runs `seeds` seeds from `first` on and prints how to repeat each that fails."""
    watch = Stopwatch()
    program = BUILD / preset / "bin" / scenario.program
    workers = os.cpu_count() or 1
    step(f"{scenario.test} ({preset}): seeds {first} to {first + seeds - 1}, {workers} at a time")
    chunks = [(start, min(SEEDS_PER_PROCESS, first + seeds - start))
              for start in range(first, first + seeds, SEEDS_PER_PROCESS)]
    failed, done = [], 0
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(run_chunk, scenario, program, *chunk): chunk for chunk in chunks}
        for future in concurrent.futures.as_completed(running):
            some, text = future.result()
            done += running[future][1]
            if some:
                report = BUILD / preset / "reports" / f"{scenario.test.split('.')[0].lower()}-{some[0]}.txt"
                report.parent.mkdir(parents=True, exist_ok=True)
                report.write_text(text)
                print(f"   failed: {', '.join(map(str, some))}; see {report.relative_to(ROOT)}", flush=True)
            failed += some
            if done % 100 < running[future][1]:
                print(f"   {done} seeds in {watch}, {len(failed)} failed", flush=True)
    for seed in sorted(failed):
        print(f"   repeat seed {seed}: {scenario.repeat.format(seed=seed)}", flush=True)
    print(f"   {seeds - len(failed)} of {seeds} seeds passed in {watch}", flush=True)
    return Counts(passed=seeds - len(failed), failed=len(failed))
