"""A device is believed for what it computed: reference vectors, verdicts, what is refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from failing_gpu import NarrowDecoder, narrow, on_that_gpu, overflowing, raising

from runtime.bundle import names
from runtime.bundle import vectors as kept
from runtime.bundle.opening import Bundle, write_manifest
from runtime.bundle.vectors import read_vectors
from runtime.bundle.verification import file_spec
from runtime.engines import choice as engine_choice
from runtime.engines.choice import Machine
from runtime.engines.engine import OnnxEngine
from runtime.engines.webgpu import WebGpu
from runtime.errors import EngineError
from runtime.model import opening
from runtime.model.models import Models
from runtime.model.opening import open_models
from runtime.model.proof import Allowance, prove, prove_decoder
from runtime.model.verdicts import Subject, Verdicts
from runtime.run.command_line import MINI

BARE = Machine(None, ("CPUExecutionProvider",), {})
SOME_GPU = replace(BARE, webgpu=WebGpu("a GPU of tests"))


@pytest.fixture(scope="module")
def mini():
    return Bundle.open(MINI)


@pytest.fixture(scope="module")
def mini_models(mini):
    return Models(mini, lambda path: OnnxEngine(path, threads=1))


@pytest.fixture(scope="module")
def mini_vectors(mini):
    return read_vectors(mini.folder, mini.manifest)


@pytest.fixture
def verdicts(tmp_path):
    return Verdicts(tmp_path / "verdicts")


def test_the_cpu_gives_what_is_sealed(mini_models, mini_vectors):
    figures = list(prove(mini_models, mini_vectors))
    assert [figure.case for figure in figures] == list(kept.COMPARED)
    assert all(figure.holds for figure in figures)


def test_no_row_of_the_decoder_is_computed_twice(mini, mini_vectors):
    """What the proof of a large model costs a CPU: rows times layers."""
    rows = []

    class Counted(OnnxEngine):
        def run(self, inputs, into=None, keep=()):
            if names.EMBEDDINGS in inputs:
                rows.append(inputs[names.EMBEDDINGS].shape[1])
            return super().run(inputs, into, keep)

    models = Models(mini, lambda path: Counted(path, threads=1))
    for brief, prefilled in (
        (False, [15, 2 * 15 + kept.TEXT_TOKENS]),
        (True, [3 * 15 + kept.TEXT_TOKENS]),  # each run reads all weights
    ):
        rows.clear()
        assert all(figure.holds for figure in prove_decoder(models, mini_vectors, brief))
        prompt = len(mini.manifest.prompt.before_video)
        assert rows == [prompt, *prefilled, *[1] * kept.DECODED_TOKENS]
        assert max(rows) >= 32


def test_a_processor_is_asked_for_a_short_clip_and_a_gpu_for_a_whole_one(
    mini, verdicts, monkeypatch
):
    clips = []

    class Seen(OnnxEngine):
        def run(self, inputs, into=None, keep=()):
            if names.CLIP in inputs:
                clips.append(inputs[names.FRAME_ORDER].size)
            return super().run(inputs, into, keep)

    monkeypatch.setattr(engine_choice, "OnnxEngine", Seen)
    figures = open_models("cpu", mini, BARE, threads=1, verdicts=verdicts).figures
    short = {case: kept.of_short_clip(case) for case in kept.OF_CLIP}
    assert [each.case for each in figures] == [short.get(case, case) for case in kept.COMPARED]
    assert clips == [4]
    monkeypatch.setattr(engine_choice, "WebGpuEngine", lambda path, *of_gpu: Seen(path, threads=1))
    figures = open_models("webgpu", mini, SOME_GPU, verdicts=verdicts).figures
    assert kept.FEATURES in [each.case for each in figures]
    assert clips == [4, 16]


def test_what_is_sealed_is_what_the_whole_model_gives_with_hooks(tiny_folder, tiny_reference):
    """Another way to the same numbers: transformers' whole model, not layer by layer."""
    torch = pytest.importorskip("torch")
    from export.parity.reference import ReferenceStep

    manifest = Bundle.open(tiny_folder).manifest
    vectors = read_vectors(tiny_folder, manifest)
    clip = torch.from_numpy(np.stack([vectors.live[0]] + [vectors.live[1]] * 15))
    features = tiny_reference.features(clip)
    short = tiny_reference.features(clip[: 2 * kept.SHORT_CLIP])
    grid = (manifest.settings.live_height, manifest.settings.live_width)
    encoding = torch.from_numpy(vectors.encoding)
    rows = [0, 1, 2]  # the last layer's module is pruned
    residuals, of_short = (
        tiny_reference.residuals(each, 0, 1, grid, encoding)[rows] for each in (features, short)
    )
    steps = []
    for visual, added in vectors.steps():
        whole = None
        if added is not None:
            whole = torch.cat([torch.from_numpy(added), torch.zeros(1, *added.shape[1:])])
        steps.append(ReferenceStep(torch.from_numpy(visual), whole, kept.ODD_GRID))
    before, text = manifest.prompt.before_video, vectors.text.tolist()
    logits = [
        tiny_reference.logits(before, steps, text[: kept.TEXT_TOKENS + decoded]).numpy()
        for decoded in range(kept.DECODED_TOKENS + 1)
    ]
    expected = {
        kept.FEATURES: features.numpy()[3:5],  # between which the one step of a clip lies
        kept.LIVE: tiny_reference.visual(torch.from_numpy(vectors.live)).numpy(),
        kept.ODD: tiny_reference.visual(torch.from_numpy(vectors.odd)).numpy(),
        kept.GAZED: residuals.numpy(),
        kept.of_short_clip(kept.FEATURES): short.numpy(),
        kept.of_short_clip(kept.GAZED): of_short.numpy(),
        kept.PREFILL: logits[0],
        kept.DECODE: np.concatenate(logits[1:]),
    }
    for case, output in expected.items():
        assert vectors.samples[case].difference(output) < 2e-5, case


