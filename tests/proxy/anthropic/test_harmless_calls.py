"""Calls that certainly harm nothing, and calls of which that is not certain."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.anthropic.harmless_calls import SessionFolders, is_harmless, session_folders

FOLDERS = SessionFolders("/home/me/p", ("/home/me/p", "/data"))


def bash(command: str) -> tuple[str, dict[str, Any]]:
    return "Bash", {"command": command}


HARMLESS = [
    bash("ls -la"),
    bash("pwd && ls src | head -5; wc -l a.txt"),
    bash("grep -rn 'needle in' src /data/x"),
    bash("git status"),
    bash("git log --oneline -5"),
    bash("cat /home/me/p/a.txt"),
    ("Read", {"file_path": "/home/me/p/a"}),
    ("Grep", {"pattern": "x"}),
    ("TodoWrite", {"todos": []}),
]
NOT_KNOWN = [
    bash("rm -rf build"),
    bash("ls; rm x"),
    bash("ls;rm x"),
    bash("ls | sh"),
    bash("ls & rm x"),
    bash("ls&rm x"),
    bash("ls\nrm x"),
    bash("echo $(rm x)"),
    bash("echo `rm x`"),
    bash("echo a > b"),
    bash("cat <(rm x)"),
    bash("cat < /etc/passwd"),
    bash("cat /etc/passwd"),
    bash("cat ../q/a"),
    bash("cat ~/.ssh/id_rsa"),
    bash("cat /home/me/pp/a"),
    bash("cat $HOME/.netrc"),
    bash("grep -f/etc/passwd x"),
    bash("PATH=. ls"),
    bash("./ls"),
    bash("l\\s"),
    bash("cd; cat secret"),
    bash("git push"),
    bash("git -c core.pager=x log"),
    bash("git log --output=x"),
    bash("git log --output x"),
    bash("git log -p --outp=x"),
    bash("git log --ext-diff"),
    bash("git"),
    bash("ls 'unended"),
    bash(""),
    bash("ls ;; rm x"),
    ("Bash", {"command": 7}),
    ("Bash", {"command": "ls", "dangerouslyDisableSandbox": True}),
    ("Read", {"file_path": "/etc/passwd"}),
    ("Read", {"file_path": 7}),
    ("Write", {"file_path": "/home/me/p/a"}),
    ("mcp__x__Read", {"file_path": "/home/me/p/a"}),
]


@pytest.mark.parametrize(("name", "given"), HARMLESS)
def test_what_only_looks_is_harmless(name: str, given: dict[str, Any]) -> None:
    assert is_harmless(name, given, FOLDERS)
    assert is_harmless(name, given, SessionFolders("/", ())) is (name == "TodoWrite")


@pytest.mark.parametrize(("name", "given"), NOT_KNOWN)
def test_all_else_is_not_known(name: str, given: dict[str, Any]) -> None:
    assert not is_harmless(name, given, FOLDERS)


@pytest.mark.parametrize(
    ("context", "folders"),
    [
        (
            {
                "live_cwd": "/p",
                "trusted_directories": {"primary": {"path": "/p"}, "additional": [{"path": "/q"}, "/r"]},
            },
            SessionFolders("/p", ("/p", "/q", "/r")),
        ),
        ({"live_cwd": "p", "trusted_directories": {"primary": {"path": "/"}}}, SessionFolders("/", ())),
        ({"trusted_directories": []}, SessionFolders("/", ())),
    ],
)
def test_the_folders_of_a_context(context: dict[str, Any], folders: SessionFolders) -> None:
    assert session_folders(context) == folders
