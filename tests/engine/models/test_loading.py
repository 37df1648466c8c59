"""A model loads with exact progress, or fails with one line that says what to do."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import huggingface_hub
import mlx.core as mx
import pytest
from huggingface_hub.errors import RepositoryNotFoundError

from engine.model_files import errors as model_errors
from engine.model_files.errors import (
    BrokenWeights,
    ConfigMissing,
    HubModelMissing,
    HubUnreachable,
    ModelError,
    ModelFolderMissing,
    TokenizerMissing,
    UnsupportedArchitecture,
    WeightsMissing,
)
from engine.models import weight_loading
from engine.models.loading import load_model, sampling_defaults
from tests.models import ModelShelf


@pytest.fixture
def folder(shelf: ModelShelf, tmp_path: Path) -> Path:
    """A complete model that a test may damage."""
    return Path(shutil.copytree(shelf.tiny(), tmp_path / "model"))


def test_a_folder_loads_with_what_the_engine_must_know(folder: Path) -> None:
    loaded = load_model(folder)
    assert loaded.name == "model"
    assert loaded.path == folder
    assert loaded.vocab_size == 1536
    assert loaded.context_length == 32768
    assert loaded.eos_token_ids == {loaded.tokenizer.convert_tokens_to_ids("<|im_end|>")}
    assert loaded.tokenizer.tool_call_start == "<tool_call>"


@pytest.mark.parametrize(
    ("config", "defaults"),
    [
        ('{"do_sample": false, "temperature": 0.7}', {"temperature": 0.0}),
        (
            '{"do_sample": true, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "eos_token_id": 1}',
            {"temperature": 0.7, "top_p": 0.8, "top_k": 20},
        ),
        ('{"repetition_penalty": 1.05, "min_p": 0}', {"repetition_penalty": 1.05, "min_p": 0}),
        ('{"temperature": -1, "top_p": 2, "top_k": "many", "min_p": true, "repetition_penalty": null}', {}),
        ("{}", {}),
        ("[1]", {}),
        ("{", {}),
        (None, {}),
    ],
)
def test_sampling_defaults_are_the_recommended_ones(
    tmp_path: Path, config: str | None, defaults: dict[str, Any]
) -> None:
    if config is not None:
        (tmp_path / "generation_config.json").write_text(config)
    assert sampling_defaults(tmp_path) == defaults


def test_a_model_can_be_given_a_name_and_brings_its_sampling(folder: Path) -> None:
    (folder / "generation_config.json").write_text('{"temperature": 0.6}')
    loaded = load_model(folder, name="a name")
    assert loaded.name == "a name"
    assert loaded.sampling == {"temperature": 0.6}


def test_progress_grows_to_one_and_counts_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_loading, "_STEP_BYTES", 1000)
    seen: list[tuple[float, str]] = []
    load_model(folder, lambda done, what: seen.append((done, what)))
    parts = [done for done, _ in seen]
    assert parts == sorted(parts)
    assert len({part for part in parts if 0 < part < 1}) > 5
    assert seen[-1] == (1.0, "trying model out")


def test_the_fingerprint_follows_the_weights(folder: Path) -> None:
    before = load_model(folder).fingerprint
    assert load_model(folder).fingerprint == before
    weights = mx.load(str(folder / "model.safetensors"))
    weights["model.norm.weight"] = weights["model.norm.weight"] + 1
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    assert load_model(folder).fingerprint != before


def test_a_model_can_run_on_the_thread_that_loaded_it(folder: Path) -> None:
    shapes: list[tuple[int, ...]] = []

    def run() -> None:
        logits = load_model(folder).model(mx.array([[1, 2, 3]]))
        mx.eval(logits)
        shapes.append(logits.shape)
        mx.clear_streams()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert shapes == [(1, 3, 1536)]


def edit_config(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return edit


def remove(*names: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).unlink() for name in names] and None


def write(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


def as_a_folder(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).mkdir()


def link_to_nothing(name: str) -> Callable[[Path], None]:
    def link(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to("nowhere")

    return link


def instead_of_tokenizer(name: str) -> Callable[[Path], None]:
    def move(folder: Path) -> None:
        (folder / "tokenizer.json").unlink()
        settings = {"tokenizer_class": "Qwen2Tokenizer"}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        (folder / name).write_text("IQ== 0")

    return move


def not_utf8(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(b"\xff") and None


def cut_short(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-20_000])


def drop_a_weight(folder: Path) -> None:
    weights = mx.load(str(folder / "model.safetensors"))
    del weights["lm_head.weight"]
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})


def drop_a_weight_beside_a_damaged_file(folder: Path) -> None:
    drop_a_weight(folder)
    (folder / "model-b.safetensors").write_bytes(b"")


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9085657\n"


def quantized_by_others(folder: Path) -> None:
    edit_config(quantization_config={"quant_method": "bitsandbytes"})(folder)
    weights = mx.load(str(folder / "model.safetensors"))
    assert isinstance(weights, dict)
    weights["extra.absmax"] = mx.ones(3)
    mx.save_safetensors(str(folder / "model.safetensors"), weights)


def tokenizer_with_code(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tiktoken.model").write_text("IQ== 0\nIg== 1\n")
    (folder / "own.py").write_text("raise SystemExit('ran code of the folder')")
    settings = {"tokenizer_class": "OwnTokenizer", "auto_map": {"AutoTokenizer": ["own.OwnTokenizer", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize(
    ("damage", "error", "says"),
    [
        (remove("config.json"), ConfigMissing, "has no config.json"),
        (write("config.json", "{"), ConfigMissing, "config.json cannot be read (Expecting"),
        (write("config.json", ""), ConfigMissing, "config.json cannot be read (it is empty); download it"),
        (write("config.json", "[]"), ConfigMissing, 'has no "model_type"'),
        (write("config.json", '{"a": 1}'), ConfigMissing, 'has no "model_type"'),
        (write("config.json", "[" * 9999), ConfigMissing, "config.json cannot be read (maximum recursion"),
        (
            write("generation_config.json", "[]"),
            ConfigMissing,
            "on_config.json cannot be read (it is no JSON",
        ),
        (write("hf_quant_config.json", "\ufeff{}"), ConfigMissing, "read (Unexpected UTF-8 BOM"),
        (as_a_folder("generation_config.json"), ConfigMissing, "Is a directory"),
        (
            write("hf_quant_config.json", ""),
            ConfigMissing,
            "hf_quant_config.json cannot be read (it is empty)",
        ),
        (link_to_nothing("config.json"), ConfigMissing, "is a link to nowhere, which is no file; fin"),
        (link_to_nothing("model.safetensors"), WeightsMissing, "is a link to nowhere, which is no file"),
        (remove("model.safetensors"), WeightsMissing, "convert the model with mlx_lm.convert"),
        (remove("tokenizer.json"), TokenizerMissing, "has no tokenizer"),
        (instead_of_tokenizer("tekken.json"), TokenizerMissing, "only tekken.json; take a copy"),
        (
            instead_of_tokenizer("own.tiktoken"),
            TokenizerMissing,
            "knows no text: transformers cannot read own",
        ),
        (write("tokenizer.json", "{"), TokenizerMissing, "tokenizer.json cannot be read (Expecting"),
        (write("tokenizer.json", "{}"), TokenizerMissing, "upgrade transformers, or take another copy"),
        (
            write("tokenizer_config.json", POINTER),
            TokenizerMissing,
            "tokenizer_config.json is a git-lfs pointer",
        ),
        (
            write("special_tokens_map.json", "null"),
            TokenizerMissing,
            "_map.json cannot be read (it is no JSON",
        ),
        (edit_config(model_type="telepathy"), UnsupportedArchitecture, "model type 'telepathy'"),
        (edit_config(model_type="olmo"), UnsupportedArchitecture, "module for model type 'olmo'"),
        (
            edit_config(model_file="own.py", model_type="own"),
            UnsupportedArchitecture,
            "trust its author",
        ),
        (
            edit_config(model_file="own.py"),
            UnsupportedArchitecture,
            "requires code of its own to run ('own.py')",
        ),
        (
            edit_config(quantization_config={"quant_method": "modelopt", "quant_algo": "FP8"}),
            UnsupportedArchitecture,
            "are quantized (modelopt: Unsupported modelopt quant_algo: FP8); take the model's MLX version",
        ),
        (
            quantized_by_others,
            UnsupportedArchitecture,
            "are quantized (bitsandbytes: Received 1 parameters not in model: extra.absmax",
        ),
        (write("tokenizer.json", POINTER), TokenizerMissing, "run: git lfs pull"),
        (not_utf8("chat_template.jinja"), TokenizerMissing, "chat_template.jinja cannot be read ('utf-8'"),
        (tokenizer_with_code, TokenizerMissing, "use a copy of this model that has a tokenizer.json"),
        (edit_config(num_attention_heads="two"), UnsupportedArchitecture, "cannot build a qwen3 model"),
        (edit_config(rms_norm_eps=-1), UnsupportedArchitecture, "cannot build a qwen3 model"),
        (edit_config(hidden_size=128), BrokenWeights, "take another copy of this model"),
        (drop_a_weight_beside_a_damaged_file, BrokenWeights, "model-b.safetensors is empty or truncated"),
        (write("model.safetensors", "not weights"), BrokenWeights, "damaged"),
        (cut_short, BrokenWeights, "damaged"),
        (drop_a_weight, BrokenWeights, "Missing 1 parameters: lm_head.weight"),
    ],
)
def test_each_damage_of_a_folder_has_its_own_error(
    folder: Path, damage: Callable[[Path], None], error: type[ModelError], says: str
) -> None:
    damage(folder)
    with pytest.raises(error) as caught:
        load_model(folder)
    assert type(caught.value) is error
    assert says in str(caught.value)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["/no/such/model", "./model", "~/model", "models/of/mine", "model", "", "~nobody-here/m", "m" * 300],
)
def test_a_missing_path_is_not_searched_on_the_hub(name: str) -> None:
    def download(*_: Any, **__: Any) -> str:
        pytest.fail("asked the hub")

    with pytest.raises(ModelFolderMissing):
        load_model(name if name else Path("no-such-folder"), download=download)


def test_a_file_is_not_a_model(folder: Path) -> None:
    with pytest.raises(ModelFolderMissing, match="is a file"):
        load_model(folder / "config.json")


def test_a_hub_id_is_downloaded_with_progress_and_keeps_its_name(folder: Path) -> None:
    def download(hub_id: str, *, allow_patterns: list[str], tqdm_class: type[Any]) -> str:
        assert hub_id == "org/tiny"
        assert "model*.safetensors" in allow_patterns
        with tqdm_class(total=100, unit="B", name="x") as bar:
            bar.update(25)
            bar.update(50)
        return str(folder)

    seen: list[tuple[float, str]] = []
    loaded = load_model("org/tiny", lambda done, what: seen.append((done, what)), download=download)
    assert (loaded.name, loaded.path) == ("org/tiny", folder)
    assert seen[:3] == [
        (0.0, "looking for org/tiny on the hub"),
        (0.25, "downloading org/tiny"),
        (0.75, "downloading org/tiny"),
    ]


def not_found() -> Exception:
    response = httpx.Response(404, request=httpx.Request("GET", "http://127.0.0.1"))
    return RepositoryNotFoundError("404", response=response)


@pytest.mark.parametrize(
    ("cause", "error", "says"),
    [
        (not_found(), HubModelMissing, "log in with `hf auth login`"),
        (httpx.ConnectError("no route to host"), HubUnreachable, "(no route to host)"),
        (TimeoutError(), HubUnreachable, "(TimeoutError)"),
        (OSError(28, "No space left on device"), HubUnreachable, "is full"),
    ],
)
def test_errors_of_the_hub_say_what_to_do(cause: Exception, error: type[ModelError], says: str) -> None:
    def download(*_: Any, **__: Any) -> str:
        raise cause

    with pytest.raises(error) as caught:
        load_model("org/tiny", download=download)
    assert says in str(caught.value)
    assert "org/tiny" in str(caught.value)


def cached(cache: Path, commit: str, folder: Path, age_s: float) -> Path:
    """A copy of the model in the hub's cache, as a download leaves it."""
    copy = cache / "models--org--tiny" / "snapshots" / commit
    shutil.copytree(folder, copy)
    written = time.time() - age_s
    os.utime(copy, (written, written))
    return copy


