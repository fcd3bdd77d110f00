"""Bounded queues in which the newest win, with counts that add up."""

import numpy as np

from devices.mailbox import Mailbox
from devices.samples import Blink, GazeSample, SceneFrame

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
