"""Takes out of a text what tells who and where its writer is, so that it can be sent to others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_SHORTEST_NAME = 4  # a shorter one is part of too many words
_PATH = re.compile(r"""(?<![\w.:/…~])/(?:[^\s/:'"(),]+/)+""")


class Privacy:
    """Knows what is private here: the home, folders that were named, this machine's and this user's name."""

    def __init__(self, *, home: str, folders: Iterable[str], host: str, user: str) -> None:
        """`folders` are paths that may come up, such as that of the model; of each its last part is kept."""
        known = {folder for folder in folders if Path(folder).is_absolute() and len(Path(folder).parts) > 2}
        self._paths = sorted(known, key=len, reverse=True)
        self._home = home.rstrip("/")
        names = {host: "(host)", host.partition(".")[0]: "(host)", user: "(user)"}
        self._names = {name: instead for name, instead in names.items() if len(name) >= _SHORTEST_NAME}

    def clean(self, text: str) -> str:
        """The text without them; other absolute paths are shortened to their last part."""
        for path in self._paths:
            text = text.replace(path, f"…/{Path(path).name}")
        if self._home:
            text = text.replace(self._home, "~")
        text = _PATH.sub("…/", text)
        for name, instead in self._names.items():
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", instead, text, flags=re.IGNORECASE)
        return text
