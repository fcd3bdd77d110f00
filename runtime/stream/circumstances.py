"""What a person should know about the moment at which they asked: what was missing, or too old."""

from __future__ import annotations

from devices.clock import NANOSECONDS
from runtime.stream.gaze_timeline import GazeView
from runtime.stream.steps import StepPlan

NO_FRAME = "no scene frame has arrived yet"
FRAME_AGE_LIMIT = int(0.5 * NANOSECONDS)  # an older scene has stalled


def circumstances(
    tail: StepPlan | None, moment: int, start: int | None, interval: int
) -> str | None:
    """What was out of the ordinary at a question of `moment`; None where nothing was.

    `tail`: what was newest then. `start`: when the stream began. All times in Unix ns; `interval`
    from step to step in ns.
    """
    if tail is None:
        return NO_FRAME
    found = []
    if start is not None and moment - start < interval:
        found.append(f"the stream began only {_seconds(moment - start)} before the question")
    if (age := moment - tail.pair.newer_at) > FRAME_AGE_LIMIT:
        found.append(f"the scene has stalled: its newest frame was {_seconds(age)} old")
    if not tail.gaze.usable:
        found.append(_gaze(tail.gaze, moment))
    return "; ".join(found) or None


def _gaze(view: GazeView, moment: int) -> str:
    if view.gaze_at is None:
        return "no gaze has arrived yet: answered without it"
    if view.closed_since is not None:
        closed = _seconds(moment - view.closed_since)
        return f"eyes closed or glasses off for {closed}: answered without gaze"
    stale = _seconds(moment - view.gaze_at)
    return f"gaze has stalled: the newest was {stale} old, answered without it"


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds / NANOSECONDS:.2f} s"
