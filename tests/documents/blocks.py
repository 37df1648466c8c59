"""The command blocks of the documents, and what their marks say.

A fenced block without a language, or with `sh` or `console`, holds commands. Where a line begins with `$ `,
the lines below it show what the command prints; elsewhere each line is a command. Any other block names its
language, `text` where it has none.

A comment on the line before the fence marks the block, as in `<!-- run: exit 1 -->`. The marks:

- `host`: the block's last command stays running, as a host without a screen, until the last document of its
  group ends.
- `screen`: the command runs in a terminal, which has to show the text of the lines below it; `q` ends it.
- `follow`: each command is interrupted as with ctrl+c, once it has printed something.
- `alone`: where no host is: on another port than that of the host.
- `exit N`: the exit code of the last command, instead of 0.
- `claude`: needs the real Claude Code.

These blocks are not run:
- `macos`, `hub`, `global`: needs a Mac, a model of a hub, or installs something outside of this folder.
- `server`, `account`: needs another program's server, or an account.
- `ci`: what CI runs to get here, such as `make install`.
- `by hand`: changes the repository, takes long, or waits for a person.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

LEFT_OUT = {"macos", "hub", "global", "server", "account", "ci", "by hand"}
WAYS = {"host", "screen", "follow", "alone", "claude"}
_FENCE = re.compile(r"^( *)```([\w-]*)\s*$")
_MARKS = re.compile(r"^ *<!-- run: (.+) -->$")


@dataclass
class DocumentedCommand:
    """A command of a document, and the lines that it shows below it."""

    text: str
    line: int
    shown: list[str] = field(default_factory=list)


@dataclass
class CommandBlock:
    """A fenced block of commands with its marks; `line` is that of its fence."""

    document: str
    line: int
    marks: tuple[str, ...]
    commands: list[DocumentedCommand]

    @property
    def runs(self) -> bool:
        return not LEFT_OUT.intersection(self.marks)

    @property
    def exit_code(self) -> int:
        """Of its last command."""
        return next((int(mark.split()[1]) for mark in self.marks if mark.startswith("exit ")), 0)


def command_blocks(path: Path, name: str) -> list[CommandBlock]:
    """The command blocks of a document, in its order.

    Raises:
        ValueError: a mark is not known.
    """
    blocks = []
    lines = path.read_text("utf-8").splitlines()
    inside: tuple[int, int, str] | None = None  # the line of the fence, its indent and its language
    for number, line in enumerate(lines, 1):
        fence = _FENCE.match(line)
        if fence is None:
            continue
        if inside is None:
            inside = (number, len(fence[1]), fence[2])
            continue
        begin, indent, language = inside
        inside = None
        if language in ("", "sh", "console"):
            within = [text[indent:] for text in lines[begin : number - 1]]
            marks = _marks(lines[begin - 2] if begin > 1 else "", f"{name}:{begin - 1}")
            blocks.append(CommandBlock(name, begin, marks, _commands(within, begin + 1)))
    return blocks


def _marks(line: str, place: str) -> tuple[str, ...]:
    found = _MARKS.match(line)
    marks = tuple(mark.strip() for mark in found[1].split(",")) if found else ()
    for mark in marks:
        if mark not in LEFT_OUT | WAYS and not re.fullmatch(r"exit \d+", mark):
            raise ValueError(f"{place}: no mark {mark!r}; see tests/documents/blocks.py")
    return marks


def _commands(lines: list[str], first: int) -> list[DocumentedCommand]:
    prompted = any(line.startswith("$ ") for line in lines)
    commands: list[DocumentedCommand] = []
    for number, line in enumerate(lines, first):
        if commands and not commands[-1].shown and _goes_on(commands[-1].text, line, prompted):
            commands[-1].text += f"\n{line.removeprefix('> ') if prompted else line}"
        elif line.startswith("$ ") or (not prompted and line.strip() and not line.startswith("#")):
            commands.append(DocumentedCommand(line.removeprefix("$ "), number))
        elif prompted and commands and line.strip():
            commands[-1].shown.append(line)
    return commands


def _goes_on(command: str, line: str, prompted: bool) -> bool:
    return line.startswith("> ") if prompted else command.endswith("\\")
