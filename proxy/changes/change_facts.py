"""What a host answers about changes: its models, its settings, and what a change brings."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


class LiveSetting(BaseModel):
    """One setting of a running host, as JSON has its values; `changed`: not as the host was started.

    `held`: it counts at once, or an engine came up with this value; else `awaited` says whether one is still
    tried. `refused` is why the last change of it did not work, until it is changed again.
    """

    key: str
    meaning: str
    allowed: str
    value: Any
    default: Any
    default_text: str
    effect: Literal["at once", "engine restart"]
    changed: bool
    held: bool = True
    awaited: bool = False
    refused: str = ""


class LiveSettings(BaseModel):
    """The settings that this host can change while it runs."""

    settings: list[LiveSetting]


class Changed(BaseModel):
    """What follows from a change: the keys that differ now, and the requests that the engine waits for.

    `values` are those that were asked for, also where they counted already, by the whole keys.
    """

    changed: list[str]
    values: dict[str, Any] = {}
    restarting: bool = False
    running: int = 0
    model: str = ""


class LocalModel(BaseModel):
    """One model of this machine; bytes, tokens and speeds (tokens a second) are 0 where they are not known.

    The speeds are those of its newest `anyclaude-tui models bench`. `reason` says why its condition is not
    `ready`. `loaded`: it is the one that the engine has.
    """

    name: str
    path: str
    store: str
    condition: str
    reason: str = ""
    architecture: str = ""
    quantization: str = ""
    size_bytes: int = 0
    window_tokens: int = 0
    fitting_tokens: int = 0
    family: str = ""
    cache: str = ""
    prefill_speed: float = 0.0
    decode_speed: float = 0.0
    loaded: bool = False

    @property
    def served_tokens(self) -> int:
        """The context that an engine would serve: the window, as far as it fits."""
        known = [tokens for tokens in (self.window_tokens, self.fitting_tokens) if tokens]
        return min(known, default=0)


class LocalModelList(BaseModel):
    """The models of the host's machine, and what its engine may take of the memory."""

    models: list[LocalModel]
    limit_bytes: int
    limit_reason: str
