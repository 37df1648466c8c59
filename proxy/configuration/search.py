"""The search engine's address and key: which key may go to which address, and what is missing."""

from __future__ import annotations

from typing import Any

from proxy.configuration.destination import public_url, settle_key
from proxy.configuration.known_backends import SEARCH_ENGINES
from proxy.configuration.layers import Layers
from proxy.configuration.provenance import Origin
from proxy.configuration.settings import HostSettings


def settle_search(layers: Layers, fields: dict[str, Any]) -> None:
    """Complete `fields` with the engine's address, and the key if it may go there; add what is wrong."""
    name = fields.get("search_engine", "")
    known = SEARCH_ENGINES.get(name)
    fields["search_key"] = ""
    if known is None:
        fields["search_url"] = ""
        return
    engine = layers.sources["search_engine"]
    # A folder's file that names the engine names its usual address too.
    address = [engine] if engine.origin is Origin.FOLDER_FILE else []
    url = fields.get("search_url", "")
    if url:
        address.append(layers.sources["search_url"])
    fields["search_url"] = url = url or known.url
    if not url:
        layers.problems.append(
            f"{engine} is {name}, which has no usual address; set searchUrl (ANYCLAUDE_SEARCH_URL), such as "
            "http://127.0.0.1:8888"
        )
        return
    withheld = settle_key(
        layers, "", url, address, name="search_key", remedy="name searchUrl where the key stands"
    )
    fields["search_key"] = layers.values["search_key"]
    layers.warnings += withheld
    if known.needs_key and not fields["search_key"]:
        layers.problems.append(
            f"{engine} is {name}, which needs a key; set searchKey in ~/.anyclauderc.json, or "
            "ANYCLAUDE_SEARCH_KEY"
        )


def web_destinations(config: HostSettings) -> list[str]:
    """What leaves for the web beside requests, for people; empty where nothing does."""
    lines: list[str] = []
    if config.backend_name == "claude":  # its own server searches
        return lines
    if config.search_engine:
        key = ", with the key that you set" if config.search_key else ""
        lines.append(f"web searches go to {config.search_engine} at {public_url(config.search_url)}{key}")
    if config.web_fetch:
        lines.append("web_fetch is on: pages that the model names are fetched from this machine")
    return lines
