"""What helps mini to learn: targets that are known because the world is drawn.

End-to-end training alone ignores gaze for thousands of steps. So the parts get their own targets:
every cell of the grid says where it is and what lies there, and the resampler says where a gaze
drawn anywhere in the frame rests and on what. Visual embeddings say it in the decoder's own words,
the embeddings of "red" and of "cup": an option that names a thing then resembles the thing. The
heads that read this are thrown away afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from devices.synthetic.questions import LETTERS
from devices.synthetic.shapes import COLOURS, KINDS
from export.mini.lessons import Judgements
from export.mini.sizes import CELLS, GRID, MiniSizes
from export.mini.world.batches import ClipBatch
from export.mini.world.prompts import IGNORED
from export.mini.world.seen import Known, gaze_cells, known_of

NOTHING = "table"  # the word for a place where nothing lies
SPREAD = 4.0  # of the frame's sides, so that places and distances differ by about one
FACTS = 4  # of every name, see `Judgements`


class Supports(nn.Module):
    """The heads and their losses."""

    def __init__(self, sizes: MiniSizes, tokenizer: Tokenizer) -> None:
        super().__init__()
        live = sizes.resampler.modules - 1  # the last module's residual reaches no logit
        self.scene = _ThingHead(sizes.vjepa.width)
        self.place = nn.Linear(sizes.vjepa.width, 2 * GRID)
        self.visual = _WordHead(tokenizer)
        self.spot = nn.Linear(sizes.width, 2)
        self.gazed = nn.ModuleList(_ThingHead(sizes.width) for _ in range(live))
        self.option = nn.Linear(sizes.width, 1)
        self.watched = _WordHead(tokenizer)
        self.register_buffer("letters", _tokens(tokenizer, LETTERS), persistent=False)
        self.where = nn.ModuleList(nn.Linear(sizes.width, 1) for _ in range(live))
        self.facts = nn.Linear(sizes.width, FACTS)
        self.distance = nn.Linear(sizes.width, 1)
        self.spots = nn.Linear(sizes.width, 4)

    def features_loss(self, features: Tensor, cells: Known) -> tuple[Tensor, Tensor]:
        """V-JEPA features (N, CELLS, d): what lies at each cell, and where it is."""
        rows, columns = self.place(features).split(GRID, dim=-1)
        cell = torch.arange(CELLS).expand(features.shape[0], -1)
        places = _classes(rows, cell // GRID) + _classes(columns, cell % GRID)
        return self.scene.loss(features, cells), places

    def visual_loss(self, visual: Tensor, cells: Known, words: Tensor) -> Tensor:
        """Visual embeddings (N, CELLS, width): what lies at each cell.

        `words`: the decoder's token embeddings (vocabulary, width).
        """
        return self.visual.loss(visual, cells, words)

    def spot_loss(self, visual: Tensor, spots: Tensor, lies: Tensor) -> Tensor:
        """Visual embeddings (N, CELLS, width): where in the frame the thing is of which each shows
        a part, (N, CELLS, 2) where `lies` (N, CELLS) bool.

        The decoder's rotary rows hardly tell columns apart: it has to be told in the embeddings.
        """
        found = self.spot(visual[lies]).float()
        return F.mse_loss(found, SPREAD * (spots[lies] - 0.5))

    def option_loss(self, options: Tensor, batch: ClipBatch) -> Tensor:
        """Options (marks, width): which one of its question's is right."""
        marked = batch.marks != IGNORED
        scores = options.new_full(batch.marks.shape, -torch.inf, dtype=torch.float32)
        scores[marked] = self.option(options).squeeze(-1).float()
        asked = marked.any(dim=-1)
        right = (batch.marks == 1).long().argmax(dim=-1)
        return F.cross_entropy(scores[asked], right[asked])

    def names_loss(self, names: Tensor, judged: Judgements) -> tuple[Tensor, Tensor]:
        """Names (names, width): what is true of each thing, and how far from the other it lies."""
        facts = F.binary_cross_entropy_with_logits(self.facts(names).float(), judged.facts.float())
        found = self.distance(names[judged.together]).squeeze(-1).float()
        wanted = SPREAD * (judged.distance[judged.together] - 0.5)
        distance = (found - wanted).square().sum() / max(wanted.numel(), 1)
        return facts, distance

    def spots_loss(self, names: Tensor, judged: Judgements) -> Tensor:
        """Names (names, width): where the thing and the other lie, from which follows how far."""
        found = self.spots(names).unflatten(-1, (2, 2))[judged.there].float()
        wanted = SPREAD * (judged.spots[judged.there] - 0.5)
        return (found - wanted).square().sum() / max(wanted.numel(), 1)

    def watched_loss(self, options: Tensor, batch: ClipBatch, words: Tensor) -> Tensor:
        """Options (marks, width): what is looked at, which each has to know to compare with it."""
        clip = (batch.marks != IGNORED).nonzero()[:, 0]
        known = known_of(batch, batch.watched.unsqueeze(1))
        here = Known(known.kind.squeeze(1)[clip], known.colour.squeeze(1)[clip])
        return self.watched.loss(options, here, words)

    def letter_loss(self, options: Tensor, batch: ClipBatch, words: Tensor) -> Tensor:
        """Options (marks, width): each one's own letter, which is the answer if it is right."""
        marked = batch.marks != IGNORED
        letter = (marked.cumsum(dim=-1) - 1)[marked]
        unit = F.rms_norm(options.float(), options.shape[-1:])
        return F.cross_entropy(unit @ words[self.letters].T, letter)

    def gaze_loss(self, residuals: Tensor, gaze: Tensor, known: Known) -> tuple[Tensor, float]:
        """Residuals (modules, N, CELLS, width) of a gaze (N, 2): its cell, and what is there.

        Returns the loss and the share of cells found by the first module.
        """
        cell = gaze_cells(gaze)
        here = torch.arange(cell.shape[0])
        total = residuals.new_zeros(())
        for residual, where, gazed in zip(residuals, self.where, self.gazed, strict=False):
            scores = where(residual).squeeze(-1)
            total = total + F.cross_entropy(scores.float(), cell)
            total = total + 0.5 * gazed.loss(residual[here, cell], known)
        found = self.where[0](residuals[0]).squeeze(-1).argmax(dim=-1) == cell
        return total / len(self.where), float(found.float().mean())


