"""Entries are pinned, dropped and flushed as asked, whatever is stored and evicted meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.prefix_cache.cache import RadixPrefixCache
from engine.prefix_cache.control import CacheControl, FlushedTier, NoSuchEntry, Refused
from engine.prefix_cache.disk.pin_file import FILE_NAME, Pin, PinFile
from engine.prefix_cache.holdings import Entry
from engine.prefix_cache.interface import CacheUser, as_token_array
from engine.prefix_cache.layers import layout_of
from engine.prefix_cache.tree import Node
from tests.engine.disk_tiers import FINGERPRINT, cache_on, files_in, make_tier
from tests.engine.telling_caches import computed, holds

LAYOUT = layout_of(computed([1], with_state=False))
HEAD = list(range(100, 120))
ROOM = 40_000  # bytes: some ten short prompts


def user(session: str, number: int = 1) -> CacheUser:
    return CacheUser(session, "main", f"req_{session}{number}")


def store(cache: RadixPrefixCache, tokens: list[int], session: str = "a", head: int = 0) -> None:
    if head:
        cache.insert(tokens[:head], computed(tokens[:head], with_state=False), "head", user=user(session))
    cache.insert(tokens, computed(tokens, with_state=False), "main", user=user(session))


def entries(control: CacheControl) -> list[Entry]:
    return list(control.holdings().entries)


def own(control: CacheControl, session: str) -> str:
    """The id of the session's own entry."""
    (found,) = [entry.id for entry in entries(control) if entry.sessions == (session,) and entry.depth]
    return found


def restorable(cache: RadixPrefixCache, tokens: Sequence[int]) -> int:
    return cache.restorable(as_token_array([*tokens, 0]))


def two_sessions(max_bytes: int = 1 << 20) -> RadixPrefixCache:
    times = iter(range(1, 1000))
    cache = RadixPrefixCache(max_bytes=max_bytes, clock=lambda: float(next(times)))
    for session, token in (("a", 1), ("b", 2)):
        tokens = [*HEAD, *[token] * 10]
        cache.lookup([*tokens, 0], user(session))
        store(cache, tokens, session, head=len(HEAD))
    return cache


def test_entries_are_a_tree_of_shared_prefixes() -> None:
    control = two_sessions().control
    shared, b, a = entries(control)
    assert (shared.kind, shared.sessions, shared.tokens, shared.depth) == ("head", ("b", "a"), 20, 0)
    assert [(one.parent, one.sessions, one.start, one.tokens) for one in (b, a)] == [
        (shared.id, ("b",), 20, 10),
        (shared.id, ("a",), 20, 10),
    ]
    assert (shared.reused, shared.restored_tokens, shared.used_by) == (1, 20, "req_b1")
    assert (a.lane, a.stored_by, a.memory_tokens, a.disk_tokens) == ("main", "req_a1", 10, 0)


def test_a_session_that_parts_within_a_span_shares_only_what_is_before() -> None:
    cache = RadixPrefixCache(max_bytes=1 << 20)
    store(cache, [*HEAD, *[1] * 10], "a")
    assert cache.lookup([*HEAD, 1, 2, 0], user("b")).restored == 21
    store(cache, [*HEAD, 1, 2], "b")
    shared, *own_ones = entries(cache.control)
    assert (set(shared.sessions), shared.tokens, shared.reused, shared.restored_tokens) == (
        {"a", "b"},
        21,
        1,
        21,
    )
    assert {(one.sessions, one.tokens, one.reused) for one in own_ones} == {(("a",), 9, 0), (("b",), 1, 0)}


def test_a_turns_mark_behind_the_shared_prefix_is_no_entry() -> None:
    cache = RadixPrefixCache(max_bytes=1 << 20)
    for session, token in (("a", 1), ("b", 2), ("c", 3)):
        tokens = [*HEAD, 7, token, *[token] * 10]
        cache.lookup([*tokens, 0], user(session))
        store(cache, tokens, session, head=len(HEAD))
    shared, *own_ones = entries(cache.control)
    assert (shared.kind, shared.tokens, len(shared.sessions)) == ("head", 21, 3)
    assert {one.sessions for one in own_ones} == {("a",), ("b",), ("c",)}


