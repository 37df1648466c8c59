"""Downloads a model from Hugging Face, or a mirror, into the hub's own cache.

The hub's client finds the files, signs requests and lays out the cache. It keeps no part of an interrupted
file, so large files are fetched here, into `blobs/HASH.incomplete`, and continued from where they ended; the
client then finds them whole in `blobs/HASH`. Each is compared with the hash that the hub names.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.file_download import http_get
from huggingface_hub.utils._headers import build_hf_headers

from engine.model_files.download_progress import download_bar
from engine.model_files.hub_files import NEEDED
from engine.model_files.weight_files import PATTERN
from proxy.configuration.model_folder import check_model_folder, is_hub_id

OFFICIAL = "https://huggingface.co"
_AT_ONCE = 3
_TOO_LARGE = 50_000_000_000  # bytes; the hub gives such a file to its client's other protocol alone
_HASH = re.compile(r"[0-9a-f]{64}")
_PIECE = 1 << 22


class DownloadEnded(Exception):
    """The user ended the download; raised in its threads, so that they stop at their next piece."""


class DownloadDamaged(Exception):
    """A file is not what the hub says; it was removed. The message names it."""


class DownloadBusy(Exception):
    """Another process downloads the same file."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository: its name, bytes, and the SHA-256 of its content if the hub names one."""

    name: str
    nbytes: int
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class PullPlan:
    """What a download consists of; `hub_id` is the model's name of today, which may not be the asked one.

    `others` are files that stay on the hub. `missing` are those of `files` that are not here, of which
    `partial_bytes` are.
    """

    hub_id: str
    commit: str
    files: tuple[HubFile, ...]
    others: tuple[str, ...]
    missing: tuple[HubFile, ...]
    partial_bytes: int

    @property
    def total_bytes(self) -> int:
        return sum(file.nbytes for file in self.files)

    @property
    def missing_bytes(self) -> int:
        """Bytes that are still to come."""
        return max(0, sum(file.nbytes for file in self.missing) - self.partial_bytes)

    @property
    def weights_bytes(self) -> int:
        return sum(file.nbytes for file in self.files if fnmatch(file.name, PATTERN))


