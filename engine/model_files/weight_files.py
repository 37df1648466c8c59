"""Chooses the weight files of a model folder by names, index and headers alone, without mlx.

The index, `model.safetensors.index.json`, is the manifest: only files that it names are loaded. Not all
folders follow it. A quantized copy may still have the index of its original model, which names files that
were never shipped; a second download may lie next to the first. mlx-lm merges all files named
`model*.safetensors`, in the order of the file system. So the files are chosen here before mlx-lm loads them.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.model_files.errors import BrokenWeights, WeightsMissing
from engine.model_files.safetensors_header import tensor_shapes
from engine.process.json_files import read_object

INDEX = "model.safetensors.index.json"
PATTERN = "model*.safetensors"
"""The files that mlx-lm treats as weights."""

_NUMBERED = re.compile(r"(?P<stem>.+)-(?P<number>\d+)-of-(?P<total>\d+)\.safetensors")
_LAYER = re.compile(r"(?<![\w])(?:layers|h|blocks|layer)\.(\d+)\.")
_OTHER_SENSES = re.compile(r"vision|visual|audio|image|mtp")  # parts that a text model may lack
_MAX_NAME_BYTES = 255  # bytes, on every usual file system
_UNFINISHED = (".incomplete", ".part", ".crdownload", ".download")


@dataclass(frozen=True, slots=True)
class WeightChoice:
    """Files that may be all of a model's weights, in order, and notes for people on why they were chosen.

    `damage` is the error of a file that was left out because it is damaged, or "".
    """

    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    damage: str = ""


def weight_choices(folder: Path) -> list[WeightChoice]:
    """The files to load, best first; later choices are for a model that lacks weights in the first.

    Raises:
        WeightsMissing: there are none.
        BrokenWeights: some are missing or damaged, or have no weights.
    """
    there = {path.name: path for path in sorted(folder.glob(PATTERN)) if path.is_file()}
    manifest, fault = _read_index(folder)
    named = {name: folder / name for name in sorted(set(manifest.values())) if (folder / name).is_file()}
    lacking = sorted(set(manifest.values()) - named.keys())
    if named and not lacking:
        return _by_index(folder, named, there)
    if not there:
        raise _no_weights(folder, lacking)
    if not lacking:
        notes = [fault] if fault else []
        return _with_fewer(_chosen(folder, there, notes), notes, ())
    stale = (
        f"{INDEX} names {len(lacking)} files that are not there, first {lacking[0]};"
        " it belongs to other weights and is not used"
    )
    try:
        choice = _chosen(folder, there, [stale], named.keys())
    except BrokenWeights as error:
        if not named:
            raise
        raise _unfinished(folder, lacking, len(lacking) + len(named)) from error
    if not _is_stale(folder, manifest, lacking, choice):
        raise _unfinished(folder, lacking, len(lacking) + len(named))
    return _with_fewer(choice, [stale], named.keys())


def _by_index(folder: Path, named: Mapping[str, Path], there: Mapping[str, Path]) -> list[WeightChoice]:
    for path in named.values():
        tensor_shapes(path)  # raises if it has no weights
    files = tuple(named.values())
    unlisted = [path for name, path in there.items() if name not in named]
    if not unlisted:
        return [WeightChoice(files)]
    note = f"{_listed(unlisted)} is not named by {INDEX} and is not loaded"
    notes = [f"{INDEX} does not name all weights of this model and is not used"]
    try:
        others = _with_fewer(_chosen(folder, there, notes, named.keys()), notes, named.keys())
    except BrokenWeights as error:  # files that the index does not name may be damaged
        return [WeightChoice(files, (note,), damage=str(error))]
    return [WeightChoice(files, (note,)), *others]


def _chosen(
    folder: Path, there: Mapping[str, Path], notes: list[str], named: Collection[str] = ()
) -> WeightChoice:
    """Files chosen without an index: complete sets, none of which repeats weights of another.

    `notes` say what is wrong with the index, if there is one; `named` are the files that it names.
    """
    whole, parts = _sets(there.values(), named)
    taken: list[Path] = []
    left: list[Path] = []
    damaged: list[Path] = []
    faults: list[BrokenWeights] = []
    tensors: set[str] = set()
    for files, missing in [*((files, []) for files in whole), *parts]:
        try:
            names = _names(files)
        except BrokenWeights as error:
            damaged += files
            faults.append(error)
            continue
        if missing and not (any(map(_is_usual, taken)) and names & tensors):
            raise _unfinished(folder, missing, len(files) + len(missing))
        if names & tensors:
            left += files
        else:
            taken += files
            tensors |= names
    if not any(map(_is_usual, taken)) and (not taken or any(map(_is_usual, damaged))):
        raise faults[0]  # a stray copy must not take the place of a damaged download
    if damaged:
        notes = [*notes, f"{_listed(damaged)} is damaged and is not loaded"]
    if left:
        notes = [*notes, f"{_listed(left)} has weights that {_listed(taken)} has too, and is not loaded"]
    elif len(taken) > 1 and not notes:
        notes = [f"there is no {INDEX}; {_listed(taken)} is loaded"]
    return WeightChoice(tuple(taken), tuple(notes), damage=str(faults[0]) if faults else "")


def _with_fewer(choice: WeightChoice, notes: list[str], named: Collection[str]) -> list[WeightChoice]:
    """The choice, and its largest set alone: the model may not use the other files."""
    sets = _sets(choice.files, named)[0]
    largest = max(sets, key=lambda files: sum(file.stat().st_size for file in files))
    others = [file for files in sets if files is not largest for file in files]
    if not others:
        return [choice]
    note = f"{_listed(others)} has weights that this model does not use, and is not loaded"
    return [choice, WeightChoice(tuple(largest), (*notes, note), choice.damage)]


def _is_usual(file: Path) -> bool:
    """Whether a file has a name under which models are shared."""
    return file.name == "model.safetensors" or _NUMBERED.fullmatch(file.name) is not None


def _sets(
    files: Iterable[Path], named: Collection[str]
) -> tuple[list[list[Path]], list[tuple[list[Path], list[str]]]]:
    """Files grouped by their numbers: complete sets, best first, and incomplete ones with what they lack.

    Sets of which an index names files (`named`) come first.
    """
    numbered: dict[tuple[str, int, int], dict[int, Path]] = {}
    single: list[list[Path]] = []
    for path in files:
        if found := _NUMBERED.fullmatch(path.name):
            key = (found["stem"], int(found["total"]), len(found["total"]))
            numbered.setdefault(key, {})[int(found["number"])] = path
        elif path.name == "model.safetensors":
            single.insert(0, [path])
        else:
            single.append([path])
    whole: list[list[Path]] = []
    parts: list[tuple[list[Path], list[str]]] = []
    for (stem, total, width), members in sorted(numbered.items()):
        wanted = range(total) if 0 in members else range(1, total + 1)
        missing = [number for number in wanted if number not in members]
        present = [members[number] for number in sorted(members)]
        if missing:
            lost = [f"{stem}-{number:0{width}}-of-{total:0{width}}.safetensors" for number in missing]
            parts.append((present, lost))
        else:
            whole.append(present)
    first = single[:1] if single and single[0][0].name == "model.safetensors" else []
    ordered = [*first, *whole, *single[len(first) :]]
    return sorted(ordered, key=lambda files: not any(file.name in named for file in files)), parts


def _is_stale(folder: Path, manifest: Mapping[str, str], lacking: list[str], choice: WeightChoice) -> bool:
    """Whether an index that names missing files belongs to other weights than the present ones."""
    have = _names(choice.files)
    lost = {tensor for tensor, name in manifest.items() if name in lacking}
    if lost <= have:
        return True
    if {path.name for path in choice.files} & set(manifest.values()):
        return False
    layers = _layers(manifest, _layer_count(folder)) - _layers(have, None)
    return not layers


def _layers(tensors: Iterable[str], count: int | None) -> set[int]:
    """The numbers of the text model's layers to which tensors of these names belong."""
    found = {
        int(match[1])
        for tensor in tensors
        if not _OTHER_SENSES.search(tensor) and (match := _LAYER.search(tensor))
    }
    return found if count is None else {number for number in found if number < count}


