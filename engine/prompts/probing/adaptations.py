"""What the traits of a chat template change in conversations, as sentences for people."""

from __future__ import annotations

from collections.abc import Iterator

from engine.prompts.template_traits import TemplateTraits

_UNLESS: dict[str, str] = {
    "first_system": "the system text stands in the first turn of the user",
    "system_in_place": "later system entries stand in the turns at their places",
    "repeated_roles": "turns of one role that follow each other are joined",
    "tool_turns": "calls and results are written as text",
    "parallel_calls": "several calls of a turn are split, each with its result",
    "thought_with_calls": "text beside calls with thinking stands in a turn before them",
    "user_after_result": "what the user says behind a result is joined to it",
    "unanswered_calls": "a call without a result gets one that says so",
    "orphan_results": "a result without a call is text of the user",
    "assistant_first": "a conversation that begins with an answer gets a turn of the user before it",
    "empty_answers": "an answer without text and calls says so",
}
_IF: dict[str, str] = {
    "text_arguments": "arguments of calls are given as text",
    "short_call_ids": "ids of calls are nine letters and digits",
    "named_call_ids": "ids of calls carry the tool's name and the call's number",
    "content_parts": "content is given as a list of parts",
    "texts_placed": "long texts are put into the prompt afterwards, since the template shortens them",
    "turns_alone": "turns are rendered one by one, since the template does not show all of them",
    "fields_set": "messages are given as namespaces, whose fields the template sets",
    "needs_system": "a system text is added to a conversation without one",
    "tools_need_system": "a system text is added where tools are offered without one",
    "tools_as_text": "tools are written into the system text",
    "selects": "nothing: the template says that it leaves content out on purpose",
    "composed": "prompts are composed turn by turn, so that history stays as it was generated",
}
_FORMS = ("texts_placed", "turns_alone")
_CALL_TEXT = {
    "before": "text beside calls stands in a turn before them",
    "result": "text beside calls stands with their result",
}


def adaptations(traits: TemplateTraits) -> tuple[str, ...]:
    """What is changed for a template with these traits; empty for one that takes all as it is."""
    return tuple(dict.fromkeys(_changes(traits)))


def form_notes(traits: TemplateTraits) -> tuple[str, ...]:
    """Notes on the form in which the messages of each prompt are given, if it is not the usual one."""
    return tuple(_IF[name] for name in _FORMS if getattr(traits, name))


def _changes(traits: TemplateTraits) -> Iterator[str]:
    for name, change in _UNLESS.items():
        if not getattr(traits, name) and not (name == "system_in_place" and not traits.first_system):
            yield change
    for name, change in _IF.items():
        if getattr(traits, name):
            yield change
    if traits.call_text in _CALL_TEXT:
        yield _CALL_TEXT[traits.call_text]
    if traits.thinking_text is not None:
        start, end = traits.thinking_text
        yield f"the thinking of answers with calls is written as text between {start} and {end}"
    elif traits.thinking_field != "reasoning_content":
        yield f"thinking is given as {traits.thinking_field}"
    if traits.fixed_kwargs:
        yield "set for the template: " + ", ".join(f"{k}={v}" for k, v in sorted(traits.fixed_kwargs.items()))
