"""Where models are on this machine: the stores of other programs, and folders that the configuration names.

Formats: Hugging Face's cache has `models--OWNER--NAME/` with `blobs/`, `refs/` and `snapshots/COMMIT/`
(huggingface_hub's docs, "Understand caching"). LM Studio keeps `PUBLISHER/MODEL/` below `models/` of its
home: `~/.cache/lm-studio` of older versions, else `~/.lmstudio`, or what `~/.lmstudio-home-pointer` names
(lmstudio-js, `findLMStudioHome`); `downloadsFolder` of its settings.json moves it. Ollama has
`manifests/HOST/NAMESPACE/MODEL/TAG`, which name `blobs/` by their hash.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from engine import bundled_model
from engine.model_files.hub_files import hub_cache
from engine.process.json_files import read_object

_HUB_PREFIX = "models--"
_DEPTH = 3  # levels below a configured folder at which a model may be
_WEIGHTS = (".safetensors", ".gguf", ".bin", ".pth")
_MANIFEST_BYTES = 1 << 20
_IMAGE = "application/vnd.ollama.image."


class StoreKind(StrEnum):
    """Who keeps the models."""

    HUB = "Hugging Face"
    LM_STUDIO = "LM Studio"
    FOLDER = "folder"
    OLLAMA = "Ollama"
    BUNDLED = "bundled"


@dataclass(frozen=True, slots=True)
class ModelStore:
    """One store: its kind and its folder, which need not exist."""

    kind: StoreKind
    root: Path


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model in a store: its name there, and the folder that a host would be given.

    `whole` is all that it takes in the store. `unfit` says why no engine can load it, where the store alone
    tells; `bytes_hint` is then its size, and `unfinished` counts files whose download was interrupted.
    """

    name: str
    store: ModelStore
    path: Path
    whole: Path
    unfit: str = ""
    bytes_hint: int = 0
    unfinished: int = 0


def stores(
    environ: Mapping[str, str], user_home: Path, model_folders: Sequence[str] = ()
) -> list[ModelStore]:
    """All stores of this user that may exist; each folder once."""
    found = [ModelStore(StoreKind.HUB, hub_cache(environ, user_home))]
    found += [ModelStore(StoreKind.LM_STUDIO, root) for root in lm_studio_roots(user_home)]
    found += [
        ModelStore(StoreKind.FOLDER, user_home / text[2:] if text.startswith("~/") else Path(text))
        for text in (f"{user_home}/" if each == "~" else each for each in model_folders)
    ]
    found += [ModelStore(StoreKind.OLLAMA, root) for root in _ollama_roots(environ, user_home)]
    return list({_real(store.root): store for store in reversed(found)}.values())[::-1]


def models_in(store: ModelStore) -> Iterator[FoundModel]:
    """The models of a store, by their names; nothing from a store that is not there or cannot be read."""
    readers = {
        StoreKind.HUB: _hub_models,
        StoreKind.LM_STUDIO: _lm_studio_models,
        StoreKind.FOLDER: _folder_models,
        StoreKind.OLLAMA: _ollama_models,
        StoreKind.BUNDLED: _bundled,
    }
    try:
        yield from sorted(readers[store.kind](store), key=lambda model: model.name.lower())
    except OSError:
        return


BUNDLED_STORE = ModelStore(StoreKind.BUNDLED, bundled_model.FOLDER)


def lm_studio_roots(user_home: Path) -> list[Path]:
    """The folders in which LM Studio may keep models."""
    homes = [user_home / ".lmstudio", user_home / ".cache" / "lm-studio"]
    try:
        pointed = (user_home / ".lmstudio-home-pointer").read_text("utf-8").strip()
    except (OSError, ValueError):
        pointed = ""
    if pointed.startswith("/"):
        homes.insert(0, Path(pointed))
    roots: list[Path] = []
    for home in homes:
        moved = read_object(home / "settings.json").get("downloadsFolder")
        if isinstance(moved, str) and moved.startswith("/"):
            roots.append(Path(moved))
        roots.append(home / "models")
    return list(dict.fromkeys(roots))


def _ollama_roots(environ: Mapping[str, str], user_home: Path) -> list[Path]:
    if given := environ.get("OLLAMA_MODELS"):
        return [Path(given)]
    return [user_home / ".ollama" / "models", Path("/usr/share/ollama/.ollama/models")]


