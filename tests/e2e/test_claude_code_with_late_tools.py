"""The real Claude Code loads a tool by ToolSearch and answers calls that fit no tool; no prompt is lost."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from bench.claude_code import run_claude
from bench.scripted_upstream import Call, ScriptedUpstream, Turn, in_order, serving
from tests import servers
from tests.e2e.feed_reader import FeedReader
from tests.e2e.real_client import claude_binary

pytestmark = [pytest.mark.claude_code, pytest.mark.slow]

CALLS = (
    (Call("ToolSearch", {"query": "select:NotebookEdit", "max_results": 5}), "valid"),
    (Call("NotebookEdit", {"new_source": "print(1)"}), "invalid"),  # loaded, and it lacks an argument
    (Call("TaskStop", {"task_id": "none"}), "unchecked"),  # known to the client, and not loaded
    (Call("NoSuchTool", {"a": 1}), "unknown_tool"),
)


def test_the_prompts_begin_alike_and_the_client_answers_what_does_not_fit(tmp_path: Path) -> None:
    claude_binary()
    project = tmp_path / "project"
    project.mkdir()
    scripted = ScriptedUpstream(in_order([*(Turn("", (call,)) for call, _ in CALLS), Turn("All is done.")]))
    with (
        serving(scripted.app) as url,
        servers.proxy(
            tmp_path, backend="openai", backend_url=url, model="scripted", upstream_late_tools="text"
        ) as proxy,
    ):
        ended = run_claude(proxy.url, "Load a tool.", home=tmp_path / "home", project=project)
        FeedReader(proxy.url).until(
            lambda feed: len(feed.of("request.finished")) >= len(scripted.bodies), what="the last answer"
        )
    assert ended.code == 0, ended.stderr
    assert ended.result["result"] == "All is done."
    bodies = [body for body in scripted.bodies if body.get("tools")]
    assert len(bodies) == len(CALLS) + 1
    for earlier, later in itertools.pairwise(bodies):
        assert later["tools"] == earlier["tools"]
        assert later["messages"][: len(earlier["messages"])] == earlier["messages"]
    defined = next(message["content"] for message in bodies[1]["messages"] if message["role"] == "tool")
    assert defined.startswith('<functions>\n<function>{"description": ')
    assert '"name": "NotebookEdit"' in defined
    calls = [call for trace in servers.traces(tmp_path) for call in trace.tool_calls]
    assert [(call.name, call.input, call.verdict) for call in calls] == [
        (call.name, call.arguments, verdict) for call, verdict in CALLS
    ]
    assert [call.is_error for call in calls] == [False, True, True, True]
