"""Time Machine excludes the engine's folders and no others."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.prefix_cache.disk import backup_exclusion
from engine.prefix_cache.disk.backup_exclusion import ATTRIBUTE, VALUE, exclude_from_backups
from engine.prefix_cache.disk.folder import CacheFolder
from tests.engine.disk_tiers import FINGERPRINT


def test_the_value_is_the_one_that_macos_writes() -> None:
    published = "62706c69 73743030 5f101163 6f6d2e61 70706c65 2e626163 6b757064"
    published += "08000000 00000001 01000000 00000000 01000000 00000000 00000000 00000000 1c"
    assert bytes.fromhex(published) == VALUE


def test_only_the_engines_own_folders_are_marked_on_a_mac(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked: list[tuple[Path, str, bytes]] = []
    monkeypatch.setattr(backup_exclusion.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(backup_exclusion, "_set_attribute", lambda *call: marked.append(call))
    folder = CacheFolder(tmp_path, FINGERPRINT, max_bytes=1 << 20)
    folder.open()
    folder.close()
    assert marked == [(tmp_path / FINGERPRINT, ATTRIBUTE, VALUE)]
    (tmp_path / FINGERPRINT / "a").write_bytes(b"")
    folder.quarantine(tmp_path / FINGERPRINT / "a")
    assert [path.name for path, _, _ in marked] == [FINGERPRINT, "set-aside"]  # the root may be the user's


def test_elsewhere_nothing_is_marked(tmp_path: Path) -> None:
    exclude_from_backups(tmp_path, system="Linux", set_attribute=lambda *_: pytest.fail("marked"))


def test_a_disk_without_attributes_is_no_fault(tmp_path: Path) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    exclude_from_backups(tmp_path, system="Darwin", set_attribute=refuse)


def test_the_systems_own_call_sets_the_attribute(tmp_path: Path) -> None:
    if sys.platform == "darwin":
        exclude_from_backups(tmp_path)
        told = subprocess.run(["tmutil", "isexcluded", tmp_path], capture_output=True, text=True, check=True)
        assert "[Excluded]" in told.stdout
        return
    try:
        os.setxattr(tmp_path, "user.probe", b"")
    except OSError:
        pytest.skip("the disk of the tests has no attributes")
    backup_exclusion._set_attribute(tmp_path, "user.test", VALUE)
    assert os.getxattr(tmp_path, "user.test") == VALUE


def test_the_systems_own_call_says_why_it_failed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        backup_exclusion._set_attribute(tmp_path / "missing", "user.test", VALUE)
