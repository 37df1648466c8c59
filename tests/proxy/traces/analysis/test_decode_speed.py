from __future__ import annotations

import pytest

from proxy.events.types import Timings
from proxy.traces.analysis.decode_speed import decode_speed


@pytest.mark.parametrize(
    ("timings", "tokens", "speed"),
    [
        (Timings(first_token=1.0, last_token=3.0), 21, 10.0),
        (Timings(first_token=1.0, last_token=3.0), 1, 0.0),
        (Timings(first_token=1.0), 21, 0.0),
        (Timings(first_token=1.0, last_token=1.0000188), 7, 0.0),  # else 319,000 a second
        (Timings(first_token=1.0, last_token=1.049), 400, 0.0),
        (Timings(first_token=1.0, last_token=3.0), 8, 0.0),
        (Timings(first_token=1.0, last_token=1.1), 900, 0.0),  # held back, and then sent in two pieces
        (Timings(first_token=1.0, last_token=3.0, resumed_tokens=400), 421, 10.0),
        (Timings(first_token=1.0, last_token=1.2, resumed_tokens=400), 405, 0.0),  # all but five were there
    ],
)
def test_an_answer_in_one_piece_tells_no_speed(timings: Timings, tokens: int, speed: float) -> None:
    assert decode_speed(timings, tokens) == speed
