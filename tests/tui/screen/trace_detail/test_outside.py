"""Texts in another program: which one, on what file, and what is left of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest
from textual.app import App

from tui.screen.trace_detail.outside import NoProgram, program_words, run_on_copy, show_outside


@pytest.mark.parametrize(
    ("program", "environ", "said"),
    [
        ("pager", {}, r"\$PAGER is not set\. In your shell: export PAGER=less"),
        ("pager", {"EDITOR": "vi", "PAGER": " "}, r"\$PAGER is not set"),
        ("editor", {"PAGER": "less"}, r"Neither \$VISUAL nor \$EDITOR is set"),
        ("editor", {"EDITOR": "vi 'x"}, "vi 'x is no command"),
    ],
)
def test_a_program_that_is_not_set_is_told(program: Any, environ: dict[str, str], said: str) -> None:
    with pytest.raises(NoProgram, match=said):
        program_words(program, environ)


def test_the_users_own_editor_comes_first() -> None:
    assert program_words("editor", {"EDITOR": "vi", "VISUAL": "code -w"}) == ["code", "-w"]


def test_a_program_gets_a_private_copy_that_is_gone_then(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    words = ["/bin/sh", "-c", f'stat -c "%a %n" "$1" > {seen}; cat "$1" >> {seen}; echo more >> "$1"', "sh"]
    said = run_on_copy(words, "text \ud800", "req_1-answer.txt")
    mode, path = seen.read_text().split("\n")[0].split(" ", 1)
    assert (mode, seen.read_text().split("\n")[1]) == ("600", "text ?")
    assert path.endswith("/req_1-answer.txt")
    assert not Path(path).parent.exists()
    assert said == "It was a copy: what you changed in it is not kept."
    assert run_on_copy(["/bin/sh", "-c", "exit 3"], "x", "x.txt") == "/bin/sh ended with exit code 3."
    with pytest.raises(NoProgram, match="no-such-pager could not be run: No such file"):
        run_on_copy(["no-such-pager"], "x", "x.txt")


class Suspending:
    """An app as Textual suspends it: it takes its terminal back only behind a block that ends well."""

    resumed = False

    @contextmanager
    def suspend(self) -> Iterator[None]:
        yield
        self.resumed = True


@pytest.mark.parametrize("command", ["no-such-pager", "true"])
def test_the_screen_comes_back_also_from_a_program_that_is_not_there(command: str) -> None:
    app = Suspending()
    with suppress(NoProgram):
        show_outside(cast("App[None]", app), "pager", "x", "x.txt", environ={"PAGER": command})
    assert app.resumed
