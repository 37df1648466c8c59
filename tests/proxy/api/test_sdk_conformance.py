"""The official `anthropic` package on one proxy, over an upstream that plays."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import anthropic
import pytest
from anthropic import beta_tool
from anthropic._base_client import BaseClient
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from tests.proxy.live import DONE, FINISH, USAGE, Upstream, calls, delta, proxy_in_a_thread, says
from tests.proxy.pdfs import pdf_in_base64

MODEL = "claude-of-my-own"
ASK: list[Any] = [{"role": "user", "content": "hi"}]
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
PDF = {"type": "base64", "media_type": "application/pdf", "data": pdf_in_base64("Rain")}
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CALL: Any = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}}


def ends(reason: str) -> list[Any]:
    return [{"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}, USAGE, DONE]


@dataclass
class Scripted(Upstream):
    """Answers each request as `script` says: chunks, or a status with an error."""

    script: Callable[[dict[str, Any]], list[Any] | int] = field(default=lambda body: says("Hel", "lo"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/v1/chat/completions":
            answer = self.script({"number": len(self.bodies)})
            self.status = answer if isinstance(answer, int) else 200
            self.answer = [{"error": {"message": "no"}}] if isinstance(answer, int) else answer
        await super().__call__(scope, receive, send)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scripted, str]]:
    """One proxy for all tests of this module, in a thread of its own."""
    upstream = Scripted(other={"/tokenize": {"count": 7}, "/v1/models": {"data": [{"id": "tiny"}]}})
    with proxy_in_a_thread(upstream, tmp_path_factory.mktemp("sdk")) as url:
        yield upstream, url


@pytest.fixture(scope="module")
def client(served: tuple[Scripted, str]) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=served[1], api_key="any", max_retries=0, timeout=20) as made:
        yield made


@pytest.fixture
def upstream(served: tuple[Scripted, str]) -> Scripted:
    made = served[0]
    made.bodies.clear()
    made.script = lambda body: says("Hel", "lo")
    return made


def user(*blocks: Any) -> list[Any]:
    return [{"role": "user", "content": list(blocks)}]


def after_call(*content: Any) -> list[Any]:
    """A conversation whose last turn is the result of a call."""
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": list(content)}
    return [*ASK, {"role": "assistant", "content": [CALL]}, *user(result)]


REQUESTS: dict[str, dict[str, Any]] = {
    "least": {},
    "system as text": {"system": "Be brief."},
    "system as blocks": {"system": [{"type": "text", "text": "Be.", "cache_control": {"type": "ephemeral"}}]},
    "sampling": {"extra_body": {"temperature": 0.2, "top_p": 0.9, "top_k": 5}},
    "stop": {"stop_sequences": ["END"]},
    "metadata": {"metadata": {"user_id": "somebody"}},
    "tier": {"service_tier": "auto", "inference_geo": "us", "speed": "fast"},
    "cache": {"cache_control": {"type": "ephemeral", "ttl": "1h"}},
    "tools": {"tools": [WEATHER]},
    "strict tool": {
        "tools": [WEATHER | {"strict": True, "eager_input_streaming": True, "defer_loading": False}]
    },
    "any tool": {"tools": [WEATHER], "tool_choice": {"type": "any"}},
    "one tool": {"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "get_weather"}},
    "no tool": {"tools": [WEATHER], "tool_choice": {"type": "none"}},
    "single": {"tools": [WEATHER], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    "bash": {"tools": [{"type": "bash_20250124", "name": "bash"}]},
    "editor": {"tools": [{"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}]},
    "memory": {"tools": [{"type": "memory_20250818", "name": "memory"}]},
    "computer": {
        "tools": [
            {"type": "computer_20251124", "name": "computer", "display_width_px": 9, "display_height_px": 9}
        ]
    },
    "toolsets": {"tools": [{"type": "computer_toolset_20260801"}, {"type": "browser_toolset_20260801"}]},
    "search": {"tools": [WEATHER, {"type": "web_search_20250305", "name": "web_search"}]},
    "code": {"tools": [{"type": "code_execution_20260521", "name": "code_execution"}], "container": "c"},
    "mcp": {
        "mcp_servers": [{"type": "url", "name": "m", "url": "http://127.0.0.1:1"}],
        "tools": [{"type": "mcp_toolset", "mcp_server_name": "m"}],
    },
    "thinking": {"thinking": {"type": "adaptive", "display": "omitted"}},
    "budget": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048},
    "no thinking": {"thinking": {"type": "disabled"}},
    "effort": {"output_config": {"effort": "max", "task_budget": {"type": "tokens", "total": 9}}},
    "edits": {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}},
    "picture": {"messages": user({"type": "image", "source": PNG})},
    "picture by address": {
        "messages": user({"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}})
    },
    "pdf": {"messages": user({"type": "document", "source": PDF, "citations": {"enabled": True}})},
    "text document": {
        "messages": user(
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}
        )
    },
    "found": {
        "messages": user(
            {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]}
        )
    },
    "result": {"messages": after_call({"type": "text", "text": "rain"}), "tools": [WEATHER]},
    "picture in a result": {"messages": after_call({"type": "image", "source": PNG}), "tools": [WEATHER]},
    "pdf in a result": {"messages": after_call({"type": "document", "source": PDF}), "tools": [WEATHER]},
    "system turn": {"messages": [*ASK, {"role": "system", "content": "Mind."}]},
    "betas": {"betas": ["context-management-2025-06-27", "of-tomorrow-2030-01-01"]},
    "unknown": {"extra_body": {"of_tomorrow": {"a": [1]}}},
}


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_request_is_answered(
    client: anthropic.Anthropic, upstream: Scripted, name: str, stream: bool
) -> None:
    asked: dict[str, Any] = {"model": MODEL, "max_tokens": 100, "messages": ASK} | REQUESTS[name]
    if stream:
        with client.beta.messages.stream(**asked) as events:
            answer: Any = events.get_final_message()
    else:
        answer = client.beta.messages.create(**asked)
    assert [block.text for block in answer.content] == ["Hello"]
    assert (answer.model, answer.role, answer.stop_reason) == (MODEL, "assistant", "end_turn")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (7, 3)
    assert len(upstream.bodies) == 1


# Chunks of the upstream, the blocks of the answer, and why it stopped.
FULL = {"prompt_tokens": 7, "completion_tokens": 100, "total_tokens": 107}
ANSWERS: dict[str, tuple[list[Any], list[tuple[str, Any]], str]] = {
    "text": (says("a", "b ☃", "😀"), [("text", "ab ☃😀")], "end_turn"),
    "call": (
        [calls("get_weather", '{"city": "Oslo"}'), *ends("tool_calls")],
        [("tool_use", {"city": "Oslo"})],
        "tool_use",
    ),
    "text and call": (
        [delta(content="Look."), calls("get_weather", '{"city": "Oslo"}'), *ends("tool_calls")],
        [("text", "Look."), ("tool_use", {"city": "Oslo"})],
        "tool_use",
    ),
    "two calls": (
        [
            calls("get_weather", '{"city": "Oslo"}'),
            delta(
                tool_calls=[{"index": 1, "function": {"name": "get_weather", "arguments": '{"city":"X"}'}}]
            ),
            *ends("tool_calls"),
        ],
        [("tool_use", {"city": "Oslo"}), ("tool_use", {"city": "X"})],
        "tool_use",
    ),
    "thought": (
        [delta(reasoning_content="hm"), delta(content="yes"), FINISH, USAGE, DONE],
        [("thinking", "hm"), ("text", "yes")],
        "end_turn",
    ),
    "length": (
        [delta(content="lo"), ends("length")[0], {**USAGE, "usage": FULL}, DONE],
        [("text", "lo")],
        "max_tokens",
    ),
    "window": ([delta(content="lo"), *ends("length")], [("text", "lo")], "model_context_window_exceeded"),
    "filter": ([delta(content="lo"), *ends("content_filter")], [("text", "lo")], "refusal"),
}


def shown(block: Any) -> tuple[str, Any]:
    return block.type, block.input if block.type == "tool_use" else getattr(block, block.type)


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("how", ["create", "stream", "events", "raw"])
def test_an_answer_arrives_as_it_is(
    client: anthropic.Anthropic, upstream: Scripted, name: str, how: str
) -> None:
    chunks, blocks, reason = ANSWERS[name]
    upstream.script = lambda body: chunks
    asked: dict[str, Any] = {
        "model": MODEL,
        "max_tokens": 100,
        "messages": ASK,
        "tools": [WEATHER],
        "thinking": {"type": "adaptive"},
    }
    if how == "create":
        answer: Any = client.messages.create(**asked)
    elif how == "raw":
        answer = client.messages.with_raw_response.create(**asked).parse()
    elif how == "stream":
        with client.messages.stream(**asked) as events:
            answer = events.get_final_message()
    else:
        kinds = [event.type for event in client.messages.create(**asked, stream=True)]
        assert (kinds[0], kinds[-2:]) == ("message_start", ["message_delta", "message_stop"])
        assert kinds.count("content_block_start") == kinds.count("content_block_stop") == len(blocks)
        return
    assert [shown(block) for block in answer.content] == blocks
    assert answer.stop_reason == reason


FAULTS: list[tuple[int, type[anthropic.APIStatusError], bool]] = [
    (400, anthropic.BadRequestError, False),
    (401, anthropic.InternalServerError, False),
    (404, anthropic.NotFoundError, False),
    (422, anthropic.BadRequestError, False),
    (429, anthropic.RateLimitError, True),
    (500, anthropic.InternalServerError, True),
    (502, anthropic.InternalServerError, True),
    (503, anthropic.InternalServerError, True),
    (529, anthropic.InternalServerError, True),
]


@pytest.mark.parametrize(("status", "kind", "retried"), FAULTS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_fault_is_typed_and_retried_where_that_may_help(
    client: anthropic.Anthropic,
    upstream: Scripted,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    kind: type[anthropic.APIStatusError],
    retried: bool,
    stream: bool,
) -> None:
    monkeypatch.setattr(BaseClient, "_calculate_retry_timeout", lambda *_, **__: 0.0)
    upstream.script = lambda body: status
    asked: dict[str, Any] = {"model": MODEL, "max_tokens": 9, "messages": ASK, "stream": stream}
    with pytest.raises(kind) as failed:
        client.with_options(max_retries=2).messages.create(**asked)
    assert failed.value.request_id
    assert len(upstream.bodies) == (3 if retried else 1)
    upstream.script = lambda body: status if body["number"] < 4 else says("Hello")
    if retried:
        client.with_options(max_retries=2).messages.create(**asked)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "user"}]}, "messages.0.content"),
    ({"messages": user({"type": "text"})}, "messages.0.content.0.text"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"tools": [{"name": "x"}]}, "tools.0.input_schema"),
    ({"tool_choice": {"type": "tool", "name": "x"}}, "tool_choice.name"),
    ({"compaction": {"type": "summarize"}}, "compaction"),
    ({"thread": {"type": "create"}}, "thread"),
]


@pytest.mark.parametrize(("wrong", "place"), REFUSED)
def test_a_wrong_request_is_refused_by_its_place(
    client: anthropic.Anthropic, upstream: Scripted, wrong: dict[str, Any], place: str
) -> None:
    asked: dict[str, Any] = {"model": MODEL, "max_tokens": 9, "messages": ASK} | wrong
    with pytest.raises(anthropic.BadRequestError, match=place):
        client.beta.messages.create(**asked)
    assert not upstream.bodies


OTHERS: dict[str, Callable[[anthropic.Anthropic], Any]] = {
    "batches": lambda client: client.messages.batches.list(),
    "batch": lambda client: client.messages.batches.retrieve("b"),
    "new batch": lambda client: client.messages.batches.create(requests=[]),
    "files": lambda client: client.beta.files.list(),
    "file": lambda client: client.beta.files.retrieve_metadata("f"),
    "no file": lambda client: client.beta.files.delete("f"),
    "skills": lambda client: client.beta.skills.list(),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_api_is_said_to_be_missing(client: anthropic.Anthropic, name: str) -> None:
    with pytest.raises(anthropic.NotFoundError, match="is not supported by this proxy"):
        OTHERS[name](client)


def test_tokens_are_counted_and_models_listed(client: anthropic.Anthropic) -> None:
    assert client.messages.count_tokens(model=MODEL, messages=ASK).input_tokens == 7
    counted = client.beta.messages.count_tokens(model=MODEL, messages=ASK, tools=[WEATHER], system="Be.")
    assert counted.input_tokens == 7
    assert "claude-tiny" in [model.id for model in client.models.list()]
    assert client.models.retrieve("claude-tiny").id == "claude-tiny"


ran: list[str] = []


@beta_tool
def get_weather(city: str) -> str:
    """The weather of a city.

    Args:
        city: its name
    """
    ran.append(city)
    if city == "Nowhere":
        raise ValueError("no such city")
    return f"rain in {city}"


def call_of(*cities: str) -> list[Any]:
    made = [
        delta(
            tool_calls=[
                {"index": n, "function": {"name": "get_weather", "arguments": f'{{"city":"{city}"}}'}}
            ]
        )
        for n, city in enumerate(cities)
    ]
    return [*made, *ends("tool_calls")]


RUNS: list[tuple[list[list[str]], list[str]]] = [
    ([["Oslo"]], ["rain in Oslo"]),
    ([["Oslo", "Bergen"]], ["rain in Oslo", "rain in Bergen"]),
    ([["Oslo"], ["Bergen"]], ["rain in Bergen"]),
    ([["Nowhere"]], ["no such city"]),
]


@pytest.mark.parametrize(("rounds", "told"), RUNS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_tool_runner_runs_calls_and_sends_their_results(
    client: anthropic.Anthropic, upstream: Scripted, rounds: list[list[str]], told: list[str], stream: bool
) -> None:
    ran.clear()
    upstream.script = lambda body: (
        call_of(*rounds[body["number"]]) if body["number"] < len(rounds) else says("Done.")
    )
    runner: Any = client.beta.messages.tool_runner(
        model=MODEL, max_tokens=100, messages=ASK, tools=[get_weather], stream=stream
    )
    last: Any = runner.until_done()
    assert last.content[0].text == "Done."
    assert ran == [city for cities in rounds for city in cities]
    results = [turn["content"] for turn in upstream.bodies[-1]["messages"] if turn["role"] == "tool"]
    for words, result in zip(told, results[-len(told) :], strict=True):
        assert words in result


class Forecast(BaseModel):
    city: str
    days: int


@pytest.mark.parametrize("text", ['{"city": "Oslo", "days": 3}', '{"days":3,"city":"Oslo"}'])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_structured_answer_is_parsed(
    client: anthropic.Anthropic, upstream: Scripted, text: str, stream: bool
) -> None:
    upstream.script = lambda body: says(text[:9], text[9:])
    asked: dict[str, Any] = {"model": MODEL, "max_tokens": 99, "messages": ASK, "output_format": Forecast}
    if stream:
        with client.messages.stream(**asked) as events:
            answer: Any = events.get_final_message()
    else:
        answer = client.messages.parse(**asked)
    assert answer.parsed_output == Forecast(city="Oslo", days=3)
    schema = upstream.bodies[0]["response_format"]["json_schema"]["schema"]
    assert set(schema["properties"]) == {"city", "days"}


def test_a_call_of_a_toolset_names_its_member_and_its_family(
    client: anthropic.Anthropic, upstream: Scripted
) -> None:
    upstream.script = lambda body: [calls("computer_key", '{"text": "Return"}'), *ends("tool_calls")]
    asked: dict[str, Any] = {"model": MODEL, "max_tokens": 99, "messages": ASK}
    asked["tools"] = [{"type": "computer_toolset_20260801"}]
    with client.beta.messages.stream(**asked) as events:
        streamed: Any = events.get_final_message().content[0]
    whole: Any = client.beta.messages.create(**asked).content[0]
    for block in (streamed, whole):
        assert (block.name, block.toolset_name) == ("key", "computer")
        assert dict(block.input)["text"] == "Return"


def test_thinking_goes_back_as_it_came(client: anthropic.Anthropic, upstream: Scripted) -> None:
    upstream.script = lambda body: ANSWERS["thought"][0]
    asked: dict[str, Any] = {
        "model": MODEL,
        "max_tokens": 99,
        "thinking": {"type": "adaptive", "display": "omitted"},
    }
    first: Any = client.beta.messages.create(**asked, messages=ASK)
    thought = first.content[0]
    assert (thought.type, thought.thinking) == ("thinking", "")
    packed = base64.b64decode(thought.signature.partition(".")[2])
    assert packed
    turns = [*ASK, {"role": "assistant", "content": first.content}, *ASK]
    assert client.beta.messages.create(**asked, messages=turns).content
