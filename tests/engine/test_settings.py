"""The engine's settings, from a parent's JSON line or from a command line."""

from __future__ import annotations

from typing import Any

import pytest

from engine.options.setting import settings_of
from engine.settings import (
    EngineSettings,
    SettingsError,
    argument_parser,
    settings_from,
    settings_from_options,
)


def test_json_and_options_say_the_same() -> None:
    said, warnings = settings_from({"model": "m", "port": 0, "max_batch": 2})
    assert said == settings_from_options(["--model", "m", "--port", "0", "--max-batch", "2"])
    assert warnings == []


def test_an_unknown_key_is_a_warning_that_names_the_nearest_one() -> None:
    settings, warnings = settings_from({"modle": "m"})
    assert settings == EngineSettings()
    assert "'modle'" in warnings[0]
    assert "did you mean model?" in warnings[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("port", "many"),
        ("port", 70000),
        ("max_batch", 0),
        ("max_queue", 0),
        ("model", 7),
        ("stall_after_s", 0),
        ("prefill_chunk", 0),
        ("kv_bits", 5),
        ("grammar", "perhaps"),
    ],
)
def test_a_wrong_value_is_named(key: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=f"setting {key} = {value!r}: "):
        settings_from({key: value})


def test_every_setting_has_an_option_that_explains_itself() -> None:
    text = argument_parser().format_help()
    for name, setting in settings_of(EngineSettings).items():
        assert f"--{name.replace('_', '-')}" in text
        assert " ".join(setting.help.split()[:3]) in " ".join(text.split())


def test_the_window_is_also_known_by_its_former_name() -> None:
    asked = EngineSettings(context_tokens=4096)
    assert settings_from({"context_length": 4096}) == (asked, [])
    assert settings_from_options(["--context-length", "4096"]) == asked
    assert settings_from_options(["--context-tokens", "4096"]) == asked


def test_what_is_not_said_is_as_by_default() -> None:
    """A host says every setting, also those whose default no user could say."""
    assert settings_from({"context_tokens": 0, "kv_bits": None, "tool_format": ""}) == (EngineSettings(), [])
