"""What happens in the demo, second by second."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

from proxy.events.cache_facts import CacheEntry, CacheHoldings
from proxy.recordings.format import HostAnswer, Recording
from proxy.recordings.reading import unpacked_recording
from proxy.recordings.writing import RecordingWriter
from tests.tui.demo import texts
from tests.tui.demo.story import CACHE_BUDGET, PREFILL, START, TOKEN_BYTES, VERSION, Agent, Answer, Story
from tests.tui.demo.texts import task

END = 124.0  # seconds
BUSY = 117.6  # a moment for pictures: two agents and both conversations are at work
EXPORT, RETRY = "9f3c1e7a-41d2-4c55-b7a0-6e2f3d9b8c11", "c07d52be-8a90-4f1e-9d36-1b7a4e5f6023"
FIRST_STORED = 26.52  # when the first prompt is in the cache
CACHE_TOLD = (5.2, 26.6, 46.4, 60.0, 95.0, END)  # when the engine said what it holds: first when it was up
_COLD = {"reason": "cold"}
_DIVERGED = {
    "reason": "diverged",
    "position": 11_264,
    "segment": "system",
    "before": "You are on branch main. Last commit: 4f1c2aa Round half to even. 0 files changed.",
    "now": "You are on branch main. Last commit: 4f1c2aa Round half to even. 2 files changed.",
}
_SHARED = 11_264  # tokens that the two conversations have in common


@cache
def demo() -> Story:
    """The whole story; nobody may change it."""
    story = Story(END)
    story.tell(
        0.0, "host.notice", None, level="info", text="listening on http://127.0.0.1:8082, traces are written"
    )
    story.start_engine(0.1, 41_377)
    main, other = Agent(EXPORT), Agent(RETRY)
    read = _beginning(story, main)
    known = _agents(story, main, read)
    answered = _retry(story, other, read + 5.0)
    fixed = _edits(story, main, known)
    up = _death(story, main, other, fixed, answered)
    done = _repeated(story, main, other, up)
    _notes(story, main, other, done)
    return story


def _aside(story: Story, at: float, session: str, asked: str, title: str) -> None:
    """The client asks for a title."""
    aside = Agent(session, "auxiliary", base=330, model="claude-haiku-4-5")
    story.ask(at, aside, Answer(title), asked, restored=0, miss=_COLD)


def _beginning(story: Story, main: Agent) -> float:
    """The first prompt is cold; then two files are read."""
    _aside(story, 7.6, EXPORT, texts.ASKED_EXPORT, "JSON for the export command")
    asked = story.ask(
        7.8,
        main,
        Answer(texts.LOOK_FIRST, texts.THINK_EXPORT, [texts.READ_COMMAND]),
        texts.ASKED_EXPORT,
        restored=0,
        miss=_COLD,
    )
    asked = story.ask(asked.end + 0.2, main, Answer(texts.WRITER_NEXT, calls=[texts.READ_WRITER]))
    return asked.end


def _agents(story: Story, main: Agent, at: float) -> float:
    """Two agents at once; they have the same tools, so the second restores what the first computed."""
    rows = task("Find who builds rows", texts.FIND_ROWS, texts.AGENT_ROWS)
    tests = task("Find how tests are made", texts.FIND_TESTS, texts.AGENT_TESTS)
    asked = story.ask(at + 0.2, main, Answer(texts.SEND_AGENTS, calls=[rows, tests]))
    first = Agent(EXPORT, "subagent", "agent-1a", 9_200, "claude-haiku-4-5")
    second = Agent(EXPORT, "subagent", "agent-2b", 9_200, "claude-haiku-4-5")
    ends = [
        _explore(story, first, asked.end + 0.3, texts.FIND_ROWS, texts.GREP_ROWS, texts.AGENT_ROWS, 0),
        _explore(
            story, second, asked.end + 0.5, texts.FIND_TESTS, texts.GLOB_TESTS, texts.AGENT_TESTS, 8_960
        ),
    ]
    took = max(ends) - asked.end
    main.results = [(call, made_by, (*given[:4], round(took, 2))) for call, made_by, given in main.results]
    return max(ends)


def _explore(
    story: Story, agent: Agent, at: float, asked: str, call: texts.Call, found: str, restored: int
) -> float:
    waits = 9_200 / PREFILL - 0.3 if restored else 0.0  # behind the other, whose state it shares
    miss = None if restored else _COLD
    look = Answer(texts.AGENT_LOOKS, calls=[call])
    first = story.ask(at, agent, look, asked, restored=restored, waits=waits, miss=miss, speed=23)
    return story.ask(first.end + 0.4, agent, Answer(found), speed=24).end


def _retry(story: Story, other: Agent, at: float) -> float:
    """The other conversation: its tools and its system are known from the first one."""
    _aside(story, at, RETRY, texts.ASKED_RETRY, "The retry loop")
    look = Answer(texts.RETRY_LOOK, texts.THINK_RETRY, [texts.READ_RETRY])
    asked = story.ask(at + 0.3, other, look, texts.ASKED_RETRY, restored=_SHARED, speed=23)
    other.branch = ("main", 2)  # the first conversation has changed two files meanwhile
    at = max(asked.end + 8.0, at + 30.0)
    return story.ask(at, other, Answer(texts.RETRY_WHY), restored=_SHARED, miss=_DIVERGED, speed=24).end


def _edits(story: Story, main: Agent, at: float) -> float:
    """Writer, option, tests; these fail, and the cause is found."""
    steps = (
        Answer(texts.AFTER_AGENTS, calls=[texts.EDIT_WRITER]),
        Answer(texts.ADD_OPTION, calls=[texts.EDIT_COMMAND]),
        Answer(texts.ADD_TESTS, calls=[texts.WRITE_TESTS]),
        Answer(texts.RUN_TESTS, calls=[texts.RUN_FAILING]),
        Answer(texts.FIX_DECIMAL, texts.THINK_FAIL, [texts.EDIT_DECIMAL]),
    )
    for step in steps:
        asked = story.ask(at + 0.3, main, step, speed=30)
        at = asked.end + step.calls[0][4]
    return at


def _death(story: Story, main: Agent, other: Agent, at: float, answered: float) -> float:
    """The engine is killed while both conversations wait for an answer; returns when it is up again."""
    begins = max(at, answered) + 1.0
    dies = begins + 4.0
    run, edit = (
        Answer(texts.RUN_AGAIN, calls=[texts.RUN_PASSING]),
        Answer(texts.RETRY_EDIT, calls=[texts.EDIT_RETRY]),
    )
    broken = story.ask(begins, main, run, dies=dies, speed=9)
    also = story.ask(begins + 0.4, other, edit, "Yes, please", dies=dies, speed=10)
    reason = "signal 9 (out of memory?)"
    story.log(dies - 1.2, "WARNING memory pressure: 58.1 of 64 GB in use")
    story.engine(dies, "exited", detail=reason, last_exit=reason, pid=None, started=None, running=0, queue=0)
    story.tell(
        dies, "host.notice", None, level="error",
        text=f"the engine exited with {reason}; 2 requests were told to retry",
    )  # fmt: skip
    story.tell(dies + 0.1, "engine.restart", None, attempt=1, of=5, delay_s=4.0, reason=reason)
    story.engine(dies + 0.1, "restarting", restarts=1, detail="restart 1 of 5 in 4 s")
    story.start_engine(dies + 4.1, 41_902)
    up = dies + 9.4
    again = story.ask(up, main, run, retry_of=broken.id, tier="disk", speed=26)
    story.ask(up + 0.6, other, edit, "Yes, please", retry_of=also.id, tier="disk", speed=24)
    return again.end + texts.RUN_PASSING[4]


def _repeated(story: Story, main: Agent, other: Agent, at: float) -> float:
    """Both go on where they were."""
    story.ask(
        at + 1.0, other, Answer("Done: each attempt is guarded now, and the last error keeps its cause.")
    )
    return story.ask(at + 0.2, main, Answer(texts.DONE), speed=28).end


def _notes(story: Story, main: Agent, other: Agent, at: float) -> None:
    """The next thing, which is going on when the recording ends."""
    at += 9.0
    balance = task("Look at balance", texts.FIND_BALANCE, "")
    report = task("Look at report", texts.FIND_REPORT, "")
    asked = story.ask(at, main, Answer(texts.NOTES_PLAN, calls=[balance, report]), texts.ASKED_NOTES)
    first = Agent(EXPORT, "subagent", "agent-3c", 9_200, "claude-haiku-4-5")
    second = Agent(EXPORT, "subagent", "agent-4d", 21_300, "claude-haiku-4-5")
    look = Answer(texts.AGENT_BALANCE, calls=[texts.GREP_BALANCE])
    story.ask(asked.end + 0.3, first, look, texts.FIND_BALANCE, restored=8_960, speed=20)
    story.ask(
        asked.end + 2.0, second, Answer(texts.AGENT_REPORT), texts.FIND_REPORT, restored=8_960, speed=20
    )
    main.results = []
    long = Agent(EXPORT, base=main.base, messages=list(main.messages), known=main.known)
    story.ask(asked.end + 1.0, long, Answer(texts.RELEASE_NOTE, texts.THINK_NOTE), speed=21)
    story.ask(asked.end + 4.0, other, Answer(texts.RETRY_WHY), "Are there tests for it?", waits=60.0)


@cache
def demo_recording() -> Recording:
    """The story as it is read from its file; nobody may change it."""
    packed = io.BytesIO()
    writer = RecordingWriter(packed, version=VERSION, made=START, about="demo")
    write_demo(writer)
    writer.close()
    packed.seek(0)
    return unpacked_recording(packed, Path("demo"))


def held(moment: float) -> CacheHoldings:
    """What the cache holds at a moment: one shared prefix, both conversations behind it, the agents' own."""
    at = START + moment
    late = moment > 80  # after the restart, by which what is in memory came back from disk
    shared = _entry("3f2a71c09b1d44e0", "head", _SHARED, [EXPORT, RETRY][: 1 + (moment > 34)], at - 2, 12)
    behind = {"parent": shared.id, "depth": 1, "start": _SHARED}
    grown = int(min(8_500, 5_700 + 25 * moment))
    entries = [shared, _entry("a0d14be27715c3f8", "main", grown, [EXPORT], at - 2, 9, **behind)]
    if moment > 34:
        entries.append(_entry("c7e9920d51b3fa06", "main", 6_200, [RETRY], at - 14, 4, **behind))
        entries.append(_entry("e1b7a6c3d2f40918", "head", 8_960, [EXPORT], at - 5, 4, lane="subagent"))
    if late:
        entries.append(_entry("9d04ee81b7c26a5f", "subagent", 480, [EXPORT], at - 40, 1, lane="subagent"))
    entries = entries if moment > FIRST_STORED else []
    tokens = sum(entry.tokens for entry in entries)
    return CacheHoldings(
        entries=entries,
        memory_bytes=tokens * TOKEN_BYTES,
        budget_bytes=CACHE_BUDGET,
        pin_limit_bytes=CACHE_BUDGET // 2,
        disk_bytes=9_400_000_000 + tokens * TOKEN_BYTES,
        disk_budget_bytes=20_000_000_000,
    )


def _entry(
    name: str, kind: str, tokens: int, sessions: list[str], used: float, reused: int, **more: Any
) -> CacheEntry:
    there = {"memory_tokens": tokens, "memory_bytes": tokens * TOKEN_BYTES}
    there |= {"disk_tokens": tokens, "disk_bytes": tokens * TOKEN_BYTES, "restored_tokens": reused * tokens}
    facts = {"lane": "main", "sessions": sessions, "used": used, "reused": reused, **there, **more}
    return CacheEntry.model_validate({"id": name, "kind": kind, "tokens": tokens, **facts})


def write_demo(writer: RecordingWriter) -> None:
    """Write the story as a recording."""
    story = demo()
    writer.write("state", START, story.state())
    for event in story.events():
        writer.write("event", event.time, event)
    for moment in CACHE_TOLD:
        holdings = held(moment)
        answer = HostAnswer(path="/anyclaude/cache", body=holdings.model_dump(exclude_defaults=True))
        writer.write("answer", START + moment, answer)
    for row in story.rows():
        writer.write("row", row.time, row)
    for trace in story.traces():
        writer.write("trace", trace.time, trace)
