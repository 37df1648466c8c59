"""The lists with a filter as an argument, and the traces that have a text, which the index is asked for."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import Hits

from proxy.filters.language import parse_filter
from proxy.filters.terms import FilterError
from tui.client.figures import day_and_clock
from tui.client.wire_text import line_text
from tui.screen.keys.command import PANES
from tui.screen.leads.subject import Subject
from tui.screen.palette.offers import MOST, TRACE, WITH_VALUE, Finder
from tui.screen.panes.request_cells import SESSION_CELLS

if TYPE_CHECKING:
    from proxy.traces.schema import TraceSummary
    from tui.screen.leads.leading_app import LeadingApp

LEAST = 3  # characters of a text that the index is asked for
TYPING_S = 0.15  # after the last key
_OTHER_NAMES = {"calls": "tools", "sessions": "streams", "requests": "traces", "log": "health"}


class ListProvider(Finder):
    """Offers `traces tool:Bash is:failed`: a pane's name, or its beginning, and a filter for it."""

    async def search(self, query: str) -> Hits:
        app = cast("LeadingApp", self.app)
        word, _, text = query.strip().partition(" ")
        word, text = word.lower(), text.strip()
        if len(word) < 2 or not text:
            return
        names = {place: place for place, _ in PANES} | _OTHER_NAMES
        titles = dict(PANES)
        for place in dict.fromkeys(place for name, place in names.items() if name.startswith(word)):
            about, run = "its filter, with a way back", partial(app.go_filtered, place, text)
            if place == "health":
                about = "looks for it in the log"
            else:
                try:
                    parse_filter(text, now=0.0)
                except FilterError as error:
                    about = f"not yet a filter: {error}"
                    run = partial(app.notify_user, f"{text} is no filter: {error}", "warning")
            title = f"{titles[place]}: {text}"  # type: ignore[index]
            yield self.offer(WITH_VALUE, title, run, about, text)


class TraceProvider(Finder):
    """Offers traces that have the text in what was asked or answered, and all of them as a list."""

    async def search(self, query: str) -> Hits:
        app, text = cast("LeadingApp", self.app), query.strip()
        if len(text) < LEAST:
            return
        await asyncio.sleep(TYPING_S)  # the next key ends this search
        wanted = f'"{text.replace(chr(34), " ").strip()}"'
        try:
            page = await app.find_traces(wanted, MOST)
        except Exception:  # nothing to look for, or no host: the other kinds are found without
            return
        if page.total:
            run = partial(app.go_filtered, "traces", wanted)
            title = f"Traces: {wanted}"
            yield self.offer(TRACE + 0.5, title, run, f"{page.total:,} in all, with a way back", query)
        for place, row in enumerate(page.traces):
            run = partial(app.go_to, "trace", Subject(row.id, row.session, row.id))
            about = f"trace of {day_and_clock(row.time)}, session {line_text(row.session)[:SESSION_CELLS]}"
            yield self.offer(TRACE, _title(row), run, about, query, place=place)


def _title(row: TraceSummary) -> str:
    did = ", ".join(f"{call.name} {call.about}".strip() for call in row.did[:3])
    return row.preview or did or row.id
