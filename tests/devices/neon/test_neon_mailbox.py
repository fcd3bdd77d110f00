"""Bounded queues in which the newest win, with counts that add up."""

import math

import numpy as np
import pytest

from devices.device import UnbalancedAccounts
from devices.mailbox import Mailbox
from devices.samples import Blink, Fixation, GazeSample, SceneFrame

PIXELS = np.zeros((2, 2, 3), np.uint8)


def gaze(moment):
    return GazeSample(moment, moment + 5, 0.5, 0.5)


def frame(moment):
    return SceneFrame(moment, moment + 5, 0, PIXELS)


def test_samples_come_out_in_order_of_arrival_with_their_watermarks():
    mailbox = Mailbox()
    sent = [gaze(10), frame(5), Blink(8, 12, 1, 7), gaze(20)]
    for sample in sent:
        mailbox.hand_in(sample)
    mailbox.note("a line")
    delivery = mailbox.collect()
    assert list(delivery.samples) == sent
    assert (delivery.frames_until, delivery.gaze_until) == (5, 20)
    assert delivery.notices == ("a line",)
    assert mailbox.collect().samples == ()


def test_the_newest_win_and_every_drop_is_counted():
    mailbox = Mailbox(frames=3, gaze=2)
    for moment in range(1, 11):
        mailbox.receive("frames")
        mailbox.hand_in(frame(moment))
    counts = mailbox.counts().frames
    assert (counts.received, counts.delivered, counts.dropped["not polled in time"]) == (10, 0, 7)
    assert [s.captured_at for s in mailbox.collect().samples] == [8, 9, 10]
    assert mailbox.counts().frames.delivered == 3


def test_capture_times_never_go_back():
    mailbox = Mailbox()
    for moment in (10, 30, 20, 30, 31):
        mailbox.receive("gaze")
        mailbox.hand_in(gaze(moment))
    assert [s.captured_at for s in mailbox.collect().samples] == [10, 30, 31]
    assert mailbox.counts().gaze.dropped["late"] == 2


def test_what_was_declared_final_stays_final():
    mailbox = Mailbox()
    mailbox.finish("gaze", 100)
    assert mailbox.collect().gaze_until == 100
    mailbox.receive("gaze")
    mailbox.hand_in(gaze(100))
    mailbox.hand_in(gaze(101))
    mailbox.finish("gaze", 50)
    delivery = mailbox.collect()
    assert [s.captured_at for s in delivery.samples] == [101]
    assert delivery.gaze_until == 101 and delivery.frames_until == 0


def test_a_dated_drop_moves_the_watermark_too():
    mailbox = Mailbox()
    mailbox.receive("frames")
    mailbox.drop("frames", "packet loss", 70)
    assert mailbox.collect().frames_until == 70
    assert mailbox.counts().frames.dropped == {"packet loss": 1}


def test_what_nobody_collects_any_more_is_counted_as_dropped():
    mailbox = Mailbox()
    for moment in (1, 2, 3):
        mailbox.receive("gaze")
        mailbox.hand_in(gaze(moment))
        if moment == 1:
            mailbox.collect()
        if moment == 2:
            mailbox.close()
    counts = mailbox.counts().gaze
    assert (counts.received, counts.delivered, counts.dropped) == (3, 1, {"run ended": 2})
    assert mailbox.collect().samples == ()


@pytest.mark.parametrize(
    ("sample", "cause"),
    [
        (GazeSample(5, 9, math.nan, 0.5), "not a valid position"),
        (GazeSample(5, 9, 0.5, -math.inf), "not a valid position"),
        (GazeSample(5, 9, 11.0, 0.5), "not a valid position"),
        (GazeSample(5, 9, 0.5, 0.5, confidence=math.nan), "not a valid confidence"),
        (GazeSample(2**63, 9, 0.5, 0.5), "not a valid time"),
        (GazeSample(-1, 9, 0.5, 0.5), "not a valid time"),
        (SceneFrame(5, 2**70, 0, PIXELS), "not a valid time"),
    ],
)
def test_numbers_that_are_none_end_at_the_door(sample, cause):
    mailbox = Mailbox()
    stream = "frames" if isinstance(sample, SceneFrame) else "gaze"
    mailbox.receive(stream)
    mailbox.hand_in(sample)
    assert not mailbox.collect().samples
    assert getattr(mailbox.counts(), stream).dropped == {cause: 1}


@pytest.mark.parametrize(
    "sample",
    [
        Fixation(5, 9, math.nan, 0.5, 1, 4, "device"),
        Fixation(5, 9, 0.5, 0.5, 4, 1, "device"),
        Blink(5, 9, 1, 2**62 - 1),
        Blink(5, 9, -(2**63), 4),
    ],
)
def test_events_that_can_not_be_end_at_the_door_too(sample):
    mailbox = Mailbox()
    mailbox.hand_in(sample)
    assert not mailbox.collect().samples and mailbox.refused == 1


def test_what_nobody_accounts_for_is_counted_said_and_ends_a_test():
    mailbox = Mailbox()
    for _ in range(3):
        mailbox.receive("gaze")
    mailbox.drop("gaze", "late")
    with pytest.warns(UnbalancedAccounts, match="gaze: 2 samples are unaccounted for"):
        mailbox.close()
    assert mailbox.counts().gaze.dropped == {"late": 1, "run ended": 0, "unaccounted for": 2}


def test_a_line_for_a_person_is_one_printable_line():
    mailbox = Mailbox()
    mailbox.note("battery \x1b[2J\nerror: forged " + "x" * 10_000)
    (line,) = mailbox.collect().notices
    assert line.startswith("battery \ufffd error: forged") and line.isprintable()
    assert len(line) == 400
