from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.anthropic.lanes import identify
from tests.proxy.live import body

SESSION = "187d0f0f-6064-420e-aa5f-765f769f1b4f"
TOOL = {"name": "Read", "input_schema": {}}
BILLING = "x-anthropic-billing-header: cc_version=9.9; cc_entrypoint=cli; cc_is_subagent=true;"
LONG = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]


@pytest.mark.parametrize(
    ("value", "lane"),
    [
        ("main", "main"),
        ("subagent", "subagent"),
        ("workflow", "subagent"),
        ("compaction", "compaction"),
        ("auxiliary", "auxiliary"),
        ("Main", "main"),
    ],
)
@pytest.mark.parametrize("name", ["x-claude-code-request-class", "x-claude-1p-request-class"])
def test_the_lane_is_what_the_hint_header_says(name: str, value: str, lane: str) -> None:
    assert identify({name: value}, body()).lane == lane


SHAPES: list[tuple[dict[str, Any], str]] = [
    (body(tools=[TOOL]), "main"),
    (body(), "main"),
    (body(output_config={"format": {"type": "json_schema", "schema": {}}}), "auxiliary"),
    (body(output_format={"type": "json_schema", "schema": {}}), "auxiliary"),
    (body(output_config={"format": {"type": "json_schema", "schema": {}}}, tools=[TOOL]), "main"),
    (body(system=[{"type": "text", "text": BILLING}]), "subagent"),
    (body(system=f"{BILLING}\nYou search files."), "subagent"),
    (
        body(messages=[*LONG, {"role": "user", "content": "Write a detailed summary of this conversation."}]),
        "compaction",
    ),
    (body(messages=[{"role": "user", "content": "a detailed summary of a conversation, please"}]), "main"),
    (body(output_config="odd", metadata="odd"), "main"),
]


@pytest.mark.parametrize(("shaped", "lane"), SHAPES)
def test_without_hints_the_lane_is_read_off_the_bodys_shape(shaped: dict[str, Any], lane: str) -> None:
    assert identify({"x-claude-code-request-class": "tomorrow"}, shaped).lane == lane


@pytest.mark.parametrize(
    ("shaped", "lane"),
    [
        (body(), "auxiliary"),  # auto mode's question of 2.1.197, which has no hints
        (body(stream=True), "main"),
        (body(tools=[TOOL]), "main"),  # asked again without a stream, after one that broke
        (body(system=f"{BILLING}\nYou search files."), "subagent"),
    ],
)
def test_an_older_client_asks_aside_without_tools_or_a_stream(shaped: dict[str, Any], lane: str) -> None:
    assert identify({"x-app": "cli"}, shaped).lane == lane


def test_an_agent_id_makes_a_subagent() -> None:
    caller = identify({"x-claude-code-agent-id": "a1", "x-claude-code-agent-type": "Explore"}, body())
    assert (caller.lane, caller.agent, caller.agent_type) == ("subagent", "a1", "Explore")


@pytest.mark.parametrize(
    "user_id",
    [
        json.dumps({"device_id": "d", "session_id": SESSION}),
        f"user_0123_account__session_{SESSION}",
    ],
)
def test_the_session_is_found_in_the_metadata(user_id: str) -> None:
    assert identify({}, body(metadata={"user_id": user_id})).session == SESSION


@pytest.mark.parametrize("user_id", ["", "{", "{}", '{"session_id": 4}', "somebody", 12, None])
def test_other_user_ids_name_no_session(user_id: Any) -> None:
    assert identify({}, body(metadata={"user_id": user_id})).session == ""


def test_headers_name_session_and_prompt_before_the_body_does() -> None:
    headers = {"x-claude-code-session-id": "from-header", "x-claude-code-prompt-id": "p1"}
    caller = identify(headers, body(metadata={"user_id": f"_session_{SESSION}"}))
    assert (caller.session, caller.prompt_id) == ("from-header", "p1")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["role", "content"]), inner),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(["messages", "system", "metadata", "tools", "output_config"]), json_values
    )
)
def test_bodies_of_any_form_have_a_sender(anything: dict[str, Any]) -> None:
    assert identify({}, anything).lane in ("main", "auxiliary", "compaction", "subagent")
