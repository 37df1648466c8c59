"""Chat completions on the wire, where a generation does not go as it should."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from engine.answers.reader import AnswerStyle, AnswerText
from engine.api.responses import ChatResponse, ChatStream, RunningAnswers, WholeChat
from engine.api.running_answer import RunningAnswer
from engine.scheduling.requests.steps import FailStep, FinishStep, Step, TokenStep
from engine.wire.chat import CompletionHead
from engine.wire.feed import PrefillProgress, Queued
from tests.engine.spelling import Spelling, Steps

HEAD = CompletionHead("chatcmpl-1", 0, "test")
SCOPE = {"type": "http", "method": "POST", "path": "/", "headers": []}


class Connection:
    """A client that reads all, and leaves when `gone` is set."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.wrote = asyncio.Event()
        self.sent: list[Any] = []

    async def receive(self) -> Any:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        self.wrote.set()

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()


async def respond(form: type[ChatResponse], *steps: Step | Exception | None, **options: Any) -> Connection:
    connection = Connection()
    answer = RunningAnswer(Steps(*steps), AnswerText(Spelling(["a", "ä", "c"]), AnswerStyle()), 7)
    response = form(answer, HEAD, RunningAnswers(), **options)
    async with asyncio.timeout(5):
        await response(SCOPE, connection.receive, connection.send)
    return connection


@pytest.mark.parametrize("form", [ChatStream, WholeChat])
@pytest.mark.parametrize(
    ("kind", "status", "type"),
    [
        ("invalid_request", 400, "invalid_request_error"),
        ("overloaded", 503, "server_error"),
        ("internal", 500, "server_error"),
    ],
)
async def test_a_failure_before_the_first_byte_is_a_status(
    form: type[ChatResponse], kind: Any, status: int, type: str
) -> None:
    connection = await respond(form, FailStep(kind, "why"))
    assert connection.status == status
    assert json.loads(connection.body)["error"] == {
        "message": "why",
        "type": type,
        "param": None,
        "code": "overloaded" if kind == "overloaded" else None,
    }


@pytest.mark.parametrize("feed", [True, False])
async def test_a_failure_in_the_middle_is_an_error_and_no_done(feed: bool) -> None:
    connection = Connection()
    answer = RunningAnswer(Steps(TokenStep(1), None), AnswerText(Spelling(["a", "b"]), AnswerStyle()), 7)
    running = RunningAnswers()
    response = asyncio.create_task(
        ChatStream(answer, HEAD, running, feed=feed)(SCOPE, connection.receive, connection.send)
    )
    while '"b"' not in connection.body:
        connection.wrote.clear()
        await connection.wrote.wait()
    running.abort_all("why")
    async with asyncio.timeout(5):
        await response
    lines = [json.loads(line[6:]) for line in connection.body.splitlines() if line]
    assert lines[-1]["error"]["message"] == "why"
    assert "[DONE]" not in connection.body
    assert connection.sent[-1]["more_body"] is False
    errors = [line for line in lines if line.get("kind") == "error"]
    assert errors == (
        [{"object": "anyclaude.feed", "kind": "error", "type": "overloaded", "message": "why"}] * feed
    )


async def test_a_failed_whole_answer_shows_nothing_half_done() -> None:
    connection = await respond(WholeChat, TokenStep(0), FailStep("internal", "why"))
    assert connection.status == 500
    assert "choices" not in connection.body


async def test_who_waits_without_the_feed_gets_a_comment_as_a_sign_of_life() -> None:
    connection = await respond(
        ChatStream, Queued(1, 0.0), PrefillProgress(1, 2, 0), TokenStep(1), FinishStep("stop", 2)
    )
    lines = [line for line in connection.body.splitlines() if line]
    assert lines.count(": waiting") == 2
    assert all(line == ": waiting" or line.startswith("data: ") for line in lines)


async def test_all_that_arrived_together_is_one_delta_and_one_write() -> None:
    connection = await respond(ChatStream, *[TokenStep(1)] * 3, FinishStep("stop", 4))
    assert len(connection.sent) == 2  # the head and the body
    assert '"content":"äää"' in connection.body


async def test_an_answer_that_is_aborted_while_its_first_byte_is_sent_ends_once() -> None:
    connection, running = Connection(), RunningAnswers()
    answer = RunningAnswer(Steps(TokenStep(0), None), AnswerText(Spelling(["a"]), AnswerStyle()), 7)

    async def send(message: Any) -> None:
        await connection.send(message)
        running.abort_all("why")

    async with asyncio.timeout(5):
        await ChatStream(answer, HEAD, running)(SCOPE, connection.receive, send)
    assert [message.get("more_body") for message in connection.sent] == [None, True, False]
    assert connection.body.count("why") == 1


@pytest.mark.parametrize("form", [ChatStream, WholeChat])
async def test_a_client_that_leaves_ends_the_generation_and_leaves_no_task(form: type[ChatResponse]) -> None:
    connection = Connection()
    steps = Steps(TokenStep(0), None)
    answer = RunningAnswer(steps, AnswerText(Spelling(["a"]), AnswerStyle()), 7)
    response = asyncio.create_task(
        form(answer, HEAD, RunningAnswers())(SCOPE, connection.receive, connection.send)
    )
    await asyncio.sleep(0)
    connection.gone.set()
    async with asyncio.timeout(5):
        await response
    assert steps.cancelled.is_set()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("form", [ChatStream, WholeChat])
async def test_an_answer_is_remembered_before_its_end_is_told(form: type[ChatResponse]) -> None:
    connection = Connection()
    answer = RunningAnswer(
        Steps(TokenStep(0), FinishStep("stop", 1)), AnswerText(Spelling(["a"]), AnswerStyle()), 7
    )
    kept: list[Any] = []

    async def remember(message: dict[str, Any], tokens: list[int]) -> None:
        await asyncio.sleep(0)
        kept.append((message["content"], tokens, 'finish_reason":"stop' in connection.body))

    response = form(answer, HEAD, RunningAnswers(), remember=remember)
    async with asyncio.timeout(5):
        await response(SCOPE, connection.receive, connection.send)
    assert kept == [("a", [0], False)]
    assert 'finish_reason":"stop' in connection.body


@pytest.mark.parametrize("form", [ChatStream, WholeChat])
async def test_an_answer_that_failed_is_not_remembered(form: type[ChatResponse]) -> None:
    kept: list[Any] = []

    async def remember(message: dict[str, Any], tokens: list[int]) -> None:
        kept.append(message)

    await respond(form, TokenStep(0), FailStep("internal", "no"), remember=remember)
    assert not kept
