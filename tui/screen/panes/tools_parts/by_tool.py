"""How each tool fared, as a table that can be sorted by each of its figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tui.client.figures import percent, plural, ratio, seconds
from tui.client.records import Snapshot, ToolStats
from tui.screen.charts import bar, shape
from tui.screen.choices.remembered import Remembered
from tui.screen.styled_line import Line, fit
from tui.screen.widgets.canvas import Canvas

NAME_CELLS = 14
FIGURE_CELLS = 7 + 7 + 9 + 10 + 8  # two durations and three rates
GROUP_CELLS = 69  # one tool's figures and a bar that is wide enough
_NAME = "toolOrder"
_SORTS: dict[str, Callable[[ToolStats], float | str]] = {
    "calls": lambda one: one.calls,
    "P50": lambda one: one.p50_s or 0.0,
    "P95": lambda one: one.p95_s or 0.0,
    "refused": lambda one: ratio(one.invalid, one.calls) or 0.0,
    "repaired": lambda one: ratio(one.repaired, one.calls) or 0.0,
    "errors": lambda one: ratio(one.errors, one.results) or 0.0,
    "tool": lambda one: one.name.lower(),
}


@dataclass(frozen=True, slots=True)
class ToolOrder:
    """By which column the tools stand, the largest first or, by name, from A on; `turned` the other way."""

    by: str = "calls"
    turned: bool = False

    def next(self) -> ToolOrder:
        """By the next column."""
        names = list(_SORTS)
        return ToolOrder(names[(names.index(self.by) + 1) % len(names)])

    def of(self, stats: Sequence[ToolStats]) -> list[ToolStats]:
        """The tools in this order; equal ones by their calls."""
        known = sorted(stats, key=lambda one: (-one.calls, one.name))
        return sorted(known, key=_SORTS[self.by], reverse=self._falling)

    def heading(self, by: str) -> str:
        """The title of a column, with a mark where it gives the order."""
        title = "BY TOOL" if by == "tool" else by.upper()
        return title if by != self.by else title + ("↓" if self._falling else "↑")

    @property
    def words(self) -> str:
        """The order in words."""
        return (
            f"by {self.by}, {'largest' if self._falling else 'smallest'} first"
            if self.by != "tool"
            else (f"by name, from {'Z' if self._falling else 'A'} on")
        )

    @property
    def _falling(self) -> bool:
        return (self.by != "tool") is not self.turned


class ByTool(Canvas):
    """Totals and the table; its order is remembered, and a click on a title changes it."""

    def __init__(self, counted: Callable[[], Snapshot], *, id: str) -> None:
        super().__init__(self._block, id=id)
        self._counted = counted
        self.order = ToolOrder()

    def on_mount(self) -> None:
        match self._remembered.get(_NAME):
            case [str(by), bool(turned)] if by in _SORTS:
                self.order = ToolOrder(by, turned)

    @property
    def _remembered(self) -> Remembered:
        found = getattr(self.app, "remembered", None)
        return found if isinstance(found, Remembered) else Remembered()

    def sort(self, order: ToolOrder) -> None:
        """Take this order from now on; where the table has no room, say so in words."""
        self.order = order
        self._remembered.keep(_NAME, [order.by, order.turned])
        self.paint()
        if self.size.height < 3:
            text = f"Tools {order.words}; on a higher screen there is room for them."
            self.app.notify(text, timeout=3, markup=False)

    def turn_round(self) -> None:
        """Turn the order round."""
        self.sort(replace(self.order, turned=not self.order.turned))

    def action_sort_by(self, by: str) -> None:
        """By a column; again: the other way round. A click on its title."""
        if by == self.order.by:
            self.turn_round()
        else:
            self.sort(ToolOrder(by))

    def _block(self, width: int, height: int) -> list[Line]:
        return stats_block(self._counted(), width, height, self.order)


def stats_block(snapshot: Snapshot, width: int, height: int, order: ToolOrder = ToolOrder()) -> list[Line]:
    """Totals, and for each tool: calls, durations, the rates of refusals, repairs and errors."""
    totals = snapshot.totals
    rates: Line = [
        (f" {plural(totals.tool_calls, 'call')}", "bold"),
        (f"   {plural(totals.tool_results, 'result')}", "muted"),
    ]
    if totals.tool_calls_invalid:
        share = percent(ratio(totals.tool_calls_invalid, totals.tool_calls))
        rates.append((f"   {shape('bad')} {totals.tool_calls_invalid} refused ({share})", "bad"))
    if totals.tool_calls_repaired:
        share = percent(ratio(totals.tool_calls_repaired, totals.tool_calls))
        rates.append((f"   {shape('warn')} {totals.tool_calls_repaired} repaired ({share})", "warn"))
    if totals.tool_errors:
        share = percent(ratio(totals.tool_errors, totals.tool_results))
        rates.append((f"   {shape('bad')} {plural(totals.tool_errors, 'error')} ({share})", "bad"))
    if not snapshot.tool_stats:
        return [rates]
    if height < 3:
        return [[rates[0], *_worst(snapshot.tool_stats), *rates[2:]]]
    across = max(1, (width - 2) // GROUP_CELLS)
    cells = (width - 2) // across
    most = max(stats.calls for stats in snapshot.tool_stats) or 1
    tools = order.of(snapshot.tool_stats)
    groups = [fit(_stats_line(stats, most, cells - 3), cells) for stats in tools]
    shown = min(across, len(groups))
    room = max(1, (height - 2) * across)
    if len(groups) > room:
        others = ", ".join(stats.name for stats in tools[room - 1 :])
        more: Line = [(f"+{len(groups) - room + 1} more: {others}", "muted")]
        groups = [*groups[: room - 1], fit(more, cells)]
    lines: list[Line] = [rates, [(" ", ""), *(fit(_stats_head(cells - 3, order), cells) * shown)]]
    for row in range(max(0, min(height - 2, -(-len(groups) // across)))):
        line: Line = [(" ", "")]
        for group in groups[row * across : (row + 1) * across]:
            line += group
        lines.append(line)
    return lines


def _worst(stats: Sequence[ToolStats]) -> Line:
    """The two tools with the most failures, where there is no room for all."""
    failed = {one.name: one.errors + one.invalid for one in stats}
    worst = sorted(stats, key=lambda one: -failed[one.name])[:2]
    return [(f"   {one.name} {failed[one.name]}✗ of {one.calls}", "bad") for one in worst if failed[one.name]]


def _stats_head(cells: int, order: ToolOrder) -> Line:
    room = max(4, cells - NAME_CELLS - 6 - FIGURE_CELLS)
    line = [_title("tool", order), _title("calls", order)]
    line.insert(1, (" " * (NAME_CELLS - len(line[0][0])), ""))
    line.append((" " * (NAME_CELLS + 6 + room - sum(len(text) for text, _ in line)), ""))
    for by, cells in (("P50", 7), ("P95", 7), ("refused", 9), ("repaired", 10), ("errors", 8)):
        title = _title(by, order)
        line += [(" " * (cells - len(title[0])), ""), title]
    return line


def _title(by: str, order: ToolOrder) -> tuple[str, str]:
    here = "accent" if by == order.by else "muted"
    return (order.heading(by), f"{here} @sort_by('{by}')")


def _stats_line(stats: ToolStats, most: int, cells: int) -> Line:
    room = max(4, cells - NAME_CELLS - 6 - FIGURE_CELLS)
    share = stats.calls / most
    refused, repaired = (_part(number, stats.calls) for number in (stats.invalid, stats.repaired))
    failed = min(1.0 - refused, _part(stats.errors, stats.calls))
    repaired = min(1.0 - refused - failed, repaired)
    accepted = 1.0 - refused - repaired - failed
    shares = [(accepted, "lane.main"), (repaired, "warn"), (refused + failed, "bad")]
    return [
        *fit([(stats.name or "?", "tool")], NAME_CELLS),
        (f"{stats.calls:>5} ", ""),
        *bar([(part * share, style) for part, style in shares], room, rest=""),
        (f"{seconds(stats.p50_s):>7}", ""),
        (f"{seconds(stats.p95_s):>7}", "muted"),
        (f"{_rate(stats.invalid, stats.calls):>9}", "bad"),
        (f"{_rate(stats.repaired, stats.calls):>10}", "warn"),
        (f"{_rate(stats.errors, stats.results):>8}", "bad"),
    ]


def _part(number: int, whole: int) -> float:
    return min(1.0, number / whole) if whole else 0.0


def _rate(number: int, whole: int) -> str:
    return percent(ratio(number, whole)) if number and whole else ""
