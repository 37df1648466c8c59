"""The project of a recorded day: code with a bug, and all that Claude Code reads besides text."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.scratch_project import ScratchProject

_SKILL = """\
---
name: count-shelf
description: Counts what lies on a shelf
---
Count the boxes on the shelf $ARGUMENTS and report the number. [skill]
"""
_SHELF_LINES = 420


@dataclass(frozen=True)
class DayProject:
    """The folder of the project, and the paths that the day's calls name."""

    folder: Path

    def create(self) -> None:
        """Write the project."""
        ScratchProject(self.folder).create()
        self._write("CLAUDE.md", "Be terse. Run `python3 till.py` after a change.\n")
        self._write(".claude/skills/count-shelf/SKILL.md", _SKILL)
        self._write(
            "shelf.txt", "".join(f"box {n} holds {n * 37 % 101} of 101\n" for n in range(_SHELF_LINES))
        )
        (self.folder / "plot.png").write_bytes(png(8, 8))
        (self.folder / "terms.pdf").write_bytes(pdf("Terms of the till: prices are in pounds."))
        self._write("prices.ipynb", json.dumps(_notebook()))

    def path(self, name: str) -> str:
        """The absolute path of a file of the project."""
        return str(self.folder / name)

    def _write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def picture_block() -> dict[str, Any]:
    """A picture as a user pastes it into a prompt."""
    data = base64.b64encode(png(12, 12)).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def png(width: int, height: int) -> bytes:
    """A picture of one color (PNG, 8 bits a channel, RGB)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\x00" + b"\xc0\x40\x20" * width) * height
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def pdf(text: str) -> bytes:
    """A document of one page with this text (PDF 1.4)."""
    drawn = f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 200] /Contents 4 0 R"
        " /Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    written, offsets = "%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        offsets.append(len(written))
        written += f"{number} 0 obj\n{one}\nendobj\n"
    places = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    table = f"xref\n0 {size}\n0000000000 65535 f \n{places}trailer << /Size {size} /Root 1 0 R >>\n"
    return f"{written}{table}startxref\n{len(written)}\n%%EOF\n".encode()


def _notebook() -> dict[str, Any]:
    plot = base64.b64encode(png(8, 8)).decode()
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": ["total 250\n"]},
        {
            "output_type": "display_data",
            "metadata": {},
            "data": {"image/png": plot, "text/plain": ["<Figure>"]},
        },
    ]
    cell = {
        "cell_type": "code",
        "id": "c1",
        "metadata": {},
        "execution_count": 1,
        "outputs": outputs,
        "source": ["print('total', 250)"],
    }
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
