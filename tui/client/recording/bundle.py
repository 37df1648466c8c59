"""A bug bundle: one file with what somebody needs who looks into a problem, and without secrets."""

from __future__ import annotations

import asyncio
import io
import json
import os
import platform
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from engine.process.private_files import draft_of, naming, private_folder
from engine.wire.json_text import encode_json
from proxy.recordings.reading import IN_BUNDLE
from proxy.recordings.secrets import RecordedFacts
from proxy.recordings.writing import RecordingFull, RecordingWriter, new_private_file
from proxy.traces.files import TRACES_FOLDER
from proxy.traces.marks import read_marks
from proxy.traces.reading import TraceError, load_trace
from proxy.traces.redaction.redact import Redactor
from tui.client.host_client import HostClient, HostError
from tui.client.recording.taking import MOST_MARKED, RecordingTaker, RecordingWish, Taken

FOLDER = "bundles"  # below the home folder
MINUTES = 15.0
_LOG_BYTES = 512 * 1024  # of each log, from its end
_LOGS = ("engine.log", "engine.log.1", "host.log", "screen.log")
_LIBRARIES = ("mlx", "mlx-lm", "textual", "rich", "httpx", "fastapi", "uvicorn", "pydantic", "transformers")
_TERMINAL = ("TERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "COLORTERM", "LANG", "LC_ALL", "NO_COLOR")


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """What the one who makes a bundle knows besides the host: the settings have no values of secrets."""

    home: Path
    configuration: Sequence[Mapping[str, Any]]
    secrets: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class MadeBundle:
    """A bundle that was written: its path and size in bytes, what is in it and what could not be had."""

    path: Path
    bytes: int
    parts: Sequence[str]
    left_out: Sequence[str]


def bundle_path(home: Path, now: float) -> Path:
    """Where a bundle goes if nobody says where."""
    return home / FOLDER / f"anyclaude-bug-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}.zip"


async def make_bundle(
    client: HostClient | None, facts: BundleFacts, wish: RecordingWish, path: Path, now: float
) -> MadeBundle:
    """Write a bundle to `path`, whole or not at all; without a host that answers it has no recording.

    Raises:
        OSError: it cannot be written, or something is there.
    """
    parts: dict[str, bytes] = {}
    left_out: list[str] = []
    taken = Taken()
    if client is not None:
        try:
            parts[IN_BUNDLE], taken = await _recording(client, wish, now)
        except (HostError, RecordingFull) as error:
            left_out.append(f"the recording: {error}")
    else:
        left_out.append("the recording: there is no contact with the host")
    if taken.host is None:
        taken = await asyncio.to_thread(_on_disk, facts.home / TRACES_FOLDER, wish)
    for trace in taken.traces:
        parts[f"traces/{trace.id}.json"] = encode_json(trace.model_dump())
    left_out += taken.left_out
    parts["versions.json"] = _for_people(_versions(taken))
    # A path or an address among the settings may hold a secret too, which its name does not tell.
    parts["configuration.json"] = _for_people(Redactor(facts.secrets).value(list(facts.configuration)))
    if wish.contents == "none":
        left_out.append("logs: they may contain texts")
    elif taken.host is not None and taken.host.home != str(facts.home):
        left_out.append(f"logs and the host's configuration: they are in {taken.host.home} where it runs")
    else:
        parts |= await asyncio.to_thread(_logs, facts.home / "logs", Redactor(facts.secrets))
    parts = {"README.txt": _readme(parts, left_out, wish, now).encode(), **parts}
    size = await asyncio.to_thread(_write, path, parts, now)
    return MadeBundle(path, size, list(parts), left_out)


async def _recording(client: HostClient, wish: RecordingWish, now: float) -> tuple[bytes, Taken]:
    packed = io.BytesIO()
    writer = RecordingWriter(packed, version=_version("anyclaude-tui"), made=now, contents=wish.contents)
    taker = RecordingTaker(client, writer, wish)
    await taker.take_held()
    await taker.finish()
    writer.close()
    return packed.getvalue(), taker.taken


def _on_disk(folder: Path, wish: RecordingWish) -> Taken:
    """The traces that are wished, read from their files: there is no host to ask."""
    taken = Taken()
    facts = RecordedFacts(Redactor(wish.secrets), wish.contents)
    try:
        marked = list(read_marks(folder))[-MOST_MARKED:] if wish.marked else []
    except OSError as error:
        taken.left_out.append(f"the marked traces: {error}")
        marked = []
    for trace_id in dict.fromkeys((*wish.traces, *marked)):
        try:
            taken.traces.append(facts.trace(load_trace(folder, trace_id)))
        except TraceError as error:
            taken.left_out.append(f"trace {trace_id}: {error}")
    return taken


def _versions(taken: Taken) -> dict[str, Any]:
    host = taken.host
    return {
        "anyclaude-tui": _version("anyclaude-tui"),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "machine": platform.machine(),
        "libraries": {name: found for name in _LIBRARIES if (found := _version(name))},
        "terminal": {name: os.environ[name] for name in _TERMINAL if name in os.environ},
        "host": host
        and {
            "version": host.version,
            "code": host.code,
            "libraries": host.libraries,
            "backend": host.backend,
            "model": host.model,
            "started": host.started,
            "accelerated": host.engine.accelerated,
        },
    }


def _for_people(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode(errors="replace")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _logs(folder: Path, redactor: Redactor) -> dict[str, bytes]:
    """The last lines of each log that is there."""
    found = {}
    for name in _LOGS:
        try:
            with (folder / name).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _LOG_BYTES))
                text = file.read(_LOG_BYTES).decode("utf-8", "replace")
        except OSError:
            continue
        if size > _LOG_BYTES:
            text = text.partition("\n")[2]
        if text:
            found[f"logs/{name}"] = redactor.text(text).encode()
    return found


def _readme(parts: Mapping[str, bytes], left_out: Sequence[str], wish: RecordingWish, now: float) -> str:
    texts = (
        "Prompts, answers and results of tools are in it as they were; what looks like a secret is not."
        if wish.contents == "redacted"
        else "Texts of prompts, answers and tools are not in it: in their place is how long they were."
    )
    lines = [
        f"A bug bundle of anyclaude-tui, made {datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC.",
        "",
        texts,
        "Nobody has got it yet: it is up to you to look into it and to pass it on.",
        "",
        *(f"  {name}  {len(content):,} bytes" for name, content in parts.items()),
        *(["", "Left out:"] if left_out else []),
        *(f"  {what}" for what in left_out),
        "",
        "anyclaude-tui --play THIS.zip shows the recording." if IN_BUNDLE in parts else "",
    ]
    return "\n".join(lines).rstrip() + "\n"


def _write(path: Path, parts: Mapping[str, bytes], now: float) -> int:
    private_folder(path.parent)
    if path.exists():
        raise FileExistsError(17, "something is there already", str(path))
    draft = draft_of(path)
    moment = max(now, 315_532_800.0)  # zip begins with 1980
    stamp = datetime.fromtimestamp(moment, UTC).timetuple()[:6]
    with naming(path):
        try:
            with new_private_file(draft) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, content in parts.items():
                    info = zipfile.ZipInfo(name, stamp)
                    info.external_attr = 0o600 << 16
                    packed = zipfile.ZIP_STORED if name == IN_BUNDLE else zipfile.ZIP_DEFLATED
                    archive.writestr(info, content, packed)
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    return path.stat().st_size
