"""Downloads a model from the hub, or finds the copy of it that an earlier download left.

The hub's cache (`huggingface_hub`'s docs, "Understand caching") has a folder for each commit that was
downloaded, `models--OWNER--NAME/snapshots/COMMIT`, and in `refs/main` the newest commit that the hub named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from huggingface_hub import constants

from engine.model_files.download_progress import download_bar
from engine.model_files.errors import ModelError
from engine.model_files.hub_errors import hub_failure
from engine.model_files.hub_files import NEEDED
from engine.model_files.whole_folder import check_folder
from engine.models.weight_loading import OnProgress


@dataclass(frozen=True, slots=True)
class HubCopy:
    """A model's folder in the hub's cache; `note` says why it is not the newest one, if it may not be."""

    folder: Path
    note: str = ""


def fetch(
    hub_id: str, on_progress: OnProgress, download: Callable[..., str], trust_remote_code: bool = False
) -> HubCopy:
    """The folder of a hub model, downloaded by `download` (as `huggingface_hub.snapshot_download`).

    The model's own code is left out without `trust_remote_code`. If the hub does not answer, or only a part
    of the model is there, it is the newest complete copy in the hub's cache.

    Raises:
        HubModelMissing: the hub has no such model, or denies it, and the cache has no complete copy.
        HubUnreachable: the hub does not answer, or the disk is full, and there is no copy.
    """
    on_progress(0.0, f"looking for {hub_id} on the hub")

    def report(done: float, total: float) -> None:
        on_progress(min(1.0, done / total), f"downloading {hub_id}")

    try:
        folder = download(
            hub_id,
            allow_patterns=[*NEEDED, "*.py"] if trust_remote_code else list(NEEDED),
            tqdm_class=download_bar(report),
        )
    except Exception as error:  # any error of the network, the disk or the hub's client
        failure = hub_failure(hub_id, error)
        if (copy := _whole_copy(hub_id, str(failure))) is None:
            raise failure from error
        return copy
    try:
        check_folder(Path(folder))
    except (ModelError, OSError):  # without the hub, its client takes the newest copy as it is
        said = f"only a part of the newest copy of {hub_id} is here"
        if (copy := _whole_copy(hub_id, said)) is not None:
            return copy
    return HubCopy(Path(folder))


def _whole_copy(hub_id: str, why: str) -> HubCopy | None:
    """The newest complete copy in the hub's cache; `why` it is used begins its note."""
    snapshots = Path(constants.HF_HUB_CACHE) / f"models--{hub_id.replace('/', '--')}" / "snapshots"
    try:
        dated = sorted(((path.stat().st_mtime, path) for path in snapshots.iterdir()), reverse=True)
    except OSError:
        return None
    for written, folder in dated:
        try:
            check_folder(folder)
        except (ModelError, OSError):  # a part of a download
            continue
        day = datetime.fromtimestamp(written).astimezone().date().isoformat()
        return HubCopy(folder, f"{why}; the copy of {day} ({folder.name[:12]}) in the hub's cache is used")
    return None
