from __future__ import annotations

import pytest

from proxy.events.causes import with_cause


@pytest.mark.parametrize(
    ("cause", "message", "told"),
    [
        ("engine starting", "the engine is starting; repeat it", "the engine is starting; repeat it"),
        (
            "engine restarting",
            "the engine ended; it is being restarted",
            "the engine ended; it is being restarted",
        ),
        ("prompt too long", "prompt is too long: 9 tokens", "prompt is too long: 9 tokens"),
        (
            "engine died",
            "the connection to the engine was lost",
            "engine died: the connection to the engine was lost",
        ),
        ("no upstream", "x cannot be reached", "no upstream: x cannot be reached"),
        ("queue full", "", "queue full"),
    ],
)
def test_what_an_error_says_by_itself_is_not_said_before_it_too(cause: str, message: str, told: str) -> None:
    assert with_cause(cause, message) == told
