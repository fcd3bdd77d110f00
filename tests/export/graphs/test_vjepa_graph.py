"""V-JEPA as it is compiled: what nobody reads of a clip is left out, and nothing else changes."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from export.graphs.graph_writer import graph_spec
from export.graphs.kernels import host_nodes
from export.graphs.traced import export_vjepa
from export.modules.vjepa import IMAGENET_MEAN, IMAGENET_STD, VJepaEncoder, VJepaGeometry
from runtime.bundle.manifest import VJepaShape
from runtime.bundle.names import CLIP, VJEPA
from runtime.bundle.opening import Bundle
from runtime.engines.engine import OnnxEngine
from runtime.engines.tensorrt_engine import tensorrt_module
from runtime.inputs.clip_layout import clip_layout, wanted_tubelets

SIZE = VJepaGeometry(width=64, depth=2)  # its real side of 384 pixels: 4,608 tokens
SHAPE = VJepaShape(SIZE.frames, SIZE.tubelets, SIZE.side, SIZE.width)
FRAMES = (2, 252, 336, 3)  # of the default live grid
INT64 = onnx.TensorProto.INT64


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return VJepaEncoder(SIZE).eval()


@pytest.fixture(scope="module")
def graph(encoder, tmp_path_factory):
    return export_vjepa(encoder, tmp_path_factory.mktemp("vjepa"))


@torch.no_grad()
def whole(encoder, frames):
    """All tubelets of a clip in PyTorch, by its own resizing: (tubelets, side, side, width)."""
    clip = frames[np.minimum(np.arange(SIZE.frames), len(frames) - 1)]
    images = torch.from_numpy(clip).float().permute(0, 3, 1, 2) / 255
    sides = (SIZE.pixels, SIZE.pixels)
    images = torch.nn.functional.interpolate(images, sides, mode="bilinear", align_corners=False)
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (IMAGENET_MEAN, IMAGENET_STD))
    return encoder(((images - mean) / std).transpose(0, 1).unsqueeze(0))[0].numpy()


@pytest.mark.parametrize(("seen", "steps"), [(2, 1), (4, 2)])
def test_what_is_read_is_what_pytorch_gives_when_it_computes_all(encoder, graph, seen, steps):
    frames = np.random.default_rng(seen).integers(0, 256, (seen, *FRAMES[1:]), np.uint8)
    inputs = {CLIP: frames, **clip_layout(SHAPE, frames.shape, steps)}
    (ours,) = OnnxEngine(graph, threads=1).run(inputs).values()
    wanted = wanted_tubelets(SHAPE, steps)
    assert len(wanted) == 2 * steps
    theirs = whole(encoder, frames)[wanted]
    assert np.abs(ours - theirs).max() <= 1e-4 * max(1.0, np.sqrt(np.mean(theirs**2)))


def test_it_does_no_arithmetic_on_sizes(graph):
    """What kept TensorRT-RTX from building it, and CUDA from running it alone."""
    onnx.checker.check_model(str(graph), full_check=True)
    nodes = onnx.load(graph, load_external_data=False).graph
    assert host_nodes(nodes) == ()
    whole = onnx.shape_inference.infer_shapes(onnx.load(graph)).graph.value_info
    types = {value.name: value.type.tensor_type.elem_type for value in whole}
    counted = {node.op_type for node in nodes.node if types.get(node.output[0]) == INT64}
    assert counted <= {"Reshape"}  # of places as they were given


def test_it_builds_for_both_profiles(graph, tiny_folder, monkeypatch):
    if tensorrt_module("tensorrt_rtx") is None:
        pytest.skip("needs the extra 'tensorrt-rtx'")
    from export.tensorrt import EngineBuilder, Order

    order = Order("tensorrt_rtx", ("8.6", "8.9", "12.0"), ("fp16",), None)
    bundle = Bundle.open(tiny_folder)
    whole = replace(bundle.manifest.geometry, vjepa=SHAPE)
    specs = {**bundle.manifest.graphs, VJEPA: graph_spec(graph.parent, VJEPA)}
    manifest = replace(bundle.manifest, geometry=whole, graphs=specs)
    monkeypatch.setattr(type(bundle), "graph_path", lambda self, name: graph)
    builder = EngineBuilder(replace(bundle, manifest=manifest), order)
    for precision in ("float32", "fp16"):
        assert len(builder._serialized(VJEPA, precision)) > 10_000