class _ThingHead(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.kind = nn.Linear(width, len(KINDS) + 1)
        self.colour = nn.Linear(width, len(COLOURS) + 1)

    def loss(self, values: Tensor, known: Known) -> Tensor:
        return _classes(self.kind(values), known.kind) + _classes(self.colour(values), known.colour)


class _WordHead(nn.Module):
    """Reads a thing by how much a value resembles the words for it; nothing there is "table"."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        for name, words in (("kinds", KINDS), ("colours", tuple(COLOURS))):
            spoken = [f" {word}" for word in (*words, NOTHING)]
            self.register_buffer(name, _tokens(tokenizer, spoken), persistent=False)
        self.scale = nn.Parameter(torch.ones(()))

    def loss(self, values: Tensor, known: Known, words: Tensor) -> Tensor:
        unit = self.scale * F.rms_norm(values.float(), values.shape[-1:])
        kinds, colours = unit @ words[self.kinds].T, unit @ words[self.colours].T
        return _classes(kinds, known.kind) + _classes(colours, known.colour)


def _tokens(tokenizer: Tokenizer, words: Iterable[str]) -> Tensor:
    return torch.tensor([tokenizer.encode(word).ids[0] for word in words])


def _classes(scores: Tensor, wanted: Tensor) -> Tensor:
    return F.cross_entropy(scores.flatten(0, -2).float(), wanted.flatten())
