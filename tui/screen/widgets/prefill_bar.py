"""The prefill bar: how much of a request's prompt is restored, prefilled and still to come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.client.figures import percent, ratio
from tui.screen.charts import bar
from tui.screen.styled_line import Line

if TYPE_CHECKING:
    from proxy.events.types import RequestPrefill

_PERCENT_CELLS = 5


def prefill_bar(prefill: RequestPrefill, cells: int) -> Line:
    """The bar in `cells` cells, with the share of the prompt that is done at its end."""
    restored = ratio(prefill.cached, prefill.total) or 0.0
    done = ratio(prefill.done, prefill.total) or 0.0
    return [
        *bar(
            [(restored, "restored"), (max(0.0, done - restored), "prefill")],
            max(1, cells - _PERCENT_CELLS),
        ),
        (f" {percent(done):>4}", "prefill"),
    ]
