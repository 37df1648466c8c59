"""The search engine of a configuration: its address, its key, and what is missing."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.configuration.settled import ConfigError
from tests.proxy.configuration.test_files import Place
from tests.proxy.configuration.test_files import place as place

BRAVE = {"searchEngine": "brave", "searchKey": "k-0123456789"}


@pytest.mark.parametrize(
    ("own", "url", "line"),
    [
        (
            BRAVE,
            "https://api.search.brave.com",
            "web searches go to brave at https://api.search.brave.com, with",
        ),
        (
            {"searchEngine": "searxng", "searchUrl": "http://me:pw@127.0.0.1:8888/"},
            "http://me:pw@127.0.0.1:8888",
            "web searches go to searxng at http://***@127.0.0.1:8888",
        ),
        ({"searchUrl": "http://127.0.0.1:8888"}, "", ""),
        (BRAVE | {"backend": "claude"}, "https://api.search.brave.com", ""),
        ({"webFetch": True}, "", "web_fetch is on"),
    ],
)
def test_the_start_says_where_searches_go(place: Place, own: dict[str, Any], url: str, line: str) -> None:
    place.own(own)
    settled = place.settle()
    assert settled.config.search_url == url
    assert "\n".join(settled.account).count("web") == bool(line)
    assert line in "\n".join(settled.account)


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        ({"searchEngine": "searxng"}, "set searchUrl"),
        ({"searchEngine": "tavily"}, "needs a key"),
        ({"searchEngine": "google"}, "allowed: one of searxng, brave, tavily"),
    ],
)
def test_what_is_missing_is_named(place: Place, own: dict[str, Any], problem: str) -> None:
    place.own(own)
    with pytest.raises(ConfigError, match=problem):
        place.settle()


def test_a_key_goes_only_where_its_own_source_says(place: Place) -> None:
    place.own({"searchEngine": "searxng", "searchUrl": "http://127.0.0.1:8888"})
    settled = place.settle(environ={"ANYCLAUDE_SEARCH_KEY": "k-0123456789"})
    assert settled.config.search_key == ""
    assert any(
        "ANYCLAUDE_SEARCH_KEY is not sent to http://127.0.0.1:8888" in line for line in settled.warnings
    )
    place.own({"searchEngine": "brave"})  # the usual address is nobody's to lead elsewhere
    settled = place.settle(environ={"ANYCLAUDE_SEARCH_KEY": "k-0123456789"})
    assert settled.config.search_key == "k-0123456789"
    place.own({})
    place.shipped({"searchEngine": "tavily"})
    place.trust()
    with pytest.raises(ConfigError, match="needs a key"):
        place.settle(environ={"ANYCLAUDE_SEARCH_KEY": "k-0123456789"})
