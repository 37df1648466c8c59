from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.wire.chat import PROJECT_TEXT, unseen_picture
from engine.wire.thinking_budget import EFFORT_TOKENS
from proxy.backends.mlx import MlxBackend
from proxy.backends.upstream import Dialect, ThinkingControl
from proxy.events.errors import InvalidRequest
from proxy.translate.block_texts import unseen_document
from proxy.translate.request import TranslatedRequest, translate_request
from proxy.translate.thinking import sign, thinking_text
from proxy.translate.tools import tool_set
from tests.proxy.live import body

ENGINE = MlxBackend.dialect
PLAIN = Dialect()
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
READ = {"name": "Read", "description": "Read a file.", "input_schema": SCHEMA}


def translated(dialect: Dialect = ENGINE, **fields: Any) -> TranslatedRequest:
    return translate_request(body(**fields), dialect)


def messages(*turns: dict[str, Any], dialect: Dialect = ENGINE) -> list[dict[str, Any]]:
    chat: list[dict[str, Any]] = translated(dialect, messages=list(turns)).body["messages"]
    return chat


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def use(call_id: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "Read", "input": arguments}


def result(call_id: str, content: Any = "", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **fields}


def test_a_conversation_with_parallel_calls_keeps_its_order() -> None:
    chat = messages(
        user(text("Compare them.")),
        assistant(text("I read both."), use("toolu_a", path="a"), use("toolu_b", path="b")),
        user(result("toolu_a", "A"), result("toolu_b", [text("B"), text("C")]), text("Go on.")),
    )
    assert chat == [
        {"role": "user", "content": "Compare them."},
        {
            "role": "assistant",
            "content": "I read both.",
            "tool_calls": [
                {
                    "id": "toolu_a",
                    "type": "function",
                    "function": {"name": "Read", "arguments": '{"path":"a"}'},
                },
                {
                    "id": "toolu_b",
                    "type": "function",
                    "function": {"name": "Read", "arguments": '{"path":"b"}'},
                },
            ],
        },
        {"role": "tool", "tool_call_id": "toolu_a", "content": "A"},
        {"role": "tool", "tool_call_id": "toolu_b", "content": "B\nC"},
        {"role": "user", "content": "Go on."},
    ]


def test_results_come_before_the_text_of_their_turn() -> None:
    chat = messages(user(text("go")), assistant(use("t")), user(text("and then"), result("t", "done")))
    assert [message["role"] for message in chat] == ["user", "assistant", "tool", "user"]


RESULTS: list[tuple[dict[str, Any], str]] = [
    (result("t", "fine"), "fine"),
    (result("t", [text("a"), text("b")]), "a\nb"),
    (result("t", None), ""),
    (result("t", []), ""),
    (result("t", "no such file", is_error=True), "Error: no such file"),
    (result("t", "Error: gone", is_error=True), "Error: gone"),
    (result("t", [text("see"), IMAGE]), f"see\n{unseen_picture('image/png, 0 KB')}"),
    (result("t", [{"type": "tool_reference", "tool_name": "Grep"}]), "[tool Grep is available]"),
]


@pytest.mark.parametrize(("block", "content"), RESULTS)
def test_tool_results_of_all_forms_become_text(block: dict[str, Any], content: str) -> None:
    assert messages(user(block)) == [{"role": "tool", "tool_call_id": "t", "content": content}]


def test_system_entries_stay_in_place_for_an_engine_that_takes_them() -> None:
    chat = messages(user(text("hi")), {"role": "system", "content": "mind"}, assistant(text("ok")))
    assert [message["role"] for message in chat] == ["user", "system", "assistant"]


