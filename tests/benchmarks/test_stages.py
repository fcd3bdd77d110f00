"""The stages of an answer: each in its own row, their work counted, shares of peaks."""

import json
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.instruments import pipeline as names
from benchmarks.instruments.peaks import Peaks, measure_peaks
from benchmarks.instruments.pipeline import Pipeline
from benchmarks.instruments.work import Weights, decoder_operations, vjepa_operations
from benchmarks.stages import WHOLE, main, measure, shares
from runtime.bundle.opening import Bundle
from runtime.engines.choice import Machine
from runtime.engines.engine import OnnxEngine
from runtime.model.models import Models
from runtime.run.command_line import MINI

BARE = Machine(None, ("CPUExecutionProvider",), {})
SLOW = 7_000_000  # ns
SLOWED = {
    "visual": names.VISION,
    "features": names.VJEPA,
    "scene": names.SCENE,
    "residuals": names.GAZE,
}


class StandingClock:
    """Nanoseconds that pass only where a test lets them."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


class SlowModels(Models):
    """Mini's, each call of one graph costing time on a clock that stands otherwise."""

    def __init__(self, clock):
        super().__init__(Bundle.open(MINI))
        self._clock, self.slow = clock, None

    def _pass(self, name):
        self._clock.now += SLOW if name == self.slow else 0

    def visual(self, pair):
        self._pass("visual")
        return super().visual(pair)

    def features(self, *arguments):
        self._pass("features")
        return super().features(*arguments)

    def scene(self, *arguments):
        self._pass("scene")
        return super().scene(*arguments)

    def residuals(self, *arguments):
        self._pass("residuals")
        return super().residuals(*arguments)


@pytest.fixture(scope="module")
def clock():
    return StandingClock()


@pytest.fixture(scope="module")
def models(clock):
    return SlowModels(clock)


@pytest.fixture(scope="module")
def pipeline(models):
    return Pipeline(models)


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    monkeypatch.setattr("benchmarks.stages.WARM_UP", 1)


@pytest.mark.parametrize("slow", SLOWED)
def test_a_slow_stage_shows_in_its_row_and_in_the_whole_and_nowhere_else(
    pipeline, models, clock, slow, monkeypatch
):
    monkeypatch.setattr(models, "slow", slow)
    times = measure(pipeline, 2, clock)
    assert times.pop(SLOWED[slow]) == times.pop(WHOLE) == [7.0, 7.0]
    assert len(times) == 9 and all(values == [0.0, 0.0] for values in times.values())


@pytest.mark.parametrize("name", [names.DECODE, names.FIXATIONS, names.PREFILL, names.FIRST])
def test_so_does_a_slow_stage_without_a_graph_of_its_own(pipeline, clock, name, monkeypatch):
    stages = tuple(
        names.Stage(each.name, lambda: setattr(clock, "now", clock.now + SLOW))
        if each.name == name
        else each
        for each in pipeline.stages
    )
    monkeypatch.setattr(pipeline, "stages", stages)
    times = measure(pipeline, 1, clock)
    assert times.pop(name) == times.pop(WHOLE) == [7.0]
    assert all(values == [0.0] for values in times.values())


def test_the_warm_up_is_left_out(pipeline):
    ticks = iter(range(0, 10**9, 1000))
    times = measure(pipeline, 3, lambda: next(ticks))
    assert all(len(values) == 3 for values in times.values())


def test_stages_do_what_they_say(pipeline):
    before = pipeline._contexts[0].mark()
    for stage in pipeline.stages:
        stage.run()
    written = pipeline._contexts[0].mark().length - before.length
    assert written == 2 * pipeline.tokens + len(pipeline.text) + 1
    pipeline.rewind()
    assert pipeline._contexts[0].mark() == before
    frame = pipeline._codec.decode(pipeline._packets[0])[0]
    assert (frame.width, frame.height) == (names.WIDTH, names.HEIGHT)


