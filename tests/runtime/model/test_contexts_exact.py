"""The cache of an endless stream is exact: what a fresh prefill of the same steps would be."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from cuda_bundles import for_cuda
from stand_in import MS, SECOND, START, ListedDevice, stream

from devices.samples import GazeSample, SceneFrame
from export.graphs.precision.narrowing import cpu_engine
from export.parity.reference import ReferenceStep
from runtime.answers.questions import Question
from runtime.answers.session import Session, SessionOptions
from runtime.bundle.opening import Bundle
from runtime.model.models import Models

CHOICE = Question("What is it?", ("a cup", "a knife"))
WINDOW = SessionOptions(rule="adaptive", window=6.0, rate=2.0)  # six steps
SECONDS = 21  # three windows turn over


def with_blinks(samples):
    """Eyes closed for 300 ms every 1.7 s."""
    return [
        GazeSample(s.captured_at, s.arrived_at, s.x, s.y, worn=False)
        if isinstance(s, GazeSample) and (s.captured_at - START) % (1700 * MS) < 300 * MS
        else s
        for s in samples
    ]


def irregular(samples):
    """Two of three frames are missing at random, and half a second of them at 9 s."""
    rng = np.random.default_rng(1)
    return [
        s
        for s in samples
        if not isinstance(s, SceneFrame)
        or s.captured_at == START
        or (rng.random() < 0.35 and not 9 * SECOND < s.captured_at - START < 9500 * MS)
    ]


class Recorded(Session):
    """A session that keeps what it appended, and the logits of its last question."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.appended = []
        append = self._watcher.append

        def kept(step, watch):
            append(step, watch)
            self.appended.append(step)

        self._watcher.append = kept

    def fixed_question(self):
        """Logits of the fixed question in the longest context, which stays as it was."""
        held = self._watcher._pool.longest
        mark = held.context.mark()
        logits = held.context.append_text(self._watcher.asker.tokens(CHOICE))
        held.context.rewind(mark)
        return logits, [fact.frames for fact in held.facts]


STREAMS = {
    "gaze": (lambda samples: samples, True),
    "no gaze": (lambda samples: samples, False),
    "blinks": (with_blinks, True),
    "irregular": (irregular, True),
}


@pytest.fixture(scope="module")
def models_for(tiny_folder, tiny_models, tmp_path_factory):
    """By target; the one for CUDA has the same decoder, attending in float16.

    Its bound is for the largest of all logits of all steps: the last of them has a longer tail than
    one question's 5e-3.
    """
    folder = for_cuda(tiny_folder, tmp_path_factory.mktemp("cuda") / "tiny", "float32")
    cuda = Models(Bundle.open(folder), lambda path: cpu_engine(path, threads=1))
    return {"cpu": (tiny_models, 1e-4), "cuda": (cuda, 1e-2)}


@pytest.mark.parametrize(
    ("name", "target"), [*((name, "cpu") for name in STREAMS), ("blinks", "cuda")]
)
def test_every_step_equals_a_fresh_prefill(models_for, tiny_reference, name, target):
    models, tolerance = models_for[target]
    change, use_gaze = STREAMS[name]
    device = ListedDevice(change(stream(SECONDS, seed=4)))
    manifest = models.bundle.manifest
    grid = manifest.settings.live_height, manifest.settings.live_width
    lengths = []
    with device as info:
        options = replace(WINDOW, use_gaze=use_gaze)
        session = Recorded(models, info, options, device.counts)
        while device.clock.now() < START + SECONDS * SECOND:
            now = device.clock.now()
            session.receive(device.poll(), now)
            before = len(session.appended)
            session.advance(now)
            if len(session.appended) > before:
                logits, frames = session.fixed_question()
                held = session.appended[-len(frames) :]
                assert [step.plan.pair.key for step in held] == frames
                lengths.append(len(held))
                fresh = tiny_reference.logits(
                    manifest.prompt.before_video,
                    [as_reference(step, grid) for step in held],
                    session._watcher.asker.tokens(CHOICE).tolist(),
                ).numpy()
                bound = tolerance * max(1.0, float(np.sqrt(np.mean(fresh**2))))
                assert np.abs(logits - fresh).max() <= bound
                if target == "cuda":  # rounding is the same in a context that is opened anew
                    again = models.context(grid, 200)
                    for step in held:
                        again.append_step(step.visual, step.residuals)
                    text = session._watcher.asker.tokens(CHOICE)
                    np.testing.assert_array_equal(again.append_text(text), logits)
                # Its arg-max, or what rounding can't tell from it.
                assert fresh[logits.argmax()] >= fresh.max() - 2 * bound
            device.clock.sleep_until(now + 50 * MS)
    assert len(session.appended) >= 20
    # Contexts open every three steps and hold at most six: three and more turn over.
    assert lengths[:6] == [1, 2, 3, 4, 5, 6]
    assert lengths[6:12] == [4, 5, 6, 4, 5, 6]


def as_reference(step, grid):
    """The step's own embeddings and residuals, the pruned module's added as zero."""
    residuals = None
    if step.residuals is not None:
        dead = np.zeros_like(step.residuals[:1])
        residuals = torch.from_numpy(np.concatenate([step.residuals, dead]))
    return ReferenceStep(torch.from_numpy(step.visual), residuals, grid)
