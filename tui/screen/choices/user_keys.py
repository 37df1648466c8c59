"""The user's own keys: `keys` of the configuration, checked and brought into the form of Textual's keymap."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from textual.keys import Keys, _character_to_key

from tui.screen.keymap import default_commands_on
from tui.screen.keys.command import PANES, Command, shown_key
from tui.screen.keys.table import COMMANDS

MODIFIERS = ("ctrl", "shift", "alt", "super")
_NAMED = frozenset(key.value for key in Keys)
# Lists and texts are moved in by these, whatever else is there.
MOVING = frozenset({"up", "down", "k", "j", "pageup", "pagedown", "home", "g", "end", "G", "enter"})
# What keyboards say, and what Textual calls it.
_OTHER_NAMES = {"esc": "escape", "return": "enter", "pgup": "pageup", "pgdn": "pagedown", "del": "delete"}


class KeyProblems(ValueError):
    """The user's keys cannot be used; `problems` has one line for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


@dataclass(frozen=True)
class _Chosen:
    """One entry of the configuration: the name as it stands there, its commands, and their keys."""

    name: str
    commands: tuple[Command, ...]
    keys: tuple[str, ...]


def user_keys(chosen: Mapping[str, str]) -> dict[str, str]:
    """Keys by the ids of commands, of `chosen`: keys by `action` or `place.action`.

    Raises:
        KeyProblems: an action or a key does not exist, or a key would have two meanings in one place.
    """
    problems: list[str] = []
    entries: list[_Chosen] = []
    for name, text in chosen.items():
        commands = tuple(command for command in COMMANDS if name in (command.name, command.id))
        keys = tuple(_key(part.strip()) for part in _parts(text))
        if not commands:
            problems.append(_unknown(name))
        elif "" in keys or not keys:
            problems.append(
                f'keys.{name}: "{text}" is no key; allowed: a sign such as X or ?, f1 to f24, a name such as'
                f" space or delete, each with {', '.join(MODIFIERS)} and + before it; several with commas"
            )
        else:
            entries.append(_Chosen(name, commands, keys))
    # The more special name counts: `trace.why` before `why`.
    entries.sort(key=lambda entry: "." in entry.name)
    found = {command.id: ",".join(entry.keys) for entry in entries for command in entry.commands}
    for entry in entries:
        problems += _conflicts(entry, found)
    if problems:
        raise KeyProblems(list(dict.fromkeys(problems)))
    return found


def _parts(text: str) -> list[str]:
    """Keys between commas; a comma alone is a key."""
    return [text.strip()] if text.strip() in (",", "ctrl+,", "alt+,") else text.split(",")


def _key(text: str) -> str:
    """A key as Textual names it; empty where there is none of this name."""
    text = text.replace("^", "ctrl+", 1) if len(text) > 1 else text
    *modifiers, base = text.split("+") if len(text) > 1 and not text.endswith("++") else [text]
    modifiers = [modifier.lower() for modifier in modifiers]
    if not set(modifiers) <= set(MODIFIERS):
        return ""
    if len(base) == 1 and base.isprintable() and not base.isspace():
        base = _character_to_key(base.lower() if "ctrl" in modifiers else base)
    else:
        base = _OTHER_NAMES.get(base.lower(), base.lower())
        if base not in _NAMED:
            return ""
    return "+".join([*dict.fromkeys(modifiers), base])


def _unknown(name: str) -> str:
    known = sorted({known for command in COMMANDS for known in (command.name, command.id)})
    near = difflib.get_close_matches(name, known, 1)
    meant = f"; {near[0]}?" if near else "."
    actions = ", ".join(sorted({command.name for command in COMMANDS}))
    return (
        f"keys.{name}: there is no such action{meant} There are: {actions};"
        " each also with its place before it, as in streams.copy (anyclaude-tui config keys lists all)"
    )


def _places() -> Iterator[tuple[str, list[Command]]]:
    """The commands whose keys are listened to together, by the name of the place."""
    main = [command for command in COMMANDS if command.place == "main"]
    for pane, _ in PANES:
        yield pane, [*main, *(command for command in COMMANDS if command.place == pane)]
    for place in dict.fromkeys(command.place for command in COMMANDS):
        if place not in ("main", "opened", *dict(PANES)):
            yield place, default_commands_on(place)


def _conflicts(entry: _Chosen, found: Mapping[str, str]) -> Iterator[str]:
    for command in entry.commands:
        if found[command.id] != ",".join(entry.keys):  # overruled by a more special name
            continue
        for key in entry.keys:
            said = f'keys.{entry.name}: "{shown_key(key)}"'
            if key in MOVING and key not in command.keys.split(","):
                yield f"{said} moves in lists and texts; choose another key"
                continue
            if other := _other_with(key, command, found):
                yield (
                    f"{said} is the key of {other.id} ({other.title}) too;"
                    f" choose another key, or give that one another: keys.{other.id}"
                )


def _other_with(key: str, command: Command, found: Mapping[str, str]) -> Command | None:
    """Another command that listens to `key` where `command` does."""
    for _, together in _places():
        if command in together:
            for other in together:
                if other is not command and key in found.get(other.id, other.keys).split(","):
                    return other
    return None
