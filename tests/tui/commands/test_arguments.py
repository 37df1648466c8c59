"""Every argument of every command, with texts that a script makes of what is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.core import TyperArgument
from typer.testing import CliRunner

from tests.tui.test_cli import run
from tui.cli import app

SOUND = "x1"


def arguments_of_all_commands() -> Iterator[tuple[tuple[str, ...], int, str]]:
    """A command line with sound arguments, which of its words is one, and the name of that one."""

    def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int, str]]:
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, (*words, name))
        taken = [each for each in command.params if isinstance(each, TyperArgument)]
        for place, each in enumerate(taken, len(words)):
            yield (*words, *[SOUND] * len(taken)), place, str(each.metavar)

    return walk(typer.main.get_command(app), ())


CASES = list(arguments_of_all_commands())


def test_each_command_with_an_argument_is_tried() -> None:
    tried = {" ".join(words[:place]).removesuffix(f" {SOUND}") for words, place, _ in CASES}
    assert tried >= {
        "cancel",
        "cache pin",
        "config set",
        "models use",
        "record",
        "traces list",
        "traces diff",
    }


@pytest.mark.parametrize(("words", "place", "name"), CASES, ids=lambda part: str(part))
@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "it is empty"),
        (" ", "it has nothing but blanks"),
        ("   ", "it has nothing but blanks"),
        ("\t", r"it has the character '\t', which cannot be seen"),
        ("a\nb", r"it has the character '\n', which cannot be seen"),
        ("a\x1b[2Jb", r"it has the character '\x1b', which cannot be seen"),
        ("\x7f", r"it has the character '\x7f', which cannot be seen"),
    ],
)
def test_what_is_blank_or_hidden_is_wrong_usage(
    words: tuple[str, ...], place: int, name: str, text: str, wrong: str, tmp_path: Path
) -> None:
    given = [*words[:place], text, *words[place + 1 :]]
    ended = CliRunner().invoke(app, given, env={"HOME": str(tmp_path)}, color=False)
    assert ended.exit_code == 2
    assert f"Invalid value for '{name}': {wrong}" in ended.stderr
    assert ended.stdout == ""
    assert "\x1b" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("hidden", ["a\u200bb", "\u202e"])
def test_a_name_has_no_letters_without_width_and_a_path_may(hidden: str, tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["cancel", hidden], env={"HOME": str(tmp_path)})
    assert refused.exit_code == 2
    assert "cannot be seen" in refused.stderr
    (tmp_path / f"{hidden}.json").write_text("{}")
    assert run(tmp_path, "config", "check", f"{hidden}.json").returncode == 0
