"""What the programs say about themselves: completion for shells, manual pages. No node runs here."""
import json
import re
import shutil
import subprocess

import pytest

from selvage import ROOT

SCRIPTS = {"selvage": ["completion"], "selvaged": ["--gen-autocomplete"]}


def run(*words, check=True, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **options)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def scripts(selvage_binaries, tmp_path):
    """scripts(shell): {program: file with its completion}."""
    def write(shell):
        files = {}
        for program, words in SCRIPTS.items():
            files[program] = tmp_path / f"{program}.{shell}"
            files[program].write_text(run(selvage_binaries / program, *words, shell))
        return files
    return write


def completed(file, line):
    """What bash offers at the end of the line."""
    words = line.split(" ")
    program = words[0]
    asked = f"source {file}; COMP_WORDS=({' '.join(words[:-1])} '{words[-1]}'); COMP_CWORD={len(words) - 1}; " \
            f"_{program}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return set(run("bash", "--norc", "-c", asked).split())


@pytest.mark.parametrize("line, offered, not_offered", [
    ("selvage ", {"status", "drops", "capture", "completion", "--json"}, {"check"}),
    ("selvage ca", {"capture"}, {"status"}),
    ("selvage capture --", {"--peer", "--flow", "--count", "--json"}, {"--via"}),
    ("selvage --json -n home acl ", {"check"}, {"status"}),
    ("selvage acl check --from-", {"--from-group"}, {"--to"}),
    ("selvage capture --flow ", set(), {"status"}),
    ("selvage --instance acl st", {"status", "stats"}, {"check"}),
    ("selvaged --net", {"--network-name", "--network-secret"}, {"--no-tun"}),
])
def test_bash_offers_commands_and_options(scripts, line, offered, not_offered):
    seen = completed(scripts("bash")[line.split(" ")[0]], line)
    assert offered <= seen and not (not_offered & seen)


@pytest.mark.parametrize("shell, check", [("bash", ["-n"]), ("zsh", ["-n"]), ("fish", ["--no-execute"])])
def test_the_shells_take_their_scripts(scripts, shell, check):
    files = scripts(shell)
    for program, file in files.items():
        assert program in file.read_text()
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} to check its script")
    for file in files.values():
        run(shell, *check, file)


def test_another_shell_is_a_wrong_command_line(selvage_binaries):
    done = subprocess.run([selvage_binaries / "selvaged", "--gen-autocomplete", "dos"], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 2 and "bash, zsh or fish" in done.stderr


def commands_of(binary, path=()):
    """Every command of selvage with its long options, from what it says to --help."""
    text = run(binary, *path, "--help")
    section = re.search(r"(?ms)^S[Uu][Bb][Cc][Oo][Mm][Mm][Aa][Nn][Dd][Ss]:\n(.*?)(?=^\S|\Z)", text)
    inner = re.findall(r"(?m)^  (?=\S)([a-z-]+)", section.group(1)) if section else []
    options = set(re.findall(r"(?m)^ +(?:-\w,)?(--[a-z0-9-]+)", text)) - {"--help"}
    yield " ".join(path), options
    for name in inner:
        yield from commands_of(binary, (*path, name))


def manual(name):
    text = (ROOT / "docs" / "man" / name).read_text()
    return re.sub(r"\\f[BIRP]", "", text).replace("\\-", "-")


def test_the_manual_of_selvage_names_every_command_and_option(selvage_binaries):
    page = manual("selvage.1")
    seen = list(commands_of(selvage_binaries / "selvage"))
    assert len(seen) > 20
    missing = []
    for path, options in seen:
        words = [word for word in path.split() if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", page)]
        missing += [path for _ in words] + [f"{path} {option}" for option in options if option not in page]
    assert missing == []


def test_the_manual_of_selvaged_names_every_option(selvage_binaries):
    page = manual("selvaged.8")
    [(_, options)] = commands_of(selvage_binaries / "selvaged")
    assert len(options) > 30
    assert [option for option in sorted(options) if not re.search(rf"{option}(?![\w-])", page)] == []


def test_the_manual_of_the_file_names_every_key(selvage_binaries):
    page = run(selvage_binaries / "selvage", "config", "keys", "--man")
    keys = json.loads(run(selvage_binaries / "selvage", "--json", "config", "keys"))
    assert len(keys) > 40
    for key in keys:
        assert f".B {key['key']}\n".replace("-", "\\-") in page
    if shutil.which("groff"):
        done = subprocess.run(["groff", "-man", "-ww", "-Tutf8"], input=page, capture_output=True, text=True,
                              check=True)
        assert done.stderr == ""
