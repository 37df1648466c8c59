from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.configuration.trust import TrustList, place_of

PLACE = Path("/somewhere/.anyclauderc.json")


def file_of(trust: TrustList) -> Path:
    [path] = trust.folder.glob("*.json")
    return path


def test_what_was_decided_holds_for_one_place_with_one_content(tmp_path: Path) -> None:
    trust = TrustList(tmp_path / "trust")
    assert trust.decision(PLACE, b"a") is None
    trust.remember(PLACE, b"a", trusted=True)
    trust.remember(PLACE, b"b", trusted=False)
    again = TrustList(tmp_path / "trust")
    assert again.decision(PLACE, b"a") is True
    assert again.decision(PLACE, b"b") is False
    assert again.decision(PLACE, b"a ") is None
    assert again.decision(Path("/elsewhere/.anyclauderc.json"), b"a") is None
    assert again.notices == []


def test_a_later_decision_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    trust = TrustList(tmp_path / "trust")
    trust.remember(PLACE, b"a", trusted=False)
    trust.remember(PLACE, b"a", trusted=True)
    assert trust.decision(PLACE, b"a") is True
    assert len(trust.decisions()) == 1


def test_all_that_was_said_of_a_file_can_be_taken_back(tmp_path: Path) -> None:
    trust = TrustList(tmp_path / "trust")
    other = Path("/other/.anyclauderc.json")
    for place, content in ((PLACE, b"a"), (PLACE, b"b"), (other, b"a")):
        trust.remember(place, content, trusted=True)
    assert trust.forget(PLACE) == 2
    assert trust.forget(PLACE) == 0
    assert [decision.file for decision in trust.decisions()] == [str(other)]


def test_nobody_else_can_read_or_write_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        trust = TrustList(tmp_path / "home" / "trust")
        trust.remember(PLACE, b"a", trusted=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file_of(trust).stat().st_mode) == 0o600
    assert stat.S_IMODE(trust.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[]", b'{"trusted": true}', b"[" * 50_000, b"x" * 100_000]
    + [b'{"file": "/f", "sha256": "", "trusted": true, "time": %s}' % at for at in (b"1e300", b"NaN", b"-1")],
    ids=["empty", "half", "no text", "list", "too little", "deep", "huge", "late", "no time", "early"],
)
def test_a_damaged_decision_trusts_nothing_and_is_quarantined_and_told(
    tmp_path: Path, content: bytes
) -> None:
    trust = TrustList(tmp_path)
    trust.remember(PLACE, b"a", trusted=True)
    path = file_of(trust)
    path.write_bytes(content)
    assert trust.decision(PLACE, b"a") is None
    assert not path.exists()
    assert path.with_name(path.name + ".damaged").read_bytes() == content
    [notice] = trust.notices
    assert str(path) in notice
    trust.remember(PLACE, b"a", trusted=True)
    assert trust.decision(PLACE, b"a") is True


def test_a_decision_about_another_file_under_this_ones_name_is_none(tmp_path: Path) -> None:
    trust = TrustList(tmp_path)
    trust.remember(PLACE, b"a", trusted=True)
    path = file_of(trust)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"file": "/other"}))
    assert trust.decision(PLACE, b"a") is None
    assert "another file" in trust.notices[0]


def test_a_pipe_in_its_place_holds_nobody_up(tmp_path: Path) -> None:
    trust = TrustList(tmp_path)
    trust.remember(PLACE, b"a", trusted=True)
    path = file_of(trust)
    path.unlink()
    os.mkfifo(path)
    assert trust.decision(PLACE, b"a") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_another_user_wrote_is_no_decision(tmp_path: Path) -> None:
    trust = TrustList(tmp_path)
    trust.remember(PLACE, b"a", trusted=True)
    os.chown(file_of(trust), 12_345, 12_345)
    assert trust.decision(PLACE, b"a") is None
    assert "another user" in trust.notices[0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.binary(min_size=1, max_size=20).filter(lambda name: not set(name) & set(b"/\0")),
    content=st.binary(max_size=50),
)
def test_any_name_and_any_content_are_remembered(tmp_path: Path, name: bytes, content: bytes) -> None:
    trust = TrustList(tmp_path)
    place = Path("/") / os.fsdecode(name) / ".anyclauderc.json"
    trust.remember(place, content, trusted=True)
    assert trust.decision(place, content) is True
    assert trust.decision(place, content + b"x") is not True
    assert trust.notices == []


def test_a_place_is_the_folders_real_path_but_not_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "way").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "c").symlink_to("/etc/hosts")
    assert place_of(tmp_path / "way" / "c") == (tmp_path / "real").resolve() / "c"
