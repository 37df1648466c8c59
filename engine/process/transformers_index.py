"""Keep what transformers finds out about its own files from one start of an engine to the next.

Its import reads all of its 1,600 model files, twice, to learn which names are in which: a third of what an
engine's start costs before there is a model. The outcome is kept as Python keeps compiled modules: beside
them, for as long as the sources are what they were, and only where that folder may be written to.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import cache_from_source
from pathlib import Path
from types import ModuleType
from typing import Any

_MODULE = "transformers.utils.import_utils"
_READER = "create_import_structure_from_path"

ReadStructure = Callable[[Any], Any]


def keep_transformers_index() -> None:
    """To be called before anything imports transformers; afterwards, or without it, this does nothing."""
    if _MODULE not in sys.modules and not any(isinstance(one, _Finder) for one in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _MODULE:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _KeepingLoader(spec.loader)
        return spec


class _KeepingLoader(Loader):
    """Loads the module as its own loader does, then puts `kept` around the function that reads the files."""

    def __init__(self, own: Loader) -> None:
        self._own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._own
        if module.__spec__ is not None:
            module.__spec__.loader = self._own
        self._own.exec_module(module)
        read = getattr(module, _READER, None)
        if read is not None and module.__file__ is not None:
            setattr(module, _READER, kept(read, Path(module.__file__).parents[1] / "models"))


def kept(read: ReadStructure, folder: Path) -> ReadStructure:
    """`read`, whose outcome for `folder` is kept on disk and in memory.

    It may be asked by the folder's path, of either type, or by that of its `__init__.py`. A model file that
    is edited where it lies is not noticed, one that is installed, added or removed is.
    """
    store = Path(cache_from_source(str(folder / "__init__.py"))).with_suffix(".index")
    found: list[Any] = []

    def structure(path: Any) -> Any:
        if Path(path) not in (folder, folder / "__init__.py"):
            return read(path)
        if not found:
            _make_folder(store.parent)  # first: it changes the time of the one that it is in
            state = _state(folder)
            before = _load(store)
            if before is None or before[0] != state:
                before = (state, read(folder))
                _save(store, before)
            found.append(before[1])
        return found[0]

    structure.__wrapped__ = read  # type: ignore[attr-defined]
    return structure


def _state(folder: Path) -> tuple[tuple[int, int], ...]:
    """What changes with the sources: of the package, of what reads it, and of the folder."""
    package = folder.parent
    looks = [(package / name).stat() for name in ("__init__.py", "utils/import_utils.py", "models")]
    return tuple((look.st_mtime_ns, look.st_size) for look in looks)


def _load(store: Path) -> tuple[Any, Any] | None:
    try:
        state, found = marshal.loads(store.read_bytes())
    except (OSError, ValueError, EOFError, TypeError):  # not there, or damaged
        return None
    return state, found


def _make_folder(folder: Path) -> None:
    if not sys.dont_write_bytecode:
        with suppress(OSError):
            folder.mkdir(exist_ok=True)


def _save(store: Path, what: tuple[Any, Any]) -> None:
    if sys.dont_write_bytecode:
        return
    made = store.with_suffix(f".{os.getpid()}")
    with suppress(OSError, ValueError):  # no right to write there, or nothing that can be kept
        made.write_bytes(marshal.dumps(what))
        made.replace(store)
