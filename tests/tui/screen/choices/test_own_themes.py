"""The user's own themes, and the one to begin with."""

from __future__ import annotations

from typing import Any

import pytest
from textual.theme import BUILTIN_THEMES

from tests.tui.trace_samples import SampleHost
from tui.screen.app import ControlCenter
from tui.screen.choices.configured import settle_choices
from tui.screen.choices.own_themes import ThemeProblems, own_themes
from tui.screen.theme_choice import ThemeChoice
from tui.screen.themes import DAY, NIGHT, OWN_THEMES


def themes(**chosen: dict[str, str]) -> Any:
    return own_themes(chosen, BUILTIN_THEMES.values())


def test_a_theme_is_its_base_and_what_differs_from_it() -> None:
    mine, pale, third = themes(
        mine={"background": "#000000", "restored": "#00ffcc"},
        pale={"base": "anyclaude-day", "error": "red"},
        third={"base": "mine", "background": "#ffffff"},
    )
    assert (mine.primary, mine.background, mine.dark) == (NIGHT.primary, "#000000", True)
    assert mine.variables == NIGHT.variables | {"ac-restored": "#00ffcc"}
    assert (pale.background, pale.error, pale.dark) == (DAY.background, "red", False)
    assert (third.variables["ac-restored"], third.dark) == ("#00ffcc", False)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (
            {"mine": {"base": "dracla"}},
            r'themes\.mine\.base: there is no theme "dracla"; dracula\? there are: ',
        ),
        (
            {"mine": {"bakground": "red"}},
            r"mine\.bakground: there is no such colour; there are: primary",
        ),
        ({"mine": {"ok": "gren"}}, r'themes\.mine\.ok: "gren" is no colour; allowed: such as #86c491'),
        ({"nord": {"ok": "red"}}, r"themes\.nord: there is a theme of this name"),
    ],
)
def test_what_cannot_be_is_said_with_what_there_is(chosen: dict[str, dict[str, str]], said: str) -> None:
    with pytest.raises(ThemeProblems, match=said):
        themes(**chosen)


def test_the_choices_are_settled_as_a_whole() -> None:
    choices, problems = settle_choices("mine", {"mine": {"ok": "red"}}, {"why": "f2"}, "bell")
    assert (choices.theme, [one.name for one in choices.themes], choices.notify) == ("mine", ["mine"], "bell")
    assert (choices.keys["main.why"], problems) == ("f2", [])
    choices, problems = settle_choices("nigt", {"mine": {"o": "red"}}, {"whi": "f2"}, "off")
    assert [problem.split(":")[0] for problem in problems] == ["themes.mine.o", "theme", "keys.whi"]
    assert (choices.theme, choices.themes, choices.keys) == ("", (), {})


async def test_a_screen_begins_with_the_configured_theme_and_says_so_when_another_is_chosen() -> None:
    choices, _ = settle_choices("mine", {"mine": {"background": "#010203"}}, {}, "off")
    app = ControlCenter(themes=ThemeChoice(environ={}, configured=choices.theme), choices=choices)
    app.client = SampleHost([])
    async with app.run_test(size=(60, 14)) as pilot:
        assert app.theme == "mine"
        assert app.screen.styles.background.hex == "#010203"
        app.theme = "anyclaude-contrast"
        await pilot.pause()
        assert ["mine, as configured" in one.message for one in app._notifications] == [True]
        for theme in OWN_THEMES[2:]:  # the snapshots show night and day
            app.theme = theme.name
            await pilot.pause()
            assert app.current_theme is theme
            assert "Streams" in app.export_screenshot()
