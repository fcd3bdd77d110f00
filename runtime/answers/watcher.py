"""The decoder's side of a stream: contexts being filled, questions answered, alerts judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from runtime.answers.questions import QUESTION_TOKENS, Answer, Asker, Question
from runtime.model.context_pool import MOST_CONTEXTS, ContextPool, OpenContext
from runtime.model.models import Models
from runtime.stopwatch import Stopwatch
from runtime.stream.steps import Step, StepFact


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer and the steps it rests on."""

    answer: Answer
    steps: tuple[StepFact, ...]


class Watcher:
    """Not shared between threads. `window`: steps in a full context; `on_text` hears free text.

    `contexts`: how many are filled at a time.
    """

    def __init__(
        self,
        models: Models,
        grid: tuple[int, int],
        window: int,
        on_text: Callable[[str], None] = lambda piece: None,
        contexts: int = MOST_CONTEXTS,
    ) -> None:
        manifest = models.bundle.manifest
        # One step more than the window: the tail step of a question.
        tokens = (window + 1) * grid[0] * grid[1] + QUESTION_TOKENS
        capacity = len(manifest.prompt.before_video) + tokens + manifest.settings.max_new_tokens
        self.asker = Asker(models.bundle)
        self._on_text = on_text
        self._pool = ContextPool(lambda: models.context(grid, capacity), window, contexts)

    @property
    def newest(self) -> StepFact | None:
        """The step appended last."""
        longest = self._pool.longest
        return longest.facts[-1] if longest else None

    @property
    def contexts(self) -> int:
        """How many contexts are open."""
        return self._pool.count

    def append(self, step: Step, watch: Stopwatch) -> None:
        """Append a step to every open context."""
        with watch.stage("prefill"):
            self._pool.append(step)

    def ask(
        self, questions: Sequence[Question], tail: Step | None, watch: Stopwatch
    ) -> list[Reply]:
        """Answer in the context that remembers most, `tail` appended for the time being."""
        replies = []
        with self._tailed(tail, watch) as held:
            for question in questions:
                answer = self.asker.ask(question, held.context, watch, self._on_text)
                replies.append(Reply(answer, tuple(held.facts)))
        return replies

    @contextmanager
    def _tailed(self, tail: Step | None, watch: Stopwatch) -> Iterator[OpenContext]:
        """The longest context, or an empty one, with the tail step; afterwards as it was."""
        longest = self._pool.longest
        held = longest or self._pool.fresh()
        mark, count = held.context.mark(), len(held.facts)
        try:
            if tail is not None:
                with watch.stage("prefill"):
                    held.append(tail)
            yield held
        finally:
            held.context.rewind(mark)
            del held.facts[count:]
            if longest is None:
                self._pool.release(held)
