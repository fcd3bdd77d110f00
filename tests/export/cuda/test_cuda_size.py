"""What a 7B bundle for CUDA takes, from its shapes by the code that export and check use."""

from dataclasses import replace
from math import prod
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from export.graphs.precision.narrowing import encoder_types
from export.graphs.precision.quantization import linears
from export.inspection import needed_bytes
from export.modules.resampler import GazeResampler
from export.modules.vjepa import VJepaEncoder
from export.random.shapes import SHAPES
from runtime.bundle.manifest import FileSpec, Geometry, TensorSpec
from runtime.bundle.names import DECODER
from runtime.bundle.opening import Bundle
from runtime.check import memory_need
from runtime.run.command_line import MINI

ROOT = Path(__file__).parents[3]
SHAPE = SHAPES["7b"]
GIGABYTE = 1e9


@pytest.fixture(scope="module")
def parts():
    with torch.device("meta"):
        encoder = VJepaEncoder(SHAPE.vjepa)
        gaze = SimpleNamespace(resampler=GazeResampler(SHAPE.resampler))
    return SimpleNamespace(decoder=SHAPE.decoder, vision=SHAPE.vision), encoder, gaze


def disk(parts, target):
    return needed_bytes(*parts, 3, linears("int4", target=target))


def embeddings(target):
    """Bytes of the tokens' table: of CUDA's in 6 bits with a scale of 16 for every 32."""
    bits = 6.5 if target == "cuda" else 16
    return int(bits / 8 * prod((SHAPE.decoder.vocabulary, SHAPE.decoder.width)))


def memory(parts, target):
    """Of a manifest whose files have the predicted size, embeddings apart: they stay on the disk.

    Types are those of the written decoder.
    """
    manifest = Bundle.open(MINI).manifest
    shape, whole = SHAPE.decoder, manifest.geometry
    decoder = replace(
        whole.decoder, layers=shape.layers, kv_heads=shape.kv_heads, head_dim=shape.head_dim
    )
    vjepa = replace(whole.vjepa, tubelets=8, side=SHAPE.vjepa.side, width=SHAPE.vjepa.width)
    kind = "float16" if target == "cuda" else "float32"
    past = TensorSpec("past_key.0", kind, ("capacity",))
    decoder_graph = replace(manifest.graphs[DECODER], inputs=(past,))
    return memory_need(
        replace(
            manifest,
            encoders=encoder_types(target),
            geometry=Geometry(decoder, whole.vision, vjepa, whole.resampler),
            graphs={DECODER: decoder_graph},
            files={"decoder.onnx.data": FileSpec(disk(parts, target) - embeddings(target), "")},
        )
    )


def test_the_bundle_for_cuda_takes_less_than_six_gigabytes(parts):
    cuda, cpu = disk(parts, "cuda") / GIGABYTE, disk(parts, "cpu") / GIGABYTE
    # 7.07e9 weights in 4.5 bits, 0.78e9 in 16, the embeddings' 0.545e9 in 6.5
    by_hand = (7.07 * 4.5 + 0.78 * 16 + 0.545 * 6.5) / 8
    assert cuda == pytest.approx(by_hand, rel=0.01)
    assert cuda < 6.0
    # Encoders in 32 bits; for every 32 weights a scale of 32 bits and a zero point of 4
    more = (0.78 * 16 + 0.545 * 9.5 + 7.07 * (32 + 4 - 16) / 32) / 8
    assert cpu - cuda == pytest.approx(more, rel=0.02)


def test_two_contexts_on_cuda_fit_where_they_did_not(parts):
    cuda, cpu = memory(parts, "cuda"), memory(parts, "cpu")
    # Keys and values: 2 contexts of 2,048 tokens, 28 layers, 4 heads of 128, in 16 bits
    assert cuda.contexts == 2 * 2048 * 28 * 2 * 4 * 128 * 2 == cpu.contexts // 2
    # Scores of 12 heads over 4,608 tokens before and after softmax, in 16 bits
    assert cuda.activations == 2 * 12 * 4608**2 * 2 == cpu.activations // 2
    assert cuda.total < 7.5 * GIGABYTE < cpu.total


def test_the_documents_tell_these_numbers(parts):
    """Before, as for a CPU, and after, for CUDA: in GB."""
    told = {}
    for target in ("cpu", "cuda"):
        need, whole = memory(parts, target), disk(parts, target)
        for row, size in {
            "weights of all graphs": need.weights,
            "token embeddings": embeddings(target),
            "on the disk": whole,
            "two contexts of 2,048 tokens": need.contexts,
            "activations": need.activations,
            "in memory: weights, contexts, activations": need.total,
        }.items():
            told.setdefault(row, []).append(f"{size / GIGABYTE:.2f}")
    results, readme = ((ROOT / name).read_text() for name in ("docs/results.md", "README.md"))
    for row, sizes in told.items():
        assert f"| {row} | {' | '.join(sizes)} |" in results
    disk_told, memory_told = (
        " and ".join(told[row])
        for row in ("on the disk", "in memory: weights, contexts, activations")
    )
    line = f"on the disk {disk_told} GB; in memory with two contexts {memory_told} GB"
    assert line in readme and line in results
