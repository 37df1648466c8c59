"""One configuration out of all layers, checked as a whole.

Nothing here starts, connects or imports a model: whatever can be known to be wrong is found before that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxy.config import HostConfig
from proxy.config_backends import BACKEND_RULES, check_access
from proxy.config_file import find_config_file, read_config_file
from proxy.config_layers import SETTINGS, Layers, unknown_variables
from proxy.known_backends import KNOWN_BACKENDS

DEFAULT_HOME = ".anyclaude"  # in the user's home


@dataclass(frozen=True, slots=True)
class Settled:
    """The configuration, what should be said about it, and where each of its values came from."""

    config: HostConfig
    warnings: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None


def settle(options: Mapping[str, Any], *, environ: Mapping[str, str], cwd: Path, user_home: Path) -> Settled:
    """Merge the layers and check the whole.

    `options` holds the command line's values under `HostConfig`'s field names (`backend_name` for
    `--backend`), and `config` for `--config`; None stands for an option that was not given.

    Raises:
        ConfigError: one line for each thing that is wrong.
    """
    named = options.get("config") or environ.get("ANYCLAUDE_CONFIG") or ""
    path = find_config_file(str(named), cwd, user_home)
    file = read_config_file(path) if path else None
    layers = Layers(options, environ, file)
    backend = layers.pick("backend_name", "", default="mlx")
    section = file.section(backend) if file and backend in KNOWN_BACKENDS else backend
    for name in SETTINGS:
        if name != "backend_name":
            layers.pick(name, section)
    layers.raise_problems()
    fields = _resolve(layers, backend, section, cwd, user_home)
    layers.raise_problems()
    warnings = [*(file.warnings if file else ()), *layers.warnings, *unknown_variables(environ)]
    return Settled(HostConfig(**fields), tuple(warnings), layers.sources, path)


def _resolve(layers: Layers, backend: str, section: str, cwd: Path, user_home: Path) -> dict[str, Any]:
    """The fields of `HostConfig`, with paths made absolute and the backend's own rules applied."""
    known = KNOWN_BACKENDS[backend]
    fields = {**layers.values, "backend": known.kind, "backend_name": backend}
    fields["home"] = user_home / DEFAULT_HOME
    if layers.values.get("home"):
        fields["home"] = layers.absolute("home", cwd, user_home)
    enabled, where = layers.section_value(section, "enabled")
    if enabled is False:
        asked = layers.sources["backend_name"]
        layers.warnings.append(f"{where} is false, but the backend was chosen by {asked}; it is used")
    BACKEND_RULES[known.kind](layers, fields, section, cwd, user_home)
    check_access(layers, fields)
    return fields
