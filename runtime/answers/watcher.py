"""The decoder's side of a stream: contexts being filled, questions answered, alerts judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from runtime.answers.questions import QUESTION_TOKENS, Answer, Asker, Question
from runtime.errors import NotFiniteError, QuestionError
from runtime.model.context_pool import MOST_CONTEXTS, ContextPool, OpenContext
from runtime.model.models import Models
from runtime.stopwatch import Stopwatch
from runtime.stream.steps import Step, StepFact

NO_NUMBERS = "the model computed what is no number: there is no answer"
BROKEN_OFF = "the model computed what is no number in the middle of the answer: there is none"
TAIL_LEFT_OUT = "what was newest computed to no number: answered without it"
CLOSED = "what was remembered computed to no number: answered from what was seen since"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer and the steps it rests on. `note`: what a person should know about these.

    `without_gaze`: what the same steps are answered without gaze, where that was asked as well.
    """

    answer: Answer
    steps: tuple[StepFact, ...]
    note: str | None = None
    without_gaze: Answer | None = None


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
        compares: bool = False,
    ) -> None:
        """`compares`: whether questions may be asked without gaze as well: takes some memory."""
        manifest = models.bundle.manifest
        # One step more than the window: the tail step of a question.
        tokens = (window + 1) * grid[0] * grid[1] + QUESTION_TOKENS
        capacity = len(manifest.prompt.before_video) + tokens + manifest.settings.max_new_tokens
        self.asker = Asker(models.bundle)
        self._on_text = on_text
        self._pool = ContextPool(lambda: models.context(grid, capacity), window, contexts, compares)

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
        """Answer in the context that remembers most, `tail` appended for the time being.

        No answer rests on what is no number: where the tail is at fault it is left out, and where a
        context is, that is closed, and the next one answers. Raises QuestionError where none can.
        """
        note = CLOSED if self._pool.is_emptied else None
        while True:
            try:
                return self._replies(questions, tail, watch, note)
            except NotFiniteError as error:
                longest = self._pool.longest
                if longest is None:
                    raise QuestionError(NO_NUMBERS) from error
            if tail is not None:
                with suppress(NotFiniteError):
                    return self._replies(questions, None, watch, TAIL_LEFT_OUT)
            self._pool.discard(longest)
            note = CLOSED

    def ask_apart(self, question: Question, steps: Sequence[Step], watch: Stopwatch) -> Reply:
        """Answer about these steps alone, beside the stream. Raises QuestionError where not."""
        held = self._pool.fresh()
        try:
            with watch.stage("prefill"):
                for step in steps:
                    held.append(step)
            return self._reply(question, held, watch, None)
        except NotFiniteError as error:
            raise QuestionError(NO_NUMBERS) from error
        finally:
            self._pool.release(held)

    def _replies(
        self, questions: Sequence[Question], tail: Step | None, watch: Stopwatch, note: str | None
    ) -> list[Reply]:
        with self._tailed(tail, watch) as held:
            return [self._reply(question, held, watch, note) for question in questions]

    def _reply(
        self, question: Question, held: OpenContext, watch: Stopwatch, note: str | None
    ) -> Reply:
        said: list[str] = []

        def say(piece: str) -> None:
            said.append(piece)
            self._on_text(piece)
            if question.ticket is not None:
                question.ticket.on_piece(piece)

        try:
            answer = self.asker.ask(question, held.context, watch, say)
        except NotFiniteError as error:
            if said:  # what a person has read can't be taken back
                raise QuestionError(BROKEN_OFF) from error
            raise
        without = (
            self._without_gaze(question, held, watch) if question.compares and held.seen else None
        )
        return Reply(answer, tuple(held.facts), note, without)

    def _without_gaze(self, question: Question, held: OpenContext, watch: Stopwatch) -> Answer:
        """The same question about the same frames, prefilled anew without residuals."""
        bare = self._pool.fresh()
        try:
            with watch.stage("prefill without gaze"):
                for visual in held.seen or ():
                    bare.context.append_step(visual, None)
            return self.asker.ask(question, bare.context, Stopwatch())
        finally:
            self._pool.release(bare)

    @contextmanager
    def _tailed(self, tail: Step | None, watch: Stopwatch) -> Iterator[OpenContext]:
        """The longest context, or an empty one, with the tail step; afterwards as it was.

        An empty one that gave no numbers is not used again.
        """
        longest = self._pool.longest
        held = longest or self._pool.fresh()
        mark, count, sound = held.context.mark(), len(held.facts), True
        try:
            if tail is not None:
                with watch.stage("prefill"):
                    held.defer(tail)
            yield held
        except NotFiniteError:
            sound = False
            raise
        finally:
            held.context.rewind(mark)
            held.forget(count)
            if longest is None and sound:
                self._pool.release(held)