def test_a_session_that_goes_on_stays_one_entry_with_the_same_id() -> None:
    cache = two_sessions()
    before = own(cache.control, "a")
    store(cache, [*HEAD, *[1] * 10, *[3] * 10], "a")
    assert own(cache.control, "a") == before
    assert next(one.tokens for one in entries(cache.control) if one.id == before) == 20


def test_an_eviction_says_whose_it_was_and_for_whom() -> None:
    cache = two_sessions(5 * ROOM)  # a share of it remembers what was evicted
    taken = 3
    while restorable(cache, [*HEAD, *[1] * 10]) == 30:
        changes = cache.insert(
            [taken] * 30, computed([taken] * 30, with_state=False), "main", user=user("big", taken)
        )
        taken += 1
    gone = next(change for change in changes if change.event == "evicted" and change.session == "a")
    assert (gone.lane, gone.used_by, gone.cause) == ("main", "req_a1", "room")
    miss = cache.lookup([*HEAD, *[1] * 10, 0], user("a", 2)).miss
    assert miss is not None
    assert miss.eviction is not None
    assert (miss.reason, miss.lost, miss.eviction.by) == ("evicted", 10, user("big", taken - 1))
    (wanted,) = cache.control.holdings().wanted
    assert (wanted.user, wanted.tokens, wanted.eviction) == (user("a", 2), 10, miss.eviction)
    assert cache.stats()["wanted_tokens"] == 10


def test_a_pinned_entry_outlasts_everything_that_comes_until_it_is_unpinned() -> None:
    cache = two_sessions(ROOM)
    tokens = [*HEAD, *[1] * 10]
    cache.control.pin(own(cache.control, "a")[:6])
    for token in range(3, 30):
        store(cache, [token] * 30)
    assert restorable(cache, tokens) == 30
    assert restorable(cache, [29] * 30) == 30
    cache.control.unpin(own(cache.control, "a"))
    for token in range(30, 60):
        store(cache, [token] * 30)
    assert restorable(cache, tokens) < 30


def test_pins_take_half_of_the_cache_at_most() -> None:
    cache = RadixPrefixCache(max_bytes=ROOM)
    store(cache, [1] * 60)
    store(cache, [2] * 60)
    first, second = (entry.id for entry in entries(cache.control))
    cache.control.pin(first)
    with pytest.raises(Refused, match="half of what the prefix cache may take now"):
        cache.control.pin(second)
    assert cache.control.holdings().pinned_bytes <= ROOM / 2
    assert not cache.would_keep(200)  # there is room for it, but not beside what is pinned
    assert cache.would_keep(200, restored=60)


def test_requests_that_need_the_memory_get_that_of_pins_last() -> None:
    cache = two_sessions()
    cache.control.pin(own(cache.control, "a"))
    cache.set_limit(cache.memory().array_bytes - 1, user=user("new"))
    assert (restorable(cache, [*HEAD, *[1] * 10]), restorable(cache, [*HEAD, *[2] * 10])) == (30, 20)
    cache.set_limit(0)
    assert cache.memory().array_bytes == 0
    assert {one.cause for one in cache.control.holdings().evictions} == {"memory"}
    assert cache.control.holdings().pinned_bytes == 0  # there was no disk to keep it on


def test_pins_leave_half_to_new_prompts_also_where_the_memory_has_become_short() -> None:
    cache = RadixPrefixCache(max_bytes=ROOM)
    store(cache, [1] * 60)
    cache.control.pin(entries(cache.control)[0].id)
    cache.set_limit(cache.memory().array_bytes)
    cache.insert([2] * 20, computed([2] * 20, with_state=False), "subagent", unused_since=-1)
    assert restorable(cache, [1] * 60) == 60  # side requests get nothing of it
    store(cache, [2] * 20)
    assert restorable(cache, [2] * 20) == 20
    assert restorable(cache, [1] * 60) == 0


def test_a_dropped_entry_goes_with_what_follows_and_a_pinned_one_stays() -> None:
    cache = two_sessions()
    shared = entries(cache.control)[0].id
    cache.control.pin(own(cache.control, "a"))
    with pytest.raises(Refused, match="an entry below it is pinned"):
        cache.control.drop(shared)
    done = cache.control.drop(own(cache.control, "b"))
    assert (done.tokens, done.session, restorable(cache, [*HEAD, *[2] * 10])) == (10, "b", 20)
    miss = cache.lookup([*HEAD, *[2] * 10, 0], user("b", 2)).miss
    assert miss is not None
    assert miss.eviction is not None
    assert (miss.lost, miss.eviction.cause) == (10, "dropped")
    cache.control.unpin(own(cache.control, "a"))
    cache.control.drop(shared)
    assert entries(cache.control) == []


