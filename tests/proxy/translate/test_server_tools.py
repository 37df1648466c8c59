"""What the model reads of results that come back with the history."""

from __future__ import annotations

import base64

import pytest

from proxy.translate.server_tools import result_text, search_block
from proxy.web.results import SearchResult

OF_ANOTHER_SERVER = base64.b64encode(bytes(range(200))).decode()


@pytest.mark.parametrize(
    ("excerpt", "shown"),
    [
        ("Overview", "\nOverview"),  # nothing but letters, as in a key
        ("概要と使い方" * 20, "\n" + "概要と使い方" * 20),
        (OF_ANOTHER_SERVER, ""),
        ("", ""),
    ],
)
def test_an_excerpt_is_shown_unless_another_server_has_encrypted_it(excerpt: str, shown: str) -> None:
    found = search_block("srvtoolu_1", [SearchResult("A", "https://a.example/", excerpt)])
    assert result_text(found, 1) == f"[1] A\nhttps://a.example/{shown}"
