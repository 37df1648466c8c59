from __future__ import annotations

import gzip
import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.wire.json_text import encode_json
from proxy.events.errors import NotFound
from proxy.events.totals import Totals
from proxy.events.types import PAYLOADS, Event, Probe
from proxy.recordings import reading
from proxy.recordings.beginning import state_before
from proxy.recordings.format import Contact, HostAnswer, PastOfHost, Recording, RecordingError
from proxy.recordings.playing import PlayedHost, PlayedTraces
from proxy.recordings.reading import IN_BUNDLE, read_recording
from proxy.recordings.secrets import RecordedFacts
from proxy.recordings.writing import RecordingFull, RecordingWriter, new_private_file
from proxy.traces.redaction.redact import Redactor
from tests.any_json import any_json, examples
from tests.tui.demo import texts
from tests.tui.demo.plot import demo
from tests.tui.demo.story import START, Story

HEAD = b'{"anyclaude_recording": 1, "version": "0.1.0", "made": 1790000000}\n'
EVENT = b'{"at": 1790000001.5, "event": {"seq": 1, "time": 1790000001.5, "type": "x", "data": {}}}\n'
NEWER = b'{"anyclaude_recording": 2, "version": "%b"}\n'
SECRET = "sk-ant-api03-" + "Zq7" * 9


def story() -> Story:
    return demo()


def told() -> Sequence[Event]:
    return story().events()


def event(seq: int, type: str = "request.delta", request: str | None = "req_1", **data: Any) -> Event:
    return Event(seq=seq, time=START + seq, type=type, request=request, data=data)


def written(*lines: tuple[Any, ...], contents: Any = "redacted") -> bytes:
    file = io.BytesIO()
    writer = RecordingWriter(file, version="0.1.0", made=START, contents=contents)
    for line in lines:
        writer.write(*line)
    writer.close()
    return file.getvalue()


def read(content: bytes, folder: Path) -> Recording:
    path = folder / "one.jsonl.gz"
    path.write_bytes(content)
    return read_recording(path)


