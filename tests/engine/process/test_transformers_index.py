"""What transformers learns of its own files is read once, and read anew when it may have changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.process.transformers_index import kept

FOUND = {frozenset({"tokenizers"}): {"qwen2.tokenization_qwen2": {"Qwen2Tokenizer"}}, "auto": {}}
WHOLE = """
from engine.process.transformers_index import keep_transformers_index
keep_transformers_index()
from transformers import AutoTokenizer
from transformers.utils import import_utils
from pathlib import Path
folder = Path(import_utils.__file__).parents[1] / "models"
kept = import_utils.create_import_structure_from_path
assert kept.__module__ == "engine.process.transformers_index"
assert kept(folder) == kept.__wrapped__(folder)
print(AutoTokenizer.__name__)
"""


class Package:
    """A folder laid out as transformers is, and how often its files were read."""

    def __init__(self, folder: Path) -> None:
        self.models = folder / "models"
        (folder / "utils").mkdir(parents=True)
        self.models.mkdir()
        for name in ("__init__.py", "utils/import_utils.py", "models/__init__.py"):
            (folder / name).touch()
        self.read: list[object] = []

    def start(self, path: Path | str | None = None) -> object:
        """What a process that has just begun is told."""

        def read(asked: object) -> object:
            self.read.append(asked)
            return FOUND

        return kept(read, self.models)(self.models if path is None else path)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return Package(tmp_path / "transformers")


def test_the_next_start_reads_nothing_by_whichever_path_it_asks(package: Package) -> None:
    for path in (package.models, str(package.models), str(package.models / "__init__.py")):
        assert package.start(path) == FOUND
    assert len(package.read) == 1


def test_another_folder_is_read_as_ever(package: Package) -> None:
    for _ in range(2):
        package.start(package.models / "auto")
    assert package.read == [package.models / "auto"] * 2


@pytest.mark.parametrize("changed", ["__init__.py", "utils/import_utils.py", "models"])
def test_a_change_of_the_package_is_noticed(package: Package, changed: str) -> None:
    package.start()
    os.utime(package.models.parent / changed, (1, 1))
    package.start()
    assert len(package.read) == 2


@pytest.mark.parametrize("damage", [b"", b"no marshal", b"\xe9\x01\x00\x00\x00"])
def test_a_damaged_file_is_read_past_and_replaced(package: Package, damage: bytes) -> None:
    package.start()
    (store,) = (package.models / "__pycache__").iterdir()
    store.write_bytes(damage)
    assert package.start() == FOUND
    assert package.start() == FOUND
    assert len(package.read) == 2


def test_nothing_is_written_where_python_is_to_write_no_compiled_files(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for _ in range(2):
        assert package.start() == FOUND
    assert len(package.read) == 2


def test_a_folder_that_cannot_be_written_to_costs_only_the_time(package: Package) -> None:
    (package.models / "__pycache__").touch()  # where the folder would be, also for root
    for _ in range(2):
        assert package.start() == FOUND
    assert len(package.read) == 2


@pytest.mark.slow
def test_transformers_itself_is_told_what_it_would_have_read() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WHOLE], capture_output=True, text=True, timeout=100, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "AutoTokenizer\n"), ended.stderr
