"""docs/messages-api.md says of every part of the API what the code makes of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from proxy.anthropic.context_edits import CLEAR_THINKING, CLEAR_TOOL_USES
from proxy.anthropic.messages import check_message_request
from proxy.api.server import OTHER_APIS
from proxy.backends.upstream import Dialect
from proxy.events.errors import InvalidRequest
from proxy.translate.request import translate_request
from tests.proxy import package_types
from tests.proxy.live import body

DOC = (Path(__file__).parents[2] / "docs/messages-api.md").read_text("utf-8")
VERDICTS = {"accepted", "mapped", "left out", "refused"}
SEEING = Dialect(reasoning=True, images=True, top_k=True, thinking="engine")
# Of older versions of the API, which the package has no more.
OLDER_FIELDS = {"temperature", "top_p", "top_k", "output_format"}
UNDOCUMENTED = {"safeguards"}  # Claude Code sends it

# For each field a value that a client may send.
FIELDS: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.5,
    "top_k": 5,
    "stop_sequences": ["END"],
    "stream": True,
    "system": "Be brief.",
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "low"},
    "output_format": {"type": "json_schema", "schema": {"type": "object"}},
    "context_management": {"edits": []},
    "metadata": {"user_id": "u"},
    "tool_choice": {"type": "auto"},
    "tools": [],
    "safeguards": [{"type": "dangerous_tool_use"}],
    "compaction": {"type": "summarize"},
    "thread": {"type": "create"},
}


def table(title: str) -> list[tuple[list[str], list[str]]]:
    """The names in the first cell of each row of a section's table, and the other cells."""
    section = DOC.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return [(re.findall(r"`([^`]+)`", first), [cell.strip() for cell in rest]) for first, *rest in rows]


def verdicts(title: str) -> dict[str, str]:
    return {name: cells[0] for names, cells in table(title) for name in names}


FIELD_VERDICTS = verdicts("Fields of the body")
BLOCK_VERDICTS = verdicts("Content blocks")
TOOL_VERDICTS = verdicts("Tools")
EDIT_VERDICTS = verdicts("Context edits")


# Of what concerns this API: Claude Code 2.1.332 names these, and the package does not.
BETAS_OF_THE_CLIENT = {
    "advanced-tool-use-2025-11-20",
    "afk-mode-2026-01-31",
    "auto-mode-classifier-2026-07-16",
    "cache-keepalive-2026-09-03",
    "claude-code-side-query-2026-09-29",
    "context-hint-2026-04-09",
    "dangerous-tool-use-2026-09-03",
    "effort-2025-11-24",
    "mcp-servers-2025-12-04",
    "mid-conversation-system-2026-04-07",
    "per-turn-control-2026-07-01",
    "prompt-caching-evict-2026-05-12",
    "prompt-caching-scope-2026-01-05",
    "redact-thinking-2026-02-12",
    "request-tags-2026-08-21",
    "resumption-2026-10-08",
    "structured-outputs-2025-12-15",
    "subagent-review-2026-11-17",
    "thinking-resumption-2026-07-17",
    "timing-2026-09-09",
    "tool-provenance-2026-10-26",
    "tool-search-tool-2025-10-19",
    "web-search-2025-03-05",
    "web-search-results-only-2026-11-15",
}


def test_each_kind_within_a_field_has_its_row() -> None:
    rows = table("Kinds within fields")
    named = {(names[0], kind) for names, cells in rows for kind in re.findall(r"`([^`]+)`", cells[0])}
    assert named == package_types.kinds_within_fields()
    assert {cells[1] for _, cells in rows} <= VERDICTS
    assert set(verdicts("Parts of an answer")) == package_types.delta_types()


@pytest.mark.parametrize(
    "kind", sorted(kind for _, kind in package_types.kinds_within_fields() if _ == "thinking.type")
)
def test_the_model_thinks_unless_thinking_is_disabled(kind: str) -> None:
    thinking = {"type": kind, "budget_tokens": 1024} if kind == "enabled" else {"type": kind}
    chat = translate_request(body(thinking=thinking), SEEING).body
    assert chat["chat_template_kwargs"]["enable_thinking"] is (kind != "disabled")
    assert ("thinking_token_budget" in chat) is (kind != "disabled")


