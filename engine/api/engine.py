"""The model's loop, and what the HTTP side keeps beside it: prompts, plans, answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from engine.api.answer_plan import AnswerPlan, AnswerPlanner
from engine.api.continued_answer import begun_answer, continued
from engine.api.requests import ChatRequest, ToolChoice
from engine.api.responses import RunningAnswers
from engine.models.loading import LoadedModel
from engine.prefix_cache.control import CacheControl
from engine.prompts.answer_memory import AnswerMemory
from engine.prompts.model_forms import model_forms
from engine.prompts.probing.known_traits import KnownTraits
from engine.prompts.rendering import PromptRenderer, RenderedPrompt
from engine.scheduling.requests.steps import Lane
from engine.scheduling.scheduler import Scheduler
from engine.wire.feed import PhaseTimes

_SAVED_WITHIN_S = 0.2  # that the end of an answer waits for its copy on disk, at most

T = TypeVar("T")


class NotReady(Exception):
    """The model is not there yet, or will not come; answered with status 503."""


@dataclass
class Engine:
    """The model's loop and what the web side keeps beside it."""

    scheduler: Scheduler
    model: str = ""  # as it was asked for, until it is loaded
    accelerated: str = ""
    tool_format: str = ""  # how it writes tool calls; empty: as its chat template shows
    thinking_format: str = ""  # the marks around its thinking; empty: as its chat template shows
    grammar: bool = True  # constrain tool calls and JSON answers by a grammar
    loop_tokens: int = 2000  # that an answer repeats itself for before it is ended; 0: it may for ever
    answers: AnswerMemory = field(default_factory=AnswerMemory)  # what history is rendered from
    traits: KnownTraits = field(default_factory=KnownTraits)  # of chat templates that were probed
    running: RunningAnswers = field(default_factory=RunningAnswers)
    cache: CacheControl | None = None  # what a person may ask of the prefix cache
    clock: Callable[[], float] = time.perf_counter
    # One thread: tokenizers raise when two use them at the same time.
    _rendering: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="rendering")
    )
    _renderer: PromptRenderer | None = None
    _planner: AnswerPlanner | None = None

    def require_model(self) -> LoadedModel:
        """The model.

        Raises:
            NotReady: it is not loaded.
        """
        loaded = self.scheduler.loaded
        if loaded is not None:
            return loaded
        health = self.scheduler.health()
        if health.state == "failed":
            raise NotReady(f"the model could not be loaded: {health.detail}")
        raise NotReady(f"the model is still loading ({health.progress:.0%}); try again in a moment")

    async def prepare(
        self, loaded: LoadedModel, chat: ChatRequest, lane: Lane = "main"
    ) -> tuple[RenderedPrompt, AnswerPlan, PhaseTimes]:
        """The prompt of a request, the plan for its answer, and what they took; made off the event loop.

        Raises:
            PromptRefused: the template does not take it.
        """
        asked = self.clock()
        return await self._off_loop(lambda: self._prepare(loaded, chat, lane, asked))

    async def render(self, loaded: LoadedModel, chat: ChatRequest) -> RenderedPrompt:
        """The prompt of a request, rendered off the event loop.

        Raises:
            PromptRefused: the template does not take it.
        """
        return await self._off_loop(lambda: self._render(loaded, chat))

    async def encode(self, loaded: LoadedModel, text: str) -> list[int]:
        """Token ids of plain text."""
        return await self._off_loop(lambda: self._renderer_of(loaded).encode(text))

    async def decode(self, loaded: LoadedModel, tokens: list[int]) -> str:
        """The text of token ids, control tokens as their names."""
        return await self._off_loop(lambda: str(loaded.tokenizer.decode(tokens)))

    async def remember(self, prompt: RenderedPrompt, message: dict[str, Any], tokens: list[int]) -> None:
        """Keep an answer for the prompts that will have it in their history, also after a kill of the engine.

        No prompt has it before its client knows its end. So if that end is reported after this returns, all
        cached history can be rendered as it was generated, also after a kill. A slow disk delays an answer
        only for a moment.
        """
        saved = self._renderer.remember(prompt, message, tokens) if self._renderer is not None else None
        if saved is not None:
            await asyncio.wait([asyncio.wrap_future(saved)], timeout=_SAVED_WITHIN_S)

    def warm_up(self) -> None:
        """Learn the chat template's traits and the tokens' bytes now, not with the first request."""
        loaded = self.require_model()
        self._rendering.submit(self._renderer_of, loaded)
        self._rendering.submit(self._planner_of, loaded)

    def close(self) -> None:
        """Let the rendering thread go."""
        self._rendering.shutdown(wait=False, cancel_futures=True)

    async def _off_loop(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._rendering, work)

    def _render(self, loaded: LoadedModel, chat: ChatRequest) -> RenderedPrompt:
        renderer = self._renderer_of(loaded)
        kwargs = renderer.thinking_kwargs(chat.reasoning_effort) | (chat.chat_template_kwargs or {})
        # Tools that may not be called are shown all the same where a grammar can forbid calls: the prompt
        # then begins as that of the session's other requests.
        shown = chat.choice.kind != "none" or self._planner_of(loaded).can_forbid_calls
        begun = begun_answer(chat, loaded.tokenizer)
        messages = chat.messages[:-1] if chat.continue_final_message else chat.messages
        prompt = renderer.render(messages, chat.shown_tools if shown else [], **kwargs)
        return continued(prompt, begun, renderer.forms.thinking, renderer.encode) if begun else prompt

    def _prepare(
        self, loaded: LoadedModel, chat: ChatRequest, lane: Lane, asked: float
    ) -> tuple[RenderedPrompt, AnswerPlan, PhaseTimes]:
        began, tokenized = self.clock(), self._renderer.tokenizing_s if self._renderer is not None else 0.0
        if lane == "compaction" and chat.choice.kind == "auto" and self._planner_of(loaded).can_forbid_calls:
            chat.choice = ToolChoice("none")  # the client takes a call in place of the summary for a failure
        prompt = self._render(loaded, chat)
        rendered, tokenize_s = self.clock(), self._renderer_of(loaded).tokenizing_s - tokenized
        plan = self._planner_of(loaded).plan(chat, opens_thinking=prompt.opens_thinking)
        return (
            prompt,
            plan,
            PhaseTimes(
                render_wait_s=began - asked,
                template_s=rendered - began - tokenize_s,
                tokenize_s=tokenize_s,
                grammar_s=self.clock() - rendered,
            ),
        )

    def _planner_of(self, loaded: LoadedModel) -> AnswerPlanner:
        if self._planner is None:
            self._planner = AnswerPlanner(
                loaded.tokenizer,
                loaded.eos_token_ids,
                forms=self._renderer_of(loaded).forms,
                grammar=self.grammar,
            )
        return self._planner

    def _renderer_of(self, loaded: LoadedModel) -> PromptRenderer:
        if self._renderer is None:
            self._renderer = PromptRenderer(
                loaded.tokenizer,
                self.answers,
                forms=model_forms(loaded.tokenizer, self.tool_format or "", self.thinking_format),
                known=self.traits,
            )
        return self._renderer
