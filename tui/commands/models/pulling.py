"""`anyclaude-tui models pull`: download a model, or continue its download."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.model_files.hub_files import hub_cache
from proxy.configuration.model_folder import is_hub_id
from tui.client.figures import percent, plural, seconds, size
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.invocation import Invocation, say, surroundings
from tui.commands.models.hub_download import HubAccess, PullPlan, access_of
from tui.commands.models.hub_errors import KEPT, asked
from tui.commands.models.inventory import Inventory
from tui.commands.output import write_data

_SPARE = 500_000_000  # bytes that stay free on the disk
_LINE_S = 0.2
_STEPS = 10  # lines of progress where stderr is no terminal
_TRUE = {"1", "on", "yes", "true"}
_ERASE = "\r\x1b[K"


def run_models_pull(
    invocation: Invocation, hub_id: str, *, revision: str = "main", as_json: bool = False
) -> int:
    """Download a model into Hugging Face's cache; returns the exit code.

    Raises:
        proxy.configuration.settled.ConfigError: see `Invocation`.
        tui.commands.exit_codes.CommandFailed: the name is none, the hub does not give the model, it is not in
            MLX's format, or the disk is too small; the message says what was kept and what to do.
        KeyboardInterrupt: the user ended it.
    """
    if not is_hub_id(hub_id):
        raise CommandFailed(ExitCode.USAGE, f'"{hub_id}" is no hub id; it has the form OWNER/NAME')
    inventory = Inventory.settle(invocation)
    access, note = _access(invocation.environ)
    if note:
        say(note)
    if invocation.environ.get("HF_HUB_OFFLINE", "").lower() in _TRUE:
        return _offline(access, hub_id, revision, as_json=as_json)
    plan = asked(access, hub_id, lambda: access.plan(hub_id, revision))
    if plan.hub_id != hub_id:
        say(f"{hub_id} is now {plan.hub_id}; it is downloaded under this name")
    _check_files(plan, hub_id)
    _check_disk(plan, access.cache)
    limit = inventory.room.limit
    if plan.weights_bytes > limit.bytes:
        say(
            f"warning: its weights take {size(plan.weights_bytes)}, and the engine may take"
            f" {size(limit.bytes)} here ({limit.reason}); which models fit: models list --suggest"
        )
    say(_what_comes(plan, access))
    progress = PullProgress(plan.missing_bytes)
    try:
        folder = asked(access, plan.hub_id, lambda: access.fetch(plan, revision, progress.arrived))
    except KeyboardInterrupt:
        progress.cleared()
        say(f"interrupted; {KEPT}")
        raise
    finally:
        progress.cleared()
    _done(plan.hub_id, hub_id, folder, as_json=as_json, plan=plan)
    return ExitCode.FINE


class PullProgress:
    """On a terminal a line that is drawn again; else a line for each tenth."""

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._clock = clock
        self._start = self._drawn = clock()
        self._arrived = self._tenths = 0
        self._is_terminal = sys.stderr.isatty()

    def arrived(self, nbytes: int) -> None:
        """So many more bytes; called from several threads, for which a torn figure does not matter."""
        self._arrived += nbytes
        now = self._clock()
        if not self._total:
            return
        share = self._arrived / self._total
        if self._is_terminal:
            if now - self._drawn >= _LINE_S:
                self._drawn = now
                sys.stderr.write(_ERASE + self._line(share, now))
                sys.stderr.flush()
        elif int(share * _STEPS) > self._tenths:
            self._tenths = int(share * _STEPS)
            say(self._line(share, now))

    def cleared(self) -> None:
        """Erase the line."""
        if self._is_terminal:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()

    def _line(self, share: float, now: float) -> str:
        speed = self._arrived / max(now - self._start, 1e-3)
        left = (self._total - self._arrived) / speed if speed else None
        return (
            f"{percent(share)}  {size(self._arrived)} of {size(self._total)}, {size(speed)}/s,"
            f" {seconds(left)} left"
        )


def _access(environ: Mapping[str, str]) -> tuple[HubAccess, str]:
    import huggingface_hub

    _, user_home = surroundings()
    return access_of(environ, hub_cache(environ, user_home), huggingface_hub.get_token() or "")


def _offline(access: HubAccess, hub_id: str, revision: str, *, as_json: bool) -> int:
    folder = access.here(hub_id, revision)
    if folder is None:
        raise CommandFailed(
            ExitCode.USAGE,
            f"HF_HUB_OFFLINE is set, and {hub_id} is not whole in {access.cache}; unset it to download, or"
            " name a local folder with --model",
        )
    say("HF_HUB_OFFLINE is set: the hub was not asked for a newer version")
    _done(hub_id, hub_id, folder, as_json=as_json)
    return ExitCode.FINE


def _done(hub_id: str, asked: str, folder: Path, *, as_json: bool, plan: PullPlan | None = None) -> None:
    fetched = plan.missing_bytes if plan is not None else 0
    if as_json:
        document = {
            "id": hub_id,
            "asked": asked,
            "path": str(folder),
            "commit": plan.commit if plan is not None else folder.name,
            "bytes": plan.total_bytes if plan is not None else 0,
            "downloaded_bytes": fetched,
            "files": [file.name for file in plan.files] if plan is not None else [],
        }
        write_data(json.dumps(document, indent=1) + "\n")
    else:
        write_data(f"{folder}\n")
    how = f"{size(fetched)} downloaded" if fetched else "it was here already"
    say(f"{how}; to use it: anyclaude-tui --model {hub_id}")


def _what_comes(plan: PullPlan, access: HubAccess) -> str:
    if not plan.missing:
        return f"{plan.hub_id}: all {plural(len(plan.files), 'file')} are here ({size(plan.total_bytes)})"
    kept = f", {size(plan.partial_bytes)} of an earlier download are here" if plan.partial_bytes else ""
    left = f"; {plural(len(plan.others), 'file')} not needed" if plan.others else ""
    return (
        f"{plan.hub_id} from {access.endpoint}: {plural(len(plan.missing), 'file')},"
        f" {size(plan.missing_bytes)} to come{kept}{left}"
    )


def _check_files(plan: PullPlan, asked: str) -> None:
    if plan.weights_bytes:
        return
    names = plan.others
    if any(name.endswith(".gguf") for name in names):
        what = "GGUF files, which MLX does not read"
    elif any(name.endswith((".bin", ".pth", ".pt")) for name in names):
        what = "PyTorch files; mlx_lm.convert makes an MLX version of them"
    else:
        what = "no weights named model*.safetensors"
    raise CommandFailed(
        ExitCode.USAGE,
        f"{asked} has {what}; nothing was downloaded. Look for its MLX version, such as one of mlx-community",
    )


def _check_disk(plan: PullPlan, cache: Path) -> None:
    there = next((folder for folder in (cache, *cache.parents) if folder.is_dir()), Path("/"))
    free = shutil.disk_usage(there).free
    if plan.missing_bytes and plan.missing_bytes + _SPARE > free:
        raise CommandFailed(
            ExitCode.USAGE,
            f"{plan.hub_id} needs {size(plan.missing_bytes)} more, and the disk of {there} has {size(free)}"
            " free; nothing was downloaded. Make room (anyclaude-tui models rm), or set HF_HOME to a folder"
            " on a larger disk",
        )
