"""A device that is lost in mid-run: it is said, the next engine goes on, nothing wrong is told."""

import numpy as np
import pytest
from loop_runner import CHOICE, run_loop
from stand_in import SECOND, ListedDevice, stream

from runtime.bundle.opening import Bundle
from runtime.engines import choice as engine_choice
from runtime.engines.choice import Machine
from runtime.engines.engine import OnnxEngine
from runtime.engines.tensors import Place
from runtime.engines.webgpu import WebGpu
from runtime.errors import EngineError, NotFiniteError
from runtime.model.models import Models
from runtime.model.opening import open_models
from runtime.model.verdicts import Verdicts
from runtime.run.command_line import MINI

MACHINE = Machine(None, ("CPUExecutionProvider",), {}, webgpu=WebGpu("a GPU of tests"))
THERE = Place("cpu", resident=True)  # another memory as far as anyone can tell
ASKED = [(CHOICE, moment * SECOND) for moment in (2, 5, 8, 14)]


class Device:
    """What its graphs run on, until one of them has run so many times."""

    def __init__(self, graph=None, runs=0):
        self.graph, self.left, self.is_lost = graph, runs, False

    def ran(self, graph):
        self.left -= graph == self.graph
        self.is_lost |= graph == self.graph and self.left < 0
        if self.is_lost:
            raise EngineError("WebGPU can't run it: device lost")


@pytest.fixture
def on_device(monkeypatch):
    """From now on the GPU is this device."""

    def place(device):
        class OnDevice(OnnxEngine):
            def __init__(self, path, graph, webgpu):
                super().__init__(path, threads=1, place=THERE)
                self.graph = graph

            def run(self, inputs, into=None, keep=()):
                device.ran(self.graph)
                return super().run(inputs, into, keep)

        monkeypatch.setattr(engine_choice, "WebGpuEngine", OnDevice)

    return place


@pytest.fixture(scope="module")
def bundle():
    return Bundle.open(MINI)


@pytest.fixture(scope="module")
def on_the_cpu(bundle, tmp_path_factory):
    models = Models(bundle, lambda path: OnnxEngine(path, threads=1))
    out = tmp_path_factory.mktemp("cpu") / "records"
    return run_loop(models, ListedDevice(stream(15)), out, ASKED, eager=False)["answer"]


def opened(bundle, tmp_path, said, asked="auto"):
    verdicts = Verdicts(tmp_path / "verdicts")
    return open_models(
        asked, bundle, MACHINE, threads=1, verdicts=verdicts, lost=said.append
    ).models


@pytest.mark.parametrize("graph", ["vjepa", "vision", "resampler.scene", "resampler.gaze"])
def test_an_encoder_that_is_lost_goes_on_elsewhere(on_device, bundle, on_the_cpu, tmp_path, graph):
    device, said = Device(graph, runs=10), []
    on_device(device)
    models = opened(bundle, tmp_path, said)
    answers = run_loop(models, ListedDevice(stream(15)), tmp_path / "a", ASKED, eager=False)
    assert device.is_lost
    check_answers(answers["answer"], on_the_cpu)
    assert len(said) == 1
    assert said[0].startswith("engine   webgpu was lost (WebGPU can't run it: device lost): cpu: ")


PROOF = 12  # runs of the decoder before the stream begins: what was sealed takes 7, many rows 5


@pytest.mark.parametrize("runs", [0, 2, 3, 4, 10, 17])
def test_a_decoder_that_is_lost_goes_on_elsewhere(on_device, bundle, on_the_cpu, tmp_path, runs):
    """While a context is opened, a step is prefilled, a tail or text, or a token is decoded."""
    runs += PROOF
    device, said = Device("decoder", runs), []
    on_device(device)
    models = opened(bundle, tmp_path, said)
    answers = run_loop(models, ListedDevice(stream(15)), tmp_path / "a", ASKED, eager=False)
    assert device.is_lost
    assert len(said) == 1
    check_answers(answers["answer"], on_the_cpu)


def check_answers(answers, expected):
    """All are answered; where the same was seen, with the same; the last one saw whole seconds."""
    assert len(answers) == len(expected) == len(ASKED)
    for found, whole in zip(answers, expected, strict=True):
        if found["steps"] == whole["steps"] and found["probabilities"] is not None:
            assert found["probabilities"] == pytest.approx(whole["probabilities"], abs=1e-5)
        elif found["probabilities"] is None or not found["steps"]:
            assert found["note"]
    steps = answers[-1]["steps"]
    assert len(steps) >= 4
    assert set(np.diff(steps).tolist()) == {SECOND}
    assert answers[-1]["probabilities"] is not None


def test_a_device_that_was_asked_for_by_name_is_not_replaced(on_device, bundle, tmp_path):
    device, said = Device("vision", runs=10), []
    on_device(device)
    models = opened(bundle, tmp_path, said, asked="webgpu")
    with pytest.raises(EngineError, match="device lost"):
        run_loop(models, ListedDevice(stream(15)), tmp_path / "a", ASKED, eager=False)
    assert said == []


def test_what_fails_before_it_is_proven_is_refused_and_not_lost(on_device, bundle, tmp_path):
    said = []
    on_device(Device("resampler.gaze", runs=0))
    models = opened(bundle, tmp_path, said)
    assert said == []
    assert models.engine_name.endswith("cpu")


def test_a_context_of_the_lost_device_is_never_read(on_device, bundle, tmp_path):
    """Its memory is the device's: another engine would read what is not there."""
    device, said = Device(), []
    on_device(device)
    models = opened(bundle, tmp_path, said)
    context = models.context((3, 5), 64)
    visual = np.zeros((15, bundle.manifest.geometry.decoder.width), np.float32)
    context.append_step(visual, None)
    device.is_lost = True
    for _ in range(2):
        with pytest.raises(NotFiniteError, match="lost is gone"):
            context.append_step(visual, None)
    logits = []
    for each in (models, Models(bundle, lambda path: OnnxEngine(path, threads=1))):
        fresh = each.context((3, 5), 64)
        fresh.append_step(visual, None)
        logits.append(fresh.append_text(np.array([5, 6])))
    np.testing.assert_array_equal(*logits)
    assert len(said) == 1