@dataclass(frozen=True, slots=True)
class HubAccess:
    """The hub's address, a token for it (empty: none) and the folder of its cache.

    Files of less than `large_bytes` are fetched anew if they were interrupted.
    """

    endpoint: str
    token: str
    cache: Path
    large_bytes: int = 10_000_000

    def plan(self, hub_id: str, revision: str) -> PullPlan:
        """Ask the hub which files a model has.

        Raises:
            huggingface_hub.errors.HfHubHTTPError, OSError and those of the hub's HTTP client.
        """
        api = huggingface_hub.HfApi(endpoint=self.endpoint, token=self._token)
        info = api.model_info(hub_id, revision=revision, files_metadata=True, timeout=30)
        found = [
            HubFile(each.rfilename, each.size or 0, (each.lfs.sha256 if each.lfs else "") or "")
            for each in info.siblings or ()
        ]
        files = tuple(file for file in found if any(fnmatch(file.name, one) for one in NEEDED))
        others = tuple(file.name for file in found if file not in files)
        commit = info.sha or revision
        name = info.id if is_hub_id(info.id) else hub_id  # a folder is named by it
        missing = tuple(file for file in files if not self._is_here(name, commit, file))
        partial = sum(self._partial_bytes(name, file) for file in missing)
        return PullPlan(name, commit, files, others, missing, partial)

    def fetch(self, plan: PullPlan, revision: str, on_bytes: Callable[[int], None]) -> Path:
        """Download what is missing; returns the model's folder. `on_bytes` gets bytes that arrived.

        What arrived is kept, whatever ends this.

        Raises:
            huggingface_hub.errors.HfHubHTTPError, OSError and those of the hub's HTTP client;
            DownloadDamaged, DownloadBusy; KeyboardInterrupt: the user ended it.
        """
        stopped = threading.Event()

        def report(nbytes: int) -> None:
            if stopped.is_set():
                raise DownloadEnded
            on_bytes(nbytes)

        large = [file for file in plan.missing if self._is_large(file)]
        (self._folder(plan.hub_id) / "blobs").mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            running = [threads.submit(self._fetch_large, plan, file, report) for file in large]
            try:
                wait(running, return_when=FIRST_EXCEPTION)
            finally:
                if not all(future.done() for future in running) or _failed(running):
                    stopped.set()
                    threads.shutdown(wait=True, cancel_futures=True)
        _raise_first(running)
        small = {file.name: file.nbytes for file in plan.missing if not self._is_large(file)}
        folder = huggingface_hub.snapshot_download(
            plan.hub_id,
            revision=revision,
            cache_dir=self.cache,
            endpoint=self.endpoint,
            token=self._token,
            allow_patterns=list(NEEDED),
            tqdm_class=download_bar(lambda done, total: None),
        )
        on_bytes(sum(small.values()))
        return Path(folder)

    def here(self, hub_id: str, revision: str) -> Path | None:
        """The model's folder if it is whole in the cache, without asking the hub."""
        try:
            folder = Path(
                huggingface_hub.snapshot_download(
                    hub_id,
                    revision=revision,
                    cache_dir=self.cache,
                    allow_patterns=list(NEEDED),
                    local_files_only=True,
                )
            )
            check_model_folder(folder)  # the client does not know of files that another program left out
        except (OSError, ValueError):
            return None
        return folder

    @property
    def _token(self) -> str | bool:
        return self.token or False  # False: none, also not one that the client would find by itself

    def _folder(self, hub_id: str) -> Path:
        return self.cache / f"models--{hub_id.replace('/', '--')}"

    def _is_here(self, hub_id: str, commit: str, file: HubFile) -> bool:
        path = self._folder(hub_id) / "snapshots" / commit / file.name
        blob = self._folder(hub_id) / "blobs" / file.sha256
        return path.is_file() or (bool(file.sha256) and blob.is_file())

    def _is_large(self, file: HubFile) -> bool:
        return self.large_bytes <= file.nbytes < _TOO_LARGE and bool(_HASH.fullmatch(file.sha256))

    def _partial(self, hub_id: str, file: HubFile) -> Path:
        return self._folder(hub_id) / "blobs" / f"{file.sha256}.incomplete"

    def _partial_bytes(self, hub_id: str, file: HubFile) -> int:
        try:
            return self._partial(hub_id, file).stat().st_size if self._is_large(file) else 0
        except OSError:
            return 0

    def _fetch_large(self, plan: PullPlan, file: HubFile, report: Callable[[int], None]) -> None:
        """One file into its blob, from where an earlier download of it ended."""
        partial = self._partial(plan.hub_id, file)
        url = huggingface_hub.hf_hub_url(plan.hub_id, file.name, revision=plan.commit, endpoint=self.endpoint)
        with partial.open("ab") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise DownloadBusy(f"another process downloads {file.name}") from None
            have = min(stream.seek(0, os.SEEK_END), file.nbytes)
            stream.truncate(have)
            seen = have

            def progressed(done: float, total: float) -> None:
                nonlocal seen
                report(int(done) - seen)
                seen = int(done)

            http_get(
                url,
                stream,
                resume_size=have,
                headers=build_hf_headers(token=self._token),
                expected_size=file.nbytes,
                tqdm_class=download_bar(progressed),
            )
        if _sha256(partial, report) != file.sha256:
            partial.unlink()
            raise DownloadDamaged(file.name)
        partial.replace(partial.with_name(file.sha256))


def access_of(environ: Mapping[str, str], cache: Path, stored_token: str) -> tuple[HubAccess, str]:
    """How the hub is reached, and a note for people.

    A mirror (`HF_ENDPOINT`) gets a token that `HF_TOKEN` names beside it, and never the stored one, which is
    for the hub itself.
    """
    endpoint = (environ.get("HF_ENDPOINT") or OFFICIAL).rstrip("/")
    token = (environ.get("HF_TOKEN") or environ.get("HUGGING_FACE_HUB_TOKEN") or "").strip()
    if token or not stored_token:
        return HubAccess(endpoint, token, cache), ""
    if endpoint == OFFICIAL:
        return HubAccess(endpoint, stored_token, cache), ""
    note = f"your stored token is for {OFFICIAL} and is not sent to {endpoint}; HF_TOKEN sends one there"
    return HubAccess(endpoint, "", cache), note


def _sha256(file: Path, report: Callable[[int], None]) -> str:
    found = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE):
            found.update(piece)
            report(0)  # raises if the user ended it
    return found.hexdigest()


def _failed(running: Sequence[Future[Any]]) -> bool:
    return any(future.done() and not future.cancelled() and future.exception() for future in running)


def _raise_first(running: Sequence[Future[Any]]) -> None:
    errors = [future.exception() for future in running if not future.cancelled()]
    own = [error for error in errors if error is not None and not isinstance(error, DownloadEnded)]
    if own:
        raise own[0]
