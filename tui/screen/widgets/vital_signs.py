"""The vital signs: one line that is the same on every pane, and the text for the terminal's title."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tui.client.figures import clock, count, percent, plural, ratio, seconds, size
from tui.client.records import EARLIER, Snapshot
from tui.client.reducers.history import Buckets
from tui.client.reducers.requests import LIMIT
from tui.client.wire_text import line_text
from tui.screen.charts import bar, sparkline
from tui.screen.engine_label import (
    engine_label,
    engine_memory,
    reports_cache,
    upstream_label,
    uses_other_backend,
)
from tui.screen.styled_line import Line, line_width, spread

if TYPE_CHECKING:
    from proxy.events.types import EngineState

STEP_S, STEPS = 10, 24  # of the strip of tokens a second
PROMPTS = 16  # of the strip of restored shares
RECENT_S = 3600.0  # after its last request a session no longer counts as open
SPEED_S = 3  # of the mean that is shown as the speed of now
NEARLY_FULL, FULL = 0.8, 0.95  # shares of a context window and of the memory limit


@dataclass(frozen=True, slots=True)
class VitalSigns:
    """What the line shows; shares are from 0 to 1, None where they are not known."""

    running: int = 0
    waiting: int = 0
    speed: float = 0.0  # tokens a second, all answers together
    speeds: tuple[float, ...] = ()  # the same, each of `STEP_S` seconds, newest last
    restored: float | None = None  # of all prompt tokens since the host started
    shares: tuple[float | None, ...] = ()  # restored of each of the last prompts
    saved_s: float | None = None
    memory_bytes: int = 0
    memory_limit_bytes: int = 0
    context: float | None = None  # of the fullest session that is open
    session: str = ""  # that session
    failed: int = 0  # for good, today
    requests: int = 0  # today
    more: bool = False  # there may have been more today than the screen knows
    alerts: tuple[str, ...] = ()
    missing: str = ""  # in place of all this: there is no host
    state: str = ""  # of the engine, in a word or two


class VitalSignsReader:
    """Gives the same object as long as nothing changed that the bars of the screen show."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._vitals = VitalSigns()

    def read(self, snapshot: Snapshot, rates: Buckets, moment: float) -> VitalSigns:
        """The vital signs at `moment` (epoch seconds), new ones once a second while something moves."""
        now, totals = snapshot.as_of(moment), snapshot.totals
        moving = snapshot.active or now - rates.newest <= STEP_S * (STEPS + 1)
        waiting = sum(record.phase == "queued" for record in snapshot.active)
        # Those of before this screen, or before its host, come behind the totals.
        known = len(snapshot.requests)
        ended = (known, totals.requests, totals.finished, totals.failed, totals.cancelled)
        parts = (snapshot.link, snapshot.host, snapshot.engine, snapshot.lost, snapshot.damaged)
        key = (now // (1 if moving else 60), *parts, *ended, len(snapshot.active), waiting)
        if key != self._key:
            self._key = key
            self._vitals = vital_signs(snapshot, rates, now)
        return self._vitals


def vital_signs(snapshot: Snapshot, rates: Buckets, now: float) -> VitalSigns:
    """The vital signs of `snapshot` as of `now` (epoch seconds)."""
    state = engine_label(snapshot)[0]
    failed, requests, more = _today(snapshot, now)
    if snapshot.link.gone:
        missing = f"no contact with the host since {clock(snapshot.link.since)}"
        return VitalSigns(failed=failed, requests=requests, more=more, missing=missing, state=state)
    if snapshot.link.state == "starting" or (snapshot.host is None and snapshot.engine is None):
        return VitalSigns(missing="waiting for the host …", state=state)
    waiting = sum(record.phase == "queued" for record in snapshot.active)
    totals = snapshot.totals
    restored = None
    if reports_cache(snapshot):
        restored = ratio(totals.cache_read_input_tokens, totals.prompt_tokens)
    memory, limit = (0, 0) if uses_other_backend(snapshot) else engine_memory(snapshot)
    context, session = _fullest(snapshot, now)
    return VitalSigns(
        running=len(snapshot.active) - waiting,
        waiting=waiting,
        speed=sum(rates.rates(now, SPEED_S)) / SPEED_S,
        speeds=_speeds(rates, now),
        restored=restored,
        shares=_shares(snapshot) if restored is not None else (),
        saved_s=snapshot.saved_s if restored is not None else None,
        memory_bytes=memory,
        memory_limit_bytes=limit,
        context=context,
        session=session,
        failed=failed,
        requests=requests,
        more=more,
        alerts=tuple(_alerts(snapshot, context)),
        state=state,
    )


def _speeds(rates: Buckets, now: float) -> tuple[float, ...]:
    """Means of steps that begin at round moments, so that the strip moves once in `STEP_S` seconds."""
    begun = int(now) % STEP_S  # seconds of the newest step
    each = rates.rates(now, STEP_S * STEPS + begun)
    whole = [sum(each[at : at + STEP_S]) / STEP_S for at in range(0, STEP_S * STEPS, STEP_S)]
    return (*whole[1:], sum(each[-begun:]) / begun) if begun else tuple(whole)


def _shares(snapshot: Snapshot) -> tuple[float | None, ...]:
    began = snapshot.host.started if snapshot.host is not None else 0.0
    shares: list[float | None] = []
    for record in reversed(snapshot.requests):
        if record.received < began or len(shares) == PROMPTS:
            break
        if record.usage is not None and record.prompt_tokens > 0:
            shares.append(ratio(record.reused_tokens, record.prompt_tokens))
    return tuple(reversed(shares))


def _today(snapshot: Snapshot, now: float) -> tuple[int, int, bool]:
    """Requests of this day that failed and were not repeated, all of them, and whether there were more.

    The screen begins with the newest ones and forgets the oldest.
    """
    day = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    failed = requests = 0
    for record in reversed(snapshot.requests):
        if record.received < day:
            return failed, requests, False
        requests += 1
        failed += record.phase == "failed" and record.repeat is None
    return failed, requests, snapshot.earlier >= EARLIER or requests >= LIMIT


def _fullest(snapshot: Snapshot, now: float) -> tuple[float | None, str]:
    """How full the window of the fullest open session is after its last request, and that session."""
    window = snapshot.engine.context_tokens if snapshot.engine is not None else 0
    if window <= 0:
        return None, ""
    open_ones = [
        one
        for one in snapshot.sessions
        if one.id and one.updated >= now - RECENT_S and one.was_counted_since(snapshot.model_since)
    ]
    fullest = max(open_ones, key=lambda one: one.context_tokens, default=None)
    if fullest is None or not fullest.context_tokens:
        return None, ""
    return ratio(fullest.context_tokens, window), fullest.id


def _alerts(snapshot: Snapshot, context: float | None) -> Iterator[str]:
    """What needs a person now, gravest first; nothing that is over."""
    engine = snapshot.engine
    label, style = engine_label(snapshot)
    if style == "bad":
        yield upstream_label(snapshot)[0] if uses_other_backend(snapshot) else f"engine {label}"
    if snapshot.disk is not None and snapshot.disk.unwritten:
        yield f"{snapshot.disk.unwritten} not recorded"
    if engine is not None and not uses_other_backend(snapshot):
        yield from _engine_alerts(snapshot, engine)
    if context is not None and context >= FULL:
        yield f"context {percent(context)} full"


def _engine_alerts(snapshot: Snapshot, engine: EngineState) -> Iterator[str]:
    if snapshot.probes and not snapshot.probes[-1][1].ok and not engine.is_gone:
        yield "probe failed"
    if engine.memory is not None and engine.memory.pressure != "normal":
        yield f"memory {engine.memory.pressure}"
    held, limit = engine_memory(snapshot)
    if limit and held > limit:
        yield "memory over limit"
    if engine.cache is not None and engine.cache.disk_paused:
        yield "disk full or refused"


# -- drawing -------------------------------------------------------------------------------------------------

# The part that takes its next shorter form on a narrower line, in this order. What runs, what waits and what
# failed are never dropped.
_NARROWER = (
    "context", "speed", "restored", "speed", "restored", "memory", "speed", "memory", "restored", "failed",
    "alerts", "context", "memory", "restored", "restored", "memory", "speed", "restored", "alerts", "speed",
)  # fmt: skip
_BAR = 8  # cells
_SIGNS = "⚑▶✗◌"  # the widest first: where there is room for few spaces, it gets one
_ROOMY = 120  # from which width on strips give way to all of them


def vital_line(vitals: VitalSigns, cells: int) -> Line:
    """The line in `cells` cells."""
    if vitals.missing:
        words: Line = [(f" {vitals.missing}", "muted" if vitals.state == "starting" else "warn")]
        number = _signs_apart(_failed(vitals)[-1], _SIGNS)
        of: Line = [(f" of {plural(vitals.requests, 'request')} before ", "muted")]
        fitting = (
            known
            for known in ([*number, *of], number)
            if _needed([*map(line_width, (words, known))]) <= cells
        )
        return spread(words, next(fitting, []) if vitals.requests else [], cells)
    parts: dict[str, list[Line]] = {
        "work": [_work(vitals)],
        "speed": _speed(vitals),
        "restored": _restored(vitals),
        "memory": _memory(vitals),
        "context": _context(vitals),
        "failed": _failed(vitals),
        "alerts": _alert(vitals),
    }
    form = _forms(parts, cells)
    if cells >= _ROOMY:  # strips give way to spaces behind the signs, but nothing else does
        looser = _forms(parts, cells - len(_SIGNS))
        same = all(bool(parts[name][at]) == bool(parts[name][looser[name]]) for name, at in form.items())
        form = looser if same and form["alerts"] == looser["alerts"] else form
    spare = cells + 1 - _needed([line_width(parts[name][at]) for name, at in form.items()])
    apart = _SIGNS[: max(0, spare)]
    line: Line = [(" ", "")]
    for name, forms in parts.items():
        if shown := _signs_apart(forms[form[name]], apart):
            line += [(" │ ", "rule"), *shown] if len(line) > 1 else shown
    return line


def _forms(parts: Mapping[str, Sequence[Line]], cells: int) -> dict[str, int]:
    """Which form of each part is shown in `cells` cells."""
    taken = {name: [line_width(form) for form in forms] for name, forms in parts.items()}
    form = dict.fromkeys(parts, 0)
    steps = iter(_NARROWER)
    while _needed([taken[name][form[name]] for name in parts]) > cells:
        name = next(steps, "")
        if not name:
            break
        form[name] = min(form[name] + 1, len(parts[name]) - 1)
    return form


def _signs_apart(line: Line, signs: str) -> Line:
    """A space behind each of these signs: fonts draw them over more than their cell, onto the number."""
    return [(f"{text[0]} {text[1:]}" if text and text[0] in signs else text, style) for text, style in line]


def _needed(widths: Sequence[int]) -> int:
    shown = [cells for cells in widths if cells]
    return sum(shown) + 3 * (len(shown) - 1) + 2


def _leading_to(pane: str, *forms: Line) -> list[Line]:
    """The forms of a part, of which a click shows `pane`."""
    click = f"@screen.pane('{pane}')"
    return [[(text, f"{style} {click}".strip()) for text, style in form] for form in forms]


def _work(vitals: VitalSigns) -> Line:
    running, waiting = vitals.running, vitals.waiting
    return _leading_to(
        "streams",
        [
            (f"▶{running}", "decode bold" if running else "dim"),
            (" ", ""),
            (f"◌{waiting}", "warn" if waiting else "dim"),
        ],
    )[0]


def speed_words(speed: float) -> str:
    """Tokens a second in at most four cells; a dot where nothing is written."""
    if not math.isfinite(speed) or speed <= 0:
        return "·"
    return f"{speed:.1f}" if speed < 9.95 else count(speed)


def _speed(vitals: VitalSigns) -> list[Line]:
    number: Line = [
        (f"{speed_words(vitals.speed):>3}", "decode" if vitals.speed else "dim"),
        (" tok/s", "muted"),
    ]
    strips = [sparkline(vitals.speeds, cells, "area.decode") for cells in (STEPS, STEPS // 2, 8, 4)]
    return _leading_to("streams", *([*number, (" ", ""), *strip] for strip in strips), number, [])


def _restored(vitals: VitalSigns) -> list[Line]:
    share: Line = [(percent(vitals.restored), "restored" if vitals.restored else "dim")]
    saved: Line = [("saved ", "muted"), (_about(vitals.saved_s), "restored" if vitals.saved_s else "dim")]
    if vitals.restored is None:  # two dots alone would say nothing
        label: Line = [("restored ", "muted"), *share]
        return _leading_to("cache", [*label, (" ", ""), *saved], *[label] * 4, [])
    words: list[Line] = []
    for cells in (PROMPTS, PROMPTS // 2, 6) if vitals.shares else ():
        strip = sparkline(vitals.shares, cells, "area.restored", 1.0)
        words.append([("restored ", "muted"), *share, (" ", ""), *strip, (" · ", "dim"), *saved])
    words.append([("restored ", "muted"), *share, (" ", ""), *saved])
    words.append([*share, (" ", ""), saved[1]])
    return _leading_to("cache", *words, share, [])


def _about(duration: float | None) -> str:
    """An estimate: ~42s, ~41m, ~2h05m."""
    if duration is None or not math.isfinite(duration):
        return "·"
    if duration < 99.5:
        return f"~{duration:.0f}s"
    return f"~{duration / 60:.0f}m" if duration < 3570 else f"~{seconds(duration)}"


def _memory(vitals: VitalSigns) -> list[Line]:
    if not vitals.memory_bytes:
        return [[]]
    held, limit = size(vitals.memory_bytes), vitals.memory_limit_bytes
    share = ratio(vitals.memory_bytes, limit)
    level = _level(share, FULL)
    if share is None:
        return [*_leading_to("health", [("mem ", "muted"), (held, "")], [(held, "")]), []]
    most, _, unit = size(limit).partition(" ")
    of = f"{held.removesuffix(f' {unit}')}/{most.removesuffix('.0')} {unit}"
    words: Line = [("mem ", "muted"), (of, "" if level == "lane.main" else level)]
    bars: list[Line] = [
        [words[0], *bar([(min(1.0, share), level)], cells, shapes="█"), (f" {of}", words[1][1])]
        for cells in (_BAR, _BAR // 2)
    ]
    return [*_leading_to("health", *bars, words, [(held, words[1][1])]), []]


def _context(vitals: VitalSigns) -> list[Line]:
    if vitals.context is None:
        return [[]]
    level = _level(vitals.context, NEARLY_FULL)
    words: Line = [("context ", "muted"), (percent(vitals.context), "" if level == "lane.main" else level)]
    name = f" {vitals.session[:6]}"
    bars: Line = [
        words[0],
        *bar([(min(1.0, vitals.context), level)], _BAR, shapes="█"),
        (f" {words[1][0]}", words[1][1]),
        (name, "dim"),
    ]
    return [*_leading_to("streams", bars, words), []]


def _level(share: float | None, warn: float) -> str:
    if share is None or share < warn:
        return "lane.main"
    return "bad" if share > max(warn, FULL) else "warn"


def _failed(vitals: VitalSigns) -> list[Line]:
    number: Line = [(f"✗{vitals.failed}", "bad" if vitals.failed else "dim")]
    of = f" of {vitals.requests:,}{'+' if vitals.more else ''}"
    return _leading_to("traces", [*number, (of, "muted")], number)


def _alert(vitals: VitalSigns) -> list[Line]:
    number = len(vitals.alerts)
    flag: Line = [(f"⚑{number}", "warn bold" if number else "dim")]
    words: Line = [*flag, (f" {vitals.alerts[0]}", "warn")] if number else flag
    return [*_leading_to("health", words, flag), []]


def title_text(vitals: VitalSigns) -> str:
    """The text for the terminal's title, in one line: `▶2 ◌1 61 tok/s`, or the engine's state."""
    words = [f"⚑{len(vitals.alerts)}"] if vitals.alerts else []
    if vitals.running or vitals.waiting:
        words.append(f"▶{vitals.running}")
        words += [f"◌{vitals.waiting}"] if vitals.waiting else []
        words += [f"{speed_words(vitals.speed)} tok/s"] if vitals.speed > 0 else []
        return line_text(" ".join(words), 80)
    return line_text(" ".join([*words, f"anyclaude: {vitals.state}"]), 80)
