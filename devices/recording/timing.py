"""Which time stamp belongs to which frame, where their numbers or their order do not agree."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

MOST_SHIFT = 32  # frames or time stamps that may be missing at the beginning
NEAR = 0.25  # of the time between two frames: so close a time stamp belongs to a frame
CLEARLY = 0.5  # of the deviation from the video's own times: so much better is no chance
AGREEING = 0.9  # share of frames with such a stamp, from which the video's own times are believed


def paired(
    times: NDArray[np.int64], shown: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which time stamps belong to which frames: numbers of time stamps, numbers of frames.

    `times`: Unix ns, one for each frame if all is well. `shown`: when the video shows its frames,
    ns from any moment. Of two different lengths, those are paired that fit each other; where
    the video's times say nothing about that, the first to the first.
    """
    fewest = min(times.size, shown.size)
    first = np.arange(fewest)
    if times.size == shown.size or fewest < 2:
        return first, first
    tolerance = NEAR * float(np.median(np.diff(shown)))
    most, least = 0, np.inf
    best: tuple[NDArray[np.int64], NDArray[np.bool_]] | None = None
    for offset in _offsets(times, shown):
        nearest = _nearest(times, shown + offset)
        away = times[nearest] - shown - offset
        fits = np.abs(away) <= tolerance
        fitting = np.flatnonzero(fits)
        fits[fitting[1:]] &= np.diff(nearest[fitting]) > 0  # a time stamp belongs to one frame
        count = int(fits.sum())
        spread = float(np.abs(away[fits] - np.median(away[fits])).mean()) if count else np.inf
        if count > most or (count == most and spread < CLEARLY * least):
            most, least, best = count, spread, (nearest, fits)
    if best is None or most < AGREEING * fewest:
        return first, first
    nearest, fits = best
    return nearest[fits], np.flatnonzero(fits)


def _offsets(times: NDArray[np.int64], shown: NDArray[np.int64]) -> list[int]:
    """What may lie between the video's clock and that of the stamps; the plainest first."""
    later = [int(time - shown[0]) for time in times[: MOST_SHIFT + 1]]
    earlier = [int(times[0] - moment) for moment in shown[1 : MOST_SHIFT + 1]]
    return [*later, *earlier, int(times[-1] - shown[-1])]


def _nearest(times: NDArray[np.int64], moments: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of the nearest time stamp to each moment, whatever order they are in."""
    order = np.argsort(times, kind="stable")
    ascending = times[order]
    after = np.clip(np.searchsorted(ascending, moments), 1, times.size - 1)
    before = after - 1
    nearer = moments - ascending[before] <= ascending[after] - moments
    return order[np.where(nearer, before, after)]


def in_order(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places of the most elements that can be kept so that none lies before its predecessor."""
    if not (np.diff(times) < 0).any():
        return np.arange(times.size)
    ends: list[int] = []  # the smallest last value of an ordered selection of each length
    lasts: list[int] = []  # its place
    before = np.full(times.size, -1)
    for place, value in enumerate(times.tolist()):
        length = bisect_right(ends, value)
        before[place] = lasts[length - 1] if length else -1
        if length == len(ends):
            ends.append(value)
            lasts.append(place)
        else:
            ends[length], lasts[length] = value, place
    kept = [lasts[-1]]
    while before[kept[-1]] >= 0:
        kept.append(int(before[kept[-1]]))
    return np.array(kept[::-1], np.int64)


def displaced(times: NDArray[np.int64]) -> int:
    """How many elements would have to move so that all are in order."""
    return times.size - in_order(times).size
