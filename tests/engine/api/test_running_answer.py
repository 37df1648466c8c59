"""An answer from the steps of the model's loop to pieces, however it ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from engine.answers.pieces import Call, CallOpened, CallPart, Piece, Remark, Thinking, TruncatedCall
from engine.answers.reader import AnswerStyle, AnswerText, Text
from engine.answers.repetition import ENDED, LoopGuard
from engine.api.running_answer import RunningAnswer, Shown
from engine.scheduling.requests.steps import FailStep, FinishStep, Step, TokenStep, UnconstrainedStep
from engine.tool_calls.families.registry import family_named
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas
from engine.wire.feed import Lookup
from tests.engine.spelling import Spelling, Steps

HERMES = family_named("hermes")
LETTERS = [TokenStep(0), TokenStep(1), TokenStep(2)]


def answer(steps: Steps, style: AnswerStyle | None = None) -> RunningAnswer:
    return RunningAnswer(steps, AnswerText(Spelling(["a", "b", "c"]), style or AnswerStyle()), 7)


async def read(live: RunningAnswer) -> list[list[Shown]]:
    batches: list[list[Shown]] = []
    while not live.over:
        batches.append(await live.more())
    return batches


async def test_all_that_arrived_together_is_one_batch() -> None:
    live = answer(Steps(Lookup(7, 3, 4, "memory"), *LETTERS, FinishStep("stop", 4)))
    assert await read(live) == [[Lookup(7, 3, 4, "memory"), Text("a"), Text("b"), Text("c")]]
    assert (live.finish_reason, live.output_tokens, live.cached_tokens) == ("stop", 4, 3)


async def test_a_reader_that_fails_ends_the_answer_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(*LETTERS, None)
    live = answer(steps)

    def add(_: int) -> list[Piece]:
        raise RecursionError("too deep")

    monkeypatch.setattr(live._reader, "add", add)
    await read(live)
    assert live.failure == FailStep("internal", "the answer cannot be read: RecursionError('too deep')")
    assert steps.cancelled.is_set()


async def test_a_stop_string_ends_the_generation() -> None:
    steps = Steps(*LETTERS, None)
    live = answer(steps, AnswerStyle(stops=("b",)))
    assert await read(live) == [[Text("a")]]
    assert (live.finish_reason, live.stop_sequence, live.output_tokens) == ("stop", "b", 2)
    assert steps.cancelled.is_set()


@pytest.mark.parametrize(
    ("end", "kind", "message"),
    [
        (FailStep("internal", "no memory"), "internal", "no memory"),
        (RuntimeError("burst"), "internal", "burst"),
        (TokenStep(2), "internal", "without a verdict"),
    ],
)
async def test_a_failure_keeps_what_came_before_it(end: Step | Exception, kind: str, message: str) -> None:
    live = answer(Steps(*LETTERS[:2], end))
    assert (await read(live))[0][:2] == [Text("a"), Text("b")]
    assert live.finish_reason is None
    assert live.failure is not None
    assert live.failure.kind == kind
    assert message in live.failure.message


async def test_a_client_that_leaves_cancels_at_once() -> None:
    steps = Steps(None)
    live = answer(steps)
    reading = asyncio.create_task(read(live))
    await asyncio.sleep(0)
    live.leave()
    assert await reading == [[]]
    assert steps.cancelled.is_set()
    assert (live.left, live.failure) == (True, None)


async def test_an_aborted_answer_tells_why() -> None:
    steps = Steps(TokenStep(0), None)
    live = answer(steps)
    assert await live.more() == [Text("a")]
    live.abort("the engine is shutting down")
    assert await live.more() == []
    assert live.failure == FailStep("overloaded", "the engine is shutting down")
    assert steps.cancelled.is_set()


async def test_an_aborted_answer_tells_the_failure_that_nobody_has_taken_yet() -> None:
    failed = FailStep("internal", "the model's loop failed")
    live = answer(Steps(TokenStep(0), failed))
    live.abort("the engine is shutting down")
    assert live.failure == failed


LOOK = ToolSchemas([ToolSchema("look", {"type": "object", "properties": {"at": {"type": "string"}}})])
HELD = AnswerStyle(family=HERMES, tools=LOOK, constrained=frozenset({"look"}))


async def read_call(arguments: tuple[str, str]) -> tuple[RunningAnswer, list[Shown]]:
    """A call whose grammar fails between the two pieces of its arguments."""
    texts = ['<tool_call>{"name": "look", "arguments": ', *arguments, "}</tool_call>"]
    steps = [TokenStep(0), TokenStep(1), UnconstrainedStep("too many states"), TokenStep(2), TokenStep(3)]
    live = RunningAnswer(Steps(*steps, FinishStep("stop", 4)), AnswerText(Spelling(texts), HELD), 7)
    pieces = [piece for batch in await read(live) for piece in batch]
    return live, [
        piece for piece in pieces if isinstance(piece, CallOpened | CallPart | Call | TruncatedCall | Remark)
    ]


async def test_the_rest_of_a_call_whose_grammar_failed_is_held_until_it_is_whole() -> None:
    live, pieces = await read_call(('{"at": "h', 'ere"}'))
    kinds = [type(piece) for piece in pieces]
    assert kinds == [CallOpened, CallPart, Remark, CallPart, Call]
    assert "".join(piece.arguments for piece in pieces if isinstance(piece, CallPart)) == '{"at": "here"}'
    assert live.unconstrained == "too many states"
    assert live.finish_reason == "tool_calls"


@pytest.mark.parametrize("rest", [": 3}", '": 3}'], ids=["no JSON", "not its schema"])
async def test_a_call_that_went_wrong_without_its_grammar_is_not_passed_off_as_whole(rest: str) -> None:
    _, pieces = await read_call(('{"at', rest))
    assert [type(piece) for piece in pieces][:3] == [CallOpened, CallPart, Remark]
    assert isinstance(pieces[-1], TruncatedCall)
    assert not any(isinstance(piece, Call) for piece in pieces)


async def test_later_calls_are_held_as_well() -> None:
    call = '<tool_call>{"name": "look", "arguments": {"at": "it"}}</tool_call>'
    steps = Steps(UnconstrainedStep("lost"), TokenStep(0), FinishStep("stop", 1))
    live = RunningAnswer(steps, AnswerText(Spelling([call]), HELD), 7)
    pieces = [piece for batch in await read(live) for piece in batch]
    assert [piece.opened for piece in pieces if isinstance(piece, Call)] == [False]
    assert not any(isinstance(piece, CallOpened) for piece in pieces)


def looping(
    texts: list[str], times: int, style: AnswerStyle | None = None, end: Step | None = None, limit: int = 20
) -> tuple[RunningAnswer, Steps]:
    """An answer of these texts, of which the last comes `times` times."""
    tokens = [*range(len(texts)), *[len(texts) - 1] * (times - 1)]
    steps = Steps(*(TokenStep(token) for token in tokens), end)
    reader = AnswerText(Spelling(texts), style or AnswerStyle())
    return RunningAnswer(steps, reader, 7, LoopGuard(limit)), steps


async def test_an_answer_that_repeats_itself_ends_as_by_itself_and_says_so() -> None:
    live, steps = looping(["Well. ", "again "], 100)
    shown = [piece for batch in await read(live) for piece in batch]
    said = "".join(piece.text for piece in shown if isinstance(piece, Text))
    assert said == "Well. " + "again " * 8 + f"\n\n{ENDED}"
    assert (live.finish_reason, live.looped, live.output_tokens) == ("stop", True, 9)
    assert [type(piece) for piece in shown][-1] is Remark
    assert steps.cancelled.is_set()


async def test_without_a_guard_nothing_is_ended() -> None:
    steps = Steps(*[TokenStep(0)] * 500, FinishStep("length", 500))
    live = answer(steps)
    await read(live)
    assert (live.finish_reason, live.looped, live.output_tokens) == ("length", False, 500)


async def test_a_thought_that_repeats_itself_ends_with_a_text() -> None:
    style = AnswerStyle(think_start="<think>", think_end="</think>", opens_thinking=True)
    live, _ = looping(["Wait. ", "again "], 100, style)
    shown = [piece for batch in await read(live) for piece in batch]
    assert [piece.text for piece in shown if isinstance(piece, Text)] == [ENDED]
    assert isinstance(shown[0], Thinking)
    assert live.finish_reason == "stop"


LOOSE = AnswerStyle(family=HERMES, tools=LOOK)
IN_CALL = ['<tool_call>{"name": "look", "arguments": {"at": "', "on and ", "on, "]


def call_that_loops(style: AnswerStyle) -> tuple[RunningAnswer, Steps]:
    """A call whose argument repeats two tokens over and over."""
    steps = Steps(TokenStep(0), *[TokenStep(token) for _ in range(200) for token in (1, 2)], None)
    return RunningAnswer(steps, AnswerText(Spelling(IN_CALL), style), 7, LoopGuard(20)), steps


async def test_a_call_that_repeats_itself_becomes_text_and_is_no_call() -> None:
    live, steps = call_that_loops(LOOSE)
    shown = [piece for batch in await read(live) for piece in batch]
    said = "".join(piece.text for piece in shown if isinstance(piece, Text))
    assert said.startswith(IN_CALL[0] + "on and on, ")
    assert said.endswith(f"\n\n{ENDED}")
    assert not any(isinstance(piece, Call | CallOpened | CallPart) for piece in shown)
    assert (live.finish_reason, live.calls, live.output_tokens) == ("stop", 0, 1 + 160)
    assert steps.cancelled.is_set()


@pytest.mark.parametrize(
    "opening",
    [IN_CALL[0], "<function=look>\n<parameter=at>\n", '{"name": "look", "arguments": {"at": "'],
)
async def test_a_call_has_as_much_patience_where_it_is_not_known_how_the_model_writes_them(
    opening: str,
) -> None:
    steps = Steps(TokenStep(0), *[TokenStep(token) for _ in range(200) for token in (1, 2)], None)
    style = AnswerStyle(tools=LOOK, bare=("json",))
    live = RunningAnswer(steps, AnswerText(Spelling([opening, *IN_CALL[1:]]), style), 7, LoopGuard(20))
    shown = [piece for batch in await read(live) for piece in batch]
    assert not any(isinstance(piece, Call) for piece in shown)
    assert (live.finish_reason, live.looped, live.output_tokens) == ("stop", True, 1 + 160)


async def test_half_a_call_that_was_sent_ends_as_at_the_limit() -> None:
    live, _ = call_that_loops(HELD)
    shown = [piece for batch in await read(live) for piece in batch]
    assert any(isinstance(piece, TruncatedCall) for piece in shown)
    assert not any(isinstance(piece, Call) for piece in shown)
    assert (live.finish_reason, live.looped) == ("length", True)


async def test_half_of_a_json_answer_does_not_pass_for_whole() -> None:
    steps = Steps(TokenStep(0), *[TokenStep(token) for _ in range(200) for token in (1, 2)], None)
    reader = AnswerText(Spelling(['{"a": [', "1, ", "2, "]), AnswerStyle(answers_json=True))
    live = RunningAnswer(steps, reader, 7, LoopGuard(20))
    shown = [piece for batch in await read(live) for piece in batch]
    assert not any(isinstance(piece, Text) and ENDED in piece.text for piece in shown)
    assert (live.finish_reason, live.output_tokens) == ("length", 1 + 160)


@pytest.mark.parametrize("texts", [["<think>", "Hm"], [" ", "\n"]])
async def test_a_thought_or_white_space_before_a_json_answer_is_no_data(texts: list[str]) -> None:
    style = AnswerStyle(think_start="<think>", think_end="</think>", answers_json=True)
    live, _ = looping(texts, 1000, style, FinishStep("length", 1001))
    await read(live)
    assert (live.looped, live.output_tokens) == (True, 9)


async def test_calls_that_came_before_a_loop_are_made() -> None:
    call = '<tool_call>{"name": "look", "arguments": {"at": "it"}}</tool_call>'
    live, _ = looping([call, " and then"], 100, replace(LOOSE, all_constrained=True))
    shown = [piece for batch in await read(live) for piece in batch]
    assert [piece.name for piece in shown if isinstance(piece, Call)] == ["look"]
    assert live.finish_reason == "tool_calls"


async def test_a_stop_string_at_the_last_token_of_a_loop_comes_first() -> None:
    live, _ = looping(["go ", "on "], 100, AnswerStyle(stops=("on " * 8,)))
    await read(live)
    assert (live.stop_sequence, live.looped) == ("on " * 8, False)
