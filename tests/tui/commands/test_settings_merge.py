from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.commands.settings_merge import SettingsConflict, merged

HOOK = {"hooks": [{"type": "command", "command": "lint"}]}


@pytest.mark.parametrize(
    ("theirs", "ours", "both"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"p": {"deny": ["Bash"]}}, {"p": {"off": True}}, {"p": {"deny": ["Bash"], "off": True}}),
        ({"p": {"q": {"r": 1, "s": 2}}}, {"p": {"q": {"s": 3}}}, {"p": {"q": {"r": 1, "s": 3}}}),
        ({"l": [1, 2]}, {"l": [2, 3]}, {"l": [1, 2, 3]}),
        ({"hooks": {"Stop": [HOOK]}}, {"p": {}}, {"hooks": {"Stop": [HOOK]}, "p": {}}),
        ({"a": {"b": 1}}, {"a": ""}, {"a": ""}),
    ],
)
def test_one_layer_goes_over_the_other(
    theirs: dict[str, Any], ours: dict[str, Any], both: dict[str, Any]
) -> None:
    assert merged(theirs, ours) == both


def test_the_place_of_a_clash_is_named() -> None:
    with pytest.raises(SettingsConflict, match=r"p\.q must be a JSON object"):
        merged({"p": {"q": [1]}}, {"p": {"q": {"r": 1}}})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)
SETTINGS = st.dictionaries(st.sampled_from("abcd"), JSON, max_size=4)


@given(theirs=SETTINGS, ours=SETTINGS)
def test_nothing_of_theirs_is_lost_but_single_values_that_ours_name(
    theirs: dict[str, Any], ours: dict[str, Any]
) -> None:
    try:
        both = merged(theirs, ours)
    except SettingsConflict:
        return
    assert all(merged(both, {key: value}) == both for key, value in ours.items())
    for path, value in _singles(theirs):
        if not _named(ours, path):
            assert _at(both, path) == value


def _singles(value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and value:
        return [single for key, inner in value.items() for single in _singles(inner, (*path, key))]
    return [(path, value)] if path and not isinstance(value, dict) else []


def _named(ours: Any, path: tuple[str, ...]) -> bool:
    """Whether `ours` has something at `path`, or a single value on the way to it."""
    for key in path:
        if not isinstance(ours, dict):
            return True
        if key not in ours:
            return False
        ours = ours[key]
    return True


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value[key]
    return value
