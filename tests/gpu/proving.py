"""A bundle on WebGPU: `python proving.py BUNDLE` prints a JSON object of what was found.

`figures`: every graph against the reference vectors; `one_by_one`: the decoder again, tokens
prefilled one at a time; `streams`: two contexts filled by turns, asked and rewound, against each
alone and against the CPU; `fetched`: how many tensors visited the host while a step was encoded and
prefilled.
"""

import json
import sys
from pathlib import Path

import numpy as np

from runtime.bundle.opening import Bundle
from runtime.bundle.vectors import ODD_GRID, read_vectors
from runtime.engines.choice import Machine, choose_engine
from runtime.engines.tensors import DeviceTensor
from runtime.model.models import Models
from runtime.model.proof import prove, prove_decoder

ROOM = 120  # tokens


def told(figures):
    return [[each.graph, each.case, each.difference, each.bound] for each in figures]


def question(context, tokens):
    """The logits of a question that is forgotten again."""
    mark = context.mark()
    logits = context.append_text(tokens)
    context.rewind(mark)
    return logits


def alone(models, vectors, first):
    """A context that holds the steps from `first` on, asked after each."""
    context, answers = models.context(ODD_GRID, ROOM), []
    for step in vectors.steps()[first:]:
        context.append_step(*step)
        answers.append(question(context, vectors.text))
    return answers


def by_turns(models, vectors):
    """The same two contexts, filled and asked by turns."""
    contexts, answers = [], ([], [])
    for step in vectors.steps():
        if len(contexts) < 2:
            contexts.append(models.context(ODD_GRID, ROOM))
        for context, found in zip(contexts, answers, strict=False):
            context.append_step(*step)
            question(context, vectors.text[:3])
            found.append(question(context, vectors.text))
    return answers


def farthest(some, others):
    return max(float(np.abs(a - b).max()) for a, b in zip(some, others, strict=True))


def fetched(models, vectors):
    """Calls that bring a tensor of a frame to the host."""
    calls, fetch = [], DeviceTensor.numpy
    DeviceTensor.numpy = lambda tensor: calls.append(tensor.shape) or fetch(tensor)
    try:
        settings = models.bundle.manifest.settings
        grid = (settings.live_height, settings.live_width)
        frames = models.bundle.manifest.geometry.vjepa.frames
        clip = np.stack([vectors.live[0]] + [vectors.live[1]] * (frames - 1))
        scene = models.scene(models.features(clip), 0, 1, grid)
        residuals = models.residuals(scene, vectors.encoding)
        visual = models.visual(vectors.live)
        assert isinstance(visual, DeviceTensor)
        models.context(grid, ROOM).append_step(visual, residuals)
        return len(calls)
    finally:
        DeviceTensor.numpy = fetch


def main(folder):
    bundle = Bundle.open(Path(folder))
    vectors = read_vectors(bundle.folder, bundle.manifest)
    models = Models(bundle, choose_engine("webgpu", bundle, Machine.here()).load)
    single = models.in_rows(1)
    first, second = by_turns(single, vectors)
    cpu = Models(bundle).in_rows(1)
    found = {
        "figures": told(prove(models, vectors)),
        "one_by_one": told(prove_decoder(single, vectors)),
        "streams": {
            "alone": max(
                farthest(first, alone(single, vectors, 0)),
                farthest(second, alone(single, vectors, 1)),
            ),
            "cpu": max(
                farthest(first, alone(cpu, vectors, 0)),
                farthest(second, alone(cpu, vectors, 1)),
            ),
        },
        "fetched": fetched(models, vectors),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
