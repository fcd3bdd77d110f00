"""Tensors that stay where they are computed: the same numbers, the same memory, no copies."""

import time

import numpy as np
import pytest

from runtime.bundle import names
from runtime.bundle.opening import Bundle
from runtime.engines.cuda import CudaEngine, GraphRules
from runtime.engines.engine import OnnxEngine, onnxruntime_module
from runtime.engines.tensors import CUDA, HOST, DeviceTensor, Place
from runtime.errors import EngineError
from runtime.model.models import Models

RESIDENT = Place("cpu", resident=True)  # the CUDA path's binding, in the memory of the CPU


@pytest.fixture(scope="module")
def resident_models(tiny_folder):
    # One thread, as `tiny_models`: with more the order of a sum, and its last bit, differ.
    return Models(Bundle.open(tiny_folder), lambda path: OnnxEngine(path, 1, RESIDENT))


def frames_of(models, count, seed=0):
    settings = models.bundle.manifest.settings
    shape = (count, 28 * settings.live_height, 28 * settings.live_width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def encoded(models):
    settings = models.bundle.manifest.settings
    grid = settings.live_height, settings.live_width
    scene = models.scene(models.features(frames_of(models, 2), 1), 0, 1, grid)
    encoding = np.linspace(-1, 1, models.bundle.manifest.geometry.resampler.width)
    residuals = models.residuals(scene, encoding.astype(np.float32))
    return models.visual(frames_of(models, 2, seed=1)), residuals, grid


def answered(models):
    visual, residuals, grid = encoded(models)
    context = models.context(grid, 80)
    context.append_step(visual, residuals)
    context.append_step(visual, None)
    return context.append_text(np.array([5, 6, 7]))


def test_resident_tensors_give_the_same_logits(tiny_models, resident_models):
    np.testing.assert_array_equal(answered(resident_models), answered(tiny_models))


def test_embeddings_residuals_and_scene_stay_on_the_device(resident_models):
    visual, residuals, grid = encoded(resident_models)
    features = resident_models.features(frames_of(resident_models, 2), 1)
    scene = resident_models.scene(features, 0, 1, grid)
    kept = [visual, residuals, features, *scene.outputs.values()]
    assert all(isinstance(tensor, DeviceTensor) for tensor in kept)
    assert visual.shape == (grid[0] * grid[1], 64)


def test_between_two_runs_an_engine_leaves_the_processor_to_others(tiny_folder):
    models = Models(Bundle.open(tiny_folder), lambda path: OnnxEngine(path, 4))
    frames, pause, spent = frames_of(models, 2), 0.005, 0.0
    for _ in range(40):
        models.visual(frames)
        before = time.process_time()
        time.sleep(pause)
        spent += time.process_time() - before
    assert spent < 0.2 * 40 * pause


def test_the_cpu_engine_hands_out_host_arrays(tiny_models):
    visual, residuals, _ = encoded(tiny_models)
    assert isinstance(visual, np.ndarray)
    assert isinstance(residuals, np.ndarray)


class Watched:
    """A decoder that notes at what addresses its tensors lie."""

    def __init__(self, engine):
        self.engine, self.read, self.written = engine, [], []

    def buffer(self, shape, dtype):
        return self.engine.buffer(shape, dtype)

    def run(self, inputs, into=None, keep=()):
        resident = {k: v.pointer for k, v in inputs.items() if isinstance(v, DeviceTensor)}
        self.read.append(resident)
        self.written.append({name: buffer.pointer for name, buffer in into.items()})
        return self.engine.run(inputs, into, keep)


def test_the_cache_and_what_feeds_it_are_never_copied(resident_models):
    from runtime.model.context import Context

    bundle = resident_models.bundle
    watched = Watched(OnnxEngine(bundle.graph_path(names.DECODER), place=RESIDENT))
    visual, residuals, grid = encoded(resident_models)
    context = Context(watched, bundle.manifest, bundle.embeddings, grid, 80)
    context.append_step(visual, residuals)
    context.append_text(np.array([5, 6, 7]))
    keys = [names.past_key(layer) for layer in range(bundle.manifest.geometry.decoder.layers)]
    first, step, text = watched.read
    assert [first[key] for key in keys] == [step[key] for key in keys] == [text[k] for k in keys]
    for layer, key in enumerate(keys):
        assert all(run[names.present_key(layer)] == first[key] for run in watched.written)
    assert step[names.EMBEDDINGS] == visual.pointer
    assert step[names.RESIDUALS] == residuals.pointer
    assert text[names.RESIDUALS] == first[names.RESIDUALS]  # one zero, uploaded once


def test_the_decoder_writes_into_the_buffers_it_was_given(resident_models):
    visual, residuals, grid = encoded(resident_models)
    context = resident_models.context(grid, 80)
    buffer = context._buffers.past[names.past_key(0)]
    before = buffer.numpy()
    context.append_step(visual, residuals)
    after = buffer.numpy()
    grown = np.flatnonzero(np.abs(after - before).sum(axis=(0, 1, 3)))
    assert len(grown) == grid[0] * grid[1]


def test_a_view_shares_its_memory():
    tensor = DeviceTensor.upload(onnxruntime_module(), np.arange(6, dtype=np.float32), RESIDENT)
    view = tensor.reshape(2, 3)
    assert view.pointer == tensor.pointer
    np.testing.assert_array_equal(view.numpy(), [[0, 1, 2], [3, 4, 5]])
    with pytest.raises(ValueError, match="can't be seen as"):
        tensor.reshape(4, 2)


def test_buffers_have_the_types_of_the_graph(tiny_models):
    context = tiny_models.context((3, 4), 40)
    types = {s.name: s.type for s in tiny_models.bundle.manifest.graphs[names.DECODER].inputs}
    assert {str(buffer.dtype) for buffer in context._buffers.past.values()} == {types["past_key.0"]}


def test_cuda_where_there_is_none_is_one_clear_line(tiny_models):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(EngineError) as caught:
        CudaEngine(tiny_models.bundle.graph_path(names.GAZE), GraphRules(frozenset(), {}))
    assert "extra 'gpu'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_host_is_not_a_resident_place():
    assert not HOST.resident
    assert CUDA.resident