def _hub_models(store: ModelStore) -> Iterator[FoundModel]:
    for entry in os.scandir(store.root):
        if not entry.name.startswith(_HUB_PREFIX) or not _is_folder(entry):
            continue
        whole = Path(entry.path)
        name = entry.name.removeprefix(_HUB_PREFIX).replace("--", "/")
        unfinished = sum(1 for file in _listed(whole / "blobs") if file.name.endswith(".incomplete"))
        snapshot = _snapshot(whole)
        if snapshot is None:
            reason = "its download has only begun" if unfinished else "it holds no files"
            yield FoundModel(
                name, store, whole, whole, f"{reason}; anyclaude-tui models pull {name}", 0, unfinished
            )
        else:
            yield FoundModel(name, store, snapshot, whole, unfinished=unfinished)


def _snapshot(whole: Path) -> Path | None:
    """The snapshot of the branch main, else the newest."""
    snapshots = whole / "snapshots"
    try:
        main = snapshots / (whole / "refs" / "main").read_text("utf-8").strip()
        if main.is_dir() and main.parent == snapshots:
            return main
    except (OSError, ValueError):
        pass
    found = [entry for entry in _listed(snapshots) if _is_folder(entry)]
    newest = max(found, key=lambda entry: entry.stat().st_mtime, default=None)
    return Path(newest.path) if newest is not None else None


def _lm_studio_models(store: ModelStore) -> Iterator[FoundModel]:
    for publisher in _listed(store.root):
        if publisher.name.startswith(".") or not _is_folder(publisher):
            continue
        for model in _listed(Path(publisher.path)):
            if _is_folder(model) and not model.name.startswith("."):
                path = Path(model.path)
                yield _in_folder(f"{publisher.name}/{model.name}", store, path)


def _folder_models(store: ModelStore) -> Iterator[FoundModel]:
    seen: set[Path] = set()

    def walk(folder: Path, depth: int) -> Iterator[FoundModel]:
        real = _real(folder)
        if real in seen:
            return
        seen.add(real)
        entries = list(_listed(folder))
        if any(entry.name == "config.json" or entry.name.endswith(_WEIGHTS) for entry in entries):
            name = str(folder.relative_to(store.root)) if folder != store.root else folder.name
            yield _in_folder(name, store, folder)
            return
        for entry in entries:
            if depth and _is_folder(entry) and not entry.name.startswith("."):
                yield from walk(Path(entry.path), depth - 1)

    yield from walk(store.root, _DEPTH)


def _in_folder(name: str, store: ModelStore, folder: Path) -> FoundModel:
    entries = list(_listed(folder))
    names = {entry.name for entry in entries}
    gguf = [entry for entry in entries if entry.name.endswith(".gguf")]
    if gguf and not any(file.endswith(".safetensors") for file in names):
        total = sum(map(_bytes, gguf))
        return FoundModel(name, store, folder, folder, gguf_reason(name), total)
    unfinished = sum(file.endswith((".incomplete", ".part", ".crdownload", ".download")) for file in names)
    return FoundModel(name, store, folder, folder, unfinished=unfinished)


def gguf_reason(name: str) -> str:
    """Why a GGUF model is not loaded, and what to do."""
    base = name.rpartition("/")[2].removesuffix("-GGUF").removesuffix("-gguf").split(":")[0]
    return f"GGUF, which MLX does not read; look for {base} in MLX format (mlx-community on the hub)"


def _ollama_models(store: ModelStore) -> Iterator[FoundModel]:
    manifests = store.root / "manifests"
    for file in sorted(manifests.glob("*/*/*/*")):
        if not file.is_file() or file.stat().st_size > _MANIFEST_BYTES:
            continue
        host, space, model, tag = file.relative_to(manifests).parts
        prefix = "" if space == "library" else f"{space}/"
        name = f"{'' if host in ('registry.ollama.ai', 'ollama.com') else host + '/'}{prefix}{model}:{tag}"
        layers = read_object(file).get("layers")
        rows = [row for row in layers if isinstance(row, dict)] if isinstance(layers, list) else []
        size = sum(row["size"] for row in rows if type(row.get("size")) is int)
        kinds = {str(row.get("mediaType", "")).removeprefix(_IMAGE).split(";")[0] for row in rows}
        if "tensor" in kinds:
            reason = "Ollama keeps its MLX weights in blobs of its own; pull the model from Hugging Face"
        elif "model" in kinds:
            reason = gguf_reason(name)
        else:
            reason = "a manifest without weights"
        yield FoundModel(name, store, file, file, f"{reason} (to remove it: ollama rm {name})", size)


def _bundled(store: ModelStore) -> Iterator[FoundModel]:
    yield FoundModel(bundled_model.NAME, store, store.root, store.root)


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder; a loop of links and what may not be looked at is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _bytes(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:  # a link to nothing
        return 0


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a loop of links
        return path.absolute()
