"""Graphs of a bundle on WebGPU give what the CPU gives; a kernel known to be wrong still is."""

import numpy as np
import pytest

from runtime.bundle import names
from runtime.bundle.opening import Bundle
from runtime.engines.engine import OnnxEngine
from runtime.inputs.clip_layout import clip_layout
from runtime.inputs.interpolation import interpolation_matrix
from runtime.inputs.vision_layout import vision_layout

pytestmark = pytest.mark.software_gpu
GRID = (3, 5)


@pytest.fixture(scope="module")
def bundle(tiny_folder):
    return Bundle.open(tiny_folder)


@pytest.fixture(scope="module")
def inputs(bundle):
    """Inputs of each graph but the decoder, those of a later one as the CPU computes them."""
    rng = np.random.default_rng(4)
    geometry = bundle.manifest.geometry
    height, width = (side * geometry.vision.token_pixels for side in GRID)
    frames = rng.integers(0, 256, (2, height, width, 3), np.uint8)
    given = {
        names.VJEPA: {names.CLIP: frames, **clip_layout(geometry.vjepa, frames.shape, 1)},
        names.VISION: {
            names.FRAME_PAIR: frames,
            **vision_layout(geometry.vision, *GRID).inputs(),
        },
    }
    features = OnnxEngine(bundle.graph_path(names.VJEPA), 1).run(given[names.VJEPA])
    given[names.SCENE] = {
        **features,
        names.TUBELET_WEIGHTS: np.full(2, 0.5, np.float32),  # of one step: the two in the middle
        names.ROW_WEIGHTS: interpolation_matrix(GRID[0], geometry.vjepa.side),
        names.COLUMN_WEIGHTS: interpolation_matrix(GRID[1], geometry.vjepa.side),
    }
    scene = OnnxEngine(bundle.graph_path(names.SCENE), 1).run(given[names.SCENE])
    encoding = rng.uniform(-1, 1, geometry.resampler.width).astype(np.float32)
    given[names.GAZE] = {**scene, names.GAZE_ENCODING: encoding}
    return given


@pytest.mark.parametrize("graph", [names.VJEPA, names.VISION, names.SCENE, names.GAZE])
def test_a_graph_gives_what_the_cpu_gives(gpu, bundle, inputs, tmp_path, graph):
    path = bundle.graph_path(graph)
    found, placed = gpu.run(path, inputs[graph], tmp_path)
    print(graph, placed)
    assert any(place.startswith("WebGpu") for place in placed)
    for name, expected in OnnxEngine(path, 1).run(inputs[graph]).items():
        size = max(1.0, float(np.sqrt(np.mean(np.square(expected)))))
        assert np.abs(found[name] - expected).max() <= 1e-4 * size


def test_the_vision_tower_needs_no_convolution(gpu, bundle, inputs, tmp_path):
    _, placed = gpu.run(bundle.graph_path(names.VISION), inputs[names.VISION], tmp_path)
    assert not [place for place in placed if place.endswith((" Conv", " SpaceToDepth"))]


@pytest.mark.parametrize(("channels", "right"), [(3, True), (4, True), (6, False)])
def test_a_convolution_of_six_channels_is_wrong_in_silence(gpu, tmp_path, channels, right):
    """Why the vision tower has none, and why a provider is not believed because it runs."""
    onnx = pytest.importorskip("onnx")
    rng = np.random.default_rng(1)
    pixels = rng.normal(size=(1, channels, 28, 28)).astype(np.float32)
    kernel = rng.normal(size=(8, channels, 14, 14)).astype(np.float32)
    info = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[14] * 2, strides=[14] * 2)
    graph = onnx.helper.make_graph(
        [node],
        "conv",
        [info("x", 1, pixels.shape)],
        [info("y", 1, None)],
        [onnx.numpy_helper.from_array(kernel, "w")],
    )
    opset = [onnx.helper.make_opsetid("", 18)]
    path = tmp_path / "conv.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    found, _ = gpu.run(path, {"x": pixels}, tmp_path)
    parts = pixels.reshape(1, channels, 2, 14, 2, 14)
    expected = np.einsum("bcipjq,ocpq->boij", parts, kernel)
    near = np.abs(found["y"] - expected).max() <= 1e-3 * np.sqrt(np.mean(np.square(expected)))
    assert near == right
