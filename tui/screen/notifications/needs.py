"""What needs a person: five things, none of which passes by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from proxy.anthropic.compaction import compacts_at
from tui.client.figures import clock, percent, plural
from tui.client.records import Snapshot
from tui.screen.engine_label import uses_other_backend
from tui.screen.widgets.vital_signs import VitalSigns

Kind = Literal["engine", "request", "host", "compaction", "disk"]
KINDS: tuple[Kind, ...] = ("engine", "request", "host", "compaction", "disk")
REPEATED_WITHIN_S = 20.0  # a client that repeats a failed request does it sooner
GONE_S = 5.0  # a connection that breaks off is back sooner
NEAR = 0.93  # of the tokens at which Claude Code compacts
_ANSWER = 32_000  # tokens that it asks for at most


@dataclass(frozen=True)
class Need:
    """One thing; `key` is the same as long as it is the same occasion."""

    kind: Kind
    key: str
    text: str


def needs(snapshot: Snapshot, vitals: VitalSigns, now: float) -> Iterator[Need]:
    """What needs a person at `now` (epoch seconds)."""
    link, engine = snapshot.link, snapshot.engine
    if link.gone:
        by_a_person = link.state == "ended" and link.detail.startswith("you ")
        if now - link.since >= GONE_S and not by_a_person:
            yield Need("host", str(link.since), f"no contact with the host since {clock(link.since)}")
        return
    if engine is not None and engine.state == "failed" and not uses_other_backend(snapshot):
        why = f": {engine.last_exit or engine.detail}" if engine.last_exit or engine.detail else ""
        yield Need("engine", str(engine.since), f"the engine failed for good{why}")
    if snapshot.disk is not None and snapshot.disk.unwritten:
        yield Need("disk", snapshot.disk.refusal, f"requests are not recorded: {snapshot.disk.refusal}")
    # None from before this host: whoever starts a screen sees those on it.
    began = snapshot.host.started if snapshot.host is not None else 0.0
    failed = [
        record
        for record in snapshot.requests
        if record.phase == "failed"
        and record.repeat is None
        and record.ended is not None
        and record.received >= began
        and now - record.ended >= REPEATED_WITHIN_S
    ]
    if failed:
        last = failed[-1]
        why = f": {last.cause or last.error}" if last.cause or last.error else ""
        others = f" (and {plural(len(failed) - 1, 'other')} before)" if len(failed) > 1 else ""
        yield Need("request", last.id, f"a request failed at {clock(last.ended or 0.0)}{why}{others}")
    window = engine.context_tokens if engine is not None else 0
    if vitals.context is not None and vitals.context * window >= NEAR * compacts_at(window, _ANSWER) > 0:
        full = f"session {vitals.session[:6]} is {percent(vitals.context)} full"
        yield Need("compaction", vitals.session, f"{full}: near its compaction")
