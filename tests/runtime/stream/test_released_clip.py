"""The released protocol's clips against the same rules written again, over thousands of them."""

import random
from fractions import Fraction

import numpy as np
import pytest
import released_oracle as oracle

from devices.samples import Fixation
from runtime.errors import RuntimeFault
from runtime.run.released import ReleasedQuestion
from runtime.stream.frame_timeline import resized
from runtime.stream.released_clip import released_clip, released_resized

SECOND = 1_000_000_000
EPOCH = 946_684_800 * SECOND
RATES = [Fraction(n, d) for n, d in ((5, 1), (10, 1), (24, 1), (25, 1), (30, 1))]
RATES += [Fraction(n, 1001) for n in (24000, 30000, 60000)] + [Fraction(25, 2), Fraction(1, 2)]


def nanoseconds(seconds):
    return round(Fraction(seconds) * SECOND)


def frame_times(total, per_second):
    """Rounded to the nearest nanosecond."""
    each, whole = 2 * SECOND * per_second.denominator, 2 * per_second.numerator
    return EPOCH + (np.arange(total) * each + whole // 2) // whole


def fixations(spans):
    at = [(EPOCH + round(a * SECOND), EPOCH + round(b * SECOND)) for a, b in spans]
    return [Fixation(a, a, 0.5, 0.5, a, b, "file", whole=True) for a, b in at]


def drawn_spans(draws, start, end):
    """Fixations round a clip; half of them begin or end on a step or on the clip's edge."""
    spans = []
    for _ in range(draws.randrange(6)):
        begin = round(draws.uniform(max(0, start - 5), end + 5), 9)
        lasts = round(draws.choice([0, 1e-7, draws.uniform(0, 8), draws.randrange(96) / 24]), 9)
        if draws.random() < 0.5:
            edge = start + draws.randrange(5) * draws.choice([2, 4, 10, 20])
            begin = draws.choice([edge, max(0.0, edge - lasts), end])
        spans.append((float(begin), round(float(begin) + lasts, 9)))
    return spans


def drawn_clips(count):
    draws = random.Random(15)
    for _ in range(count):
        per_second = draws.choice(RATES)
        total = draws.choice([1, 2, 3, 5, draws.randrange(1, 400), draws.randrange(1, 4000)])
        length = total / per_second
        end = Fraction(draws.randrange(0, 2 + int(length)))
        if draws.random() < 0.2:
            end += Fraction(draws.randrange(1, 8), 8)
        start = draws.choice([Fraction(0), max(Fraction(0), end - 60), end - min(end, 8)])
        yield total, per_second, start, end, drawn_spans(draws, float(start), float(end))


def found(total, per_second, start, end, spans):
    given = fixations(spans)
    numbers = {id(fixation): index for index, fixation in enumerate(given)}
    begin, close = EPOCH + nanoseconds(start), EPOCH + nanoseconds(end)
    try:
        clip = released_clip(frame_times(total, per_second), given, begin, close)
    except RuntimeFault:
        return None
    active = clip.active
    if active is not None:
        active = [[numbers[id(fixation)] for fixation in step] for step in active]
    return oracle.Clip(clip.indices.tolist(), active)


def test_thousands_of_clips_are_sampled_as_the_rules_say():
    kinds = {"none": 0, "fewer than 8": 0, "no fixation": 0, "active": 0}
    for drawn in drawn_clips(3000):
        wanted = oracle.sampled(*drawn)
        assert found(*drawn) == wanted, drawn
        kinds["none"] += wanted is None
        kinds["fewer than 8"] += wanted is not None and len(wanted.frames) < 8
        kinds["no fixation"] += wanted is not None and wanted.active is None
        kinds["active"] += wanted is not None and any(wanted.active or [])
    assert min(kinds.values()) > 100, kinds


def test_the_frame_at_the_end_is_not_in_the_clip():
    clip = found(101, Fraction(5), Fraction(0), Fraction(20), [])
    assert clip.frames == [0, 14, 28, 42, 57, 71, 85, 99]


@pytest.mark.parametrize(("frames", "taken"), [(239, 6), (240, 8), (3, 2), (2, 2)])
def test_frames_are_counted_not_seconds(frames, taken):
    clip = found(frames, Fraction(30000, 1001), Fraction(0), Fraction(8), [])
    assert len(clip.frames) == taken


@pytest.mark.parametrize("frames", [0, 1])
def test_a_clip_without_a_pair_of_frames_is_told(frames):
    begin, end = EPOCH + nanoseconds(10 - frames), EPOCH + nanoseconds(20)
    with pytest.raises(RuntimeFault, match="one frame" if frames else "no frame"):
        released_clip(frame_times(10, Fraction(1)), [], begin, end)


def test_rounding_to_float32_decides_about_a_fixation_that_begins_at_a_step():
    """Of fixations that begin just at a step, nanoseconds would take all; the release does not."""
    draws = random.Random(3)
    left_out = 0
    for _ in range(400):
        spans = [(62.0, round(62.0 + draws.uniform(5, 9), 9))]  # its middle is beyond 64
        drawn = 3000, Fraction(10), Fraction(50), Fraction(110), spans
        wanted = oracle.sampled(*drawn)
        assert found(*drawn) == wanted
        left_out += wanted.active is not None and not wanted.active[3]
    assert 40 < left_out < 360


@pytest.mark.parametrize(
    ("size", "small"),
    [
        ((120, 160), (84, 112)),
        ((240, 320), (280, 392)),
        ((97, 131), (56, 84)),
        ((60, 80), (60, 80)),
    ],
)
def test_frames_are_rounded_once(size, small):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (*size, 3), np.uint8) for _ in range(3)]
    for pixels in frames:
        ours, theirs = released_resized(pixels, *small), oracle.resized(pixels, *small)
        difference = np.abs(ours.astype(int) - theirs)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 1e-3  # PyTorch's own rounding
        if size != small:  # rounding twice is seen
            assert (resized(pixels, *small) != theirs).mean() > 0.05


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        (("A. cup", "B. jar"), "A. cup\nB. jar"),
        (("a. cup", "b. jar"), "a. cup\nb. jar"),
        (("A) cup", "B) jar"), "A. A) cup\nB. B) jar"),
        ((" cup ", "\tB. jar\n"), "A. cup\nB. jar"),
        (("A.M.", "P.M."), "A.M.\nB. P.M."),
        (("B. cup", "A. jar"), "A. B. cup\nB. A. jar"),
    ],
)
def test_options_are_written_as_the_release_writes_them(options, lines):
    question = ReleasedQuestion("  Which one? ", options)
    assert question.prompt() == (f"Question: Which one?\nOptions:\n{lines}\n\nThe best option is:")


def test_thousands_of_prompts():
    draws = random.Random(4)
    alphabet = ["A", "a", "B", "b", "C.", "d.", ".", ")", " ", "\n", "cup", "é", "ß.", "D"]
    for _ in range(3000):
        texts = ["".join(draws.choices(alphabet, k=draws.randrange(1, 6))) for _ in range(5)]
        count = draws.choice([2, 3, 4])
        question = ReleasedQuestion(texts[0], tuple(texts[1 : 1 + count]))
        assert question.prompt() == oracle.prompt(texts[0], texts[1 : 1 + count])
