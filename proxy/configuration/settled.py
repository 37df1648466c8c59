"""The settled configuration of one host: one value a setting, from the layer that counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy.configuration.known_backends import BackendKind
from proxy.configuration.settings import HostSettings

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class ConfigError(ValueError):
    """The configuration cannot be used; raised before anything starts.

    `problems` has one line for each thing that is wrong, each naming where it stands, the value and what
    is allowed; `warnings` what was found beside it, such as a file that does not count.
    """

    def __init__(self, problems: str | Sequence[str], warnings: Sequence[str] = ()) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        self.warnings = tuple(warnings)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, kw_only=True)
class HostConfig(HostSettings):
    """Everything a proxy process has to know, as JSON-able values; it reads nothing else.

    The settings, and what follows from them.
    """

    backend: BackendKind = "mlx"
    destination: str = ""  # where requests go and by which source, for people; empty: to the built-in engine
    manage_engine: bool = True  # start and supervise the built-in engine; False: it runs already

    @property
    def checks_calls(self) -> bool:
        """Whether the host answers the checks of Claude Code's auto mode; never with the demo model."""
        demo = self.backend == "mlx" and not self.model
        return self.auto_mode != "off" and self.backend != "claude" and not demo

    @property
    def kv_cache_folder(self) -> Path:
        """Where the built-in engine keeps computed prompts, and what it measured for them."""
        return self.home / "kv-cache"

    def as_json(self) -> bytes:
        """One line without its end, for `from_values` in the host's process."""
        return _host_config().dump_json(self)

    @staticmethod
    def from_values(values: Mapping[str, Any]) -> HostConfig:
        """The configuration out of parsed JSON.

        Raises:
            pydantic.ValidationError: a value has the wrong type.
        """
        return _host_config().validate_python(values)


@cache
def _host_config() -> TypeAdapter[HostConfig]:
    from pydantic import TypeAdapter  # 100 ms, which no command spends that only reads the configuration

    return TypeAdapter(HostConfig)
