"""One table of commands for keys, footer, palette and help."""

from __future__ import annotations

from itertools import product

import pytest

from tui.screen.keymap import commands, footer, with_keys
from tui.screen.keys.command import PANES
from tui.screen.keys.table import COMMANDS, NEEDS_HOST, PLAYING
from tui.screen.screens.help import KEY_CELLS, help_pieces
from tui.screen.screens.help_text import HELP

PLACES = [place for place, _ in PANES]


@pytest.mark.parametrize("place", PLACES)
def test_no_key_means_two_things_in_one_place(place: str) -> None:
    own = [key for command in commands(place) for key in command.keys.split(",")]
    shared = [key for command in commands("main") for key in command.keys.split(",")]
    assert len(own) == len(set(own))
    assert len(shared) == len(set(shared))
    assert not set(own) & set(shared)


def test_titles_name_one_command_in_one_place() -> None:
    for place in (*PLACES, "main", "trace", "context"):
        titles = [command.title for command in commands(place)]
        assert len(titles) == len(set(titles))


@pytest.mark.parametrize(("place", "cells"), product([*PLACES, "trace", "replay", "context"], [40, 90]))
def test_help_explains_every_command_of_a_place(place: str, cells: int) -> None:
    text = "".join(part for part, _ in help_pieces(place, cells))
    assert place in HELP
    for command in commands(place):
        assert command.title.split()[0] in text
    assert all(len(line) <= cells + 16 for line in text.splitlines())


def test_the_help_of_a_recording_has_its_keys_and_none_that_need_a_host() -> None:
    class Playing:
        plays = True

    text = "".join(part for part, _ in help_pieces("health", 90, Playing()))
    assert all(command.title in text for command in PLAYING)
    assert all(command.title not in text for command in commands("health") if command.action in NEEDS_HOST)


def test_the_names_of_the_help_leave_a_gap_before_their_meaning() -> None:
    names = [with_keys(name) for groups in HELP.values() for _, entries in groups for name, _, _ in entries]
    assert [name for name in names if len(name) >= KEY_CELLS] == []


def test_the_footer_shows_the_important_first() -> None:
    shown = footer(COMMANDS)
    assert [command.rank for command in shown] == sorted(command.rank for command in shown)
    assert all(command.short for command in shown)
