"""The feed against a host over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from proxy.traces.index import MOST_ROWS
from tests.tui.scripted_host import ScriptedHost, scripted_host
from tui.client.feed import Feed
from tui.client.host_client import HostClient
from tui.client.inbox import Inbox
from tui.client.records import EARLIER, Snapshot
from tui.client.store import Store


class Reader:
    """A feed, and a store that takes what it brings."""

    def __init__(self, url: str, token: str = "") -> None:
        self.client = HostClient(url, token)
        self.inbox = Inbox()
        self.store = Store()
        self.feed = Feed(self.client, self.inbox, clock=lambda: 50.0, pauses_s=(0.01,))

    async def until(self, holds: Callable[[Snapshot], bool]) -> Snapshot:
        """The first snapshot for which `holds`."""
        async with asyncio.timeout(20):
            while True:
                items, _ = self.inbox.drain(1)
                for item in items:
                    self.store.take(item)
                if holds(self.store.snapshot()):
                    return self.store.snapshot()
                if not items:
                    await asyncio.sleep(0.005)


@asynccontextmanager
async def following(url: str, token: str = "") -> AsyncIterator[Reader]:
    reader = Reader(url, token)
    task = asyncio.create_task(reader.feed.follow())
    try:
        yield reader
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await reader.client.close()


def received(host: ScriptedHost, name: str) -> None:
    host.emit("request.received", {"preview": f"ask \u2028 {name}"}, request=name)


async def test_it_brings_what_the_host_holds_and_what_comes() -> None:
    with scripted_host() as host:
        received(host, "before")
        async with following(host.url) as reader:
            await reader.until(lambda snapshot: len(snapshot.requests) == 1)
            received(host, "after")
            snapshot = await reader.until(lambda snapshot: len(snapshot.requests) == 2)
            assert snapshot.link.state == "live"
            assert [record.id for record in snapshot.requests] == ["before", "after"]
            assert snapshot.engine is not None


async def test_after_a_break_it_goes_on_where_it_was() -> None:
    with scripted_host() as host:
        received(host, "one")
        async with following(host.url) as reader:
            await reader.until(lambda snapshot: len(snapshot.requests) == 1)
            host.break_off()
            await reader.until(lambda snapshot: snapshot.link.state == "reconnecting")
            received(host, "two")
            await asyncio.to_thread(host.wait_for_followers, 2)
            snapshot = await reader.until(
                lambda snapshot: len(snapshot.requests) == 2 and snapshot.link.state == "live"
            )
            assert snapshot.lost == 0


async def test_a_host_that_was_started_again_is_another_one() -> None:
    with scripted_host() as host:
        received(host, "of the first")
        async with following(host.url) as reader:
            await reader.until(lambda snapshot: len(snapshot.requests) == 1)
            past = (
                ("request.received", {}),
                ("request.tool_call", {"tool_use_id": "t", "name": "Read"}),
                ("request.finished", {"trace": "mlx/a.json"}),
            )
            host.history = [
                {"seq": 0, "time": 1.0, "type": kind, "request": "of the first", "data": data}
                for kind, data in past
            ]
            host.begin_anew()
            await asyncio.to_thread(host.wait_for_followers, 2)
            received(host, "of the second")
            snapshot = await reader.until(
                lambda snapshot: [one.id for one in snapshot.requests] == ["of the first", "of the second"]
            )
            assert (snapshot.lost, snapshot.earlier) == (0, 1)
            assert [call.name for call in snapshot.tools] == ["Read"]
            assert (snapshot.totals.requests, snapshot.totals.tool_calls) == (1, 0)
            assert reader.store.transcript("of the first") is None


async def test_nothing_there_is_said_and_tried_again() -> None:
    async with following("http://127.0.0.1:9") as reader:
        snapshot = await reader.until(lambda snapshot: snapshot.link.attempt >= 2)
        assert snapshot.link.state == "reconnecting"
        assert snapshot.link.detail == "nothing listens there"


async def test_a_host_that_wants_its_token_says_so() -> None:
    with scripted_host(token="secret") as host:
        async with following(host.url) as reader:
            snapshot = await reader.until(lambda snapshot: snapshot.link.attempt >= 1)
            assert "asks for its token" in snapshot.link.detail
        async with following(host.url, "secret") as reader:
            await reader.until(lambda snapshot: snapshot.link.state == "live")


async def test_an_event_that_is_none_is_counted() -> None:
    with scripted_host() as host:
        async with following(host.url) as reader:
            await reader.until(lambda snapshot: snapshot.link.state == "live")
            await asyncio.to_thread(host.wait_for_followers, 1)
            host.events.append({"seq": 1})
            host.break_off()
            received(host, "whole")
            snapshot = await reader.until(lambda snapshot: len(snapshot.requests) == 1)
            assert snapshot.damaged >= 1


async def test_it_begins_with_as_many_requests_as_a_host_gives_at_once() -> None:
    with scripted_host() as host:
        host.history = [
            {"seq": 0, "time": 1.0, "type": "request.received", "request": f"r{number}", "data": {}}
            for number in range(EARLIER + 50)
        ]
        async with following(host.url) as reader:
            seen = await reader.until(lambda snapshot: snapshot.earlier > 0)
        assert (seen.earlier, MOST_ROWS) == (EARLIER, EARLIER)
