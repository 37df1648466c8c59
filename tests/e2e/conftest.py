"""Hosts that several end-to-end modules share: proxy and engine on a model that recites a script."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from proxy.events.types import HostState
from tests import servers
from tests.models import ModelShelf

SPEECH = "Here are some plain words, then STOP and what nobody should read."
CALL_TEXT = "I will look it up.\n"
CALL_ARGUMENTS = {"city": "Oslo", "days": 3}
_CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo", "days": 3}}\n</tool_call>'


@dataclass(frozen=True)
class Host:
    """A running host: the proxy's URL, and the URL of the engine that it started."""

    url: str
    engine_url: str
    folder: Path


def host_state(url: str) -> HostState:
    """What the host says of itself."""
    answer = httpx.get(f"{url}/anyclaude/state", trust_env=False)
    answer.raise_for_status()
    return HostState.model_validate(answer.json())


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> ModelShelf:
    """Models, each made once."""
    return ModelShelf(tmp_path_factory.mktemp("models"))


def _host(folder: Path, model: Path) -> Iterator[Host]:
    with servers.proxy(folder, backend="mlx", model=str(model)) as proxy:
        yield Host(proxy.url, host_state(proxy.url).engine.url, folder)


@pytest.fixture(scope="session")
def speaker(tmp_path_factory: pytest.TempPathFactory, shelf: ModelShelf) -> Iterator[Host]:
    """A host whose model always says `SPEECH`."""
    yield from _host(tmp_path_factory.mktemp("speaker"), shelf.scripted(SPEECH))


@pytest.fixture(scope="session")
def caller(tmp_path_factory: pytest.TempPathFactory, shelf: ModelShelf) -> Iterator[Host]:
    """A host whose model always says a word and calls `get_weather`."""
    yield from _host(tmp_path_factory.mktemp("caller"), shelf.scripted(CALL_TEXT + _CALL))
