"""What the screen holds itself: sessions by name or id, requests by what they did or when."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import Hits

from tui.client.figures import clock, plural
from tui.client.records import RequestSnapshot, SessionSnapshot
from tui.screen.leads.subject import Subject
from tui.screen.palette.offers import MOST, REQUEST, SESSION, Finder, has_words
from tui.screen.panes.request_cells import SESSION_CELLS

if TYPE_CHECKING:
    from tui.screen.leads.leading_app import LeadingApp

LEAST = 2  # characters
_AT_ONCE = 100  # requests that are looked at before a key may be answered


class SessionProvider(Finder):
    """Offers sessions, the newest first; what clients that told none have sent is no place to go to."""

    async def search(self, query: str) -> Hits:
        app, found = cast("LeadingApp", self.app), 0
        if len(query) < LEAST:
            return
        for session in reversed(app.store.snapshot().sessions):
            words = f"{session.name} {session.id} {session.folder} session".lower()
            if session.id and has_words(words, query):
                title = session.name or f"Session {session.id}"
                run = partial(app.go_to, "session", Subject("", session.id))
                yield self.offer(SESSION, title, run, _about(session), query, place=found)
                if (found := found + 1) == MOST:
                    return


class RequestProvider(Finder):
    """Offers requests, the newest first: running ones in Streams, the others' traces."""

    async def search(self, query: str) -> Hits:
        app, found = cast("LeadingApp", self.app), 0
        if len(query) < LEAST:
            return
        for place, record in enumerate(reversed(app.store.snapshot().requests)):
            if has_words(f"{clock(record.received)} {record.search_text} request", query):
                name = "session" if record.active else "trace"
                run = partial(app.go_to, name, Subject(record.id, record.session, record.id))
                yield self.offer(REQUEST, request_title(record), run, _of(record), query, place=found)
                if (found := found + 1) == MOST:
                    return
            if place % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)


def request_title(record: RequestSnapshot) -> str:
    """When a request came, and what it did, or else was asked."""
    did = ", ".join(f"{call.name} {call.about}".strip() for call in record.calls[:3])
    return f"{clock(record.received)}  {did or record.preview or record.purpose or record.lane}"


def _of(record: RequestSnapshot) -> str:
    session = f" of session {record.session[:SESSION_CELLS]}" if record.session else ""
    return f"request{session}, {record.lane}, {record.cause or record.phase}"


def _about(session: SessionSnapshot) -> str:
    number = plural(len(session.requests), "request")
    return f"session {session.id[:SESSION_CELLS]}, {number}, last {clock(session.updated)}"
