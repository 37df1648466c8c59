"""`models pull` from a hub on loopback, whatever the hub, the network and the disk do."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.loopback_hub import COMMIT, LoopbackHub, loopback_hub, model_files
from tests.tui.commands.models.homes import Home
from tui.commands.exit_codes import CommandFailed
from tui.commands.models.hub_download import OFFICIAL, HubAccess, access_of
from tui.commands.models.listing import run_models_list
from tui.commands.models.pulling import PullProgress, run_models_pull

ID = "acme/Tiny-4bit"
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackHub]:
    with loopback_hub() as hub:
        yield hub


@pytest.fixture
def hub(server: LoopbackHub, home: Home, monkeypatch: pytest.MonkeyPatch) -> LoopbackHub:
    url = server.url
    server.__init__()  # type: ignore[misc]  # as it was at first
    server.url = url
    server.models[ID] = model_files()
    home.environ["HF_ENDPOINT"] = url
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    monkeypatch.setattr(HubAccess.__init__, "__defaults__", (100_000,))
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 50_000)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client's pause before it tries again
    return server


def snapshot(home: Home) -> Path:
    return home.hub / "models--acme--Tiny-4bit" / "snapshots" / COMMIT


def pulled(home: Home) -> bool:
    weights = snapshot(home) / WEIGHTS
    return weights.is_file() and weights.read_bytes() == model_files()[WEIGHTS]


def refused(home: Home, says: str, hub_id: str = ID, revision: str = "main") -> None:
    with pytest.raises(CommandFailed, match=says):
        run_models_pull(home.invocation(), hub_id, revision=revision)


def test_only_what_is_needed_is_downloaded_and_listed_as_ready(
    home: Home, hub: LoopbackHub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_models_pull(home.invocation(), ID) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{snapshot(home)}\n"
    assert "3 files, 300 kB to come; 3 files not needed" in shown.err
    assert f"anyclaude-tui --model {ID}" in shown.err
    assert {file.name for file in snapshot(home).iterdir()} == {"config.json", "tokenizer.json", WEIGHTS}
    assert pulled(home)
    assert run_models_list(home.invocation(), as_json=True) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["models"]}
    assert rows[ID]["condition"] == "ready"


def test_a_second_pull_downloads_nothing(
    home: Home, hub: LoopbackHub, capsys: pytest.CaptureFixture[str]
) -> None:
    run_models_pull(home.invocation(), ID)
    hub.requests.clear()
    capsys.readouterr()
    assert run_models_pull(home.invocation(), ID, as_json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["id"], document["downloaded_bytes"], document["commit"]) == (ID, 0, COMMIT)
    assert hub.fetched(WEIGHTS) == []


def test_a_broken_connection_is_continued_at_once(home: Home, hub: LoopbackHub) -> None:
    hub.breaks_at[WEIGHTS] = 200_000
    assert run_models_pull(home.invocation(), ID) == 0
    assert hub.fetched(WEIGHTS) == ["", "bytes=200000-"]
    assert pulled(home)


def test_an_interrupted_download_is_kept_and_continued(
    home: Home, hub: LoopbackHub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived = PullProgress.arrived

    def interrupted(self: PullProgress, nbytes: int) -> None:
        arrived(self, nbytes)
        raise KeyboardInterrupt

    monkeypatch.setattr(PullProgress, "arrived", interrupted)
    blobs = home.hub / "models--acme--Tiny-4bit" / "blobs"
    blobs.mkdir(parents=True)
    (half,) = (blobs / f"{name}.incomplete" for name in [_sha256(WEIGHTS)])
    half.write_bytes(model_files()[WEIGHTS][:150_000])
    with pytest.raises(KeyboardInterrupt):
        run_models_pull(home.invocation(), ID)
    shown = capsys.readouterr().err
    assert "150 kB of an earlier download are here" in shown
    assert "interrupted; what has arrived is kept" in shown
    assert half.stat().st_size >= 150_000
    monkeypatch.setattr(PullProgress, "arrived", arrived)
    assert run_models_list(home.invocation(), as_json=False) == 0
    assert f"anyclaude-tui models pull {ID}" in " ".join(capsys.readouterr().out.split())
    assert run_models_pull(home.invocation(), ID) == 0
    assert all(span.startswith("bytes=") for span in hub.fetched(WEIGHTS))
    assert pulled(home)
    assert not half.exists()


def _sha256(name: str) -> str:
    return hashlib.sha256(model_files()[name]).hexdigest()


def test_a_damaged_file_is_removed(home: Home, hub: LoopbackHub) -> None:
    hub.damaged.add(WEIGHTS)
    refused(home, "was damaged on its way and was removed")
    assert list((home.hub / "models--acme--Tiny-4bit" / "blobs").glob("*.incomplete")) == []
    hub.damaged.clear()
    assert run_models_pull(home.invocation(), ID) == 0
    assert pulled(home)


def test_a_gated_model_names_its_page(home: Home, hub: LoopbackHub) -> None:
    hub.gated.add(ID)
    refused(home, rf"agree to its licence at {hub.url}/{ID}; log in with")
    home.environ["HF_TOKEN"] = "other"
    refused(home, "your account has no access yet")
    home.environ["HF_TOKEN"] = "good"
    assert run_models_pull(home.invocation(), ID) == 0
    assert pulled(home)


def test_a_private_model_needs_a_token(home: Home, hub: LoopbackHub) -> None:
    hub.private.add(ID)
    refused(home, r"or it is private \(log in")
    home.environ["HF_TOKEN"] = "good"
    assert run_models_pull(home.invocation(), ID) == 0


def test_a_renamed_model_is_downloaded_under_its_new_name(
    home: Home, hub: LoopbackHub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.moved["old/Name"] = ID
    assert run_models_pull(home.invocation(), "old/Name") == 0
    assert f"old/Name is now {ID}" in capsys.readouterr().err
    assert pulled(home)


def test_an_id_that_leads_elsewhere_names_no_folder(home: Home, hub: LoopbackHub) -> None:
    hub.called = "../../../outside"
    assert run_models_pull(home.invocation(), ID) == 0
    assert pulled(home)
    assert [path.name for path in home.hub.iterdir() if path.name.startswith("models--")] == [
        "models--acme--Tiny-4bit"
    ]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["config.json", "model-Q4.gguf"], "GGUF files, which MLX does not read"),
        (["config.json", "pytorch_model.bin"], "mlx_lm.convert"),
        (["config.json"], "no weights named model"),
    ],
)
def test_a_model_without_weights_for_mlx_is_refused(
    home: Home, hub: LoopbackHub, names: list[str], says: str
) -> None:
    hub.models[ID] = dict.fromkeys(names, b"{}")
    refused(home, says)
    assert not snapshot(home).exists()


CASES: dict[str, tuple[Callable[[Home, LoopbackHub], object], str]] = {
    "unknown": (lambda home, hub: hub.models.clear(), "has no model acme/Tiny-4bit"),
    "too many requests": (lambda home, hub: setattr(hub, "refuses", 429), "too many requests"),
    "a fault of the hub": (
        lambda home, hub: setattr(hub, "refuses", 503),
        "HTTP 503 for acme/Tiny-4bit; try again later",
    ),
    "no connection": (
        lambda home, hub: home.environ.update(HF_ENDPOINT="http://127.0.0.1:1"),
        "cannot be reached",
    ),
    "offline": (lambda home, hub: home.environ.update(HF_HUB_OFFLINE="1"), "HF_HUB_OFFLINE is set, and"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_the_hub_refuses_is_said_with_what_to_do(home: Home, hub: LoopbackHub, case: str) -> None:
    arrange, says = CASES[case]
    arrange(home, hub)
    refused(home, says)


def test_wrong_names_are_refused(home: Home, hub: LoopbackHub) -> None:
    refused(home, "no such revision", revision="v9")
    refused(home, "is no hub id", hub_id="just-a-name")


def test_offline_takes_what_is_here(home: Home, hub: LoopbackHub, capsys: pytest.CaptureFixture[str]) -> None:
    run_models_pull(home.invocation(), ID)
    hub.requests.clear()
    home.environ["HF_HUB_OFFLINE"] = "1"
    assert run_models_pull(home.invocation(), ID) == 0
    assert str(snapshot(home)) in capsys.readouterr().out
    assert hub.requests == []


def test_offline_half_a_model_is_none(home: Home, hub: LoopbackHub) -> None:
    whole = home.hub_model(ID)
    (whole / "snapshots" / ("a" * 40) / WEIGHTS).unlink()
    home.environ["HF_HUB_OFFLINE"] = "1"
    refused(home, "is not whole in")


def test_a_disk_that_is_too_small_is_said_before(
    home: Home, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(home.root)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage._replace(free=1000))
    refused(home, "1.0 kB free; nothing was downloaded. Make room")


def test_a_disk_that_fills_keeps_what_arrived(
    home: Home, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: PullProgress, nbytes: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(PullProgress, "arrived", full)
        refused(home, "is full; what has arrived is kept")
    assert run_models_pull(home.invocation(), ID) == 0
    assert pulled(home)


def test_a_stored_token_goes_to_the_hub_alone() -> None:
    cache = Path("/c")
    assert access_of({}, cache, "stored") == (HubAccess(OFFICIAL, "stored", cache), "")
    mirror, note = access_of({"HF_ENDPOINT": "https://mirror/"}, cache, "stored")
    assert (mirror.endpoint, mirror.token) == ("https://mirror", "")
    assert "is not sent to https://mirror" in note
    named, note = access_of({"HF_ENDPOINT": "https://mirror", "HF_TOKEN": "t"}, cache, "stored")
    assert (named.token, note) == ("t", "")


def test_progress_is_a_line_for_each_tenth_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    progress = PullProgress(1000, lambda: now)
    for _ in range(100):
        now += 0.1
        progress.arrived(10)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[4] == "50%  500 B of 1.0 kB, 100 B/s, 5.0s left"


def test_a_file_that_would_lead_out_of_the_model_is_refused(home: Home, hub: LoopbackHub) -> None:
    hub.models[ID] |= {"a/../../../../../out.json": b"{}"}
    refused(home, "would lead out of the model's folder")
    assert not list(home.root.parent.rglob("out.json"))


def test_an_address_that_is_no_hub_is_named(
    home: Home, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def page(*_: object) -> None:
        json.loads("<html>")  # a network's page for logging in, say

    monkeypatch.setattr(HubAccess, "plan", page)
    refused(home, "answers for acme/Tiny-4bit what no hub does.* check HF_ENDPOINT")
