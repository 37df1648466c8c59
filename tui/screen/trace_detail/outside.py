"""A text in another program, $PAGER or $EDITOR, which has the terminal until it ends."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from textual.app import App, SuspendNotSupported

from engine.process.private_files import open_private

Program = Literal["pager", "editor"]
_VARIABLES: dict[Program, tuple[tuple[str, ...], str]] = {
    "pager": (("PAGER",), "less"),
    "editor": (("VISUAL", "EDITOR"), "nano"),
}


class NoProgram(Exception):
    """Raised when the text cannot be shown there; the message is for people."""


def program_words(program: Program, environ: Mapping[str, str]) -> list[str]:
    """The command of the user's pager or editor, in words.

    Raises:
        NoProgram: none is set, or it is no command.
    """
    names, example = _VARIABLES[program]
    command = next((environ[name] for name in names if environ.get(name, "").strip()), "")
    if not command:
        unset = (
            f"${names[0]} is not set" if len(names) == 1 else f"Neither ${names[0]} nor ${names[1]} is set"
        )
        raise NoProgram(f"{unset}. In your shell: export {names[-1]}={example}")
    try:
        return shlex.split(command)
    except ValueError as error:
        raise NoProgram(f"{command} is no command: {error}") from None


def show_outside(
    app: App[None], program: Program, text: str, name: str, *, environ: Mapping[str, str]
) -> str:
    """Leave the terminal to the program until it ends; returns what to say then, if anything.

    Raises:
        NoProgram: see `program_words`; the screen cannot leave its terminal; the program cannot be started.
    """
    words = program_words(program, environ)
    failed: NoProgram | None = None
    said = ""
    try:
        with app.suspend(), _interrupts_ignored():
            try:  # within: behind an error Textual does not take the terminal back
                said = run_on_copy(words, text, name, terminal=_terminal())
            except NoProgram as error:
                failed = error
    except SuspendNotSupported:
        raise NoProgram("The screen cannot leave its terminal here.") from None
    if failed is not None:
        raise failed
    return said


def run_on_copy(words: list[str], text: str, name: str, *, terminal: int | None = None) -> str:
    """Run a command on a copy of the text that only its user can read, and that is removed then.

    Raises:
        NoProgram: it cannot be started, or the file cannot be written.
    """
    folder = tempfile.mkdtemp(prefix="anyclaude-")  # 0700
    path = Path(folder) / name
    try:
        with open_private(path, "wb") as file:
            file.write(text.encode("utf-8", "replace"))
        written = path.stat().st_mtime_ns
        ended = subprocess.run([*words, str(path)], stdin=None, stdout=terminal, stderr=terminal, check=False)
        if ended.returncode:
            return f"{words[0]} ended with exit code {ended.returncode}."
        changed = not path.exists() or path.stat().st_mtime_ns != written
        return "It was a copy: what you changed in it is not kept." if changed else ""
    except OSError as error:
        raise NoProgram(f"{words[0]} could not be run: {error.strerror or error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _terminal() -> int | None:
    """The descriptor of the terminal: 1 and 2 lead to the screen's log meanwhile."""
    stream = sys.__stdout__
    try:
        return stream.fileno() if stream is not None and os.isatty(stream.fileno()) else None
    except (OSError, ValueError):
        return None


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Ctrl+c is for the program in front; a handler, unlike `SIG_IGN`, is not passed on to it."""
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
