"""What each kind of backend makes of its settings: addresses, ports, keys and models that fit together.

Each rule completes `fields`, which become those of `HostConfig`, and adds what is wrong to the layers'
`problems`.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from proxy.config import BackendKind, ConfigError, HostConfig
from proxy.config_layers import Layers
from proxy.known_backends import KNOWN_BACKENDS
from proxy.model_folder import hub_id_or_folder

Rule = Callable[[Layers, dict[str, Any], str, Path, Path], None]


def check_access(layers: Layers, fields: dict[str, Any]) -> None:
    """Refuse to listen for other machines without a token."""
    host = fields.get("host", "127.0.0.1")
    if not _is_loopback(host) and not fields.get("token"):
        layers.problems.append(
            f"{layers.sources['host']} is {host}, which other machines can reach; "
            "set a token (ANYCLAUDE_TOKEN, or token in the file), or use 127.0.0.1"
        )


def _mlx(layers: Layers, fields: dict[str, Any], section: str, cwd: Path, user_home: Path) -> None:
    # The engine listens for this machine only, so that key protects nothing; and it is no client's token.
    fields.pop("backend_key", None)
    address = urlsplit(fields.pop("backend_url", ""))
    if address.hostname and not _is_loopback(address.hostname):
        layers.problems.append(
            f"{layers.sources['backend_url']} is {address.geturl()}, but the engine runs on this machine; "
            'allowed: a local address, or backend "openai" for a server elsewhere'
        )
    _engine_port(layers, fields, section, address)
    if model := fields.get("model"):
        try:
            base = layers.base("model", cwd)
            fields["model"] = hub_id_or_folder(model, base=base, user_home=user_home)
        except ConfigError as error:
            layers.problems += [f"{layers.sources['model']}: {problem}" for problem in error.problems]


def _engine_port(layers: Layers, fields: dict[str, Any], section: str, address: SplitResult) -> None:
    """The engine's port: as set, else as the backend's section has it, in `port` or in `baseUrl`."""
    port, where = layers.section_value(section, "port")
    if port is not None and address.port not in (None, port) and layers.from_file("backend_url"):
        layers.warnings.append(f"{where} is {port} but baseUrl says {address.port}; port counts")
    if "engine_port" not in fields:
        if port is not None:
            fields["engine_port"], layers.sources["engine_port"] = port, where
        elif address.port is not None:
            fields["engine_port"] = address.port
            layers.sources["engine_port"] = layers.sources["backend_url"]
    defaults = HostConfig.model_fields
    chosen = [fields.get(name, defaults[name].default) for name in ("port", "engine_port")]
    if chosen[0] == chosen[1] != 0:
        layers.problems.append(
            f"port {chosen[0]} is meant for both the proxy ({layers.sources['port']}) and the engine "
            f"({layers.sources['engine_port']}); choose two"
        )


def _openai(layers: Layers, fields: dict[str, Any], section: str, cwd: Path, user_home: Path) -> None:
    name = fields["backend_name"]
    known = KNOWN_BACKENDS[name]
    file = str(layers.file.path) if layers.file else "~/.anyclauderc.json"
    url = fields.get("backend_url") or _usual_url(layers, section, known.url)
    if not url:
        layers.problems.append(
            f'backend "{name}" has no address; set backends.{name}.baseUrl in {file} '
            "or ANYCLAUDE_BASE_URL, such as http://127.0.0.1:8000/v1"
        )
    elif not urlsplit(url).path:
        url += "/v1"  # where every OpenAI-compatible server has it
    fields["backend_url"] = url
    if known.needs_key and not fields.get("backend_key"):
        layers.problems.append(
            f'backend "{name}" needs a key; set ANYCLAUDE_API_KEY, or backends.{name}.apiKey in {file}'
        )


def _usual_url(layers: Layers, section: str, url: str) -> str:
    """The backend's usual address, on the port that its section names, if it names one."""
    port, _ = layers.section_value(section, "port")
    address = urlsplit(url)
    if port and _is_loopback(address.hostname or ""):
        return f"{address.scheme}://{address.hostname}:{port}{address.path}"
    return url


def _claude(layers: Layers, fields: dict[str, Any], section: str, cwd: Path, user_home: Path) -> None:
    url = fields.get("backend_url") or KNOWN_BACKENDS[fields["backend_name"]].url
    fields["backend_url"] = url.removesuffix("/v1")  # the client's paths begin with it


BACKEND_RULES: dict[BackendKind, Rule] = {"mlx": _mlx, "openai": _openai, "claude": _claude}


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
