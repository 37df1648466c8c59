"""Whatever a body holds, the client gets an answer or its own fault named: no 500, no hang, no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.any_json import any_json, examples
from tests.proxy import package_types
from tests.proxy.live import Upstream, proxy_in_a_thread, says
from tests.proxy.test_messages_api import BLOCKS, FIELDS

FEW = 25
EXAMPLES = examples(FEW)
KINDS = sorted(package_types.block_types())
JSON = any_json(10**6)
NAMES = st.sampled_from(["Read", "computer", "left_click", "x", ""])


@st.composite
def blocks(draw: st.DrawFn) -> Any:
    """A block of a known kind, with some of its fields replaced, and others'."""
    kind = draw(st.sampled_from(KINDS))
    block: dict[str, Any] = {"type": kind, **BLOCKS[kind]}
    block |= draw(st.dictionaries(st.sampled_from(FIELDS_OF_BLOCKS), JSON, max_size=2))
    if kind in ("tool_result", "document") and draw(st.booleans()):
        inner = draw(st.lists(blocks(), max_size=2))
        block |= (
            {"content": inner} if kind == "tool_result" else {"source": {"type": "content", "content": inner}}
        )
    return block


FIELDS_OF_BLOCKS = sorted(
    {name for fields in BLOCKS.values() for name in fields} | {"toolset_name", "is_error"}
)
SOURCES = st.fixed_dictionaries(
    {"type": st.sampled_from(["base64", "url", "file", "text", "content"])},
    optional={"data": JSON, "url": JSON, "content": JSON, "media_type": st.just("image/png") | JSON},
)
PICTURES = st.fixed_dictionaries({"type": st.sampled_from(["image", "document"]), "source": SOURCES})
TURNS = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant", "system", "developer", "oracle"]),
        "content": st.text(max_size=5) | st.lists(blocks() | PICTURES, max_size=3),
    },
    optional={"clear_at": st.just("next_user_message") | JSON, "output_config": JSON},
)
TOOLS = st.fixed_dictionaries(
    {"type": st.sampled_from([*sorted(package_types.tool_types()), "of_tomorrow"]) | JSON},
    optional={
        "name": NAMES | JSON,
        "input_schema": st.just({"type": "object"}) | JSON,
        "configs": st.dictionaries(NAMES, st.just({"enabled": False}) | JSON) | JSON,
        "allowed_callers": st.lists(st.just("direct")) | JSON,
        "input_examples": JSON,
        "description": JSON,
    },
)
EDITS = st.fixed_dictionaries(
    {"type": st.sampled_from(sorted(package_types.edit_types())) | JSON},
    optional={
        "trigger": st.fixed_dictionaries({"type": st.just("tool_uses"), "value": st.integers(-1, 2)}) | JSON,
        "keep": st.fixed_dictionaries({"type": st.just("tool_uses"), "value": st.integers(-1, 2)}) | JSON,
        "exclude_tools": JSON,
        "clear_tool_inputs": JSON,
        "clear_at_least": JSON,
    },
)
NOT_VARIED = {"model", "max_tokens", "messages", "compaction", "thread"}  # the latter two are refused
BODIES = st.fixed_dictionaries(
    {
        "model": st.just("m"),
        "max_tokens": st.just(9),
        "messages": st.lists(TURNS, min_size=1, max_size=4).map(
            lambda turns: [{"role": "user", "content": "hi"}, *turns]
        ),
    },
    optional={
        **dict.fromkeys(sorted(package_types.fields() - {"model", "max_tokens", "messages"}), JSON),
        **{name: st.just(value) | JSON for name, value in FIELDS.items() if name not in NOT_VARIED},
        "tools": st.lists(TOOLS, max_size=3) | JSON,
        "tool_choice": st.fixed_dictionaries(
            {"type": st.sampled_from(["auto", "any", "tool", "none"]), "name": NAMES}
        )
        | JSON,
        "context_management": st.fixed_dictionaries({"edits": st.lists(EDITS, max_size=2) | JSON}) | JSON,
        "system": st.lists(blocks(), max_size=2) | JSON,
        "stream": st.booleans(),
    },
)


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    upstream = Upstream(says("ok"), other={"/tokenize": {"count": 7}})
    folder = tmp_path_factory.mktemp("fuzz")
    with (
        proxy_in_a_thread(upstream, folder) as url,
        httpx.Client(base_url=url, timeout=20, trust_env=False) as client,
    ):
        yield client


def check(answer: httpx.Response) -> None:
    assert answer.status_code in (200, 400), answer.text
    assert "the proxy failed" not in answer.text
    if answer.status_code == 400:
        told = answer.json()
        assert (told["type"], told["error"]["type"]) == ("error", "invalid_request_error")
        assert told["error"]["message"]


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), derandomize=EXAMPLES == FEW)
@given(body=BODIES)
def test_a_body_of_known_parts_in_any_order_is_answered_or_refused(
    http: httpx.Client, body: dict[str, Any]
) -> None:
    check(http.post("/v1/messages", json=body))
    check(http.post("/v1/messages/count_tokens", json=body))


@settings(max_examples=EXAMPLES // 2, suppress_health_check=list(HealthCheck), derandomize=EXAMPLES == FEW)
@given(
    body=JSON | st.dictionaries(st.sampled_from(["model", "max_tokens", "messages", "system", "tools"]), JSON)
)
def test_any_json_is_answered_or_refused(http: httpx.Client, body: Any) -> None:
    check(http.post("/v1/messages", json=body))
