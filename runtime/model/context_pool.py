"""The contexts that are being filled: a new one every half window, the oldest closed at a full one.

So an endless stream costs two prefills per step, in one run where that is faster, and bounded
memory, and every context is exactly what a fresh prefill of its steps would be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from runtime.engines.tensors import Tensor
from runtime.errors import NotFiniteError
from runtime.model.context import Context
from runtime.stream.steps import Step, StepFact

MOST_CONTEXTS = 2


@dataclass(slots=True)
class OpenContext:
    """A context and the facts of the steps it holds, in order.

    `seen`: their visual embeddings (H*W, D), shared between contexts; None where not kept.
    """

    context: Context
    facts: list[StepFact] = field(default_factory=list)
    seen: list[Tensor] | None = None

    def append(self, step: Step) -> None:
        """Prefill a step."""
        self.context.append_step(step.visual, step.residuals)
        self.note(step)

    def defer(self, step: Step) -> None:
        """Append a step that may be prefilled together with the question that follows it."""
        self.context.defer_step(step.visual, step.residuals)
        self.note(step)

    def note(self, step: Step) -> None:
        """The context holds one step more."""
        self.facts.append(StepFact.of(step.plan))
        if self.seen is not None:
            self.seen.append(step.visual)

    def forget(self, count: int) -> None:
        """Only the first `count` steps are held any more; the context was rewound."""
        del self.facts[count:]
        if self.seen is not None:
            del self.seen[count:]


class ContextPool:
    """The open contexts of one stream, at most `most` at a time.

    `window` is the number of steps that a context holds when it is full. Buffers of closed contexts
    are used again. `keeps`: whether contexts keep the visual embeddings of their steps.
    """

    def __init__(
        self,
        make: Callable[[], Context],
        window: int,
        most: int = MOST_CONTEXTS,
        keeps: bool = False,
    ) -> None:
        self._keeps = keeps
        self._make = make
        self._window = window
        self._every = -(-window // most)
        self._appended = 0
        self._open: list[OpenContext] = []
        self._free: list[Context] = []

    def append(self, step: Step) -> None:
        """Append a step to every open context, opening and closing contexts as they fall due.

        A context that can't take it is closed for good.
        """
        if self._open and len(self._open[0].facts) >= self._window:
            closed = self._open.pop(0).context
            closed.clear()
            self._free.append(closed)
        if self._appended % self._every == 0 or not self._open:
            self._open.append(self.fresh())
        if len(self._open) == MOST_CONTEXTS and self._open[0].context.saves_runs:
            together = [tuple(self._open)]
        else:
            together = [(context,) for context in self._open]
        for contexts in together:
            try:
                _append(step, *contexts)
            except NotFiniteError:
                for context in contexts:
                    self.discard(context)
        self._appended += 1

    @property
    def count(self) -> int:
        """How many contexts are open."""
        return len(self._open)

    @property
    def is_emptied(self) -> bool:
        """Whether there were steps, and the contexts that held them were closed for good."""
        return self._appended > 0 and not self._open

    @property
    def longest(self) -> OpenContext | None:
        """The open context that remembers most; None before the first step."""
        return self._open[0] if self._open else None

    def discard(self, context: OpenContext) -> None:
        """Close an open context for good: what its buffers hold is not to be trusted.

        Nor are those of contexts that were closed before: a device that was lost had them all.
        """
        self._open.remove(context)
        self._free.clear()

    def fresh(self) -> OpenContext:
        """An empty context that is not among those being filled."""
        context = self._free.pop() if self._free else self._made()
        return OpenContext(context, seen=[] if self._keeps else None)

    def _made(self) -> Context:
        try:
            return self._make()
        except NotFiniteError:  # the device was lost just now, and another engine is in its place
            return self._make()

    def release(self, context: OpenContext) -> None:
        """Take back what `fresh` gave."""
        context.context.clear()
        self._free.append(context.context)


def _append(step: Step, one: OpenContext, other: OpenContext | None = None) -> None:
    """To one context, or to two in one run."""
    if other is None:
        one.append(step)
        return
    one.context.append_step_beside(other.context, step.visual, step.residuals)
    one.note(step)
    other.note(step)