def test_what_differs_by_project_in_the_system_text_is_marked_where_that_is_asked_for() -> None:
    memory = "# Memory\nIt is in /home/u/.claude/projects/otter/memory/.\n\n"
    system = [text("Be brief.\n"), text(f"{memory}# Style\nBe kind.")]
    first = translated(replace(ENGINE, project_text=True), system=system).body["messages"][0]
    assert first == {
        "role": "system",
        "content": [
            text("Be brief.\n\n"),
            text(memory) | {PROJECT_TEXT: True},
            text("# Style\nBe kind."),
        ],
    }
    whole = "".join(part["text"] for part in first["content"])
    assert translated(system=system).body["messages"][0] == {"role": "system", "content": whole}
    plain = translated(replace(ENGINE, project_text=True), system="Be brief.").body["messages"][0]
    assert plain == {"role": "system", "content": "Be brief."}


def test_system_entries_are_folded_where_the_upstream_would_refuse_them() -> None:
    request = translated(PLAIN, messages=[user(text("hi")), {"role": "system", "content": "mind"}])
    (only,) = request.body["messages"]
    assert only["role"] == "user"
    assert only["content"].startswith("hi")
    assert "mind" in only["content"]
    assert any("folded" in note for note in request.notes)


def test_thinking_goes_back_as_reasoning_or_not_at_all() -> None:
    thought = assistant({"type": "thinking", "thinking": "hm", "signature": "x"}, text("yes"))
    assert messages(user(text("?")), thought)[1]["reasoning_content"] == "hm"
    assert "reasoning_content" not in messages(user(text("?")), thought, dialect=PLAIN)[1]


def test_thinking_that_the_client_hides_comes_back_in_its_signature() -> None:
    hidden = {"type": "thinking", "thinking": "", "signature": sign("deep ☃ thought")}
    assert messages(user(text("?")), assistant(hidden, text("yes")))[1] == {
        "role": "assistant",
        "content": "yes",
        "reasoning_content": "deep ☃ thought",
    }


@pytest.mark.parametrize(
    "signature", [None, 4, "", "EqQBCgIYAhIM", "anyclaude1.", "anyclaude1.!!", "anyclaude1.AAAA"]
)
def test_signatures_of_others_hold_no_thinking(signature: Any) -> None:
    assert thinking_text({"type": "thinking", "thinking": "", "signature": signature}) == ""


def test_redacted_thinking_is_left_out_and_noted() -> None:
    request = translated(messages=[user(text("?")), assistant({"type": "redacted_thinking", "data": "x"})])
    assert request.body["messages"][1] == {"role": "assistant", "content": ""}
    assert any("redacted" in note for note in request.notes)


def test_images_go_to_those_who_see_and_leave_a_remark_with_those_who_do_not() -> None:
    seen = messages(user(text("a"), text("b"), IMAGE, text("c")), dialect=Dialect(images=True))
    assert seen[0]["content"] == [
        {"type": "text", "text": "a\nb"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
        {"type": "text", "text": "c"},
    ]
    blind = translated(messages=[user(text("a"), IMAGE)])
    assert blind.body["messages"][0]["content"] == f"a\n{unseen_picture('image/png, 0 KB')}"
    assert any("picture" in note for note in blind.notes)


def picture(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


NO_FILES = "it lies in the store of the Files API, which does not exist here"
URL = "data:image/png;base64,QUJD"
SHOWN: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]] = [
    (  # Read of a PNG
        [result("t", [IMAGE])],
        [
            {"role": "tool", "tool_call_id": "t", "content": "[picture 1: shown below]"},
            {"role": "user", "content": [text("Picture 1 of the result of call t:"), picture(URL)]},
        ],
    ),
    (  # a notebook's plots beside another result, and a typed text behind them
        [result("t", [text("out"), IMAGE, text("more"), IMAGE]), result("u", "B"), text("Go on.")],
        [
            {
                "role": "tool",
                "tool_call_id": "t",
                "content": "out\n[picture 1: shown below]\nmore\n[picture 2: shown below]",
            },
            {"role": "tool", "tool_call_id": "u", "content": "B"},
            {
                "role": "user",
                "content": [
                    text("Picture 1 of the result of call t:"),
                    picture(URL),
                    text("Picture 2 of the result of call t:"),
                    picture(URL),
                    text("Go on."),
                ],
            },
        ],
    ),
    (  # a document that holds pictures
        [{"type": "document", "source": {"type": "content", "content": [text("a"), IMAGE, text("b")]}}],
        [{"role": "user", "content": [text("a\n[picture 1: shown below]\nb"), picture(URL)]}],
    ),
    (  # one that the vendor stores is no picture here
        [{"type": "image", "source": {"type": "file", "file_id": "file_1"}}],
        [
            {
                "role": "user",
                "content": unseen_picture(NO_FILES),
            }
        ],
    ),
]


