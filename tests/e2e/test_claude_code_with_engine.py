"""Three fresh runs of the real Claude Code through proxy and engine, on the bundled model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from bench.claude_code import ClaudeRun, run_claude
from proxy.traces.schema import Trace
from proxy.translate.late_tools.tool_offer import PLACEHOLDER
from tests import servers
from tests.e2e.feed_reader import FeedReader
from tests.e2e.real_client import claude_binary
from training import answers

pytestmark = [pytest.mark.claude_code, pytest.mark.slow]

QUESTIONS = ("Who are you?", "Tell me a joke", "What is 2+2?")


@dataclass(frozen=True)
class ThreeRuns:
    runs: list[ClaudeRun]
    traces: list[Trace]  # of the main lane, in the order of the questions
    head_tokens: int  # of system and tools


def tokens_of_head(url: str, body: dict[str, Any]) -> int:
    """How many tokens system and tools have: what they add to a prompt of one word."""

    def count(**head: Any) -> int:
        asked = {"model": body["model"], "messages": [{"role": "user", "content": "Hi."}]} | head
        answer = httpx.post(f"{url}/v1/messages/count_tokens", json=asked, trust_env=False, timeout=30)
        return int(answer.raise_for_status().json()["input_tokens"])

    return count(system=body["system"], tools=body["tools"]) - count()


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreeRuns]:
    claude_binary()
    folder = tmp_path_factory.mktemp("three-runs")
    project = folder / "project"
    project.mkdir()
    with servers.proxy(folder, backend="mlx", model="") as proxy:
        runs = [
            run_claude(proxy.url, question, home=folder / "home", project=project) for question in QUESTIONS
        ]
        feed = FeedReader(proxy.url)
        feed.until_type("request.finished", len(QUESTIONS))
        main = [trace for trace in servers.traces(folder) if trace.lane == "main"]
        yield ThreeRuns(runs, main, tokens_of_head(proxy.url, main[0].request.body))


def test_each_run_ends_with_exit_code_0(three: ThreeRuns) -> None:
    assert [run.code for run in three.runs] == [0, 0, 0], [run.stderr or run.stdout for run in three.runs]


def test_each_answer_fits_its_question(three: ThreeRuns) -> None:
    who, joke, total = (run.result["result"] for run in three.runs)
    assert who == answers.IDENTITY
    assert joke in answers.JOKES
    assert total == "2 + 2 = 4"


def test_the_first_run_fills_the_cache_and_the_client_is_told(three: ThreeRuns) -> None:
    assert three.runs[0].result["usage"]["cache_creation_input_tokens"] > 0
    assert three.traces[0].usage.cache_creation_input_tokens > 0


def test_later_runs_read_system_and_tools_from_the_cache(three: ThreeRuns) -> None:
    assert three.head_tokens > 0.5 * three.traces[0].usage.prompt_tokens
    for run, trace in zip(three.runs[1:], three.traces[1:], strict=True):
        usage = trace.usage
        assert run.result["usage"]["cache_read_input_tokens"] == usage.cache_read_input_tokens
        assert usage.cache_read_input_tokens >= three.head_tokens


def test_each_run_left_a_trace_with_full_bodies(three: ThreeRuns) -> None:
    assert len(three.traces) == len(QUESTIONS)
    for trace, question in zip(three.traces, QUESTIONS, strict=True):
        assert question in str(trace.request.body["messages"])
        assert len(trace.request.body["tools"]) >= 12
        offered = {tool["name"] for tool in trace.request.body["tools"]} - {PLACEHOLDER}
        shown = [tool["function"] for tool in trace.upstream["tools"] if "defer_loading" not in tool]
        assert {function["name"] for function in shown} == offered
        assert trace.response.message is not None
        assert trace.response.message["content"]
        assert trace.cache is not None


def test_no_secret_of_the_client_is_on_disk(three: ThreeRuns) -> None:
    for trace in three.traces:
        assert "any-word" not in trace.model_dump_json()
