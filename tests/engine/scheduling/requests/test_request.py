"""What may begin a stop sequence is held back, and told if it was none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.scheduling.requests.request import StopHoldBack

small = st.integers(0, 2)


def test_single_tokens_are_never_held() -> None:
    hold_back = StopHoldBack(((7,), ()))
    assert [hold_back.add(token) for token in (1, 7, 2)] == [[1], [7], [2]]
    assert hold_back.stop(7) == []
    assert hold_back.end() == []


def test_a_beginning_is_held_until_it_is_decided() -> None:
    hold_back = StopHoldBack(((1, 2, 3),))
    assert [hold_back.add(token) for token in (9, 1, 2, 1, 2)] == [[9], [], [], [1, 2], []]
    assert hold_back.stop(3) == []
    assert hold_back.add(1) == []
    assert hold_back.end() == [1]


@given(
    tokens=st.lists(small, max_size=25),
    stops=st.lists(st.lists(small, min_size=1, max_size=4).map(tuple), max_size=3).map(tuple),
)
def test_all_text_before_the_first_stop_sequence_is_delivered_and_nothing_else(
    tokens: list[int], stops: tuple[tuple[int, ...], ...]
) -> None:
    ends = [
        (end, end - len(stop))
        for stop in stops
        for end in range(len(stop), len(tokens) + 1)
        if tuple(tokens[end - len(stop) : end]) == stop
    ]
    hold_back = StopHoldBack(stops)
    if not ends:
        delivered = [token for step in tokens for token in hold_back.add(step)] + hold_back.end()
        assert delivered == tokens
        return
    end, start = min(ends)
    delivered = [token for step in tokens[: end - 1] for token in hold_back.add(step)]
    delivered += hold_back.stop(tokens[end - 1])
    assert delivered == tokens[:start]
