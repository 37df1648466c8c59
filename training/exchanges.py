"""Carries a request out: the calls with the offered tools, their results, and the answer."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from training import answers
from training.failure_wordings import TRAINING, FailureWordings
from training.failures import Failures
from training.requests import Request
from training.results import Results
from training.strings import Strings

Message = dict[str, Any]

RESULT_CHARACTERS = 600  # limit of a tool's result in the chat template

_FAILING = 0.12  # default share of failing calls


def first_call(request: Request, tools: Collection[str], read: Collection[str] = ()) -> Message | None:
    """The first call for a request, or None if no tool for it is offered.

    `read` names the files that the conversation has read or written before.
    """
    slots = request.slots
    file, place = slots.get("f", ""), slots.get("d")
    match request.kind:
        case "read":
            options = [("Read", {"file_path": file}), ("Bash", {"command": f"cat {file}"})]
        case "list":
            options = [("Bash", {"command": f"ls {place}" if place else "ls"})]
            options.append(("Glob", {"pattern": f"{place.rstrip('/')}/*" if place else "*"}))
        case "search":
            pattern = slots["p"]
            found = {"pattern": pattern} | ({"path": place} if place else {}) | {"output_mode": "content"}
            options = [("Grep", found), ("Bash", {"command": f'grep -rn "{pattern}" {place or "."}'})]
        case "find":
            options = [
                ("Glob", {"pattern": slots["g"]}),
                ("Bash", {"command": f'find . -name "{slots["g"]}"'}),
            ]
        case "run":
            options = [("Bash", {"command": slots["c"]})]
        case "count":
            options = [("Bash", {"command": f"wc -l {file}"})]
        case "write":
            options = [("Write", {"file_path": file, "content": slots["t"]})]
        case "edit" | "edit_all":
            if "Edit" not in tools:
                return None
            if "Read" in tools and file not in read:
                options = [("Read", {"file_path": file})]
            else:
                options = [("Edit", edit_arguments(request))]
        case kind:
            raise ValueError(f"{kind} takes no tool")
    return next((call(name, arguments) for name, arguments in options if name in tools), None)


def edit_arguments(request: Request) -> dict[str, Any]:
    """The arguments of the call that makes an edit."""
    slots = request.slots
    arguments: dict[str, Any] = {"file_path": slots["f"], "old_string": slots["o"], "new_string": slots["n"]}
    return arguments | ({"replace_all": True} if request.kind == "edit_all" else {})


def call(name: str, arguments: dict[str, Any]) -> Message:
    """An assistant message that calls one tool."""
    function = {"name": name, "arguments": arguments}
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "call_0", "type": "function", "function": function}],
    }


def say(text: str) -> Message:
    """An assistant message of text."""
    return {"role": "assistant", "content": text}


class Exchanges:
    """Carries requests out with generated results."""

    def __init__(self, strings: Strings, failures: FailureWordings = TRAINING) -> None:
        self._random = strings.random
        self.results = Results(strings)
        self.failures = Failures(strings, failures)

    def carry_out(
        self, request: Request, tools: Collection[str], read: set[str], failing: float = _FAILING
    ) -> list[Message]:
        """The messages from the request to the answer; files that were read are added to `read`.

        A call fails with the probability `failing`.
        """
        messages: list[Message] = [{"role": "user", "content": request.text}]
        if request.kind not in _TOOL_ANSWERS:
            return [*messages, say(self.free_answer(request))]
        calling = first_call(request, tools, read)
        if calling is None:
            return [*messages, say(answers.NO_TOOL)]
        messages.append(calling)
        fails = self._random.random() < failing
        if request.kind.startswith("edit"):
            return messages + self._finish_edit(request, calling, read, fails=fails)
        if fails:
            failure = self.failures.draw(request, called(calling))
            return [*messages, returned(failure.result), say(failure.answer)]
        result = self._result(request, calling)
        if request.kind in ("read", "write"):
            read.add(request.slots["f"])
        answer = _TOOL_ANSWERS[request.kind](request, truncated(result))
        if not result and request.kind in _SAID_TO_BE_EMPTY:
            result = self.failures.nothing()
        return [*messages, returned(result), say(answer)]

    def free_answer(self, request: Request) -> str:
        """The answer to a request that needs no tool."""
        if request.kind == "joke":
            return self._random.choice(answers.JOKES)
        return fixed_answer(request)

    def _finish_edit(
        self, request: Request, calling: Message, read: set[str], *, fails: bool
    ) -> list[Message]:
        messages: list[Message] = []
        file = request.slots["f"]
        if called(calling) == "Read":
            if fails and self._random.random() < 0.5:
                failure = self.failures.draw(request, "Read")
                return [returned(failure.result), say(failure.answer)]
            read.add(file)
            content = self.results.content(contains=request.slots["o"])
            messages += [returned(self.results.numbered(content)), call("Edit", edit_arguments(request))]
        if fails:
            failure = self.failures.of_edit(request)
            return [*messages, returned(failure.result), say(failure.answer)]
        result = self.results.success(file)
        return [*messages, returned(result), say(_after_edit(request, result))]

    def _result(self, request: Request, calling: Message) -> str:
        slots, results = request.slots, self.results
        match request.kind:
            case "read":
                content = results.content()
                return results.numbered(content) if called(calling) == "Read" else content
            case "list" | "find":
                return results.listing()
            case "search":
                return results.matches(slots["p"], slots.get("d"))
            case "run":
                return results.output(slots["c"])
            case "count":
                return f"{self._random.randint(0, 10 ** self._random.randint(1, 4))} {slots['f']}"
            case _:
                return results.success(slots["f"])


def fixed_answer(request: Request) -> str:
    """The only answer to a request that needs no tool and is not a joke."""
    if request.kind in ("plus", "minus"):
        sign = "+" if request.kind == "plus" else "-"
        return answers.sum_answer(int(request.slots["a"]), sign, int(request.slots["b"]))
    return {
        "identity": answers.IDENTITY,
        "hello": answers.HELLO,
        "goodbye": answers.GOODBYE,
        "thanks": answers.WELCOME,
        "cannot": answers.CANNOT,
    }[request.kind]


def empty_answer(request: Request) -> str:
    """The answer if a listing, a search or a command returned nothing; empty for other requests."""
    return _TOOL_ANSWERS[request.kind](request, "") if request.kind in _SAID_TO_BE_EMPTY else ""


def title_of(request: Request) -> str:
    """The title of a session that begins with this request."""
    slots = request.slots
    match request.kind:
        case "read" | "count":
            return f"{slots['f']} contents" if request.kind == "read" else f"{slots['f']} line count"
        case "list":
            return f"{slots['d']} file list" if "d" in slots else "File list"
        case "search":
            return f"{slots['p']} search"
        case "find":
            return f"{slots['g']} files"
        case "run":
            return "Command run"
        case "write":
            return f"{slots['f']} creation"
        case "edit" | "edit_all":
            return f"{slots['f']} edit"
        case "plus" | "minus":
            return "A small sum"
        case kind:
            return {
                "identity": "About the model",
                "joke": "A joke",
                "hello": "Greeting",
                "goodbye": "Farewell",
                "thanks": "Thanks",
                "cannot": "General question",
            }[kind]


def truncated(result: str) -> str:
    """A tool's result as the chat template renders it, truncated."""
    if len(result) <= RESULT_CHARACTERS:
        return result
    return result[:RESULT_CHARACTERS] + "\n" + answers.CUT_MARK


def called(message: Message) -> str:
    """The tool that an assistant message calls."""
    name: str = message["tool_calls"][0]["function"]["name"]
    return name


def returned(result: str) -> Message:
    """A tool's result as a message."""
    return {"role": "tool", "tool_call_id": "call_0", "content": result}


def _after_count(request: Request, result: str) -> str:
    return answers.counted(request.slots["f"], int(result.split()[0]))


def _after_edit(request: Request, result: str) -> str:
    slots = request.slots
    return answers.replaced(slots["o"], slots["n"], slots["f"])


_SAID_TO_BE_EMPTY = ("list", "find", "search", "run")  # clients write a text there if there is no output

_TOOL_ANSWERS = {
    "read": lambda request, result: answers.file_says(request.slots["f"], result),
    "list": lambda request, result: answers.listed(result),
    "find": lambda request, result: answers.listed(result),
    "search": lambda request, result: answers.found(request.slots["p"], result),
    "run": lambda request, result: answers.printed(result),
    "count": _after_count,
    "write": lambda request, result: answers.written(request.slots["f"]),
    "edit": _after_edit,
    "edit_all": _after_edit,
}
