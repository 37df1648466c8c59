"""What stands behind a command's name: no argument is blank, and none has characters that nobody sees.

A script whose variable is empty (`models use "$NAME"`) gets an error that names the argument, not what the
command does without one.
"""

from __future__ import annotations

from typing import Any

import typer


def argument(metavar: str, text: str, *, path: bool = False, **more: Any) -> Any:
    """An argument as typer takes it within `Annotated`; `text` is its help. A path may be of any bytes."""
    return typer.Argument(metavar=metavar, help=text, parser=_path if path else _word, **more)


def _word(text: str) -> str:
    return _written(text, [letter for letter in text if not letter.isprintable()])


def _path(text: str) -> str:
    return _written(text, [letter for letter in text if letter < " " or letter == "\x7f"])


def _written(text: str, hidden: list[str]) -> str:
    if hidden:
        raise typer.BadParameter(f"it has the character {hidden[0]!a}, which cannot be seen")
    if not text.strip():
        raise typer.BadParameter("it has nothing but blanks" if text else "it is empty")
    return text