@pytest.mark.parametrize(("blocks", "expected"), SHOWN)
def test_pictures_in_results_reach_a_model_that_sees(
    blocks: list[dict[str, Any]], expected: list[dict[str, Any]]
) -> None:
    assert messages(user(*blocks), dialect=Dialect(images=True)) == expected


BLOCKS: list[tuple[dict[str, Any], str]] = [
    ({"type": "document", "source": {"type": "text", "data": "lines"}, "title": "Notes"}, "Notes\nlines"),
    ({"type": "document", "source": {"type": "content", "content": [text("x"), text("y")]}}, "x\ny"),
    ({"type": "document", "source": {"type": "content", "content": "x"}}, "x"),
    (
        {"type": "document", "source": {"type": "text", "data": "lines"}, "title": "N", "context": "why"},
        "N\nwhy\nlines",
    ),
    (
        {"type": "document", "source": {"type": "base64", "media_type": "x/y", "data": "AAAA"}, "title": "N"},
        f"N\n{unseen_document('x/y, 0 KB')}",
    ),
    (
        {"type": "document", "source": {"type": "url", "url": "http://127.0.0.1:1/a.pdf"}},
        unseen_document("it lies at a URL, which the proxy does not fetch"),
    ),
    (
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        unseen_document(NO_FILES),
    ),
    ({"type": "document"}, unseen_document("of an unknown kind")),
    ({"type": "search_result", "source": "s", "title": "t", "content": [text("found")]}, "t (s)\nfound"),
    (
        {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "Grep"}},
        "[tool Grep is available from here on]",
    ),
    (
        {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": READ}},
        'These tools are available from here on:\n<functions>\n<function>{"description": "Read a file.", '
        '"name": "Read", "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, '
        '"required": ["path"]}}</function>\n</functions>',
    ),
    (
        {"type": "tool_removal", "tool": {"type": "mcp_toolset_reference", "server_name": "files"}},
        "[tool files is not available any more]",
    ),
    ({"type": "compaction", "content": "so far: nothing"}, "so far: nothing"),
    ({"type": "compaction", "content": None}, ""),
    ({"type": "fallback", "from": {}, "to": {}}, ""),
    ({"type": "mcp_tool_listing", "mcp_server_name": "files", "tools": []}, ""),
    (
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
        '[a call that was carried out on the server: web_search {"query":"q"}]',
    ),
    (
        {"type": "mcp_tool_use", "id": "s", "name": "list", "server_name": "files", "input": {}},
        "[a call that was carried out on an MCP server: list {}]",
    ),
    (
        {
            "type": "web_search_tool_result",
            "tool_use_id": "s",
            "content": [{"type": "web_search_result", "title": "T", "url": "U", "encrypted_content": "zzz"}],
        },
        "[result of web search]\nT\nU",
    ),
    (
        {
            "type": "web_search_tool_result",
            "content": {"type": "web_search_tool_result_error", "error_code": "unavailable"},
        },
        "[result of web search]\nunavailable",
    ),
    (
        {
            "type": "web_fetch_tool_result",
            "content": {
                "type": "web_fetch_result",
                "url": "U",
                "content": {"type": "document", "title": "T", "source": {"type": "text", "data": "page"}},
            },
        },
        "[result of web fetch]\nU\nT\npage",
    ),
    (
        {
            "type": "bash_code_execution_tool_result",
            "content": {
                "type": "bash_code_execution_result",
                "stdout": "out",
                "stderr": "err",
                "return_code": 2,
            },
        },
        "[result of bash code execution]\nout\nerr\nexit code 2",
    ),
    (
        {
            "type": "tool_search_tool_result",
            "content": {"tool_references": [{"type": "tool_reference", "tool_name": "Grep"}]},
        },
        "[result of tool search]\nGrep",
    ),
    ({"type": "mcp_tool_result", "content": [text("a"), text("b")]}, "[result of mcp]\na\nb"),
    (
        {"type": "container_upload", "file_id": "file_1"},
        f"[a file for a container, not shown: {NO_FILES}]",
    ),
    (
        {
            "type": "browser_state",
            "tabs": [{"tab_id": "1", "title": "T", "url": "U", "active": True}, {"tab_id": "2"}, "odd"],
            "state_changes": [{"type": "tab_opened", "tab_id": "2"}],
        },
        "[open tabs, * is the active one]\n* 1: T U\n- 2: None None\n"
        'Meanwhile: [{"type":"tab_opened","tab_id":"2"}]',
    ),
    ({"type": "hologram", "text": "words"}, "words"),
    (
        {"type": "hologram", "light": 1},
        "[hologram: a block of a kind that is not known here; you were not shown what it holds]",
    ),
]


