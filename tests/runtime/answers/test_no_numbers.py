"""No answer and no alert rests on what is no number: left out by cause, closed, and said."""

from dataclasses import replace

import numpy as np
import pytest
from loop_runner import run_loop
from no_numbers import Disturbed
from played_session import CHOICE, answers
from stand_in import MS, SECOND, START, ListedDevice, stream

from devices.samples import Fixation, GazeSample
from runtime.answers.alerts import AlertRule, StandingAlert
from runtime.answers.questions import Question
from runtime.answers.watcher import BROKEN_OFF, CLOSED, NO_NUMBERS, TAIL_LEFT_OUT
from runtime.errors import NotFiniteError
from runtime.inputs.gaze_encoding import gaze_encoding

NAN = float("nan")


def spoilt(samples, every, value=NAN):
    """Gaze of which one of so many has no place."""
    gaze = 0
    found = []
    for sample in samples:
        if isinstance(sample, GazeSample):
            gaze += 1
            if gaze % every == 0:
                sample = replace(sample, x=value)
        found.append(sample)
    return found


@pytest.mark.parametrize("value", [NAN, -1e300])
def test_gaze_that_is_nowhere_is_dropped_by_cause_and_the_rest_answers(
    tiny_models, tmp_path, value
):
    """Compared with a stream in which those samples never were."""
    samples = spoilt(stream(4), 50, value)
    without = [s for s in samples if not (isinstance(s, GazeSample) and not abs(s.x) < 10)]
    alert = [StandingAlert("Tell me", AlertRule(threshold=0.0, release=0.0))]
    asked = [(CHOICE, 1700 * MS), (CHOICE, 3500 * MS)]
    device = ListedDevice(samples)
    found = run_loop(tiny_models, device, tmp_path / "a", asked, alert, eager=False)
    alert = [StandingAlert("Tell me", AlertRule(threshold=0.0, release=0.0))]
    device = ListedDevice(without)
    clean = run_loop(tiny_models, device, tmp_path / "b", asked, alert, eager=False)
    for kind in ("answer", "alert"):
        assert found[kind]
        for ours, theirs in zip(found[kind], clean[kind], strict=True):
            for name in ("probabilities", "fixations", "steps", "note"):
                assert ours[name] == theirs[name]
    gaze = found["summary"][0]["gaze"]
    assert gaze["received"] == 800 and gaze["dropped"]["not a valid position"] == 16
    assert gaze["received"] == gaze["used"] + sum(gaze["dropped"].values())


def test_closed_eyes_need_no_place(tiny_models):
    samples = [
        replace(s, x=NAN, y=NAN, worn=False)
        if isinstance(s, GazeSample) and s.captured_at >= START + 3 * SECOND
        else s
        for s in stream(4)
    ]
    (record,) = answers(tiny_models, samples, [3500 * MS])
    assert record.note == "eyes closed or glasses off for 0.50 s: answered without gaze"
    assert np.isfinite(list(record.probabilities.values())).all()


def test_the_encoding_of_a_fixation_that_is_nowhere_is_refused():
    fixation = Fixation(0, 0, NAN, 0.5, 0, None, "velocity")
    with pytest.raises(NotFiniteError):
        gaze_encoding([fixation], 16)


