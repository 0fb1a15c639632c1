"""clang-tidy over the compilation database, in parallel.

A file is checked again only when it, a header of ours that it includes, or .clang-tidy changed since
it was last found clean: the digest of what a check read is kept in build/<preset>/tidy.

Most of the time of a check goes into the system's headers, so files with the same flags are checked several at
a time, included by one source. A group in which two files use one name for different things, or in which
anything is found, is halved until the file stands alone; what is reported is always the file alone.

Tests are checked without the path-sensitive analyzer: it spends most of a minute on the branches of one
file's assertions, and the sanitizers run those paths anyway.
"""
import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess

from .building import build
from .shell import BUILD, Failure, ROOT, Stopwatch, run, step

CLANG = "clang++-19"
CLANG_TIDY = "clang-tidy-19"
ANALYZER = "clang-analyzer-*"
GROUP = 10
INCLUDE = re.compile(rb'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def digest_of(source):
    """A digest over a source file, everything of ours that it includes, and the rules."""
    seen, waiting = set(), [source]
    while waiting:
        path = waiting.pop()
        if path in seen or not path.exists():
            continue
        seen.add(path)
        for name in INCLUDE.findall(path.read_bytes()):
            relative = name.decode(errors="replace")
            waiting += [ROOT / "src" / relative, path.parent / relative, ROOT / relative]
    digest = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    for path in sorted(seen):
        digest.update(str(path).encode() + path.read_bytes())
    return digest.hexdigest()


def changed_files():
    """Files that differ from the main branch, committed or not."""
    base = subprocess.run(["git", "merge-base", "HEAD", "main"], cwd=ROOT, capture_output=True,
                          text=True, check=False).stdout.strip() or "HEAD"
    differing = run(["git", "diff", "--name-only", base], quiet=True).stdout.split()
    fresh = run(["git", "ls-files", "--others", "--exclude-standard"], quiet=True).stdout.split()
    return {ROOT / name for name in differing + fresh}


def flags_of(database):
    """The compiler flags of each source of ours, without compiler, input and output."""
    flags = {}
    for entry in json.loads((database / "compile_commands.json").read_text()):
        words = shlex.split(entry["command"])
        flags[(ROOT / entry["file"]).resolve()] = tuple(words[1:words.index("-o")])
    return flags


def is_test(source):
    return "_test" in source.name or source.relative_to(ROOT).parts[0] in ("tests", "sim", "fuzz", "bench")


def rules_without(*left_out):
    return "--checks=" + ",".join(f"-{rule}" for rule in left_out)


def check_alone(source, database):
    rules = [rules_without(ANALYZER)] if is_test(source) else []
    return finished([CLANG_TIDY, "--quiet", "--warnings-as-errors=*", *rules, f"-p={database}", source])


def check_together(sources, flags, database):
    """Whether a source that includes all of these compiles and is clean; rules about including .cc files are off."""
    groups = database / "tidy" / "groups"
    groups.mkdir(exist_ok=True)
    text = "".join(f'#include "{source}"\n' for source in sources)
    whole = groups / (hashlib.sha256(text.encode()).hexdigest()[:16] + ".cc")
    whole.write_text(text)
    if finished([CLANG, *flags, "-w", "-fsyntax-only", whole])[0] != 0:
        return False  # a second to learn what the check would say after a minute
    rules = ["bugprone-suspicious-include"] + ([ANALYZER] if is_test(sources[0]) else [])
    status, _ = finished([CLANG_TIDY, "--quiet", "--warnings-as-errors=*", rules_without(*rules),
                          f"--header-filter={re.escape(str(ROOT))}/(?!build/).*", whole, "--", *flags])
    return status == 0


def finished(command):
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", check=False)
    return done.returncode, done.stdout + ("" if done.returncode == 0 else done.stderr)


def check(sources, flags, database, report):
    """Reports each of these files as clean or with what was found; halves the group when it is not clean."""
    if len(sources) == 1:
        report(sources[0], *check_alone(sources[0], database))
    elif check_together(sources, flags, database):
        for source in sources:
            report(source, 0, "")
    else:
        middle = len(sources) // 2
        check(sources[:middle], flags, database, report)
        check(sources[middle:], flags, database, report)


def grouped(sources, flags):
    """Groups of at most GROUP files with equal flags and rules."""
    alike = {}
    for source in sources:
        alike.setdefault((flags[source], is_test(source)), []).append(source)
    return [(files[start:start + GROUP], words) for (words, _), files in alike.items()
            for start in range(0, len(files), GROUP)]


def select_sources(arguments, database):
    ours = [path for path in sorted(flags_of(database)) if path.is_relative_to(ROOT) and not path.is_relative_to(BUILD)
            and path.parent != ROOT / "cmake"]
    if arguments.files:
        wanted = {(ROOT / name).resolve() for name in arguments.files}
        ours = [path for path in ours if path in wanted or any(up in wanted for up in path.parents)]
        if not ours:
            raise Failure("none of these files is compiled: " + ", ".join(arguments.files))
    if arguments.changed:
        changed = changed_files()
        ours = [path for path in ours if path in changed]
    return ours


def tidy_command(arguments):
    watch = Stopwatch()
    database = BUILD / "dev"
    build("dev")  # Generated headers must exist, and a file that does not compile cannot be checked.
    cache = database / "tidy"
    cache.mkdir(exist_ok=True)
    digests = {source: digest_of(source) for source in select_sources(arguments, database)}
    todo = [source for source, digest in digests.items()
            if arguments.all or not (cache / digest).exists()]
    step(f"clang-tidy: {len(todo)} files to check, {len(digests) - len(todo)} unchanged since found clean")
    failed, done = [], []

    def report(source, status, output):
        done.append(source)
        print(f"[{len(done)}/{len(todo)}] {source.relative_to(ROOT)}" + ("" if status == 0 else ": FOUND"), flush=True)
        if status == 0:
            (cache / digests[source]).touch()
        else:
            failed.append(source)
            print(output, flush=True)

    flags = flags_of(database)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs or os.cpu_count() or 1) as pool:
        list(pool.map(lambda group: check(*group, database, report), grouped(todo, flags)))
    if failed:
        raise Failure(f"clang-tidy found something in {len(failed)} files: "
                      + ", ".join(str(path.relative_to(ROOT)) for path in sorted(failed)))
    print(f"clang-tidy is clean over {len(digests)} files ({watch})")
