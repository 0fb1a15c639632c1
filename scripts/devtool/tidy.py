"""clang-tidy over the compilation database, in parallel.

A file is checked again only when it, a header of ours that it includes, or .clang-tidy changed since
it was last found clean: the digest of what a check read is kept in build/<preset>/tidy.
"""
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess

from .building import build
from .shell import BUILD, Failure, ROOT, Stopwatch, run, step

CLANG_TIDY = "clang-tidy-19"
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


def check_file(source, database):
    done = subprocess.run(
        [CLANG_TIDY, "--quiet", "--warnings-as-errors=*", f"-p={database}", source],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False)
    return done.returncode, done.stdout + ("" if done.returncode == 0 else done.stderr)


def select_sources(arguments, database):
    compiled = json.loads((database / "compile_commands.json").read_text())
    sources = sorted({(ROOT / entry["file"]).resolve() for entry in compiled})
    ours = [path for path in sources if path.is_relative_to(ROOT) and not path.is_relative_to(BUILD)
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
    failed = []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs or os.cpu_count() or 1) as pool:
        running = {pool.submit(check_file, source, database): source for source in todo}
        for count, done in enumerate(concurrent.futures.as_completed(running), 1):
            source = running[done]
            status, output = done.result()
            print(f"[{count}/{len(todo)}] {source.relative_to(ROOT)}" + ("" if status == 0 else ": FOUND"),
                  flush=True)
            if status == 0:
                (cache / digests[source]).touch()
            else:
                failed.append(source)
                print(output, flush=True)
    if failed:
        raise Failure(f"clang-tidy found something in {len(failed)} files: "
                      + ", ".join(str(path.relative_to(ROOT)) for path in sorted(failed)))
    print(f"clang-tidy is clean over {len(digests)} files ({watch})")
