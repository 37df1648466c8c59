"""The user's own keys: which are allowed, where they count, and that screen, help and list show them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tui.stage import drawn
from tests.tui.trace_samples import SampleHost
from tests.tui.traffic import Morning
from tui.screen.app import ControlCenter
from tui.screen.choices.configured import ScreenChoices
from tui.screen.choices.user_keys import KeyProblems, user_keys
from tui.screen.keymap import commands, take_keys
from tui.screen.keys.command import shown_key
from tui.screen.keys.table import COMMANDS
from tui.screen.screens.help import HelpScreen, help_pieces
from tui.screen.widgets.key_bar import KeyBar
from tui.screen.widgets.top_bar import TopBar


@pytest.fixture(autouse=True)
def the_tables_own_keys_again() -> Iterator[None]:
    yield
    take_keys({})


def test_each_command_has_a_name_of_its_own() -> None:
    names = [command.id for command in COMMANDS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("chosen", "keys"),
    [
        ({"streams.cancel": "X"}, {"streams.cancel": "X"}),
        ({"colours": "f2"}, {"main.colours": "f2", "opened.colours": "f2"}),
        ({"colours": "f2", "main.colours": "f3"}, {"main.colours": "f3", "opened.colours": "f2"}),
        ({"main.palette": "ctrl+K, ^space"}, {"main.palette": "ctrl+k,ctrl+space"}),
        ({"main.help": "!"}, {"main.help": "exclamation_mark"}),
        ({"main.help": "Pgup"}, None),
        ({"main.filter": "_,;"}, {"main.filter": "underscore,semicolon"}),
        ({"main.settings": ","}, {"main.settings": "comma"}),
        ({"tools.read": "enter,space"}, {"tools.read": "enter,space"}),
        ({"pane:cache": "F6"}, {"main.pane:cache": "f6", "opened.pane:cache": "f6"}),
        # Two that change places.
        ({"main.why": "d", "main.diff": "w"}, {"main.why": "d", "main.diff": "w"}),
        ({"main.next_pane:1": "alt+n"}, {"main.next_pane:1": "alt+n"}),
        ({}, {}),
    ],
)
def test_keys_by_action_or_by_place_and_action(chosen: dict[str, str], keys: dict[str, str] | None) -> None:
    if keys is None:
        with pytest.raises(KeyProblems, match="moves in lists"):
            user_keys(chosen)
    else:
        assert user_keys(chosen) == keys


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"whi": "f2"}, r"keys\.whi: there is no such action; why\? There are: again, back, .*config keys"),
        ({"cache.cancel": "f2"}, r"keys\.cache\.cancel: there is no such action[;.] "),
        ({"why": "hyper+x"}, r'keys\.why: "hyper\+x" is no key; allowed: a sign'),
        ({"why": "f2,,f3"}, "is no key"),
        ({"why": "ctrl+"}, "is no key"),
        ({"why": "wx"}, "is no key"),
        ({"streams.cancel": "q"}, r'"q" is the key of main\.leave \(Quit\) too; .* keys\.main\.leave'),
        ({"main.why": "x"}, r'"x" is the key of streams\.cancel '),
        ({"why": "f2", "main.diff": "f2"}, r'keys\.why: "f2" is the key of main\.diff'),
        ({"streams.copy": "j"}, r'"j" moves in lists and texts; choose another key'),
        ({"trace.fold": "1"}, r'"1" is the key of trace\.part:0'),
        ({"diff.copy": "1"}, r'"1" is the key of opened\.pane:streams'),
    ],
)
def test_what_cannot_be_is_said_with_what_there_is(chosen: dict[str, str], said: str) -> None:
    with pytest.raises(KeyProblems, match=said):
        user_keys(chosen)


def test_each_problem_is_a_line() -> None:
    with pytest.raises(KeyProblems) as raised:
        user_keys({"nothing": "x", "why": "no such key"})
    assert [problem.split(":")[0] for problem in raised.value.problems] == ["keys.nothing", "keys.why"]


@pytest.mark.parametrize(
    ("key", "shown"),
    [("ctrl+k", "^k"), ("question_mark", "?"), ("f2", "f2"), ("tab", "tab"), ("space", "space"), ("X", "X"),
     ("alt+left", "alt+←"), ("comma", ",")],
)  # fmt: skip
def test_keys_are_shown_as_keyboards_have_them(key: str, shown: str) -> None:
    assert shown_key(key) == shown


def test_a_key_of_the_users_stands_alone_in_the_footer() -> None:
    take_keys({"trace.next": "f7"})
    assert [(one.key, one.bar) for one in commands("trace") if one.id == "trace.next"] == [("f7", "")]


async def test_the_screen_listens_to_the_users_keys_and_shows_them() -> None:
    morning = Morning().play()
    keys = user_keys({"help": "f4", "pane:cache": "f6", "main.colours": "T"})
    app = ControlCenter(clock=lambda: morning.now, choices=ScreenChoices(keys=keys))
    app.client = SampleHost([])
    async with app.run_test(size=(120, 40)) as pilot:
        app.inbox.put(morning.state())
        app.frame()
        await pilot.press("2")
        assert app.main.current.place == "streams"  # the table's own key is free now
        await pilot.press("f6")
        assert app.main.current.place == "cache"
        bar = "".join(text for text, _ in app.main.query_one(KeyBar)._draw_bar(120, 1)[0])
        assert "f4 help" in bar
        assert "f6 Cache" in drawn(app.main.query_one(TopBar))[0]
        assert "f4" in "".join(text for text, _ in help_pieces("cache", 80))
        await pilot.press("f4")
        assert isinstance(app.screen, HelpScreen)
    assert {one.key for one in commands("main") if one.name == "colours"} == {"T"}
    ControlCenter()
    assert {one.key for one in commands("main") if one.name == "colours"} == {"^t"}
