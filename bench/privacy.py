"""Takes out of a text what tells who and where its writer is, so that it can be sent to others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from proxy.traces.secret_shapes import redact_shapes

_SHORTEST_NAME = 4  # a shorter one is part of too many words
# Folders may have spaces and apostrophes in their names; it takes rather too many words out than too few.
_LETTER = r"""(?:[^\s/:'"(),|]|(?<=\w)['’](?=\w))"""
_PATH = re.compile(rf"(?<![\w./…~])~?/(?:{_LETTER}+(?: {_LETTER}+){{0,3}}/)+")
# Of a company's mirror or proxy, say; ours and the hub's tell nothing of anybody.
_ADDRESS = re.compile(
    r"""\b[a-z][a-z0-9+.-]*://(?!(?:127\.0\.0\.1|localhost|huggingface\.co)(?![\w.@-]))[^\s'"()<>|]+""",
    re.IGNORECASE,
)


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
        """The text without them, keys and addresses; other paths are shortened to their last part."""
        text = _ADDRESS.sub("(address)", redact_shapes(text))
        for path in self._paths:
            text = text.replace(path, f"…/{Path(path).name}")
        if self._home:
            text = re.sub(rf"{re.escape(self._home)}(?![\w.-])", "~", text)
        text = _PATH.sub("…/", text)
        for name, instead in self._names.items():
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", instead, text, flags=re.IGNORECASE)
        return text
