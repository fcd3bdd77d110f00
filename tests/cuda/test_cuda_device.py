"""Bundles for CUDA on a device: `.ci/cuda`. No other test needs a GPU."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cuda_bundles import for_cuda

from benchmarks.stages import main as stages
from export.graphs.precision.narrowing import cpu_engine
from export.parity.graphs import engine_logits, random_clip, random_encoding
from runtime.bundle.names import DECODER, GRAPHS
from runtime.bundle.opening import Bundle
from runtime.check import main as check
from runtime.engines.choice import Machine, choose_engine
from runtime.engines.cuda import PROVIDER, CudaEngine, CudaSettings, GraphRules
from runtime.engines.engine import onnxruntime_module
from runtime.engines.tensors import DeviceTensor
from runtime.errors import EngineError
from runtime.model.models import Models
from runtime.run.command_line import MINI

pytestmark = pytest.mark.gpu
KINDS = ["int4", "int4-mixed", "fp16"]
GRID = (4, 4)


@pytest.fixture(scope="module", autouse=True)
def device():
    if PROVIDER not in onnxruntime_module().get_available_providers():
        pytest.skip("needs onnxruntime-gpu")
    gpu = Machine.here().gpu
    if gpu is None:
        pytest.skip("needs an NVIDIA GPU")
    return gpu


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory):
    return for_cuda(Path(MINI), tmp_path_factory.mktemp("cuda") / request.param, request.param)


@pytest.fixture(scope="module")
def models(folder):
    bundle = Bundle.open(folder)
    choice = choose_engine("cuda", bundle, Machine.here())
    return Models(bundle, choice.load)


@pytest.fixture(scope="module")
def on_cpu(folder):
    return Models(Bundle.open(folder), cpu_engine)


def clip_for(models):
    return random_clip(models, 5, GRID, [random_encoding(models, step) for step in range(3)])


def near(ours, theirs, tolerance):
    size = max(1.0, float(np.abs(theirs).max()))
    assert np.abs(ours - theirs).max() <= tolerance * size


def host(value):
    return value.numpy() if isinstance(value, DeviceTensor) else value


def test_the_encoders_compute_what_a_cpu_does(models, on_cpu):
    clip = clip_for(models)
    features = models.features(clip.frames, 1)
    near(host(features), on_cpu.features(clip.frames, 1), 1e-2)
    near(host(models.visual(clip.pair(0))), on_cpu.visual(clip.pair(0)), 6e-2)
    encoding = random_encoding(models, 9)
    ours = models.residuals(models.scene(features, 0, 1, GRID), encoding)
    theirs = on_cpu.residuals(on_cpu.scene(on_cpu.features(clip.frames, 1), 0, 1, GRID), encoding)
    near(host(ours), theirs, 2e-2)


def test_the_logits_are_those_of_a_cpu(models, on_cpu):
    clip = clip_for(models)
    ours, theirs = engine_logits(models, clip), engine_logits(on_cpu, clip)
    bound = 0.1 * max(1.0, float(np.sqrt(np.mean(theirs**2))))
    assert np.abs(ours - theirs).max() <= bound
    assert theirs[ours.argmax()] >= theirs.max() - bound


def test_a_step_after_a_rewind_is_the_step_that_was_never_there(models):
    clip = clip_for(models)
    context = models.context(GRID, 200)
    visual = models.visual(clip.pair(0))
    scene = models.scene(models.features(clip.frames, 1), 0, 1, GRID)
    residuals = models.residuals(scene, random_encoding(models, 1))
    context.append_step(visual, residuals)
    mark = context.mark()
    first = context.append_text(np.array(clip.text))
    context.rewind(mark)
    context.append_step(visual, None)
    context.rewind(mark)
    np.testing.assert_array_equal(context.append_text(np.array(clip.text)), first)


def test_one_run_for_two_is_what_two_runs_are(models):
    """A step into two contexts, and a tail step with its text."""
    clip = clip_for(models)
    visual = models.visual(clip.pair(0))
    scene = models.scene(models.features(clip.frames, 1), 0, 1, GRID)
    residuals, text = models.residuals(scene, random_encoding(models, 1)), np.array(clip.text)
    long, short, alone = (models.context(GRID, 200) for _ in range(3))
    for context in (long, alone):
        context.append_step(visual, residuals)
    long.append_step_beside(short, visual, residuals)
    alone.append_step(visual, residuals)
    expected = alone.append_text(text)
    near(long.append_text(text), expected, 1e-2)
    alone.clear()
    alone.append_step(visual, residuals)
    near(short.append_text(text), alone.append_text(text), 1e-2)
    alone.clear()
    alone.append_step(visual, residuals)
    alone.defer_step(visual, residuals)
    near(alone.append_text(text), expected, 1e-2)


def test_every_graph_runs_without_a_node_on_the_cpu_that_is_not_listed(models):
    engine_logits(models, clip_for(models))  # an engine raises at its first run


def test_keys_and_values_stay_on_the_device(models):
    context = models.context(GRID, 64)
    assert {buffer.place.kind for buffer in context._buffers.past.values()} == {"cuda"}


def test_a_decoder_for_cpus_is_refused_by_onnxruntime_itself():
    there = Bundle.open(MINI)
    rules = GraphRules(frozenset(), {})
    with pytest.raises(EngineError, match="--target cuda"):
        CudaEngine(there.graph_path(DECODER), rules)


def test_a_limit_of_memory_that_is_too_small_is_one_line(folder):
    bundle = Bundle.open(folder)
    with pytest.raises(EngineError) as caught:
        for graph in GRAPHS:
            settings = CudaSettings(memory=1 << 16)
            CudaEngine(bundle.graph_path(graph), GraphRules.of(bundle.manifest, graph), settings)
    assert "memory" in str(caught.value) and "\n" not in str(caught.value)


def test_the_check_passes_and_names_the_device(folder, device, capsys):
    assert check([str(folder), "--engine", "cuda"]) == 0
    assert device.name in capsys.readouterr().out


def test_the_live_run_answers_on_it(folder):
    asked = ["--fast", "--seconds", "4", "--ask", "What?", "--options", "a", "b", "--at", "3"]
    command = [sys.executable, "-m", "runtime.live", "--bundle", str(folder), "--engine", "cuda"]
    ended = subprocess.run([*command, *asked], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert "cuda" in ended.stdout


def test_the_table_is_filled(folder, capsys):
    assert stages(["--bundle", str(folder), "--engine", "cuda", "--rounds", "3"]) == 0
    printed = capsys.readouterr().out
    assert "token to token" in printed and "GB/s" in printed
