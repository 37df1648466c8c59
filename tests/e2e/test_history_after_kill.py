"""The engine is killed between two turns: history is still what it generated, and in the cache."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.own_answers import Conversation
from bench.replay import running_host, wait_until_saved
from bench.restoring import kill_engine
from engine.prefix_cache.disk.folder import ANSWERS
from tests import servers
from tests.models import ModelShelf

pytestmark = pytest.mark.slow


def _ask(url: str, messages: list[dict[str, Any]], *, stream: bool) -> dict[str, Any]:
    """What a client knows of an answer at the moment at which it knows that it is complete."""
    body = {"messages": messages, "max_tokens": 40, "temperature": 1, "seed": 7, "stream": stream}
    if not stream:
        whole = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60, trust_env=False).json()
        return {"role": "assistant", "content": whole["choices"][0]["message"]["content"]}
    said = ""
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=60, trust_env=False) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                choice = json.loads(line[6:])["choices"][0]
                said += choice["delta"].get("content") or ""
                if choice["finish_reason"]:
                    break
    return {"role": "assistant", "content": said}


def _tokens(url: str, messages: list[dict[str, Any]]) -> list[int]:
    answer = httpx.post(f"{url}/v1/tokenize", json={"messages": messages}, timeout=60, trust_env=False)
    tokens: list[int] = answer.raise_for_status().json()["tokens"]
    return tokens


def _last_answer(folder: Path) -> list[int]:
    """The newest tokens that a killed engine has left."""
    (file,) = (folder / "kv-cache").glob(f"*/{ANSWERS}")
    tokens: list[int] = json.loads(file.read_bytes().splitlines()[-1].partition(b" ")[2])["tokens"]
    return tokens


@pytest.fixture(scope="module")
def without_disk(tmp_path_factory: pytest.TempPathFactory, shelf: ModelShelf) -> Iterator[str]:
    """An engine that has answered nothing and finds nothing."""
    with servers.engine(shelf.tiny(), tmp_path_factory.mktemp("without-disk")) as engine:
        yield engine.url


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_an_engine_that_is_killed_at_the_end_of_an_answer_knows_it_afterwards(
    stream: bool, shelf: ModelShelf, tmp_path: Path, without_disk: str
) -> None:
    settings: dict[str, Any] = {"kv_cache_dir": str(tmp_path / "kv-cache")}
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Go on."}]
    with servers.engine(shelf.tiny(), tmp_path, **settings) as engine:
        for _ in range(2):
            messages += [_ask(engine.url, messages, stream=stream), {"role": "user", "content": "And?"}]
        alive = _tokens(engine.url, messages)
        messages += [_ask(engine.url, messages, stream=stream), {"role": "user", "content": "So?"}]
        os.kill(engine.pid, signal.SIGKILL)
        engine.process.wait(30)
    with servers.engine(shelf.tiny(), tmp_path, **settings) as engine:
        restored = _tokens(engine.url, messages)
    by_template = _tokens(without_disk, messages)
    assert restored[: len(alive)] == alive
    assert restored[len(alive) : len(alive) + 40] == _last_answer(tmp_path)
    assert restored != by_template


def test_the_turn_after_a_kill_computes_no_more_than_without_it(shelf: ModelShelf, tmp_path: Path) -> None:
    model = shelf.tiny("qwen3_5")
    with running_host(tmp_path / "unkilled", model) as host:
        conversation = Conversation(host)
        conversation.turns(3)
        unkilled = conversation.turn_prefills()
    with running_host(tmp_path / "killed", model) as host:
        conversation = Conversation(host)
        conversation.turns(3)
        wait_until_saved(host)
        kill_engine(host)
        killed = conversation.turn_prefills()
    assert killed <= 1.05 * unkilled
