"""What each kind of backend makes of its settings: addresses, ports, keys and models that fit together.

Each rule completes `fields`, which become those of `HostConfig`, and adds what is wrong to the layers'
`problems`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from engine.options.kinds import printable
from proxy.configuration.destination import destination, public_url, settle_key
from proxy.configuration.file import expand_home
from proxy.configuration.known_backends import KNOWN_BACKENDS, BackendKind
from proxy.configuration.layers import Layers
from proxy.configuration.model_folder import hub_id_or_folder, is_hub_id
from proxy.configuration.provenance import DEFAULT, TRUSTED, Origin, Source
from proxy.configuration.settings import SETTINGS
from proxy.configuration.settled import ConfigError

Rule = Callable[[Layers, dict[str, Any], Path, Path], None]


def check_access(layers: Layers, fields: dict[str, Any]) -> None:
    """Refuse to listen for other machines without a token."""
    host = fields.get("host", SETTINGS["host"].default)
    if not _is_loopback(host) and not fields.get("token"):
        layers.problems.append(
            f"{layers.sources['host']} is {host}, which other machines can reach; "
            "set a token (ANYCLAUDE_TOKEN, or token in the file), or use 127.0.0.1"
        )


def _mlx(layers: Layers, fields: dict[str, Any], cwd: Path, user_home: Path) -> None:
    # The engine listens for this machine only, so that a key protects nothing; and it is no client's token.
    layers.take("backend_key", "", DEFAULT)
    address = urlsplit(fields.pop("backend_url", ""))
    if address.hostname and not _is_loopback(address.hostname):
        layers.problems.append(
            f"{layers.sources['backend_url']} is {public_url(address.geturl())}, but the engine runs on this "
            'machine; allowed: a local address, or backend "openai" for a server elsewhere'
        )
    _engine_port(layers, fields, address)
    for name in ("model", "draft_model"):
        if model := fields.get(name):
            try:
                fields[name] = _model(layers, name, model, cwd, user_home)
            except ConfigError as error:
                layers.problems += [f"{layers.sources[name]}: {problem}" for problem in error.problems]
    _trusted_model(layers, fields, cwd, user_home)
    if adapter := fields.get("adapter"):
        source = layers.sources["adapter"]
        fields["adapter"] = str(((source.folder or cwd) / expand_home(adapter, user_home)).absolute())
        if source.origin is Origin.ENVIRONMENT and not adapter.startswith(("/", "~")):
            layers.problems.append(
                f"{source} is {printable(adapter)}, another place in each folder; allowed: a whole path"
            )


def _trusted_model(layers: Layers, fields: dict[str, Any], cwd: Path, user_home: Path) -> None:
    """The model whose code may run, under the name that `model` has; none if it names another model."""
    trusted = fields.get("trust_remote_code")
    if not trusted:
        return
    source = layers.sources["trust_remote_code"]
    folder = str(((source.folder or cwd) / expand_home(trusted, user_home)).absolute())
    model = fields.get("model", "")
    fields["trust_remote_code"] = model if model in (trusted, folder) else ""
    if model not in (trusted, folder):
        layers.warnings.append(
            f"{source} is {printable(trusted)}, but the model is {printable(model) or 'the bundled one'},"
            " whose own code does not run"
        )


def _model(layers: Layers, name: str, text: str, cwd: Path, user_home: Path) -> str:
    """A model's folder, made absolute, or its hub id.

    A variable is set once for all folders, so a mere name in it is never a folder that happens to be here;
    nor is one in a file that came with the working directory and is not trusted.
    """
    source = layers.sources[name]
    if source.origin is Origin.FOLDER_FILE and source.standing != TRUSTED and is_hub_id(text):
        return text
    typed = source.origin in (Origin.ENVIRONMENT, Origin.COMMAND_LINE)
    both = typed and is_hub_id(text) and os.path.lexists(cwd / text)
    if both and source.origin is Origin.ENVIRONMENT:
        layers.warnings.append(f"{source}: {text} is taken for a hub id; the folder here would be ./{text}")
        return text
    if both:
        layers.warnings.append(f"{source}: {text} is taken for the folder here, not for the hub's model")
    return hub_id_or_folder(text, base=source.folder or cwd, user_home=user_home)


def _engine_port(layers: Layers, fields: dict[str, Any], address: SplitResult) -> None:
    """The engine's port: as set, else as the backend's section has it, in `port` or in `baseUrl`."""
    port, where = layers.section_value(fields["backend_name"], "port")
    from_file = layers.sources["backend_url"].folder is not None
    if port is not None and address.port not in (None, port) and from_file:
        layers.warnings.append(f"{where} is {port} but baseUrl says {address.port}; port counts")
    if "engine_port" not in fields:
        if port is not None:
            fields["engine_port"], layers.sources["engine_port"] = port, where
        elif address.port is not None:
            fields["engine_port"] = address.port
            layers.sources["engine_port"] = layers.sources["backend_url"]
    chosen = [fields.get(name, SETTINGS[name].default) for name in ("port", "engine_port")]
    if chosen[0] == chosen[1] != 0:
        layers.problems.append(
            f"port {chosen[0]} is meant for both the proxy ({layers.sources['port']}) and the engine "
            f"({layers.sources['engine_port']}); choose two"
        )


def _openai(layers: Layers, fields: dict[str, Any], cwd: Path, user_home: Path) -> None:
    name = fields["backend_name"]
    known = KNOWN_BACKENDS[name]
    url, address = _address(layers, fields, known.url)
    if not url:
        layers.problems.append(
            f'backend "{name}" has no address; give --base-url, set ANYCLAUDE_BASE_URL, or set '
            f"backends.{name}.baseUrl in ~/.anyclauderc.json, such as http://127.0.0.1:8000/v1"
        )
    elif not urlsplit(url).path:
        url += "/v1"  # where every OpenAI-compatible server has it
    fields["backend_url"] = url
    _refuse_own_address(layers, fields, url, address)
    layers.warnings += (withheld := settle_key(layers, name, url, address))
    fields["destination"] = destination(layers, name, url, address, passing=False)
    if known.needs_key and not layers.values["backend_key"] and not withheld:
        layers.problems.append(
            f'backend "{name}" needs a key; set ANYCLAUDE_API_KEY, '
            f"or backends.{name}.apiKey in ~/.anyclauderc.json"
        )
    elif known.needs_key and not layers.values["backend_key"]:
        layers.problems += withheld


def _address(layers: Layers, fields: dict[str, Any], usual: str) -> tuple[str, list[Source]]:
    """The backend's address, and the source of each part of it that was named."""
    if url := fields.get("backend_url"):
        return url, [layers.sources["backend_url"]]
    port, where = layers.section_value(fields["backend_name"], "port")
    address = urlsplit(usual)
    if port and _is_loopback(address.hostname or ""):
        return f"{address.scheme}://{address.hostname}:{port}{address.path}", [where]
    return usual, []


