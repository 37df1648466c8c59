"""The list of sessions: each a row, and below it main, its subagents and its side requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tui.client.figures import plural, rate, seconds
from tui.client.filter import matcher
from tui.client.records import AgentSnapshot, RequestSnapshot, SessionSnapshot
from tui.client.reducers.sessions import agents_of
from tui.client.wire_text import shorten, shorten_middle
from tui.screen.panes.doing import doing
from tui.screen.panes.request_cells import SESSION_CELLS, asked_models, number, restored_bar
from tui.screen.panes.session_cells import (
    agent_state,
    context_gauge,
    idle_s,
    runs_tool,
    session_name,
    session_state,
)
from tui.screen.panes.session_order import ORDERS, SessionOrder, order_key
from tui.screen.styled_line import Line, fit
from tui.screen.widgets.columns import GAP, Column
from tui.screen.widgets.line_table import LineTable

OPEN_S = 600.0  # after its last event a session folds, unless the user has unfolded it
DONE = 4  # subagents at their end that are listed by themselves


@dataclass(frozen=True, slots=True)
class TreeRow:
    """A session, one of its agents, or several of them; a row that looks the same is equal."""

    key: str
    session: str
    agents: tuple[AgentSnapshot, ...]
    found: SessionSnapshot | None = None  # of a session's own row
    sign: str = ""  # whether it is unfolded, or its branch
    marks: tuple[str, ...] = ()  # what tells the session from others: folder, id
    window: int = 0
    running: bool = False
    tick: int = 0  # grows when a clock in the row moves on

    @property
    def requests(self) -> tuple[RequestSnapshot, ...]:
        """All that it stands for, in the order of arrival."""
        if self.found is not None:
            return self.found.requests
        if len(self.agents) == 1:
            return self.agents[0].requests
        return tuple(sorted((one for agent in self.agents for one in agent.requests), key=_arrival))


def _arrival(record: RequestSnapshot) -> float:
    return record.received


def _who(row: TreeRow) -> Line:
    if len(row.agents) > 1:
        return [(f"  {row.sign}", "rule"), (plural(len(row.agents), "more", "more"), "dim")]
    agent = row.agents[0]
    return [(f"  {row.sign}", "rule"), (agent.name, f"lane.{agent.lane}")]


def _doing(row: TreeRow, cells: int) -> Line:
    if len(row.agents) > 1:
        return [(shorten("subagents at their end", cells), "dim")]
    return doing(row.agents[0], cells)


def _state(row: TreeRow, now: float, cells: int) -> Line:
    if len(row.agents) > 1:
        failed = sum(agent.current.phase == "failed" for agent in row.agents)
        return [("✗ ", "bad"), (f"{failed} failed", "bad")] if failed else [("✓ ", "ok"), ("done", "muted")]
    return agent_state(row.agents[0], now, cells)


def _current(row: TreeRow) -> RequestSnapshot:
    return row.agents[0].current


def _figure(line: Line, row: TreeRow) -> Line:
    return line if len(row.agents) == 1 else []


def _model(row: TreeRow, cells: int) -> Line:
    return [(shorten_middle(_current(row).model, cells), "muted")]


def _speed(row: TreeRow) -> Line:
    record = _current(row)
    return [(rate(record.tokens_per_s), "decode" if record.phase == "decode" else "muted")]


COLUMNS: tuple[Column[TreeRow], ...] = (
    Column("WHO", lambda row, now, cells: _who(row), 14),
    Column("DOING", lambda row, now, cells: _doing(row, cells), 30, least=18, grow=3),
    Column("STATE", lambda row, now, cells: _state(row, now, cells), 22, least=18, grow=1, most=28),
    Column("MODEL", lambda row, now, cells: _figure(_model(row, cells), row), 20, least=14, rank=7),
    Column(
        "PROMPT",
        lambda row, now, cells: _figure([number(_current(row).prompt_tokens)], row),
        6,
        "right",
        rank=2,
    ),
    Column(
        "RESTORED",
        lambda row, now, cells: _figure(restored_bar(_current(row), cells), row),
        11,
        least=8,
        rank=4,
    ),
    Column(
        "OUT", lambda row, now, cells: _figure([number(_current(row).output_tokens)], row), 5, "right", rank=5
    ),
    Column("TOK/S", lambda row, now, cells: _figure(_speed(row), row), 5, "right", rank=6),
    Column(
        "TIME",
        lambda row, now, cells: _figure([(seconds(_current(row).duration_s(now)), "")], row),
        6,
        "right",
        rank=1,
    ),
)


class _Held(NamedTuple):
    """The rows of a session, and what they were made of."""

    found: SessionSnapshot
    key: tuple[object, ...]
    rows: tuple[TreeRow, ...]
    matching: int  # requests that fit the filter


class SessionTree(LineTable[TreeRow]):
    """Sessions in an `order`: by activity those at work are on top, then those of the last minute, in that of
    their beginnings, the newest first; then the others.

    Sessions of the last ten minutes are unfolded, and all that a filter finds something in.
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(
            COLUMNS,
            key=lambda row: row.key,
            is_active=lambda row: row.running,
            newest_first=True,
            id=id,
        )
        self._sessions: Sequence[SessionSnapshot] = ()
        self._window, self._model_since = 0, 0.0
        self._moment = 0.0
        self._folds: dict[str, bool] = {}  # as the user wants them: unfolded or not
        self._held: dict[str, _Held] = {}
        self.matching = 0  # requests that fit the filter
        self.order: SessionOrder = ORDERS[0]

    def sort(self, order: SessionOrder) -> None:
        """List the sessions in this order from now on."""
        self.order = order
        self._build()

    def show_sessions(
        self, sessions: Sequence[SessionSnapshot], window: int, now: float, model_since: float = 0.0
    ) -> None:
        """Show `sessions`; `window`: tokens that prompt and answer share, 0: not known.

        What was counted before `model_since` was counted by another model: it tells no share of the window.
        """
        self._sessions, self._window, self._moment = sessions, window, now
        self._model_since = model_since
        several = len(asked_models(one.requests[-1] for one in sessions)) > 1
        self.leave_out(*([] if several else ["MODEL"]))
        self._build()

    def set_filter(self, query: str) -> None:
        self.filter = query
        self._held.clear()
        self._build()

    @property
    def total(self) -> int:
        """The number of sessions, filtered ones included."""
        return len(self._sessions)

    def fold(self, *, unfolded: bool | None = None) -> bool:
        """Fold or unfold the session of the selected row; False: nothing changes by that."""
        row = self.selected
        if row is None or (found := self._session(row.session)) is None:
            return False
        before = self._is_unfolded(found)
        wanted = not before if unfolded is None else unfolded
        if wanted == before:
            return False
        self._folds[found.id] = wanted
        if not wanted and row.found is None:
            self.to_session()
        self._build()
        return True

    def to_session(self) -> bool:
        """Select the session that the selected agent belongs to; False: it is selected."""
        row = self.selected
        if row is None or row.found is not None:
            return False
        keys = [one.key if one is not None else "" for one in self.rows]
        self.select(keys.index(_session_key(row.session)))
        return True

    def _session(self, name: str) -> SessionSnapshot | None:
        return next((one for one in self._sessions if one.id == name), None)

    def _is_unfolded(self, found: SessionSnapshot) -> bool:
        row = self.selected
        at_agent = row is not None and row.found is None and row.session == found.id
        recent = bool(found.active) or self._moment - found.updated < OPEN_S or at_agent
        return bool(self.filter.strip()) or self._folds.get(found.id, recent)

    def _build(self) -> None:
        now = self._moment
        folders = {one.folder for one in self._sessions if one.folder}
        differ = (len(folders) > 1, len(self._sessions) > 1)
        fits = matcher(self.filter, now) if self.filter.strip() else None
        rows: list[TreeRow] = []
        self.matching = 0
        held: dict[str, _Held] = {}
        for found in sorted(self._sessions, key=order_key(self.order, now)):
            tick, unfolded = _tick(found, now), self._is_unfolded(found)
            key = (unfolded, differ, self._window, self._model_since, tick)
            known = self._held.get(found.id)
            if known is None or known.found is not found or known.key != key:
                shown = found.requests
                if fits is not None:
                    shown = tuple(one for one in shown if fits(one, one.search_text))
                made = self._tree(found, shown, unfolded, differ, tick) if shown else ()
                known = _Held(found, key, _kept(known.rows if known else (), made), len(shown))
            held[found.id] = known
            rows += known.rows
            self.matching += known.matching
        self._held = held
        if len(rows) != len(self._all) or any(a is not b for a, b in zip(rows, self._all, strict=True)):
            self.show(rows, now)
        else:
            self.show(self._all, now)

    def _tree(
        self,
        found: SessionSnapshot,
        shown: tuple[RequestSnapshot, ...],
        unfolded: bool,
        differ: tuple[bool, bool],
        tick: int,
    ) -> tuple[TreeRow, ...]:
        marks = (found.folder, found.id[:SESSION_CELLS])
        own = TreeRow(
            key=_session_key(found.id),
            session=found.id,
            agents=found.agents,
            found=found,
            sign="▾ " if unfolded else "▸ ",
            marks=tuple(mark for mark, shown in zip(marks, differ, strict=True) if mark and shown),
            window=self._window if found.was_counted_since(self._model_since) else 0,
            running=bool(found.active),
            tick=tick,
        )
        if not unfolded:
            return (own,)
        groups = list(_groups(found.agents if len(shown) == len(found.requests) else agents_of(shown)))
        rows = [own]
        for place, group in enumerate(groups):
            is_main = group[0].lane == "main"
            running = any(agent.current.active for agent in group)
            ticks = not running and runs_tool(group[0].current)
            branch = "" if is_main else "└ " if place == len(groups) - 1 else "├ "
            rows.append(
                TreeRow(
                    key=f"{found.id}/{group[0].key}" if len(group) == 1 else f"{found.id}/…",
                    session=found.id,
                    agents=group,
                    sign=branch,
                    running=running,
                    tick=tick if ticks else 0,
                )
            )
        return tuple(rows)

    def _filtered(self) -> Sequence[TreeRow | None]:
        return self._all

    def row_line(self, row: TreeRow, layout: Sequence[tuple[Column[TreeRow], int]]) -> Line:
        if row.found is None:
            return super().row_line(row, layout)
        titles = [column.title for column, _ in layout]
        widths = [cells for _, cells in layout]
        at = titles.index("STATE") if "STATE" in titles else len(titles)
        name = sum(widths[:at]) + GAP * (at - 1)
        line: Line = [(row.sign, "accent"), *fit(session_name(row.found, row.marks, name - 2), name - 2)]
        if at == len(titles):
            return line
        line += [(" " * GAP, ""), *fit(session_state(row.found, self._now, widths[at]), widths[at])]
        room = sum(widths[at + 1 :]) + GAP * (len(widths) - at - 2)
        if room <= 0:
            return line
        gauge = context_gauge(row.found, row.window, room)
        return [*line, (" " * GAP, ""), *fit(gauge, room)]


def _kept(before: tuple[TreeRow, ...], made: tuple[TreeRow, ...]) -> tuple[TreeRow, ...]:
    """The rows that look as before are the same objects: they need no drawing."""
    known = {row.key: row for row in before}
    return tuple(old if (old := known.get(row.key)) == row and old else row for row in made)


def _session_key(name: str) -> str:
    return f"{name}/"


def _tick(found: SessionSnapshot, now: float) -> int:
    """What clocks of a session's rows show: seconds while a tool runs, else the time that it is idle."""
    if found.active:
        return 0
    return (
        int(now) if any(runs_tool(agent.requests[-1]) for agent in found.agents) else int(idle_s(found, now))
    )


def _groups(agents: Sequence[AgentSnapshot]) -> Iterator[tuple[AgentSnapshot, ...]]:
    """Agents one by one, but for subagents that ended before the last ones: those together, at the end."""
    done = [agent for agent in agents if agent.lane == "subagent" and not agent.current.active]
    done.sort(key=lambda agent: agent.current.updated)
    early = {agent.key for agent in done[:-DONE]} if len(done) > DONE + 1 else set()
    yield from ((agent,) for agent in agents if agent.key not in early)
    if early:
        yield tuple(agent for agent in agents if agent.key in early)