def test_an_id_that_fits_none_or_several_says_which_there_are() -> None:
    control = two_sessions().control
    with pytest.raises(NoSuchEntry, match=f"there are: .*{own(control, 'b')}"):
        control.drop("zz")
    with pytest.raises(NoSuchEntry, match="an empty id"):
        control.pin("")


@pytest.mark.parametrize(
    ("tier", "memory", "after_restart"), [("memory", 20, 30), ("disk", 30, 20), ("both", 20, 20)]
)
def test_a_flush_leaves_what_is_pinned(
    tmp_path: Path, tier: FlushedTier, memory: int, after_restart: int
) -> None:
    with cache_on(make_tier(tmp_path), LAYOUT) as cache:
        store(cache, [*HEAD, *[1] * 10], head=len(HEAD))
        cache.control.pin(entries(cache.control)[0].id)  # the head
        assert cache._disk is not None
        assert cache._disk.flush()
        done = cache.control.flush(tier)
        assert done.pinned_tokens == 20
        assert restorable(cache, [*HEAD, *[1] * 10]) == memory
    with cache_on(make_tier(tmp_path), LAYOUT) as cache:
        assert cache.lookup([*HEAD, *[1] * 10, 0]).restored == after_restart


def test_a_pin_holds_after_a_kill_and_keeps_its_files(tmp_path: Path) -> None:
    tier = make_tier(tmp_path, max_bytes=30_000)
    with cache_on(tier, LAYOUT) as cache:
        store(cache, [*HEAD, *[1] * 10], head=len(HEAD))
        assert tier.flush()
        done = cache.control.pin(own_or_first(cache.control))
        assert done.lasting
        pinned = files_in(tmp_path)
        for token in range(3, 30):
            store(cache, [token] * 20)
            assert tier.flush()
        assert set(pinned) <= set(files_in(tmp_path))
        content = (tmp_path / FINGERPRINT / FILE_NAME).read_bytes()
    (tmp_path / FINGERPRINT / FILE_NAME).write_bytes(content)  # as a kill leaves it
    with cache_on(make_tier(tmp_path, max_bytes=30_000), LAYOUT, max_bytes=16_000) as cache:
        kept = [entry for entry in entries(cache.control) if entry.pinned_tokens]
        assert sum(entry.tokens for entry in kept) == 30
        cache.lookup([*HEAD, *[1] * 10, 0])
        for token in range(30, 60):
            store(cache, [token] * 20)
        assert cache.lookup([*HEAD, *[1] * 10, 0]).restored == 30


def test_what_is_written_after_it_was_pinned_is_kept_on_disk_too(tmp_path: Path) -> None:
    with cache_on(make_tier(tmp_path), LAYOUT) as cache:
        cache.insert([1] * 10, computed([1] * 10, with_state=False), "once")
        cache.control.pin(entries(cache.control)[0].id)
        store(cache, [1] * 10)
        assert cache._disk is not None
        assert cache._disk.flush()
        assert cache.control.flush("disk").disk_files == 0
        assert len(files_in(tmp_path)) == 1


def own_or_first(control: CacheControl) -> str:
    """Pins the first entry; returns the id of the one behind it."""
    first, second = entries(control)
    control.pin(first.id)
    return second.id


def test_a_dropped_entry_does_not_come_back_after_a_restart(tmp_path: Path) -> None:
    with cache_on(make_tier(tmp_path), LAYOUT) as cache:
        store(cache, [*HEAD, *[1] * 10], head=len(HEAD))
        assert cache._disk is not None
        assert cache._disk.flush()
        done = cache.control.drop(entries(cache.control)[0].id)
        assert (done.tokens, done.disk_files) == (30, 2)
        assert cache._disk.flush()
        assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"format": 2, "pins": []}',
        b'{"format": 1, "pins": [{"start": 9, "tokens": "AAAA"}]}',
    ],
)
def test_a_damaged_file_of_pins_pins_nothing(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    assert PinFile(tmp_path / FILE_NAME).read() == []
    assert "nothing is pinned" in caplog.text


@given(tokens=st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=9), at=st.integers(0, 8))
def test_pins_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, tokens: list[int], at: int
) -> None:
    file = PinFile(tmp_path_factory.getbasetemp() / "pins" / FILE_NAME)
    pin = Pin(at % len(tokens), as_token_array(tokens))
    assert file.write([pin])
    (found,) = file.read()
    assert (found.start, found.tokens.tolist()) == (pin.start, tokens)
    assert file.write([])
    assert file.read() == []


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["store", "store", "store", "look up", "pin", "unpin", "drop", "flush", "limit"]),
        st.lists(st.integers(0, 2), min_size=1, max_size=6),  # tokens, each stands for ten
        st.integers(0, 50),
    ),
    min_size=5,
    max_size=30,
)


