from __future__ import annotations

from proxy.events.types import Event
from tests.tui.demo.plot import demo
from tui.client.inbox import Damaged, Inbox, Past
from tui.client.records import Link


def event(seq: int) -> Event:
    return Event(seq=seq, time=1.0, type="x", data={})


def test_it_gives_back_in_order_and_in_portions() -> None:
    inbox = Inbox()
    for number in range(5):
        inbox.put(Link(attempt=number))
    first, _ = inbox.drain(3)
    rest, dropped = inbox.drain()
    assert [item.attempt for item in (*first, *rest) if isinstance(item, Link)] == [0, 1, 2, 3, 4]
    assert dropped == 0


def test_when_it_is_full_the_oldest_go_and_are_counted_once() -> None:
    inbox = Inbox(limit=2)
    for number in range(5):
        inbox.put(event(number))
    items, dropped = inbox.drain()
    assert [item.seq for item in items if isinstance(item, Event)] == [3, 4]
    assert dropped == 3
    assert inbox.drain() == ([], 0)


def test_what_does_not_come_again_stays_where_it_stood() -> None:
    inbox = Inbox(limit=5)
    state, past, live = demo().state(), Past(()), Link("live")
    for item in (Link("connecting"), state, past, live, event(1), Damaged(), event(3), event(4)):
        inbox.put(item)
    items, dropped = inbox.drain()
    assert items == [Link("connecting"), state, past, live, event(4)]
    assert dropped == 3


def test_a_link_that_comes_and_goes_fills_no_memory() -> None:
    inbox = Inbox(limit=2)
    for number in range(5):
        inbox.put(Link(attempt=number))
    assert inbox.drain() == ([Link(attempt=3), Link(attempt=4)], 3)
