from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.backends.mlx import MlxBackend
from proxy.backends.upstream import Dialect
from proxy.record.tool_history import ToolHistory
from proxy.translate.late_tools.places import conversation_key
from proxy.translate.late_tools.tool_offer import PLACEHOLDER
from proxy.translate.request import TranslatedRequest, translate_request
from tests.proxy.live import body

MARKED = MlxBackend.dialect
TEXT = Dialect(late_tools="text")
LISTED = Dialect()
DIALECTS = {"marked": MARKED, "text": TEXT, "listed": LISTED}
NAMES = ("Bash", "Edit", "Read", "ToolSearch")
FOUND = ("WebFetch", "mcp__files__list")


def tool(name: str, version: int = 0, **fields: Any) -> dict[str, Any]:
    properties = {"path": {"type": "string", "description": f"version {version}"}}
    schema = {"type": "object", "properties": properties, "required": ["path"]}
    return {"name": name, "description": f"{name} does things.", "input_schema": schema, **fields}


def deferred(name: str) -> dict[str, Any]:
    return tool(name, defer_loading=True)


HOLDER = {"name": PLACEHOLDER, "input_schema": {"type": "object"}, "defer_loading": True}
BASE = [tool(name) for name in NAMES]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def searched(*found: str, number: int = 0) -> list[dict[str, Any]]:
    call = {"type": "tool_use", "id": f"toolu_{number}", "name": "ToolSearch", "input": {"query": "x"}}
    references = [{"type": "tool_reference", "tool_name": name} for name in found]
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": references}
    return [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]


def read(number: int) -> list[dict[str, Any]]:
    call = {"type": "tool_use", "id": f"toolu_r{number}", "name": "Read", "input": {"path": "a"}}
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": f"text {number}"}
    return [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]


class Conversation:
    """Sends the requests of one client, and keeps their history as the proxy does."""

    def __init__(self, dialect: Dialect = MARKED, history: ToolHistory | None = None) -> None:
        self.dialect = dialect
        self.history = history or ToolHistory()
        self.turns: list[dict[str, Any]] = [user("Hello.")]

    def ask(self, tools: Sequence[dict[str, Any]], **fields: Any) -> TranslatedRequest:
        request = body(messages=list(self.turns), tools=list(tools), **fields)
        key = conversation_key(request)
        answer = translate_request(request, self.dialect, self.history.of(key))
        if answer.shown is not None:
            self.history.keep(key, answer.shown)
        return answer


def head(request: TranslatedRequest) -> list[dict[str, Any]]:
    return [one for one in request.body["tools"] if not one.get("defer_loading")]


def names(tools: Sequence[dict[str, Any]]) -> list[str]:
    return [one["function"]["name"] for one in tools]


def allowed(request: TranslatedRequest) -> set[str]:
    """The tools that the engine's grammar has for an answer."""
    choice = request.body.get("tool_choice")
    if isinstance(choice, dict) and choice["type"] == "allowed_tools":
        return set(names(choice["allowed_tools"]["tools"]))
    return set(names(request.body["tools"]))


def goes_on(later: TranslatedRequest, earlier: TranslatedRequest) -> bool:
    said = earlier.body["messages"]
    return bool(later.body["messages"][: len(said)] == said)


def test_a_found_tool_is_defined_where_it_is_referred_to() -> None:
    conversation = Conversation()
    first = conversation.ask([*BASE, HOLDER])
    conversation.turns += searched("WebFetch", "Missing")
    second = conversation.ask([BASE[0], deferred("WebFetch"), *BASE[1:], HOLDER])
    assert head(second) == head(first)
    assert goes_on(second, first)
    defined = second.body["messages"][-1]["content"]
    begin, definition, end, missing = defined.split("\n")
    assert (begin, end, missing) == ("<functions>", "</functions>", "[tool Missing is available]")
    line = definition.removeprefix("<function>").removesuffix("</function>")
    assert json.loads(line) == {
        "description": "WebFetch does things.",
        "name": "WebFetch",
        "parameters": tool("WebFetch")["input_schema"],
    }
    assert allowed(second) == {*NAMES, "WebFetch"}
    assert second.tools.judge("WebFetch", '{"path": "a"}').verdict == "valid"


@pytest.mark.parametrize(("dialect", "listed"), [(TEXT, []), (LISTED, ["WebFetch"])])
def test_other_upstreams_get_a_definition_once(dialect: Dialect, listed: list[str]) -> None:
    conversation = Conversation(dialect)
    conversation.ask([*BASE, HOLDER])
    conversation.turns += searched("WebFetch")
    request = conversation.ask([deferred("WebFetch"), *BASE, HOLDER])
    assert names(request.body["tools"]) == [*NAMES, *listed]
    assert ("<functions>" in request.body["messages"][-1]["content"]) is not bool(listed)
    assert "WebFetch" in request.tools


