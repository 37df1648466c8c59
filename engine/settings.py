"""What an engine process has to know: one JSON line from its parent, or options on its command line."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.options.kinds import NAME, PORT, TEXT
from engine.options.run_settings import RunSettings
from engine.options.setting import declared, settings_of

_FORMER_NAMES = {"context_length": "context_tokens"}


class SettingsError(ValueError):
    """The settings are wrong; the message is one line that names key, value and what is allowed."""


@dataclass(frozen=True, kw_only=True)
class EngineSettings(RunSettings):
    """How the engine runs its model, where it listens, and where it keeps computed prompts."""

    host: str = declared("127.0.0.1", NAME, "address to listen on")
    port: int = declared(8081, PORT, "port to listen on; 0: any free one")
    kv_cache_dir: str = declared(
        "",
        TEXT,
        "folder in which computed prompts outlive the engine",
        usual="none: they are in memory alone",
    )


_SETTINGS = settings_of(EngineSettings)


def settings_from(values: Mapping[str, Any]) -> tuple[EngineSettings, list[str]]:
    """Check settings; unknown keys come back as warnings.

    Raises:
        SettingsError: a value is wrong.
    """
    taken: dict[str, Any] = {}
    warnings = []
    for key, value in values.items():
        name = _FORMER_NAMES.get(key, key)
        setting = _SETTINGS.get(name)
        if setting is None:
            near = difflib.get_close_matches(key, _SETTINGS, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            warnings.append(f"the setting {key!r} is not known and was ignored{hint}")
            continue
        if value is None or value == setting.default:  # which may be outside of what a user may set
            continue
        try:
            taken[name] = setting.kind.check(value)
        except ValueError:
            raise SettingsError(f"setting {key} = {value!r}: allowed is {setting.kind.allowed}") from None
    return EngineSettings(**taken), warnings


def argument_parser() -> argparse.ArgumentParser:
    """The command line, with an option for each setting."""
    parser = argparse.ArgumentParser(
        prog="python -m engine",
        description="An OpenAI-compatible server for MLX models.",
        epilog="Example: python -m engine --model ~/models/Qwen3-Coder-30B-MLX-4bit --port 8081. "
        "Without options it reads its settings as one JSON line on stdin, and ends when stdin closes.",
    )
    for name, setting in _SETTINGS.items():
        former = [old for old, new in _FORMER_NAMES.items() if new == name]
        default = f" (default: {setting.default_text})" if setting.default_text else ""
        parser.add_argument(
            *("--" + each.replace("_", "-") for each in (name, *former)),
            dest=name,
            metavar=setting.metavar,
            default=argparse.SUPPRESS,
            help=setting.explained + default,
        )
    return parser


def settings_from_options(arguments: Sequence[str]) -> EngineSettings:
    """Settings out of command line arguments.

    Raises:
        SettingsError: a value is wrong.
        SystemExit: with 2 for an unknown option, with 0 after `--help`.
    """
    given = vars(argument_parser().parse_args(arguments))
    return settings_from({name: _SETTINGS[name].kind.from_text(text) for name, text in given.items()})[0]
