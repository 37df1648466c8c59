"""A repeating answer is ended in a real engine; a bias for one token forces the repetition."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from bench.child import Child
from engine.answers.repetition import ENDED
from tests import servers

pytestmark = pytest.mark.slow

LOOP, ROOM = 100, 3000


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    with servers.engine("", tmp_path_factory.mktemp("engine"), loop_tokens=LOOP) as running:
        yield running


def ask(engine: Child, **fields: Any) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": ROOM} | fields
    return httpx.post(f"{engine.url}/v1/chat/completions", json=body, timeout=60)


def choice(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()["choices"][0]
    return found


def test_it_ends_as_by_itself_with_a_sentence(engine: Child) -> None:
    response = ask(engine, logit_bias={"900": 100})
    assert choice(response)["finish_reason"] == "stop"
    assert choice(response)["message"]["content"].endswith(f"\n\n{ENDED}")
    assert response.json()["usage"]["completion_tokens"] == LOOP // 5


def test_of_several_answers_at_once_only_those_that_repeat_themselves_are_ended(engine: Child) -> None:
    def one(bias: dict[str, int]) -> str:
        return str(choice(ask(engine, logit_bias=bias))["message"]["content"])

    with ThreadPoolExecutor(6) as pool:
        said = list(pool.map(one, [{"900": 100}, {}] * 3))
    assert [ENDED in text for text in said] == [True, False] * 3
    assert set(said[1::2]) == {"Hello! I am the small demo model of anyclaude-tui. What shall I do?"}


def test_the_stream_ends_in_the_same_way_and_the_note_says_why(engine: Child) -> None:
    headers = {"x-anyclaude-feed": "1"}
    body = {"messages": [{"role": "user", "content": "hello"}], "stream": True, "logit_bias": {"900": 100}}
    text = httpx.post(f"{engine.url}/v1/chat/completions", json=body, headers=headers, timeout=60).text
    assert '"finish_reason":"stop"' in text
    assert ENDED in text
    assert "its last 20 tokens are the same 1 over and over" in text
