"""What injection costs: the plain decoder and the injected one are what they say."""

import json

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'export'")

import onnx

from benchmarks.decoder.injection import INJECTED, PLAIN, main, pairs
from benchmarks.instruments.decoders.fidelity import Fidelity, reference_logits
from benchmarks.instruments.decoders.workload import Workload, prefill
from export.random.shapes import SHAPES
from runtime.bundle.names import RESIDUALS

TINY = SHAPES["tiny"].decoder


@pytest.fixture(scope="module")
def works():
    plain = Workload.drawn(TINY, tokens=24, step=8)
    return plain, plain.injected()


def test_each_is_near_its_own_reference_and_far_from_the_other(tmp_path, works):
    references = [reference_logits(TINY, work) for work in works]
    assert Fidelity.of(*references).error > 0.3
    for pair in pairs(tmp_path, TINY, *works, ["int8"], 1):
        for decoder, near, far in zip(
            (pair.plain, pair.injected), references, references[::-1], strict=True
        ):
            prefill(decoder, works[0])
            assert Fidelity.of(decoder.follow(), near).error < 0.1, decoder.name
            assert Fidelity.of(decoder.follow(), far).error > 0.3, decoder.name


def test_the_plain_graph_takes_no_residuals_and_is_the_same_otherwise(tmp_path, works):
    list(pairs(tmp_path, TINY, *works, ["int8"], 1))
    plain, injected = (onnx.load(path) for path in sorted(tmp_path.rglob("decoder.onnx")))
    inputs = [{each.name for each in graph.graph.input} for graph in (plain, injected)]
    assert inputs[1] - inputs[0] == {RESIDUALS} and inputs[0] < inputs[1]
    kinds = [sorted(node.op_type for node in graph.graph.node) for graph in (plain, injected)]
    for kind in ("Split", "Add", "Add", "Add"):
        kinds[1].remove(kind)
    assert kinds[0] == kinds[1]


def test_the_command_has_a_row_for_each_and_its_fidelity_beside_it(tmp_path):
    file = tmp_path / "injection.json"
    sizes = ["--shape", "tiny", "--context", "16", "--rounds", "1", "--tokens", "1"]
    assert main([*sizes, "--only", "int8", "--json", str(file)]) == 0
    table, changed = json.loads(file.read_text())["sheets"]
    rows = {row[0]: row[1:] for row in table["rows"]}
    assert set(rows) == {f"{n}, {k}" for n in ("PyTorch bf16", "int8") for k in (PLAIN, INJECTED)}
    assert all((row[1] is None) is name.endswith(PLAIN) for name, row in rows.items())
    assert all(np.isfinite(row[-2:]).all() for row in rows.values())
    assert changed["rows"][0][1] > 10
