"""Where one can go from a request or a session, and what keeps one from the rest."""

from __future__ import annotations

from dataclasses import dataclass

from tui.client.figures import plural
from tui.client.records import Snapshot
from tui.client.wire_text import shorten
from tui.screen.engine_label import uses_other_backend
from tui.screen.keymap import key_of
from tui.screen.keys.command import TARGETS, TargetName
from tui.screen.leads.subject import Subject

NO_SESSION = "its client told no session"
NO_REQUEST = "no request is known"
_NAME_CELLS = 40


@dataclass(frozen=True, slots=True)
class Target:
    """One place to go to: its name, and what is there, or why nothing is."""

    name: TargetName
    says: str
    there: bool = True

    @property
    def key(self) -> str:
        """The key that leads there from the box."""
        return key_of(f"go_on.go:{self.name}")

    @property
    def title(self) -> str:
        return next(title for name, _, title in TARGETS if name == self.name)


def targets_of(subject: Subject, snapshot: Snapshot, place: str) -> list[Target]:
    """All targets but the one that `place`, a pane or a screen, shows already."""
    whole, part = _missing(subject, snapshot), "" if subject.session else NO_SESSION
    found = [
        _session(subject, snapshot),
        _target("trace", "conversation, answer, calls, raw", whole),
        _target("calls", _calls(subject, snapshot), part),
        _target("requests", "Traces, filtered by the session", part),
        _entry(subject, snapshot),
        _target("context", "what fills the window", part),
        _target("why", "was it slow, or failed?", whole),
        _target("diff", "with the marked one, else the one before", whole),
    ]
    return [one for one in found if one.name != place]


def _target(name: TargetName, says: str, missing: str) -> Target:
    return Target(name, missing or says, not missing)


def _missing(subject: Subject, snapshot: Snapshot) -> str:
    """Why the request has no trace to look at; empty: it may have one."""
    if not subject.request:
        return NO_REQUEST
    if any(record.id == subject.ended for record in snapshot.active):
        return "it is not at its end yet"
    return ""


def _session(subject: Subject, snapshot: Snapshot) -> Target:
    if not subject.session:
        return Target("session", NO_SESSION, False)
    known = subject.conversation(snapshot)
    gone = "gone from Streams; Traces has it"
    says = gone if known is None else shorten(known.name, _NAME_CELLS) or "Streams"
    return Target("session", says)


def _calls(subject: Subject, snapshot: Snapshot) -> str:
    number = sum(call.session == subject.session for call in snapshot.tools)
    return f"Tools: {plural(number, 'call')} that this screen saw" if number else "Tools, from the index"


def _entry(subject: Subject, snapshot: Snapshot) -> Target:
    missing, says = "", "what the cache holds of it"
    if uses_other_backend(snapshot):
        record, says = subject.record(snapshot), "its prompt in Cache"
        counted = record is not None and record.usage is not None and record.prompt_tokens
        missing = "" if counted else "no counted prompt of it in Cache"
    elif snapshot.link.gone:
        missing = "there is no contact with the host"
    elif not (subject.request or subject.session):
        missing = NO_REQUEST
    return _target("entry", says, missing)