def test_the_placeholder_is_never_offered() -> None:
    for dialect in DIALECTS.values():
        for tools in ([HOLDER, *BASE], [HOLDER, {"type": "tool_search_tool_regex", "name": "search"}, *BASE]):
            request = Conversation(dialect).ask(tools)
            assert PLACEHOLDER not in str(request.body)
            assert PLACEHOLDER not in request.tools


@pytest.mark.parametrize("kind", sorted(DIALECTS))
def test_a_tool_that_was_found_before_compaction_is_shown_again_behind_the_summary(kind: str) -> None:
    conversation = Conversation(DIALECTS[kind])
    conversation.turns = [user("This session is being continued. Summary: …")]
    tools = [*BASE, deferred("WebFetch"), HOLDER]
    request = conversation.ask(tools)
    assert names(head(request))[: len(NAMES)] == [*NAMES]
    assert "WebFetch" in request.tools
    shown = str(request.body["messages"][-1]["content"])
    assert ("<functions>" in shown) is (kind != "listed")
    assert "WebFetch" in shown
    conversation.turns += read(1)
    second = conversation.ask(tools)
    assert goes_on(second, request)
    assert "WebFetch" not in str(second.body["messages"][len(request.body["messages"]) :])
    conversation.turns += searched("WebFetch", number=2)  # the client says that it is not loaded
    third = conversation.ask(tools)
    assert goes_on(third, second)
    conversation.turns += read(3)
    gone = conversation.ask([*BASE, HOLDER])
    assert goes_on(gone, third)
    assert "not available any more" in str(gone.body["messages"][-1]["content"])


@pytest.mark.parametrize(
    "tools",
    [
        [*BASE, deferred("WebFetch"), {"type": "tool_search_tool_bm25", "name": "tool_search_tool_bm25"}],
        [deferred("WebFetch")],
    ],
)
def test_tools_that_nobody_can_find_are_offered_at_once(tools: list[dict[str, Any]]) -> None:
    assert "WebFetch" in names(head(Conversation().ask(tools)))


ANNOUNCED = (
    "# Environment\n\nThe following deferred tools are now available via ToolSearch. Their schemas are NOT"
    ' loaded: use "select:<name>[,<name>...]" before calling them:\nWebFetch\nmcp__tiny__odd\n\nAgents:'
)


def test_a_tool_of_which_the_client_has_told_the_name_may_be_called() -> None:
    conversation = Conversation()
    conversation.turns.append({"role": "system", "content": ANNOUNCED})
    request = conversation.ask([*BASE, HOLDER])
    assert names(head(request)) == [*NAMES]
    assert allowed(request) == {*NAMES, "WebFetch", "mcp__tiny__odd"}
    assert request.tools.judge("WebFetch", '{"url": "x"}').verdict == "unchecked"
    required = conversation.ask([*BASE, HOLDER], tool_choice={"type": "any"})
    assert allowed(required) == {*NAMES}
    assert allowed(conversation.ask(BASE)) == {*NAMES}


def test_tools_that_come_late_or_go_are_told_behind_the_turn_before() -> None:
    conversation = Conversation()
    first = conversation.ask(BASE)
    conversation.turns += read(1)
    late = conversation.ask([*BASE[:2], tool("mcp__x__y"), *BASE[2:]])
    assert head(late) == head(first)
    assert late.body["messages"][-1]["role"] == "system"
    assert '"name": "mcp__x__y"' in late.body["messages"][-1]["content"]
    assert allowed(late) == {*NAMES, "mcp__x__y"}
    conversation.turns += read(2)
    fewer = conversation.ask(BASE[1:])
    assert head(fewer) == head(first)
    assert goes_on(fewer, late)
    assert allowed(fewer) == {*NAMES[1:]}
    assert fewer.body["messages"][-1]["content"] == (
        "[tool Bash is not available any more]\n[tool mcp__x__y is not available any more]"
    )
    assert fewer.tools.judge("Bash", "{}").verdict == "unknown_tool"
    conversation.turns += read(3)
    again = conversation.ask(BASE)
    assert goes_on(again, fewer)
    assert again.body["messages"][-1]["content"] == "[tool Bash is available from here on]"


