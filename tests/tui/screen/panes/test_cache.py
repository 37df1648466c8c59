"""What the Cache pane says of memory, disk and misses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.events.totals import Totals
from proxy.events.types import EngineCache, EngineState, Usage
from tui.client.records import HostFacts, MissRecord, RequestSnapshot, Snapshot
from tui.screen.charts import big_digits
from tui.screen.panes.cache_parts.misses import miss_lines, no_misses
from tui.screen.panes.cache_parts.prompts import PROMPTS
from tui.screen.panes.cache_parts.totals import cache_block
from tui.screen.styled_line import line_width, plain_text

MISS = MissRecord(
    time=0.0,
    request="r1",
    session="s",
    lane="main",
    prompt_tokens=5000,
    reason="diverged",
    position=1200,
    before="stored text",
    now="new text",
    segment="message 2 (user)",
)


def text_of(miss: MissRecord) -> str:
    return "\n".join("".join(text for text, _ in line) for line in miss_lines(miss, 100))


HELD = EngineCache(
    disk_entries=56,
    disk_bytes=13_500_000_000,
    disk_budget_bytes=20_000_000_000,
    disk_written_today_bytes=4_100_000_000,
    disk_daily_budget_bytes=50_000_000_000,
    disk_loaded_tokens=18_432,
)


def block(cache: EngineCache | None, width: int, height: int = 10) -> str:
    """The head of the pane beside an engine that says this of its cache."""
    engine = EngineState(state="ready", cache=cache)
    lines = cache_block(Snapshot(engine=engine), width, height)
    assert all(line_width(line) <= width for line in lines)
    assert len(lines) <= height
    return "\n".join(plain_text(line) for line in lines)


@pytest.mark.parametrize(("width", "height"), [(80, 7), (120, 7), (120, 10), (160, 6), (200, 6)])
def test_the_disk_figures_are_drawn_at_every_size(width: int, height: int) -> None:
    text = block(HELD.model_copy(update={"disk_skipped": 2}), width, height)
    assert all(part in text for part in ("13.5 GB of 20.0 GB", "today 4.1 GB of 50.0 GB", "2 not written"))


def test_paused_writing_is_drawn() -> None:
    text = block(HELD.model_copy(update={"disk_paused": True, "disk_set_aside": 3}), 120)
    assert "writing is paused: the disk refuses" in text
    assert "3 quarantined" in text
    assert "written today" not in text


def test_what_came_from_disk_is_not_taken_for_all_that_was_restored() -> None:
    text = block(HELD, 120)
    assert "18.4k tokens from disk" in text
    assert "tokens restored" not in text.replace("prompt tokens restored", "")


@pytest.mark.parametrize("width", [80, 120, 200])
def test_no_disk_is_off_and_an_unreported_disk_is_not(width: int) -> None:
    assert "off" in block(EngineCache(), width)
    assert "disk" not in block(None, width)


@pytest.mark.parametrize("width", [60, 99, 100, 149, 150, 189, 190, 400])
def test_all_widths_have_room(width: int) -> None:
    assert "disk" in block(HELD, width)


def test_a_miss_is_placed_in_a_segment() -> None:
    assert "diverged at token 1,200 of 5,000, in message 2 (user): " in text_of(MISS)
    assert "of 5,000: " in text_of(replace(MISS, segment=""))


@pytest.mark.parametrize("width", [78, 100])
def test_where_a_miss_is_has_room_on_its_line_before_what_that_means(width: int) -> None:
    far = replace(MISS, segment="message 3 (assistant) to message 4 (tool result)")
    line = miss_lines(far, width)[0]
    assert line_width(line) <= width
    assert plain_text(line).endswith("(tool result)" if width == 100 else "…")


def test_a_cold_miss_has_no_position() -> None:
    assert "message 2" not in text_of(replace(MISS, reason="cold", position=0))


@pytest.mark.parametrize(
    ("backend", "restored", "prompts", "said", "share"),
    [
        ("mlx", 0, 0, "No prompt yet", "·"),
        ("mlx", 0, 3, "No miss in 3 prompts", "0.0%"),
        ("openai", 0, 3, "openai reports no cache", "·"),
        ("claude", 50, 3, "no reasons for misses", "50.0%"),
    ],
)
def test_an_empty_list_of_misses_is_true(
    backend: str, restored: int, prompts: int, said: str, share: str
) -> None:
    totals = Totals(input_tokens=(100 - restored) * bool(prompts), cache_read_input_tokens=restored)
    seen = Snapshot(host=HostFacts(backend=backend), engine=EngineState(state="ready"), totals=totals)
    assert said in plain_text(no_misses(seen, prompts)[0])
    if said.startswith("No miss in"):
        assert "2 first prompts of sessions alone" in plain_text(no_misses(seen, prompts, 2)[0])
    drawn = [plain_text(line) for line in cache_block(seen, 80, 10)]
    expected = [plain_text(line) for line in big_digits(share, "")]
    assert all(digits.strip() in "\n".join(drawn) for digits in expected)
    assert ("memory" in "\n".join(drawn)) == (backend == "mlx")


def test_what_another_server_keeps_of_a_prompt_is_not_said() -> None:
    totals = Totals(input_tokens=6200, cache_read_input_tokens=6200)
    engine = EngineState(state="ready")
    ours = cache_text(Snapshot(host=HostFacts(backend="mlx"), engine=engine, totals=totals))
    assert "█ restored 6.2k ▒ prefilled 0 ░ 6.2k" in ours
    others = cache_text(Snapshot(host=HostFacts(backend="openai"), engine=engine, totals=totals))
    assert "█ restored 6.2k ▒ prefilled 6.2k" in others
    assert "not kept" not in others
    assert "░" not in others
    untold = Totals(input_tokens=6200)
    nothing = cache_text(Snapshot(host=HostFacts(backend="openai"), engine=engine, totals=untold))
    assert "6.2k prompt tokens" in nothing
    assert "not reported what was restored of them" in nothing
    assert "prefilled" not in nothing


@pytest.mark.parametrize(("backend", "bar", "prefilled"), [("openai", "·", "·"), ("mlx", "▒" * 20, "6.2k")])
def test_a_prompt_of_a_server_that_reports_no_cache_has_no_bar(
    backend: str, bar: str, prefilled: str
) -> None:
    usage = Usage(input_tokens=6200)
    row = RequestSnapshot("r", 1.0, 2.0, phase="done", backend=backend, usage=usage, ttft_s=0.5)
    cells = {column.title: plain_text(column.cell(row, 2.0, 20)) for column in PROMPTS}
    assert (cells["RESTORED · PREFILLED"].strip(), cells["PREFILLED"]) == (bar, prefilled)


def cache_text(seen: Snapshot) -> str:
    return "\n".join(map(plain_text, cache_block(seen, 200, 10)))


def test_before_the_first_prompt_of_a_host_earlier_ones_are_a_key_away() -> None:
    fresh = Snapshot(host=HostFacts(backend="mlx"), engine=EngineState(state="ready"))
    assert "shows earlier ones" not in cache_text(fresh)
    assert "r shows earlier ones" in cache_text(replace(fresh, earlier=10))


def test_first_prompts_that_are_left_out_are_not_said_to_have_missed_nothing() -> None:
    seen = Snapshot(host=HostFacts(backend="mlx"), engine=EngineState(state="ready"))
    assert "No miss in 2 prompts" in plain_text(no_misses(seen, 2)[0])
    assert "2 first prompts of sessions alone" in plain_text(no_misses(seen, 2, 2)[0])


def test_prompts_of_an_earlier_host_show_that_the_upstream_reports_its_cache() -> None:
    usage = Usage(input_tokens=5, cache_read_input_tokens=5)
    earlier = RequestSnapshot("r1", 1.0, 2.0, usage=usage)  # type: ignore[arg-type]
    seen = Snapshot(host=HostFacts(backend="openai"), requests=(earlier,))
    assert "no reasons for misses" in plain_text(no_misses(seen, 1)[0])
