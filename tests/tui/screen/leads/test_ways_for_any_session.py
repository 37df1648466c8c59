"""Where one can go, and the filter that leads there, whatever a client calls its sessions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.client.filter import matcher
from tui.client.records import RequestSnapshot
from tui.client.store import Store
from tui.client.wire_text import line_text
from tui.screen.keys.command import TARGETS
from tui.screen.leads.subject import Subject, session_filter
from tui.screen.leads.targets import targets_of

# As `LeadingApp` has them: a line without signs that no terminal draws.
SESSIONS = (st.text(min_size=1, max_size=20) | st.from_regex(r"[0-9a-f]{8}-[0-9a-c]{2}", fullmatch=True)).map(
    lambda text: line_text(text).strip()
)


def fits(query: str, session: str) -> bool:
    row = RequestSnapshot(id="r1", received=0.0, updated=0.0, session=session)
    return matcher(query, 0.0)(row, row.search_text)


@given(SESSIONS.filter(bool), st.lists(SESSIONS.filter(bool), max_size=5))
def test_the_filter_of_a_session_has_it(session: str, others: list[str]) -> None:
    assert fits(session_filter(session, others), session)


@given(
    st.from_regex(r"[0-9a-f]{8}-[0-9a-c]{2}", fullmatch=True),
    st.lists(st.from_regex(r"[0-9a-f]{8}-[0-9a-c]{2}", fullmatch=True), max_size=5),
    st.integers(0, 11),
)
def test_the_filter_of_a_session_has_no_other_one(session: str, others: list[str], alike: int) -> None:
    others = [other for other in (*others, session[:alike] + "x") if not other.startswith(session)]
    query = session_filter(session, others)
    assert not [other for other in others if fits(query, other)]


@given(
    st.builds(Subject, *[st.sampled_from(["", "r1", "é[/]"])] * 3),
    st.sampled_from(["", "session", "trace", "calls", "requests", "context", "why", "diff"]),
)
def test_every_target_but_the_place_itself_is_named_once_and_says_something(
    subject: Subject, place: str
) -> None:
    targets = targets_of(subject, Store().snapshot(), place)
    assert len({one.name for one in targets}) == len(targets)
    assert {one.name for one in targets} == {name for name, *_ in TARGETS} - {place}
    assert all(one.says for one in targets)
    assert subject.request or not any(one.there for one in targets if one.name in ("trace", "why", "diff"))
    assert subject.session or not any(one.there for one in targets if one.name in ("session", "context"))
