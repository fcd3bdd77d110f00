"""A session's answers rest on exactly what was captured, however it was delivered."""

import numpy as np
import pytest
from played_session import CHOICE, OPTIONS, answers
from stand_in import MS, SECOND, START, ListedDevice, stream

from devices.samples import SceneFrame
from runtime.answers.questions import Question
from runtime.answers.session import Session, SessionOptions
from runtime.errors import QuestionError


def test_a_record_names_what_the_answer_rests_on(tiny_models):
    (record,) = answers(tiny_models, stream(4), [3500 * MS])
    assert record.answer in "ABC"
    assert sum(record.probabilities.values()) == pytest.approx(1.0)
    # Steps every second at 2 frames per second, then the tail at the question.
    assert [(at - START) // MS for at in record.steps] == [0, 1000, 2000, 3000, 3500]
    assert record.context_start == START
    assert record.frame_at - START == 3500 * MS
    assert record.frame_age_ms == 0.0
    assert 0.0 <= record.gaze_age_ms < 5.0
    assert record.asked_at == START + 3500 * MS
    # Gaze jumps every 600 ms, at 3 s too: that step, 15 ms behind, does not know it yet.
    assert {fixation.step for fixation in record.fixations} == {1, 2, 3, 4}
    starts = {fixation.step: fixation.start for fixation in record.fixations}
    assert starts[3] < START + 2500 * MS < START + 2995 * MS <= starts[4]
    for fixation in record.fixations:
        assert fixation.start <= record.steps[fixation.step]
        assert fixation.source == "adaptive"
    assert record.ttft_ms > 0
    assert {"vjepa", "vision", "resampler.gaze", "prefill", "question"} <= set(record.stages_ms)
    assert record.protocol == "causal"


def test_the_pace_of_delivery_changes_nothing(tiny_models):
    moments = [100 * MS, 999 * MS, 2000 * MS, 3333 * MS]
    samples = stream(4)
    fine = answers(tiny_models, samples, moments, tick=5 * MS)
    coarse = answers(tiny_models, samples, moments, tick=700 * MS)
    for one, other in zip(fine, coarse, strict=True):
        assert one.probabilities == other.probabilities
        assert one.steps == other.steps
        assert one.fixations == other.fixations


def test_gaze_changes_the_answer_and_none_leaves_it_out(tiny_models):
    from dataclasses import replace

    samples = stream(4)
    (seen,) = answers(tiny_models, samples, [3500 * MS])
    (blind,) = answers(tiny_models, samples, [3500 * MS], replace(OPTIONS, use_gaze=False))
    assert blind.fixations == ()
    assert blind.steps == seen.steps
    assert max(abs(seen.probabilities[x] - blind.probabilities[x]) for x in "ABC") > 1e-3


def test_gaze_none_is_the_plain_model(tiny_models, tiny_reference):
    """The whole live path without gaze against one prefill of plain Qwen2.5-VL."""
    import torch

    from export.parity.reference import ReferenceStep
    from runtime.answers.questions import Asker
    from runtime.stream.frame_timeline import resized

    samples = stream(4)
    options = SessionOptions(rule="velocity", window=8.0, rate=2.0, use_gaze=False)
    (record,) = answers(tiny_models, samples, [3500 * MS], options)
    frames = {s.captured_at: s.pixels for s in samples if isinstance(s, SceneFrame)}
    times = sorted(frames)
    settings = tiny_models.bundle.manifest.settings
    grid = settings.live_height, settings.live_width

    def pair(newer):
        older = max((at for at in times if at <= newer - SECOND // 2), default=newer)
        return np.stack([resized(frames[at], 28 * grid[0], 28 * grid[1]) for at in (older, newer)])

    steps = [
        ReferenceStep(tiny_reference.visual(torch.from_numpy(pair(at))), None, grid)
        for at in record.steps
    ]
    before = tiny_models.bundle.manifest.prompt.before_video
    logits = tiny_reference.logits(before, steps, Asker(tiny_models.bundle).tokens(CHOICE)).numpy()
    letters = [tiny_models.bundle.manifest.prompt.letters[x] for x in "ABC"]
    shares = np.exp(logits[letters]) / np.exp(logits[letters]).sum()
    np.testing.assert_allclose(list(record.probabilities.values()), shares, atol=1e-4)


def test_a_question_leaves_no_trace(tiny_models):
    samples = stream(4)
    asked = answers(tiny_models, samples, [500 * MS, 1200 * MS, 1900 * MS, 3500 * MS])
    (alone,) = answers(tiny_models, samples, [3500 * MS])
    assert asked[-1].probabilities == alone.probabilities
    assert asked[-1].steps == alone.steps


def test_no_tail_where_nothing_is_new(tiny_models):
    """At a step's own moment the question adds no step of the same frames and fixations."""
    samples = [sample for sample in stream(4) if isinstance(sample, SceneFrame)]
    options = SessionOptions(rule="velocity", window=8.0, rate=2.0, use_gaze=False)
    at_step, after = answers(tiny_models, samples, [2000 * MS, 2020 * MS], options)
    assert len(at_step.steps) == len(after.steps) == 3
    assert at_step.probabilities == after.probabilities


def test_before_the_first_frame_the_answer_says_so(tiny_models):
    device = ListedDevice(stream(1))
    with device as info:
        session = Session(tiny_models, info, OPTIONS, device.counts)
        record = session.ask(CHOICE, START - SECOND)
    assert record.answer is None
    assert record.note == "no scene frame has arrived yet"
    assert record.frame_at is None and record.frame_age_ms is None
    assert record.steps == () and record.ttft_ms is None


def test_free_text_stops_at_the_limit_and_streams(tiny_models):
    pieces = []
    device = ListedDevice(stream(1))
    with device as info:
        session = Session(tiny_models, info, OPTIONS, device.counts, pieces.append)
        device.clock.sleep_until(START + SECOND)
        session.receive(device.poll(), START + SECOND)
        session.advance(START + SECOND)
        record = session.ask(Question("What am I looking at?"), START + SECOND)
    assert record.probabilities is None
    assert "".join(pieces) == record.answer.rstrip("\ufffd") or record.answer.startswith(
        "".join(pieces)
    )


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (Question("  "), "empty"),
        (Question("Which?", ("one",)), "1 options"),
        (Question("Which?", tuple("abcdefghi")), "9 options"),
        (Question("word " * 2000), "ask a shorter question"),
    ],
)
def test_questions_that_cannot_be_asked(tiny_models, question, said):
    with pytest.raises(QuestionError, match=said):
        answers(tiny_models, stream(1), [500 * MS], question=question)


def test_a_full_window_closes_and_the_next_goes_on(tiny_models):
    """Window of 8 steps: at 11.5 s the oldest context began at its half."""
    (record,) = answers(tiny_models, stream(12), [11500 * MS])
    assert record.context_start == START + 4 * SECOND
    assert len(record.steps) == 8 + 1
