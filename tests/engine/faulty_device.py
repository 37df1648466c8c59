"""A device that fails as Metal does: what it computes is garbage first, and the exception comes later.

It takes the place of `mx.synchronize`, `mx.eval` and `mx.async_eval` on one thread, and stands around the
model that runs there. `mx.synchronize` is sure to raise what is left of a fault; the others may.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import pytest
from mlx.utils import tree_map

TIMEOUT = (
    "[METAL] Command buffer execution failed: Caused GPU Timeout Error"
    " (00000002:kIOGPUCommandBufferCallbackErrorTimeout)."
)
VICTIM = (
    "[METAL] Command buffer execution failed: Discarded (victim of GPU error/recovery)"
    " (00000005:kIOGPUCommandBufferCallbackErrorInnocentVictim)."
)
MEMORY = (
    "[METAL] Command buffer execution failed: Insufficient Memory"
    " (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)."
)
REFUSED = (
    "[METAL] Command buffer execution failed: Ignored (for causing prior/excessive GPU errors)"
    " (00000004:kIOGPUCommandBufferCallbackErrorSubmissionsIgnored)."
)


class FaultyDevice:
    """Fails when `fault` says so, which is asked at each call of the model and gives the text or ""."""

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        fault: Callable[[], str],
        *,
        notices: Callable[[], bool] = lambda: False,
    ) -> None:
        """`notices`: whether an evaluation, not a synchronize, raises what is left of a fault."""
        self._fault = fault
        self._notices = notices
        self._thread: int | None = None
        self.left = ""
        """What the next use of the stream raises."""
        self.thrown = 0
        synchronize, evaluate, begin = mx.synchronize, mx.eval, mx.async_eval

        def surely(*arguments: Any) -> None:
            synchronize(*arguments)
            self._raise(True)

        def perhaps(run: Any) -> Callable[..., None]:
            def wrapped(*arguments: Any) -> None:
                if self.left and self._is_here():
                    self._raise(self._notices())
                run(*arguments)

            return wrapped

        patch.setattr(mx, "synchronize", surely)
        patch.setattr(mx, "eval", perhaps(evaluate))
        patch.setattr(mx, "async_eval", perhaps(begin))

    def around(self, model: Any) -> Any:
        """The model as this device runs it, on the thread that calls this."""
        self._thread = threading.get_ident()
        return _OnDevice(model, self)

    def run(self, model: Any, inputs: Any, cache: Any, **options: Any) -> Any:
        """One call of the model."""
        text = self._fault() if self._is_here() else ""
        logits = model(inputs, cache=cache, **options)
        if not text:
            return logits
        self.left = self.left or text
        for layer in cache:
            layer.state = tree_map(_garbage, layer.state)
        return _garbage(logits)

    def _is_here(self) -> bool:
        return threading.get_ident() == self._thread

    def _raise(self, now: bool) -> None:
        if now and self.left and self._is_here():
            text, self.left = self.left, ""
            self.thrown += 1
            raise RuntimeError(text)


class _OnDevice:
    def __init__(self, model: Any, device: FaultyDevice) -> None:
        self._model = model
        self._device = device

    def __call__(self, inputs: mx.array, cache: Any = None, **options: Any) -> Any:
        return self._device.run(self._model, inputs, cache, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def _garbage(value: Any) -> Any:
    """What is in memory that nothing was written to."""
    if not isinstance(value, mx.array) or not mx.issubdtype(value.dtype, mx.floating):
        return value
    return mx.random.normal(value.shape).astype(value.dtype)


class Script:
    """Faults at given calls of the model, counted from 1 from when it is switched on."""

    def __init__(self, faults: dict[int, str] | None = None) -> None:
        self.faults = faults or {}
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        return self.faults.get(self.calls, "")
