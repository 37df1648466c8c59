"""`anyclaude-tui statusline`: one line for Claude Code's status line, for tmux, or for a prompt.

Claude Code 2.1.332 runs the command of its setting `statusLine` with one JSON object on stdin and shows what
it prints. Of that object this reads `model.display_name`, and of `context_window` the fields
`total_input_tokens`, `context_window_size` and `current_usage` (null before the first answer). All else comes
from the host. The command is run often: it imports next to nothing, waits for nobody, and never fails.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

from proxy.configuration.known_backends import reports_reuse
from tui.client.figures import count, percent, rate, ratio

HOST_S = 0.5  # for the host's answer
STDIN_S = 0.3  # for the client's object, which it writes at once
_MOST_BYTES = 4 << 20
_GAP = " · "
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_WAITS = ("starting", "loading", "restarting", "exited", "stalled", "failed")
_RED, _YELLOW, _GREEN, _DIM = "31", "33", "32", "2"
_FULL, _FILLING = 0.9, 0.75  # of the context window
_GOOD, _FAIR = 0.7, 0.3  # hit rates
_MARGIN = 4  # columns that Claude Code keeps free beside the line


class StatusUnknown(Exception):
    """The host does not answer as it should; the text is short, for the line. Raised by `ask_state`."""


def ran_quickly(arguments: Sequence[str]) -> bool:
    """Print the line, if these arguments of `statusline` and the environment suffice for it; else False."""
    given: dict[str, str] = {}
    words = list(arguments)
    while words:
        word = words.pop(0)
        name, _, value = word.partition("=")
        if word == "--plain":
            given["plain"] = "1"
        elif name in ("--attach", "--width") and (value or words):
            given[name[2:]] = value or words.pop(0)
        else:
            return False
    width = given.get("width", "")
    url = given.get("attach", "") or session_address(os.environ)
    if not url or (width and not width.isdecimal()):
        return False
    url = url if "://" in url else f"http://{url}"
    print_line(url, session_token(url, os.environ), plain="plain" in given, width=int(width or 0))
    return True


def session_address(environ: Mapping[str, str]) -> str:
    """The host of the Claude Code session that runs this, if it is on this machine; else empty."""
    url = environ.get("ANTHROPIC_BASE_URL", "")
    parts = _parts(url)
    return url if parts is not None and parts.scheme == "http" and parts.hostname in _LOOPBACK else ""


def session_token(url: str, environ: Mapping[str, str]) -> str:
    """The token for a host: that of the session, if it is the session's host; else the user's own."""
    if environ.get("ANTHROPIC_BASE_URL", "").rstrip("/") == url.rstrip("/"):
        return environ.get("ANTHROPIC_AUTH_TOKEN", "")
    return environ.get("ANYCLAUDE_TOKEN", "")


def print_line(url: str, token: str, *, plain: bool = False, width: int = 0, problem: str = "") -> None:
    """Print the line about the host at `url` and the session on stdin; never raises."""
    state: dict[str, Any] = {}
    try:
        session = read_session()
        if not problem:
            try:
                state = ask_state(url, token)
            except StatusUnknown as error:
                problem = str(error)
        environ = os.environ
        columns = environ.get("COLUMNS", "")
        width = width or (max(10, int(columns) - _MARGIN) if columns.isdecimal() else 0)
        coloured = not (plain or environ.get("NO_COLOR") or environ.get("TERM") == "dumb")
        text = status_line(session, state, problem, width=width, coloured=coloured)
    except Exception as error:  # whatever was sent: a traceback is no status line
        text = f"anyclaude-tui: {type(error).__name__}"
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):
        os._exit(0)  # nobody reads it


def read_session(stream: Any = None) -> dict[str, Any]:
    """The object that Claude Code writes to stdin; empty where there is none."""
    stream = stream or sys.stdin
    if stream is None or stream.isatty():
        return {}
    data, ends = b"", time.monotonic() + STDIN_S
    while len(data) < _MOST_BYTES:
        left = ends - time.monotonic()
        if left <= 0 or not select.select([stream], [], [], left)[0]:
            break
        piece = os.read(stream.fileno(), 65_536)
        if not piece:
            break
        data += piece
    try:
        return _object(json.loads(data))
    except (ValueError, RecursionError):
        return {}


def ask_state(url: str, token: str, *, timeout_s: float = HOST_S) -> dict[str, Any]:
    """What `GET /anyclaude/state` answers.

    Raises:
        StatusUnknown: no host answers there in time.
    """
    parts = _parts(url)
    if parts is None or not parts.hostname:
        raise StatusUnknown(f"{url[:60]} is no address")
    name = parts.hostname
    port = parts.port or (443 if parts.scheme == "https" else 80)
    where = f"{name}:{port}"
    ends = time.monotonic() + timeout_s
    request = f"GET {parts.path.rstrip('/')}/anyclaude/state HTTP/1.0\r\nHost: {where}\r\n"
    request += f"Authorization: Bearer {token}\r\n" if token else ""
    answer = b""
    try:
        connection = socket.create_connection((name, port), timeout_s)
        if parts.scheme == "https":
            import ssl  # takes 30 ms; a host on this machine has none

            connection = ssl.create_default_context().wrap_socket(connection, server_hostname=name)
        with connection:
            connection.sendall(f"{request}\r\n".encode("latin-1"))
            while len(answer) < _MOST_BYTES:
                connection.settimeout(max(0.001, ends - time.monotonic()))
                if not (piece := connection.recv(65_536)):
                    break
                answer += piece
    except TimeoutError:
        raise StatusUnknown(f"the host on {where} does not answer") from None
    except (OSError, ValueError):
        raise StatusUnknown(f"no host on {where}") from None
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if status in ([b"401"], [b"403"]):
        raise StatusUnknown(f"the host on {where} asks for its token")
    try:
        state = _object(json.loads(body))
    except (ValueError, RecursionError):
        state = {}
    if status != [b"200"] or "engine" not in state:
        raise StatusUnknown(f"no host of anyclaude-tui on {where}")
    return state


def status_line(
    session: Mapping[str, Any],
    state: Mapping[str, Any],
    problem: str,
    *,
    width: int = 0,
    coloured: bool = False,
) -> str:
    """Model, engine or problem, tokens/s, context and hit rate, as far as they are known.

    `width` is the most columns, 0 for no limit: what matters least is left out first. A problem stays.
    """
    parts = [_model(session, state)]
    wrong = (problem, _RED) if problem else _trouble(state)
    if wrong[0]:
        parts.append(wrong)
    sure = len(parts)
    parts += [_speed(state), _context(session, state), _hit_rate(session, state), _load(state)]
    kept = [part for part in parts if part[0]]
    while width and len(kept) > sure and _columns(kept) > width:
        kept.pop()
    if width and _columns(kept) > width:
        (model, colour), *rest = kept
        room = width - _columns(rest) - len(_GAP) if rest else width
        if room > 1:
            kept = [(_cut(model, room), colour), *rest]
        else:
            kept = [(_cut(text, width), colour) for text, colour in (rest or kept)]
    gap = f"\x1b[{_DIM}m{_GAP}\x1b[0m" if coloured else _GAP
    return gap.join(f"\x1b[{colour}m{text}\x1b[0m" if coloured and colour else text for text, colour in kept)


Part = tuple[str, str]
"""Text, and its colour as an SGR parameter."""


def _model(session: Mapping[str, Any], state: Mapping[str, Any]) -> Part:
    model = _object(session.get("model"))
    named = state.get("model") or model.get("display_name") or model.get("id") or "anyclaude-tui"
    text = "".join(char if char.isprintable() else "?" for char in str(named)).rstrip("/")
    return text.rpartition("/")[2] or "anyclaude-tui", ""


def _trouble(state: Mapping[str, Any]) -> Part:
    engine = _object(state.get("engine"))
    name = str(engine.get("state", ""))
    if state.get("stopping"):
        return "stopping", _YELLOW
    if name not in _WAITS:
        return "", ""
    progress = _number(engine.get("progress"))
    done = f" {percent(progress)}" if name == "loading" and progress else ""
    return f"engine {name}{done}", _RED if name in ("failed", "stalled") else _YELLOW


def _speed(state: Mapping[str, Any]) -> Part:
    speed = _number(state.get("tokens_per_s"))
    return (f"{rate(speed)} tok/s", "") if speed else ("", "")


def _context(session: Mapping[str, Any], state: Mapping[str, Any]) -> Part:
    window = _object(session.get("context_window"))
    size = _number(_object(state.get("engine")).get("context_tokens"))
    size = size or _number(window.get("context_window_size"))
    usage = _object(window.get("current_usage"))
    used = sum(_number(usage.get(name)) for name in _PROMPT) or _number(window.get("total_input_tokens"))
    if not size:
        return (f"context {count(used)}", "") if used else ("", "")
    if not used:
        return f"context {count(size)}", ""
    share = used / size
    colour = _RED if share >= _FULL else _YELLOW if share >= _FILLING else ""
    return f"context {count(used)}/{count(size)} {percent(share)}", colour


_PROMPT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def _hit_rate(session: Mapping[str, Any], state: Mapping[str, Any]) -> Part:
    """Of the session's newest request, else of all requests of the host."""
    usage = _object(_object(session.get("context_window")).get("current_usage"))
    for counted in (usage, _object(state.get("counters"))):
        restored = _number(counted.get(_PROMPT[2]))
        share = ratio(restored, sum(_number(counted.get(name)) for name in _PROMPT))
        if share is not None and reports_reuse(str(state.get("backend", "mlx")), restored):
            colour = _GREEN if share >= _GOOD else _YELLOW if share >= _FAIR else _RED
            return f"hit rate {percent(share)}", colour
    return "", ""


def _load(state: Mapping[str, Any]) -> Part:
    """How many share the engine, where it is more than one."""
    counters = _object(state.get("counters"))
    ended = sum(_number(counters.get(name)) for name in ("finished", "failed", "cancelled"))
    running, queued = (
        _number(counters.get("requests")) - ended,
        _number(_object(state.get("engine")).get("queue")),
    )
    waiting = f", {count(queued)} queued" if queued else ""
    return (f"{count(running)} running{waiting}", "") if running > 1 or queued else ("", "")


def _columns(parts: Sequence[Part]) -> int:
    return sum(len(text) for text, _ in parts) + len(_GAP) * max(0, len(parts) - 1)


def _cut(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    return f"{text[: width - 1]}…"


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else 0


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.port is None or parts.port else None
    except ValueError:
        return None
