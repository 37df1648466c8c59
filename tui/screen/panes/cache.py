"""Cache: who holds what in the prefix cache, what was evicted and wanted again, and what it saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from textual import on
from textual.app import ComposeResult
from textual.message import Message

from tui.client.figures import clock, plural
from tui.client.holdings.rows import HeldRow, held_rows, prefill_s
from tui.client.records import MissRecord, RequestSnapshot
from tui.client.wire_text import line_text
from tui.screen.engine_label import engine_label, uses_other_backend
from tui.screen.frames.ground import Stack
from tui.screen.host_actions.cache_questions import cannot_change
from tui.screen.keymap import bindings, key_of
from tui.screen.panes.cache_parts.asked_holdings import ANSWERING, AskedHoldings
from tui.screen.panes.cache_parts.held import HELD
from tui.screen.panes.cache_parts.misses import MISSES, listed, miss_lines, no_misses, wanted_note
from tui.screen.panes.cache_parts.prompts import PROMPTS
from tui.screen.panes.cache_parts.ranged import RangedUsage
from tui.screen.panes.cache_parts.totals import cache_block
from tui.screen.panes.pane import Pane, list_note, paragraphs
from tui.screen.styled_line import Line
from tui.screen.trace_list.source import ListSource
from tui.screen.widgets.canvas import Canvas, Heading
from tui.screen.widgets.in_background import in_background
from tui.screen.widgets.line_table import LineTable

if TYPE_CHECKING:
    from proxy.events.cache_facts import CacheHoldings
    from tui.screen.navigation import NavigatingApp

_Row = TypeVar("_Row")
_KEYS = frozenset({"pin", "drop", "flush"})


def _request(row: HeldRow | MissRecord | RequestSnapshot | None) -> str:
    """The request that a row is of; empty where there is none."""
    if row is None:
        return ""
    return row.id if isinstance(row, RequestSnapshot) else row.request


def _newest_first(rows: Sequence[_Row], shown: Sequence[_Row | None]) -> Sequence[_Row | None]:
    """Rows from the newest to the oldest: those that are `shown`, as long as they are the same."""
    turned = rows[::-1]
    same = len(turned) == len(shown) and all(new is old for new, old in zip(turned, shown, strict=True))
    return shown if same else turned


class CachePane(Pane):
    """Totals, then who holds what as a tree, then the prompts that could have restored more.

    Of a backend that caches by itself nothing can be listed: its prompts stand in place of the tree.
    """

    place = "cache"
    BINDINGS = bindings("cache")

    class Asked(Message):
        """The user wants something of the cache: `pin`, `unpin` or `drop` an entry, or `flush` all."""

        def __init__(self, action: str, row: HeldRow | None, held: CacheHoldings) -> None:
            super().__init__()
            self.action = action
            self.row = row
            self.held = held

    def __init__(self, source: ListSource) -> None:
        super().__init__()
        self._source = source
        self._usage = RangedUsage()
        self._asked = AskedHoldings()
        self._first_prompts = False
        self._drawn_for: (
            tuple[CacheHoldings | None, int, float | None, list[tuple[str, str, bool]]] | None
        ) = None

    def compose(self) -> ComposeResult:
        yield Canvas(self._totals, id="cache-totals")
        with Stack(id="held-box"):
            yield Heading("Held", id="held-heading")
            yield LineTable[HeldRow](
                HELD,
                key=lambda row: row.entry.id,
                search=lambda row: row.search_text,
                is_active=lambda row: True,  # the time since its last use goes on
                newest_first=True,
                id="held",
            )
        with Stack(id="prompts-box"):
            yield Heading("Prompts", id="prompts-heading")
            yield LineTable[RequestSnapshot](
                PROMPTS,
                key=lambda row: row.id,
                search=lambda row: row.search_text,
                newest_first=True,
                empty=paragraphs(
                    [("No prompt yet.", "bold")],
                    "Each prompt appears here with the tokens that its upstream restored.",
                ),
                id="prompts",
            )
        with Stack(id="misses-box"):
            yield Heading("Could have restored more", id="misses-heading")
            yield LineTable[MissRecord](
                MISSES,
                key=lambda row: f"{row.time}{row.request}{row.position}",
                newest_first=True,
                id="misses",
            )
            yield Canvas(self._miss, id="miss")

    @property
    def main_table(self) -> LineTable[Any]:
        return self.query_one("#prompts" if self._is_elsewhere else "#held", LineTable)

    @property
    def request(self) -> str:
        return _request(self._subject)

    @property
    def session(self) -> str:
        subject = self._subject
        return subject.session if subject is not None else ""

    @property
    def _subject(self) -> HeldRow | MissRecord | RequestSnapshot | None:
        """The selected row; where an earlier host stored that entry, nobody has used it yet: the miss."""
        row = self._focused.selected
        return row if row is not None and (_request(row) or row.session) else self._misses.selected

    @property
    def unavailable(self) -> set[str]:
        if self._is_elsewhere or self._held is None or self.snapshot.link.gone:
            return set(_KEYS)
        row = self._selected
        if row is None:
            return {"pin", "drop"}
        wanted = self._pin_action(row), "drop"
        return {
            name
            for name, action in zip(("pin", "drop"), wanted, strict=True)
            if cannot_change(action, row, self._held)
        }

    @property
    def words(self) -> dict[str, str]:
        row = self._selected
        return {"pin": self._pin_action(row)} if row is not None else {}

    @property
    def _held(self) -> CacheHoldings | None:
        return self._asked.held

    @property
    def _is_elsewhere(self) -> bool:
        return uses_other_backend(self.snapshot)

    @property
    def _held_table(self) -> LineTable[HeldRow]:
        return self.query_one("#held", LineTable)

    @property
    def _misses(self) -> LineTable[MissRecord]:
        return self.query_one("#misses", LineTable)

    @property
    def _focused(self) -> LineTable[Any]:
        return self._misses if self._misses.has_focus else self.main_table

    @property
    def _selected(self) -> HeldRow | None:
        return self._held_table.selected

    # -- drawing ------------------------------------------------------------------------------------------

    def update(self) -> None:
        self.set_class(self._is_elsewhere, "elsewhere")
        if self._usage.is_due(self.snapshot, self.now):
            in_background(self, "usage", self._load_usage)
        self.query_one("#cache-totals", Canvas).paint()
        counted = [row for row in self.snapshot.requests if row.usage is not None and row.prompt_tokens]
        if self._is_elsewhere:
            self._show_prompts(counted)
        else:
            self._show_held()
        shown, left_out = listed(self.snapshot, first_prompts=self._first_prompts)
        self._misses.empty = no_misses(self.snapshot, len(counted), left_out)
        self._misses.show(_newest_first(shown, self._misses.everything), self.now)
        note: Line = list_note(self._misses, "home", gone=self.snapshot.link.gone)
        if left_out:
            gap: Line = [("   ", "")] if note else []
            note = [
                (key_of("cache.first_prompts"), "accent"),
                (f" lists {plural(left_out, 'first prompt')}", "dim"),
                *gap,
                *note,
            ]
        title: Line = [("Could have restored more", "bold")]
        if shown:
            title.append((f"  {len(shown):,} of {plural(len(counted), 'prompt')}", "muted"))
        if wanted := wanted_note(shown, self.snapshot):
            title += [("  ", ""), *wanted]
        self.query_one("#misses-heading", Heading).set_text(title, note)
        self.query_one("#miss", Canvas).paint()

    def _totals(self, width: int, height: int) -> list[Line]:
        return cache_block(self.snapshot, width, height, self._usage)

    async def _load_usage(self) -> None:
        range = self._usage.range
        try:
            self._usage.take(range, await self._source.usage(range))
        except Exception as error:
            self._usage.take(range, None, line_text(str(error)) or type(error).__name__)
        if self.is_attached:
            self.update()

    def _show_prompts(self, counted: list[RequestSnapshot]) -> None:
        self.main_table.show(_newest_first(counted, self.main_table.everything), self.now)
        self.query_one("#prompts-heading", Heading).set_text(
            note=list_note(self.main_table, "home", gone=self.snapshot.link.gone)
        )

    def _show_held(self) -> None:
        self._asked.forget_ended(self.snapshot)
        table, held = self._held_table, self._held
        table.empty = self._nothing_held()
        table.show(self._rows(table.everything), self.now)
        note: Line = []
        if table.filter:
            note = [
                ("/", "accent"),
                (table.filter, "bold"),
                (f"  {len(table.rows)} of {table.total}", "muted"),
            ]
        elif self.snapshot.link.gone and held is not None:
            note = [(f"as of {clock(self._asked.asked_at)}", "warn")]
        elif self._asked.fault and held is not None:
            note = [(self._asked.fault, "warn")]
        title: Line = [("Held", "bold")]
        if held is not None and held.entries:
            pinned = sum(entry.pinned_tokens > 0 for entry in held.entries)
            title.append((f"  {plural(len(held.entries), 'entry', 'entries')}", "muted"))
            title.append((f", {pinned} pinned" if pinned else "", "accent"))
        self.query_one("#held-heading", Heading).set_text(title, note)
        if self._asked.is_due(self.snapshot, self.now):
            self.reload()

    def _rows(self, shown: Sequence[HeldRow | None]) -> Sequence[HeldRow | None]:
        """The rows now: the same objects where they are equal, as a new one would be a new selection."""
        snapshot, held = self.snapshot, self._held
        now = [(record.session, record.lane, record.phase == "queued") for record in snapshot.active]
        drawn_for = held, len(snapshot.requests), snapshot.saved_s, now
        if (
            self._drawn_for is not None
            and self._drawn_for[0] is held
            and self._drawn_for[1:] == drawn_for[1:]
        ):
            return shown
        self._drawn_for = drawn_for
        rows = held_rows(held, snapshot) if held is not None else []
        return shown if rows == shown else rows

    def _nothing_held(self) -> list[Line]:
        if self.snapshot.link.gone:
            return paragraphs("There is no contact with the host: what the cache holds is not known.")
        engine = self.snapshot.engine
        if self._held is None and engine is not None and engine.state not in ANSWERING:
            state = engine_label(self.snapshot)[0]
            return paragraphs(f"The engine is not up ({state}): what the cache holds is not known yet.")
        if self._asked.fault:
            return paragraphs([("What the cache holds cannot be listed.", "bold")], self._asked.fault)
        if self._held is None:
            return paragraphs("Asking the engine what it holds …")
        return paragraphs(
            [("Nothing is held yet.", "bold")],
            "The first prompt is stored, and each later one that begins alike restores it.",
        )

    def _miss(self, width: int, height: int) -> list[Line]:
        miss = self._misses.selected
        cost = prefill_s(self.snapshot, miss.lost_tokens) if miss is not None else None
        return miss_lines(miss, width, cost)

    # -- what the engine holds ----------------------------------------------------------------------------

    def reload(self) -> None:
        """Ask the host what is held."""
        self._asked.ask(self.snapshot, self.now)
        self.run_worker(self._load(), name="cache", group="cache", exit_on_error=False)

    async def _load(self) -> None:
        try:
            self._asked.take(await cast("NavigatingApp", self.app).load_cache())
        except Exception as error:
            # In what is played, an answer of later is not known at this moment.
            self._asked.fail(line_text(str(error), 300), forget=self.snapshot.link.recorded)
        if self.is_attached:
            self.update()

    # -- commands -----------------------------------------------------------------------------------------

    def reveal(self, held: CacheHoldings | None, row: str) -> None:
        """Select an entry of `held`, or of a cache elsewhere the prompt of a request."""
        if held is not None:
            self._asked.ask(self.snapshot, self.now)
            self._asked.take(held)
        table = self.main_table
        if table.filter:
            self.set_filter("")
        self.update()
        table.seek(lambda one: table.key_of(one) == row)
        self.screen.set_focus(table)

    def action_swap(self) -> None:
        """Move to the other table."""
        (self.main_table if self._misses.has_focus else self._misses).focus()

    @on(LineTable.Opened)
    async def action_open(self) -> None:
        """Open the trace of the request that used the entry last, or that missed."""
        if _request(self._focused.selected):
            await self.app.run_action("open_trace", self.screen)
        else:
            self.app.notify("No request has used it since the engine started.", timeout=3, markup=False)

    def action_range(self) -> None:
        """The figures of the next range of time."""
        self._usage.turn()
        self.update()

    def action_first_prompts(self) -> None:
        """List the first prompts of sessions too, or no longer."""
        self._first_prompts = not self._first_prompts
        self.update()

    def action_pin(self) -> None:
        """Keep the selected entry from eviction, or no longer."""
        row = self._selected
        self._ask(self._pin_action(row) if row is not None else "pin", row)

    @staticmethod
    def _pin_action(row: HeldRow) -> str:
        """What `p` does to an entry: one that is pinned in part is pinned whole."""
        return "unpin" if row.entry.pinned_tokens >= row.entry.tokens else "pin"

    def action_drop(self) -> None:
        """Remove the selected entry."""
        self._ask("drop", self._selected)

    def action_flush(self) -> None:
        """Remove everything that is not pinned."""
        self._ask("flush", None)

    def _ask(self, action: str, row: HeldRow | None) -> None:
        if "flush" in self.unavailable or self._held is None:
            where = "This backend's cache is its own" if self._is_elsewhere else "The cache is not known now"
            self.app.notify(f"{where}: there is nothing to {action}.", timeout=3, markup=False)
        elif row is None and action != "flush":
            self.app.notify("No entry is selected.", timeout=2, markup=False)
        else:
            self.post_message(self.Asked(action, row, self._held))