def test_weights_are_those_of_the_shapes():
    """Mini's, by hand: 6 layers of 128, 384 between; 4 heads of 32, 2 for keys; 554 words."""
    weights = Weights.of(Bundle.open(MINI))
    layer = 128 * (4 + 2 * 2) * 32 + 128 * 128 + 3 * 128 * 384
    # Of the last layer, as of all others, every product is there.
    assert weights.decoder == 6 * layer
    assert weights.head == 128 * 554
    assert weights.blocks == 2
    assert weights.vjepa == 2 * 12 * 64**2 + 64 * 3 * 2 * 16 * 16


def test_operations_grow_as_attention_does():
    bundle = Bundle.open(MINI)
    weights = Weights.of(bundle)
    counts = [decoder_operations(bundle, weights, 1, past, 0) for past in (0, 10, 20)]
    assert [after - before for before, after in pairwise(counts)] == [10 * 6 * 4 * 4 * 32] * 2
    whole = decoder_operations(bundle, weights, 7, 0, 1)
    apart = [decoder_operations(bundle, weights, 1, past, 0) for past in range(7)]
    assert whole == sum(apart) + 2 * 128 * 554


@pytest.mark.parametrize("of", ["mini", "tiny"])
def test_what_is_not_read_is_not_counted(of, tiny_folder):
    """2 blocks of 64: in the last, 6 of 8 tubelets neither ask nor go through its 10 squares."""
    bundle = Bundle.open(MINI if of == "mini" else tiny_folder)
    weights, tubelet = Weights.of(bundle), bundle.manifest.geometry.vjepa.side**2
    tokens, blocks = 8 * tubelet, weights.blocks
    assert weights.vjepa == blocks * 12 * 64**2 + 64 * 3 * 2 * 16 * 16
    whole = 2 * tokens * weights.vjepa + blocks * 4 * tokens**2 * 64
    saved = 6 * tubelet * (4 * tokens * 64 + 2 * 10 * 64**2)
    assert vjepa_operations(bundle, weights) == whole - saved


def test_a_share_is_of_the_peak(pipeline):
    bundle = Bundle.open(MINI)
    times = {stage.name: [2000.0] for stage in (*pipeline.stages, pipeline.aside)}
    shared = shares(bundle, pipeline, times, Peaks(bandwidth=1e6, operations=1e9))
    expected = vjepa_operations(bundle, Weights.of(bundle)) / 2 / 1e9
    assert shared[names.VJEPA] == pytest.approx(expected)
    files = list(MINI.glob("resampler.gaze.onnx*"))
    assert shared[names.GAZE] == pytest.approx(sum(f.stat().st_size for f in files) / 2 / 1e6)
    assert names.DECODE not in shared


def test_peaks_are_of_products_that_were_computed(tmp_path, monkeypatch):
    for name, size in {"SIDE": 64, "TALL": 128, "WIDE": 32}.items():
        monkeypatch.setattr(f"benchmarks.instruments.peaks.{name}", size)
    peaks = measure_peaks(tmp_path, OnnxEngine)
    assert peaks.bandwidth > 0 and peaks.operations > 0
    left = {"left": np.ones((1, 128), np.float32)}
    (product,) = OnnxEngine(tmp_path / "read.onnx").run(left).values()
    drawn = np.random.default_rng(0).standard_normal((128, 32), np.float32)
    np.testing.assert_allclose(product[0], drawn.sum(0), atol=1e-4)


def test_the_command_prints_and_writes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.stages.peaks_here", lambda choice: Peaks(1e10, 1e11))
    file = tmp_path / "stages.json"
    assert main(["--rounds", "2", "--json", str(file)], BARE) == 0
    assert "GFLOP/s" in capsys.readouterr().out
    rows = {row[0]: row[1:] for row in json.loads(file.read_text())["sheets"][0]["rows"]}
    assert all(row[0] == 2 and 0 < row[1] <= row[4] for row in rows.values())
    assert rows[names.NEXT][6] == "bandwidth" and rows[names.DECODE][5] is None


def test_an_engine_that_is_not_there_is_one_line(capsys):
    assert main(["--engine", "cuda"], BARE) == 1
    assert capsys.readouterr().err.startswith("error: --engine cuda: no NVIDIA GPU found")
