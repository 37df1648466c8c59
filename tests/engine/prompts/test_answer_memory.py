"""History is rendered from generated tokens: the next prompt continues the cached tokens."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.prompts.answer_memory import AnswerMemory, KeptAnswer, TextDigest
from engine.prompts.rendering import PromptRenderer
from tests.engine import templates
from tests.models import ModelShelf
from tests.servers import engine

TOOL = {"type": "function", "function": {"name": "look", "description": "", "parameters": {}}}
USER = {"role": "user", "content": "Look at both."}
ODD = '<tool_call>\n{"name":"look",   "arguments": {"b":1.50,"a": "é"}}\n</tool_call>'
THINKS_ON = """\
{%- for m in messages -%}
{{- '<|im_start|>' + m.role + '\\n' + m.content -}}
{%- for c in m.tool_calls or [] -%}{{- c.function.name + c.function.arguments | tojson -}}{%- endfor -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n<think>\\n' -}}{%- endif -%}
"""
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

Make = Callable[[str], PromptRenderer]


@pytest.fixture(scope="module")
def make(tokenizer: Any) -> Make:
    """A renderer without kept answers, with a chat template of `templates` or the tokenizer's own."""

    @lru_cache
    def wrapped(template: str) -> Any:
        other = copy.copy(tokenizer)
        other._tokenizer = copy.deepcopy(tokenizer._tokenizer)
        other._tokenizer.chat_template = template
        return other

    return lambda template: PromptRenderer(wrapped(template) if template else tokenizer)


def called(call_id: str = "call_1", text: str = "") -> dict[str, Any]:
    function = {"name": "look", "arguments": '{"b": 1.5, "a": "é"}'}
    calls = [{"id": call_id, "type": "function", "function": function}]
    return {"role": "assistant", "content": text, "tool_calls": calls}


def result(call_id: str = "call_1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "seen"}


@pytest.mark.parametrize("template", ["", templates.STRICT, THINKS_ON], ids=["own", "strict", "thinks"])
def test_a_tool_turn_continues_the_generated_tokens(make: Make, tokenizer: Any, template: str) -> None:
    renderer = make(template)
    first = renderer.render([USER], [TOOL])
    written = tokenizer.encode("thoughts\n</think>\n\n" + ODD, add_special_tokens=False)
    renderer.remember(first, called(), written)
    later = renderer.render([USER, called(), result()], [TOOL])
    assert later.tokens[: len(first.tokens) + len(written)] == [*first.tokens, *written]
    assert ODD in later.text
    second = tokenizer.encode("All seen.", add_special_tokens=False)
    renderer.remember(later, {"role": "assistant", "content": "All seen."}, second)
    last = renderer.render(
        [USER, called(), result(), {"role": "assistant", "content": "All seen."}, USER], [TOOL]
    )
    assert last.tokens[: len(later.tokens) + len(second)] == [*later.tokens, *second]


@shared
@given(data=st.data())
def test_the_generated_tokens_are_in_the_next_prompt(make: Make, tokenizer: Any, data: st.DataObject) -> None:
    renderer = make("")
    messages: list[dict[str, Any]] = [USER]
    for number in range(data.draw(st.integers(1, 4))):
        prompt = renderer.render(messages, [TOOL])
        tokens = data.draw(st.lists(st.integers(300, 1400), min_size=1, max_size=12))
        shown = tokenizer.decode(tokens)
        answer = data.draw(
            st.sampled_from([called(f"call_{number}", shown), {"role": "assistant", "content": shown}])
        )
        renderer.remember(prompt, answer, tokens)
        follow = result(f"call_{number}") if "tool_calls" in answer else USER
        messages = [*messages, answer, follow]
        later = renderer.render(messages, [TOOL])
        if "tool_calls" in answer or shown.strip():
            assert later.tokens[: len(prompt.tokens) + len(tokens)] == [*prompt.tokens, *tokens]


@pytest.mark.parametrize(
    "changed",
    [
        [{"role": "user", "content": "Look at one."}, called(), result()],
        [{"role": "system", "content": "Be brief."}, USER, called(), result()],
        [USER, called("call_2"), result("call_2")],
    ],
    ids=["another question", "another system text", "another call"],
)
def test_if_the_text_before_differs_the_template_renders_history(
    make: Make, tokenizer: Any, changed: Any
) -> None:
    renderer, fresh = make(""), make("")
    written = tokenizer.encode(ODD, add_special_tokens=False)
    renderer.remember(renderer.render([USER], [TOOL]), called(), written)
    assert renderer.render(changed, [TOOL]) == fresh.render(changed, [TOOL])


@pytest.mark.parametrize("template", [templates.ALTERNATING, templates.HOISTING, templates.SHORT_IDS])
def test_a_template_without_known_answer_places_renders_normally(
    make: Make, tokenizer: Any, template: str
) -> None:
    renderer, fresh = make(template), make(template)
    prompt = renderer.render([USER], [TOOL])
    renderer.remember(prompt, called(), tokenizer.encode(ODD, add_special_tokens=False))
    messages = [USER, called(), result()]
    got, plain = renderer.render(messages, [TOOL]), fresh.render(messages, [TOOL])
    assert got.text == plain.text or ODD in got.text
    assert got.text.endswith(plain.text[-10:])


def test_marks_in_a_users_text_stay_text(make: Make, tokenizer: Any) -> None:
    renderer = make("")
    user = {"role": "user", "content": "\ue000answer 1\ue001 \ue000answer 2\ue001"}
    prompt = renderer.render([user], [TOOL])
    renderer.remember(prompt, called(), tokenizer.encode(ODD, add_special_tokens=False))
    later = renderer.render([user, called(), result()], [TOOL])
    assert user["content"] in later.text
    assert "seen" in later.text


def test_the_oldest_answers_are_dropped() -> None:
    memory = AnswerMemory(most_tokens=10)
    for number in range(3):
        memory.keep(called(f"call_{number}"), KeptAnswer(b"", "", (1, 2, 3, 4)))
    memory.find(called("call_1"), b"")
    memory.keep(called("call_3"), KeptAnswer(b"", "", (1, 2, 3, 4)))
    assert [memory.knows(called(f"call_{number}")) for number in range(4)] == [False, True, False, True]


def test_the_same_words_in_two_places_are_two_answers() -> None:
    memory = AnswerMemory()
    said = {"role": "assistant", "content": "Done."}
    for before, tokens in ((b"1", (1,)), (b"2", (2,)), (b"2", (3,))):
        memory.keep(said, KeptAnswer(before, "", tokens))
    found = [memory.find(said, before) for before in (b"1", b"2", b"3")]
    assert [answer and answer.tokens for answer in found] == [(1,), (3,), None]


def test_a_digest_grows_with_its_text() -> None:
    digest = TextDigest("a")
    before = digest.value()
    digest.add("b\ud800")
    assert digest.value() == TextDigest("ab\ud800").value() != before


def test_the_engine_reads_a_tool_turn_from_the_cache(shelf: ModelShelf, tmp_path: Path) -> None:
    """The script's JSON has blanks that no template writes."""
    with (
        engine(shelf.scripted(f"I will.\n{ODD}".replace("é", "e")), tmp_path) as running,
        httpx.Client(base_url=running.url, timeout=30, trust_env=False) as http,
    ):

        def ask(messages: list[dict[str, Any]], stream: bool) -> tuple[dict[str, Any], dict[str, Any]]:
            body = {"messages": messages, "tools": [TOOL], "stream": stream, "temperature": 0}
            answer = http.post(
                "/v1/chat/completions", json=body | {"stream_options": {"include_usage": True}}
            )
            if not stream:
                whole = answer.json()
                return whole["choices"][0]["message"], whole["usage"]
            chunks = [
                json.loads(line[6:]) for line in answer.text.split("\n\n") if line.startswith("data: {")
            ]
            deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
            pieces = [piece for delta in deltas for piece in delta.get("tool_calls", [])]
            calls = pieces[:1]  # the only call; pieces of its arguments follow
            for piece in pieces[1:]:
                calls[0]["function"]["arguments"] += piece["function"]["arguments"]
            text = "".join(delta.get("content") or "" for delta in deltas)
            return {"role": "assistant", "content": text, "tool_calls": calls}, chunks[-1]["usage"]

        for stream in (False, True):
            question = {"role": "user", "content": f"Look, {stream}."}
            message, first = ask([question], stream)
            [call] = message["tool_calls"]
            _, second = ask([question, message, result(call["id"])], stream)
            assert second["prompt_tokens_details"]["cached_tokens"] >= first["total_tokens"] - 1