SOURCES: dict[str, dict[str, Any]] = {
    "text": {"media_type": "text/plain", "data": "WORD"},
    "content": {"content": [{"type": "text", "text": "WORD"}]},
    "base64": {"media_type": "image/png", "data": "WORD"},
    "url": {"url": "http://127.0.0.1/WORD.png"},
    "file": {"file_id": "WORD"},
}


@pytest.mark.parametrize(
    ("holder", "kind"),
    sorted(
        (field.split(".")[0], kind)
        for field, kind in package_types.kinds_within_fields()
        if "source" in field
        and (field, kind) != ("document.source.type", "base64")  # documents are read before
    ),
)
def test_a_source_reaches_the_model_or_a_sentence_says_why_not(holder: str, kind: str) -> None:
    block = {"type": holder, "source": {"type": kind, **SOURCES[kind]}}
    made = translate_request(body(messages=[{"role": "user", "content": [block]}]), SEEING)
    [row] = [
        cells
        for names, cells in table("Kinds within fields")
        if names[0] == f"{holder}.source.type" and f"`{kind}`" in cells[0]
    ]
    read = str(made.body["messages"])
    assert ("WORD" in read) is (row[1] != "left out")
    assert ("you were not shown it" in read) is (row[1] == "left out")
    assert any(note.startswith("left out a ") for note in made.notes) is (row[1] == "left out")


@pytest.mark.parametrize("holder", ["document", "search_result"])
@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("within", [True, False])
def test_citations_that_are_asked_for_are_noted_and_the_text_is_read(
    holder: str, enabled: bool, within: bool
) -> None:
    block: dict[str, Any] = {"type": holder, **BLOCKS[holder], "citations": {"enabled": enabled}}
    if within:
        block = {"type": "tool_result", "tool_use_id": "t", "content": [block]}
    made = translate_request(body(messages=[{"role": "user", "content": [block]}]), SEEING)
    assert "WORD" in str(made.body["messages"])
    assert any(note.startswith("left out citations") for note in made.notes) is enabled


def test_each_part_of_the_api_has_its_row() -> None:
    assert set(FIELD_VERDICTS) == package_types.fields() | OLDER_FIELDS | UNDOCUMENTED
    assert set(BLOCK_VERDICTS) == package_types.block_types()
    assert set(TOOL_VERDICTS) == package_types.tool_types()
    assert set(EDIT_VERDICTS) == package_types.edit_types()
    for found in (FIELD_VERDICTS, BLOCK_VERDICTS, TOOL_VERDICTS, EDIT_VERDICTS):
        assert set(found.values()) <= VERDICTS
    named = {name for names, _ in table("Betas") for name in names}
    assert BETAS_OF_THE_CLIENT <= named <= package_types.betas() | BETAS_OF_THE_CLIENT
    about_other_apis = re.compile(
        r"managed|agent|admin|analytics|billing|ce-|claude-tag|dream|^efs|profile|spend|telemetry|webhook"
    )
    assert {beta for beta in package_types.betas() - named if not about_other_apis.search(beta)} == set()
    assert {names[0] for names, _ in table("Other paths")} == set(OTHER_APIS)


def is_left_out(request: dict[str, Any], name: str) -> bool:
    notes = translate_request(request, SEEING).notes
    return any(note.startswith("left out") and name in note for note in notes)


@pytest.mark.parametrize("name", sorted(FIELD_VERDICTS))
def test_a_field_is_treated_as_its_row_says(name: str) -> None:
    request = body() | {name: FIELDS.get(name, body().get(name, "x"))}
    if FIELD_VERDICTS[name] == "refused":
        with pytest.raises(InvalidRequest, match=f"^{name}: not supported"):
            check_message_request(request)
        return
    check_message_request(request)
    assert is_left_out(request, name) is (FIELD_VERDICTS[name] == "left out")


