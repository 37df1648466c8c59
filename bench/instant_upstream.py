"""An OpenAI-compatible upstream that answers at once: the floor for measuring a proxy.

    python -m bench.instant_upstream     settings on stdin: {"deltas": 400, "interval_s": 0}

It ignores the request's content and writes the same stream each time: each delta is one chunk, written alone,
`interval_s` after the previous one.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from engine.process.parent_watch import announce, read_settings, watch_parent


def stream_chunks(deltas: int) -> list[bytes]:
    """The answer as HTTP chunks: `deltas` short texts, the finish, the usage, the end."""
    base: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "instant",
    }

    def event(text: str) -> bytes:
        data = f"data: {text}\n\n".encode()
        return f"{len(data):x}\r\n".encode() + data + b"\r\n"

    def choice(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        body = base | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}
        return event(json.dumps(body))

    usage = {"prompt_tokens": 12000, "completion_tokens": deltas, "total_tokens": 12000 + deltas}
    return [
        choice({"role": "assistant", "content": ""}),
        *(choice({"content": f" word{i % 10}"}) for i in range(deltas)),
        choice({}, "stop"),
        event(json.dumps(base | {"choices": [], "usage": usage})),
        event("[DONE]"),
        b"0\r\n\r\n",
    ]


_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_MODELS = b'{"object": "list", "data": [{"id": "instant", "object": "model"}]}'


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chunks: list[bytes], interval_s: float
) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            if length:
                await reader.readexactly(int(length))
            if head.startswith(b"post"):
                writer.write(_HEAD)
                writer.write(chunks[0])  # the role; the first text follows at once
                for chunk in chunks[1:]:
                    writer.write(chunk)
                    await asyncio.sleep(
                        interval_s
                    )  # 0: one iteration of the event loop, as in any real server
            else:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
                writer.write(f"content-length: {len(_MODELS)}\r\n\r\n".encode() + _MODELS)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _main() -> None:
    settings = read_settings()
    chunks, interval_s = stream_chunks(int(settings["deltas"])), float(settings.get("interval_s", 0))
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(lambda r, w: _serve(r, w, chunks, interval_s), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()

    def end() -> None:
        loop.call_soon_threadsafe(ended.set)

    watch_parent(end)
    announce(listening=f"http://{host}:{port}")
    await ended.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(_main())
