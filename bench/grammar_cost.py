"""The cost of constrained decoding: decode speed, and the time before the first token.

The same model answers the same prompts in an engine with grammars and in one without: free text, in which a
call may begin at any token, and one call whose argument never ends. The tools are those of the real Claude
Code, recorded in this run, or made-up ones of the same size if it is not installed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from bench.chat_stream import TIMEOUT_S
from bench.claude_request import openai_body
from bench.engine_server import engine_server
from bench.figure import Figure, Peer
from bench.recorded_traffic import ClientMissing, record

SPEED, FIRST_USE_MS, KNOWN_MS = 0.9, 150.0, 2.0
_TOOL_SET_BYTES = 50_000
_ENDLESS = {
    "type": "object",
    "properties": {"lines": {"type": "array", "items": {"type": "string"}, "minItems": 100_000}},
    "required": ["lines"],
    "additionalProperties": False,
}

Body = dict[str, Any]


def measure(folder: Path, *, quick: bool = False) -> list[Figure]:
    """Speed with a model that takes a few milliseconds a token; compile times with its tokenizer."""
    from bench.random_model import bench_shape, build_random_model

    shape = bench_shape(quick, hidden_size=384, layers=6, heads=6, kv_heads=3, feed_forward=1024)
    model = build_random_model(folder / "model", "qwen3", shape, eos_every=None)
    tools = claude_tools(folder)
    return [*_speeds(folder, model, tools, quick=quick), *_compile_times(model, tools, quick=quick)]


def claude_tools(folder: Path) -> list[dict[str, Any]]:
    """The tools of the real client in OpenAI's form, else made-up ones of the same size."""
    try:
        offered = record(folder / "recorded", prompts=("Who are you?",))[0].body["tools"]
    except ClientMissing as missing:
        print(f"grammar_cost: {missing}; its tools are made up", file=sys.stderr)
        made: list[dict[str, Any]] = openai_body("bench")["tools"]
        return made
    return [
        {
            "type": "function",
            "function": {
                "name": tool["name"],
                "description": tool.get("description", ""),
                "parameters": tool["input_schema"],
            },
        }
        for tool in offered
    ]


def _speeds(folder: Path, model: Path, tools: list[dict[str, Any]], *, quick: bool) -> list[Figure]:
    tokens, rounds = (24, 2) if quick else (256, 9)
    (folder / "free").mkdir()
    ask = {"messages": [{"role": "user", "content": "Write."}], "max_tokens": tokens, "temperature": 0}
    write = {"type": "function", "function": {"name": "Write", "parameters": _ENDLESS}}
    ways: dict[str, Body] = {
        "text that may call tools": ask | {"tools": tools[:2]},
        "inside of a call": ask | {"tools": [write], "tool_choice": "required"},
    }
    with (
        engine_server(folder, model) as constrained,
        engine_server(folder / "free", model, grammar=False) as free,
    ):
        for body in ways.values():
            _speed(constrained, body)  # warm-up; caches the prompt
            _speed(free, body)
        return [_speed_figure(name, body, constrained, free, rounds) for name, body in ways.items()]


def _speed_figure(name: str, body: Body, constrained: str, free: str, rounds: int) -> Figure:
    speeds: dict[str, list[float]] = {constrained: [], free: []}
    for round_ in range(rounds):
        for url in (constrained, free) if round_ % 2 else (free, constrained):
            speeds[url].append(_speed(url, body))
    return Figure(
        bench="grammar_cost",
        metric=f"decode, {name}",
        unit="tokens/s",
        value=median(speeds[constrained]),
        peer=Peer("without a grammar", median(speeds[free])),
        ratio=median(own / other for own, other in zip(speeds[constrained], speeds[free], strict=True)),
        target=SPEED,
        bound="at least",
        on="ratio",
        runs=rounds,
    )


def _speed(url: str, body: Body) -> float:
    """Tokens per second after the first, from the times of the whole answer and of its first token.

    Pieces of text are no measure, since the engine buffers text that may become a mark.
    """
    whole, first = _seconds(url, body), _seconds(url, body | {"max_tokens": 1})
    return float((body["max_tokens"] - 1) / (whole - first))


def _seconds(url: str, body: Body) -> float:
    began = time.perf_counter()
    with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as http:
        answer = http.post(f"{url}/v1/chat/completions", json=body | {"model": "bench"}).raise_for_status()
    took = time.perf_counter() - began
    tokens = answer.json()["usage"]["completion_tokens"]
    if tokens != body["max_tokens"]:
        raise RuntimeError(f"{body['max_tokens']} tokens were asked for; the answer tells of {tokens}")
    return took


def _compile_times(model: Path, tools: list[dict[str, Any]], *, quick: bool) -> list[Figure]:
    """Plans for a new set of tools, and for a known one, in milliseconds."""
    from engine.api.answer_plan import AnswerPlanner
    from engine.api.requests import parse_chat
    from engine.models.loading import load_model
    from engine.prompts.rendering import PromptRenderer

    loaded = load_model(model)
    planner = AnswerPlanner(loaded.tokenizer, loaded.eos_token_ids)
    renderer = PromptRenderer(loaded.tokenizer)
    messages = [{"role": "user", "content": "Write."}]
    new: list[float] = []
    known: list[float] = []
    rendered: list[float] = []
    for round_ in range(2 if quick else 9):
        grown = _of_size(tools, _TOOL_SET_BYTES, round_)
        chat = parse_chat({"messages": messages, "tools": grown})
        new.append(_milliseconds(lambda: planner.plan(chat, opens_thinking=False)))  # noqa: B023
        same = parse_chat({"messages": messages, "tools": json.loads(json.dumps(grown))})
        known.append(_milliseconds(lambda: planner.plan(same, opens_thinking=False)))  # noqa: B023
        rendered.append(_milliseconds(lambda: renderer.render(messages, grown)))  # noqa: B023
    return [
        _time_figure("a new tool set of 50 KB", new, rendered, FIRST_USE_MS),
        _time_figure("a known tool set of 50 KB", known, rendered, KNOWN_MS),
    ]


def _of_size(tools: list[dict[str, Any]], nbytes: int, round_: int) -> list[dict[str, Any]]:
    """The tools repeated under other names up to this size in bytes; new in each round."""
    grown: list[dict[str, Any]] = []
    size = 0
    while size < nbytes:
        tool = json.loads(json.dumps(tools[len(grown) % len(tools)]))
        tool["function"]["name"] += f"_{round_}_{len(grown)}"
        grown.append(tool)
        size += len(json.dumps(tool))
    return grown


def _time_figure(what: str, times: list[float], rendered: list[float], target: float) -> Figure:
    return Figure(
        bench="grammar_cost",
        metric=f"added before the first token, {what}",
        unit="ms",
        value=median(times),
        peer=Peer("rendering and tokenizing its prompt", median(rendered)),
        ratio=median(own / other for own, other in zip(times, rendered, strict=True)),
        target=target,
        runs=len(times),
    )


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - began)