@pytest.mark.parametrize(("block", "content"), BLOCKS)
def test_blocks_that_are_no_text_are_kept_as_text_or_noted(block: dict[str, Any], content: str) -> None:
    assert messages(user(block))[0]["content"] == content


def test_blocks_nested_beyond_reason_are_the_clients_fault() -> None:
    nested: dict[str, Any] = text("deep")
    for _ in range(480):  # as deep as a body may be for the parser
        nested = result("toolu_1", [nested])
    with pytest.raises(InvalidRequest, match="nested too deeply"):
        messages(user(nested))


def test_a_system_entry_may_be_for_one_turn_or_for_options_alone() -> None:
    once = {"role": "system", "content": "now", "clear_at": "next_user_message"}
    effort = {"role": "system", "output_config": {"effort": "low"}}
    assert [one["content"] for one in messages(user(text("a")), once)] == ["a", "now"]
    later = translated(
        messages=[user(text("a")), once, assistant(text("b")), user(text("c")), effort],
        output_config={"effort": "high"},
    )
    assert [one["content"] for one in later.body["messages"]] == ["a", "b", "c"]
    assert later.body["reasoning_effort"] == "low"


def test_an_unknown_role_speaks_as_the_user() -> None:
    request = translated(messages=[user(text("hi")), {"role": "oracle", "content": "mm"}])
    assert request.body["messages"][1] == {"role": "user", "content": "mm"}
    assert any("oracle" in note for note in request.notes)


def test_tools_become_functions_with_their_schema_untouched() -> None:
    request = translated(tools=[READ | {"cache_control": {"type": "ephemeral"}}])
    assert request.body["tools"] == [
        {
            "type": "function",
            "function": {"name": "Read", "description": "Read a file.", "parameters": SCHEMA},
        }
    ]


def test_server_tools_are_left_out_and_noted() -> None:
    search = {"type": "code_execution_20250825", "name": "code_execution"}
    request = translated(tools=[search])
    assert "tools" not in request.body
    assert any("code_execution" in note for note in request.notes)


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "code_execution"}])
def test_a_server_tool_cannot_be_demanded_of_the_model_and_the_trace_says_so(choice: dict[str, Any]) -> None:
    request = translated(
        tools=[{"type": "code_execution_20250825", "name": "code_execution"}], tool_choice=choice
    )
    assert "tool_choice" not in request.body
    assert any(note.startswith("left out tool_choice") for note in request.notes)


