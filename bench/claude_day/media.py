"""Scenarios of what is not plain text: pictures, documents, notebooks, the web."""

from __future__ import annotations

import http.server
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bench.claude_day.scenario import scenario
from bench.claude_day.script import found, read
from bench.claude_day.stage import FREE, Stage
from bench.recorded_day.project import picture_block
from bench.scripted_upstream import Call, Turn
from proxy.translate.server_tools import DIRECT_QUERY

SEARCH = {"search_engine": "searxng", "search_url": "UPSTREAM"}


@scenario(
    "picture: read", "a PNG that Read returns reaches the model, or a sentence says what it did not see"
)
def picture(on: Stage) -> None:
    on.ask("Look.", Turn("", (read(on.path("plot.png")),)), Turn("I have looked."))
    _arrived_or_told(on)


@scenario("picture: pasted", "a picture of the user's reaches the model, or a sentence says so")
def pasted(on: Stage) -> None:
    text = {"type": "text", "text": on.next_prompt("What is it?", [Turn("One color.")])}
    message = {"type": "user", "message": {"role": "user", "content": [text, picture_block()]}}
    words = ["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose", FREE]
    ended = on.run(words, stdin=json.dumps(message) + "\n")
    assert ended.returncode == 0, ended.stderr
    assert "One color." in ended.stdout
    _arrived_or_told(on)


def _arrived_or_told(on: Stage) -> None:
    """A picture is there, or words about it stand in its place."""
    sent = json.dumps(on.bodies()[-1]["messages"])
    assert "image_url" in sent or "picture" in sent or "image" in sent, sent[-600:]


@scenario("PDF", "the text of a PDF reaches the model")
def document(on: Stage) -> None:
    on.ask("Read.", Turn("", (read(on.path("terms.pdf")),)), Turn("I have read it."))
    on.seen("prices are in pounds")


@scenario("notebook", "cells and outputs reach the model")
def notebook(on: Stage) -> None:
    on.ask("Read.", Turn("", (read(on.path("prices.ipynb")),)), Turn("I have read it."))
    on.seen("print('total', 250)", "total 250")


@scenario(
    "web search",
    "results of the chosen engine reach the model",
    test="test_claude_code_with_web_search.py",
    settings=SEARCH,
)
def search(on: Stage) -> None:
    async def results(_: Request) -> JSONResponse:
        one = {"title": "About it", "url": "https://a.example/about", "content": "FOUND-TEXT-61 is in it."}
        return JSONResponse({"results": [one]})

    on.scripted.app.router.routes.append(Route("/search", results))
    _search(on)
    on.seen("https://a.example/about", "FOUND-TEXT-61")


@scenario("web search without an engine", "the model is told that there is no engine")
def no_search(on: Stage) -> None:
    _search(on)
    on.seen("search engine")


def _search(on: Stage) -> None:
    turns = [Turn("", (found("WebSearch"),)), Turn("", (Call("WebSearch", {"query": "what it is"}),))]
    on.ask("Search.", *turns, Turn("I have searched."))
    assert any(DIRECT_QUERY in json.dumps(trace.request.body) for trace in on.traces())


@scenario("web fetch", "the client fetches a page without asking its vendor; the text reaches the model")
def fetch(on: Stage) -> None:
    with _page(on) as url:
        on.ask(
            "Fetch it.",
            Turn("", (found("WebFetch"),)),
            Turn("", (Call("WebFetch", {"url": url, "prompt": "what is on the page"}),)),
            Turn("I have fetched it."),
            env={"NODE_EXTRA_CA_CERTS": str(on.folder / "page/cert.pem")},
        )
    on.seen("PAGE-TEXT-5512", "A plain answer.")


@contextmanager
def _page(on: Stage) -> Iterator[str]:
    """A page over TLS on the loopback, with a certificate made here."""
    folder = on.folder / "page"
    folder.mkdir()
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    making = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *files, *names]
    subprocess.run(making, check=True, capture_output=True)

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<html><title>A page</title><body><p>PAGE-TEXT-5512 of our own.</p></body></html>"
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}/page.html"
    finally:
        server.shutdown()
        server.server_close()
