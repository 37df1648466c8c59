from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from bench.child import clean_environment
from tests.tui.scripted_host import scripted_host
from tui.client.host_client import HostClient
from tui.commands.events import follow, wanted
from tui.commands.exit_codes import CommandFailed

COMMAND = Path(sys.executable).with_name("anyclaude-tui")


@contextmanager
def following(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The real command, ended when the block does."""
    process = subprocess.Popen(
        [str(COMMAND), "events", *arguments],
        cwd=folder,
        env=clean_environment(HOME=str(folder), TZ="UTC"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


@pytest.mark.parametrize(
    ("type_", "patterns", "fits"),
    [
        ("request.delta", [], True),
        ("request.delta", ["request.*"], True),
        ("request.delta", ["engine.*", "request.delta"], True),
        ("engine.state", ["request.*"], False),
        ("", ["request.*"], False),
    ],
)
def test_types_are_chosen_by_pattern(type_: str, patterns: list[str], fits: bool) -> None:
    assert wanted(type_, patterns) is fits


class TestTheCommand:
    def test_it_prints_kept_and_new_events_as_json_lines(self, tmp_path: Path) -> None:
        with scripted_host() as host:
            host.emit("request.received", {"model": "é\u2028"}, "req_1")
            with following(tmp_path, "--json", "--attach", host.url) as process:
                assert json.loads(line(process.stdout)) == host.events[0]
                host.emit("request.finished", {"status": 200}, "req_1")
                assert json.loads(line(process.stdout)) == host.events[1]

    def test_since_new_and_type_leave_out_the_rest(self, tmp_path: Path) -> None:
        with scripted_host() as host:
            for type_ in ("host.notice", "request.delta", "engine.log"):
                host.emit(type_)
            with following(
                tmp_path, "--json", "--since", "1", "--type", "engine.*", "--attach", host.url
            ) as one:
                assert json.loads(line(one.stdout))["type"] == "engine.log"
            host.wait_for_followers(1)
            with following(tmp_path, "--json", "--new", "--attach", host.url) as two:
                host.wait_for_followers(2)
                host.emit("host.notice", {"text": "new"})
                assert json.loads(line(two.stdout))["seq"] == 4

    def test_for_people_it_is_one_safe_line(self, tmp_path: Path) -> None:
        with scripted_host() as host:
            host.emit("request.delta", {"text": "a\nb\x1b[31m", "output_tokens": 3}, "req_1")
            with following(tmp_path, "--attach", host.url) as process:
                said = line(process.stdout)
        assert said.startswith("00:00:01 request.delta req_1 text=")
        assert "output_tokens=3" in said
        assert "\x1b" not in said

    def test_it_ends_with_130_on_ctrl_c(self, tmp_path: Path) -> None:
        with scripted_host() as host, following(tmp_path, "--json", "--attach", host.url) as process:
            host.wait_for_followers(1)
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
            assert process.stderr is not None
            assert process.stderr.read() == ""

    def test_it_ends_when_its_reader_leaves_also_while_nothing_happens(self, tmp_path: Path) -> None:
        with scripted_host() as host, following(tmp_path, "--json", "--attach", host.url) as process:
            host.wait_for_followers(1)
            assert process.stdout is not None
            process.stdout.close()
            assert process.wait(10) == 0
            assert process.stderr is not None
            assert process.stderr.read() == ""

    def test_it_follows_a_host_through_a_break(self, tmp_path: Path) -> None:
        with scripted_host() as host, following(tmp_path, "--json", "--attach", host.url) as process:
            host.emit("host.notice", {"text": "one"})
            assert json.loads(line(process.stdout))["seq"] == 1
            host.break_off()
            host.emit("host.notice", {"text": "two"})
            assert json.loads(line(process.stdout))["data"] == {"text": "two"}
            assert "trying again" in line(process.stderr)

    def test_without_a_host_it_says_so(self, tmp_path: Path) -> None:
        ended = subprocess.run(
            [str(COMMAND), "events", "--attach", "127.0.0.1:9"],
            cwd=tmp_path,
            env=clean_environment(HOME=str(tmp_path)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 2
        assert ended.stdout == ""
        (said,) = ended.stderr.splitlines()
        assert "no host to follow: http://127.0.0.1:9: nothing listens there" in said

    def test_a_full_disk_is_told(self, tmp_path: Path) -> None:
        if not os.path.exists("/dev/full"):
            pytest.skip("no /dev/full on this system")
        with scripted_host() as host, open("/dev/full", "w") as full:
            host.emit("host.notice")
            ended = subprocess.run(
                [str(COMMAND), "events", "--json", "--attach", host.url],
                cwd=tmp_path,
                env=clean_environment(HOME=str(tmp_path)),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                timeout=20,
                check=False,
            )
        assert ended.returncode == 2
        assert "Traceback" not in ended.stderr
        assert "No space left" in ended.stderr


class TestFollowing:
    async def test_a_host_that_was_started_anew_is_read_from_its_beginning(self) -> None:
        with scripted_host() as host:
            host.emit("host.notice", {"text": "old"})
            host.emit("host.notice", {"text": "old"})
            client = HostClient(host.url)
            events = follow(client, pauses_s=(0.01,))
            try:
                assert [(await anext(events))[1].seq for _ in range(2)] == [1, 2]
                host.begin_anew()
                host.emit("host.notice", {"text": "new"})
                assert (await anext(events))[1].data == {"text": "new"}
            finally:
                await events.aclose()
                await client.close()

    async def test_an_event_that_cannot_be_read_is_reported_and_left_out(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with scripted_host() as host:
            host.events.append({"seq": 1})
            host.emit("host.notice", {"text": "whole"})
            client = HostClient(host.url)
            events = follow(client)
            try:
                assert (await anext(events))[1].data == {"text": "whole"}
            finally:
                await events.aclose()
                await client.close()
        assert "sent invalid data; it is skipped" in capsys.readouterr().err

    async def test_a_missing_token_is_an_error_and_not_a_retry(self) -> None:
        with scripted_host(token="secret") as host:
            client = HostClient(host.url)
            try:
                with pytest.raises(CommandFailed, match="token"):
                    await anext(follow(client))
            finally:
                await client.close()