class Model:
    """What the cache has to be, by definition: which beginnings of prompts are pinned, and to what bytes."""

    def __init__(self, cache: RadixPrefixCache) -> None:
        self.cache = cache
        self.pinned: set[tuple[int, ...]] = set()  # of ten tokens and more, each with all before it

    def run(self, what: str, tokens: list[int], number: int) -> None:
        cache, control = self.cache, self.cache.control
        found = entries(control)
        chosen = found[number % len(found)] if found else None
        match what:
            case "store":
                store(cache, tokens, "abc"[number % 3])
            case "look up":
                match = cache.lookup([*tokens, 9], user("abc"[number % 3]))
                assert match.cache is None or holds(match.cache, tokens[: match.restored])
            case "flush":
                control.flush("both")
            case "limit":
                cache.set_limit(ROOM - 500 * number)
                cache.set_limit(ROOM)
                pinned = [node for node in cache._tree.nodes() if node.pinned]
                self.pinned = self.beginnings(pinned)  # the memory was needed
            case "pin" if chosen is not None:
                try:
                    control.pin(chosen.id)
                except Refused:
                    return
                self.pinned |= self.paths(chosen)
            case "unpin" if chosen is not None and chosen.pinned_tokens:
                control.unpin(chosen.id)
                self.pinned -= self.paths(chosen)
            case "drop" if chosen is not None:
                below = self.below(chosen, found)
                if any(entry.pinned_tokens for entry in below):
                    with pytest.raises(Refused):
                        control.drop(chosen.id)
                else:
                    control.drop(chosen.id)
                    gone = {entry.id for entry in below}
                    assert not gone & {entry.id for entry in entries(control)}

    def check(self) -> None:
        cache, held = self.cache, self.cache.control.holdings()
        nodes = list(cache._tree.nodes())
        assert held.memory_bytes == sum(node.nbytes for node in nodes) <= ROOM
        assert held.pinned_bytes == sum(node.nbytes for node in nodes if node.pinned)
        assert held.pinned_bytes <= held.pin_limit_bytes
        assert sum(entry.memory_tokens for entry in held.entries) == sum(
            len(node.tokens) for node in nodes if node.in_memory
        )
        assert len({entry.id for entry in held.entries}) == len(held.entries)
        for path in self.pinned:
            assert restorable(cache, path) == len(path)
        assert self.beginnings(node for node in nodes if node.pinned) == self.pinned

    def paths(self, entry: Entry) -> set[tuple[int, ...]]:
        """The beginnings of prompts that end within this entry."""
        (held,) = [one for one in self.cache.control._entries() if one.id == entry.id]
        return self.beginnings(held.nodes)

    def beginnings(self, nodes: Iterable[Node]) -> set[tuple[int, ...]]:
        ends = ((self.path(node), end) for node in nodes for end in range(node.start + 10, node.end + 1, 10))
        return {path[:end] for path, end in ends}

    @staticmethod
    def path(node: Node) -> tuple[int, ...]:
        parts: list[int] = []
        one: Node | None = node
        while one is not None:
            parts = [*one.tokens.tolist(), *parts]
            one = one.parent
        return tuple(parts)

    @staticmethod
    def below(entry: Entry, found: list[Entry]) -> list[Entry]:
        below = [entry]
        for one in found:
            if any(one.parent == above.id for above in below):
                below.append(one)
        return below


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(operations=OPERATIONS)
def test_pins_drops_and_evictions_are_those_of_the_model(
    operations: list[tuple[str, list[int], int]],
) -> None:
    model = Model(RadixPrefixCache(max_bytes=ROOM))
    for what, tokens, number in operations:
        model.run(what, [token for token in tokens for _ in range(10)], number)
        model.check()
