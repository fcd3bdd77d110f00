"""The released protocol's choices against tables written out by hand."""

import pytest

from devices.samples import Fixation
from runtime.stream.sampling import (
    frame_count,
    frame_indices,
    released_grid,
    sampling_rate,
    step_times,
    vjepa_indices,
)
from runtime.stream.scanpath import Scanpath

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("seconds", "rate"),
    [(3, 1.0), (30, 1.0), (30.1, 0.5), (60, 0.5), (61, 0.2), (300, 0.2), (301, 0.1), (5000, 0.1)],
)
def test_rate_by_clip_length(seconds, rate):
    assert sampling_rate(seconds) == rate


@pytest.mark.parametrize(
    ("frames", "seconds", "rate", "count"),
    [
        (30, 1, 1.0, 4),
        (120, 4, 1.0, 4),
        (150, 5, 1.0, 4),
        (195, 6.5, 1.0, 6),
        (239, 7.97, 1.0, 6),
        (240, 8, 1.0, 8),
        (900, 30, 1.0, 8),
        (1800, 60, 0.5, 8),
        (9000, 300, 0.2, 8),
        (5, 1, 1.0, 4),
        (3, 30, 1.0, 2),
        (1, 30, 1.0, 0),
        (0, 0, 1.0, 0),
    ],
)
def test_frames_are_even_between_4_and_8_and_no_more_than_there_are(frames, seconds, rate, count):
    assert frame_count(frames, seconds, rate) == count


@pytest.mark.parametrize(
    ("frames", "count", "indices"),
    [
        (1440, 8, [0, 206, 411, 617, 822, 1028, 1233, 1439]),
        (144, 4, [0, 48, 95, 143]),
        (9, 4, [0, 3, 5, 8]),
        (4, 4, [0, 1, 2, 3]),
    ],
)
def test_frames_span_the_clip(frames, count, indices):
    assert frame_indices(frames, count).tolist() == indices


def test_step_times_follow_the_rate_not_the_frames():
    start = 216 * SECOND
    assert step_times(start, 60.0, 8) == tuple(start + s * SECOND for s in (0, 4, 8, 12))
    assert step_times(0, 10.0, 8) == tuple(s * SECOND for s in (0, 2, 4, 6))
    assert step_times(0, 100.0, 8) == tuple(s * SECOND for s in (0, 10, 20, 30))
    assert step_times(0, 400.0, 8) == tuple(s * SECOND for s in (0, 20, 40, 60))
    assert step_times(0, 3.0, 4) == (0, 2 * SECOND)


@pytest.mark.parametrize(
    ("count", "indices"),
    [
        (8, [0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7]),
        (2, [0] + [1] * 15),
        (16, list(range(16))),
        (24, [0, 1, 3, 4, 6, 7, 9, 10, 12, 13, 15, 16, 18, 19, 21, 23]),
    ],
)
def test_vjepa_sees_the_frames_and_then_the_last_one(count, indices):
    assert vjepa_indices(count).tolist() == indices


def fixation(start, end):
    return Fixation(0, 0, 0.5, 0.5, int(start * SECOND), int(end * SECOND), "file", whole=True)


def test_fixations_are_kept_by_their_midpoint():
    before, across, inside, asked = (
        fixation(8, 11.9),
        fixation(9, 11.1),
        fixation(30, 33),
        fixation(69, 72.1),
    )
    scanpath = Scanpath.of((before, across, inside, asked), 0)
    assert scanpath.within(10 * SECOND, 70 * SECOND).fixations == (across, inside)


def test_active_fixations_span_the_moment():
    first, second = fixation(1, 3), fixation(3, 5)
    scanpath = Scanpath.of((first, second), 0)
    assert scanpath.active_at(3 * SECOND) == (first, second)
    assert scanpath.active_at(int(0.9 * SECOND)) == ()
    assert scanpath.active_at(4 * SECOND) == (second,)


def test_a_fixation_that_lasts_has_no_middle():
    lasting = Fixation(0, 0, 0.5, 0.5, 0, None, "device")
    assert Scanpath.of((lasting,), 0).fixations == ()


@pytest.mark.parametrize(
    ("width", "height", "grid"),
    [
        (1600, 1200, (24, 32)),  # 672 x 896
        (1088, 1080, (27, 27)),
        (1920, 1080, (20, 36)),
        (640, 480, (17, 23)),
        (320, 240, (10, 14)),
        (1280, 960, (24, 32)),
        (800, 600, (21, 29)),
        (1920, 1440, (24, 32)),
    ],
)
def test_grid_holds_128_to_768_tokens(width, height, grid):
    assert released_grid(width, height, 28) == grid
    assert 128 <= grid[0] * grid[1] <= 768
