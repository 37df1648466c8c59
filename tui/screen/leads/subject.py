"""What the cursor is at: a request, its session, or both."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from tui.client.figures import clock
from tui.client.records import RequestSnapshot, SessionSnapshot, Snapshot
from tui.screen.panes.request_cells import SESSION_CELLS

if TYPE_CHECKING:
    from proxy.events.cache_facts import CacheEntry

_PLAIN = re.compile(r"[\w.-]+")  # what a filter takes without quotes


@dataclass(frozen=True, slots=True)
class Subject:
    """A request and its session by their ids, each empty where it is not known."""

    request: str = ""
    session: str = ""
    ended: str = ""  # the request whose trace stands for it

    def record(self, snapshot: Snapshot) -> RequestSnapshot | None:
        """The request, if the screen holds it."""
        return next((one for one in snapshot.requests if one.id == self.request), None)

    def conversation(self, snapshot: Snapshot) -> SessionSnapshot | None:
        """The session, if the screen holds it."""
        return next((one for one in snapshot.sessions if one.id == self.session), None)

    def words(self, snapshot: Snapshot) -> str:
        """What it is, for a title."""
        record = self.record(snapshot)
        session = f"session {self.session[:SESSION_CELLS]}" if self.session else ""
        if record is not None:
            return f"the request of {clock(record.received)}" + (f", {session}" if session else "")
        if self.request:
            return f"this request of {session}" if session else "this request"
        return session


def session_filter(session: str, others: Iterable[str]) -> str:
    """The filter for a session: by the beginning of its id, where no other one begins like that."""
    short = session[:8]
    if any(other.startswith(short) for other in others if other != session):
        short = session
    if _PLAIN.fullmatch(short):
        return f"session:{short}"
    return 'session:"' + short.replace('"', "*") + '"'


def entry_of(entries: Iterable[CacheEntry], subject: Subject) -> str:
    """The id of the entry that a request used or stored, else of one of its session; empty: there is none.

    What it has for itself comes before the prefixes that it shares with others.
    """
    found = sorted(entries, key=lambda entry: entry.kind == "head")
    request, session = subject.request, subject.session
    used = (one.id for one in found if request and request in (one.used_by, one.stored_by))
    own = (one.id for one in found if one.sessions == [session] and one.lane in ("main", ""))
    shared = (one.id for one in found if session in one.sessions)
    return next(chain(used, own, shared), "")
