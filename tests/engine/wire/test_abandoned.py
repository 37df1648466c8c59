"""What is kept of answers whose clients left: for a while, within bounds, and for one repeat."""

from __future__ import annotations

from engine.wire.abandoned import AbandonedAnswers, request_key
from tests.engine.model_thread import Clock


def test_an_answer_is_taken_once_and_the_newest_counts() -> None:
    answers = AbandonedAnswers(Clock())
    answers.keep("a", [1])
    answers.keep("a", [1, 2])
    answers.keep("", [3])
    assert (answers.take(""), answers.take("a"), answers.take("a")) == ([], [1, 2], [])


def test_a_repeat_may_differ_in_its_form_and_its_limit() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
    again = body | {"stream": True, "max_tokens": 9, "resume_tokens": [1]}
    assert request_key(again) == request_key(body)
    assert request_key(body | {"temperature": 0.5}) != request_key(body)


def test_an_answer_expires() -> None:
    clock = Clock()
    answers = AbandonedAnswers(clock)
    answers.keep("old", [1])
    clock.now += 599
    answers.keep("new", [2])
    assert answers.take("old") == [1]
    answers.keep("old", [1])
    clock.now += 599
    assert answers.take("new") == [2]
    clock.now += 2
    assert answers.take("old") == []


def test_the_oldest_goes_where_there_is_no_room() -> None:
    answers = AbandonedAnswers(Clock(), most_tokens=4)
    answers.keep("a", [1, 2])
    answers.keep("b", [3, 4])
    answers.keep("c", [5])
    assert [answers.take(key) for key in "abc"] == [[], [3, 4], [5]]
    answers.keep("long", [1, 2, 3, 4, 5])
    assert answers.take("long") == []