@pytest.mark.parametrize("graph", names.GRAPHS)
def test_one_weight_that_was_changed_after_sealing_is_found(mini, verdicts, tmp_path, graph):
    folder = shutil.copytree(mini.folder, tmp_path / "bundle")
    data = f"{graph}.onnx.data"
    with (folder / data).open("r+b") as file:
        file.seek((folder / data).stat().st_size // 2 // 4 * 4)
        file.write(np.float32(1000).tobytes())
    files = {**mini.manifest.files, data: file_spec(folder / data)}
    write_manifest(folder, replace(mini.manifest, files=files))
    with pytest.raises(EngineError, match=rf"computes wrong here \({graph}: .* off by"):
        open_models("auto", Bundle.open(folder), BARE, threads=1, verdicts=verdicts)


def test_tokens_that_are_prefilled_in_pieces_give_the_same(mini_models, mini_vectors):
    for most in (1, 4, 64, 100):
        figures = list(prove_decoder(mini_models.in_rows(most), mini_vectors))
        assert all(figure.holds for figure in figures)
        assert (kept.MANY in [figure.case for figure in figures]) == (most >= 64)


@pytest.mark.parametrize("wrong", [None, "beside."])
def test_a_second_context_that_a_run_fills_wrong_is_found(tiny_folder, tmp_path, wrong):
    """A device that takes a step into two contexts: here it spoils what the second is given."""
    pytest.importorskip("torch")
    from cuda_bundles import for_cuda

    from export.graphs.precision.narrowing import cpu_engine

    class Spoiling:
        def __init__(self, path):
            self._engine = cpu_engine(path, threads=1)
            self.name, self.buffer = self._engine.name, self._engine.buffer

        def run(self, inputs, into=None, keep=()):
            pair = inputs.get(names.PAIR_SIZES, np.zeros(2))
            if wrong is not None and pair[1] > 1:
                name = names.beside(names.EMBEDDINGS)
                inputs = {**inputs, name: np.flip(inputs[name], axis=1).copy()}
            return self._engine.run(inputs, into, keep)

    bundle = Bundle.open(for_cuda(tiny_folder, tmp_path / "cuda", "float32"))
    vectors = read_vectors(bundle.folder, bundle.manifest)
    figures = {each.case: each for each in prove_decoder(Models(bundle, Spoiling), vectors)}
    holding = {case for case, figure in figures.items() if figure.difference < 0.05}
    assert holding == {kept.PREFILL, kept.DECODE} | ({kept.BESIDE} if wrong is None else set())


def test_a_gpu_that_computes_right_is_taken(mini, verdicts, monkeypatch):
    on_that_gpu(monkeypatch)
    opened = open_models("auto", mini, SOME_GPU, verdicts=verdicts)
    assert opened.choice.line == "webgpu: no NVIDIA GPU found; a GPU of tests"
    assert [each.case for each in opened.figures] == [*kept.COMPARED, kept.MANY]
    assert opened.models.most_rows == 64  # two steps of mini are 32


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"wrong": ("vision",), "how": overflowing}, "vision: visual embeddings, live grid off by"),
        ({"wrong": ("vjepa",), "how": narrow}, "vjepa: features off by"),
        ({"wrong": ("resampler.scene",), "how": narrow}, "resampler.scene: scene tokens off by"),
        ({"wrong": ("resampler.gaze",), "how": overflowing}, "resampler.gaze: residuals"),
        ({"wrong": ("decoder",), "how": overflowing}, "decoder: logits that are no numbers"),
        ({"wrong": ("decoder",), "how": raising}, "device lost"),
        ({"loads": False}, "can't load it: no kernel"),
    ],
)
def test_a_gpu_that_fails_is_passed_over_with_the_reason(mini, verdicts, monkeypatch, fault, told):
    on_that_gpu(monkeypatch, **fault)
    opened = open_models("auto", mini, SOME_GPU, threads=1, verdicts=verdicts)
    assert opened.choice.kind == "cpu"
    assert told in opened.choice.line
    assert "\n" not in opened.choice.line
    with pytest.raises(EngineError, match=told.replace("(", r"\(")):
        open_models("webgpu", mini, SOME_GPU, verdicts=verdicts)