def test_without_the_hub_the_newest_complete_copy_is_used_and_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(*_: Any, **__: Any) -> str:
        raise httpx.ConnectError("no route to host")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    cached(tmp_path, "a" * 40, folder, 300_000)
    whole = cached(tmp_path, "b" * 40, folder, 200_000)
    part = cached(tmp_path, "c" * 40, folder, 0)
    (part / "model.safetensors").unlink()
    loaded = load_model("org/tiny", download=download)
    assert (loaded.name, loaded.path) == ("org/tiny", whole)
    assert "bbbbbbbbbbbb" in loaded.notes[0]
    assert "no route to host" in loaded.notes[0]
    newest = load_model(
        "org/tiny", download=lambda *_, **__: str(part)
    )  # found in the cache, not looked into
    assert newest.path == whole
    assert "only a part of the newest copy of org/tiny is here" in newest.notes[0]
    (whole / "config.json").unlink()
    (tmp_path / "models--org--tiny" / "snapshots" / ("a" * 40) / "tokenizer.json").unlink()
    with pytest.raises(HubUnreachable, match="no route to host"):
        load_model("org/tiny", download=download)


@pytest.mark.parametrize(
    ("changes", "ends"),
    [
        ({"eos_token_id": [3, 5]}, {3, 5}),
        ({"eos_token_id": "<|im_end|>"}, set()),
        ({"eos_token_id": [7, -1, 1.5, None, "9", True, 10**25, 2**31 - 1, 1536]}, {7}),
        ({"eos_token_id": {"a": 1}, "text_config": "none", "vocab_size": 1536}, set()),
    ],
)
def test_only_ids_of_tokens_end_answers(folder: Path, changes: dict[str, Any], ends: set[int]) -> None:
    edit_config(**changes)(folder)
    loaded = load_model(folder)
    assert loaded.eos_token_ids == ends | {loaded.tokenizer.convert_tokens_to_ids("<|im_end|>")}
    assert loaded.vocab_size == 1536