CHOICES: list[tuple[dict[str, Any] | None, dict[str, Any]]] = [
    (None, {}),
    ({"type": "auto"}, {"tool_choice": "auto"}),
    ({"type": "any"}, {"tool_choice": "required"}),
    ({"type": "none"}, {"tool_choice": "none"}),
    (
        {"type": "tool", "name": "Read"},
        {"tool_choice": {"type": "function", "function": {"name": "Read"}}},
    ),
    ({"type": "tool", "name": "a_server_tool"}, {}),
    ({"type": "tomorrow"}, {}),
    ({"type": "auto", "disable_parallel_tool_use": False}, {"tool_choice": "auto"}),
]


@pytest.mark.parametrize(("choice", "fields"), CHOICES)
def test_tool_choice_is_mapped(choice: dict[str, Any] | None, fields: dict[str, Any]) -> None:
    chat = translated(tools=[READ], tool_choice=choice).body
    assert {name: chat[name] for name in ("tool_choice", "parallel_tool_calls") if name in chat} == fields
    assert [tool["function"]["name"] for tool in chat["tools"]] == ["Read"]


@pytest.mark.parametrize(("choice", "fields"), CHOICES)
def test_one_call_at_a_time_may_be_asked_for_with_every_choice(
    choice: dict[str, Any] | None, fields: dict[str, Any]
) -> None:
    single = {"type": "auto", **(choice or {}), "disable_parallel_tool_use": True}
    chat = translated(tools=[READ], tool_choice=single).body
    assert chat["parallel_tool_calls"] is False
    assert chat.get("tool_choice") == fields.get("tool_choice", "auto" if choice is None else None)


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({"tools": [READ]}, None),
        ({"tools": [READ], "tool_choice": {"type": "any"}}, None),
        ({"tools": [READ], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}, 1),
        ({"tools": [READ], "tool_choice": {"type": "none", "disable_parallel_tool_use": True}}, 0),
        ({"tools": [READ], "tool_choice": {"type": "none"}}, 0),
        ({"tools": []}, 0),
        ({}, 0),
    ],
)
def test_an_answer_holds_as_many_calls_as_the_request_takes(fields: dict[str, Any], most: int | None) -> None:
    assert translated(**fields).most_calls == most


def test_sampling_is_passed_on() -> None:
    chat = translated(temperature=0.5, top_p=0.9, top_k=40, stop_sequences=["END"], max_tokens=9).body
    told = {name: chat[name] for name in ("temperature", "top_p", "top_k", "stop", "max_tokens")}
    assert told == {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "stop": ["END"], "max_tokens": 9}


def test_what_openai_does_not_have_is_kept_from_openai() -> None:
    chat = translated(PLAIN, top_k=40, thinking={"type": "adaptive"}, output_config={"effort": "high"})
    assert not chat.body.keys() & {"top_k", "chat_template_kwargs", "reasoning_effort"}
    assert any("top_k" in note for note in chat.notes)


@pytest.mark.parametrize(
    ("thinking", "enabled"),
    [
        (None, False),
        ({"type": "disabled"}, False),
        ({"type": "enabled", "budget_tokens": 1024}, True),
        ({"type": "adaptive", "display": "omitted"}, True),
        ({"type": "tomorrow"}, False),
        ("odd", False),
    ],
)
def test_the_engine_is_told_whether_to_think(thinking: Any, enabled: bool) -> None:
    request = translated(thinking=thinking)
    assert request.body["chat_template_kwargs"]["enable_thinking"] is enabled
    assert request.thinking.enabled is enabled


def budget(tokens: Any) -> dict[str, Any]:
    return {"type": "enabled", "budget_tokens": tokens}


