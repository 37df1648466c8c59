"""Weight files that belong together are loaded, and the log says which are not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from engine.model_files.errors import BrokenWeights, ModelError, WeightsMissing
from engine.model_files.weight_files import INDEX, weight_choices
from engine.models.loading import LoadedModel, load_model
from proxy.configuration.model_folder import check_model_folder, context_window
from proxy.configuration.settled import ConfigError
from tests.models import TINY, ModelShelf

Weights = Mapping[str, mx.array]
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
F, S = f"first {FIRST}; finish the download", f"first {SECOND}; finish the download"


class Folder:
    """A model whose weight files a test writes; `good` are its weights, `other` ones of the same names."""

    def __init__(self, path: Path, source: Path) -> None:
        self.path = path
        path.mkdir()
        for file in source.iterdir():
            if file.suffix != ".safetensors":
                (path / file.name).symlink_to(file)
        good = mx.load(str(source / "model.safetensors"))
        assert isinstance(good, dict)
        self.good: Weights = good
        self.other: Weights = {name: array + 1 for name, array in good.items()}
        names = sorted(good)
        self.halves = names[: len(names) // 2], names[len(names) // 2 :]

    def put(self, name: str, weights: Weights) -> None:
        mx.save_safetensors(str(self.path / name), dict(weights), metadata={"format": "mlx"})

    def put_halves(self) -> None:
        for name, half in zip((FIRST, SECOND), self.halves, strict=True):
            self.put(name, {tensor: self.good[tensor] for tensor in half})

    def index(self, content: Any) -> None:
        text = content if isinstance(content, str) else json.dumps({"weight_map": content})
        (self.path / INDEX).write_text(text)

    def index_halves(self, names: tuple[str, str] = (FIRST, SECOND)) -> None:
        self.index({tensor: name for name, half in zip(names, self.halves, strict=True) for tensor in half})

    def loaded(self) -> LoadedModel:
        check_model_folder(self.path)
        return load_model(self.path)

    def is_good(self, loaded: LoadedModel) -> bool:
        return bool(mx.array_equal(loaded.model.model.norm.weight, self.good["model.norm.weight"]))


@pytest.fixture
def folder(tmp_path: Path, shelf: ModelShelf) -> Folder:
    return Folder(tmp_path / "model", shelf.tiny())


Lay = Callable[[Folder], None]


def stale_index(folder: Folder) -> None:
    folder.put("model.safetensors", folder.good)
    folder.index_halves(("model-00001-of-00009.safetensors", "model-00009-of-00009.safetensors"))


def stale_index_beside_parts(folder: Folder) -> None:
    folder.put_halves()
    folder.index_halves(("model-00001-of-00009.safetensors", "model-00009-of-00009.safetensors"))


def stale_index_in_part(folder: Folder) -> None:
    folder.put("model.safetensors", folder.good)
    folder.index_halves(("model.safetensors", "model-extra.safetensors"))


def index_of_no_json(folder: Folder) -> None:
    folder.put("model.safetensors", folder.good)
    folder.index("version https://git-lfs.github.com/spec/v1")


def empty_index(folder: Folder) -> None:
    folder.put_halves()
    folder.index({})


def index_that_leads_elsewhere(folder: Folder) -> None:
    folder.put("model.safetensors", folder.good)
    folder.put("../model.safetensors", folder.other)
    folder.index(dict.fromkeys(folder.other, "../model.safetensors"))


def index_of_a_name_that_no_file_has(folder: Folder) -> None:
    folder.put("model.safetensors", folder.good)
    folder.index(dict.fromkeys(folder.good, "x" * 300 + ".safetensors"))


def index_with_orders_for_a_terminal(folder: Folder) -> None:
    folder.put("model.safetensors", folder.good)
    folder.index(dict.fromkeys(folder.good, "\n\x1b[2Jmodel.safetensors"))


def stray(name: str) -> Lay:
    def lay(folder: Folder) -> None:
        folder.put_halves()
        folder.index_halves()
        folder.put(name, folder.other)

    return lay


def stray_that_is_damaged(folder: Folder) -> None:
    stray("model.safetensors")(folder)
    (folder.path / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1")


def index_that_is_not_all(folder: Folder) -> None:
    folder.put_halves()
    folder.index(dict.fromkeys(folder.halves[0], FIRST))


def index_of_another_name(folder: Folder) -> None:
    folder.put("weights.safetensors", folder.good)
    folder.index(dict.fromkeys(folder.good, "weights.safetensors"))


def parts_without_index(folder: Folder) -> None:
    folder.put_halves()


def copy_without_index(folder: Folder) -> None:
    folder.put("model.safetensors", folder.good)
    folder.put("model copy.safetensors", folder.other)


def weights_that_the_model_does_not_take(folder: Folder) -> None:
    folder.put_halves()
    folder.put("model-mtp.safetensors", {"mtp.weight": mx.ones(4)})


def empty_file_without_index(folder: Folder) -> None:
    folder.put("model.safetensors", folder.good)
    (folder.path / "model-00001-of-00001.safetensors").write_bytes(b"")


def part_that_is_damaged_without_index(folder: Folder) -> None:
    folder.put("model.safetensors", folder.good)
    (folder.path / FIRST).write_text("version https://git-lfs.github.com/spec/v1")


def another_whole_set(folder: Folder) -> None:
    folder.put_halves()
    folder.index_halves((FIRST, "model-visual.safetensors"))
    folder.put("model-00001-of-00001.safetensors", folder.other)


def another_part_and_half_an_index(folder: Folder) -> None:
    index_that_is_not_all(folder)
    folder.put("model.safetensors", dict(list(folder.other.items())[:2]))


def other_senses_under_the_models_name(folder: Folder) -> None:
    folder.put_halves()
    folder.put("model.safetensors", {"mtp.weight": mx.ones(4)})


def part_of_another_without_index(folder: Folder) -> None:
    folder.put("model.safetensors", folder.good)
    folder.put(FIRST, {tensor: folder.other[tensor] for tensor in folder.halves[0]})


@pytest.mark.parametrize(
    ("lay", "told"),
    [
        (stale_index, "names 2 files that are not there, first model-00001-of-00009.safetensors"),
        (stale_index_beside_parts, "belongs to other weights and is not used"),
        (stale_index_in_part, "names 1 files that are not there, first model-extra.safetensors"),
        (index_of_no_json, "is not an index of weights"),
        (empty_index, "names no weights"),
        (index_that_leads_elsewhere, "names files that are not safetensors files of this folder"),
        (index_of_a_name_that_no_file_has, "names files that are not safetensors files of this folder"),
        (index_with_orders_for_a_terminal, "names files that are not safetensors files of this folder"),
        (stray("model-00001-of-00004.safetensors"), "model-00001-of-00004.safetensors is not named"),
        (stray("model (1).safetensors"), "is not loaded"),
        (stray("model.safetensors"), "is not loaded"),
        (stray_that_is_damaged, "is not loaded"),
        (index_that_is_not_all, "does not name all weights"),
        (index_of_another_name, ""),
        (parts_without_index, f"there is no {INDEX}"),
        (copy_without_index, "model copy.safetensors has weights that model.safetensors has too"),
        (weights_that_the_model_does_not_take, "model-mtp.safetensors has weights that this model does not"),
        (empty_file_without_index, "model-00001-of-00001.safetensors is damaged and is not loaded"),
        (part_that_is_damaged_without_index, f"{FIRST} is damaged and is not loaded"),
        (another_whole_set, "belongs to other weights and is not used"),
        (another_part_and_half_an_index, "does not name all weights"),
        (other_senses_under_the_models_name, "model.safetensors has weights that this model does not"),
        (part_of_another_without_index, f"{FIRST} has weights that model.safetensors has too"),
    ],
)
def test_weights_that_belong_together_are_loaded_and_logged(
    folder: Folder, caplog: pytest.LogCaptureFixture, lay: Lay, told: str
) -> None:
    lay(folder)
    assert folder.is_good(folder.loaded())
    lines = [record.getMessage() for record in caplog.records if record.name == "engine"]
    assert bool(lines) == bool(told)
    assert all("\n" not in line for line in lines)
    assert any(told in line for line in lines) or not told


def test_files_that_are_not_loaded_do_not_change_the_fingerprint(folder: Folder) -> None:
    folder.put_halves()
    folder.index_halves()
    before = folder.loaded().fingerprint
    folder.put("model.safetensors", folder.other)
    assert folder.loaded().fingerprint == before
    (folder.path / INDEX).unlink()  # model.safetensors is the model now
    assert folder.loaded().fingerprint != before


@pytest.mark.parametrize("name", ["model[4bit]", "[ab]", "a*", "mødel 漢 (1)"])
def test_a_folder_of_any_name_is_loaded_and_no_other(tmp_path: Path, shelf: ModelShelf, name: str) -> None:
    right, wrong = Folder(tmp_path / name, shelf.tiny()), Folder(tmp_path / "ab", shelf.tiny())
    right.put("model.safetensors", right.good)
    wrong.put("model.safetensors", wrong.other)
    assert right.is_good(right.loaded())


@pytest.mark.parametrize(
    "entry",
    [
        {"shape": [1], "data_offsets": ["0", "4"]},
        {"shape": [1], "data_offsets": [None, None]},
        {"shape": [1], "data_offsets": [-4, 0]},
        {"shape": [1], "data_offsets": [0, 1e400]},
        {"shape": ["2", "2"], "data_offsets": [0, 4]},
        {"shape": {"2": 2}, "data_offsets": [0, 4]},
        {"shape": [-1, 4], "data_offsets": [0, 4]},
    ],
    ids=str,
)
def test_a_header_with_invalid_sizes_is_damaged(folder: Folder, entry: dict[str, Any]) -> None:
    header = json.dumps({"wpe.weight": {"dtype": "F32"} | entry}).encode()
    weights = len(header).to_bytes(8, "little") + header + bytes(8)
    (folder.path / "model.safetensors").write_bytes(weights)
    with pytest.raises(ConfigError, match="its header cannot be read; download it again"):
        check_model_folder(folder.path)
    with pytest.raises(BrokenWeights, match="its header cannot be read; download it again"):
        load_model(folder.path)
    assert context_window(folder.path) == TINY.context_length


def without(name: str, lay: Lay) -> Lay:
    def lose(folder: Folder) -> None:
        lay(folder)
        (folder.path / name).unlink()

    return lose


def indexed(folder: Folder) -> None:
    folder.put_halves()
    folder.index_halves()


def some_more_layers(folder: Folder) -> None:
    folder.put("model-visual.safetensors", {"visual.patch": mx.ones(4)})
    folder.index_halves()


def half_a_download(folder: Folder) -> None:
    folder.index_halves()
    (folder.path / f"{FIRST}.incomplete").write_bytes(b"")


def truncated(folder: Folder) -> None:
    folder.put("model.safetensors", folder.good)
    weights = (folder.path / "model.safetensors").read_bytes()
    (folder.path / "model.safetensors").write_bytes(weights[:-1])


def truncated_beside_a_copy(folder: Folder) -> None:
    truncated(folder)
    folder.put("model-copy.safetensors", folder.other)


def half_and_a_copy(folder: Folder) -> None:
    without(SECOND, indexed)(folder)
    folder.put("model-copy.safetensors", folder.other)


def a_part_and_something_else(folder: Folder) -> None:
    folder.put("model-visual.safetensors", {"visual.patch": mx.ones(4)})
    folder.put(FIRST, {tensor: folder.good[tensor] for tensor in folder.halves[0]})


@pytest.mark.parametrize(
    ("lay", "error", "says"),
    [
        (without(SECOND, indexed), BrokenWeights, f"1 of 2 weight files are missing, {S}"),
        (without(FIRST, indexed), BrokenWeights, f"1 of 2 weight files are missing, {F}"),
        (without(SECOND, parts_without_index), BrokenWeights, f"1 of 2 weight files are missing, {S}"),
        (some_more_layers, BrokenWeights, f"2 of 2 weight files are missing, {F}"),
        (a_part_and_something_else, BrokenWeights, f"1 of 2 weight files are missing, {S}"),
        (half_a_download, WeightsMissing, f"is unfinished: there is {FIRST}.incomplete"),
        (lambda folder: folder.index_halves(), WeightsMissing, f"all 2 weight files are missing, {F}"),
        (truncated, BrokenWeights, "is damaged or truncated"),
        (truncated_beside_a_copy, BrokenWeights, "model.safetensors is damaged or truncated"),
        (half_and_a_copy, BrokenWeights, f"1 of 2 weight files are missing, {S}"),
    ],
)  # fmt: skip
def test_an_unfinished_download_is_refused_before_loading_with_the_missing_file(
    folder: Folder, lay: Lay, error: type[ModelError], says: str
) -> None:
    lay(folder)
    with pytest.raises(error) as caught:
        load_model(folder.path)
    with pytest.raises(ConfigError) as refused:
        check_model_folder(folder.path)
    assert says in str(caught.value)
    assert str(refused.value) == str(caught.value)
    assert str(folder.path) in str(caught.value)


def test_a_folder_that_lacks_weights_is_refused(folder: Folder) -> None:
    folder.put("model.safetensors", {tensor: folder.good[tensor] for tensor in folder.halves[0]})
    with pytest.raises(BrokenWeights, match=r"do not fit its config\.json \(Missing \d+ parameters"):
        load_model(folder.path)


def test_an_index_may_name_layers_that_the_quantized_model_lacks(folder: Folder) -> None:
    folder.put("model.safetensors", folder.good)
    names = ["model.layers.1.mlp.weight", "model.layers.2.mtp_block.weight", "visual.blocks.31.weight"]
    folder.index(dict.fromkeys(names, "model-00001-of-00001.safetensors"))
    assert weight_choices(folder.path)[0].files == (folder.path / "model.safetensors",)
