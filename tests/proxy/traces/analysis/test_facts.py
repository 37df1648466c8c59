from __future__ import annotations

import pytest

from proxy.events.types import CacheVerdict, Usage
from proxy.traces.analysis.facts import REQUEST_COLUMNS, request_row
from tests.proxy.trace_making import trace_of


@pytest.mark.parametrize(
    ("reached", "counted"), [(None, (100, 700, 200)), (600, (0, 400, 200)), (200, (0, 0, 200))]
)
def test_of_a_prompt_only_what_was_read_is_counted_in_sums(
    reached: int | None, counted: tuple[int, int, int]
) -> None:
    usage = Usage(input_tokens=100, cache_creation_input_tokens=700, cache_read_input_tokens=200)
    cache = CacheVerdict(prompt_tokens=1000, matched_tokens=200, reached_tokens=reached)
    row = dict(zip(REQUEST_COLUMNS, request_row(trace_of(1, usage=usage, cache=cache)), strict=True))
    assert (row["input"], row["created"], row["read"]) == counted
