"""The drawn world and its wearer: what is promised about scenes, gaze and pictures."""

import gc

import numpy as np
import pytest
from glibc_heap import heap

from devices.synthetic.eyes import GAZE_RATE, NO_SEGMENT, GazeTrack, active_centre
from devices.synthetic.scene import SEPARATION, draw_scene
from devices.synthetic.shapes import COLOURS, KINDS, picture
from devices.synthetic.table import TablePicture
from devices.synthetic.wearer import Wearer

SEEDS = range(40)


@pytest.fixture(scope="module")
def scenes():
    return [draw_scene(np.random.default_rng(seed), 20.0) for seed in SEEDS]


def test_things_keep_their_distance_and_are_all_different(scenes):
    for scene in scenes:
        assert 4 <= len(scene.things) <= 6
        assert len({thing.name for thing in scene.things}) == len(scene.things)
        for place, thing in enumerate(scene.things):
            for other in scene.things[:place]:
                assert np.hypot(thing.x - other.x, thing.y - other.y) >= SEPARATION


def test_crossed_scenes_hold_two_kinds_in_two_colours(scenes):
    crossed = [scene for scene in scenes if scene.crossed]
    assert 5 < len(crossed) < 30
    for scene in crossed:
        four = [scene.things[place] for place in scene.crossed]
        kinds, colours = {thing.kind for thing in four}, {thing.colour for thing in four}
        assert len(kinds) == len(colours) == 2
        others = [thing for thing in scene.things if thing not in four]
        assert not {thing.kind for thing in others} & kinds
        assert not {thing.colour for thing in others} & colours


def test_what_appears_late_is_not_there_before(scenes):
    late = [scene for scene in scenes if any(thing.appears for thing in scene.things)]
    assert late
    for scene in late:
        (thing,) = [thing for thing in scene.things if thing.appears]
        place = scene.things.index(thing)
        assert place not in scene.present(thing.appears - 0.01)
        assert place in scene.present(thing.appears)
        assert len(scene.present(0.0)) >= 4


def test_every_kind_looks_different():
    outlines = [picture(kind, "white", 32, 0.0)[1].ravel() for kind in KINDS]
    for first, one in enumerate(outlines):
        for other in outlines[:first]:
            assert np.abs(one - other).mean() > 0.08


def test_colours_of_pictures_are_those_of_the_palette():
    for name, value in COLOURS.items():
        colour, opacity = picture("book", name, 48, 0.0)
        inside = colour[opacity[..., 0] > 0.99]
        assert np.allclose(inside.max(axis=0), value, atol=2)


def test_the_same_seed_gives_the_same_wearer_and_another_seed_another():
    one, same, other = Wearer(5, 20.0), Wearer(5, 20.0), Wearer(6, 20.0)
    assert one.scene == same.scene != other.scene
    assert np.array_equal(one.eyes.track(10).x, same.eyes.track(10).x)
    assert one.eyes.dwells == same.eyes.dwells


def test_gaze_does_not_depend_on_how_far_it_was_asked_for():
    at_once, piecewise = Wearer(8, 20.0), Wearer(8, 20.0)
    for until in (0.5, 3.0, 3.1, 15.0):
        piecewise.eyes.track(until)
    count = 15 * GAZE_RATE
    assert np.array_equal(at_once.eyes.track(15).x[:count], piecewise.eyes.track(15).x[:count])


def gaze_of(seconds):
    """Drawn a little at a time, and forgotten."""
    eyes = Wearer(5, 20.0).eyes
    for second in range(0, seconds, 2):
        eyes.track(float(second))
        eyes.forget(second - 60.0)


@pytest.mark.skipif(heap() is None, reason="no glibc that tells of its heap")
def test_half_an_hour_of_gaze_leaves_no_memory_behind():
    def used():
        gc.collect()
        return heap().uordblks + heap().hblkhd

    gaze_of(60)
    before = used()
    gaze_of(1800)
    assert used() - before < 1 << 17  # of small arrays of every size NumPy would keep 700 KiB


