"""The decoder's kernels for ARM64 compute what those for x86-64 do: the 0.5B shape, few layers."""

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from emulation import ROOT

pytestmark = pytest.mark.arm64
PROGRAM = Path(__file__).with_name("logits.py")
TOKENS, STEP, LAYERS, WORDS = 24, 12, 4, 4096
# Root mean square of the difference, of the logits'. Where activations are brought to 8 bits, one
# that lies between two of them may be rounded either way: that is as large as a part of what
# rounding costs, which must be the same on both processors.
FLOAT, ROUNDED = 1e-5, 0.02
KINDS = {
    ("float32", "float"): FLOAT,
    ("int4", "float"): FLOAT,
    ("int4", "int8"): ROUNDED,
    ("int8", "float"): ROUNDED,
}


@pytest.fixture(scope="module")
def geometry():
    pytest.importorskip("torch", reason="needs the extra 'export'")
    from export.random.shapes import SHAPES

    return replace(SHAPES["0.5b"].decoder, layers=LAYERS, vocabulary=WORDS)


@pytest.fixture(scope="module")
def given(geometry, tmp_path_factory):
    from benchmarks.instruments.decoders.workload import injected_layers

    rng = np.random.default_rng(5)
    path = tmp_path_factory.mktemp("given") / "given.npz"
    half = geometry.head_dim // 2
    angles = np.arange(TOKENS + 1)[:, None] / 10_000 ** (np.arange(half) / half)
    np.savez(
        path,
        visual=rng.normal(size=(TOKENS, geometry.width)).astype(np.float32),
        token=rng.normal(size=(1, geometry.width)).astype(np.float32),
        residuals=rng.normal(size=(len(injected_layers(geometry)), STEP, geometry.width)).astype(
            np.float32
        ),
        cos=np.cos(angles).astype(np.float32),
        sin=np.sin(angles).astype(np.float32),
        cache=np.array((1, geometry.kv_heads, TOKENS + 1, geometry.head_dim)),
        layers=LAYERS,
        step=STEP,
    )
    return path


def rms(values):
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


@pytest.fixture(scope="module")
def both(emulated, geometry, given, tmp_path_factory):
    """Logits of this processor and of the emulated one, by kind of decoder."""
    from benchmarks.instruments.decoders.in_engine import emit_decoder

    @cache
    def of(kind, accumulation):
        folder = tmp_path_factory.mktemp("kernels")
        graph = emit_decoder(folder / kind, geometry, kind, accumulation)
        here, there = folder / "here.npy", folder / "there.npy"
        subprocess.run([sys.executable, PROGRAM, graph, given, here], cwd=ROOT, check=True)
        ended = emulated.run(PROGRAM, graph, given, there)
        assert ended.returncode == 0, ended.stderr
        return np.load(here), np.load(there)

    return of


@pytest.mark.parametrize(("kind", "accumulation"), KINDS)
def test_logits_are_those_of_this_processor(both, kind, accumulation):
    ours, theirs = both(kind, accumulation)
    assert np.array_equal(ours.argmax(axis=1), theirs.argmax(axis=1))
    assert rms(theirs - ours) <= KINDS[kind, accumulation] * rms(ours)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind[0] != "float32"])
def test_rounding_costs_as_much_as_on_this_processor(both, kind):
    exact, _ = both("float32", "float")
    ours, theirs = both(*kind)
    assert rms(theirs - exact) == pytest.approx(rms(ours - exact), rel=0.03)
