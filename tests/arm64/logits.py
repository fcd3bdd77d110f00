"""Logits of a decoder graph: `python logits.py GRAPH INPUTS.npz LOGITS.npy`, on any processor.

Inputs: `visual` (tokens, D), prefilled in steps of `step` with `residuals` (injected, step, D);
`token` (1, D), decoded after them; `cos` and `sin` (tokens + 1, head_dim / 2); `cache` (4,), the
shape of keys and values of a layer; `layers`. Logits: of the last visual token and of the token.
"""

import sys
from pathlib import Path

import numpy as np

from runtime.bundle import names
from runtime.engines.engine import OnnxEngine


def logits(graph, given):
    engine = OnnxEngine(graph, threads=1)
    past, present = {}, {}
    for layer in range(int(given["layers"])):
        for old, new in (
            (names.past_key(layer), names.present_key(layer)),
            (names.past_value(layer), names.present_value(layer)),
        ):
            past[old] = present[new] = engine.buffer(tuple(given["cache"]), np.float32)
    rows = []
    visual, step = given["visual"], int(given["step"])
    chunks = [visual[start : start + step] for start in range(0, len(visual), step)]
    total = 0
    for chunk in [*chunks, given["token"]]:
        total += len(chunk)
        inputs = {
            names.EMBEDDINGS: chunk[None],
            names.ROTARY_COS: given["cos"],
            names.ROTARY_SIN: given["sin"],
            names.RESIDUALS: given["residuals"][:, : len(chunk)],
            names.ROWS: np.array([len(chunk) - 1]),
            names.LAST_POSITION: np.array([total - 1], np.int32),
            names.TOTAL_LENGTH: np.array(total, np.int32),
            **past,
        }
        rows.append(engine.run(inputs, into=present)[names.LOGITS].reshape(-1))
    return np.stack(rows[-2:])


if __name__ == "__main__":
    graph, given, out = map(Path, sys.argv[1:])
    np.save(out, logits(graph, np.load(given)))
