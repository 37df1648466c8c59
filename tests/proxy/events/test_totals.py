"""What is counted since the host's start."""

from __future__ import annotations

import pytest

from proxy.events.totals import Totals
from proxy.events.types import ErrorInfo, RequestFailed, Usage

FAULT = ErrorInfo(type="cancelled", message="m")


@pytest.mark.parametrize(
    ("usage", "reached", "restored", "prefilled"),
    [
        (Usage(cache_read_input_tokens=200, cache_creation_input_tokens=800), 600, 200, 400),
        (
            Usage(cache_read_input_tokens=200, input_tokens=300, cache_creation_input_tokens=500),
            900,
            200,
            700,
        ),
        (Usage(cache_read_input_tokens=200, input_tokens=800), 200, 200, 0),
        (Usage(cache_read_input_tokens=200, input_tokens=800), 1000, 200, 800),
        (Usage(cache_read_input_tokens=200, input_tokens=800), None, 200, 800),
        (Usage(), 40, 0, 0),
    ],
)
def test_of_a_prompt_that_was_not_read_to_its_end_what_was_read_is_counted(
    usage: Usage, reached: int | None, restored: int, prefilled: int
) -> None:
    totals = Totals()
    failed = RequestFailed(error=FAULT, usage=usage, cancelled=True, reached_tokens=reached)
    totals.observe("request.failed", "r", failed)
    assert totals.cache_read_input_tokens == restored
    assert totals.prompt_tokens == restored + prefilled
