"""What heads are taught to find: what the steps show, measured on the model's own heads."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from devices.synthetic.questions import GSM, NFI, OAA, OTP, SR
from export.mini.lessons import AFTER, LOOKED, Syllabus, attended
from export.mini.model import MiniModel
from export.mini.packing import packed_mask
from export.mini.sizes import CELLS, GRID, MiniSizes
from export.mini.world.batches import ClipStream
from export.mini.world.clip_plan import ClipLength, DrawnClips
from export.mini.world.prompts import IGNORED, PromptWriter, mini_tokenizer

SIZES = replace(MiniSizes(), width=64, intermediate=64)
SIZES = replace(SIZES, vision=replace(SIZES.vision, out_width=64))


@pytest.fixture(scope="module")
def tokenizer():
    return mini_tokenizer(640)


@pytest.fixture(scope="module")
def model(tokenizer):
    torch.manual_seed(2)
    return MiniModel(SIZES, tokenizer, PromptWriter(tokenizer).before_video).eval()


@pytest.fixture(scope="module")
def batch(tokenizer):
    drawn = DrawnClips((ClipLength(7, 7, 8, 1.0, takes=2),), questions=6)
    return ClipStream(tokenizer, (3,), drawn=drawn).batch(1)


def look(batch, clip, step):
    """The thing nearest to gaze in a step; None where none is near."""
    gaps = (batch.places[clip, step] - batch.gaze[clip, step]).norm(dim=-1)
    gaps[~batch.shown[clip, step]] = np.inf
    if not batch.gazed[clip, step] or gaps.min() > 0.16:
        return None
    return int(gaps.argmin())


def names_of(batch, clip, question):
    """The names in a question: the token that ends it, the thing, the thing it is beside."""
    named, beside = batch.named[clip, question].tolist(), batch.beside[clip, question].tolist()
    for place, thing in enumerate(named):
        if thing != IGNORED:
            yield place, thing, None if beside[place] == IGNORED else named[beside[place]]


def test_names_find_the_looks_that_the_steps_show(batch, model):
    start = len(model.before_video)
    steps, length = batch.gazed.shape[1], batch.tokens.shape[2]
    syllabus = Syllabus(batch, start)
    lessons = {(each.layer, each.head): each for each in syllabus.lessons}
    seen = 0
    for clip in range(batch.gazed.shape[0]):
        looks = [look(batch, clip, step) for step in range(steps)]
        wanted = {"looked": [], "after": []}
        for question in range(batch.tokens.shape[1]):
            for place, thing, other in names_of(batch, clip, question):
                token = start + steps * CELLS + question * length + place
                own, followed = set(), set()
                for step, looked in enumerate(looks):
                    if looked != thing:
                        continue
                    x, y = (batch.gaze[clip, step] * GRID).long().clamp(0, GRID - 1).tolist()
                    cell = start + step * CELLS + y * GRID + x
                    own.add(cell)
                    before = [each for each in looks[:step] if each not in (None, thing)]
                    if before and before[-1] == other:
                        followed.add(cell)
                wanted["looked"].append((token, own or {0}))
                if other is not None:
                    wanted["after"].append((token, followed or {0}))
                    seen += bool(followed)
        for name, where in (("looked", LOOKED), ("after", AFTER)):
            lesson = lessons[where]
            found = [
                (int(place), set(row.nonzero().flatten().tolist()))
                for place, row, valid in zip(
                    lesson.places[clip], lesson.found[clip], lesson.valid[clip], strict=True
                )
                if valid
            ]
            assert sorted(found) == sorted(wanted[name])
    assert seen > 5


def test_what_is_taught_is_the_attention_of_the_heads_themselves(batch, model):
    """Compared with the weights that transformers' own eager attention gives."""
    lessons = [each for each in Syllabus(batch, len(model.before_video)).lessons if each.layer == 1]
    decoder = model.qwen.model.language_model
    questions, length = batch.tokens.shape[1:]
    prefix = len(model.before_video) + batch.gazed.shape[1] * CELLS
    count = prefix + questions * length
    hidden = torch.randn(batch.gazed.shape[0], count, SIZES.width)
    positions = model.positions(
        len(model.before_video), batch.gazed.shape[1], questions, length
    ).unsqueeze(1)
    rotary = decoder.rotary_emb(hidden, positions)
    mask = packed_mask(prefix, questions, length)
    layer = decoder.layers[1]
    kept, layer.self_attn.config._attn_implementation = (
        layer.self_attn.config._attn_implementation,
        "eager",
    )
    hidden_mask = torch.zeros(mask.shape).masked_fill(~mask, -1e9)
    with torch.no_grad():
        found = attended(layer, hidden, lessons, mask, rotary)
        _, weights = layer.self_attn(
            layer.input_layernorm(hidden), attention_mask=hidden_mask, position_embeddings=rotary
        )
    layer.self_attn.config._attn_implementation = kept
    for lesson, scores in zip(lessons, found, strict=True):
        for clip in range(hidden.shape[0]):
            expected = weights[clip, lesson.head][lesson.places[clip]]
            assert torch.allclose(scores[clip].exp(), expected, atol=1e-5)


def test_what_is_true_of_the_names_tells_the_right_answer(batch, model):
    """So all that a question about the past or the scene needs is in the steps."""
    syllabus = Syllabus(batch, len(model.before_video))
    judged = syllabus.judgements()
    clips, places = syllabus.names.rows
    start = len(model.before_video) + batch.gazed.shape[1] * CELLS
    question = (places - start) // batch.tokens.shape[2]
    counted = right = 0
    for clip, tasks in enumerate(batch.tasks):
        for number, task in enumerate(tasks):
            here = (clips == clip) & (question == number)
            lies, looked, after, same = judged.facts[here].float().unbind(dim=1)
            scores = {
                NFI: lambda looked=looked: -looked,
                OTP: lambda after=after: after[1:],
                GSM: lambda same=same: same.view(-1, 3)[:, 2],
                SR: lambda here=here: -judged.distance[here][1:],
                OAA: lambda lies=lies: torch.stack([lies[0], 1 - lies[0]]),
            }.get(task)
            if scores is None:
                continue
            marks = batch.marks[clip, number]
            wanted = int((marks[marks != IGNORED] == 1).nonzero())
            counted += 1
            right += int(scores().argmax()) == wanted
    assert counted > 30
    assert right / counted > 0.93


def test_clips_of_one_film_differ_in_gaze_alone(batch):
    assert batch.takes == 2
    assert batch.frames.shape[0] == 8
    assert torch.equal(batch.places[0::2], batch.places[1::2])
    assert not torch.equal(batch.gaze[0::2], batch.gaze[1::2])
    assert (batch.watched[0::2] != batch.watched[1::2]).any()
