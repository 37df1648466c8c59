from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path

import pytest

from proxy.recordings.reading import IN_BUNDLE, read_recording
from proxy.traces.files import trace_path
from tests.tui.client.recording.recorded_host import demo_host
from tests.tui.demo.plot import demo
from tests.tui.demo.story import START
from tui.client.host_client import HostClient
from tui.client.recording.bundle import BundleFacts, MadeBundle, bundle_path, make_bundle
from tui.client.recording.taking import RecordingWish

TOKEN = "our-own-token-8412"
KEY = "hf_Uhf7kvmlP7HVDctQUy1xvCkgafrfwA94hJ"


def facts(home: Path) -> BundleFacts:
    (home / "logs").mkdir(exist_ok=True)
    (home / "logs" / "engine.log").write_text(f"loaded\nthe token is {TOKEN}\n")
    (home / "logs" / "host.log").write_text("x" * 600_000 + "\nthe last line\n")
    folder = {"name": "model", "key": "model", "value": f"/models/{KEY}/x", "set": True}
    return BundleFacts(home, [{"name": "token", "value": None, "set": True}, folder], [TOKEN])


async def made(home: Path, url: str, wish: RecordingWish) -> MadeBundle:
    client = HostClient(url, TOKEN) if url else None
    try:
        return await make_bundle(client, facts(home), wish, bundle_path(home, START), START)
    finally:
        if client is not None:
            await client.close()


def unpacked(bundle: MadeBundle) -> dict[str, str]:
    with zipfile.ZipFile(bundle.path) as archive:
        return {name: archive.read(name).decode(errors="replace") for name in archive.namelist()}


async def test_it_has_all_that_is_needed_and_no_secret(tmp_path: Path) -> None:
    story = demo()
    chosen = story.traces()[0].id
    with demo_host(story, tmp_path / "marks", token=TOKEN) as host:
        host.emit("host.notice", {"text": TOKEN})
        bundle = await made(tmp_path, host.url, RecordingWish(traces=[chosen], secrets=[TOKEN]))
    assert stat.S_IMODE(bundle.path.stat().st_mode) == 0o600
    assert bundle.path.name == "anyclaude-bug-20260921T141320Z.zip"
    assert not list(bundle.path.parent.glob(".*"))
    parts = unpacked(bundle)
    assert list(parts) == list(bundle.parts)
    assert bundle.left_out == ["logs and the host's configuration: they are in /home where it runs"]
    assert {IN_BUNDLE, "versions.json", "configuration.json", f"traces/{chosen}.json"} <= parts.keys()
    assert [one["value"] for one in json.loads(parts["configuration.json"])] == [None, "/models/[redacted]/x"]
    assert json.loads(parts["versions.json"])["host"]["version"] == "1"
    assert "--play THIS.zip" in parts["README.txt"]
    recording = read_recording(bundle.path)
    assert len(recording.moments) > len(story.events())
    assert chosen in recording.traces
    assert not any(secret in text for text in parts.values() for secret in (TOKEN, KEY))
    assert not any(TOKEN in str(moment.what) for moment in recording.moments)


async def test_without_a_host_it_has_what_is_on_the_disk(tmp_path: Path) -> None:
    trace = demo().traces()[0]
    file = tmp_path / "traces" / trace_path(trace.backend, trace.time, trace.id)
    file.parent.mkdir(parents=True)
    file.write_text(trace.model_dump_json())
    bundle = await made(tmp_path, "", RecordingWish(traces=[trace.id, "req_0"], secrets=[TOKEN]))
    parts = unpacked(bundle)
    assert IN_BUNDLE not in parts
    assert f"traces/{trace.id}.json" in parts
    assert parts["logs/engine.log"] == "loaded\nthe token is [redacted]\n"
    assert parts["logs/host.log"] == "the last line\n"
    assert "there is no contact" in bundle.left_out[0]
    assert "req_0" in bundle.left_out[1]
    assert "--play" not in parts["README.txt"]
    assert "Left out:" in parts["README.txt"]


async def test_without_contents_it_has_no_logs_and_says_so(tmp_path: Path) -> None:
    bundle = await made(tmp_path, "", RecordingWish("none"))
    assert not any(part.startswith("logs/") for part in bundle.parts)
    assert "logs: they may contain texts" in bundle.left_out


async def test_a_bundle_that_is_there_is_kept(tmp_path: Path) -> None:
    bundle = await made(tmp_path, "", RecordingWish())
    before = bundle.path.read_bytes()
    with pytest.raises(FileExistsError):
        await made(tmp_path, "", RecordingWish())
    assert bundle.path.read_bytes() == before
    assert [path.name for path in bundle.path.parent.iterdir()] == [bundle.path.name]
