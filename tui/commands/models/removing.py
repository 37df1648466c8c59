"""`anyclaude-tui models rm`: remove a model from its store, and say first what would go."""

from __future__ import annotations

import fcntl
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.options.kinds import printable
from proxy.local_models.facts import files_below
from proxy.local_models.local_models import is_called
from proxy.local_models.stores import FoundModel, ModelStore, StoreKind
from tui.client.figures import plural, size
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say
from tui.commands.models.inventory import Inventory
from tui.commands.models.running import UNKNOWN, running_models
from tui.commands.output import write_data
from tui.commands.trust_question import YES

_SHOWN = 12  # files of the list
_REMOVABLE = (StoreKind.HUB, StoreKind.LM_STUDIO, StoreKind.FOLDER)

AskRemoval = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class ModelRemoval:
    """What would go: a folder of a store, or only a link to one."""

    model: FoundModel
    folder: Path
    is_link: bool
    files: tuple[tuple[Path, int], ...]

    @property
    def nbytes(self) -> int:
        return sum(nbytes for _, nbytes in self.files)


def run_models_rm(
    invocation: Invocation, name: str, *, yes: bool, as_json: bool, ask: AskRemoval | None = None
) -> int:
    """Show what would go, and remove it after a yes; returns the exit code, 1 where the answer was no.

    Raises:
        proxy.configuration.settled.ConfigError, CommandFailed: see `Invocation`; there is no such model in a
            store, a host uses it, or it cannot be removed.
    """
    inventory = Inventory.settle(invocation)
    # Without a question a part of a name is too little: once its model is gone, it would fit another one.
    model = inventory.find(name, in_part=not yes)
    removal = removal_of(model, inventory.stores)
    check_unused(model, inventory)
    check_not_downloading(model)
    if inventory.is_configured(model):
        say("note: the configuration names this model; the next start would need another one, or download it")
    if not as_json:
        write_data("".join(f"{line}\n" for line in _lines(removal)))
    agreed = yes or (ask or _question())()
    if agreed:
        _remove(removal)
    if as_json:
        document = {
            "name": model.name,
            "path": str(removal.folder),
            "bytes": removal.nbytes,
            "files": [str(file) for file, _ in removal.files],
            "removed": agreed,
        }
        write_data(json.dumps(document, indent=1) + "\n")
    if not agreed:
        say("nothing was removed; --yes removes it without a question")
        return 1
    say(f"removed {model.name}: {size(removal.nbytes)} are free")
    return ExitCode.FINE


def removal_of(model: FoundModel, stores: tuple[ModelStore, ...]) -> ModelRemoval:
    """What has to go for a model to be gone.

    Raises:
        CommandFailed: it is in no store from which models are removed, or leads out of it.
    """
    kind = model.store.kind
    if kind is StoreKind.OLLAMA:
        raise CommandFailed(
            ExitCode.USAGE, f"Ollama shares files between models; use: ollama rm {model.name}"
        )
    if kind is StoreKind.BUNDLED:
        raise CommandFailed(ExitCode.USAGE, "the bundled demo model is a part of anyclaude-tui and stays")
    if model.store not in stores or kind not in _REMOVABLE:
        known = ", ".join(str(store.root) for store in stores if store.kind in _REMOVABLE)
        raise CommandFailed(
            ExitCode.USAGE,
            f"{model.path} is in none of the stores ({known}), and nothing outside of them is removed; remove"
            " it yourself, or name its folder in modelFolders",
        )
    whole, root = model.whole, model.store.root
    if whole == root:
        raise CommandFailed(ExitCode.USAGE, f"{whole} is a whole store; remove it yourself if you mean that")
    if whole.is_symlink():
        return ModelRemoval(model, whole, True, ())
    if not whole.resolve().is_relative_to(root.resolve()):
        raise CommandFailed(
            ExitCode.USAGE, f"{whole} leads out of its store, to {whole.resolve()}; remove it there"
        )
    return ModelRemoval(model, whole, False, tuple(_own_files(whole)))


def check_unused(model: FoundModel, inventory: Inventory) -> None:
    """Pass if no running host has this model.

    Raises:
        CommandFailed: one has, or does not say which it has.
    """
    for name, urls in running_models(inventory.settled).items():
        url = urls[0]
        if name == UNKNOWN:
            raise CommandFailed(
                ExitCode.USAGE,
                f"a host runs on {url} and does not say which model it has (another token, or it hangs);"
                " stop it first",
            )
        if is_called(model, inventory.settled.config.draft_model):
            raise CommandFailed(
                ExitCode.USAGE, f"the host on {url} may run {model.name} as its draft model; stop it first"
            )
        if is_called(model, name):
            raise CommandFailed(
                ExitCode.USAGE, f"the host on {url} uses {model.name}; stop it first, or let it use another"
            )


def check_not_downloading(model: FoundModel) -> None:
    """Pass if no other process downloads this model now.

    Raises:
        CommandFailed: one does, and would go on to write into the folder.
    """
    for partial in sorted(model.whole.glob("blobs/*.incomplete")):
        try:
            with partial.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandFailed(
                ExitCode.USAGE,
                f"{model.name} is being downloaded; wait for it, or end it, then run this again",
            ) from None
        except OSError:
            continue  # it is gone or cannot be read; `_remove` says more


def _own_files(folder: Path) -> Iterator[tuple[Path, int]]:
    """The files that lie in the folder itself: what links lead to elsewhere stays."""
    real = folder.resolve()
    for file, nbytes in files_below(folder):
        if file.resolve().is_relative_to(real):
            yield file, nbytes


def _lines(removal: ModelRemoval) -> Iterator[str]:
    what = "the link" if removal.is_link else f"{plural(len(removal.files), 'file')}, {size(removal.nbytes)}"
    yield f"{printable(removal.model.name)}: {what}"
    yield f"  {removal.folder}" + (f" -> {removal.folder.resolve()} (stays)" if removal.is_link else "")
    largest = sorted(removal.files, key=lambda file: -file[1])
    for file, nbytes in largest[:_SHOWN]:
        yield f"  {size(nbytes):>8}  {file.relative_to(removal.folder)}"
    if len(largest) > _SHOWN:
        yield f"  and {len(largest) - _SHOWN:,} more"


def _question() -> AskRemoval:
    def ask() -> bool:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return False
        sys.stderr.write("Remove it? [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in YES

    return ask


def _remove(removal: ModelRemoval) -> None:
    try:
        if removal.is_link:
            removal.folder.unlink()
            return
        shutil.rmtree(removal.folder)
        if removal.model.store.kind is StoreKind.HUB:
            shutil.rmtree(removal.folder.parent / ".locks" / removal.folder.name, ignore_errors=True)
    except OSError as error:
        left = sum(1 for _ in files_below(removal.folder))
        raise CommandFailed(
            ExitCode.USAGE,
            f"{error.filename}: {error.strerror}; {plural(left, 'file')} of {removal.folder} are left",
        ) from None
