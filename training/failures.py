"""The results of failed calls, and the model's answers to them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from training import answers
from training.failure_wordings import TRAINING, FailureWordings
from training.requests import Request
from training.strings import Strings

_ON_FILES = ("read", "count", "write", "edit", "edit_all")
_DEFAULT_PROGRAMS = {"read": "cat", "list": "ls", "search": "grep", "find": "find", "count": "wc"}

# What the model must name in a request, and what it says was not done to it.
_NAMED = {
    "read": ("f", "read"),
    "list": ("d", "listed"),
    "search": ("p", "searched for"),
    "find": ("g", "searched for"),
    "run": ("c", "run"),
    "count": ("f", "counted"),
    "write": ("f", "written"),
    "edit": ("f", "changed"),
    "edit_all": ("f", "changed"),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A tool's result and the answer to it; `kind` is the kind of failure."""

    kind: str
    result: str
    answer: str


class Failures:
    """Draws failures that fit a request and the called tool."""

    def __init__(self, strings: Strings, wordings: FailureWordings = TRAINING) -> None:
        self._strings = strings
        self._random = strings.random
        self._wordings = wordings

    def draw(self, request: Request, tool: str, kind: str | None = None) -> Failure:
        """A failure of `tool`, of one of the matching `kinds`."""
        kind = kind or self._random.choice(self.kinds(request, tool))
        words = self._wordings
        if kind == "refused":
            return Failure(kind, self._error(words.refused, request), refused(request))
        if tool == "Bash":
            return self._of_command(request, kind)
        result = self._error(getattr(words, kind), request)
        return Failure(kind, result, self._answer(request, kind, result))

    @staticmethod
    def kinds(request: Request, tool: str) -> tuple[str, ...]:
        """The possible failures of a request served by `tool`; more likely ones are repeated."""
        places: tuple[str, ...] = ()
        if tool == "Bash":
            places = ("missing", "missing", "folder", "forbidden") if named_place(request) else ()
            return (*places, "command", "command", "exit", "background", "refused")
        if request.kind == "write":
            places = ("forbidden",)
        elif named_place(request):
            places = ("missing", "missing", "missing", "forbidden")
        folder = ("folder",) if request.kind in _ON_FILES else ()
        return (*places, *folder, "refused", "refused", "other")

    def of_edit(self, request: Request, kind: str | None = None) -> Failure:
        """The possible failures of an edit of a file that was read."""
        kinds = ("absent", "absent", "several", "refused", "other", "forbidden", "missing")
        return self.draw(request, "Edit", kind or self._random.choice(kinds))

    def nothing(self) -> str:
        """The text in place of an empty result; often an empty one."""
        return (
            "" if self._random.random() < 0.4 else self._filled(self._random.choice(self._wordings.nothing))
        )

    def interruption(self) -> str:
        """The line that a client writes before the request behind an interrupted turn."""
        return self._filled(self._random.choice(self._wordings.interruptions))

    def _of_command(self, request: Request, kind: str) -> Failure:
        words = self._wordings
        if kind == "background":
            return Failure(kind, self._one(words.background, request), answers.IN_BACKGROUND)
        if kind == "exit":
            result = self._one(words.bare_exits, request)
            return Failure(kind, result, answers.command_failed(exit_code(result)))
        groups = {
            "missing": words.shell_missing,
            "folder": words.shell_folder,
            "forbidden": words.shell_forbidden,
            "command": words.shell_other,
        }
        # The answer to a failed command of the user is its output.
        group = groups[self._random.choice(tuple(groups)) if request.kind == "run" else kind]
        line = self._one(group, request)
        result = self._one(words.exits, request, line)
        if kind != "command":
            return Failure(kind, result, self._answer(request, kind, result))
        return Failure(kind, result, answers.command_failed(exit_code(result), line.split("\n")[0]))

    def _answer(self, request: Request, kind: str, result: str) -> str:
        place = named_place(request)
        match kind:
            case "missing":
                return answers.missing(place)
            case "folder":
                return answers.is_folder(place)
            case "forbidden":
                return answers.forbidden(place)
            case "absent":
                return answers.absent(request.slots["o"], place)
            case "several":
                return answers.several(request.slots["o"], place)
        return answers.failed(result)

    def _error(self, group: tuple[str, ...], request: Request) -> str:
        """An error of `group`, often in a frame of another kind: the frame says nothing about the kind."""
        wording = self._random.choice(group)
        frames = self._wordings.frames
        if frames and wording.count("\n") == 0 and self._random.random() < 0.5:
            core = answers.without_error_marks(wording).rstrip(".")
            wording = self._random.choice(frames).replace("{core}", core)
        return self._filled(wording, request)

    def _one(self, group: tuple[str, ...], request: Request, line: str | None = None) -> str:
        return self._filled(self._random.choice(group), request, line)

    def _filled(self, wording: str, request: Request | None = None, line: str | None = None) -> str:
        strings, random = self._strings, self._random
        command = request.slots.get("c", "") if request else ""
        named = named_place(request) if request else ""
        named = named or command.split(" ")[-1].strip("\"'")
        program = command.split(" ")[0] or _DEFAULT_PROGRAMS.get(request.kind if request else "", "cat")

        def value(match: re.Match[str]) -> str:
            match match[1]:
                case "f":
                    return named or strings.file()
                case "a":
                    return f"{self._folder()}/{(named or strings.file()).removeprefix('/')}"
                case "d":
                    return self._folder()
                case "o":
                    return request.slots.get("o", "") if request else ""
                case "x":
                    return program
                case "n":
                    return str(random.choice((1, 1, 2, random.randint(2, 255))))
                case "w":
                    return random.choice((strings.word(), strings.word().capitalize()))
                case "p":
                    return strings.phrase(2, 7)
                case _:
                    return line or ""

        return re.sub(r"\{(\w+)\}", value, wording)

    def _folder(self) -> str:
        lead = self._random.choice(("/tmp/", "/home/", "/Users/", "/", "/root/", "/var/", "/work/"))
        count = self._random.choice((1, 2, 2, 3))
        return lead + "/".join(self._strings.identifier() for _ in range(count))


def named_place(request: Request) -> str:
    """The file or folder of a request, or an empty text."""
    return request.slots.get("f") or request.slots.get("d") or ""


def refused(request: Request) -> str:
    """The answer if a call was denied."""
    slot, done = _NAMED[request.kind]
    return answers.refused(request.slots.get(slot, ""), done)


def exit_code(result: str) -> str:
    """The number after "exit code"."""
    found = re.search(r"exit code (\d+)", result, re.IGNORECASE)
    return found[1] if found else ""