@pytest.mark.parametrize(
    ("most", "case", "told"),
    [
        (63, kept.MANY, "prefills 38 tokens at a time"),
        (31, kept.PREFILL, "prefills 15 tokens at a time"),
        (4, kept.PREFILL, "prefills one token at a time"),
        (0, kept.PREFILL, None),
    ],
)
def test_a_gpu_of_few_rows_prefills_so_if_it_is_asked_for(
    mini, verdicts, monkeypatch, most, case, told
):
    """Kernels for many rows are others: they have faults of their own."""
    monkeypatch.setattr(engine_choice, "WebGpuEngine", NarrowDecoder)
    monkeypatch.setattr(NarrowDecoder, "most", most)
    for _ in range(2):  # as it is found, and as it is remembered
        opened = open_models("auto", mini, SOME_GPU, threads=1, verdicts=verdicts)
        assert opened.choice.kind == "cpu"
        assert f"decoder: {case} off by 1.0e-01" in opened.choice.line
        if told is None:
            with pytest.raises(EngineError, match="webgpu computes wrong here"):
                open_models("webgpu", mini, SOME_GPU, verdicts=verdicts)
        else:
            assert told in open_models("webgpu", mini, SOME_GPU, verdicts=verdicts).choice.line


def test_a_bundle_is_asked_once_and_again_where_anything_changed(mini, verdicts, monkeypatch):
    asked = []
    monkeypatch.setattr(opening, "prove", lambda *given: asked.append(1) or prove(*given))

    def opened(machine=BARE, **options):
        before = len(asked)
        open_models("auto", mini, machine, threads=1, verdicts=verdicts, **options)
        return len(asked) - before

    assert (opened(), opened(), opened(again=True), opened()) == (1, 0, 1, 0)
    on_that_gpu(monkeypatch, ("vision",), overflowing)
    assert (opened(SOME_GPU), opened(SOME_GPU)) == (1, 0)  # what is wrong is known, too
    other_driver = replace(BARE, webgpu=WebGpu("a GPU of tests, another driver"))
    assert opened(other_driver) == 1
    for path in Path(verdicts._folder).iterdir():
        path.write_bytes(b"{}")
    assert (opened(), opened()) == (1, 0)


def test_without_a_place_to_keep_them_every_opening_asks(mini):
    nowhere = Verdicts(None)
    for _ in range(2):
        assert open_models("cpu", mini, BARE, threads=1, verdicts=nowhere).figures


def test_a_verdict_is_of_one_bundle_engine_and_processor(mini):
    subject = Subject.of(engine_choice.choose_engine("cpu", mini, BARE))
    other = replace(mini, manifest=replace(mini.manifest, digest="other"))
    assert subject.bundle == mini.manifest.digest
    assert Subject.of(engine_choice.choose_engine("cpu", other, BARE)) != subject
    assert any("onnxruntime" in each for each in subject.device)
    assert subject.asked == kept.ASKED  # what was believed for less is asked again


def test_engines_in_16_bits_are_allowed_more_but_not_anything(mini, mini_vectors, monkeypatch):
    on_that_gpu(monkeypatch, ("vjepa",), narrow)
    rough = Models(mini, engine_choice.choose_engine("webgpu", mini, SOME_GPU).load)
    allowance = Allowance(encoders=0.05, following=0.1, odd_grid=False)
    figures = list(prove(rough, mini_vectors, allowance))
    assert all(figure.holds for figure in figures)
    assert kept.ODD not in [figure.case for figure in figures]
    assert not next(prove(rough, mini_vectors)).holds
