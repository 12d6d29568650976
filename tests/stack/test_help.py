"""The command line as a whole: every help text, every example in one, every option that the guide names, completion."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cli.app import app, main

CHECKOUT = Path(__file__).parents[2]
OPERATOR = (CHECKOUT / "docs" / "operator.md").read_text(encoding="utf-8")
SECTION = OPERATOR.split("\n## Commands\n")[1].split("\n## ")[0]
USAGE = re.compile(r"`meterline ([^`]*)`")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
WORD = re.compile("[a-z][a-z0-9-]*")
EXAMPLE = re.compile(r"^ *(Example: meterline|As in:) (.*)$", re.MULTILINE)
IN_JSON_ANYWAY = {"rate"}


def walk(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group below it, itself first."""
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, (*words, name))


COMMANDS = dict(walk(typer.main.get_command(app)))
GROUPS = {words for words, command in COMMANDS.items() if getattr(command, "commands", None)}
RUNNABLE = {words: command for words, command in COMMANDS.items() if words not in GROUPS}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Usage, a sentence, and each option and argument with its own; no settings and no database are needed."""
    assert 0 == main([*words, "--help"])
    shown = capsys.readouterr().out

    assert shown.startswith(f"Usage: {' '.join(('meterline', *words))} ")
    command = COMMANDS[words]
    assert (command.help or "").split("\n\n")[0].strip().endswith(".")
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{words}: {parameter.name} is not explained"


@pytest.mark.parametrize("words", RUNNABLE, ids=" ".join)
def test_every_command_that_answers_can_do_so_for_programs(words: tuple[str, ...]) -> None:
    """`--json`."""
    options = {option for parameter in RUNNABLE[words].params for option in parameter.opts}
    assert ("--json" in options) or " ".join(words) in IN_JSON_ANYWAY


def leaf(usage: str) -> tuple[str, ...]:
    """The command that a usage begins with: one that can be run, and all small words before the first other."""
    words = tuple(itertools.takewhile(WORD.fullmatch, usage.split()))
    while words not in COMMANDS and len(words) > 1 and words[:-1] in COMMANDS and words[:-1] not in GROUPS:
        words = words[:-1]  # an argument that stands there as it is typed
    assert words in COMMANDS, f"meterline {usage}"
    assert words not in GROUPS or COMMANDS[words].invoke_without_command, f"meterline {usage}: which of its commands?"
    return words


def options_of(words: tuple[str, ...]) -> set[str]:
    return {option for parameter in COMMANDS[words].params for option in (*parameter.opts, *parameter.secondary_opts)}


def rows() -> list[tuple[list[str], str]]:
    """Of the guide's list: the usages that a row has, and its explanation."""
    lines = [line for line in SECTION.splitlines() if line.startswith("| `meterline ")]
    found = []
    for line in lines:
        usage, text = re.split(r"(?<!\\) \| ", line.removeprefix("| ").removesuffix(" |"), maxsplit=1)
        found.append((USAGE.findall(usage), text))
    return found


@pytest.mark.parametrize(("usages", "text"), rows(), ids=[row[0][0] for row in rows()])
def test_what_the_guide_names_exists(usages: list[str], text: str) -> None:
    """Every command of a row down to the last word, its options, those in the explanation, and commands in it."""
    known: set[str] = set()
    for usage in usages:
        own = options_of(leaf(usage))
        assert set() == set(OPTION.findall(usage)) - own, usage
        known |= own
    for usage in USAGE.findall(text):
        own = options_of(leaf(usage))
        assert set() == set(OPTION.findall(usage)) - own, usage
    quoted = " ".join(re.findall("`([^`]*)`", USAGE.sub("", text)))
    assert set() == set(OPTION.findall(quoted)) - known


def test_the_guide_has_every_command() -> None:
    """Each that can be run stands in the list."""
    named = {leaf(usage) for usages, text in rows() for usage in (*usages, *USAGE.findall(text))}
    assert set() == set(RUNNABLE) - named


@pytest.mark.parametrize("usage", ["reseller nonsense NAME", "nonsense", "user", "customer showw NAME"])
def test_a_command_that_is_not_there_is_found_out(usage: str) -> None:
    """By the check above."""
    with pytest.raises(AssertionError):
        leaf(usage)


def test_the_examples_can_be_found() -> None:
    """Where there is one, it is seen."""
    marked = sum(len(re.findall("Example|As in", command.help or "")) for command in COMMANDS.values())
    assert marked == len(examples()) >= 3


def examples() -> list[list[str]]:
    """The words after `Example: meterline` and `As in:`, which leaves out what is before the command's own name."""
    found = []
    for words, command in COMMANDS.items():
        for mark, line in EXAMPLE.findall(command.help or ""):
            found.append([*(words[:-1] if mark == "As in:" else ()), *shlex.split(line)])
    return found


@pytest.mark.parametrize(
    ("shell", "asked"),
    [
        ("bash", {"COMP_WORDS": "meterline {}", "COMP_CWORD": "1"}),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "meterline {}"}),
    ],
)
@pytest.mark.parametrize(
    ("typed", "wanted"), [("stat", {"statement"}), ("cd", {"cdrs"})]
)
def test_a_shell_completes_commands(shell: str, asked: dict[str, str], typed: str, wanted: set[str]) -> None:
    """As its completion script asks."""
    variables = {name: text.format(typed) for name, text in asked.items()}
    answer = meterline({"_METERLINE_COMPLETE": f"complete_{shell}", **variables})
    assert wanted == set(re.findall(r'^([a-z]+)$|"([a-z]+)":', answer)[0]) - {""}


def test_a_shell_completes_options() -> None:
    """Those of the command that was typed."""
    answer = meterline(
        {"_METERLINE_COMPLETE": "complete_bash", "COMP_WORDS": "meterline statement acme --z", "COMP_CWORD": "3"}
    )
    assert ["--zone"] == answer.split()


@pytest.mark.parametrize(("shell", "mark"), [("bash", "complete -o default -F"), ("zsh", "#compdef meterline")])
def test_the_completion_script_of_a_shell_can_be_shown(shell: str, mark: str) -> None:
    """What --show-completion shows and --install-completion installs."""
    assert mark in meterline({"_METERLINE_COMPLETE": f"source_{shell}"})


def test_bash_itself_completes(tmp_path: Path) -> None:
    """A real bash, with the script that it was given, puts the rest of the word there."""
    script = tmp_path / "completion"
    script.write_text(meterline({"_METERLINE_COMPLETE": "source_bash"}), encoding="utf-8")
    asked = (
        f"source {script}; PATH={CHECKOUT / 'bin'}:$PATH; COMP_WORDS=(meterline traf); COMP_CWORD=1;"
        ' _meterline_completion meterline; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
    assert ("traffic\n", "") == (done.stdout, done.stderr)


def test_bash_learns_it_for_good(tmp_path: Path) -> None:
    """--install-completion, in the shell that it is for."""
    environment = {"PATH": f"{CHECKOUT / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    asked = "meterline --install-completion; true"
    installed = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, env=environment, check=True)
    assert "bash completion installed" in installed.stdout
    asked = "source ~/.bashrc; complete -p meterline"
    learnt = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, env=environment, check=True)
    assert "-F _meterline_completion meterline" in learnt.stdout


def meterline(variables: dict[str, str]) -> str:
    """What bin/meterline prints when a shell asks it so."""
    environment = {"PATH": os.environ["PATH"], **variables}
    done = subprocess.run(
        [CHECKOUT / "bin" / "meterline"], capture_output=True, text=True, check=False, env=environment
    )
    assert "" == done.stderr
    return done.stdout
