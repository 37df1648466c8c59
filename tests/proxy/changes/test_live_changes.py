"""A host that runs gets another model, or other settings."""

from __future__ import annotations

import asyncio
import errno
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from bench.scripted_upstream import Turn
from engine import bundled_model
from engine.wire.speed_report import MeasuredModel, SpeedRow
from proxy.changes.live_settings import LIVE, OF_THE_MODEL, live_settings, read_values, with_model
from proxy.configuration.settled import ConfigError, HostConfig
from proxy.library_loggers import DebugLevel
from proxy.local_models.bench_records import BenchRecords, BenchRun
from proxy.local_models.local_models import LocalModels, NoSuchModel
from tests.proxy.test_host import ASK, Served, served, served_with_upstream
from tui.client.host_client import HostClient
from tui.commands import config_set
from tui.commands.config_set import run_config_set
from tui.commands.exit_codes import CommandFailed
from tui.commands.invocation import Invocation
from tui.commands.models.using import run_models_use


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two models: one that loads, and one whose engine does not come up."""
    found = tmp_path_factory.mktemp("models")
    for name in ("second", "broken"):
        (found / name).mkdir()
        for file in bundled_model.FOLDER.iterdir():
            if file.is_file():
                (found / name / file.name).symlink_to(file)
    return found


async def changed(host: Served, path: str, **body: Any) -> dict[str, Any]:
    answer = await host.client.post(f"/anyclaude/{path}", json=body)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def refused(host: Served, path: str, **body: Any) -> str:
    answer = await host.client.post(f"/anyclaude/{path}", json=body)
    assert answer.status_code == 400
    return str(answer.json()["error"]["message"])


async def settings(host: Served) -> dict[str, Any]:
    listed = (await host.client.get("/anyclaude/settings")).json()["settings"]
    return {one["key"]: one for one in listed}


def notice(part: str) -> Any:
    return lambda event: event["type"] == "host.notice" and part in event["data"]["text"]


async def test_models_are_listed_with_what_fits_and_one_is_loaded_in_place_of_another(
    tmp_path: Path, folder: Path
) -> None:
    speeds = BenchRecords(tmp_path / "home")
    rows = (SpeedRow(512, 1.0), SpeedRow(2048, 2.0, decoded_tokens=100, decode_s=4.0), SpeedRow(8192, 9.0))
    speeds.keep(BenchRun("second", "2026-01-01T00:00:00", MeasuredModel(), rows))
    async with served(tmp_path, model_folders=(str(folder),), tool_format="hermes") as host:
        await host.until_engine("ready")
        listed = (await host.client.get("/anyclaude/models")).json()
        models = {model["name"]: model for model in listed["models"] if model["store"] != "Hugging Face"}
        assert [name for name, model in models.items() if model["loaded"]] == [bundled_model.NAME]
        second = models["second"]
        assert (second["prefill_speed"], second["decode_speed"]) == (1024.0, 25.0)
        assert second["window_tokens"] > 0
        assert second["fitting_tokens"] > 0
        assert listed["limit_bytes"] > 0
        begun = await changed(host, "model", model="second")
        assert begun == {
            "changed": ["backends.mlx.model"],
            "values": {},
            "restarting": True,
            "running": 0,
            "model": "second",
        }  # fmt: skip
        await host.events(lambda event: event["type"] == "engine.state" and event["data"]["state"] == "ready")
        state = await host.state()
        assert state.loads == [str(folder / "second")]
        assert (await changed(host, "model", model="second"))["restarting"] is False
        assert (await changed(host, "model", model=bundled_model.NAME))["restarting"] is True
        assert (await host.state()).loads == [bundled_model.NAME]


async def test_a_model_of_no_store_is_listed_while_it_is_loaded(tmp_path: Path, folder: Path) -> None:
    async with served(tmp_path) as host:
        await host.until_engine("ready")
        await changed(host, "model", model=str(folder / "second"))
        listed = (await host.client.get("/anyclaude/models")).json()["models"]
        assert [model["path"] for model in listed if model["loaded"]] == [str(folder / "second")]


async def test_a_model_that_does_not_come_up_leaves_the_one_before(tmp_path: Path, folder: Path) -> None:
    async with served(tmp_path, model_folders=(str(folder),)) as host:
        await host.until_engine("ready")
        await changed(host, "model", model="broken")
        told = await host.events(notice("did not work"))
        assert told[-1]["data"]["text"].startswith("broken did not work: ")
        assert "what was before counts again" in told[-1]["data"]["text"]
        assert told[-1]["data"]["level"] == "error"
        assert (await host.state()).loads == [bundled_model.NAME]
        # Changed again before it failed: what came up counts, and what took effect at once stays.
        await changed(host, "model", model="broken")
        await changed(host, "settings", changes={"loopTokens": 400, "keepAwake": False})
        await host.events(notice("loopTokens did not work"), params={"since": 0})
        assert (await host.state()).loads == [bundled_model.NAME]
        after = await settings(host)
        assert [key for key, one in after.items() if one["changed"]] == ["keepAwake"]


async def test_settings_change_at_once_or_with_a_restart_of_the_engine(tmp_path: Path) -> None:
    async with served(tmp_path) as host:
        await host.until_engine("ready")
        before = {
            one["key"]: one for one in (await host.client.get("/anyclaude/settings")).json()["settings"]
        }
        assert before["backends.mlx.loopTokens"]["effect"] == "engine restart"
        assert before["keepAwake"]["effect"] == "at once"
        assert await changed(host, "settings", changes={"keepAwake": False}) == {
            "changed": ["keepAwake"],
            "values": {"keepAwake": False},
            "restarting": False,
            "running": 0,
            "model": "",
        }  # fmt: skip
        assert (await host.state()).sleep == "not prevented: keepAwake is false"
        await changed(host, "settings", changes={"keepAwake": None})
        assert (await host.state()).sleep == "no request runs"
        restarted = await changed(host, "settings", changes={"loopTokens": 400}, drain=False)
        assert (restarted["changed"], restarted["restarting"]) == (["backends.mlx.loopTokens"], True)
        after = await settings(host)
        assert (after["backends.mlx.loopTokens"]["value"], after["backends.mlx.loopTokens"]["changed"]) == (
            400,
            True,
        )
        for wish, said in (
            ({"changes": {"loopTokns": 400}}, 'did you mean "loopTokens"?'),
            ({"changes": {"port": 1}}, "cannot be changed while a host runs"),
            ({"changes": {"model": "x"}}, "anyclaude-tui models use NAME"),
            ({"changes": {"loopTokens": "many"}}, "allowed: "),
            ({"changes": {"trustRemoteCode": "x"}}, "cannot be changed"),
            ({"settings": {}}, "changes: Field required"),
        ):
            assert said in await refused(host, "settings", **wish)
        for name in ("nowhere-at-all", "\0", "a" * 5000):
            assert "no model" in await refused(host, "model", model=name)


async def test_commands_list_change_and_write_and_say_what_follows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    async with served(tmp_path) as host:
        await host.until_engine("ready")
        invocation = Invocation({"config": None}, host.url, {"HOME": str(tmp_path)})

        async def said(command: Callable[..., int], *words: Any, code: int = 0, **options: Any) -> str:
            assert await asyncio.to_thread(command, invocation, *words, **options) == code
            return "".join(capsys.readouterr())

        listed = await said(run_config_set, "", None)
        assert re.search(r"^  keepAwake +true +at once$", listed, re.MULTILINE)
        full = OSError(errno.ENOSPC, "No space left on device")
        with monkeypatch.context() as patch:
            patch.setattr(config_set, "save_setting", Mock(side_effect=full))
            with pytest.raises(CommandFailed) as failed:
                await said(run_config_set, "keepAwake", "off", save=True)
        assert str(failed.value).endswith(
            ".anyclauderc.json: No space left on device; it counts until the host ends"
        )
        changed = await said(run_config_set, "keepAwake", "off", save=True)
        assert "written to " in changed
        assert json.loads((tmp_path / ".anyclauderc.json").read_text()) == {"keepAwake": False}
        assert "* keepAwake" in await said(run_config_set, "", None)
        (tmp_path / "named.json").write_text("{}")
        invocation = replace(invocation, options={"config": "named.json"})
        assert "warning" not in await said(run_config_set, "keepAwake", "off", save=True)
        assert json.loads((tmp_path / "named.json").read_text()) == {"keepAwake": False}
        assert "has this value already" in await said(run_config_set, "keepAwake", "no")
        assert json.loads(await said(run_config_set, "loopTokens", "400", as_json=True)) == {
            "changed": ["backends.mlx.loopTokens"], "restarting": True, "running": 0, "saved": "",
        }  # fmt: skip
        refused = json.loads(await said(run_config_set, "loopTokens", "1", as_json=True, code=1))
        assert "allowed: " in refused["reason"]
        with pytest.raises(CommandFailed, match="give a value, or --default"):
            await said(run_config_set, "loopTokens", None)
        assert "has bundled demo model already" in await said(run_models_use, "bundled demo model")
        with pytest.raises(CommandFailed, match="no model"):
            await said(run_models_use, "nowhere-at-all")


async def test_only_what_an_engine_came_up_with_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    file = tmp_path / ".anyclauderc.json"
    async with served(tmp_path) as host:
        await host.until_engine("ready")
        invocation = Invocation({"config": None}, host.url, {"HOME": str(tmp_path)})

        async def said(value: str, code: int, **options: Any) -> str:
            asked = asyncio.to_thread(run_config_set, invocation, "loopTokens", value, save=True, **options)
            if code and not options:
                with pytest.raises(CommandFailed) as failed:
                    await asked
                return str(failed.value)
            assert await asked == code
            return "".join(capsys.readouterr())

        # The fake engine does not come up with this one.
        refusal = await said("6666", code=1)
        assert f"not written to {file}: the engine did not come up with it: " in refusal
        assert "no memory for so many" in refusal
        assert refusal.endswith("; 2000 counts again")
        capsys.readouterr()
        assert json.loads(await said("6666", code=1, as_json=True)) == {
            "changed": ["backends.mlx.loopTokens"], "restarting": True, "running": 0, "saved": "",
            "reason": refusal.partition(": ")[2],
        }  # fmt: skip
        assert not file.exists()
        listed = (await settings(host))["backends.mlx.loopTokens"]
        assert (listed["value"], listed["held"], listed["awaited"]) == (2000, True, False)
        assert "no memory for so many" in listed["refused"]
        saved = await said("400", code=0)
        assert re.search(r"once the engine is up with it …\nwritten to", saved)
        assert json.loads(file.read_text()) == {"backends": {"mlx": {"loopTokens": 400}}}
        assert (await settings(host))["backends.mlx.loopTokens"]["refused"] == ""


async def test_a_value_is_not_written_while_its_engine_waits_for_requests(tmp_path: Path) -> None:
    (tmp_path / "hold").touch()
    ask = ASK | {"messages": [{"role": "user", "content": f"Count while {tmp_path}/hold is there."}]}
    async with served(tmp_path) as host:
        await host.until_engine("ready")
        running = asyncio.create_task(host.client.post("/v1/messages", json=ask))
        await host.events(lambda event: event["type"] == "request.first_token", params={"since": "0"})
        begun = await changed(host, "settings", changes={"loopTokens": 400})
        assert (begun["running"], begun["values"]) == (1, {"backends.mlx.loopTokens": 400})
        listed = (await settings(host))["backends.mlx.loopTokens"]
        assert (listed["value"], listed["held"], listed["awaited"]) == (400, False, True)
        client = HostClient(host.url)
        settled = asyncio.create_task(client.settled_setting("backends.mlx.loopTokens"))
        (tmp_path / "hold").unlink()
        await running
        held = await settled
        assert held is not None
        assert (held.value, held.held, held.awaited, held.refused) == (400, True, False, "")
        await client.close()


async def test_an_engine_that_failed_for_good_proves_no_value(tmp_path: Path) -> None:
    async with served(tmp_path, model="broken") as host:
        await host.until_engine("failed")
        await changed(host, "settings", changes={"loopTokens": 400})
        client = HostClient(host.url)
        one = await client.settled_setting("backends.mlx.loopTokens")
        await client.close()
        assert one is not None
        assert (one.value, one.held, one.awaited) == (400, False, False)
        assert "no model at models/none" in one.refused


async def test_the_model_of_an_engine_that_failed_for_good_is_loaded_again(
    tmp_path: Path, folder: Path
) -> None:
    async with served(tmp_path, model=str(folder / "broken")) as host:
        await host.until_engine("failed")
        again = await changed(host, "model", model=str(folder / "broken"))
        assert again["restarting"] is True
        await host.events(notice("the engine is being restarted"), params={"since": 0})
        await host.until_engine("failed")
    async with served(tmp_path / "other") as host:
        await host.until_engine("ready")
        assert (await changed(host, "model", model=bundled_model.NAME))["restarting"] is False


async def test_without_an_engine_of_its_own_a_host_offers_neither_models_nor_the_engines_settings(
    tmp_path: Path,
) -> None:
    async with served_with_upstream(tmp_path, Turn(text="hello"), Turn(text="again")) as host:
        assert "its server chooses the model" in await refused(host, "model", model="x")
        assert set(await settings(host)) == {
            "debug.enableTraces",
            "debug.level",
            "debug.enableStreamLogging",
            "keepAwake",
        }
        assert "this host runs none" in await refused(host, "settings", changes={"loopTokens": 400})
        await changed(host, "settings", changes={"debug.enableTraces": False})
        await host.client.post("/v1/messages", json=ASK)
        await changed(host, "settings", changes={"debug.enableTraces": True})
        await host.client.post("/v1/messages", json=ASK)
        assert (await host.client.get("/anyclaude/traces")).json()["total"] == 1


def test_a_model_takes_nothing_along_of_the_one_before(tmp_path: Path) -> None:
    begun = HostConfig(home=tmp_path, model="org/a", tool_format="hermes", context_tokens=4096)
    other = with_model(begun, begun, "org/b")
    assert (other.model, other.tool_format, other.context_tokens) == ("org/b", "", 0)
    assert with_model(other, begun, "org/a") == begun


def test_each_live_setting_is_told_and_takes_its_own_default(tmp_path: Path) -> None:
    config = HostConfig(home=tmp_path)
    told = live_settings(config, config, engine=True)
    assert len(told) == len(LIVE)
    assert not set(LIVE) & {"model", "home", "token", "port", *OF_THE_MODEL[3:]}
    for one in told:
        assert list(read_values({one.key: one.value}, config, engine=True).values()) == [one.value]
    with pytest.raises(ConfigError, match="no setting nothing"):
        read_values({"nothing": 1}, config, engine=True)


def test_the_logs_go_back_to_the_level_of_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    import logging

    root = logging.getLogger()
    begun = root.level
    try:
        root.setLevel(logging.WARNING)
        level = DebugLevel(0)
        level.set(2)
        assert root.level == logging.DEBUG
        level.set(0)
        assert root.level == logging.WARNING
    finally:
        root.setLevel(begun)


@pytest.mark.parametrize(("name", "is_pulled"), [("acme/none", True), ("/no/where", False), ("./x", False)])
def test_a_path_that_is_not_there_is_nothing_to_download(tmp_path: Path, name: str, is_pulled: bool) -> None:
    local = LocalModels.of(HostConfig(home=tmp_path), {"HF_HOME": str(tmp_path)}, tmp_path, tmp_path)
    with pytest.raises(NoSuchModel) as raised:
        local.find(name)
    assert (f"models pull {name}" in str(raised.value)) is is_pulled
