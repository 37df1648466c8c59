"""The promise that makes prefix caches work: what was sent once is sent again, to the byte, and grows."""

from __future__ import annotations

import copy
import json
import os
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.anthropic.prompt_prefix import first_difference, is_prefix, is_subagent, joined_text, system_text
from proxy.backends.mlx import MlxBackend
from proxy.backends.upstream import Dialect
from proxy.translate.request import translate_request
from tests.proxy.live import body

BILLING = "x-anthropic-billing-header: cc_version=9.9.{}; cc_entrypoint=cli;"
ENGINE = MlxBackend.dialect
OTHERS = Dialect(images=True)  # as `proxy.backends.openai` has it

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
arguments = st.dictionaries(texts, st.integers() | texts | st.lists(texts, max_size=2), max_size=4)


def text_block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


@st.composite
def user_turns(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A user's turn and, often, the system entry that Claude Code sends after it."""
    blocks = [text_block(text) for text in draw(st.lists(texts, min_size=1, max_size=3))]
    turn = [{"role": "user", "content": blocks}]
    if draw(st.booleans()):
        turn.append({"role": "system", "content": [text_block(draw(texts))]})
    return turn


@st.composite
def answers(draw: st.DrawFn, number: int) -> list[dict[str, Any]]:
    """An assistant's turn, and the results of the calls in it."""
    blocks: list[dict[str, Any]] = []
    if draw(st.booleans()):
        blocks.append({"type": "thinking", "thinking": draw(texts), "signature": "s"})
    blocks.append(text_block(draw(texts)))
    ids = [f"toolu_{number}_{i}" for i in range(draw(st.integers(0, 2)))]
    for call_id in ids:
        blocks.append({"type": "tool_use", "id": call_id, "name": "Read", "input": draw(arguments)})
    turns = [{"role": "assistant", "content": blocks}]
    if ids:
        results = [
            {
                "type": "tool_result",
                "tool_use_id": call_id,
                "content": draw(
                    st.lists(texts, max_size=2).map(lambda found: [text_block(text) for text in found])
                ),
                "is_error": draw(st.booleans()),
            }
            for call_id in ids
        ]
        turns.append({"role": "user", "content": results})
    return turns


@st.composite
def conversations(draw: st.DrawFn) -> list[list[dict[str, Any]]]:
    """The messages of each request of one conversation, all in the client's first form."""
    messages = draw(user_turns())
    requests = [list(messages)]
    for number in range(draw(st.integers(1, 4))):
        answer = draw(answers(number))
        messages = messages + answer
        if answer[-1]["role"] == "assistant":
            messages = messages + draw(user_turns())
        requests.append(list(messages))
    return requests


@st.composite
def in_other_clothes(draw: st.DrawFn, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same content as a client may send it again: joined, with marks, with new fields."""
    dressed = copy.deepcopy(messages)
    for message in dressed:
        content = message["content"]
        if draw(st.booleans()):
            content[-1]["cache_control"] = {"type": "ephemeral"}
        if all(block["type"] == "text" for block in content) and draw(st.booleans()):
            message["content"] = "\n".join(block["text"] for block in content)
        for block in content:
            result = block.get("content")
            if isinstance(result, list) and draw(st.booleans()):
                block["content"] = "\n".join(part["text"] for part in result)
            if block.get("is_error") is False and draw(st.booleans()):
                del block["is_error"]
    return dressed


@st.composite
def requests_of_a_session(draw: st.DrawFn) -> list[dict[str, Any]]:
    instructions = draw(st.lists(texts, min_size=1, max_size=2))
    requests = []
    for messages in draw(conversations()):
        system: Any = [text_block(text) for text in instructions]
        if draw(st.booleans()):
            system = "\n".join(instructions)
        elif draw(st.booleans()):
            system = [text_block(BILLING.format(draw(st.integers(0, 999)))), *system]
        requests.append(body(system=system, messages=draw(in_other_clothes(messages))))
    return requests


def chat_messages(request: dict[str, Any], dialect: Dialect) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = translate_request(request, dialect).body["messages"]
    return messages


@pytest.mark.parametrize("dialect", [ENGINE, OTHERS], ids=["engine", "folded"])
@given(requests=requests_of_a_session())
def test_each_turns_prompt_begins_with_the_one_before_whatever_its_form(
    dialect: Dialect, requests: list[dict[str, Any]]
) -> None:
    prompts = [chat_messages(request, dialect) for request in requests]
    for earlier, later in pairwise(prompts):
        assert is_prefix(earlier, later), first_difference(earlier, later)


@given(requests=requests_of_a_session())
def test_mid_conversation_system_entries_stay_where_they_are(requests: list[dict[str, Any]]) -> None:
    request = requests[-1]
    roles = [message["role"] for message in chat_messages(request, ENGINE)[1:]]
    for turn in request["messages"]:
        if turn["role"] == "system":
            assert "system" in roles
    assert roles.count("system") == sum(turn["role"] == "system" for turn in request["messages"])


@pytest.mark.parametrize(
    ("system", "text"),
    [
        (None, ""),
        ("Be kind.", "Be kind."),
        ([text_block("Be"), text_block("kind.")], "Be\nkind."),
        ([text_block(BILLING.format("a1")), text_block("Be kind.")], "Be kind."),
        (f"{BILLING.format('b2')}\nBe kind.", "Be kind."),
        (BILLING.format("c3"), ""),
    ],
)
def test_the_billing_block_is_no_part_of_the_prompt(system: Any, text: str) -> None:
    assert system_text(system) == text


def test_the_billing_block_identifies_subagents() -> None:
    assert is_subagent([text_block(BILLING.format(1) + " cc_is_subagent=true;")])
    assert not is_subagent([text_block(BILLING.format(1))])
    assert not is_subagent([text_block("I quote cc_is_subagent=true")])


def test_another_order_of_keys_is_another_prompt() -> None:
    assert first_difference([{"a": 1, "b": 2}], [{"b": 2, "a": 1}]) == 0
    assert first_difference([{"a": 1}], []) == 0
    assert is_prefix([{"a": 1}, {"a": 9}], [{"a": 1}, {"a": 2}], ignore_last=1)


def test_arguments_keep_the_order_in_which_the_model_wrote_them() -> None:
    written = {"z": 1, "a": {"y": 2, "b": 3}}
    call = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": written}
    turns = [{"role": "user", "content": "go"}, {"role": "assistant", "content": [call]}]
    sent = chat_messages(body(messages=turns), ENGINE)[-1]["tool_calls"][0]["function"]["arguments"]
    assert sent == '{"z":1,"a":{"y":2,"b":3}}'


def recorded_sessions(folder: Path) -> list[list[dict[str, Any]]]:
    """The bodies of recorded requests by session and agent, in the order of their recording."""
    sessions: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for file in sorted(folder.glob("*.json")):
        recorded = json.loads(file.read_text())
        if not isinstance(recorded.get("body"), dict) or not recorded["body"].get("messages"):
            continue
        headers = recorded["headers"]
        key = headers.get("x-claude-code-session-id", ""), headers.get("x-claude-code-agent-id", "")
        sessions[key].append(recorded["body"])
    return list(sessions.values())


@pytest.mark.skipif(not os.environ.get("ANYCLAUDE_CORPUS"), reason="ANYCLAUDE_CORPUS names no folder")
@pytest.mark.parametrize("dialect", [ENGINE, OTHERS], ids=["engine", "folded"])
def test_the_real_clients_sessions_only_ever_grow(dialect: Dialect) -> None:
    sessions = recorded_sessions(Path(os.environ["ANYCLAUDE_CORPUS"]))
    assert sessions
    for requests in sessions:
        prompts = [chat_messages(request, dialect) for request in requests]
        for earlier, later in pairwise(prompts):
            assert is_prefix(earlier, later), (first_difference(earlier, later), len(earlier))
    heads = {joined_text([system_text(requests[0]["system"])]) for requests in sessions}
    assert len(heads) < len(sessions) or len(sessions) == 1
