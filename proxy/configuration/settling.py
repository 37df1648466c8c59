"""One configuration out of all layers, checked as a whole.

Nothing here starts, connects or imports a model: whatever can be known to be wrong is found before that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.options.kinds import printable
from proxy.configuration.backends import BACKEND_RULES, check_access
from proxy.configuration.destination import ENGINE_HERE, public_url
from proxy.configuration.file import ConfigFile
from proxy.configuration.files import STATE_FOLDER, Ask, gather_files, trust_list
from proxy.configuration.known_backends import KNOWN_BACKENDS
from proxy.configuration.layers import Layers, unknown_variables
from proxy.configuration.provenance import Origin, Source
from proxy.configuration.search import settle_search, web_destinations
from proxy.configuration.settings import SETTINGS
from proxy.configuration.settled import ConfigError, HostConfig


@dataclass(frozen=True, slots=True)
class Settled:
    """The configuration, the warnings about it, and the source of each of its values."""

    config: HostConfig
    warnings: tuple[str, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)
    files: tuple[ConfigFile, ...] = ()  # that count, the uppermost first

    @property
    def account(self) -> tuple[str, ...]:
        """What a command that starts a host prints first: which files count, and where requests go."""
        lines = []
        if self.files:
            lines.append("configuration: " + ", over ".join(_described(file) for file in self.files))
        model = self.sources.get("model")
        if model is not None and model.origin is Origin.FOLDER_FILE:
            lines.append(f"model: {printable(self.config.model)} (from {model.described})")
        lines.append(f"requests go to {self.config.destination or ENGINE_HERE}")
        if self.config.checks_calls and self.config.auto_mode == "model" and self.config.auto_mode_url:
            lines.append(f"checks of auto mode go to {public_url(self.config.auto_mode_url)}")
        lines += web_destinations(self.config)
        return tuple(lines)


def settle(
    options: Mapping[str, Any],
    *,
    environ: Mapping[str, str],
    cwd: Path,
    user_home: Path,
    ask: Ask | None = None,
) -> Settled:
    """Merge the layers and check the whole.

    `options` holds the command line's values under `HostConfig`'s field names (`backend_name` for
    `--backend`), and `config` for `--config`; None stands for an option that was not given. `ask` is called
    where a file of the working directory sets more than counts without the user's trust.

    Raises:
        ConfigError: one line for each thing that is wrong.
    """
    trust = trust_list(user_home)
    named = str(options.get("config") or "") or _whole_path("ANYCLAUDE_CONFIG", environ, "--config")
    found = gather_files(named, cwd=cwd, user_home=user_home, trust=trust, ask=ask)
    layers = Layers(options, environ, found.files, found.warnings)
    backend = layers.pick("backend_name", "", default="mlx")
    for name in SETTINGS:
        if name not in ("backend_name", "backend_key", "search_key"):  # keys: by where they would go
            layers.pick(name, backend)
    layers.raise_problems()
    fields = _resolve(layers, backend, cwd, user_home)
    layers.raise_problems()
    warnings = (*layers.warnings, *unknown_variables(environ))
    return Settled(HostConfig(**fields), warnings, layers.sources, tuple(found.files))


def _resolve(layers: Layers, backend: str, cwd: Path, user_home: Path) -> dict[str, Any]:
    """The fields of `HostConfig`, with paths made absolute and the backend's own rules applied."""
    known = KNOWN_BACKENDS[backend]
    fields = {**layers.values, "backend": known.kind, "backend_name": backend}
    fields["home"] = user_home / STATE_FOLDER
    if layers.values.get("home"):
        if layers.sources["home"].origin is Origin.ENVIRONMENT:
            _whole_path("ANYCLAUDE_HOME", layers.environ, "--home")
        fields["home"] = layers.absolute("home", cwd, user_home)
    enabled, where = layers.section_value(backend, "enabled")
    if enabled is False:
        asked = layers.sources["backend_name"]
        layers.warnings.append(f"{where} is false, but the backend was chosen by {asked}; it is used")
    BACKEND_RULES[known.kind](layers, fields, cwd, user_home)
    fields["backend_key"] = layers.values["backend_key"]
    settle_search(layers, fields)
    if (url := fields.get("auto_mode_url")) and not urlsplit(url).path:
        fields["auto_mode_url"] = url + "/v1"  # where every OpenAI-compatible server has it
    check_access(layers, fields)
    for name in ("home", "model", "adapter", "draft_model"):
        path = str(fields.get(name, ""))
        if not _is_text(path):  # a process that is started takes text alone
            layers.problems.append(
                f"{layers.sources[name]}: {printable(path)} has a name that is no UTF-8 text; rename it, "
                "or choose another"
            )
    return fields


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _whole_path(name: str, environ: Mapping[str, str], option: str) -> str:
    """A variable that names a path, empty where it is not set.

    It is set once for all folders. A relative path in it would be another place in each of them, also in a
    repository that has something there.

    Raises:
        ConfigError: the path is relative.
    """
    path = environ.get(name, "").strip()
    if path and not path.startswith(("/", "~/")) and path != "~":
        raise ConfigError(
            f"{name} is {printable(path)}, another place in each folder; allowed: a whole path. "
            f"For this one run: {option} {printable(path)}"
        )
    return path


def _described(file: ConfigFile) -> str:
    """A file and how far it counts, for people."""
    path = printable(str(file.path), 500)
    match file.origin:
        case Origin.OWN_FILE:
            return f"{path} (yours)"
        case Origin.FOLDER_FILE:
            return f"{path} ({file.standing or 'harmless keys only'})"
        case _:
            return path
