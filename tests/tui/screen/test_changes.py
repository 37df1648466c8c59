"""Another model, and other settings, from the screen."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from proxy.changes.change_facts import LiveSetting, LocalModel
from proxy.events.types import EngineState, HostState
from tests.tui.screen.test_app import scene
from tests.tui.stage import drawn, lines_of
from tests.tui.trace_samples import sample_models
from tests.tui.traffic import Morning
from tui.client.records import Snapshot
from tui.client.store import Store
from tui.screen.host_actions.changes import load_refusal, model_consequence, value_text
from tui.screen.host_actions.questions import cannot_change
from tui.screen.screens.live_settings import SettingsScreen, read_value
from tui.screen.screens.models import ModelsScreen
from tui.screen.widgets.key_bar import KeyBar
from tui.screen.widgets.line_table import LineTable


async def test_three_keys_load_another_model_and_its_consequence_is_there_before() -> None:
    async with scene() as it:
        await it.press("M")
        assert isinstance(it.app.screen, ModelsScreen)
        assert "The engine has this model." in it.text()
        await it.press("down")
        assert "Its window has 32,768 tokens here; Claude Code was told 65,536." in it.text()
        assert "new ones are told to retry" in it.text()
        await it.press("enter")
        assert it.app.screen is it.app.main
        assert it.host.wishes == ["model /home/ada/.cache/huggingface/mlx-community/Devstral-Small-2507-4bit"]


async def test_a_model_that_does_not_come_up_is_told_where_it_was_asked_for() -> None:
    async with scene() as it:
        before = len(it.app._notifications)
        refused = "{} did not work: its weights are damaged; what was before counts again"
        model = "/home/ada/.cache/huggingface/mlx-community/Devstral-Small-2507-4bit"
        # Asked for elsewhere: the log has it.
        it.app.inbox.put(it.morning.emit("host.notice", level="error", text=refused.format(model)))
        await it.settle()
        assert len(it.app._notifications) == before
        await it.press("M", "down", "enter")
        await it.app.workers.wait_for_complete()
        it.app.inbox.put(it.morning.emit("host.notice", level="error", text=refused.format(model)))
        await it.settle()
        assert "its weights are damaged; what was before" in list(it.app._notifications)[-1].message


async def test_a_model_that_cannot_be_loaded_is_not(tmp_path: Path) -> None:
    async with scene() as it:
        await it.press("M", "end", "enter")
        assert "It cannot be loaded: too large, 51.5 GB may be taken." in it.text()
        await it.press("home", "enter")
        assert isinstance(it.app.screen, ModelsScreen)
        assert it.host.wishes == []


async def test_what_cannot_be_loaded_has_no_key_for_it() -> None:
    async with scene() as it:
        await it.press("M")

        def offers() -> str:
            return lines_of([it.app.screen.query_one(KeyBar)])

        assert "load it" not in offers()  # the engine has it
        await it.press("down")
        assert "load it" in offers()
        await it.press("end")
        assert "load it" not in offers()


async def test_while_the_host_ends_nothing_is_offered_that_it_refuses() -> None:
    async with scene() as it:
        await it.press("M", "down")
        it.app.inbox.put(it.morning.emit("host.notice", text="stopping after 3", stopping=True))
        await it.settle()
        ends = "No model can be loaded: the host is being stopped."
        assert ends in it.text()
        await it.press("enter")
        assert isinstance(it.app.screen, ModelsScreen)
        await it.press("escape", "comma")
        assert "The host is being stopped: nothing changes any more." in it.text()
        await it.press("enter", "u")
        assert not it.app.screen.query(".open")
        await it.press("escape", "4")
        bar = lines_of([it.app.screen.query_one(KeyBar)])
        for word in ("restart", "drain", "model"):
            assert word not in bar
        assert "stopping" in it.text()
        assert "The host ends after 3 requests; new ones are refused. S ends it at once." in it.text()
        await it.press("M")
        assert it.app.screen is it.app.main
        await it.press("r")
        assert it.host.restarts == 0
        await it.press("S")
        assert "End the host at once?" in it.text()
        assert "3 requests will fail" in " ".join(it.text().split())
        await it.press("enter")
        assert it.host.wishes == ["stop now"]


async def test_a_host_that_was_stopping_before_the_screen_came_is_known_to_be() -> None:
    store = Store()
    store.begin(HostState.model_validate(Morning().state().model_dump() | {"stopping": True}))
    assert store.snapshot().stopping
    assert cannot_change(store.snapshot())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"family": ""}, "shows no tool calls"),
        ({"decode_speed": 0.0}, "anyclaude-tui models bench"),
        ({"decode_speed": 0.0, "name": "bundled demo model"}, "models bench 'bundled demo model'"),
        ({"condition": "broken", "reason": "no config.json"}, "It cannot be loaded: broken, no config.json."),
        ({"loaded": True}, "The engine has this model."),
    ],
)
def test_what_follows_from_a_model_is_said(changes: dict[str, Any], says: str) -> None:
    model = LocalModel.model_validate(sample_models()[0].model_dump() | changes)
    assert any(says in text for text, _ in model_consequence(model, Snapshot()))


def test_a_client_that_began_before_another_switch_was_told_a_larger_window() -> None:
    store, morning = Store(), Morning()
    store.begin(morning.state())
    for model, window in (("large", 131_072), ("small", 4096)):
        engine = EngineState(state="ready", model=model, context_tokens=window)
        store.apply(morning.emit("engine.state", **engine.model_dump()))
    middle = sample_models()[0].model_copy(update={"loaded": False, "window_tokens": 8192})
    told = "Its window has 8,192 tokens here; Claude Code that began with an earlier model was told 131,072."
    assert model_consequence(middle, store.snapshot())[0][0].startswith(told)


def test_the_model_of_an_engine_that_has_failed_can_be_loaded_again_unless_it_is_broken() -> None:
    failed = Snapshot(engine=EngineState(state="failed"))
    loaded = sample_models()[0].model_copy(update={"loaded": True})
    assert load_refusal(loaded, failed) == ""
    assert "has failed: it is started again with it" in model_consequence(loaded, failed)[0][0]
    broken = loaded.model_copy(update={"condition": "broken", "reason": "its weights are damaged"})
    assert load_refusal(broken, failed) == "It cannot be loaded: broken, its weights are damaged."
    assert load_refusal(loaded, Snapshot(engine=EngineState(state="ready"))) == "The engine has this model."


async def test_a_setting_is_changed_taken_back_and_written(tmp_path: Path) -> None:
    async with scene() as it:
        it.app.own_file = file = tmp_path / "rc.json"
        file.write_text('{"backend": "mlx", "backends": {"mlx": {"model": "m"}}}')
        await it.press("comma")
        assert isinstance(it.app.screen, SettingsScreen)
        table = it.app.screen.query_one(LineTable)
        table.select(next(place for place, row in enumerate(table.rows) if row.key.endswith("loopTokens")))
        await it.press("enter", *"4", "0", "0", "0")  # behind nothing: it has its default
        assert "The engine restarts after" in it.text()
        await it.press("enter")
        assert it.host.wishes == ["change {'backends.mlx.loopTokens': 4000}"]
        assert table.selected.value == 4000
        await it.press("w")
        assert json.loads(file.read_text())["backends"] == {"mlx": {"model": "m", "loopTokens": 4000}}
        await it.press("u", "w")
        assert json.loads(file.read_text()) == {"backend": "mlx", "backends": {"mlx": {"model": "m"}}}
        await it.press("enter", "x", "enter")
        assert len(it.host.wishes) == 3
        assert table.selected.value == 2000
        await it.press("enter", "9", "escape")
        assert len(it.host.wishes) == 3
        await it.press("escape")
        assert it.app.screen is it.app.main


@pytest.mark.parametrize("refused", ["", "no memory for it"])
async def test_a_value_is_written_once_the_engine_is_up_with_it(tmp_path: Path, refused: str) -> None:
    async with scene() as it:
        it.app.own_file = file = tmp_path / "rc.json"
        it.host.engine_up.clear()
        await it.press("comma")
        table = it.app.screen.query_one(LineTable)
        table.select(next(place for place, row in enumerate(table.rows) if row.key.endswith("loopTokens")))
        await it.press("enter", *"4000", "enter", "w")
        assert "The engine is not up with this value yet." in it.text()
        assert not file.exists()
        await it.press("escape")  # it is written also when the list is closed meanwhile
        it.host.engine_refused = refused
        it.host.engine_up.set()
        await asyncio.gather(*(worker.wait() for worker in it.app.workers if worker.name == "save"))
        await it.settle()
        assert file.exists() is not bool(refused)
        said = [notice.message for notice in it.app._notifications]
        assert any(
            (f"was not written to {file}: no memory" if refused else f"written to {file}.") in text
            for text in said
        )
        await it.press("comma")
        table = it.app.screen.query_one(LineTable)
        table.select(next(place for place, row in enumerate(table.rows) if row.key.endswith("loopTokens")))
        await it.settle()
        assert ("Its last change did not work: no memory for it." in it.text()) is bool(refused)


async def test_a_value_is_of_the_setting_that_was_opened() -> None:
    async with scene() as it:
        await it.press("comma")
        table = it.app.screen.query_one(LineTable)
        table.select(next(place for place, row in enumerate(table.rows) if row.key == "keepAwake"))
        await it.press("enter")
        assert "enter set it" in drawn(it.app.screen.query_one(KeyBar))[0]
        table.select(table.cursor + 1)
        await it.press("enter")
        assert it.host.wishes == ["change {'keepAwake': False}"]
        assert "enter change" in drawn(it.app.screen.query_one(KeyBar))[0]


async def test_a_switch_is_turned_with_two_keys() -> None:
    async with scene() as it:
        await it.press("comma")
        table = it.app.screen.query_one(LineTable)
        table.select(next(place for place, row in enumerate(table.rows) if row.key == "keepAwake"))
        await it.press("enter", "enter", "w")
        assert it.host.wishes == ["change {'keepAwake': False}"]
        assert "±  keepAwake" in it.text()


async def test_a_host_that_does_not_answer_is_said() -> None:
    async with scene() as it:
        it.app.client = None
        await it.press("M")
        assert "no contact with the host yet" in it.text()
        await it.press("escape", "comma")
        assert "no contact with the host yet" in it.text()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("on", True),
        ("No", False),
        ("6_000", 6000),
        ("4,096", 4096),
        ("0.5", 0.5),
        ("hermes", "hermes"),
    ],
)
def test_a_typed_value_is_read(text: str, value: Any) -> None:
    assert read_value(text) == value


@pytest.mark.parametrize("key", ["backends.mlx.diskCacheBytes", "backends.mlx.prefixCacheBytes"])
def test_bytes_are_told_in_units_also_where_they_are_the_default(key: str) -> None:
    setting = LiveSetting(
        key=key,
        value=20_000_000_000,
        default=20_000_000_000,
        default_text="20000000000",
        meaning="",
        allowed="",
        effect="engine restart",
        changed=False,
    )
    assert value_text(setting, setting.value) == "20.0 GB"
