"""The decoding thread: bounded, in order, and every picture accounted for."""

import threading
import time

import numpy as np
import pytest

from devices.emulator.programmes.drawn import draw_test_card
from devices.mailbox import Mailbox
from devices.neon.video.bitstream import parameter_sets
from devices.neon.video.decoding import Decoder, VideoThread
from devices.neon.video.h264 import CodedPicture
from devices.neon.wire import START_CODE

MS = 1_000_000


@pytest.fixture(scope="module")
def card():
    return draw_test_card(seconds=1.0, key_frame_spacing=10)


def pictures(card):
    sets = parameter_sets(card.parameters)
    for index, picture in enumerate(card.pictures):
        data = b"".join(START_CODE + unit for unit in picture.units)
        yield CodedPicture(index, index * MS, index % 10 == 0, False, data, sets)


def wait(condition):
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_decoder_that_is_too_slow_drops_and_resumes_with_a_key_frame(card):
    release, mailbox = threading.Event(), Mailbox(frames=100)

    class Slow(Decoder):
        def decode(self, data):
            release.wait(5)
            return super().decode(data)

    video = VideoThread(mailbox, Slow, limit=5)
    video.start()
    try:
        video.begin_stream()
        sent = list(pictures(card))
        for picture in sent[:12]:
            video.take(picture, picture.arrived_at + 1)
        assert mailbox.counts().frames.dropped["decoder behind"] >= 5
        release.set()
        wait(lambda: sum(mailbox.counts().frames.dropped.values()) + 7 >= 12)
        for picture in sent[12:]:
            wait(lambda: video._queue.qsize() < 4)
            video.take(picture, picture.arrived_at + 1)
        wait(lambda: mailbox.counts().frames.dropped["waiting for a key frame"] == 8)
        time.sleep(0.1)
        frames = mailbox.collect().samples
    finally:
        video.stop()
    counts = mailbox.counts().frames
    assert counts.received == 30 == counts.delivered + sum(counts.dropped.values())
    numbers = [frame.index for frame in frames]
    # Pictures 12 to 19 refer to lost ones; 20 is the next key frame.
    assert numbers == [n for n in range(30) if n < 12 - counts.dropped["decoder behind"] or n > 19]


def test_pictures_without_a_date_are_decoded_for_those_that_follow(card):
    mailbox = Mailbox(frames=100)
    video = VideoThread(mailbox)
    video.start()
    try:
        video.begin_stream()
        for picture in pictures(card):
            video.take(picture, None if picture.timestamp < 5 else picture.arrived_at)
        wait(lambda: mailbox.counts().frames.dropped["clock not known"] == 5)
        frames = []
        wait(lambda: frames.extend(mailbox.collect().samples) or len(frames) == 25)
    finally:
        video.stop()
    assert [frame.index for frame in frames] == list(range(5, 30))
    assert all(frame.pixels.dtype == np.uint8 for frame in frames)
