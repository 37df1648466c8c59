"""What the hub, the network and the disk can answer to a download, in words that say what to do."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeVar

from huggingface_hub import errors

from engine.model_files.errors import first_line
from engine.model_files.hub_errors import refusal
from tui.commands.exit_codes import CommandFailed, ExitCode
from tui.commands.models.hub_download import DownloadBusy, DownloadDamaged, HubAccess

KEPT = "what has arrived is kept, and the same command continues it"

Answer = TypeVar("Answer")


def asked(access: HubAccess, hub_id: str, ask: Callable[[], Answer]) -> Answer:
    """What `ask` returns.

    Raises:
        CommandFailed: the hub did not give it, with the reason.
    """
    try:
        return ask()
    except (DownloadDamaged, DownloadBusy, OSError, errors.OfflineModeIsEnabled) as error:
        raise CommandFailed(ExitCode.USAGE, _problem(access, hub_id, error)) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # as the client reads an answer
        problem = (
            f"{access.endpoint} answers for {hub_id} what no hub does, or names files that would lead out of"
            f" the model's folder ({first_line(error)}); check HF_ENDPOINT, or take another model"
        )
        raise CommandFailed(ExitCode.USAGE, problem) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("httpx", "httpx2"):  # the hub's HTTP client
            raise
        problem = f"{access.endpoint} cannot be reached ({first_line(error)}); {KEPT}"
        raise CommandFailed(ExitCode.USAGE, problem) from error


def _problem(access: HubAccess, hub_id: str, error: Exception) -> str:
    match error:
        case errors.HfHubHTTPError():
            words = refusal(hub_id, error, access.endpoint, has_token=bool(access.token))
            return f"{words}; {KEPT}" if error.response.status_code >= 429 else words
        case errors.LocalEntryNotFoundError():
            return f"{access.endpoint} cannot be reached ({first_line(error)}); {KEPT}"
        case errors.OfflineModeIsEnabled():
            return "HF_HUB_OFFLINE is set; unset it to download"
        case DownloadDamaged():
            return f"{error} was damaged on its way and was removed; run this again (all else is kept)"
        case DownloadBusy():
            return f"{error}; wait for it, then run this again"
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return f"the disk of {access.cache} is full; {KEPT} once there is room (models rm, or HF_HOME)"
        case OSError(errno=int()):
            return f"{error.filename or access.cache}: {error.strerror}; {KEPT}"
        case _:
            return f"the download broke off ({first_line(error)}); {KEPT}"
