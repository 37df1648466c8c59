"""What a command is given: the options behind its name over those before it."""

from __future__ import annotations

import typer
from typer.testing import CliRunner

from tui.commands.invocation import Invocation
from tui.commands.options import on_disk, on_host

BEFORE = Invocation({"port": 1, "config": "a", "home": "h"}, "http://a", {})


def given(*words: str) -> tuple[str, Invocation]:
    """What the command of this line gets."""
    app, got = typer.Typer(), list[tuple[str, Invocation]]()

    @app.callback()
    def begun(context: typer.Context) -> None:
        context.obj = BEFORE

    @app.command()
    @on_host
    def asks(invocation: Invocation, text: str) -> None:
        got.append((text, invocation))

    @app.command()
    @on_disk
    def reads(invocation: Invocation, text: str = "none") -> None:
        got.append((text, invocation))

    ended = CliRunner().invoke(app, words, catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return got[0]


def test_without_options_of_its_own_those_before_it_count() -> None:
    assert given("asks", "x") == ("x", BEFORE)
    assert given("reads") == ("none", BEFORE)


def test_options_behind_it_win_and_the_rest_stays() -> None:
    text, got = given("asks", "--port", "2", "x", "--attach", "http://b", "--config", "c")
    assert (text, got) == ("x", Invocation({"port": 2, "config": "c", "home": "h"}, "http://b", {}))
    assert given("reads", "--config", "c")[1].options == {"port": 1, "config": "c", "home": "h"}
