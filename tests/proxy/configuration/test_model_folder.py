from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.configuration.model_folder import check_model_folder, context_window, hub_id_or_folder
from proxy.configuration.settled import ConfigError

WEIGHTS = b"\x08\0\0\0\0\0\0\0{}      "

INDEX_OF_TWO = b'{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}'


def model(folder: Path, *, config: Any = None, files: dict[str, bytes] | None = None) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen3"} if config is None else config))
    for name, content in ({"model.safetensors": WEIGHTS} if files is None else files).items():
        (folder / name).write_bytes(content)
    return folder


def test_a_model_passes(tmp_path: Path) -> None:
    check_model_folder(model(tmp_path))


def test_a_model_in_parts_passes(tmp_path: Path) -> None:
    parts = {f"model-{n}-of-2.safetensors": WEIGHTS for n in (1, 2)}
    index = json.dumps({"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}})
    check_model_folder(model(tmp_path, files={**parts, "model.safetensors.index.json": index.encode()}))


@pytest.mark.parametrize(
    ("config", "files", "says"),
    [
        ({}, None, 'no "model_type"'),
        ({"model_type": 3}, None, 'no "model_type"'),
        ([], None, 'no "model_type"'),
        (None, {}, "no weights"),
        (None, {"x.gguf": b"GGUF"}, "does not read .gguf"),
        (None, {"pytorch_model.bin": b"1"}, "mlx_lm.convert"),
        (None, {"adapters.safetensors": WEIGHTS}, "with --adapter"),
        (None, {"model.safetensors.incomplete": WEIGHTS}, "finish the download"),
        (None, {"model.safetensors": b"version https://git-lfs.github.com/spec/v1\n"}, "git lfs pull"),
        (None, {"model.safetensors": b""}, "empty or truncated"),
        (
            None,
            {
                "model-1.safetensors": WEIGHTS,
                "model.safetensors.index.json": INDEX_OF_TWO,
            },
            "1 of 2 weight files are missing, first model-2.safetensors",
        ),
        (
            None,
            {"model-1-of-2.safetensors": WEIGHTS, "model.safetensors.index.json": b"{"},
            "1 of 2 weight files are missing, first model-2-of-2.safetensors",
        ),
    ],
)  # fmt: skip
def test_what_mlx_could_not_load_is_said_in_one_line(
    tmp_path: Path, config: Any, files: dict[str, bytes] | None, says: str
) -> None:
    with pytest.raises(ConfigError, match=r"^[^\n]*$") as caught:
        check_model_folder(model(tmp_path, config=config, files=files))
    assert says in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_missing_folder_a_file_and_a_plain_folder_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "plain").mkdir()
    for name, says in [("gone", "does not exist"), ("file", "is a file"), ("plain", "no config.json")]:
        with pytest.raises(ConfigError, match=says):
            check_model_folder(tmp_path / name)


def test_a_folder_of_adapters_is_told_from_a_model(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ConfigError, match="holds an adapter, not a model; name its model"):
        check_model_folder(tmp_path)


def test_the_model_one_folder_further_down_is_suggested(tmp_path: Path) -> None:
    inner = model(tmp_path / "inner")
    with pytest.raises(ConfigError, match=f"did you mean {inner}"):
        check_model_folder(tmp_path)


def test_broken_config_json_is_said_to_be(tmp_path: Path) -> None:
    (model(tmp_path) / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"config\.json cannot be read .*; download it again"):
        check_model_folder(tmp_path)


class TestHubIdOrFolder:
    def test_a_hub_id_stays_one(self, tmp_path: Path) -> None:
        assert (
            hub_id_or_folder("org/Some-Model.4bit", base=tmp_path, user_home=tmp_path)
            == "org/Some-Model.4bit"
        )

    @pytest.mark.parametrize("text", ["models/mine", "./models/mine", "~/models/mine"])
    def test_a_folder_becomes_absolute(self, tmp_path: Path, text: str) -> None:
        folder = model(tmp_path / "models" / "mine")
        assert hub_id_or_folder(text, base=tmp_path, user_home=tmp_path) == str(folder)

    @pytest.mark.parametrize("text", ["Qwen3", "a/b/c", "owner/na me", "x" * 9999])
    def test_anything_else_is_refused(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(ConfigError, match=r"neither a folder|cannot be read"):
            hub_id_or_folder(text, base=tmp_path, user_home=tmp_path)


@pytest.mark.parametrize(
    ("config", "tokens"),
    [
        ({"max_position_embeddings": 32768}, 32768),
        ({"text_config": {"max_position_embeddings": 4096}}, 4096),
        ({"text_config": None}, 0),
        ({"max_position_embeddings": "many"}, 0),
        ([], 0),
    ],
)
def test_the_context_window_is_read_from_the_config(tmp_path: Path, config: Any, tokens: int) -> None:
    assert context_window(model(tmp_path, config=config)) == tokens