EFFORTS: list[tuple[dict[str, Any], str | None, dict[str, Any] | None]] = [
    ({"thinking": {"type": "adaptive"}}, None, {"effort": "medium"}),
    ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, "low", {"effort": "low"}),
    ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}, "high", {"effort": "high"}),
    ({"thinking": {"type": "between_tools"}, "output_config": {"effort": "max"}}, "high", {"effort": "high"}),
    ({"output_config": {"effort": "medium"}}, "medium", None),
    ({"output_config": {"effort": "odd"}}, None, None),
    ({"output_config": ["odd"]}, None, None),
    ({"thinking": budget(1024)}, "low", {"max_tokens": 1024}),
    ({"thinking": budget(10_000)}, "medium", {"max_tokens": 10_000}),
    ({"thinking": budget(31_999)}, "high", {"max_tokens": 31_999}),
    ({"thinking": budget(31_999), "output_config": {"effort": "low"}}, "low", {"max_tokens": 31_999}),
    ({"thinking": budget("many")}, None, {"effort": "medium"}),
    ({"thinking": budget(True)}, None, {"effort": "medium"}),
    ({"thinking": budget(-5)}, None, {"effort": "medium"}),
]


@pytest.mark.parametrize(("fields", "effort", "openrouter"), EFFORTS)
def test_effort_and_budget_are_mapped_to_what_an_upstream_takes(
    fields: dict[str, Any], effort: str | None, openrouter: dict[str, Any] | None
) -> None:
    engine = translated(**fields)
    assert engine.body.get("reasoning_effort") == effort
    assert engine.body["chat_template_kwargs"].get("thinking_budget", 0) == engine.thinking.budget
    assert translated(Dialect(thinking="openrouter"), **fields).body.get("reasoning") == openrouter
    assert not translated(PLAIN, **fields).body.keys() & {"reasoning", "reasoning_effort"}


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, None),
        ({"thinking": {"type": "adaptive"}}, 32_768),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "odd"}}, 32_768),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": ["odd"]}}, 32_768),
        *[
            ({"thinking": {"type": "adaptive"}, "output_config": {"effort": name}}, tokens)
            for name, tokens in EFFORT_TOKENS.items()
        ],
        ({"thinking": budget(5000), "output_config": {"effort": "low"}}, 5000),
    ],
)
def test_the_engine_is_told_how_long_to_think(fields: dict[str, Any], tokens: int | None) -> None:
    assert translated(**fields).body.get("thinking_token_budget") == tokens
    begun = [user(text("?")), assistant(text("It is"))]
    assert "thinking_token_budget" not in translated(**fields, messages=begun).body


