"""The text of a PDF, page by page: a program, because a damaged or hostile file may take for ever.

`python -m proxy.anthropic.pdf_pages` reads the file on stdin and writes JSON lines: `{"pages": N}`, then
`{"text": …}` for each page, or `{"fault": …}`, which says why it could not go on.
"""

from __future__ import annotations

import io
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

MOST_PAGES = 100
MOST_CHARACTERS = 400_000  # some 100,000 tokens: more than most windows here
ENCRYPTED = "encrypted"
_MOST_CPU_S = 60
_MOST_MEMORY = 2 * 2**30


def pages_of(data: bytes) -> Iterator[dict[str, Any]]:
    """What the program writes for a file."""
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, FileNotDecryptedError

    try:
        pages = PdfReader(io.BytesIO(data)).pages
        yield {"pages": len(pages)}
        characters = 0
        for number in range(min(len(pages), MOST_PAGES)):
            text = pages[number].extract_text().strip()
            characters += len(text)
            if characters > MOST_CHARACTERS:
                return
            yield {"text": text}
    except (FileNotDecryptedError, DependencyError):
        yield {"fault": ENCRYPTED}
    except Exception as error:  # of any kind: a damaged file breaks the reader wherever it happens to be
        yield {"fault": f"damaged ({type(error).__name__}: {str(error)[:200]})"}


def _limit_itself() -> None:
    """Also without its parent it ends, and takes no more memory than it may, where the system can tell."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (_MOST_CPU_S, _MOST_CPU_S))
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    except (ImportError, ValueError, OSError):
        pass  # macOS refuses limits of the address space


def main() -> None:
    _limit_itself()
    warnings.simplefilter("ignore")
    logging.disable()
    for line in pages_of(sys.stdin.buffer.read()):
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