def _layer_count(folder: Path) -> int | None:
    config = read_object(folder / "config.json")
    sections = [config, *config.values()]
    counts = [section.get("num_hidden_layers") for section in sections if isinstance(section, dict)]
    return next((count for count in counts if type(count) is int), None)


def _read_index(folder: Path) -> tuple[dict[str, str], str]:
    """The file of each tensor, and why the index is unusable if it is."""
    file = folder / INDEX
    if not file.is_file():
        return {}, ""
    try:
        weight_map: Any = json.loads(file.read_bytes())["weight_map"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}, f"{INDEX} is not an index of weights and is not used; download it again"
    if not isinstance(weight_map, dict) or not weight_map:
        return {}, f"{INDEX} names no weights and is not used"
    if not all(isinstance(name, str) and _is_plain(name) for name in weight_map.values()):
        return {}, f"{INDEX} names files that are not safetensors files of this folder, and is not used"
    return weight_map, ""


def _is_plain(name: str) -> bool:
    """Whether this names a file in the folder itself: an index from a model must not lead elsewhere.

    The name must also be printable, and short enough for a file system.
    """
    of_folder = name == Path(name).name and name.endswith(".safetensors")
    return of_folder and name.isprintable() and len(name.encode()) <= _MAX_NAME_BYTES


def _names(files: Iterable[Path]) -> set[str]:
    return set(itertools.chain.from_iterable(tensor_shapes(path) for path in files))


def _no_weights(folder: Path, lacking: list[str]) -> WeightsMissing:
    names = sorted(path.name for path in folder.iterdir())
    if unfinished := next((name for name in names if name.endswith(_UNFINISHED)), ""):
        return WeightsMissing(f"{folder} is unfinished: there is {unfinished}; finish the download")
    if lacking:
        return WeightsMissing(
            f"{folder} is unfinished: all {len(lacking)} weight files are missing, first {lacking[0]};"
            " finish the download"
        )
    if dangling := next((path for path in sorted(folder.glob(PATTERN)) if path.is_symlink()), None):
        return WeightsMissing(
            f"{dangling} is a link to {dangling.readlink()}, which is no file; finish the download"
        )
    hint = "finish the download, or convert the model with mlx_lm.convert"
    if any(name.endswith(".gguf") for name in names):
        hint = "MLX does not read .gguf, look for the model's MLX version"
    elif any(name.endswith((".bin", ".pth", ".pt")) for name in names):
        hint = "convert it with mlx_lm.convert"
    elif any(name.startswith("adapter") for name in names):
        hint = "this is an adapter; name its model, and this folder with --adapter"
    return WeightsMissing(f"{folder} has no weights that MLX can load: no {PATTERN}; {hint}")


def _unfinished(folder: Path, lacking: list[str], of: int) -> BrokenWeights:
    return BrokenWeights(
        f"{folder} is unfinished: {len(lacking)} of {of} weight files are missing, first {lacking[0]};"
        " finish the download"
    )


def _listed(files: Iterable[Path]) -> str:
    names = [path.name for path in files]
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
