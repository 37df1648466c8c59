"""The prefill bar: how much of a request's prompt is restored, prefilled and still to come."""

from __future__ import annotations

from tui.client.figures import percent, ratio
from tui.client.records import RequestRecord
from tui.screen.charts import bar
from tui.screen.styled_line import Line

_PERCENT_CELLS = 5


def prefill_bar(record: RequestRecord, cells: int) -> Line:
    """The bar in `cells` cells, with the share of the prompt that is done at its end."""
    total = record.prefill_total
    restored = ratio(record.prefill_cached, total) or 0.0
    done = ratio(record.prefill_done, total) or 0.0
    return [
        *bar(
            [(restored, "restored"), (max(0.0, done - restored), "prefill")],
            max(1, cells - _PERCENT_CELLS),
        ),
        (f" {percent(done):>4}", "prefill"),
    ]
