"""Where a setting can come from: command line over `ANYCLAUDE_*` environment over files over default."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.configuration.file import ConfigFile, expand_home
from proxy.configuration.settled import ConfigError
from proxy.configuration.sources import DEFAULT, Origin, Source
from proxy.configuration.values import (
    BACKEND,
    BYTES,
    FLAG,
    GUESSES,
    KV_BITS,
    LEVEL,
    LOOP,
    MEMORY,
    NAME,
    PORT,
    SECRET,
    TEXT,
    TOKENS,
    TOOL_FORMAT,
    URL,
    WIRED,
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
    "backend_url": Setting(URL, "ANYCLAUDE_BASE_URL", "--base-url", "backends.{backend}.baseUrl"),
    "backend_key": Setting(SECRET, "ANYCLAUDE_API_KEY", "", "backends.{backend}.apiKey"),
    "model": Setting(TEXT, "ANYCLAUDE_MODEL", "--model", "backends.{backend}.model"),
    "context_tokens": Setting(TOKENS, "ANYCLAUDE_CONTEXT_TOKENS", "", "backends.{backend}.contextTokens"),
    "upstream_system_turns": Setting(FLAG, "ANYCLAUDE_SYSTEM_TURNS", "", "backends.{backend}.systemTurns"),
    "prefix_cache_bytes": Setting(
        BYTES, "ANYCLAUDE_PREFIX_CACHE_BYTES", "", "backends.{backend}.prefixCacheBytes"
    ),
    "memory_limit_bytes": Setting(
        MEMORY, "ANYCLAUDE_MEMORY_LIMIT_BYTES", "", "backends.{backend}.memoryLimitBytes"
    ),
    "wired": Setting(WIRED, "ANYCLAUDE_WIRED", "", "backends.{backend}.wired"),
    "kv_bits": Setting(KV_BITS, "ANYCLAUDE_KV_BITS", "", "backends.{backend}.kvBits"),
    "tool_format": Setting(
        TOOL_FORMAT, "ANYCLAUDE_TOOL_FORMAT", "--tool-format", "backends.{backend}.toolFormat"
    ),
    "grammar": Setting(FLAG, "ANYCLAUDE_GRAMMAR", "", "backends.{backend}.grammar"),
    "draft_model": Setting(TEXT, "ANYCLAUDE_DRAFT_MODEL", "", "backends.{backend}.draftModel"),
    "draft_tokens": Setting(GUESSES, "ANYCLAUDE_DRAFT_TOKENS", "", "backends.{backend}.draftTokens"),
    "loop_tokens": Setting(LOOP, "ANYCLAUDE_LOOP_TOKENS", "", "backends.{backend}.loopTokens"),
    "relax_gpu_watchdog": Setting(
        FLAG, "ANYCLAUDE_RELAX_GPU_WATCHDOG", "", "backends.{backend}.relaxGpuWatchdog"
    ),
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
    """The layers of one run, the values picked from them so far, and what was found wrong.

    `files` are those that count, the uppermost first.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        environ: Mapping[str, str],
        files: Sequence[ConfigFile] = (),
        warnings: Sequence[str] = (),
    ) -> None:
        self.options, self.environ, self.files = options, environ, files
        self.values: dict[str, Any] = {}
        self.sources: dict[str, Source] = {}
        self.problems: list[str] = []
        self.warnings = list(warnings)

    def pick(self, name: str, backend: str, default: Any = None) -> Any:
        """Take one setting from the uppermost layer that has it; `default` where none has a good value."""
        said = next(self._said(name, backend), None)
        if said is None:
            self.sources[name] = DEFAULT
            return default
        value, self.sources[name] = said
        try:
            self.values[name] = checked(SETTINGS[name].kind, value, str(self.sources[name]))
        except ValueError as error:
            self.problems.append(str(error))
            return default
        return self.values[name]

    def each(self, name: str, backend: str) -> Iterator[tuple[Any, Source]]:
        """What every layer has for one setting, the uppermost first; wrong values are left out and told."""
        for value, source in self._said(name, backend):
            try:
                yield checked(SETTINGS[name].kind, value, str(source)), source
            except ValueError as error:
                self.problems.append(str(error))

    def take(self, name: str, value: Any, source: Source) -> None:
        """Settle a setting that was chosen from `each`."""
        self.values[name], self.sources[name] = value, source

    def _said(self, name: str, backend: str) -> Iterator[tuple[Any, Source]]:
        setting = SETTINGS[name]
        if (given := self.options.get(name)) is not None:
            yield given, Source(Origin.COMMAND_LINE, setting.option)
        if text := self.environ.get(setting.env, "").strip():
            yield setting.kind.from_text(text), Source(Origin.ENVIRONMENT, setting.env)
        for file in self.files:
            key = setting.file.format(backend=file.section(backend))
            if key in file.values:
                yield file.values[key], file.source(key)

    def absolute(self, name: str, cwd: Path, user_home: Path) -> Path:
        """A path setting made absolute: in a file it is meant from the file's folder, else from `cwd`."""
        return self.base(name, cwd) / expand_home(self.values[name], user_home)

    def base(self, name: str, cwd: Path) -> Path:
        """The folder from which a relative path in this setting is meant."""
        return self.sources[name].folder or cwd

    def section_value(self, backend: str, key: str) -> tuple[Any, Source]:
        """What the files say in the backend's section, and where; (None, DEFAULT) where they are silent."""
        for file in self.files:
            path = f"backends.{file.section(backend)}.{key}"
            if path in file.values:
                return file.values[path], file.source(path)
        return None, DEFAULT

    def raise_problems(self) -> None:
        """Raises: ConfigError: something was found wrong."""
        if self.problems:
            raise ConfigError(self.problems, self.warnings)


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
