"""What the list of traces says of requests that failed and were repeated."""

from __future__ import annotations

from proxy.traces.schema import TraceSummary
from tui.client.loaded_rows import LoadedRows
from tui.client.records import RequestPhase, RequestSnapshot
from tui.screen.trace_list.repeats import note_repeats

ANSWERED = TraceSummary(id="c", time=3.0, retry_of="b")
FAILED = [
    TraceSummary(id="b", time=2.0, retry_of="a", error="x", status=529),
    TraceSummary(id="a", time=1.0, error="x", status=529),
]


def noted(
    *pages: list[TraceSummary], followed: tuple[RequestSnapshot, ...] = ()
) -> dict[str, tuple[float, RequestPhase]]:
    repeats: dict[str, tuple[float, RequestPhase]] = {}
    for page in pages:
        note_repeats(repeats, page, LoadedRows().with_page(0, page, len(page)), followed)
    return repeats


def test_the_last_of_several_repeats_counts_for_all() -> None:
    assert noted([ANSWERED, *FAILED]) == {"a": (3.0, "done"), "b": (3.0, "done")}


def test_it_counts_also_where_a_filter_leaves_it_out() -> None:
    whole = noted([ANSWERED, *FAILED])
    assert noted([ANSWERED, *FAILED], FAILED) == whole
    repeated = RequestSnapshot("b", 2.0, 2.5, phase="failed", repeat=(3.0, "done"))
    assert noted(FAILED, followed=(repeated,)) == whole


def test_a_repeat_whose_end_nobody_knows_counts_itself() -> None:
    assert noted(FAILED) == {"a": (2.0, "failed")}
