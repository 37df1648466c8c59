from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.anthropic.compaction import compacts_at
from tui.commands.claude_window import (
    COMPACTION,
    LEAST_COMPACTION,
    LEAST_WINDOW,
    OUTPUT,
    SET_HERE,
    WINDOW,
    longest_answer,
    own_values,
    window_notice,
    window_table,
    window_variables,
)
from tui.commands.user_settings import UserSettings

KEY = "backends.mlx.contextTokens"
WINDOWS = (32_768, 37_000, 40_000, 50_000, 65_536, 81_920, 99_999, 100_000, 131_072, 200_000, 262_144)


@pytest.mark.parametrize(
    ("window", "answer", "compaction"),
    [
        (4_096, 1_024, -9_928),
        (32_768, 2_048, 17_720),
        (37_000, 2_048, 21_952),
        (39_999, 2_048, 24_951),
        (40_000, 4_096, 22_904),
        (40_960, 4_096, 23_864),
        (49_000, 4_096, 31_904),
        (50_000, 5_000, 32_000),
        (60_000, 15_000, 32_000),
        (65_536, 20_536, 32_536),
        (80_000, 32_000, 47_000),
        (99_999, 32_000, 66_999),
    ],
)
def test_the_longest_answer_leaves_room_for_the_conversation(
    window: int, answer: int, compaction: int
) -> None:
    assert longest_answer(window) == answer
    assert compacts_at(window, answer) == compaction


@given(window=st.integers(LEAST_WINDOW, 99_999))
def test_every_window_that_was_seen_to_work_has_that_room(window: int) -> None:
    assert compacts_at(window, longest_answer(window)) >= LEAST_COMPACTION
    assert window_notice(window, {}, setting=KEY) == ""


@pytest.mark.parametrize(
    ("tokens", "own", "variables"),
    [
        (0, {}, {}),
        (40_000, {}, {WINDOW: "40000", OUTPUT: "4096"}),
        (99_999, {}, {WINDOW: "99999", OUTPUT: "32000"}),
        (100_000, {}, {WINDOW: "100000", COMPACTION: "100000"}),
        (262_144, {}, {WINDOW: "262144", COMPACTION: "262144"}),
        (40_000, {OUTPUT: "8000"}, {WINDOW: "40000"}),
        (131_072, {WINDOW: "50000"}, {OUTPUT: "5000"}),
        (0, {WINDOW: "50000"}, {OUTPUT: "5000"}),
        (40_000, {WINDOW: "200000", COMPACTION: "150000"}, {}),
        (40_000, {WINDOW: "wide", OUTPUT: "-"}, {}),
    ],
)
def test_the_variables_follow_the_window_and_the_users_own_values_win(
    tokens: int, own: dict[str, str], variables: dict[str, str]
) -> None:
    told = window_variables(tokens, own)
    assert told.pop(SET_HERE, "").split() == [f"{name}={value}" for name, value in variables.items()]
    assert told == variables


class TestOwnValues:
    def test_settings_win_over_the_environment_and_the_strongest_settings_over_others(self) -> None:
        settings = UserSettings({"env": {OUTPUT: 1000}}, ({"env": {OUTPUT: "2", WINDOW: "3"}},), ())
        assert own_values(settings, {OUTPUT: "4", COMPACTION: "5"}) == {
            OUTPUT: "1000",
            WINDOW: "3",
            COMPACTION: "5",
        }

    @pytest.mark.parametrize("env", [None, [], {OUTPUT: None}, {OUTPUT: ""}, {OUTPUT: {}}])
    def test_empty_settings_are_no_value(self, env: Any) -> None:
        assert own_values(UserSettings({"env": env}, (), ()), {OUTPUT: ""}) == {}

    def test_what_was_set_here_for_a_shell_is_not_the_users(self) -> None:
        before = window_variables(40_000, {})
        nothing = UserSettings({}, (), ())
        assert own_values(nothing, before) == {}
        assert own_values(nothing, {**before, OUTPUT: "9000"}) == {OUTPUT: "9000"}


class TestRemark:
    def test_a_too_small_window_is_reported_with_the_minimum(self) -> None:
        said = window_notice(32_768, {}, setting=KEY)
        assert "the window of 32768 tokens is too small for long tasks" in said
        assert "compacts at 17720; 37000 is the smallest" in said

    @pytest.mark.parametrize("value", ["32000", "abc"])
    def test_a_users_answer_length_that_fills_the_window_is_reported(self, value: str) -> None:
        said = window_notice(50_000, {OUTPUT: value}, setting=KEY)
        assert f"your own {OUTPUT}={value}" in said
        assert "5000 would fit" in said

    def test_a_window_of_the_users_own_is_judged_as_theirs(self) -> None:
        assert "the window of 30000" in window_notice(131_072, {WINDOW: "30000"}, setting=KEY)
        assert window_notice(30_000, {WINDOW: "131072"}, setting=KEY) == ""

    def test_an_unknown_window_is_reported_with_the_setting(self) -> None:
        assert KEY in window_notice(0, {}, setting=KEY)
        assert window_notice(0, {WINDOW: "abc"}, setting=KEY) == ""

    def test_the_bundled_model_has_room(self) -> None:
        assert window_notice(131_072, {}, setting=KEY) == ""


def test_the_docs_have_the_rule_by_window() -> None:
    docs = (Path(__file__).parents[3] / "docs" / "running.md").read_text("utf-8")
    assert window_table(WINDOWS) in docs