def test_gaze_rests_on_the_thing_dwelled_on():
    for seed in SEEDS:
        wearer = Wearer(seed, 20.0)
        track = wearer.eyes.track(12)
        for dwell in wearer.eyes.dwells:
            if dwell.thing is None:
                continue
            ticks = np.arange(int(dwell.start * GAZE_RATE) + 1, int(dwell.end * GAZE_RATE))
            gaze = np.stack([track.x[ticks], track.y[ticks]])
            gaps = []
            for thing in wearer.scene.things:
                spot = np.tile([[thing.x], [thing.y]], ticks.size)
                seen = wearer.head.seen(spot, ticks / GAZE_RATE)
                gaps.append(np.hypot(*(gaze - seen)))
            assert (np.argmin(gaps, axis=0) == dwell.thing).all()
            assert np.max(gaps[dwell.thing]) < SEPARATION / 3


def test_blinks_and_saccades_belong_to_no_fixation_and_blinks_break_them():
    wearer = Wearer(1, 60.0)
    track = wearer.eyes.track(60)
    assert (~track.open).any()
    assert (track.segment[~track.open] == NO_SEGMENT).all()
    closed = np.flatnonzero(np.diff(track.open.astype(int)) == -1)
    for tick in closed:
        again = tick + 1 + int(track.open[tick + 1 :].argmax())
        assert track.segment[tick] != track.segment[again]


def hand_written_track():
    """Two fixations of 100 samples with a saccade of ten between them."""
    segment = np.array([0] * 100 + [NO_SEGMENT] * 10 + [1] * 100)
    x = np.concatenate([np.linspace(0.2, 0.4, 100), np.full(10, 0.5), np.full(100, 0.8)])
    return GazeTrack(x, x / 2, segment >= 0, segment, segment)


def test_the_centre_so_far_is_the_mean_of_what_was_seen_until_then():
    track = hand_written_track()
    x, y = active_centre(track, 49 / GAZE_RATE, 0.1, fine=False)
    assert x == pytest.approx(track.x[:50].mean())
    assert y == pytest.approx(track.x[:50].mean() / 2)
    assert active_centre(track, 200 / GAZE_RATE, 0.1, fine=True) == pytest.approx((0.8, 0.4))


def test_a_fixation_counts_once_it_has_lasted_and_not_during_a_saccade():
    track = hand_written_track()
    assert active_centre(track, 105 / GAZE_RATE, 0.1, fine=False) is None
    assert active_centre(track, 129 / GAZE_RATE, 0.1, fine=False) is None
    assert active_centre(track, 130 / GAZE_RATE, 0.1, fine=False) == pytest.approx((0.8, 0.4))


def test_the_truth_of_a_moment_follows_the_dwells():
    wearer = Wearer(3, 20.0)
    wearer.eyes.track(20)
    dwell = wearer.eyes.dwells[3]
    middle = (dwell.start + dwell.end) / 2
    moment = wearer.moment(middle)
    assert moment.gaze == dwell.thing
    seen = [each.thing for each in wearer.eyes.dwells[:4] if each.thing is not None]
    assert moment.looked_at == tuple(seen)


def test_things_are_drawn_where_they_are_seen():
    """A view at another head pose shows a thing moved by what the head moved."""
    wearer = next(
        wearer for wearer in (Wearer(seed, 20.0) for seed in SEEDS) if not wearer.scene.crossed
    )
    table = TablePicture(wearer.scene, 224)
    bare = TablePicture(type(wearer.scene)((), wearer.scene.texture), 224)
    thing = wearer.scene.things[0]
    for seconds in (0.0, 7.0):
        pose = wearer.head.pose(seconds)
        drawn = np.asarray(table.view(pose, 0.0, 224, 224), float)
        empty = np.asarray(bare.view(pose, 0.0, 224, 224), float)
        changed = np.abs(drawn - empty).max(axis=2) > 25
        rows, columns = np.indices(changed.shape)
        spot = np.array([[thing.x], [thing.y]])
        x, y = wearer.head.seen(spot, np.array([seconds]))[:, 0] * 224
        near = changed & (np.hypot(columns - x, rows - y) < 0.16 * 224)
        assert near.sum() > 300
        assert abs(columns[near].mean() - x) < 10
        assert abs(rows[near].mean() - y) < 10