class TestTheFile:
    def test_what_was_written_is_read(self, tmp_path: Path) -> None:
        state, events = story().state(), told()[:5]
        trace, row = story().traces()[0], story().rows()[0]
        content = written(
            ("state", START, state),
            *(("event", one.time, one) for one in events),
            ("past", START, [events[0].model_dump()]),
            ("contact", START + 9, Contact(state="ended", detail="gone")),
            ("row", START, row),
            ("trace", START, trace),
        )
        recording = read(content, tmp_path)
        assert recording.header.version == "0.1.0"
        first, *rest = [moment.what for moment in recording.moments]
        assert first == state
        assert [one.event() for one in recording.moments if isinstance(one.what, bytes)] == events
        assert any(isinstance(one, PastOfHost) and one.events == [events[0]] for one in rest)
        assert Contact(state="ended", detail="gone") in rest
        assert recording.rows == {row.id: row}
        assert recording.traces == {trace.id: trace}
        assert (recording.damaged, recording.cut_off) == (0, False)

    def test_equal_recordings_are_equal_files(self) -> None:
        assert written(("state", START, story().state())) == written(("state", START, story().state()))

    def test_any_tool_reads_it_line_by_line(self) -> None:
        lines = gzip.decompress(written(("event", START, told()[0]))).splitlines()
        assert [list(orjson.loads(line)) for line in lines] == [
            ["anyclaude_recording", "version", "made", "contents", "about"],
            ["at", "event"],
        ]

    def test_of_a_file_whose_writer_was_killed_all_that_reached_the_disk_is_played(
        self, tmp_path: Path
    ) -> None:
        file = io.BytesIO()
        writer = RecordingWriter(file, version="0.1.0", made=START)
        for one in told()[:200]:
            writer.write("event", one.time, one)
        writer.flush()
        recording = read(file.getvalue(), tmp_path)
        assert len(recording.moments) == 200
        assert recording.cut_off

    @pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
    def test_a_file_that_ends_anywhere_is_played_up_to_there(self, share: float, tmp_path: Path) -> None:
        content = written(*(("event", one.time, one) for one in told()))
        recording = read(content[: int(len(content) * share)], tmp_path)
        assert recording.cut_off
        assert 0 < len(recording.moments) < len(told())

    def test_a_file_is_never_written_over_and_is_for_its_user_alone(self, tmp_path: Path) -> None:
        with new_private_file(tmp_path / "one") as file:
            file.write(b"kept")
        assert (tmp_path / "one").stat().st_mode & 0o077 == 0
        with pytest.raises(FileExistsError):
            new_private_file(tmp_path / "one")

    def test_a_recording_that_is_full_is_whole(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("proxy.recordings.writing.MOST_BYTES", 2_000)
        file = io.BytesIO()
        writer = RecordingWriter(file, version="0.1.0", made=START)
        with pytest.raises(RecordingFull):
            [writer.write("event", one.time, one) for one in told()]
        writer.close()
        recording = read(file.getvalue(), tmp_path)
        assert len(recording.moments) == writer.events
        assert not recording.cut_off


def test_a_path_is_answered_as_it_was_then() -> None:
    answers = [(float(at), HostAnswer(path="/a", body={"at": at})) for at in (10, 20)]
    now = [5.0]
    host = PlayedHost(cast(PlayedTraces, None), lambda: None, lambda: None, {"/a": answers}, lambda: now[0])
    found = []
    with pytest.raises(NotFound, match="not recorded yet: the recording has it from"):
        host.answer("/a")  # not what was answered later
    for now[0] in (10.0, 19.0, 30.0):
        answer = host.answer("/a")
        found.append(answer and answer.body["at"])
    assert found == [10, 10, 20]
    assert host.answer("/b") is None


def bundle(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


class TestAFileFromAnybody:
    def test_a_pipe_is_refused_and_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.jsonl.gz")
        with pytest.raises(RecordingError, match="it is no file"):
            reading.read_recording(tmp_path / "pipe.jsonl.gz")

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"", "it is empty"),
            (b"hello", "not packed by gzip"),
            (gzip.compress(b""), "first line does not say"),
            (gzip.compress(b"hello\n"), "first line does not say"),
            (gzip.compress(b'{"anyclaude_recording": "no"}\n' + EVENT), "first line does not say"),
            (gzip.compress(NEWER % b"9.0"), "anyclaude-tui 9.0; this version plays"),
            (gzip.compress(NEWER % b"\\u001b[2J"), "made by a newer version"),
            (gzip.compress(HEAD), "nothing to play"),
            (gzip.compress(HEAD + b'{"at": 1}\n'), "nothing to play"),
            (bundle(other=b""), f"has no {IN_BUNDLE}"),
            (b"PK\x03\x04" + b"x" * 40, "damaged bundle"),
        ],
        ids=range(11),  # a packed content has its time in it
    )  # fmt: skip
    def test_what_cannot_be_played_says_why(self, content: bytes, says: str, tmp_path: Path) -> None:
        with pytest.raises(RecordingError, match=says):
            read(content, tmp_path)

    def test_what_unpacks_without_end_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "MOST_BYTES", 10_000)
        monkeypatch.setattr(reading, "LONGEST_LINE", 1_000)
        with pytest.raises(RecordingError, match="too large"):
            read(gzip.compress(HEAD + EVENT * 200), tmp_path)
        with pytest.raises(RecordingError, match="a line has more than"):
            read(gzip.compress(HEAD + b"x" * 5_000), tmp_path)

    def test_the_recording_of_a_bundle_is_played(self, tmp_path: Path) -> None:
        recording = read(bundle(**{IN_BUNDLE: gzip.compress(HEAD + EVENT)}), tmp_path)
        assert len(recording.moments) == 1

    @pytest.mark.parametrize(
        "line",
        [
            b"{",
            b"[]",
            b'"at"',
            b'{"event": {}}',
            b'{"at": 1790000001, "event": []}',
            b'{"at": 1790000001, "event": {"seq": "1"}}',
            b'{"at": "x", "event": {"seq": 1}}',
            b'{"at": NaN, "event": {"seq": 1}}',
            b'{"at": 1e300, "event": {"seq": 1}}',
            b'{"at": 1790000001, "state": {"pid": 1}}',
            b'{"at": 1790000001, "trace": {"id": 1}}',
            b'{"at": 1790000001, "past": 3}',
            b"[" * 2000,
        ],
    )
    def test_a_damaged_line_costs_only_itself(self, line: bytes, tmp_path: Path) -> None:
        recording = read(gzip.compress(HEAD + EVENT + line + b"\n" + EVENT), tmp_path)
        assert recording.damaged == 1
        assert len(recording.moments) == 2

    def test_kinds_of_a_later_version_are_passed_over(self, tmp_path: Path) -> None:
        recording = read(gzip.compress(HEAD + EVENT + b'{"at": 1790000002, "smell": {}}\n'), tmp_path)
        assert (recording.damaged, len(recording.moments)) == (0, 1)

    @settings(max_examples=examples(8))
    @given(
        st.lists(
            st.dictionaries(
                st.sampled_from(["at", "event", "state", "row", "past", "contact"]), any_json(2**70)
            )
        )
    )
    def test_no_line_raises(self, lines: list[Any]) -> None:
        content = HEAD + EVENT + b"".join(encode_json(line) + b"\n" for line in lines)
        recording = reading.unpacked_recording(io.BytesIO(gzip.compress(content, 1)), Path("x"))
        times = [moment.at for moment in recording.moments]
        assert times == sorted(times)


def recorded(events: Sequence[Event], contents: Any = "redacted", secrets: Sequence[str] = ()) -> list[Event]:
    facts = RecordedFacts(Redactor(secrets), contents)
    return [*(out for one in events for out in facts.event(one)), *facts.rest()]


