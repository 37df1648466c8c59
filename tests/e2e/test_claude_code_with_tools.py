"""The real Claude Code does eight rounds of Read, Edit, Write and Bash, led by a scripted upstream."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlx_lm.utils import load_tokenizer

from bench.claude_code import ClaudeRun, run_claude
from bench.scratch_project import AGENTIC, DELEGATE, ScratchProject
from bench.scripted_upstream import ScriptedUpstream, serving
from engine.prompts.rendering import render
from proxy.traces.schema import Trace
from tests import servers
from tests.e2e.feed_reader import FeedReader
from tests.e2e.real_client import claude_binary
from tests.models import ModelShelf

pytestmark = [pytest.mark.claude_code, pytest.mark.slow]


@dataclass(frozen=True)
class Session:
    """What two runs of the client left behind: one with tools, one with a subagent."""

    project: ScratchProject
    agentic: ClaudeRun
    delegating: ClaudeRun
    feed: FeedReader
    traces: list[Trace]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    claude_binary()
    folder = tmp_path_factory.mktemp("agentic")
    project = ScratchProject(folder / "project")
    project.create()
    scripted = ScriptedUpstream(project.script())
    with (
        serving(scripted.app) as upstream,
        servers.proxy(folder, backend="openai", backend_url=upstream, model="scripted") as proxy,
    ):
        agentic, delegating = (
            run_claude(proxy.url, prompt, home=folder / "home", project=project.folder)
            for prompt in (f"Please {AGENTIC}.", f"Please {DELEGATE}.")
        )
        feed = FeedReader(proxy.url)
        feed.until(lambda f: len(f.of("request.finished")) >= len(scripted.bodies), what="the last answer")
        yield Session(project, agentic, delegating, feed, servers.traces(folder))


def test_the_client_ends_well_and_says_the_last_word(session: Session) -> None:
    assert session.agentic.code == 0, session.agentic.stderr
    assert session.agentic.result["result"] == session.project.rounds()[-1].text


def test_the_files_of_the_project_are_changed(session: Session) -> None:
    assert "return sum(prices)\n" in Path(session.project.till).read_text()
    report = Path(session.project.report).read_text()
    assert report.startswith("# What was wrong")
    assert "— it is added now: £2.50." in report


def test_the_feed_tells_every_call_with_its_input_and_a_valid_verdict(session: Session) -> None:
    expected = [call for turn in session.project.rounds() for call in turn.calls]
    told = [event.data for event in session.feed.of("request.tool_call")][: len(expected)]

    assert [call["name"] for call in told] == [call.name for call in expected]
    assert [call["input"] for call in told] == [call.arguments for call in expected]
    assert {call["verdict"] for call in told} == {"valid"}


def test_the_feed_tells_every_result_once_and_points_back_at_its_call(session: Session) -> None:
    calls = {event.data["tool_use_id"]: event for event in session.feed.of("request.tool_call")}
    results = session.feed.of("request.tool_result")

    assert sorted(event.data["tool_use_id"] for event in results) == sorted(calls)
    for event in results:
        call = calls[event.data["tool_use_id"]]
        assert (event.data["name"], event.data["call_request"]) == (call.data["name"], call.request)
        assert event.request != call.request
    failed = [event.data for event in results if event.data["is_error"]]
    assert [result["name"] for result in failed] == ["Read"]


def test_the_traces_hold_each_call_beside_the_result_that_came_later(session: Session) -> None:
    calls = [call for trace in session.traces for call in trace.tool_calls]

    assert len(calls) == len(session.feed.of("request.tool_call"))
    assert all(call.result is not None and call.is_error is not None for call in calls)
    assert any("total 250" in (call.result or "") for call in calls)


def test_the_traces_hold_full_bodies_and_the_counts_of_the_upstream(session: Session) -> None:
    main = [trace for trace in session.traces if trace.lane == "main" and trace.tool_calls]

    assert len(main) >= 9
    for trace in main:
        assert len(trace.request.body["tools"]) >= 12
        assert trace.upstream["messages"]
        assert trace.response.message is not None
        assert trace.response.message["stop_reason"] == "tool_use"
        assert trace.usage.prompt_tokens > 1000
        assert trace.usage.cache_read_input_tokens > 0


def test_a_subagent_has_its_own_lane_and_agent(session: Session) -> None:
    assert session.delegating.code == 0, session.delegating.stderr
    subagent = [trace for trace in session.traces if trace.lane == "subagent"]
    assert subagent
    assert all(trace.agent for trace in subagent)
    assert {trace.agent for trace in session.traces if trace.lane == "main"} == {""}


STRICT_TEMPLATE = """\
{%- if tools %}{{ '<|im_start|>system\\n' + (messages[0].content if messages[0].role == 'system' else '') }}
{%- for tool in tools %}{{ '\\n' + (tool | tojson) }}{% endfor %}{{ '<|im_end|>\\n' }}{% endif %}
{%- for message in messages %}
{%- if message.role == 'system' %}
{%- if not loop.first %}{{ raise_exception('System message must be at the beginning') }}{% endif %}
{%- if not tools %}{{ '<|im_start|>system\\n' + message.content + '<|im_end|>\\n' }}{% endif %}
{%- else %}
{{- '<|im_start|>' + message.role + '\\n' + (message.content or '') }}
{%- for call in message.tool_calls or [] %}
{{- '<tool_call>' + (call.function | tojson) + '</tool_call>' }}{% endfor %}{{ '<|im_end|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
"""


@pytest.mark.parametrize("template", ["demo", "strict"])
def test_each_prompt_is_a_byte_prefix_of_the_next_one_in_its_conversation(
    session: Session, shelf: ModelShelf, template: str
) -> None:
    """The strict template refuses a system turn after the first message, as most models' templates do."""
    tokenizer = load_tokenizer(shelf.tiny())
    if template == "strict":
        tokenizer.chat_template = STRICT_TEMPLATE

    def conversation(trace: Trace) -> tuple[str, str]:
        return trace.session, trace.agent

    with_tools = sorted((t for t in session.traces if t.upstream.get("tools")), key=conversation)
    lengths = []
    for key, group in itertools.groupby(with_tools, conversation):
        prompts = [render(tokenizer, trace.upstream) for trace in sorted(group, key=lambda t: t.time)]
        for number, (earlier, later) in enumerate(itertools.pairwise(prompts)):
            assert later.startswith(earlier), (
                f"{key}: prompt {number + 1} does not begin with prompt {number}"
            )
        lengths.append(len(prompts))
    assert max(lengths) >= 9
    assert len(lengths) >= 3  # two sessions and a subagent
