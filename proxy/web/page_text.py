"""The text of an HTML page as a reader sees it, with headings, lists and the addresses of links."""

from __future__ import annotations

import re
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser, LexborNode

_HIDDEN = "script, style, noscript, template, svg, iframe, object, canvas, nav, button, select, [hidden]"
_BREAKS = re.compile(
    "address|article|aside|blockquote|br|d[dlt]|div|figcaption|figure|footer|h[1-6r]|header|li|main|[ou]l|p|pre"
    "|section|t(?:able|body|[dhr])"
)
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}


def page_text(markup: str, url: str) -> tuple[str, str]:
    """Title and text of a page; links have their whole address behind them, in brackets."""
    tree = LexborHTMLParser(markup)
    found = tree.css_first("title")
    title = " ".join(found.text().split()) if found is not None else ""
    for node in tree.css(_HIDDEN):
        node.decompose()
    root = tree.css_first("main") or tree.body
    if root is None:
        return title, ""
    text = "".join(_pieces(root, url))
    text = re.sub(r"\n- *\n+", "\n- ", text)
    text = re.sub(r"[ \t]+\n", "\n", text)
    return title, re.sub(r"\n{3,}", "\n\n", text).strip()


def _pieces(root: LexborNode, url: str) -> list[str]:
    """Walk the page without recursion: pages nest as deep as they like."""
    pieces: list[str] = []
    stack: list[LexborNode | str] = [root]
    preformatted = 0
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            preformatted -= node == "</pre>"
            pieces.append("\n" if node == "</pre>" else node)
            continue
        tag = node.tag
        if tag == "-text":
            text = node.text_content or ""
            pieces.append(text if preformatted else re.sub(r"\s+", " ", text))
            continue
        if tag and _BREAKS.fullmatch(tag):
            pieces.append("\n" + _HEADINGS.get(tag, "- " if tag == "li" else ""))
            stack.append("</pre>" if tag == "pre" else "\n")
            preformatted += tag == "pre"
        elif tag == "a" and (target := _target(node, url)):
            stack.append(f" ({target})")
        stack.extend(reversed(list(node.iter(include_text=True))))
    return pieces


def _target(node: LexborNode, url: str) -> str:
    try:
        target = urljoin(url, node.attributes.get("href") or "")
    except ValueError:
        return ""
    return target if target.startswith(("http://", "https://")) and target != url else ""
