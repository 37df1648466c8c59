"""`anyclaude-tui cache` shows what is held, and says what it changed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import typer.main
from typer.core import TyperGroup

from tests.tui.held_samples import done, entry, holdings
from tests.tui.scripted_host import ScriptedHost, scripted_host
from tui.client.figures import clock
from tui.client.holdings.text import done_text, entry_name, tree_marks
from tui.client.wire_text import width
from tui.commands.cache.changing import run_cache_change, run_cache_flush
from tui.commands.cache.listing import report, run_cache_list
from tui.commands.cache.options import cache
from tui.commands.exit_codes import CommandFailed
from tui.commands.host_actions import run_cancel
from tui.commands.invocation import Invocation

NOW = 1_790_000_000.0


@pytest.fixture(scope="module")
def host() -> Iterator[ScriptedHost]:
    with scripted_host() as running:
        running.cache = holdings(NOW).model_dump()
        running.cache_done = done().model_dump()
        yield running


@pytest.fixture
def invocation(host: ScriptedHost) -> Invocation:
    host.cache_asked.clear()
    host.cache_refusal = ""
    return Invocation({}, environ={}, attach=host.url)


def test_the_list_is_a_tree_with_who_evicted_whom() -> None:
    lines = list(report(holdings(NOW), NOW))
    table = "\n".join(lines)
    assert "pinned 666 MB of at most 4.0 GB" in lines[0]
    assert "3f2a  system + tools             11.5k   568 MB  568 MB  memory disk" in table
    assert "a0d1  ├ 9f3c1e main             +17.7k" in table
    assert "5cc0  │ └ 9f3c1e main           +12.0k        -  590 MB  disk" in table
    assert "9d04  └ 71be00 main" in table
    assert "from an earlier run" in table
    assert "  12,800 tokens of 9f3c1e main, for c07d52 main" in table
    assert "  a checkpoint of 9f3c1e main, for memory" in table
    assert f"9f3c1e main: 12,800 tokens, evicted {clock(NOW - 275)} for c07d52 main" in table
    assert max(map(width, lines)) <= 120


def test_the_list_is_data(invocation: Invocation, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cache_list(invocation, json_wanted=True) == 0
    assert json.loads(capsys.readouterr().out)["entries"][0]["id"] == "3f2a71c09b1d44e0"
    assert run_cache_list(invocation) == 0
    shown = capsys.readouterr()
    assert "system + tools" in shown.out
    assert "cache pin ID" in shown.err


def test_an_empty_cache_says_so(
    host: ScriptedHost, invocation: Invocation, capsys: pytest.CaptureFixture[str]
) -> None:
    held, host.cache = host.cache, {}
    assert run_cache_list(invocation) == 0
    host.cache = held
    assert "the first prompt fills it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("action", "asked", "said"),
    [
        ("pin", "c7e9/pin", "entry c7e9920d is pinned: 10,980 tokens (540 MB) stay, also after a restart"),
        ("unpin", "c7e9/unpin", "entry c7e9920d is no longer pinned: 10,980 tokens may be evicted again"),
        ("drop", "c7e9/drop", "entry c7e9920d is dropped: 10,980 tokens, 540 MB of memory"),
        ("memory", "flush?tier=memory", "the prefix cache is flushed: 540 MB of memory"),
    ],
)
def test_each_change_is_asked_for_and_told(
    host: ScriptedHost,
    invocation: Invocation,
    capsys: pytest.CaptureFixture[str],
    action: str,
    asked: str,
    said: str,
) -> None:
    def run(*, json_wanted: bool = False) -> int:
        if action == "memory":
            return run_cache_flush(invocation, action, json_wanted=json_wanted)
        return run_cache_change(invocation, action, "c7e9", json_wanted=json_wanted)

    assert run() == 0
    assert said in capsys.readouterr().err.replace("\n", " ")
    assert run(json_wanted=True) == 0
    assert json.loads(capsys.readouterr().out)["tokens"] == 10_980
    assert host.cache_asked == [asked] * 2
    host.cache_refusal = "it does not fit"
    with pytest.raises(CommandFailed, match="it does not fit"):
        run()
    assert run(json_wanted=True) == 1
    assert "it does not fit" in json.loads(capsys.readouterr().out)["reason"]


def test_what_was_done_names_what_stayed() -> None:
    told = done_text("flush", done(disk_files=3, disk_bytes=5_000_000, pinned_tokens=2_000))
    assert "and 3 files (5.0 MB)" in told
    assert told.endswith("10,980 tokens are nowhere any more; 2.0k pinned tokens stayed")
    nothing = done_text("flush", done(tokens=0, memory_bytes=0))
    assert nothing == "the prefix cache is flushed: 0 B of memory"
    assert done_text("flush", done(tokens=1)).endswith("1 token is nowhere any more")
    assert "until the engine ends" in done_text("pin", done(lasting=False))
    assert "10,980 tokens on disk stay" in done_text("pin", done(memory_bytes=0))


def test_every_entry_has_its_place_in_the_tree() -> None:
    entries = holdings(NOW).entries
    assert tree_marks(entries) == ["", "├ ", "│ └ ", "├ ", "└ ", "", "", ""]
    assert tree_marks([]) == []


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"kind": "head", "lane": "subagent"}, "system + tools, subagent"),
        ({"kind": "head", "start": 4096}, "system + tools, its end"),
        ({"sessions": ["aaaaaaaaa", "b"]}, "what 2 sessions share"),
        ({"sessions": [""], "lane": ""}, "a client without sessions"),
        ({"sessions": ["a\x1b[2Jb\nc"]}, "ab c main"),
        ({"sessions": []}, "from an earlier run"),
    ],
)
def test_an_entry_is_named_by_its_users(facts: dict[str, object], name: str) -> None:
    found = holdings(NOW).entries[0].model_validate(entry("x", 9) | facts)
    assert entry_name(found) == name


def test_every_command_of_the_cache_has_json() -> None:
    group = typer.main.get_command(cache)
    assert isinstance(group, TyperGroup)
    assert set(group.commands) == {"list", "pin", "unpin", "drop", "flush"}
    for command in group.commands.values():
        assert any("--json" in option.opts for option in command.params)
        assert "Examples" in (command.help or "")


@pytest.mark.parametrize("hostile", ["", "..", "a/b", "a b"])
def test_an_id_that_no_entry_can_have_is_wrong_usage(
    host: ScriptedHost, invocation: Invocation, hostile: str
) -> None:
    for command in (run_cache_change, lambda at, _, id: run_cancel(at, id)):
        with pytest.raises(CommandFailed, match="is no id") as failed:
            command(invocation, "pin", hostile)
        assert failed.value.exit_code == 2
    assert host.cache_asked == []
