"""What heads of the decoder are to find: the attention that the questions need, as targets.

To answer about the past, a name in a question has to be matched with visual tokens many steps back,
and what is found there with what another name found. Left to the answers alone that is not learned
in any time that a CPU has. But the world is drawn, so it is known which tokens a name should find,
and a head of a layer is told so. What it does not find goes to the first token.

    lies      a name finds the cells in which its thing lies, in all steps
    looked    a name finds the cells of gaze of the steps in which its thing was looked at
    beside    a name finds the other name that it is asked about together with
    before    a cell of gaze finds that of an earlier step, in which something else was looked at
    now       the end of the video finds the cell of gaze of the last step
    after     a name finds the steps in which its thing was looked at right after the other's
    same      a name finds the end of the video, if its thing is the one looked at now

What a lesson wants is what the steps show at the gaze that they carry: nothing else can be learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from export.mini.packing import turned
from export.mini.sizes import CELLS
from export.mini.world.batches import ClipBatch
from export.mini.world.prompts import IGNORED, NOT_A_THING
from export.mini.world.seen import CELL_REACH, cell_centres, looks_of, things_at

# Layer and head, of a decoder that gets its first residual after layer 0. The heads of a layer
# share keys in pairs: heads 0 and 1 look for what lies there, 2 and 3 for what is looked at.
LIES, BESIDE, LOOKED, BEFORE, NOW = (1, 0), (1, 1), (1, 2), (1, 3), (1, 3)
AFTER, BESIDE_AGAIN, NOW_AGAIN = (2, 0), (2, 1), (2, 2)
SAME = (3, 0)
JUDGED = 3  # the layer after which a name knows what its heads found
FIRST = 0  # the token that stands for nothing found
UNKNOWN = -2  # a named thing that is not on the table, which no cell and no look is


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """One head of a layer: the queries at `places` (B, M), where `valid`, find one of `found`.

    found (B, M, N) bool, over all N tokens of the packed sequence.
    """

    layer: int
    head: int
    places: Tensor
    valid: Tensor
    found: Tensor

    def loss(self, attention: Tensor) -> Tensor:
        """Attention as the logarithm of its weights (B, M, N)."""
        right = attention.masked_fill(~self.found, -torch.inf).logsumexp(-1)
        return -right[self.valid].sum() / self.valid.sum().clamp(min=1)


@dataclass(frozen=True, slots=True, eq=False)
class Judgements:
    """What is true of names: `facts` (names, 4) bool, whether it lies there, was looked at, was
    looked at right after the other, is looked at now.

    `spots` (names, 2, 2): where in the last step its thing and the other's lie, where `there`
    (names, 2) bool.
    """

    facts: Tensor
    spots: Tensor
    there: Tensor

    @property
    def together(self) -> Tensor:
        """Whether both things are on the table: (names,) bool."""
        return self.there.all(dim=1)

    @property
    def distance(self) -> Tensor:
        """Between both things, (names,): what it is where `together`."""
        return (self.spots[:, 0] - self.spots[:, 1]).norm(dim=-1)


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """The names in the questions of a batch, M to a clip at most, all (B, M).

    places: of the token that ends it, in the packed sequence; valid: False for padding; things and
    others: what is named (or UNKNOWN), and named beside, IGNORED without one; other_places: of its
    token; ends: of the end of the video, as its question sees it.
    """

    places: Tensor
    valid: Tensor
    things: Tensor
    others: Tensor
    other_places: Tensor
    ends: Tensor

    @property
    def rows(self) -> tuple[Tensor, Tensor]:
        """The valid names as indices of a packed batch (B, N, ...)."""
        clips, columns = self.valid.nonzero(as_tuple=True)
        return clips, self.places[clips, columns]


class Syllabus:
    """All lessons of a batch. `start`: how many tokens come before the first step."""

    def __init__(self, batch: ClipBatch, start: int) -> None:
        clips, steps = batch.gazed.shape
        _, questions, length = batch.tokens.shape
        self._start, self._steps = start, steps
        self._text = start + steps * CELLS
        self._shape = clips, questions, length
        self._looks = looks_of(batch)
        self._batch = batch
        self.names = self._named(batch)
        self._lies = things_at(batch, cell_centres(batch), CELL_REACH).flatten(1)
        self._gazes = start + torch.arange(steps) * CELLS + self._looks.cell
        self._matches = self._looks.thing.unsqueeze(1) == self.names.things.unsqueeze(2)
        self._followed = self._looks.before.unsqueeze(1) == self.names.others.unsqueeze(2)
        self.lessons = self._taught()

    def _taught(self) -> list[Lesson]:
        """In the order of their layers."""
        names = self.names
        paired = names.valid & (names.others != IGNORED)
        beside = self._none(names.places).scatter(2, names.other_places.unsqueeze(2), True)
        lies = self._none(names.places)
        lies[:, :, self._start : self._text] = self._lies.unsqueeze(1) == names.things.unsqueeze(2)
        same = self._none(names.places).scatter(2, names.ends.unsqueeze(2), True)
        same &= self._is_now().unsqueeze(2)
        looked = self._at_gaze(names.places, self._matches)
        after = self._at_gaze(names.places, self._matches & self._followed)
        return [
            self._of_names(LIES, lies),
            self._of_names(BESIDE, beside, paired),
            self._of_names(LOOKED, looked),
            self._before(),
            self._now(NOW),
            self._of_names(AFTER, after, paired),
            self._of_names(BESIDE_AGAIN, beside, paired),
            self._now(NOW_AGAIN),
            self._of_names(SAME, same),
        ]

    def judgements(self) -> Judgements:
        """What is true of the valid names, in their order."""
        names, batch = self.names, self._batch
        lies = (self._lies.unsqueeze(1) == names.things.unsqueeze(2)).any(dim=2)
        looked = self._matches.any(dim=2)
        after = (self._matches & self._followed).any(dim=2)
        facts = torch.stack([lies, looked, after, self._is_now()], dim=-1)
        last, shown = batch.places[:, -1], batch.shown[:, -1]
        spots, there = [], []
        for things in (names.things, names.others):
            place = things.clamp(min=0)
            spots.append(last.gather(1, place.unsqueeze(2).expand(-1, -1, 2)))
            there.append(shown.gather(1, place) & (things >= 0))
        valid = names.valid
        return Judgements(
            facts[valid], torch.stack(spots, dim=2)[valid], torch.stack(there, dim=2)[valid]
        )

    def _named(self, batch: ClipBatch) -> Names:
        named, beside = batch.named.flatten(1), batch.beside.flatten(1)
        places, valid = _padded(named != IGNORED)
        things = named.gather(1, places)
        things = things.masked_fill(things == NOT_A_THING, UNKNOWN)
        question = places // self._shape[2] * self._shape[2]
        other = beside.gather(1, places)
        has_other = (other != IGNORED) & valid
        other = torch.where(has_other, question + other, places)
        others = named.gather(1, other).masked_fill(~has_other, IGNORED)
        text = self._text
        return Names(text + places, valid, things, others, text + other, text + question)

    def _is_now(self) -> Tensor:
        """Whether a name's thing is looked at now (and the other's was before, if it has one)."""
        now = self._matches[:, :, -1]
        alone = self.names.others == IGNORED
        return now & (self.names.things >= 0) & (alone | self._followed[:, :, -1])

    def _of_names(
        self, where: tuple[int, int], found: Tensor, valid: Tensor | None = None
    ) -> Lesson:
        return self._lesson(where, self.names.places, valid, found)

    def _before(self) -> Lesson:
        looks = self._looks
        found = self._none(self._gazes)
        earlier = self._gazes.gather(1, looks.before_step.clamp(min=0))
        found.scatter_(2, earlier.unsqueeze(2), (looks.before_step >= 0).unsqueeze(2))
        return Lesson(*BEFORE, self._gazes, looks.thing >= 0, _or_nothing(found))

    def _now(self, where: tuple[int, int]) -> Lesson:
        clips, questions, length = self._shape
        places = (self._text + torch.arange(questions) * length).expand(clips, -1)
        gazed = self._batch.gazed[:, -1].view(-1, 1, 1).expand(-1, questions, -1)
        last = self._gazes[:, -1].view(-1, 1, 1).expand(-1, questions, -1)
        found = self._none(places).scatter(2, last, gazed)
        return self._lesson(where, places, torch.ones_like(places, dtype=torch.bool), found)

    def _lesson(
        self, where: tuple[int, int], places: Tensor, valid: Tensor | None, found: Tensor
    ) -> Lesson:
        valid = self.names.valid if valid is None else valid
        return Lesson(*where, places, valid, _or_nothing(found))

    def _none(self, places: Tensor) -> Tensor:
        _, questions, length = self._shape
        return torch.zeros(*places.shape, self._text + questions * length, dtype=torch.bool)

    def _at_gaze(self, places: Tensor, steps: Tensor) -> Tensor:
        """The cells of gaze of some steps (B, M, S), among all tokens (B, M, N)."""
        found = self._none(places)
        gazes = self._gazes.unsqueeze(1).expand_as(steps)
        looked_at = (self._looks.thing >= 0).unsqueeze(1)
        return found.scatter(2, gazes, steps & looked_at)


def attended(
    layer: torch.nn.Module,
    hidden: Tensor,
    lessons: Sequence[Lesson],
    mask: Tensor,
    rotary: tuple[Tensor, Tensor],
) -> list[Tensor]:
    """The logarithms of the attention (B, M, N) of the heads that lessons are about, in one layer.

    hidden (B, N, width): the layer's input; mask (1, 1, N, N) and rotary as the layer gets them.
    """
    attention = layer.self_attn
    dim = attention.head_dim
    normal = layer.input_layernorm(hidden)
    keys = attention.k_proj(normal).unflatten(-1, (-1, dim))
    cos, sin = (each.expand(hidden.shape[0], -1, -1) for each in rotary)
    found = []
    for lesson in lessons:
        key = turned(keys[:, :, lesson.head // attention.num_key_value_groups], cos, sin)
        rows = lesson.places.unsqueeze(2)
        own = slice(lesson.head * dim, (lesson.head + 1) * dim)
        asking = normal.gather(1, rows.expand(-1, -1, normal.shape[-1]))
        query = F.linear(asking, attention.q_proj.weight[own], attention.q_proj.bias[own])
        query = turned(query, *(each.gather(1, rows.expand(-1, -1, dim)) for each in (cos, sin)))
        scores = (query @ key.transpose(1, 2)).float() * attention.scaling
        scores = scores.masked_fill(~mask[0, 0][lesson.places], -torch.inf)
        found.append(scores.log_softmax(dim=-1))
    return found


def _padded(wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Where (B, N) is true: places (B, M), as many as there are at most, and which are valid."""
    count = wanted.sum(dim=1)
    most = max(int(count.max()), 1)
    places = (~wanted).long().argsort(dim=1, stable=True)[:, :most]
    return places, torch.arange(most) < count.unsqueeze(1)


def _or_nothing(found: Tensor) -> Tensor:
    found[:, :, FIRST] |= ~found.any(dim=2)
    return found
