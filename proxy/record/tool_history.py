"""What the prompts of each conversation show of its tools, in memory and on disk.

The next request of a conversation needs it, to begin its prompt as it is in the prefix cache, which outlives
the host too. A conversation's file is named by its key (`proxy.translate.late_tools.places`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from engine.process.private_files import write_private
from engine.wire.json_text import encode_json
from proxy.traces.redaction.redact import Redactor
from proxy.translate.late_tools.shown_tools import ShownTools

_log = logging.getLogger(__name__)

TOOL_HISTORY_FOLDER = "tool-history"  # below the home folder
_MOST_IN_MEMORY = 200  # conversations
_MOST_FILES = 400  # of some 60 KB; the oldest make room
_MOST_ALIKE = 8  # conversations that begin with the same words

Conversations = tuple[ShownTools, ...]


class ToolHistory:
    """The shown tools of conversations; `folder` None: in memory only.

    What a redactor would change is not written down. A disk that cannot be read or written costs the history
    of earlier hosts, nothing else. Belongs to the event loop, which does not wait for the writing.
    """

    def __init__(self, folder: Path | None = None, redactor: Redactor | None = None) -> None:
        self._folder = folder
        self._redactor = redactor or Redactor()
        self._known: OrderedDict[str, Conversations] = OrderedDict()
        self._unwritten: dict[str, Conversations] = {}  # which the writer's thread has not come to yet
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tool-history")  # keeps the order
        self._failing = False

    def of(self, key: str) -> Conversations:
        """The conversations that have begun so, the newest first."""
        if key not in self._known:
            found = self._read(key)
            if found:
                self._remember(key, found)
            return found
        self._known.move_to_end(key)
        return self._known[key]

    def keep(self, key: str, shown: ShownTools) -> None:
        """Keep what a request showed; it takes the place of what the conversation's earlier one did."""
        before = self.of(key)
        same = [one for one in before if one.begun_at == shown.begun_at and one.head == shown.head]
        others = (one for one in before if one not in same)
        self._remember(key, (shown, *others)[:_MOST_ALIKE])
        # A restarted host finds a conversation by its first request: later ends only help after a rewind.
        if not any(one.changes == shown.changes and one.definitions == shown.definitions for one in same):
            self._write(key)

    async def close(self) -> None:
        """Return when everything that was kept is on disk."""
        await asyncio.to_thread(self._writer.shutdown)

    def _remember(self, key: str, conversations: Conversations) -> None:
        self._known[key] = conversations
        self._known.move_to_end(key)
        while len(self._known) > _MOST_IN_MEMORY:
            self._known.popitem(last=False)

    def _path(self, key: str) -> Path | None:
        return self._folder / f"{key}.json" if self._folder is not None else None

    def _read(self, key: str) -> Conversations:
        path = self._path(key)
        if path is None:
            return ()
        if unwritten := self._unwritten.get(key):
            return unwritten
        try:
            rows = orjson.loads(path.read_bytes())
            return tuple(ShownTools.of_json(row) for row in rows)[:_MOST_ALIKE]
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, TypeError) as error:
            self._report(f"{path} cannot be read, and is written anew: {error}")
            return ()

    def _write(self, key: str) -> None:
        path = self._path(key)
        if path is None:
            return
        conversations = self._unwritten[key] = self._known[key]
        with suppress(RuntimeError):  # the host ends: a later one shows the tools anew
            self._writer.submit(self._put, key, path, conversations)

    def _put(self, key: str, path: Path, conversations: Conversations) -> None:
        self._put_rows(path, [shown.as_json() for shown in conversations])
        if self._unwritten.get(key) is conversations:
            del self._unwritten[key]

    def _put_rows(self, path: Path, rows: list[dict[str, Any]]) -> None:
        if self._redactor.value(rows) != rows:
            return
        try:
            is_new = not path.exists()
            write_private(path, encode_json(rows))
            if is_new:
                self._make_room(path.parent)
        except OSError as error:
            self._report(f"{path} cannot be written; a restarted host will not know its tools: {error}")
            return
        self._failing = False

    def _make_room(self, folder: Path) -> None:
        files = [(file.stat().st_mtime, file) for file in folder.glob("*.json")]
        for _, file in sorted(files)[: max(0, len(files) - _MOST_FILES)]:
            file.unlink(missing_ok=True)

    def _report(self, text: str) -> None:
        if not self._failing:
            _log.warning("%s", text)
        self._failing = True
