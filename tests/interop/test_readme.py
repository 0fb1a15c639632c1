"""README.md is typed as it stands: its first session by an ordinary user on a real terminal, its example by a node.

How a `console` block of README.md is read:
- a line that begins with a prompt (`$ `, or one of PROMPTS) is what the reader types there;
- every other line is what the reader sees, character for character but for the number of spaces in a row;
- `...` in a line is any text of that line, and a line of nothing but `...` is any number of lines;
- the password that is typed as `...` is the one that `./dev up` has printed.
"""
import os
import re
import shutil
import time

import pytest

from selvage import PASSWORD_HASH, ROOT
from telnet import Telnet
from world import NOBODY

# The prompt of the reader's own shell; README shows it as "$ ". Nothing else prints this text, so when it
# comes back before the lines that README promises, they will not come any more.
OWN_PROMPT = "reader$ "
PROMPTS = ["login: ", "Password: ", "...$ ", "selvage> "]
STEP_LIMIT = 60
CONTROLS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[=>]|[\r\x07]")


def section(heading):
    text = (ROOT / "README.md").read_text()
    match = re.search(rf"(?ms)^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text)
    assert match, f"README.md has no section {heading!r}"
    return match.group(1)


def block(heading, language):
    match = re.search(rf"(?ms)^```{language}\n(.*?)^```$", section(heading))
    assert match, f"the section {heading!r} has no block of {language}"
    return match.group(1)


def steps_of(session):
    """[(prompt, what is typed there, what is seen then)] of a block."""
    steps = []
    for line in session.splitlines():
        prompt = next((prompt for prompt in ["$ ", *PROMPTS] if line.startswith(prompt)), None)
        if prompt is not None:
            steps.append((prompt, line[len(prompt):], ""))
        else:
            assert steps, "a session begins with something that is typed"
            steps[-1] = (*steps[-1][:2], steps[-1][2] + line + "\n")
    return steps


def squeezed(text):
    return re.sub(r"[ \t]+", " ", text)


def pattern_of(text):
    """The pattern that README's words stand for."""
    out = ""
    for line in squeezed(text).splitlines(keepends=True):
        if line == "...\n":
            out += r"(?:[^\n]*\n)*"
        else:
            out += r"[^\n]*".join(re.escape(part) for part in line.split("..."))
    return out


def marker(prompt):
    return re.escape(OWN_PROMPT) if prompt == "$ " else pattern_of(prompt)


class Reader(Telnet):
    """Somebody in front of a terminal, who types what README says and looks at what comes."""

    def shown(self):
        return squeezed(CONTROLS.sub("", self.text))

    def see(self, pattern, what):
        """Waits until everything that was not looked at yet is the pattern, and nothing more."""
        deadline = time.monotonic() + STEP_LIMIT
        while not re.fullmatch(pattern, self.shown()):
            over = self.shown().endswith("\n" + OWN_PROMPT) or time.monotonic() > deadline
            assert not over and self._read(0.5), f"{what}\nis not what came:\n{self.shown()}"
        seen, self.text = self.shown(), ""
        return seen

    def play(self, steps):
        """Types each step at its prompt and sees what README says, up to the prompt of the next one."""
        password = "(nobody has printed one)"
        self.see(marker("$ "), OWN_PROMPT)
        for (prompt, line, expected), following in zip(steps, [*(step[0] for step in steps[1:]), "$ "]):
            typed = password if (prompt, line) == ("Password: ", "...") else line
            self.send(typed + "\r")
            # What is typed is echoed, but for a password.
            echo = f"(?:{re.escape(squeezed(typed))})?\n"
            seen = self.see(echo + pattern_of(expected) + marker(following), f"{prompt}{line}\n{expected}{following}")
            printed = re.search(r"password (\S+)", seen)
            password = printed.group(1) if printed else password


@pytest.fixture
def reader(world, selvage_binaries):
    """In a checkout of their own, where the programs are built already; the network is only this machine's."""
    host = world.host("machine")
    checkout = world.directory / "selvage"
    programs = checkout / "build" / "release" / "bin"
    shutil.copytree(selvage_binaries, programs)
    shutil.copytree(ROOT / "scripts", checkout / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dev", checkout / "dev")
    home = world.directory / "home"
    home.mkdir()
    for path in [home, checkout, *checkout.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)
    words = ["env", "-C", checkout, "bash", "--noprofile", "--norc", "-i"]
    environment = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home), "USER": "nobody", "LOGNAME": "nobody",
                   "PS1": OWN_PROMPT, "SELVAGE_BIN_DIR": str(programs)}
    with Reader(host, None, words=words, as_nobody=True, env=environment, rows=40, columns=200) as person:
        yield person


def test_the_first_session_of_readme_goes_as_it_is_written(reader):
    steps = steps_of(block("A first session", "console"))
    assert steps[0][:2] == ("$ ", "./dev up"), "the first command of a newcomer"
    reader.play(steps)


@pytest.mark.parametrize("wrong", [
    "$ echo one; echo two\none\n",
    "$ echo one; echo two\none\ntwo\nthree\n",
    "$ echo one; echo two\none...two\n",
    "$ no-such-program\n",
    "$ no-such-program\nlogin: demo\n",
])
def test_a_session_that_does_not_go_as_it_is_written_is_noticed(reader, wrong):
    with pytest.raises(AssertionError, match="is not what came"):
        reader.play(steps_of("$ echo one; echo two\n...\ntwo\n$ echo a  b c\n... c\n" + wrong))
    assert reader.shown().endswith(OWN_PROMPT), "it got there"


def test_the_example_of_readme_is_a_good_configuration(world, selvage_binaries):
    host = world.host("office")
    file = world.directory / "office.toml"
    file.write_text(block("Two machines", "toml").replace("$6$...", PASSWORD_HASH))
    host.run(selvage_binaries / "selvage", "config", "check", file)
    line = re.search(r"(?m)^# selvaged +(.*)$", section("Two machines")).group(1)
    flags = line.replace("OFFICE", "192.0.2.1")
    host.run("sh", "-c", f"{selvage_binaries / 'selvaged'} --check-config {flags}")
