"""The names and times above the bars of Traces."""

from __future__ import annotations

from datetime import datetime

import pytest

from proxy.traces.listing.histogram import Histogram
from tui.screen.styled_line import plain_text
from tui.screen.trace_list.day_strip import Strip, day_strip


@pytest.mark.parametrize("columns", [120, 80])
@pytest.mark.parametrize(
    ("minutes", "step", "labels"),
    [
        (3, 1, ["Tue 09:02"]),
        (13, 1, ["Tue 09:02", "09:05", "09:10"]),
        (40, 1, ["Tue 09:02", "09:20", "09:30", "09:40"]),
        (60, 5, ["Tue 09:00", "09:20", "09:30", "09:40", "09:50"]),
        (1440, 30, ["Tue 09:00", "18:00", "Wed", "06:00"]),
    ],
)
def test_a_strip_of_one_day_has_its_name_and_times(
    minutes: int, step: int, labels: list[str], columns: int
) -> None:
    begin = datetime(2026, 9, 22, 9, 2 if step == 1 else 0).timestamp()
    edges = [begin + 60.0 * at for at in range(0, minutes + step, step)]
    requests = [1] * (len(edges) - 1)
    strip = Strip(Histogram(edges, requests, requests, len(requests), 0))
    names = plain_text(day_strip(strip, columns, 3)[0])[:76].split("  ")
    assert [name.strip() for name in names if name.strip()] == labels