def test_a_model_without_an_end_token_says_so(folder: Path) -> None:
    edit_config(eos_token_id=None)(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"eos_token": None}))
    loaded = load_model(folder)
    assert loaded.eos_token_ids == set()
    assert "each goes on to its limit" in loaded.notes[0]


def test_an_adapter_beside_the_weights_is_told(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    assert f"is not applied; --adapter {folder} applies it" in load_model(folder).notes[0]


def test_a_folder_whose_name_mlx_cannot_open_says_so(folder: Path) -> None:
    if sys.platform == "darwin":
        pytest.skip("its file systems have no such names")
    odd = folder.with_name(os.fsdecode(b"m\xe9"))
    folder.rename(odd)
    with pytest.raises(ModelFolderMissing, match="not UTF-8, so MLX cannot open it"):
        load_model(odd)


def test_links_to_nothing_beside_the_weights_do_not_matter(folder: Path) -> None:
    (folder / "adapters.safetensors").symlink_to("nowhere")
    assert load_model(folder).fingerprint


def test_code_of_a_model_runs_if_it_is_trusted(folder: Path) -> None:
    own = "from mlx_lm.models.qwen3 import Model, ModelArgs\n"
    (folder / "own.py").write_text(own)
    plain = load_model(folder)
    edit_config(model_file="own.py", model_type="own")(folder)
    with pytest.raises(UnsupportedArchitecture):
        load_model(folder)
    trusted = load_model(folder, trust_remote_code=True)
    (folder / "own.py").write_text("raise SystemExit('own code ended')")
    with pytest.raises(UnsupportedArchitecture, match="own code ended"):
        load_model(folder, trust_remote_code=True)
    tokens = mx.array([[5, 9, 12]])
    assert mx.array_equal(trusted.model(tokens), plain.model(tokens)).item()


def test_every_error_has_its_place_in_the_tree() -> None:
    errors = [value for value in vars(model_errors).values() if isinstance(value, type)]
    tree = model_errors.__doc__ or ""
    assert all(issubclass(error, ModelError) and error.__name__ in tree and error.__doc__ for error in errors)


def test_a_tokenizer_loads_though_transformers_refuses_the_models_configuration(folder: Path) -> None:
    edit_config(layer_types=["conv_mixer", "full_attention"])(folder)
    assert load_model(folder).tokenizer.encode("a", add_special_tokens=False)
