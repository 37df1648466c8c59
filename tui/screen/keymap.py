"""The commands with the keys that they have here: the table's, or the user's own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from textual.binding import Binding, BindingType

from tui.screen.keys.command import PANES, STANDING_ALONE, Command
from tui.screen.keys.table import COMMANDS, PLAYING

# The user's own keys, by id: they are those of the whole process, as the table is.
_own_keys: dict[str, str] = {}


def take_keys(keys: Mapping[str, str]) -> None:
    """From now on show these keys, by id (`tui.screen.choices.user_keys`), in place of the table's."""
    _own_keys.clear()
    _own_keys.update(keys)
    _of_places.cache_clear()
    key_of.cache_clear()


def commands(*places: str) -> list[Command]:
    """The commands of `places`, in the table's order, with the user's keys."""
    return list(_of_places(places))


@lru_cache(maxsize=64)
def _of_places(places: tuple[str, ...]) -> tuple[Command, ...]:
    found = (command for command in (*COMMANDS, *PLAYING) if command.place in places)
    return tuple(map(_with_own_keys, found))


@lru_cache(maxsize=256)
def key_of(id_: str) -> str:
    """The key of a command, as users see it: for hints that stand beside what they lead to."""
    return next(_with_own_keys(one).key for one in (*COMMANDS, *PLAYING) if one.id == id_)


_NAMED = re.compile(r"\{([a-z_]+\.[\w:-]+)\}")


def with_keys(text: str) -> str:
    """A text of ours with the key of each command that it names, as in `{traces.list} clears the filter`."""
    ids = {one.id for one in (*COMMANDS, *PLAYING)}
    return _NAMED.sub(lambda found: key_of(found[1]) if found[1] in ids else found[0], text)


def clearing_key(widget: object) -> str:
    """The key that clears the filter of a list, by the place that it stands in."""
    places = [getattr(one, "place", "") for one in getattr(widget, "ancestors", ())]
    lists = [f"{place}.list" for place in places if place in dict(PANES)]
    return key_of(lists[0]) if lists else "esc"


def all_commands() -> list[Command]:
    """The whole table, with the user's keys."""
    return [_with_own_keys(command) for command in COMMANDS]


def commands_on(place: str) -> list[Command]:
    """All commands of a screen over the panes, with the user's keys."""
    return [_with_own_keys(command) for command in default_commands_on(place)]


def default_commands_on(place: str) -> list[Command]:
    """All commands of a screen over the panes: its own, and the common ones whose keys it leaves free."""
    own = [command for command in COMMANDS if command.place == place]
    if place in STANDING_ALONE:
        return own
    taken = {key for command in own for key in command.keys.split(",")}
    common = (command for command in COMMANDS if command.place == "opened")
    return own + [one for one in common if not taken.intersection(one.keys.split(","))]


def _with_own_keys(command: Command) -> Command:
    keys = _own_keys.get(command.id)
    return command if keys is None else replace(command, keys=keys, shown="", bar="")


def bindings(place: str) -> list[BindingType]:
    """The Textual bindings of the main screen, of a pane, or of a screen over the panes.

    Those of a recording come before those of the focused widget.
    """
    below = [one for one in (*COMMANDS, *PLAYING) if one.place == place]
    found = below if place in STANDING_ALONE else default_commands_on(place)
    return [
        Binding(
            command.keys, command.action, command.title, show=False, priority=place == "play", id=command.id
        )
        for command in found
    ]


def footer(found: Iterable[Command]) -> list[Command]:
    """The commands of the footer, the most important first."""
    return sorted((command for command in found if command.short), key=lambda one: one.rank)