def _refuse_own_address(layers: Layers, fields: dict[str, Any], url: str, address: list[Source]) -> None:
    """Refuse the proxy as its own upstream: each request would come back to it, again and again."""
    host, port = (fields.get(name, SETTINGS[name].default) for name in ("host", "port"))
    upstream = urlsplit(url)
    local = _is_loopback(upstream.hostname or "")
    everywhere = host in ("0.0.0.0", "::") or (upstream.hostname == "localhost" and _is_loopback(host))
    if port and upstream.port == port and (upstream.hostname == host or (local and everywhere)):
        named = address[0] if address else f"the usual address of {fields['backend_name']}"
        layers.problems.append(
            f"{named} is {public_url(url)}, where the proxy itself listens ({layers.sources['port']}); "
            "give the server's own address, or the proxy another --port"
        )


def _claude(layers: Layers, fields: dict[str, Any], cwd: Path, user_home: Path) -> None:
    name = fields["backend_name"]
    url, address = _address(layers, fields, KNOWN_BACKENDS[name].url)
    fields["backend_url"] = url = url.removesuffix("/v1")  # the client's paths begin with it
    _refuse_own_address(layers, fields, url, address)
    if any(_came_with_folder(part, cwd, user_home) for part in address):
        layers.problems.append(
            f'{address[0]} is {public_url(url)}, and with backend "claude" the client\'s own credentials go '
            "there; no file of the working directory decides that, be it trusted or named: put the "
            f"address into ~/.anyclauderc.json, or give --base-url {public_url(url)}"
        )
    withheld = settle_key(layers, name, url, address)
    # A key that stays behind would leave its place to the client's own credentials.
    (layers.warnings if layers.values["backend_key"] else layers.problems).extend(withheld)
    fields["destination"] = destination(layers, name, url, address, passing=True)


def _came_with_folder(source: Source, cwd: Path, user_home: Path) -> bool:
    """Is this a file of the working directory or below it, named or not? Of the home, all are the user's."""
    if source.origin is Origin.NAMED_FILE and source.folder is not None:
        here = os.path.realpath(cwd)
        return here != os.path.realpath(user_home) and Path(os.path.realpath(source.folder)).is_relative_to(
            here
        )
    return source.origin is Origin.FOLDER_FILE


BACKEND_RULES: dict[BackendKind, Rule] = {"mlx": _mlx, "openai": _openai, "claude": _claude}


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
