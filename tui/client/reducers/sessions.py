"""The sessions that the screen knows: which requests belong together, and what a conversation is called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from proxy.anthropic.compaction import growth
from proxy.events.causes import CANCELLED_BY_YOU
from tui.client.records import AgentSnapshot, RequestSnapshot, SessionSnapshot

_GROWTH_FROM = 40  # of the last turns, those that grew


class SessionReducer:
    """Sessions in the order of their first requests; one that did not change stays the same object."""

    def __init__(self) -> None:
        self._requests: dict[str, dict[str, None]] = {}  # ids in the order of arrival, by session
        self._titles: dict[str, str] = {}
        self._openings: dict[str, str] = {}
        self._known: dict[str, SessionSnapshot] = {}
        self._changed: set[str] = set()
        self._snapshot: tuple[SessionSnapshot, ...] | None = ()

    def note(self, record: RequestSnapshot, before: RequestSnapshot | None) -> None:
        """Take a new state of a request."""
        if before is not None and before.session != record.session:
            self.forget(before)
        self._requests.setdefault(record.session, {})[record.id] = None
        opening = record.opening or record.preview if record.lane == "main" else ""
        if opening:
            self._openings.setdefault(record.session, opening)
        self._changed.add(record.session)
        self._snapshot = None

    def entitle(self, session: str, title: str) -> None:
        """The client has got a title for the session."""
        self._titles[session] = title
        self._changed.add(session)
        self._snapshot = None

    def forget(self, record: RequestSnapshot) -> None:
        """A request is held no longer."""
        held = self._requests.get(record.session, {})
        held.pop(record.id, None)
        if not held:
            for known in (self._requests, self._titles, self._openings, self._known):
                known.pop(record.session, None)
        self._changed.add(record.session)
        self._snapshot = None

    def sessions(self, records: Mapping[str, RequestSnapshot]) -> tuple[SessionSnapshot, ...]:
        """All sessions of these requests; the same tuple as long as nothing changed."""
        if self._snapshot is None:
            for session in self._changed & self._requests.keys():
                held = tuple(records[key] for key in self._requests[session])
                self._known[session] = self._session(session, held)
            self._changed.clear()
            self._snapshot = tuple(self._known[session] for session in self._requests)
        return self._snapshot

    def _session(self, session: str, held: tuple[RequestSnapshot, ...]) -> SessionSnapshot:
        agents = agents_of(held)
        main = agents[0].requests if agents[0].lane == "main" else ()
        whole = [one for one in main if one.phase == "done" or one.active]  # as the context screen counts
        opening = self._openings.get(session) or held[0].opening or held[0].preview
        return SessionSnapshot(
            id=session,
            name=self._titles.get(session) or opening,
            requests=held,
            agents=agents,
            active=tuple(record for record in held if record.active),
            updated=max(record.updated for record in held),
            folder=next((name for one in held if (name := one.folder.rpartition("/")[2])), ""),
            model=main[-1].model if main else "",
            growth=growth([tokens for one in whole[-_GROWTH_FROM:] if (tokens := one.prompt_tokens)]),
        )


def agents_of(records: Iterable[RequestSnapshot]) -> tuple[AgentSnapshot, ...]:
    """The agents of one session's requests, main first.

    What a client sends again by itself after a person cancelled it is refused and no turn of its own.
    """
    found: dict[str, list[RequestSnapshot]] = {}
    for record in records:
        own = found.setdefault(_agent(record)[0], [])
        if not (own and _is_refused_repeat(record, own[-1])):
            own.append(record)
    agents = (AgentSnapshot(*_agent(own[0]), tuple(own)) for own in found.values())
    return tuple(sorted(agents, key=lambda agent: agent.lane != "main"))


def _is_refused_repeat(record: RequestSnapshot, before: RequestSnapshot) -> bool:
    """Whether it is the fallback without a stream of the request that was cancelled before it."""
    return (
        record.cause == before.cause == CANCELLED_BY_YOU
        and record.phase == before.phase == "cancelled"
        and not record.stream
        and record.messages == before.messages
        and record.prefill is None
    )


def _agent(record: RequestSnapshot) -> tuple[str, str, str]:
    """Key, name and lane of who has sent a request."""
    match record.lane:
        case "subagent":
            return (
                f"subagent {record.agent or record.agent_type}",
                record.who,
                "subagent",
            )
        case "auxiliary":
            return f"auxiliary {record.who}", record.who, "auxiliary"
    return record.lane, record.lane, record.lane