def test_a_definition_that_changes_is_told_and_the_calls_are_judged_by_the_new_one() -> None:
    conversation = Conversation()
    first = conversation.ask(BASE)
    conversation.turns += read(1)
    changed = tool("Bash") | {"input_schema": {"type": "object", "required": ["command"]}}
    request = conversation.ask([changed, *BASE[1:]])
    assert head(request) == head(first)
    assert '"required": ["command"]' in request.body["messages"][-1]["content"]
    assert request.tools.judge("Bash", '{"path": "a"}').verdict == "invalid"


def test_a_found_tool_that_goes_keeps_its_definition_in_the_conversation() -> None:
    conversation = Conversation()
    conversation.turns += searched("WebFetch")
    before = conversation.ask([*BASE, deferred("WebFetch"), HOLDER])
    conversation.turns += read(1)
    after = conversation.ask([*BASE, HOLDER])
    assert goes_on(after, before)
    assert "WebFetch is not available any more" in after.body["messages"][-1]["content"]
    assert allowed(after) == {*NAMES}


def test_blocks_of_the_api_add_and_remove_tools() -> None:
    extra = tool("Extra")
    conversation = Conversation()
    first = conversation.ask([*BASE, deferred("WebFetch")])
    changes = [
        {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": extra}},
        {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "WebFetch"}},
        {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "Bash"}},
    ]
    conversation.turns += [*read(1), {"role": "system", "content": changes}]
    second = conversation.ask([*BASE, deferred("WebFetch")])
    assert head(second) == head(first)
    assert goes_on(second, first)
    assert allowed(second) == {*NAMES[1:], "WebFetch", "Extra"}
    told = second.body["messages"][-1]["content"]
    assert told.count("<function>") == 2
    assert told.endswith("[tool Bash is not available any more]")
    back = {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "Bash"}}
    conversation.turns += [*read(2), {"role": "system", "content": [back]}]
    third = conversation.ask([*BASE, deferred("WebFetch")])
    assert goes_on(third, second)
    assert allowed(third) == {*NAMES, "WebFetch", "Extra"}


def test_another_conversation_that_begins_with_the_same_words_has_its_own_tools() -> None:
    one = Conversation()
    other = Conversation(history=one.history)
    one.ask(BASE)
    assert names(head(other.ask(BASE[1:]))) == [*NAMES[1:]]
    for conversation, number in ((one, 1), (other, 2)):
        conversation.turns += read(number)
    assert names(head(other.ask(BASE[1:]))) == [*NAMES[1:]]
    unknown = Conversation(history=one.history)
    unknown.turns = [user("Hi."), *read(7)]
    assert names(head(unknown.ask(BASE[2:]))) == [*NAMES[2:]]


STEPS = st.lists(
    st.tuples(
        st.permutations(NAMES).flatmap(lambda order: st.integers(1, 4).map(lambda most: order[:most])),
        st.sets(st.sampled_from(["mcp__late__one", "mcp__late__two"])),
        st.sets(st.sampled_from(FOUND)),
        st.booleans(),  # the host is restarted before
        st.booleans(),  # a definition is another one
    ),
    min_size=2,
    max_size=6,
)


@given(steps=STEPS, kind=st.sampled_from(sorted(DIALECTS)))
def test_a_prompt_is_the_beginning_of_the_next_one_whatever_happens_to_the_tools(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any], kind: str
) -> None:
    folder = tmp_path_factory.mktemp("history")
    conversation = Conversation(DIALECTS[kind], ToolHistory(folder))
    earlier: TranslatedRequest | None = None
    loaded: set[str] = set()
    for number, (order, late, found, restarted, changed) in enumerate(steps):
        if restarted:
            asyncio.run(conversation.history.close())
            conversation.history = ToolHistory(folder)
        if number:
            loaded |= found
            conversation.turns += searched(*sorted(found), number=number) if found else read(number)
        tools = [tool(name, version=int(changed and name == "Read")) for name in order]
        tools += [tool(name) for name in sorted(late)]
        tools[1:1] = [HOLDER, *(deferred(name) for name in sorted(loaded))]
        request = conversation.ask(tools)
        offered = {*order, *late, *loaded}
        assert all(name in request.tools for name in offered)
        if kind == "marked":
            assert allowed(request) == offered
        if earlier is not None:
            assert goes_on(request, earlier)
            before = head(earlier)
            assert head(request)[: len(before)] == before
            assert kind == "listed" or head(request) == before
        earlier = request
        # The client writes the same content in other ways later.
        last = conversation.turns[-1]
        if isinstance(last["content"], str):
            last["content"] = [
                {"type": "text", "text": last["content"], "cache_control": {"type": "ephemeral"}}
            ]
