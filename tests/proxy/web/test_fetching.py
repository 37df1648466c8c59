"""Fetches of pages: public addresses only, within bounds. The web is played on the loopback."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpcore
import pytest
from starlette.types import Receive, Scope, Send

from proxy.web.domains import DomainRules
from proxy.web.fetching import FetchLimits, PageFetcher
from proxy.web.page_text import page_text
from proxy.web.public_network import PublicNetwork, is_public
from proxy.web.results import WebError
from tests.proxy.live import serve

PUBLIC = "93.184.215.14"
HTML = b"<title>A  page</title><body><script>no()</script><h1>Hello</h1><p>Some <b>bold</b> text.</p></body>"
LIMITS = FetchLimits(bytes=1000, seconds=5, redirects=2)


class Loopback(httpcore.AnyIOBackend):
    """Leads each connection to the loopback server, and keeps the address that was asked for."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.connected: list[str] = []

    async def connect_tcp(self, host: str, port: int, *rest: Any, **more: Any) -> Any:
        self.connected.append(host)
        return await super().connect_tcp("127.0.0.1", self.port, *rest, **more)


class Web:
    """Answers by path, and resolves names: `hosts` has their addresses, else `PUBLIC`; two in turn rebind."""

    def __init__(self, pages: dict[str, tuple[int, dict[str, str], bytes]]) -> None:
        self.pages = pages
        self.hosts: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.network: Loopback | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, headers, body = self.pages.get(scope["path"], (404, {}, b""))
        self.asked.append(scope["path"])
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    async def resolve(self, host: str, port: int) -> list[str]:
        found = self.hosts.get(host, [PUBLIC])
        if not found:
            raise OSError("no such host")
        return found

    @asynccontextmanager
    async def fetcher(self) -> AsyncIterator[PageFetcher]:
        async with serve(self) as url:
            self.network = Loopback(int(url.rpartition(":")[2]))
            network = PublicNetwork(self.resolve, self.network)
            yield PageFetcher(network, limits=LIMITS, trust=lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def page(body: bytes = HTML, kind: str = "text/html") -> tuple[int, dict[str, str], bytes]:
    return 200, {"content-type": kind}, body


def redirect(to: str) -> tuple[int, dict[str, str], bytes]:
    return 302, {"location": to}, b""


async def test_the_text_of_a_page_comes_over_a_checked_address() -> None:
    web = Web({"/a": redirect("http://b.example/b"), "/b": page()})
    async with web.fetcher() as fetcher:
        found = await fetcher.fetch("http://a.example/a")
    assert (found.url, found.title) == ("http://b.example/b", "A page")
    assert found.text == "# Hello\n\nSome bold text."
    assert web.network is not None
    assert web.network.connected == [PUBLIC, PUBLIC]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://inside.example/", "url_not_allowed"),
        ("http://half.example/", "url_not_allowed"),
        ("http://127.0.0.1/", "url_not_allowed"),
        ("http://public.example/inward", "url_not_allowed"),
        ("http://public.example/blocked", "url_not_allowed"),
        ("http://blocked.example/", "url_not_allowed"),
        ("http://public.example/file", "invalid_tool_input"),
        ("http://gone.example/", "url_not_accessible"),
        ("http://public.example/none", "url_not_accessible"),
        ("http://public.example/circle", "url_not_accessible"),
        ("http://public.example/large", "content_too_large"),
        ("http://public.example/pdf", "unsupported_content_type"),
        ("http://public.example/zipped", "unsupported_content_type"),
        ("http://me:secret@public.example/", "invalid_tool_input"),
        ("ftp://public.example/", "invalid_tool_input"),
        ("http://public.example/\r\nx: y", "invalid_tool_input"),
        ("public.example", "invalid_tool_input"),
        ("http://public.example/" + "x" * 3000, "url_too_long"),
    ],
)
async def test_what_is_not_fetched(url: str, code: str) -> None:
    web = Web(
        {
            "/inward": redirect("http://inside.example/"),
            "/blocked": redirect("http://blocked.example/"),
            "/file": redirect("file:///etc/passwd"),
            "/circle": redirect("/circle"),
            "/large": page(b"x" * 2000, "text/plain"),
            "/pdf": page(b"%PDF", "application/pdf"),
            "/zipped": (200, {"content-type": "text/html", "content-encoding": "gzip"}, b"x"),
            "/": page(),
        }
    )
    web.hosts = {
        "inside.example": ["10.0.0.1"],
        "half.example": [PUBLIC, "192.168.0.1"],
        "127.0.0.1": ["127.0.0.1"],
        "gone.example": [],
    }
    async with web.fetcher() as fetcher:
        with pytest.raises(WebError) as caught:
            await fetcher.fetch(url, DomainRules(blocked=("blocked.example",)))
    assert caught.value.code == code
    assert web.network is not None
    assert set(web.network.connected) <= {PUBLIC}


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%en0",
        "fc00::1",
        "::ffff:127.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "fec0::1",
        "ff02::1",
        "nonsense",
    ],
)
def test_no_address_of_this_machine_or_its_network_is_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", [PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


NESTED = "<div>" * 5_000 + "deep" + "</div>" * 5_000
PAGES: list[tuple[str, str]] = [
    ("<ul><li><p>one</p></li><li>two</li></ul>", "- one\n\n- two"),
    ("<pre>a\n  b</pre>c", "a\n  b\nc"),
    ('see <a href="/x">this</a>, <a href="javascript:y()">that</a>', "see this (https://e.org/x), that"),
    ("<nav>menu</nav><main>text</main><footer>foot</footer>", "text"),
    ("<table><tr><td>a</td><td>b</td></tr></table>", "a\n\nb"),
    (NESTED, "deep"),
    ("", ""),
    ("<p>unclosed <b>x", "unclosed x"),
]


@pytest.mark.parametrize(("markup", "text"), PAGES)
def test_the_text_of_markup(markup: str, text: str) -> None:
    assert page_text(markup, "https://e.org/")[1] == text


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("text/plain; charset=latin-1", "é".encode("latin-1"), "é"),
        ("application/json", b'{"a": 1}', '{"a": 1}'),
        ("text/html", b'<meta charset="iso-8859-1"><p>\xe9', "é"),
        ("text/plain; charset=nonsense", b"x\xff", "x\ufffd"),
    ],
)
async def test_text_is_decoded_as_its_server_says(kind: str, body: bytes, text: str) -> None:
    web = Web({"/": page(body, kind)})
    async with web.fetcher() as fetcher:
        assert (await fetcher.fetch("http://a.example/")).text == text
