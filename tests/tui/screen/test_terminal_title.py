"""The terminal's title: what is written, and that the user's own comes back."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import Any

import pytest

from tui.screen.terminal_title import TerminalTitle, kept_title

XTERM = {"TERM": "xterm-256color"}
SAVED, RESTORED = "\x1b[22;2t", "\x1b]2;\x07\x1b[23;2t"


class Driver:
    def __init__(self, is_headless: bool = False) -> None:
        self.is_headless, self.written = is_headless, ""

    def write(self, text: str) -> None:
        self.written += text


def shown(driver: Any, *texts: str, environ: dict[str, str] = XTERM) -> str:
    title = TerminalTitle(environ)
    for text in texts:
        title.show(text, driver)
    return str(driver.written)


def test_a_title_is_written_once_and_without_control_characters() -> None:
    assert shown(Driver(), "▶2 61 tok/s", "▶2 61 tok/s", "ready") == "\x1b]2;▶2 61 tok/s\x07\x1b]2;ready\x07"
    for hostile in ("a\x07\x1b]52;c;eA==\x07", "\x9d2;x\x9c", "a\x1b\\b", "\u202ea\nb\ud800"):
        written = shown(Driver(), hostile).removeprefix("\x1b]2;").removesuffix("\x07")
        assert written.isprintable()


@pytest.mark.parametrize("term", ["dumb", "linux", ""])
def test_a_terminal_without_a_title_gets_none(term: str) -> None:
    assert shown(Driver(), "ready", environ={"TERM": term}) == ""
    assert shown(Driver(is_headless=True), "ready") == ""
    terminal = io.StringIO()
    with kept_title(terminal, {"TERM": term}):
        pass
    assert terminal.getvalue() == ""


def test_the_title_comes_back_however_it_ends() -> None:
    terminal = io.StringIO()
    with suppress(KeyboardInterrupt), kept_title(terminal, XTERM):
        assert terminal.getvalue() == SAVED
        raise KeyboardInterrupt
    assert terminal.getvalue() == SAVED + RESTORED
    closed = io.StringIO()
    with kept_title(closed, XTERM):
        closed.close()
    with kept_title(None, XTERM):
        pass
