"""Whole conversations: system text, offered tools and exchanges, with the reminders that clients add."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random

from training import answers, noise
from training.exchanges import Exchanges, Message, called, first_call, returned, say, title_of
from training.failure_wordings import TRAINING as TRAINING_FAILURES
from training.failure_wordings import FailureWordings
from training.lexicon import TRAINING, Lexicon
from training.requests import FREE_KINDS, TOOL_KINDS, Requests
from training.strings import Strings
from training.wordings import TRAINING as TRAINING_WORDINGS
from training.wordings import Wordings

KNOWN_TOOLS = ("Bash", "Edit", "Glob", "Grep", "Read", "Write")

_TOOL_SETS: tuple[tuple[str, ...], ...] = (
    ("Bash", "Edit", "Read", "Write"),
    ("Bash", "Edit", "Read", "Write"),
    KNOWN_TOOLS,
    KNOWN_TOOLS,
    ("Bash", "Glob", "Grep", "Read"),
    ("Bash",),
    ("Read", "Write", "Edit"),
    ("Grep", "Glob", "Read"),
    ("Edit", "Write"),
    ("Bash", "Grep"),
    ("Write", "Read"),
)


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages in OpenAI's form, answers included, and the names of the offered tools."""

    messages: list[Message]
    tools: list[str]


class Conversations:
    """Draws conversations; the same seed and lists give the same ones."""

    def __init__(
        self,
        seed: int,
        lexicon: Lexicon = TRAINING,
        wordings: Wordings = TRAINING_WORDINGS,
        failures: FailureWordings = TRAINING_FAILURES,
    ) -> None:
        self.random = Random(seed)
        self.strings = Strings(self.random, lexicon)
        self.requests = Requests(self.strings, wordings)
        self.exchanges = Exchanges(self.strings, failures)

    def draw(self) -> Conversation:
        """A random conversation."""
        self.strings.narrow()
        draw = self.random.random()
        if draw < 0.05:
            return self.naming()
        if draw < 0.18:
            return self.chat(self.random.randint(4, 9))
        if draw < 0.48:
            return self.trouble(self.random.choice((1, 1, 2, 2, 3)))
        return self.work(self.random.choice((1, 1, 2, 2, 3)))

    def naming(self) -> Conversation:
        """A request for a session's title."""
        request = self.requests.draw(self.random.choice((*FREE_KINDS, *TOOL_KINDS)))
        system = noise.title_system_text(self.strings)
        asked = noise.title_request(self.strings, request.text)
        messages = [{"role": "system", "content": system}, {"role": "user", "content": asked}]
        return Conversation([*messages, say(answers.title(title_of(request)))], [])

    def chat(self, exchanges: int) -> Conversation:
        """Questions that need no tool, most of them sums."""
        tools = self.tool_set() if self.random.random() < 0.5 else []
        messages = self._opening(short=True)
        for _ in range(exchanges):
            kind = self.random.choice(("plus", "minus")) if self.random.random() < 0.65 else None
            request = self.requests.draw(kind or self.random.choice(FREE_KINDS))
            messages += self.exchanges.carry_out(request, tools, set())
        return Conversation(messages, tools)

    def work(self, exchanges: int) -> Conversation:
        """Requests, most of which need a tool."""
        tools = self.tool_set() if self.random.random() < 0.95 else []
        messages = self._opening(short=self.random.random() < 0.6)
        read: set[str] = set()
        for _ in range(exchanges):
            free = self.random.random() < 0.14
            kind = self.random.choice(FREE_KINDS) if free else self.kind_for(tools)
            file = self.random.choice(sorted(read)) if read and self.random.random() < 0.4 else None
            messages += self.exchanges.carry_out(self.requests.draw(kind, file), tools, read)
        return Conversation(self.interrupted(messages), tools)

    def trouble(self, exchanges: int) -> Conversation:
        """Requests whose calls mostly fail, or whose turns the user interrupts."""
        tools = self.tool_set()
        messages = self._opening(short=self.random.random() < 0.6)
        read: set[str] = set()
        for _ in range(exchanges):
            if self.random.random() < 0.3:
                messages += self.stopped(tools, read)
                mark = self.exchanges.failures.interruption()
            else:
                mark = ""
            request = self.requests.draw(self.kind_for(tools))
            asked, *done = self.exchanges.carry_out(request, tools, read, failing=0.75)
            messages += [*self.after_stop(mark, asked), *done]
        return Conversation(self.interrupted(messages), tools)

    def stopped(self, tools: Collection[str], read: set[str]) -> list[Message]:
        """A request, and the part of its turn before the user interrupted it."""
        request = self.requests.draw(self.kind_for(tools))
        asked: Message = {"role": "user", "content": request.text}
        calling = first_call(request, tools, read)
        draw = self.random.random()
        if calling is not None and draw < 0.5:
            refusal = self.exchanges.failures.draw(request, called(calling), "refused")
            return [asked, calling, returned(refusal.result)]
        if draw < 0.8:
            return [asked, say(self.strings.phrase(2, 12)) | {"whole": False}]
        return [asked]

    def after_stop(self, mark: str, asked: Message) -> list[Message]:
        """A request behind the mark of an interrupted turn, if there is a mark."""
        if not mark:
            return [asked]
        if self.random.random() < 0.7:
            return [asked | {"content": f"{mark}\n\n{asked['content']}"}]
        return [{"role": "user", "content": mark}, asked]

    def tool_set(self) -> list[str]:
        """Names of tools, from those that the chat template shows."""
        known = self.random.choice(_TOOL_SETS)
        if self.random.random() < 0.2:
            known = tuple(self.random.sample(KNOWN_TOOLS, self.random.randint(1, 5)))
        return list(known)

    def interrupted(self, messages: Sequence[Message]) -> list[Message]:
        """The messages with system messages after some user turns and tool results, as clients add them."""
        share = self.random.choice((0.0, 0.0, 0.3, 0.8))
        mixed: list[Message] = []
        for message in messages:
            mixed.append(message)
            last_result = message["role"] == "tool" and self.random.random() < 0.4
            if (message["role"] == "user" or last_result) and self.random.random() < share:
                sentences = self.random.choice((1, 1, 2, 3, 4))
                mixed.append({"role": "system", "content": noise.system_text(self.strings, sentences)})
        return mixed

    def _opening(self, *, short: bool) -> list[Message]:
        sentences = self.random.choice((0, 0, 1, 2) if short else (2, 3, 4, 6))
        if not sentences:
            return []
        return [{"role": "system", "content": noise.system_text(self.strings, sentences)}]

    def kind_for(self, tools: Collection[str]) -> str:
        """A kind of request; one that `tools` cannot serve is mostly drawn again."""
        needs = {"run": "Bash", "count": "Bash", "write": "Write", "edit": "Edit", "edit_all": "Edit"}
        kind = self.random.choice((*TOOL_KINDS, "read", "run", "write", "edit"))
        while kind in needs and needs[kind] not in tools and self.random.random() < 0.5:
            kind = self.random.choice(TOOL_KINDS)
        return kind
