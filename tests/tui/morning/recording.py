"""The made-up morning as a recording, taken by the recorder from a host in this process."""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cache
from pathlib import Path

import httpx

from engine.wire.json_text import encode_json
from proxy.events.cache_facts import CacheHoldings
from proxy.events.types import Event, HostState
from proxy.recordings.format import Recording, RecordingHeader
from proxy.recordings.playing import PlayedHost, PlayedTraces, played_api
from proxy.recordings.reading import read_recording, unpacked_recording
from proxy.recordings.writing import RecordingWriter
from proxy.traces.schema import Trace, TraceSummary
from tests.tui.conftest import SNAPSHOTS
from tests.tui.held_samples import holdings
from tests.tui.morning.traces import row_of, whole_traces
from tests.tui.traffic import START, Morning
from tui.client.host_client import HostClient
from tui.client.recording.taking import RecordingTaker, RecordingWish

FILE = SNAPSHOTS / "morning.jsonl.gz"


class TellingHost(httpx.AsyncBaseTransport):
    """The API of a host that lives through `events` while it is recorded: `now` is the time of the last."""

    def __init__(
        self,
        state: HostState,
        events: Sequence[Event],
        traces: Sequence[Trace],
        folder: Path,
        held: Callable[[float], CacheHoldings],
    ) -> None:
        self.now = events[0].time if events else state.started
        self.told = asyncio.Event()
        self._state, self._events, self._held = state, events, held
        rows: dict[str, TraceSummary] = {trace.id: row_of(trace) for trace in traces}
        known = Recording(RecordingHeader(anyclaude_recording=1), [], rows, {one.id: one for one in traces})
        store = PlayedTraces(known, folder)
        store.show(float("inf"))
        self._traces = httpx.ASGITransport(app=played_api(PlayedHost(store, lambda: None, lambda: None)))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, or tell all events and then nothing more."""
        match request.url.path:
            case "/anyclaude/state":
                return httpx.Response(200, text=self._state.model_dump_json())
            case "/anyclaude/history":
                return httpx.Response(200, json={"events": []})
            case "/anyclaude/cache":
                return httpx.Response(200, text=self._held(self.now).model_dump_json())
            case "/anyclaude/events":
                return httpx.Response(200, stream=_Telling(self._frames()))
            case _:
                return await self._traces.handle_async_request(request)

    async def _frames(self) -> AsyncIterator[bytes]:
        for event in self._events:
            self.now = max(self.now, event.time)
            yield b"id: %d\ndata: %b\n\n" % (event.seq, encode_json(event.model_dump()))
        self.told.set()
        await asyncio.Event().wait()


class _Telling(httpx.AsyncByteStream):
    def __init__(self, frames: AsyncIterator[bytes]) -> None:
        self._frames = frames

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._frames


async def record(host: TellingHost, writer: RecordingWriter, traces: Sequence[Trace]) -> None:
    """Record all that the host tells, with these traces as a whole."""
    client = HostClient("http://host", transport=host)
    wish = RecordingWish(traces=[trace.id for trace in traces])
    taker = RecordingTaker(client, writer, wish, clock=lambda: host.now)
    await taker.take_held()
    following = asyncio.create_task(taker.take_on(flushed_s=float("inf")))
    await host.told.wait()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await taker.finish()
    await client.close()
    assert taker.taken.left_out == []


def packed(morning: Morning) -> bytes:
    """The file of a morning's recording."""
    begin, traces = Morning().state(), whole_traces(morning.events)
    ends = [(trace.time + (trace.timings.done or 0.0), trace.id) for trace in traces]

    def held(now: float) -> CacheHoldings:
        newest = [name for end, name in sorted(ends) if end <= now][-3:]
        return holdings(now, newest) if newest else CacheHoldings()

    file = io.BytesIO()
    writer = RecordingWriter(file, version=begin.version, made=START, about="a made-up morning")

    async def taken() -> None:
        with tempfile.TemporaryDirectory() as folder:
            await record(TellingHost(begin, morning.events, traces, Path(folder), held), writer, traces)

    asyncio.run(taken())
    writer.close()
    return file.getvalue()


@cache
def morning_recording() -> Recording:
    """The whole morning as it is read from its file; nobody may change it."""
    return read_recording(FILE)


def unpacked(file: bytes) -> Recording:
    """The recording in these bytes."""
    return unpacked_recording(io.BytesIO(file), Path("packed"))
