"""One run for two, timed on a small decoder: the same contexts, whichever way they were filled."""

import numpy as np

from benchmarks.decoder.saved_runs import BOTH, TAIL, TEXT, Rig, parse_arguments
from export.random.shapes import SHAPES


def test_both_ways_fill_the_same_contexts(tmp_path):
    rig = Rig(tmp_path, SHAPES["tiny"].decoder, "int4", "float")
    found = rig.ratios()
    assert set(found) == {BOTH, TAIL} and all(ratio > 0 for ratio in found.values())
    rig._both_in_one()
    rig._both_in_two()
    logits = [context.append_text(TEXT) for context in (*rig._alone, *rig._paired)]
    for other in logits[1:]:
        np.testing.assert_allclose(other, logits[0], atol=1e-4 * np.abs(logits[0]).max())
    assert np.ptp(logits[0]) > 0


def test_the_shape_of_the_figures_in_the_document_is_the_default():
    assert parse_arguments([]).shape == "0.5b"
