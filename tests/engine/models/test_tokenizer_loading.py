"""A model's tokenizer encodes as its tokenizer.json says."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from transformers import dynamic_module_utils

from engine import bundled_model
from engine.model_files.errors import TokenizerMissing
from engine.models.tokenizer_loading import load_tokenizer
from tests.engine import tokenizer_kinds

TEXTS = ("def f(a):\n        return a", "x-y_z.py  12345", "HTTPServer's", "caf\u0065\u0301 \ufb01")


def written(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def same_ids(folder: Path) -> bool:
    """Whether the loaded tokenizer encodes texts like the file's own."""
    loaded, own = load_tokenizer(folder).tokenizer, written(folder)
    return all(
        loaded.encode(text, add_special_tokens=False) == own.encode(text, add_special_tokens=False).ids
        for text in TEXTS
    )


def test_the_bundled_model_reads_the_tokens_that_it_was_trained_on() -> None:
    assert same_ids(bundled_model.FOLDER)


@pytest.mark.parametrize("model_type", ["qwen2", "llama", "qwen3"])
def test_the_models_own_splitting_and_normalizer_are_used(tmp_path: Path, model_type: str) -> None:
    for file in bundled_model.FOLDER.glob("*.*"):
        shutil.copy(file, tmp_path)
    config = json.loads((tmp_path / "config.json").read_bytes()) | {"model_type": model_type}
    (tmp_path / "config.json").write_text(json.dumps(config))
    tokenizer = written(tmp_path)
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\s+|\w|[^\s\w]+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert same_ids(tmp_path)


@pytest.mark.parametrize(
    ("kind", "declared"),
    [
        (tokenizer_kinds.unigram, "LlamaTokenizer"),
        (tokenizer_kinds.mistral3, "Qwen2Tokenizer"),
        (tokenizer_kinds.byte_level, "BertTokenizerFast"),  # raises for a text with unknown letters
        (tokenizer_kinds.llama3, "GPT2TokenizerFast"),
    ],
)
def test_a_model_of_another_kind_than_its_tokenizers_class_has_encodes_as_its_file_says(
    tmp_path: Path, kind: Callable[[], Any], declared: str
) -> None:
    kind()._tokenizer.save_pretrained(tmp_path)
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"tokenizer_class": declared}))
    file = tmp_path / "tokenizer.json"
    whole = json.loads(file.read_text())
    if declared.startswith("GPT2"):  # a word that no merges produce
        whole["model"]["vocab"]["zqx"] = max(whole["model"]["vocab"].values()) + 100
    whole["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    file.write_text(json.dumps(whole))
    own = written(tmp_path)
    own.no_truncation()
    loaded = load_tokenizer(tmp_path).tokenizer
    for text in ("hello  wörld\n 12", "zqx"):
        ids = loaded.encode(text, add_special_tokens=False)
        assert ids == own.encode(text, add_special_tokens=False).ids


CODE = """
import {package}
from transformers import PreTrainedTokenizerFast

class OwnTokenizer(PreTrainedTokenizerFast):
    pass
"""


def with_code(folder: Path, package: str) -> Path:
    """The bundled model's tokenizer as a class that the folder brings."""
    for file in bundled_model.FOLDER.glob("*.*"):
        if "safetensors" not in file.name:
            shutil.copy(file, folder)
    config = json.loads((folder / "tokenizer_config.json").read_bytes())
    config |= {"tokenizer_class": "OwnTokenizer", "auto_map": {"AutoTokenizer": [None, "own.OwnTokenizer"]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(CODE.format(package=package))
    return folder


@pytest.mark.usefixtures("modules")
def test_code_of_a_tokenizer_runs_if_it_is_trusted(tmp_path: Path) -> None:
    folder = with_code(tmp_path, "json")
    loaded = load_tokenizer(folder, trust_remote_code=True).tokenizer
    assert type(loaded._tokenizer).__name__.endswith("OwnTokenizer")
    assert type(load_tokenizer(folder).tokenizer._tokenizer).__name__ != "OwnTokenizer"


@pytest.mark.usefixtures("modules")
def test_a_package_that_such_code_needs_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenizerMissing, match=r"needs a package .*no_such_package"):
        load_tokenizer(with_code(tmp_path, "no_such_package"), trust_remote_code=True)


@pytest.fixture
def modules(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder for the copies of code that transformers makes."""
    made = str(tmp_path_factory.mktemp("modules"))
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", made)
    monkeypatch.setattr(sys, "path", [*sys.path])