@pytest.mark.parametrize("what", ["visual", "residuals"])
def test_a_step_that_computes_to_no_number_is_in_no_context(tiny_models, tmp_path, what):
    """The third step; what is answered is what a context without it answers."""
    models = Disturbed(tiny_models, lambda kind, call: kind == what and call == 2)
    asked = [(CHOICE, 3000 * MS)]
    found = run_loop(models, ListedDevice(stream(3.1)), tmp_path / "a", asked, eager=False)
    (record,) = found["answer"]
    assert [(at - START) // MS for at in record["steps"]] == [0, 1000, 3000]
    assert np.isfinite(list(record["probabilities"].values())).all()
    (summary,) = found["summary"]
    assert (summary["steps"], summary["steps_dropped"]) == (3, 1)
    for noun in ("frames", "gaze"):
        fact = summary[noun]
        assert fact["received"] == fact["used"] + sum(fact["dropped"].values())


@pytest.mark.parametrize("what", ["visual", "residuals"])
def test_a_tail_that_computes_to_no_number_is_left_out_and_said(tiny_models, what):
    """Steps fall at 0, 1 and 2 s; the fourth to be encoded is the question's own."""
    models = Disturbed(tiny_models, lambda kind, call: kind == what and call == 3)
    (record,) = answers(models, stream(3), [2500 * MS])
    (plain,) = answers(tiny_models, stream(3), [2500 * MS])
    assert record.note.startswith(TAIL_LEFT_OUT)
    assert record.steps == plain.steps[:-1]
    assert np.isfinite(list(record.probabilities.values())).all()


def test_a_tail_that_computes_to_no_number_is_said_in_the_live_run_too(tiny_models, tmp_path):
    models = Disturbed(tiny_models, lambda kind, call: kind == "residuals" and call == 2)
    asked = [(CHOICE, 1500 * MS)]
    found = run_loop(models, ListedDevice(stream(2)), tmp_path / "a", asked, eager=False)
    (record,) = found["answer"]
    assert record["note"].startswith(TAIL_LEFT_OUT) and len(record["steps"]) == 2


def test_a_tail_that_spoils_the_context_unseen_is_left_out_and_leaves_no_trace(tiny_models):
    models = Disturbed(tiny_models, lambda kind, call: kind == "prefill" and call == 3)
    first, second = answers(models, stream(4), [2500 * MS, 3500 * MS])
    _, plain = answers(tiny_models, stream(4), [2500 * MS, 3500 * MS])
    assert first.note == TAIL_LEFT_OUT and len(first.steps) == 3
    assert second.note is None
    assert (second.probabilities, second.steps) == (plain.probabilities, plain.steps)


def test_a_context_that_is_spoilt_is_closed_and_the_younger_one_answers(tiny_models):
    """Window of eight steps: the second context opens at the fifth, the third step is spoilt."""
    models = Disturbed(tiny_models, lambda kind, call: kind == "prefill" and call == 2)
    first, second = answers(models, stream(7), [5500 * MS, 6500 * MS])
    assert first.note == CLOSED and second.note is None
    assert first.context_start == second.context_start == START + 4 * SECOND
    assert np.isfinite(list(first.probabilities.values())).all()


def test_the_only_context_that_is_spoilt_is_opened_again(tiny_models):
    """What the answers then rest on is what a stream that began there would give."""
    models = Disturbed(tiny_models, lambda kind, call: kind == "prefill" and call == 1)
    first, second = answers(models, stream(4), [1500 * MS, 3500 * MS])
    assert first.note == CLOSED and first.steps == (START + 1500 * MS,)
    assert second.note is None
    assert [(at - START) // MS for at in second.steps] == [2000, 3000, 3500]


def test_where_nothing_gives_numbers_there_is_no_answer_and_the_run_goes_on(tiny_models, tmp_path):
    models = Disturbed(tiny_models, lambda kind, call: kind == "logits" and call < 3)
    asked = [(CHOICE, 1500 * MS), (CHOICE, 2500 * MS)]
    found = run_loop(models, ListedDevice(stream(3)), tmp_path / "a", asked, eager=False)
    first, second = found["answer"]
    assert first["answer"] is None and first["probabilities"] is None
    assert first["note"] == NO_NUMBERS
    assert second["answer"] in "ABC" and second["note"] is None


def test_an_answer_that_breaks_off_is_none(tiny_models, tmp_path):
    """Nothing is said twice: what a person has read is not begun anew."""
    for broken in range(1, 6):
        models = Disturbed(
            tiny_models, lambda kind, call, at=broken: (kind, call) == ("logits", at)
        )
        asked = [(Question("What is it?"), 1500 * MS)]
        found = run_loop(
            models, ListedDevice(stream(2)), tmp_path / str(broken), asked, eager=False
        )
        (record,) = found["answer"]
        if record["answer"] is None:
            assert record["note"] == BROKEN_OFF
            return
    raise AssertionError("nothing was said before it broke off")


def test_an_alert_judged_in_a_context_that_was_closed_says_so(tiny_models, tmp_path):
    models = Disturbed(tiny_models, lambda kind, call: kind == "logits" and call in (1, 2))
    alert = StandingAlert("Tell me", AlertRule(threshold=0.0, release=1.0, interval=0.0))
    found = run_loop(models, ListedDevice(stream(2)), tmp_path / "a", alerts=[alert], eager=False)
    first, second = found["alert"][:2]
    assert first["note"] is None
    assert second["note"] == CLOSED
    for record in found["alert"]:
        assert np.isfinite(list(record["probabilities"].values())).all()


def test_no_number_raises_no_alert_and_releases_none():
    alert = StandingAlert("Tell me", AlertRule(threshold=0.5, release=0.4, interval=0.0))
    chances = [NAN, 0.9, NAN, 0.9]
    assert [alert.judge(chance, at) for at, chance in enumerate(chances)] == [
        False,
        True,
        False,
        False,
    ]
