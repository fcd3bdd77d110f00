"""How often mini is right on wearers it was not trained on: with gaze, shuffled gaze, no gaze."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from tokenizers import Tokenizer
from torch import Tensor

from devices.synthetic.questions import FREE, GTA, OAA
from export.mini.clips import ClipBatch, ClipStream
from export.mini.model import MiniModel
from export.mini.prompts import IGNORED
from export.mini.training import answer

HELD_OUT = 1_000_003  # first number of the seeds of evaluation, which no training uses
CONDITIONS = ("gaze", "shuffled gaze", "no gaze")


@dataclass(frozen=True, slots=True)
class TaskScore:
    """Right answers out of `count`, for each of CONDITIONS."""

    task: str
    count: int
    right: tuple[int, ...]

    def interval(self, condition: int) -> tuple[float, float]:
        """Wilson's 95 % interval of the share of right answers."""
        share, count, z = self.right[condition] / self.count, self.count, 1.96
        centre = (share + z * z / (2 * count)) / (1 + z * z / count)
        spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
        spread /= 1 + z * z / count
        return centre - spread, centre + spread


def evaluate(
    model: MiniModel, tokenizer: Tokenizer, seed: int, questions: int, most_batches: int = 2000
) -> list[TaskScore]:
    """At least `questions` of every task, where `most_batches` batches of clips hold so many."""
    stream = ClipStream(tokenizer, (HELD_OUT, seed))
    letters = torch.tensor([tokenizer.token_to_id(letter) for letter in "ABCD"])
    counts: dict[str, int] = defaultdict(int)
    right: dict[str, list[int]] = defaultdict(lambda: [0] * len(CONDITIONS))
    model.eval()
    for number in range(most_batches):
        batch = stream.batch(number)
        for task, row in zip(_flat(batch.tasks), _right(model, batch, letters), strict=True):
            counts[task] += 1
            right[task] = [old + new for old, new in zip(right[task], row, strict=True)]
        if number > 20 and min(counts.values()) >= questions:
            break
    model.train()
    return [TaskScore(task, counts[task], tuple(right[task])) for task in sorted(counts)]


@torch.no_grad()
def _right(model: MiniModel, batch: ClipBatch, letters: Tensor) -> list[list[bool]]:
    """For every question whether it is answered right in each condition."""
    frames = batch.frames.flatten(0, 1)
    features, visual = model.features(frames), model.visual(frames)
    shuffled = replace(batch, gaze=batch.gaze.roll(1, 0), gazed=batch.gazed.roll(1, 0))
    columns = []
    for seen in (batch, shuffled, None):
        if seen is None:
            steps = visual.unflatten(0, batch.gazed.shape).flatten(1, 2)
            logits = model.answers(steps, None, batch).logits
        else:
            logits = answer(model, seen, features, visual).logits
        columns.append(_judge(logits, batch, letters))
    return [list(row) for row in zip(*columns, strict=True)]


def _judge(logits: Tensor, batch: ClipBatch, letters: Tensor) -> list[bool]:
    """A letter by the arg-max over the options' letters; words must be right to the last token."""
    targets = batch.targets.flatten(0, 1)
    owner = (targets != IGNORED).nonzero()[:, 0]
    wanted = targets[targets != IGNORED]
    judged = []
    for question, task in enumerate(_flat(batch.tasks)):
        rows = logits[owner == question]
        right = wanted[owner == question]
        if task == FREE:
            judged.append(bool((rows.argmax(dim=-1) == right).all()))
            continue
        usable = letters[:2] if task in (GTA, OAA) else letters
        judged.append(bool(usable[rows[0, usable].argmax()] == right[0]))
    return judged


def report_table(scores: Sequence[TaskScore]) -> str:
    """A Markdown table of the scores in per cent, with 95 % intervals."""
    lines = [
        "| task | questions | " + " | ".join(CONDITIONS) + " |",
        "| --- | ---: |" + " ---: |" * len(CONDITIONS),
    ]
    for score in scores:
        cells = []
        for condition, right in enumerate(score.right):
            low, high = score.interval(condition)
            cells.append(f"{100 * right / score.count:.1f} ({100 * low:.1f} to {100 * high:.1f})")
        lines.append(f"| {score.task} | {score.count} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _flat(tasks: Sequence[Sequence[str]]) -> list[str]:
    return [task for clip in tasks for task in clip]
