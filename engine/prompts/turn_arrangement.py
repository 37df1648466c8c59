"""Turns in an order and a form that a chat template accepts: calls, results and the text with them.

Pure, and free of mlx. For templates with one call a turn, each call is followed by its result. Text that
would be dropped next to calls gets its own place. A user's text behind a result is joined to it where turns
must alternate. A turn changes only by itself and its neighbours, never by later turns, so that the rendered
beginning of a conversation stays the same while it grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.prompts.encoding.control_tokens import OWN
from engine.prompts.template_traits import TemplateTraits
from engine.wire.chat import PROJECT_TEXT, Message, content_text

NO_RESULT = "[no result: this call was interrupted]"
NO_TEXT = "[no text]"
_NO_BEGINNING = "[what was said before is not shown]"


@dataclass(frozen=True, slots=True)
class Turn:
    """Messages that belong together; `answer` is the whole model answer that they form, if any."""

    messages: tuple[Message, ...]
    answer: Message | None = None


def arrange_turns(messages: Sequence[Message], traits: TemplateTraits) -> tuple[list[Turn], list[str]]:
    """Turns for a template with these traits, and notes on what was changed."""
    notes: list[str] = []
    arranged = list(messages)
    if not traits.orphan_results:
        arranged = _orphans_as_text(arranged, notes)
    if not traits.unanswered_calls:
        arranged = _answered(arranged, notes)
    if not traits.assistant_first:
        arranged = _asked_first(arranged, notes)
    if not traits.user_after_result:
        arranged = _user_text_with_results(arranged, notes)
    whole = {id(message) for message in messages if message["role"] == "assistant"}
    turns = [Turn((shown_answer(m, traits),), m if id(m) in whole else None) for m in arranged]
    if not traits.parallel_calls:
        turns = _one_call_a_turn(turns, notes)
    return _text_placed(turns, traits, notes), notes


def shown_answer(message: Message, traits: TemplateTraits) -> Message:
    """An answer with its thinking as text, and with some text, for a template that needs that.

    Only the thinking of answers with calls, which are parts of a loop: a template without a place for it, or
    one that drops it before the last question, does not show that of other answers either.
    """
    thinking = message.get("reasoning_content") if message.get("tool_calls") else None
    if thinking and traits.thinking_text is not None:
        start, end = traits.thinking_text
        thought = f"{OWN}{start}\n{thinking}\n{OWN}{end}"
        rest = {name: value for name, value in message.items() if name != "reasoning_content"}
        message = rest | {"content": joined_paragraphs(thought, message["content"])}
    has_something = message.get("tool_calls") or message["content"] or message["role"] != "assistant"
    if traits.empty_answers or has_something:
        return message
    return message | {"content": NO_TEXT}


def has_project_text(messages: Sequence[Message]) -> bool:
    """Whether some, and not all, of a leading system text is marked as the project's."""
    parts = messages[0].get("content") if messages and messages[0].get("role") == "system" else None
    return isinstance(parts, list) and len({_is_of_project(part) for part in parts}) > 1


def project_text_behind(messages: Sequence[Message]) -> list[Message]:
    """Messages with the marked parts of the leading system text in a system turn behind it.

    A template writes tools into the first system turn, behind its text. So what differs by project no longer
    stands before what all projects share.
    """
    first, rest = messages[0], messages[1:]
    shared = [part for part in first["content"] if not _is_of_project(part)]
    own = [part for part in first["content"] if _is_of_project(part)]
    behind = {"role": "system", "content": content_text(own).strip("\n")}
    return [first | {"content": content_text(shared).rstrip("\n")}, behind, *rest]


def _is_of_project(part: object) -> bool:
    return isinstance(part, dict) and bool(part.get(PROJECT_TEXT))


def result_as_text(message: Message) -> Message:
    """A result as a user turn."""
    text = f"{OWN}<tool_response>\n{message['content']}\n{OWN}</tool_response>"
    return {"role": "user", "content": text}


def joined_paragraphs(*texts: str | None) -> str:
    """Texts with an empty line between them."""
    return "\n\n".join(text for text in texts if text)


def _calls_before(messages: Sequence[Message], at: int) -> list[str]:
    """The ids of the calls that results at position `at` may belong to."""
    while at > 0 and messages[at - 1]["role"] == "tool":
        at -= 1
    calls = messages[at - 1].get("tool_calls") or [] if at > 0 else []
    return [call["id"] for call in calls]


def _orphans_as_text(messages: Sequence[Message], notes: list[str]) -> list[Message]:
    """Results without a call become text of the user."""
    arranged: list[Message] = []
    for at, message in enumerate(messages):
        orphan = message["role"] == "tool" and message["tool_call_id"] not in _calls_before(messages, at)
        arranged.append(result_as_text(message) if orphan else message)
        if orphan:
            notes.append(f"result {at + 1} of {len(messages)} messages follows no call; it is shown as text")
    return arranged