ON, OFF = {"enable_thinking": True}, {"enable_thinking": False}
LOW = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}
DISABLED = {"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}
LIMITS: list[tuple[ThinkingControl, dict[str, Any], dict[str, Any]]] = [
    ("vllm", DISABLED, {"chat_template_kwargs": OFF}),
    (
        "vllm",
        LOW,
        {"chat_template_kwargs": ON, "reasoning_effort": "low", "thinking_token_budget": 4096},
    ),
    (
        "sglang",
        {"thinking": budget(5000)},
        {
            "chat_template_kwargs": ON,
            "reasoning_effort": "medium",
            "custom_params": {"thinking_budget": 5000},
        },
    ),
    (
        "llama.cpp",
        {"thinking": {"type": "adaptive"}},
        {"chat_template_kwargs": ON, "thinking_budget_tokens": 7500},
    ),
    ("llama.cpp", DISABLED, {"chat_template_kwargs": OFF}),
    ("ollama", LOW, {"reasoning_effort": "low"}),
    ("ollama", {"thinking": {"type": "adaptive"}}, {}),
    ("ollama", DISABLED, {"reasoning_effort": "none"}),
    ("openai", LOW, {"reasoning_effort": "low"}),
    ("openai", DISABLED, {}),
    ("openrouter", DISABLED, {}),
    ("", LOW, {}),
]


@pytest.mark.parametrize(("control", "fields", "sent"), LIMITS)
def test_thinking_is_switched_and_limited_in_the_fields_of_the_upstream(
    control: ThinkingControl, fields: dict[str, Any], sent: dict[str, Any]
) -> None:
    request = translated(Dialect(thinking=control), **fields, max_tokens=10_000)
    assert {name: request.body[name] for name in request.body.keys() - {"messages", "max_tokens"}} == sent


def test_a_budget_that_cannot_be_sent_is_noted_and_a_begun_answer_has_none() -> None:
    assert any("budget of thinking" in note for note in translated(PLAIN, thinking=budget(5000)).notes)
    begun = translated(
        Dialect(thinking="llama.cpp"),
        thinking=budget(5000),
        messages=[user(text("?")), assistant(text("It is"))],
    )
    assert begun.body["chat_template_kwargs"] == OFF
    assert "thinking_budget_tokens" not in begun.body


def test_a_wanted_format_is_passed_on() -> None:
    wanted = {"type": "json_schema", "schema": SCHEMA}
    for fields in ({"output_config": {"format": wanted}}, {"output_format": wanted}):
        assert translated(**fields).body["response_format"]["json_schema"]["schema"] == SCHEMA


def test_fields_without_a_meaning_here_are_noted_once() -> None:
    notes = translated(context_management={}, service_tier="auto", container="x").notes
    assert notes == ["left out fields that mean nothing to this model: container, service_tier"]


VERDICTS = [
    ('{"path": "a"}', "valid"),
    ('{"path": 3}', "invalid"),
    ("{}", "invalid"),
    ("", "invalid"),
    ('{"path": ', "unparsed"),
    ("[]", "unparsed"),
    ('"a"', "unparsed"),
]


@pytest.mark.parametrize(("arguments", "verdict"), VERDICTS)
def test_calls_are_judged_by_their_schema(arguments: str, verdict: str) -> None:
    judged = tool_set([READ]).judge("Read", arguments)
    assert judged.verdict == verdict
    assert bool(judged.detail) is (verdict != "valid")


def test_a_call_of_no_tool_of_the_request_is_unknown() -> None:
    assert tool_set([READ]).judge("Write", "{}").verdict == "unknown_tool"


def test_a_tool_without_parameters_may_be_called_with_nothing() -> None:
    judged = tool_set([{"name": "Now", "input_schema": {"type": "object"}}]).judge("Now", "")
    assert (judged.verdict, judged.input) == ("valid", {})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"properties": {"path": {"$ref": "http://127.0.0.1:1/schema.json"}}},
        {"properties": {"path": {"pattern": "(?<name>"}}},
    ],
)
def test_a_schema_that_cannot_be_applied_judges_nothing_and_fetches_nothing(schema: dict[str, Any]) -> None:
    judged = tool_set([{"name": "Odd", "input_schema": schema}]).judge("Odd", '{"path": "x"}')
    assert (judged.verdict, judged.usable, judged.input) == ("unchecked", True, {"path": "x"})
    assert judged.detail


def test_the_same_tools_are_compiled_once() -> None:
    assert tool_set([READ]) is tool_set([dict(READ)])
    assert tool_set([READ]) is not tool_set([READ | {"description": "Another."}])


@pytest.mark.parametrize("dialect", [ENGINE, PLAIN])
def test_an_answer_that_the_client_began_is_continued_where_the_upstream_can(dialect: Dialect) -> None:
    begun = {"role": "assistant", "content": "The answer is"}
    asked = {"role": "user", "content": "?"}
    chat = translated(
        dialect, messages=[asked, begun], thinking={"type": "enabled", "budget_tokens": 1024}
    ).body
    assert chat.get("continue_final_message", False) is dialect.continues_answers
    assert chat.get("chat_template_kwargs", {}).get("enable_thinking") is not True
    call = {"type": "tool_use", "id": "t", "name": "Read", "input": {}}
    for last in (asked, {"role": "assistant", "content": [call]}):
        assert "continue_final_message" not in translated(dialect, messages=[asked, begun, last]).body
