"""Blocks whose commands do not end by themselves fail as well when their command is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents.blocks import CommandBlock, DocumentedCommand
from tests.documents.workplace import CommandDiffers, Workplace


def follow(folder: Path, command: str, *shown: str) -> None:
    block = CommandBlock("doc.md", 1, ("follow",), [DocumentedCommand(command, 2, list(shown))])
    with Workplace(folder / "you") as here:
        here.begin()
        here.run(block)


def test_a_followed_command_that_waits_for_ctrl_c_is_as_documented(tmp_path: Path) -> None:
    follow(tmp_path, "sh -c 'echo up; exec sleep 60' | cat", "up")


@pytest.mark.parametrize("command", ["ls --no-such-option", "ls --no-such-option | cat"])
def test_a_followed_command_that_only_prints_an_error_differs(tmp_path: Path, command: str) -> None:
    with pytest.raises(CommandDiffers, match=r"doc\.md:2: ls .*\ndid not wait for ctrl\+c, and ended with"):
        follow(tmp_path, command)
