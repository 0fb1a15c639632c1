"""Running programs and talking to the person who waits for them."""
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"


class Failure(Exception):
    """Ends the command with this sentence on stderr and exit status 1."""


def step(text):
    """Announces a piece of work that takes a while."""
    print(f"== {text}", flush=True)


def run(command, *, cwd=ROOT, env=None, check=True, quiet=False, hint=""):
    """Runs a program with its output visible; a failure names the command and what to do."""
    merged = {**os.environ, **(env or {})}
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, cwd=cwd, env=merged, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT if quiet else None, text=True, errors="replace", check=False)
    except FileNotFoundError:
        raise Failure(f"{words[0]} is not installed; run ./dev setup") from None
    if check and done.returncode != 0:
        if quiet:
            sys.stdout.write(done.stdout)
        raise Failure(f"failed ({done.returncode}): {shlex.join(words)}" + (f"\n{hint}" if hint else ""))
    return done


def source_files(*suffixes):
    """The files of the tree with these suffixes that git knows or would add, sorted."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0:
        names = listed.stdout.decode().split("\0")
        files = [ROOT / name for name in names if name]
    else:  # A source archive without git: everything but what is built.
        skipped = {"build", ".venv", ".git"}
        files = [path for path in ROOT.rglob("*")
                 if not skipped & set(path.relative_to(ROOT).parts[:1])]
    return sorted(path for path in files if path.suffix in suffixes and path.is_file())


class Stopwatch:
    """Says how long a step took, so that slow ones are noticed."""

    def __init__(self):
        self.start = time.monotonic()

    def __str__(self):
        seconds = time.monotonic() - self.start
        return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
