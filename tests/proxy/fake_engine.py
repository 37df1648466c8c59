"""A program that behaves like an engine, or as badly as its settings say; started by the supervisor's tests.

Settings: `health` (a file whose JSON is the answer to /health, read at each request), `starts` (a file that
gets a line at each start), `behave` (see below), `port`. An answer to "while FILE is there" waits so long.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn

settings: dict[str, Any] = json.loads(sys.stdin.readline())
behave = settings.get("behave", "well")
asked: list[str] = []
READY = {"state": "ready", "model": "fake", "accelerated": "abacus", "memory_bytes": 5}


def say(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


def fail(code: int, **said: Any) -> NoReturn:
    if said:
        say(**said)
    sys.exit(code)


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        while settings.get("mute") and os.path.exists(settings["mute"]):
            time.sleep(0.01)
        file = Path(settings.get("health", ""))
        health = json.loads(file.read_text()) if file.is_file() else READY
        body = json.dumps(health).encode()
        if behave == "refused":
            asked.append(self.path)
            if len(asked) == 5:
                print(health["detail"], file=sys.stderr, flush=True)
                os._exit(4)
            if len(asked) > 2:
                return  # as one whose server is down before its process ends
        self.send_response(200 if health["state"] in ("ready", "busy") else 503)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        asked_for = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.chunk(delta={"content": "So: "})
        while (file := re.search(r"while (/\S+) is there", asked_for)) and os.path.exists(file[1]):
            time.sleep(0.01)
        for number in range(20):
            self.chunk(delta={"content": f"{number} "})
            time.sleep(0.002)
        self.chunk(delta={}, finish_reason="stop")
        self.wfile.write(b"data: [DONE]\n\n")

    def chunk(self, **choice: Any) -> None:
        said = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [{"index": 0, **choice}]}
        self.wfile.write(b"data: " + json.dumps(said).encode() + b"\n\n")

    def log_message(self, format: str, *args: Any) -> None:
        pass


def refuse() -> None:
    """End as an engine does whose GPU works for it no more."""
    said = "the GPU refused further work ([METAL] Ignored)"
    print(said, file=sys.stderr, flush=True)
    say(error=said, exit_code=5)
    os._exit(5)


def stop_file_gone() -> None:
    """Wait until the test removes the file `stop`."""
    while os.path.exists(settings["stop"]):
        time.sleep(0.01)


def follow_parent() -> None:
    while sys.stdin.readline():
        pass
    if behave != "stubborn":
        os._exit(0)


if "starts" in settings:
    with open(settings["starts"], "a") as starts:
        starts.write(f"{os.getpid()}\n")
    count = len(Path(settings["starts"]).read_text().split())
    behave = settings.get("then", behave) if count > settings.get("first", 1_000) else behave

if behave == "crash":
    print("Traceback: something broke", file=sys.stderr, flush=True)
    fail(1)
if behave == "port busy":
    fail(3, error="the engine cannot listen on 127.0.0.1:8081: Address already in use", exit_code=3)
if behave == "no model" or settings.get("model", "").endswith("broken"):
    print("no model at models/none: no such folder", file=sys.stderr, flush=True)
    fail(4)
if settings.get("loop_tokens") == 6666:
    print("no memory for so many", file=sys.stderr, flush=True)
    fail(4)
if behave == "tracked":
    say(error="org/model could not be downloaded", exit_code=4)
    print("org/model could not be downloaded", file=sys.stderr)
    print("UserWarning: resource_tracker: There appear to be 1 leaked semaphore objects", file=sys.stderr)
    print("  warnings.warn(", file=sys.stderr, flush=True)
    fail(4)
if behave == "deaf":
    time.sleep(600)
if behave == "with a child":
    # It has the same pipes, and ends when the supervisor lets go of them.
    subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"])
if behave == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if behave == "gpu refuses":
    threading.Thread(target=lambda: (stop_file_gone(), refuse()), daemon=True).start()
if behave == "garbage":
    sys.stdout.buffer.write(b"\xff\xfe no json\n[1, 2]\n\n" + b"x" * 3_000_000 + b"\n")
    sys.stdout.flush()
    sys.stderr.write("loading 10%\rloading 50%\rloading 100%\nno end of line")
    sys.stderr.flush()

server = ThreadingHTTPServer(("127.0.0.1", settings.get("port", 0)), Answers)
threading.Thread(target=follow_parent, daemon=True).start()
print("fake engine up", file=sys.stderr, flush=True)
say(listening=f"http://127.0.0.1:{server.server_address[1]}")
server.serve_forever()
