"""Where a setting can come from: command line over `ANYCLAUDE_*` environment over file over default."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.config import ConfigError
from proxy.config_file import ConfigFile, expand_home
from proxy.config_values import (
    BACKEND,
    BYTES,
    FLAG,
    GUESSES,
    KV_BITS,
    LEVEL,
    NAME,
    PORT,
    SECRET,
    TEXT,
    TOKENS,
    TOOL_FORMAT,
    URL,
    Kind,
    checked,
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One value and the names it goes by; `{backend}` in a file key is the chosen backend's section."""

    kind: Kind
    env: str
    option: str = ""
    file: str = ""


SETTINGS: dict[str, Setting] = {
    "backend_name": Setting(BACKEND, "ANYCLAUDE_BACKEND", "--backend", "backend"),
    "backend_url": Setting(URL, "ANYCLAUDE_BASE_URL", "", "backends.{backend}.baseUrl"),
    "backend_key": Setting(SECRET, "ANYCLAUDE_API_KEY", "", "backends.{backend}.apiKey"),
    "model": Setting(TEXT, "ANYCLAUDE_MODEL", "--model", "backends.{backend}.model"),
    "context_tokens": Setting(TOKENS, "ANYCLAUDE_CONTEXT_TOKENS", "", "backends.{backend}.contextTokens"),
    "upstream_system_turns": Setting(FLAG, "ANYCLAUDE_SYSTEM_TURNS", "", "backends.{backend}.systemTurns"),
    "prefix_cache_bytes": Setting(
        BYTES, "ANYCLAUDE_PREFIX_CACHE_BYTES", "", "backends.{backend}.prefixCacheBytes"
    ),
    "kv_bits": Setting(KV_BITS, "ANYCLAUDE_KV_BITS", "", "backends.{backend}.kvBits"),
    "tool_format": Setting(
        TOOL_FORMAT, "ANYCLAUDE_TOOL_FORMAT", "--tool-format", "backends.{backend}.toolFormat"
    ),
    "grammar": Setting(FLAG, "ANYCLAUDE_GRAMMAR", "", "backends.{backend}.grammar"),
    "draft_model": Setting(TEXT, "ANYCLAUDE_DRAFT_MODEL", "", "backends.{backend}.draftModel"),
    "draft_tokens": Setting(GUESSES, "ANYCLAUDE_DRAFT_TOKENS", "", "backends.{backend}.draftTokens"),
    "disk_cache_bytes": Setting(BYTES, "ANYCLAUDE_DISK_CACHE_BYTES", "", "backends.{backend}.diskCacheBytes"),
    "disk_writes_per_day_bytes": Setting(
        BYTES, "ANYCLAUDE_DISK_WRITES_PER_DAY_BYTES", "", "backends.{backend}.diskWritesPerDayBytes"
    ),
    "host": Setting(NAME, "ANYCLAUDE_HOST", "", "host"),
    "port": Setting(PORT, "ANYCLAUDE_PORT", "--port", "port"),
    "engine_port": Setting(PORT, "ANYCLAUDE_ENGINE_PORT", "--engine-port", "enginePort"),
    "home": Setting(NAME, "ANYCLAUDE_HOME", "--home", "home"),
    "token": Setting(SECRET, "ANYCLAUDE_TOKEN", "", "token"),
    "trace": Setting(FLAG, "ANYCLAUDE_TRACE", "", "debug.enableTraces"),
    "debug_level": Setting(LEVEL, "ANYCLAUDE_DEBUG", "", "debug.level"),
    "stream_logging": Setting(FLAG, "ANYCLAUDE_STREAM_LOGGING", "", "debug.enableStreamLogging"),
}
# Read elsewhere: by the commands, and to find the file.
OTHER_VARIABLES = ("ANYCLAUDE_CONFIG", "ANYCLAUDE_CLAUDE")


class Layers:
    """The layers of one run, the values picked from them so far, and what was found wrong."""

    def __init__(
        self, options: Mapping[str, Any], environ: Mapping[str, str], file: ConfigFile | None
    ) -> None:
        self.options, self.environ, self.file = options, environ, file
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.problems: list[str] = []
        self.warnings: list[str] = []

    def pick(self, name: str, section: str, default: Any = None) -> Any:
        """Take one setting from the uppermost layer that has it; `default` where none has a good value."""
        setting = SETTINGS[name]
        file_key = setting.file.format(backend=section)
        if (given := self.options.get(name)) is not None:
            return self._accept(name, setting.option, given, default)
        if text := self.environ.get(setting.env, "").strip():
            return self._accept(name, setting.env, setting.kind.from_text(text), default)
        if self.file and file_key in self.file.values:
            self.sources[name] = self.file.where(file_key)
            self.values[name] = self.file.values[file_key]
            return self.values[name]
        self.sources[name] = "default"
        return default

    def from_file(self, name: str) -> bool:
        return self.file is not None and self.sources.get(name, "").startswith(f"{self.file.path}: ")

    def _accept(self, name: str, where: str, value: Any, default: Any) -> Any:
        self.sources[name] = where
        try:
            self.values[name] = checked(SETTINGS[name].kind, value, where)
        except ValueError as error:
            self.problems.append(str(error))
            return default
        return self.values[name]

    def absolute(self, name: str, cwd: Path, user_home: Path) -> Path:
        """A path setting made absolute: in a file it is meant from the file's folder, else from `cwd`."""
        return self.base(name, cwd) / expand_home(self.values[name], user_home)

    def base(self, name: str, cwd: Path) -> Path:
        """The folder from which a relative path in this setting is meant."""
        return self.file.path.parent if self.file and self.from_file(name) else cwd

    def section_value(self, section: str, key: str) -> tuple[Any, str]:
        """What the file says in the backend's section, and where; (None, "") where it is silent."""
        path = f"backends.{section}.{key}"
        if self.file is None or path not in self.file.values:
            return None, ""
        return self.file.values[path], self.file.where(path)

    def raise_problems(self) -> None:
        """Raises: ConfigError: something was found wrong."""
        if self.problems:
            raise ConfigError(self.problems)


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Variables that look like a misspelt one of ours; others with our prefix may be another program's."""
    known = [*(setting.env for setting in SETTINGS.values()), *OTHER_VARIABLES]
    warnings = []
    for name in environ:
        if name.startswith("ANYCLAUDE_") and name not in known:
            match = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
            if match:
                warnings.append(f"{name} in the environment is not known; did you mean {match[0]}?")
    return warnings