class TestSecrets:
    def test_one_that_lies_across_deltas_is_taken_out(self, tmp_path: Path) -> None:
        text = f"The key is {SECRET}, keep it."
        deltas = [
            event(place + 1, kind="text", text=text[place : place + 3]) for place in range(0, len(text), 3)
        ]
        others = [event(500, "host.notice", None, text="x"), event(501, "request.finished", usage={})]
        out = recorded([*deltas, *others])
        assert "".join(one.data["text"] for one in out if one.type == "request.delta") == (
            "The key is [redacted], keep it."
        )
        assert [one.seq for one in out] != sorted(one.seq for one in out)  # text waits for its end
        read_back = read(written(*(("event", one.time, one) for one in out)), tmp_path)
        seqs = [moment.event().seq for moment in read_back.moments if isinstance(moment.what, bytes)]
        assert seqs == sorted(one.seq for one in out)

    @pytest.mark.parametrize("type", sorted(set(PAYLOADS) - {"request.delta"}))
    def test_no_other_event_of_the_request_lets_half_of_one_through(self, type: str) -> None:
        """The cache tells what it stored while an answer is written; and what ends a block ends all of it."""
        half = len(SECRET) // 2
        pieces = [SECRET[:half], SECRET[half:]]
        if type in ("request.tool_call", "request.finished", "request.failed"):
            pieces = [SECRET, ""]
        first, second = (event(at, kind="tool", text=text) for at, text in ((1, pieces[0]), (3, pieces[1])))
        out = recorded([first, event(2, type), second, event(4, "request.finished", usage={})])
        said = "".join(str(one.data.get("text", "")) for one in sorted(out, key=lambda one: one.seq))
        assert said == "[redacted]"
        assert sorted(one.seq for one in out) == [1, 2, 3, 4]

    def test_answers_of_several_requests_are_kept_apart(self) -> None:
        half = len(SECRET) // 2
        out = recorded(
            [
                event(1, kind="text", text=SECRET[:half]),
                event(2, request="req_2", kind="text", text="innocent"),
                event(3, kind="text", text=SECRET[half:]),
                event(4, kind="thinking", text="hm"),
            ]
        )
        by_seq = {one.seq: one.data["text"] for one in out}
        assert by_seq[1] + by_seq[3] == "[redacted]"
        assert (by_seq[2], by_seq[4]) == ("innocent", "hm")

    def test_the_hosts_own_are_taken_out_of_all_it_says(self) -> None:
        token = "our-own-token-8412"
        facts = RecordedFacts(Redactor([token]))
        state = (
            story()
            .state()
            .model_copy(
                update={
                    "engine_log": [f"token {token}"],
                    "url": f"http://ada:{token}@127.0.0.1:8082",
                    "probes": [(START, Probe(ok=False, detail=f"401: no such token: {token}"))],
                }
            )
        )
        row = story().rows()[0].model_copy(update={"preview": f"use {token}"})
        trace = story().traces()[0]
        trace = trace.model_copy(update={"notes": [f"it was {token}"]})
        said = [
            facts.state(state),
            facts.row(row),
            facts.trace(trace),
            facts.single(event(1, "x", text=token)),
        ]
        assert [token in one.model_dump_json() for one in said] == [False] * 4

    def test_a_long_answer_is_not_held_without_end(self) -> None:
        facts = RecordedFacts(Redactor())
        out = [out for seq in range(300) for out in facts.event(event(seq, kind="text", text="word " * 400))]
        assert len(out) >= 100


class TestWithoutContents:
    def test_no_text_of_anybody_is_left_and_all_figures_are(self) -> None:
        out = recorded(told(), "none")
        facts = RecordedFacts(Redactor(), "none")
        rest = (*map(facts.row, story().rows()), *map(facts.trace, story().traces()))
        whole = "\n".join(one.model_dump_json() for one in (*out, facts.state(story().state()), *rest))
        words = [
            texts.ASKED_EXPORT,
            texts.LOOK_FIRST,
            texts.HOME,
            "pytest",
            "rows_of",
            "/Users/ada",
            "retry loop",
        ]
        assert [word for word in words if word in whole] == []
        assert len(out) == len(told())

        def figures(events: Sequence[Event]) -> list[object]:
            return [one.data.get("usage") for one in sorted(events, key=lambda one: one.seq)]

        assert figures(out) == figures(told())

    def test_an_answer_keeps_its_length(self) -> None:
        (out,) = recorded([event(1, kind="text", text="a secret plan", output_tokens=3)], "none")
        assert (len(out.data["text"]), out.data["output_tokens"]) == (13, 3)
        assert "secret" not in out.data["text"]


def test_the_state_before_and_all_events_make_the_state_of_now() -> None:
    events, counted = told(), Totals()
    for one in events:
        if (payload := one.payload()) is not None:
            counted.observe(one.type, one.request, payload)
    newest = [one for one in events if one.type == "engine.state"][-1].payload()
    state = (
        story()
        .state()
        .model_copy(
            update={"seq": events[-1].seq, "counters": counted, "engine": newest, "engine_log": ["late"]}
        )
    )
    before = state_before(state, events[100:])
    assert 0 < before.counters.requests < counted.requests
    assert before.engine_log == []
    for one in events[100:]:
        if (payload := one.payload()) is not None:
            before.counters.observe(one.type, one.request, payload)
    assert before.counters == counted
