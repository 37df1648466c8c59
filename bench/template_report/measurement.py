"""What the engine makes of one chat template: refusals, losses, and what a loop of calls computes again."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.template_report.conversations import Conversation, conversations
from bench.template_report.tokenizers import template_tokenizer
from engine.prompts.chat_template import check_template
from engine.prompts.history.samples import shared_length
from engine.prompts.model_forms import ModelForms, model_forms
from engine.prompts.rendering import PromptRenderer, RenderedPrompt
from engine.tool_calls.schemas.tools import tool_schemas
from engine.wire.chat import Message

_EFFORTS = ("none", "low", "medium", "high", "xhigh")
_CALLS = 20  # of the loop
_REFUSED = "transcript"


@dataclass(frozen=True, slots=True)
class TemplateRow:
    """A row of the table. `refused` and `lost` name conversations and parts, empty for none.

    `reuse` is what a loop of calls and the question behind it compute, over what a plain append computes;
    `question` is the part of the last prompt that is computed again. `probe_s` are seconds of the processor.
    """

    name: str
    family: str = ""
    thinking: str = ""
    switch: str = ""
    history: str = ""
    fault: str = ""
    refused: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reuse: float = 0.0
    question: float = 0.0
    probe_s: float = 0.0

    def document(self) -> dict[str, Any]:
        return asdict(self)


def measure(name: str, template: str) -> TemplateRow:
    """The row of one template, on a tokenizer that is made for it."""
    tokenizer = template_tokenizer(template)
    fault = check_template(tokenizer)
    started = time.process_time()
    forms = model_forms(tokenizer)
    renderer = PromptRenderer(tokenizer, forms=forms)
    probe_s = time.process_time() - started
    found = _Findings()
    for conversation in conversations():
        found.add(conversation, renderer)
    computed, appended, question = loop_cost(renderer, forms)
    return TemplateRow(
        name,
        forms.family.name if forms.family else "",
        forms.thinking[0] if forms.thinking else "",
        renderer.traits.thinking_switch,
        "composed" if renderer.traits.composed else "its own",
        fault,
        tuple(found.refused),
        tuple(f"{what} ({where})" for what, where in found.lost),
        tuple(f"{count}x {note}" for note, count in found.notes.most_common()),
        computed / appended,
        question,
        probe_s,
    )


@dataclass
class _Findings:
    refused: list[str] = field(default_factory=list)
    lost: list[tuple[str, str]] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)

    def add(self, conversation: Conversation, renderer: PromptRenderer) -> None:
        for effort in (None, *_EFFORTS) if conversation.name == "first question" else (None,):
            try:
                prompt = renderer.render(
                    conversation.messages, conversation.tools, **renderer.thinking_kwargs(effort)
                )
            except Exception as error:
                self.refused.append(f"{conversation.name}: {type(error).__name__}: {error}")
                return
            self.notes.update(prompt.notes)
            self.refused += [f"{conversation.name}: {note}" for note in prompt.notes if _REFUSED in note]
            self.lost += [(what, conversation.name) for what in missing(conversation, prompt.text)]


def missing(conversation: Conversation, text: str) -> list[str]:
    """The parts that a prompt lacks, or has in another order."""
    lost = [what for word, what in (*conversation.anywhere, *conversation.parts) if word not in text]
    for call in (call for m in conversation.messages for call in m.get("tool_calls", [])):
        if call["function"]["name"] not in text:
            lost.append("name of a call")
    for chain in conversation.chains():
        at = 0
        for word, what in chain:
            place = text.find(word)
            if 0 <= place < at:
                lost.append(f"{what}: misplaced")
            at = max(at, place)
    return lost


def loop_cost(renderer: PromptRenderer, forms: ModelForms, calls: int = _CALLS) -> tuple[int, int, float]:
    """Tokens computed in a loop and at the question behind it; those of a plain append; and the part of the
    last prompt that is computed again.
    """
    session = _Session(renderer, forms)
    for number in range(calls):
        session.turn(number)
    session.say("All of it is done.", "Done, it says.")
    before = session.computed, session.appended
    session.ask("And now the next question, please.")
    last = session.computed - before[0]
    again = max(0, last - (session.appended - before[1])) / session.prompt_tokens
    return session.computed, session.appended, again


class _Session:
    """A conversation with a cache of all tokens that were computed."""

    def __init__(self, renderer: PromptRenderer, forms: ModelForms) -> None:
        self._renderer = renderer
        self._marks, self._family = forms.thinking, forms.family
        base = next(c for c in conversations() if c.name == "first question")
        self._tools, self._messages = base.tools, list(base.messages)
        self._cached: list[list[int]] = []
        self.computed = self.appended = self.prompt_tokens = 0
        self._since: list[Message] = []

    def turn(self, number: int) -> None:
        """An answer with a call as a model writes it and as the client sends it back, and its result."""
        text = f"Step {number}." if number % 3 else ""
        written = {"path": f"/a/{number}.py", "limit": float(number), "todos": [{"text": "x  \ny"}]}
        sent = {"all": False, "todos": [{"text": "x\ny"}], "limit": number, "path": f"/a/{number}.py"}
        call_id = f"toolu_{number:024d}"
        calls = self._written([_call(call_id, written)])
        generated = f"I think  of {number}.\n{self._closed()}{text}\n{calls}"
        self._answer(generated, text, [(call_id, written)], [(call_id, sent)], f"I think  of {number}.")
        result = {"role": "tool", "tool_call_id": call_id, "content": f"{number}: " + "some words " * 20}
        self._messages.append(result)
        self._since = [result]

    def say(self, thought: str, text: str) -> None:
        """An answer of text."""
        self._answer(f"{thought}{self._closed()}{text}", text, [], [], thought)
        self._since = []

    def ask(self, text: str) -> None:
        """A question of the user, and its prompt."""
        self._messages.append({"role": "user", "content": text})
        self._since.append(self._messages[-1])
        self._prompt()

    def _written(self, calls: list[dict[str, Any]]) -> str:
        """Calls as the model writes them: in its family's form, else as its template does."""
        if self._family is not None:
            pairs = [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in calls]
            return self._family.write(pairs, tool_schemas(self._tools or []))
        asked, answer = {"role": "user", "content": "x"}, {"role": "assistant", "content": ""}
        try:
            before, behind = (
                self._renderer.text([asked, answer | made, *more], self._tools, add_generation_prompt=False)[
                    0
                ]
                for made, more in (({"content": "zqword"}, []), ({"tool_calls": calls}, []))
            )
        except Exception:  # a template may raise anything
            return json.dumps(calls)
        start = shared_length(before, behind)
        end = before.partition("zqword")[2]
        return behind[start:].removesuffix(end) or json.dumps(calls)

    def _closed(self) -> str:
        return f"{self._marks[1]}\n" if self._marks else "\n"

    def _answer(self, generated: str, text: str, written: Any, sent: Any, thought: str) -> None:
        prompt = self._prompt()
        tokens = self._renderer.encode(generated)
        said: Message = {"role": "assistant", "content": text}
        calls = {"tool_calls": [_call(*one) for one in written]} if written else {}
        self._renderer.remember(prompt, said | calls, tokens)
        self._cached.append([*prompt.tokens, *tokens])
        calls = {"tool_calls": [_call(*one) for one in sent]} if sent else {}
        self._messages.append(said | calls | {"reasoning_content": thought})

    def _prompt(self) -> RenderedPrompt:
        prompt = self._renderer.render(self._messages, self._tools)
        kept = max((_shared(prompt.tokens, cached) for cached in self._cached), default=0)
        whole = self._cached[-1] if self._cached else []
        self.computed += len(prompt.tokens) - kept
        told = sum(len(self._renderer.encode(m["content"])) for m in self._since)
        continues = prompt.tokens[: len(whole)] == whole
        self.appended += len(prompt.tokens) - kept if continues else told + 8 * len(self._since)
        self.prompt_tokens = len(prompt.tokens)
        return prompt


def _call(call_id: str, arguments: dict[str, Any]) -> dict[str, Any]:
    function = {"name": "Look", "arguments": json.dumps(arguments)}
    return {"id": call_id, "type": "function", "function": function}


def _shared(one: list[int], other: list[int]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