# For each block what it holds beside its type, and a word of it that the model must read.
WORDS = [{"type": "text", "text": "WORD"}]
BLOCKS: dict[str, dict[str, Any]] = {
    "text": {"text": "WORD"},
    "image": {"source": {"type": "url", "url": "http://127.0.0.1/WORD.png"}},
    "document": {"source": {"type": "text", "data": "WORD"}},
    "search_result": {"title": "t", "source": "s", "content": WORDS},
    "tool_use": {"id": "t", "name": "WORD", "input": {}},
    "tool_result": {"tool_use_id": "t", "content": WORDS},
    "tool_reference": {"tool_name": "WORD"},
    "tool_addition": {"tool": {"type": "tool_reference", "name": "WORD"}},
    "tool_removal": {"tool": {"type": "tool_reference", "name": "WORD"}},
    "browser_state": {"tabs": [{"tab_id": "1", "title": "WORD", "url": ""}]},
    "thinking": {"thinking": "WORD", "signature": "s"},
    "redacted_thinking": {"data": "WORD"},
    "server_tool_use": {"id": "s", "name": "WORD", "input": {}},
    "mcp_tool_use": {"id": "s", "name": "WORD", "server_name": "s", "input": {}},
    "web_search_tool_result": {"content": [{"type": "web_search_result", "title": "WORD", "url": "u"}]},
    "web_fetch_tool_result": {"content": {"type": "web_fetch_result", "url": "WORD"}},
    "code_execution_tool_result": {"content": {"stdout": "WORD", "stderr": "", "return_code": 0}},
    "bash_code_execution_tool_result": {"content": {"stdout": "WORD", "stderr": "", "return_code": 0}},
    "text_editor_code_execution_tool_result": {"content": {"content": "WORD", "file_type": "text"}},
    "tool_search_tool_result": {"content": {"tool_references": [{"tool_name": "WORD"}]}},
    "advisor_tool_result": {"content": {"type": "advisor_result", "text": "WORD"}},
    "mcp_tool_result": {"content": WORDS},
    "container_upload": {"file_id": "f"},
    "compaction": {"content": "WORD"},
    "fallback": {"from": "WORD"},
    "mcp_tool_listing": {"mcp_server_name": "WORD", "tools": []},
}
OF_THE_ASSISTANT = {"tool_use", "thinking", "redacted_thinking", "server_tool_use", "mcp_tool_use"}


@pytest.mark.parametrize("kind", sorted(BLOCK_VERDICTS))
def test_a_block_reaches_the_model_as_its_row_says(kind: str) -> None:
    role = "assistant" if kind in OF_THE_ASSISTANT else "user"
    turns = [{"role": "user", "content": "hi"}, {"role": role, "content": [{"type": kind, **BLOCKS[kind]}]}]
    request = body(messages=turns)
    check_message_request(request)
    read = str(translate_request(request, SEEING).body["messages"][1:])
    if kind == "container_upload":
        assert "does not exist here" in read
    else:
        assert ("WORD" in read) is (BLOCK_VERDICTS[kind] != "left out")


@pytest.mark.parametrize("kind", sorted(TOOL_VERDICTS))
def test_a_tool_is_offered_as_its_row_says(kind: str) -> None:
    tool: dict[str, Any] = {"type": kind}
    if not kind.endswith("_toolset_20260801") and kind != "mcp_toolset":
        tool["name"] = kind[:-9] if kind.startswith("web_") else "x"
    if kind == "custom":
        tool["input_schema"] = {"type": "object"}
    request = body(tools=[tool])
    check_message_request(request)
    translated = translate_request(request, SEEING)
    offered = TOOL_VERDICTS[kind] != "left out"
    assert bool(translated.body.get("tools")) is offered
    assert is_left_out(request, kind) is not offered


def test_the_edits_that_are_done_are_the_accepted_ones() -> None:
    done = {name for name, verdict in EDIT_VERDICTS.items() if verdict == "accepted"}
    assert done == {CLEAR_TOOL_USES, CLEAR_THINKING}
