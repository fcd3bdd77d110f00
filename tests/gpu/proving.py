"""A bundle on WebGPU: `python proving.py BUNDLE` prints a JSON object of what was found.

`figures`: every graph against the reference vectors; `one_by_one` and `in_few_rows`: the decoder
again, tokens prefilled one at a time and in runs of a step; `streams`: two contexts filled by
turns, asked and rewound, against each alone and against the CPU; `lost`: what became of a context
whose device failed in mid-run.
"""

import json
import sys
from pathlib import Path

import numpy as np

from runtime.bundle.opening import Bundle
from runtime.bundle.vectors import ODD_GRID, read_vectors
from runtime.engines.choice import Machine, choose_engine
from runtime.engines.webgpu import WebGpuEngine
from runtime.errors import EngineError, NotFiniteError
from runtime.model.models import Models
from runtime.model.proof import STEP_ROWS, prove, prove_decoder
from runtime.model.standby import Standby

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


def lost(bundle, vectors):
    """What is said when the device fails between two steps, what becomes of the context that lay
    on it, and how far the next one is off what the CPU gives."""
    said, cpu = [], choose_engine("cpu", bundle, Machine.here())
    standby = Standby(choose_engine("webgpu", bundle, Machine.here()), lambda *_: cpu, said.append)
    models = Models(bundle, standby.load).in_rows(1)
    standby.arm()
    context = models.context(ODD_GRID, ROOM)
    context.append_step(*vectors.steps()[0])
    run = WebGpuEngine.run
    WebGpuEngine.run = failing
    try:
        context.append_step(*vectors.steps()[1])
    except NotFiniteError as error:
        told = str(error)
    finally:
        WebGpuEngine.run = run
    expected = alone(Models(bundle).in_rows(1), vectors, 0)
    return {"said": said, "told": told, "off": farthest(alone(models, vectors, 0), expected)}


def failing(engine, inputs, into=None, keep=()):
    raise EngineError("WebGPU can't run it: device lost")


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
        "in_few_rows": told(prove_decoder(models.in_rows(STEP_ROWS), vectors)),
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
        "lost": lost(bundle, vectors),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
