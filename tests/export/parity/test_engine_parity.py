"""The exported engines against PyTorch and hooks, on random clips of many kinds."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from devices.samples import Fixation
from export.parity.graphs import (
    engine_logits,
    random_clip,
    random_encoding,
    reference_logits,
    reference_steps,
)
from runtime.inputs.gaze_encoding import gaze_encoding

GRIDS = [(3, 4), (2, 3), (5, 3), (4, 4), (1, 2)]
SCANPATHS = ["none active", "one", "overlapping", "no rows"]


def close(ours, theirs):
    bound = 1e-4 * max(1.0, float(np.sqrt(np.mean(np.square(theirs)))))
    assert np.abs(ours - theirs).max() <= bound


def clip_of(models, number):
    """Clip `number`: T = 1..8 in turn, every kind of scanpath, several grids."""
    rng = np.random.default_rng(number)
    steps = number % 8 + 1
    width = models.bundle.manifest.geometry.resampler.width

    def encoding(step):
        kind = SCANPATHS[(number + step) % 3]
        count = {"none active": 0, "one": 1, "overlapping": 3}[kind]
        places = rng.uniform(0, 1, (count, 2))
        return gaze_encoding([Fixation(0, 0, x, y, 0, 1, "file") for x, y in places], width)

    encodings = [encoding(step) for step in range(steps)]
    if number % 7 == 6:
        encodings = [None] * steps
    return random_clip(models, number, GRIDS[number % len(GRIDS)], encodings)


@pytest.mark.parametrize("number", range(21))
def test_engines_equal_pytorch_with_hooks(tiny_models, tiny_reference, number):
    clip = clip_of(tiny_models, number)
    steps = reference_steps(tiny_reference, clip)
    features = tiny_models.features(clip.frames, clip.steps)
    expected = tiny_reference.features(torch.from_numpy(clip.frames)).numpy()
    close(features, expected[tiny_models.tubelets(clip.steps)])
    for index, (step, encoding) in enumerate(zip(steps, clip.encodings, strict=True)):
        close(tiny_models.visual(clip.pair(index)), step.visual.numpy())
        if encoding is not None:
            scene = tiny_models.scene(features, index, clip.steps, clip.grid)
            close(tiny_models.residuals(scene, encoding), step.residuals[:-1].numpy())
    ours = engine_logits(tiny_models, clip)
    theirs = reference_logits(tiny_models, tiny_reference, clip, steps)
    close(ours, theirs)
    assert ours.argmax() == theirs.argmax()


def test_zero_residual_is_plain_qwen(tiny_models, tiny_reference):
    clip = clip_of(tiny_models, 3)
    plain = [replace(step, residuals=None) for step in reference_steps(tiny_reference, clip)]
    ours = engine_logits(tiny_models, replace(clip, encodings=(None,) * clip.steps))
    close(ours, reference_logits(tiny_models, tiny_reference, clip, plain))


def test_gaze_changes_the_logits(tiny_models):
    clip = clip_of(tiny_models, 3)
    plain = engine_logits(tiny_models, replace(clip, encodings=(None,) * clip.steps))
    gazed = engine_logits(tiny_models, clip)
    elsewhere = tuple(random_encoding(tiny_models, step + 50) for step in range(clip.steps))
    moved = engine_logits(tiny_models, replace(clip, encodings=elsewhere))
    assert np.abs(gazed - plain).max() > 1e-3
    assert np.abs(moved - gazed).max() > 1e-3


@pytest.mark.parametrize("module", range(4))
def test_only_the_last_layers_residual_is_dead(tiny_models, tiny_reference, module):
    clip = clip_of(tiny_models, 3)
    steps = reference_steps(tiny_reference, clip)

    def without(step):
        residuals = step.residuals.clone()
        residuals[module] = 0.0
        return replace(step, residuals=residuals)

    full = reference_logits(tiny_models, tiny_reference, clip, steps)
    cut = reference_logits(tiny_models, tiny_reference, clip, [without(step) for step in steps])
    if module == 3:
        assert np.array_equal(full, cut)
    else:
        assert np.abs(full - cut).max() > 1e-3


def test_pruned_layer_is_the_last_and_the_kept_ones_are_injected(tiny_models):
    shape = tiny_models.bundle.manifest.geometry
    assert shape.resampler.injected_layers == (1, 3, 5)
    assert shape.resampler.pruned_layer == shape.decoder.layers - 1 == 7


def test_step_by_step_equals_one_prefill(tiny_models):
    """The context's chunks against the same tokens in one run of the decoder."""
    from runtime.bundle import names
    from runtime.inputs.positions import rotary_rows, step_positions, text_positions

    clip = clip_of(tiny_models, 4)
    manifest, height, width = tiny_models.bundle.manifest, *clip.grid
    before = manifest.prompt.before_video
    features = tiny_models.features(clip.frames, clip.steps)
    visual = [tiny_models.visual(clip.pair(step)) for step in range(clip.steps)]
    residuals = [
        tiny_models.residuals(tiny_models.scene(features, step, clip.steps, clip.grid), encoding)
        for step, encoding in enumerate(clip.encodings)
    ]
    table = tiny_models.bundle.embeddings
    embeddings = np.concatenate([table[list(before)], *visual, table[list(clip.text)]])
    places = [text_positions(0, len(before))]
    places += [
        step_positions(manifest.positions, len(before), step, height, width)
        for step in range(clip.steps)
    ]
    first = int(max(place.max() for place in places)) + 1
    places.append(text_positions(first, len(clip.text)))
    cos, sin = rotary_rows(manifest.geometry.decoder, np.concatenate(places, axis=1))
    total = len(embeddings)
    added = np.zeros((3, total, embeddings.shape[1]), np.float32)
    added[:, len(before) : total - len(clip.text)] = np.concatenate(residuals, axis=1)
    shape = manifest.geometry.decoder
    empty = np.zeros((1, shape.kv_heads, total, shape.head_dim), np.float32)
    inputs = {
        names.EMBEDDINGS: embeddings[None],
        names.ROTARY_COS: cos,
        names.ROTARY_SIN: sin,
        names.RESIDUALS: added,
        names.ROWS: np.array([total - 1]),
        names.LAST_POSITION: np.array([total - 1], np.int32),
        names.TOTAL_LENGTH: np.array(total, np.int32),
    }
    for layer in range(shape.layers):
        inputs |= {names.past_key(layer): empty.copy(), names.past_value(layer): empty.copy()}
    from runtime.engines.engine import OnnxEngine

    decoder = OnnxEngine(tiny_models.bundle.graph_path(names.DECODER))
    whole = decoder.run(inputs)[names.LOGITS][0]
    close(engine_logits(tiny_models, clip), whole)
