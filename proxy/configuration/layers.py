"""The layers of one run: command line over `ANYCLAUDE_*` environment over files over default."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.options.kinds import checked
from proxy.configuration.file import ConfigFile, expand_home
from proxy.configuration.provenance import DEFAULT, Origin, Source
from proxy.configuration.settings import OTHER_VARIABLES, SETTINGS
from proxy.configuration.settled import ConfigError


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
        found = next(self._values(name, backend), None)
        if found is None:
            self.sources[name] = DEFAULT
            return default
        value, self.sources[name] = found
        try:
            self.values[name] = checked(SETTINGS[name].kind, value, str(self.sources[name]))
        except ValueError as error:
            self.problems.append(str(error))
            return default
        return self.values[name]

    def each(self, name: str, backend: str) -> Iterator[tuple[Any, Source]]:
        """What every layer has for one setting, the uppermost first; wrong ones become problems."""
        for value, source in self._values(name, backend):
            try:
                yield checked(SETTINGS[name].kind, value, str(source)), source
            except ValueError as error:
                self.problems.append(str(error))

    def take(self, name: str, value: Any, source: Source) -> None:
        """Settle a setting that was chosen from `each`."""
        self.values[name], self.sources[name] = value, source

    def _values(self, name: str, backend: str) -> Iterator[tuple[Any, Source]]:
        setting = SETTINGS[name]
        if (given := self.options.get(name)) is not None:
            value = setting.kind.from_text(given) if isinstance(given, str) else given
            yield value, Source(Origin.COMMAND_LINE, setting.option)
        if text := self.environ.get(setting.env, "").strip():
            yield setting.kind.from_text(text), Source(Origin.ENVIRONMENT, setting.env)
        for file in self.files:
            key = setting.key_of(file.section(backend))
            if key in file.values:
                yield file.values[key], file.source(key)

    def absolute(self, name: str, cwd: Path, user_home: Path) -> Path:
        """A path setting made absolute: in a file it is meant from the file's folder, else from `cwd`."""
        return self.base(name, cwd) / expand_home(self.values[name], user_home)

    def base(self, name: str, cwd: Path) -> Path:
        """The folder from which a relative path in this setting is meant."""
        return self.sources[name].folder or cwd

    def section_value(self, backend: str, key: str) -> tuple[Any, Source]:
        """A value of the backend's section in the files, and its source; else (None, DEFAULT)."""
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
