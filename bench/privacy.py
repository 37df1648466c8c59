"""Removes private data from a text, so that it can be sent to others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from proxy.traces.redaction.secret_shapes import redact_shapes

_SHORTEST_NAME = 4  # a shorter name is a part of too many words
# Names of folders may have spaces and apostrophes; removing too much is better than too little.
_LETTER = r"""(?:[^\s/:'"(),|]|(?<=\w)['’](?=\w))"""
_PATH = re.compile(rf"(?<![\w./…~])~?/(?:{_LETTER}+(?: {_LETTER}+){{0,3}}/)+")
# A company's mirror or proxy, for example; our own addresses and the hub's identify nobody.
_ADDRESS = re.compile(
    r"""\b[a-z][a-z0-9+.-]*://(?!(?:127\.0\.0\.1|localhost|huggingface\.co)(?![\w.@-]))[^\s'"()<>|]+""",
    re.IGNORECASE,
)


class Privacy:
    """Knows what is private: the home folder, named folders, the names of this machine and this user."""

    def __init__(self, *, home: str, folders: Iterable[str], host: str, user: str) -> None:
        """`folders` are paths that may occur, such as the model's; the last part of each is kept."""
        known = {folder for folder in folders if Path(folder).is_absolute() and len(Path(folder).parts) > 2}
        self._paths = sorted(known, key=len, reverse=True)
        self._home = home.rstrip("/")
        names = {host: "(host)", host.partition(".")[0]: "(host)", user: "(user)"}
        self._names = {name: instead for name, instead in names.items() if len(name) >= _SHORTEST_NAME}

    def clean(self, text: str) -> str:
        """The text without private names, keys and addresses; of other paths the last part remains."""
        text = _ADDRESS.sub("(address)", redact_shapes(text))
        for path in self._paths:
            text = text.replace(path, f"…/{Path(path).name}")
        if self._home:
            text = re.sub(rf"{re.escape(self._home)}(?![\w.-])", "~", text)
        text = _PATH.sub("…/", text)
        for name, instead in self._names.items():
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", instead, text, flags=re.IGNORECASE)
        return text