def _answered(messages: Sequence[Message], notes: list[str]) -> list[Message]:
    """Each call without a result gets one that says so; not the calls at the very end."""
    arranged: list[Message] = []
    open_calls: list[dict[str, str]] = []
    for message in messages:
        if message["role"] == "tool":
            open_calls = [call for call in open_calls if call["tool_call_id"] != message["tool_call_id"]]
        else:
            arranged += [{"role": "tool", "content": NO_RESULT, **call} for call in open_calls]
            if open_calls:
                notes.append(f"{len(open_calls)} call(s) without a result got one that says so")
            open_calls = [
                {"tool_call_id": call["id"], "name": call["function"]["name"]}
                for call in message.get("tool_calls") or []
            ]
        arranged.append(message)
    return arranged


def _asked_first(messages: Sequence[Message], notes: list[str]) -> list[Message]:
    """A conversation that does not begin with a user turn gets one."""
    at = 1 if messages and messages[0]["role"] == "system" else 0
    if messages[at : at + 1] and messages[at]["role"] == "user":
        return list(messages)
    notes.append("the conversation does not begin with the user; a turn was put before it that says so")
    return [*messages[:at], {"role": "user", "content": _NO_BEGINNING}, *messages[at:]]


def _user_text_with_results(messages: Sequence[Message], notes: list[str]) -> list[Message]:
    """A user's text behind results is joined to the last of them."""
    arranged: list[Message] = []
    joined = 0
    for message in messages:
        if message["role"] == "user" and arranged and arranged[-1]["role"] == "tool":
            said = f"<user-message>\n{message['content']}\n</user-message>"
            arranged[-1] = arranged[-1] | {"content": joined_paragraphs(arranged[-1]["content"], said)}
            joined += 1
        else:
            arranged.append(message)
    if joined:
        notes.append(
            f"{joined} user message(s) behind a result were joined to it: the model's chat template wants"
            " users and assistants to alternate"
        )
    return arranged


def _one_call_a_turn(turns: Sequence[Turn], notes: list[str]) -> list[Turn]:
    """Each call of a turn with several gets its own turn, followed by its result."""
    arranged: list[Turn] = []
    split = at = 0
    while at < len(turns):
        [message] = turns[at].messages
        calls = message.get("tool_calls") or []
        if len(calls) < 2:
            arranged.append(turns[at])
            at += 1
            continue
        split, at, results = split + 1, at + 1, []
        while at < len(turns) and turns[at].messages[0]["role"] == "tool":
            results.append(turns[at].messages[0])
            at += 1
        for number, call in enumerate(calls):
            own = message | {"tool_calls": [call]} if number == 0 else _bare(message, [call])
            arranged.append(Turn((own,)))
            arranged += [Turn((result,)) for result in results if result["tool_call_id"] == call["id"]]
        known = {call["id"] for call in calls}
        arranged += [Turn((result,)) for result in results if result["tool_call_id"] not in known]
    if split:
        notes.append(
            f"{split} turn(s) with several calls were split, each call with its result: the model's chat"
            " template shows one call a turn"
        )
    return arranged


def _bare(message: Message, calls: list[dict[str, object]]) -> Message:
    """A turn that only has calls."""
    return {"role": "assistant", "content": None if message["content"] is None else "", "tool_calls": calls}


def _text_placed(turns: Sequence[Turn], traits: TemplateTraits, notes: list[str]) -> list[Turn]:
    """Text with calls is moved to where the template renders it."""
    arranged: list[Turn] = []
    waiting, moved = "", 0
    for turn in turns:
        [message] = turn.messages
        if waiting and message["role"] == "tool":
            said = f"<assistant-message>\n{waiting}\n</assistant-message>"
            turn = Turn((message | {"content": joined_paragraphs(said, message["content"])},))
            moved += 1
        waiting = ""
        text = (message.get("content") or "") if message.get("tool_calls") else ""
        both = "reasoning_content" in message and not traits.thought_with_calls
        if text.strip() and (traits.call_text == "before" or (traits.call_text == "beside" and both)):
            calls = message | {"content": traits.empty_content}
            turn = Turn(({"role": "assistant", "content": text}, calls), turn.answer)
        elif text.strip() and traits.call_text == "result":
            waiting = text.strip()
        arranged.append(turn)
    if moved:
        notes.append(
            f"the text beside calls in {moved} turn(s) stands with the call's result: the model's chat"
            " template does not show it beside calls"
        )
    return arranged
