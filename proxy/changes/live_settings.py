"""Changes of a running host: which settings may change, how a wish is checked, and what goes with a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.options.kinds import checked, nearest, printable
from engine.options.setting import Setting
from proxy.changes.change_facts import LiveSetting
from proxy.configuration.settings import ENGINE_SETTINGS, SETTINGS
from proxy.configuration.settled import ConfigError, HostConfig

OF_THE_MODEL = ("tool_format", "thinking_format", "context_tokens", "adapter", "draft_model")
"""Fields that were chosen for one model, and are taken back where another one is loaded."""

LIVE: dict[str, Setting] = {name: setting for name, setting in SETTINGS.items() if setting.live}
"""The settings that can be changed while a host runs, by the names of their fields."""


def live_settings(
    now: HostConfig, begun: HostConfig, *, engine: bool, held: HostConfig | None = None
) -> list[LiveSetting]:
    """Those of a host with the configuration `now`, begun with `begun`; `engine`: it runs one of its own.

    `held` is the configuration that an engine came up with, where that is another one.
    """
    return [
        LiveSetting(
            key=setting.key_of(now.backend_name),
            meaning=setting.help,
            allowed=setting.kind.allowed,
            value=getattr(now, name),
            default=setting.default,
            default_text=setting.default_text,
            effect="engine restart" if name in ENGINE_SETTINGS else "at once",
            changed=getattr(now, name) != getattr(begun, name),
            held=held is None or name not in ENGINE_SETTINGS or getattr(now, name) == getattr(held, name),
        )
        for name, setting in LIVE.items()
        if engine or name not in ENGINE_SETTINGS
    ]


def fields_by_key(backend: str) -> dict[str, str]:
    """The fields of all settings by their keys in the file, and by the last part of each."""
    whole = {setting.key_of(backend): name for name, setting in SETTINGS.items() if setting.key}
    return {key.rpartition(".")[2]: name for key, name in whole.items()} | whole


def read_values(wished: Mapping[str, Any], now: HostConfig, *, engine: bool) -> dict[str, Any]:
    """The values for fields, by keys of the configuration file with values as JSON has them.

    A key may be short: `loopTokens` stands for `backends.mlx.loopTokens`. null takes a change back to the
    default. `engine`: the host runs one of its own.

    Raises:
        ConfigError: a key is unknown or cannot be changed here, or a value is not allowed.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    names = fields_by_key(now.backend_name)
    for key, value in wished.items():
        name = names.get(key)
        if name is None:
            problems.append(f"there is no setting {printable(key, 80)}{nearest(key, names)}")
        elif name == "model":
            problems.append("the model is switched by itself: anyclaude-tui models use NAME")
        elif name not in LIVE:
            problems.append(f"{key} cannot be changed while a host runs: set it in the file and start again")
        elif name in ENGINE_SETTINGS and not engine:
            problems.append(f"{key} is the engine's, and this host runs none")
        else:
            try:
                setting = LIVE[name]
                as_default = value in (None, setting.default) and not isinstance(value, bool)
                values[name] = setting.default if as_default else checked(setting.kind, value, key)
            except ValueError as error:
                problems.append(str(error))
    if problems:
        raise ConfigError(problems)
    return values


def with_model(now: HostConfig, begun: HostConfig, model: str) -> HostConfig:
    """The configuration with another model, and without what was chosen for the one before.

    For the model that the host was begun with, what was chosen for that counts again.
    """
    if model == begun.model:
        fitting = {name: getattr(begun, name) for name in OF_THE_MODEL}
    else:
        fitting = {name: SETTINGS[name].default for name in OF_THE_MODEL}
    return replace(now, model=model, **fitting)
