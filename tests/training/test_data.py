"""The data for training and evaluation: separate, repeatable, and with answers that follow the rules."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import answers
from training.conversations import Conversations
from training.evaluation import Examination
from training.exchanges import Message, called, first_call
from training.failure_wordings import TRAINING as TRAINING_FAILURES
from training.failures import Failures
from training.heldout import HELD_OUT, HELD_OUT_WORDINGS
from training.heldout_failures import HELD_OUT_FAILURES
from training.lexicon import TRAINING
from training.requests import Request
from training.wordings import TRAINING as TRAINING_WORDINGS


@pytest.mark.parametrize("part", ["words", "syllables", "endings"])
def test_held_out_material_is_not_trained(part: str) -> None:
    assert not set(getattr(TRAINING, part)) & set(getattr(HELD_OUT, part))


@pytest.mark.parametrize("kind", sorted(TRAINING_WORDINGS.requests))
def test_held_out_wordings_are_not_trained(kind: str) -> None:
    trained = {wording.lower() for wording in TRAINING_WORDINGS.requests[kind]}
    asked = {wording.lower() for wording in HELD_OUT_WORDINGS.requests[kind]}
    assert asked
    assert not trained & asked


@pytest.mark.parametrize(
    "group", [field.name for field in fields(TRAINING_FAILURES) if field.name != "frames"]
)
def test_held_out_wordings_of_failures_are_not_trained(group: str) -> None:
    trained = {wording.lower() for wording in getattr(TRAINING_FAILURES, group)}
    asked = {wording.lower() for wording in getattr(HELD_OUT_FAILURES, group)}
    assert asked
    assert not trained & asked


def test_held_out_failures_come_as_they_are_worded() -> None:
    assert TRAINING_FAILURES.frames
    assert not HELD_OUT_FAILURES.frames


def test_errors_are_trained_in_frames_other_than_those_of_their_wordings() -> None:
    """Otherwise a model memorizes the frame, and does not recognize an error in another one."""
    source = Conversations(3)
    failures = Failures(source.strings)
    request = Request("read", "read a.txt", {"f": "a.txt"})
    results = {failures.draw(request, "Read", "folder").result for _ in range(2000)}
    wordings = [result for result in results if "errno 21] is a directory" in result.lower()]
    assert {wording.split("[")[0] for wording in wordings} >= {"Error: ", "error: ", "<error>"}


def test_the_same_seed_gives_the_same_conversations_and_cases() -> None:
    first, again, other = (Conversations(seed) for seed in (5, 5, 6))
    drawn = [first.draw() for _ in range(40)]
    assert drawn == [again.draw() for _ in range(40)]
    assert drawn != [other.draw() for _ in range(40)]
    assert [Examination(5).single() for _ in range(3)] == [Examination(5).single() for _ in range(3)]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("1\tone\n2\ttwo", "```\none\ntwo\n```"),
        ("     1→one\n     2→", "```\none\n```"),
        ("\n".join("abcdefg"), "```\na\nb\nc\n```\nThere is more."),
        ("a\n[...]", "```\na\n```\nThere is more."),
    ],
)
def test_an_answer_quotes_the_first_lines_of_a_result(result: str, said: str) -> None:
    assert answers.fenced(result) == said


def test_the_learning_rate_falls_to_zero() -> None:
    pytest.importorskip("torch", reason="training needs PyTorch: pip install -e '.[train]'")
    from training.train import learning_rate

    rates = [learning_rate(part / 10) for part in range(11)]
    assert all(later <= earlier for earlier, later in pairwise(rates))
    assert rates[-1] == pytest.approx(0.0)


BEGINNINGS = (
    "Done: ",
    "That did not work: ",
    "That was not allowed",
    "There is no permission for ",
    "The command ",
    "There is nothing.",
    "These are there:",
)
ENDINGS = (
    " is empty.",
    " lines.",
    " was not found.",
    "```",
    "\nThere is more.",
    " does not exist.",
    " is a folder.",
)


@given(seed=st.integers(0, 10**6))
def test_calls_follow_from_requests_and_answers_from_results(seed: int) -> None:
    for message, following in pairwise(Conversations(seed).work(3).messages):
        if message["role"] == "tool":
            said = following["content"]
            if following["role"] != "system" and not following.get("tool_calls"):
                told = said.startswith(BEGINNINGS) or said.endswith(ENDINGS)
                assert told or " is not in " in said or " is more than once in " in said
        if message["role"] != "user":
            continue
        for call in following.get("tool_calls", []):
            for name, value in call["function"]["arguments"].items():
                if name in ("file_path", "content", "old_string", "new_string"):
                    assert value in message["content"]
                elif name == "command":
                    words = value.replace('"', "").removeprefix("grep -rn ").removeprefix("find . -name ")
                    for word in words.removeprefix("cat ").removeprefix("wc -l ").removeprefix("ls ").split():
                        assert word == "." or word in message["content"].replace('"', "") or value == "ls"


@pytest.mark.parametrize(
    ("kind", "tools", "called"),
    [
        ("read", ["Bash", "Read"], "Read"),
        ("read", ["Bash"], "Bash"),
        ("read", ["Write"], None),
        ("search", ["Bash", "Grep"], "Grep"),
        ("search", ["Bash"], "Bash"),
        ("find", ["Glob", "Bash"], "Glob"),
        ("list", ["Glob", "Bash"], "Bash"),
        ("list", ["Glob"], "Glob"),
        ("run", ["Read", "Write"], None),
        ("write", ["Bash", "Edit"], None),
        ("edit", ["Edit", "Read"], "Read"),
        ("edit", ["Edit"], "Edit"),
        ("edit_all", ["Read", "Write"], None),
    ],
)
def test_a_request_is_served_by_the_fitting_tool_that_is_offered(
    kind: str, tools: list[str], called: str | None
) -> None:
    request = Conversations(2).requests.draw(kind)
    message = first_call(request, tools)
    assert (message and message["tool_calls"][0]["function"]["name"]) == called


def test_a_file_that_was_read_is_edited_at_once() -> None:
    request = Conversations(2).requests.draw("edit")
    message = first_call(request, ["Edit", "Read"], {request.slots["f"]})
    assert message is not None
    assert message["tool_calls"][0]["function"]["name"] == "Edit"


@given(seed=st.integers(0, 10**6))
def test_the_answer_to_a_failure_is_one_line_that_names_what_was_asked_for(seed: int) -> None:
    source = Conversations(seed)
    failures = Failures(source.strings)
    tools = ["Bash", "Edit", "Glob", "Grep", "Read", "Write"]
    request = source.requests.draw(source.kind_for(tools))
    calling = first_call(request, tools)
    assert calling is not None
    failure = failures.draw(request, called(calling))
    assert failure.answer.endswith(".") or failure.kind in ("command", "missing", "folder", "forbidden")
    assert "\n" not in failure.answer
    if failure.kind in ("missing", "folder", "forbidden") and request.kind != "run":
        assert (request.slots.get("f") or request.slots["d"]) in failure.answer
    if failure.kind == "other":
        assert failure.answer.removeprefix("That did not work: ").removesuffix(".") in failure.result


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("Error: a.b went wrong. It is late.\nmore", "That did not work: a.b went wrong."),
        ("<tool_use_error>No such tool: X</tool_use_error>", "That did not work: No such tool: X."),
        ("Refusing to write a.txt: it moved.", "That did not work: Refusing to write a.txt: it moved."),
    ],
)
def test_any_other_error_is_answered_with_its_first_sentence(error: str, said: str) -> None:
    assert answers.failed(error) == said


def test_an_interrupted_answer_is_not_trained() -> None:
    source = Conversations(4)
    stopped = [m for _ in range(60) for m in source.stopped(["Bash", "Read"], set())]
    assert any(m["role"] == "assistant" and m.get("whole") is False for m in stopped)
    assert all(m.get("tool_calls") or m["whole"] is False for m in stopped if m["role"] == "assistant")


@given(seed=st.integers(0, 10**6))
def test_the_request_behind_an_interrupted_turn_is_the_users_last_text(seed: int) -> None:
    source = Conversations(seed)
    asked: Message = {"role": "user", "content": "read a.txt"}
    turns = source.after_stop("[Interrupted]", asked)
    assert turns[-1]["content"].split("\n\n")[-1] == "read a.txt"
    assert source.after_stop("", asked) == [asked]
