"""System texts and reminders of clients: prose that the model must learn to ignore."""

from __future__ import annotations

from collections.abc import Callable

from training.strings import Strings

_SENTENCES = (
    "You are {W}, {p}.",
    "You are a {w} agent, built on the {W} {W}.",
    "You are {W} {W}, the official command line of {W}.",
    "You are an assistant that helps with {w} and {w}.",
    "You work with the user toward {p}, using your own judgment.",
    "IMPORTANT: {P}. Refuse requests for {p}.",
    "Use the tools to {w} the {w} and {p}.",
    "Read files before you edit them.",
    "When you {p}, tell the user what you {w}.",
    "Never {p}.",
    "Always {p} before you {w}.",
    "Do not write {w} unless the user asks.",
    "# {W}",
    "# {W} {w}",
    "## {P}",
    " - {P}: {v}",
    "- {w}: {P}. {P}.",
    "- {i}: {p}",
    " - {W} {w} {w}: {f}",
    " - Platform: {w}",
    " - Shell: {w}",
    " - Is a {w} repository: {w}",
    "Today's date is {y}-{n}-{n}.",
    "The {w} is a {w} of the {w}, and {p}.",
    "If the {w} is {w}, {p}.",
    "Run {c} to {w} the {w}.",
    "The user has {p}.",
    "The user may ask for {w}, {w} or {w}. Answer in {w} sentences.",
    "Note: {p} ({v}).",
    "{P}, {p}; {p}.",
    "The following {w} are available for {w}:",
    "<{w}>{p}</{w}>",
    "`{i}` {p}.",
    "See {f} for {p}.",
    "Keep the user updated about {p}.",
    "You have been invoked in the following {w}: {f}",
    "Search for {w} with {i} and list {w} with {i}.",
    "Answer briefly. {P}.",
)

_TITLE_SENTENCES = (
    "Write a short title for this session as JSON.",
    "You name sessions. Answer with a title in JSON.",
    "Give the conversation a title of a few words.",
    "You are naming a {w} session: the title is a short name, in JSON with the key title.",
    "Summarize the session in a title: a short phrase in sentence case.",
    "Generate a title for the {w} session that the user can recognise.",
    'Return JSON with one field "title".',
    "The title names what the session is about; it is not a sentence.",
    "Name this session so that the user finds it in a list.",
    "Create a concise title, two to seven words.",
    "Think of a title for the text below.",
    "Your task: a title for a chat. No more than {n} words.",
)
_TITLE_WRAPS = (
    "{t}",
    "{t}",
    "<session>\n{t}\n</session>",
    "<session>\n{t}\n</session>\n\nWrite the title in the language of the session. {P}.",
    "<session>\n{t}\n</session>\n\nWrite the title, {p}, {p}.",
    "<{w}>\n{t}\n</{w}>\n\nTitle:",
    "Session: {t}",
    "The user asked: {t}\n\nWhat is the title?",
    "<conversation>\n{t}\n</conversation>\n\n{P}.",
)


def system_text(strings: Strings, sentences: int) -> str:
    """A system text that says nothing about titles."""
    parts = [fill(strings, strings.random.choice(_SENTENCES)) for _ in range(sentences)]
    joint = strings.random.choice((" ", "\n", "\n\n"))
    return joint.join(parts)


def title_system_text(strings: Strings) -> str:
    """A system text that requests a session title."""
    asks = strings.random.sample(_TITLE_SENTENCES, strings.random.randint(1, 3))
    parts = [fill(strings, ask) for ask in asks]
    lead, rest = strings.random.choice(((0, 0), (1, 0), (1, 2), (1, 3), (0, 3), (0, 1)))
    before = [system_text(strings, lead)] if lead else []
    after = [system_text(strings, rest)] if rest else []
    return strings.random.choice((" ", "\n", "\n\n")).join([*before, *parts, *after])


def title_request(strings: Strings, text: str) -> str:
    """`text` as clients send the conversation for which they request a title."""
    return fill(strings, strings.random.choice(_TITLE_WRAPS)).replace("{t}", text)


def fill(strings: Strings, sentence: str) -> str:
    """Fill the slots of a sentence of noise."""
    slots: dict[str, Callable[[], str]] = {
        "{w}": strings.word,
        "{W}": lambda: strings.word().capitalize(),
        "{p}": lambda: strings.phrase(2, 7),
        "{P}": lambda: strings.phrase(2, 7).capitalize(),
        "{v}": strings.value,
        "{i}": strings.identifier,
        "{f}": strings.file,
        "{c}": strings.command,
        "{n}": lambda: str(strings.random.randint(1, 31)),
        "{y}": lambda: str(strings.random.randint(2000, 2099)),
    }
    for slot, draw in slots.items():
        while slot in sentence:
            sentence = sentence.replace(slot, draw(), 1)
    return sentence
