"""Fetches one page: public addresses only, with bounds on bytes, time and redirects."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpcore

from proxy.web.domains import ANY_DOMAIN, DomainRules
from proxy.web.page_text import page_text
from proxy.web.public_network import PublicNetwork
from proxy.web.results import LONGEST_URL, Page, WebError

_REDIRECTS = (301, 302, 303, 307, 308)
_HTML = ("text/html", "application/xhtml+xml")
_TEXT = re.compile(r"text/|application/(?:[\w.-]+\+)?(?:json|xml|yaml|javascript)$")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Bounds of one fetch, all its redirects together."""

    bytes: int = 5_000_000
    seconds: float = 20.0
    redirects: int = 5


class PageFetcher:
    """Fetches pages; keeps no connection and no cookie."""

    def __init__(
        self,
        network: httpcore.AsyncNetworkBackend | None = None,
        *,
        limits: FetchLimits = FetchLimits(),
        trust: Callable[[], ssl.SSLContext] = httpcore.default_ssl_context,
    ) -> None:
        self._network = network or PublicNetwork()
        self._limits = limits
        self._trust = trust

    async def fetch(self, url: str, domains: DomainRules = ANY_DOMAIN) -> Page:
        """The text of the page at `url`.

        Raises:
            WebError: it is not allowed, not there, not text, too large or too slow.
        """
        try:
            async with asyncio.timeout(self._limits.seconds):
                async with httpcore.AsyncConnectionPool(
                    ssl_context=self._trust(), network_backend=self._network
                ) as pool:
                    return await self._follow(pool, url, domains)
        except TimeoutError:
            raise WebError("url_not_accessible", f"no page within {self._limits.seconds:g} s") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            what = f"the page's server does not answer: {type(error).__name__}"
            raise WebError("url_not_accessible", what) from None

    async def _follow(self, pool: httpcore.AsyncConnectionPool, url: str, domains: DomainRules) -> Page:
        for _ in range(self._limits.redirects + 1):
            _check(url, domains)
            found = await self._get(pool, url)
            if isinstance(found, Page):
                return found
            url = urljoin(url, found)
        raise WebError("url_not_accessible", f"the page redirects more than {self._limits.redirects} times")

    async def _get(self, pool: httpcore.AsyncConnectionPool, url: str) -> Page | str:
        """The page, or the address that it redirects to."""
        headers = [
            (b"host", urlsplit(url).netloc.encode()),
            (b"accept", b"text/html, text/*;q=0.9, application/json;q=0.8"),
            (b"accept-encoding", b"identity"),  # a small archive could hold a page without end
            (b"user-agent", b"anyclaude-tui (web_fetch)"),
        ]
        async with pool.stream("GET", url.encode(), headers=headers) as response:
            answer = {name.lower().decode(): value.decode("latin-1") for name, value in response.headers}
            if response.status in _REDIRECTS and answer.get("location"):
                return answer["location"]
            if response.status != 200:
                raise WebError("url_not_accessible", f"the page's server answered {response.status}")
            kind = answer.get("content-type", "").partition(";")[0].strip().lower()
            if (
                not (kind in _HTML or _TEXT.match(kind))
                or answer.get("content-encoding", "identity") != "identity"
            ):
                raise WebError("unsupported_content_type", "the page is no text: only HTML and text are read")
            raw = b""
            async for piece in response.aiter_stream():
                raw += piece
                if len(raw) > self._limits.bytes:
                    raise WebError("content_too_large", f"the page has more than {self._limits.bytes} bytes")
        text = _decoded(raw, answer.get("content-type", ""))
        if kind not in _HTML:
            return Page(url, "", text)
        title, text = await asyncio.to_thread(page_text, text, url)
        return Page(url, title, text)


def _check(url: str, domains: DomainRules) -> None:
    if len(url) > LONGEST_URL:
        raise WebError("url_too_long", f"the address has more than {LONGEST_URL} characters")
    try:
        parts = urlsplit(url)
        bare = parts.hostname and parts.username is None and parts.port != 0
    except ValueError:
        bare = False
    if not bare or parts.scheme not in ("http", "https") or not url.isascii() or not url.isprintable():
        raise WebError("invalid_tool_input", "the address is no whole http or https address")
    if " " in url or "\\" in url:
        raise WebError("invalid_tool_input", "the address has a sign that has to be escaped")
    if not domains.permit(url):
        raise WebError("url_not_allowed", "the request's domain lists do not allow this page")


def _decoded(raw: bytes, content_type: str) -> str:
    found = _CHARSET.search(content_type) or _CHARSET.search(raw[:1024].decode("latin-1"))
    try:
        return raw.decode(found[1] if found else "utf-8", "replace")
    except LookupError:
        return raw.decode("utf-8", "replace")
