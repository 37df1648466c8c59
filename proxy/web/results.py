"""What a search and a fetch return, and the one error of both."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_URL = 2_048  # characters


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One result; `text` is the engine's excerpt of the page, `page_age` a date in the engine's words."""

    title: str
    url: str
    text: str = ""
    page_age: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """The text of a fetched page; `url` is where redirects have led."""

    url: str
    title: str
    text: str


class WebError(Exception):
    """Raised when a search or a fetch has no result.

    `code` is an `error_code` of Anthropic's web search and web fetch tools, `detail` the reason for people
    and for the model: it holds no key and nothing that a server has sent.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
