"""What becomes of samples, steps and records in Rerun: entities on one time line, "capture".

    scene/picture     each frame, as JPEG          things        names of what was looked at
    scene/gaze        each gaze sample             answers       questions and answers
    scene/fixations   those active at a step       stages/NAME   milliseconds of answers' stages
    scene/thing       where a named thing was      alerts/TEXT   probability of Yes
    scene/residual    what gaze did to a step      alerts/raised

Its times are Unix ns, places pixels of the picture.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from devices.samples import Fixation, GazeSample, SceneFrame
from runtime.answers.listeners import Judgement, Seen
from runtime.answers.record import AlertRecord, AnswerRecord
from runtime.errors import RuntimeFault
from runtime.server.sight import WIDTH, jpeg
from runtime.server.steps import gaze_strength

if TYPE_CHECKING:
    from rerun import RecordingStream

CONNECT = "connect"
VIEWER = ("127.0.0.1", 9876)  # where `rerun` listens
MAGIC = b"RRF"
TIME_LINE = "capture"
GAZE_COLOUR, FIXATION_COLOUR, THING_COLOUR = (255, 59, 107), (255, 176, 0), (255, 255, 255)
GAZE_RADIUS = 6.0
LEAST_RADIUS, RADIUS_PER_SECOND, MOST_RADIUS = 8.0, 12.0, 30.0
HEAT = (255, 60, 0)
MOST_OPAQUE = 150


@dataclass(frozen=True, slots=True)
class Look:
    """A named look. `at`: when it began, Unix ns; `x`, `y`: fractions of the frame; `thing` is
    empty where it was unsure."""

    at: int
    x: float
    y: float
    thing: str
    confidence: float


class Drawing:
    """Draws on one recording of Rerun. For one thread."""

    def __init__(self, stream: RecordingStream, width: int, height: int) -> None:
        """`width`, `height`: of the camera's frames, in pixels."""
        import rerun

        self._rerun, self._stream = rerun, stream
        self._shape = min(width, WIDTH), max(1, round(height * min(1.0, WIDTH / width)))

    def frame(self, frame: SceneFrame) -> None:
        """What the camera saw."""
        picture = self._rerun.EncodedImage(
            contents=jpeg(frame.pixels), media_type="image/jpeg", draw_order=0.0
        )
        self._log(frame.captured_at, "scene/picture", picture)

    def gaze(self, sample: GazeSample) -> None:
        """Where the eyes were; nothing while they are closed."""
        shown = self._rerun.Clear(recursive=False)
        if sample.worn:
            shown = self._points([(sample.x, sample.y)], [GAZE_RADIUS], GAZE_COLOUR)
        self._log(sample.captured_at, "scene/gaze", shown)

    def fixations(self, at: int, fixations: Sequence[Fixation]) -> None:
        """The fixations active at a moment (Unix ns)."""
        shown = self._rerun.Clear(recursive=False)
        if fixations:
            places = [(each.x, each.y) for each in fixations]
            shown = self._points(places, [_radius(each) for each in fixations], FIXATION_COLOUR)
        self._log(at, "scene/fixations", shown)

    def step(self, seen: Seen, grid: tuple[int, int]) -> None:
        """The fixations that a step was told of, and what they did to its `grid` of tokens."""
        plan = seen.step.plan
        self.fixations(plan.time, plan.gaze.fixations)
        if (strength := gaze_strength(seen)) is not None:
            heat = heat_picture(strength, grid, self._shape)
            shown = self._rerun.Image(heat, color_model="RGBA", draw_order=1.0)
            self._log(plan.pair.newer_at, "scene/gaze did", shown)

    def look(self, look: Look) -> None:
        """What a fixation was on."""
        name = look.thing or "unsure"
        shown = self._points([(look.x, look.y)], [LEAST_RADIUS], THING_COLOUR, [name])
        self._log(look.at, "scene/thing", shown)
        self._log(look.at, "things", self._rerun.TextLog(f"{name} ({look.confidence:.0%})"))

    def answer(self, record: AnswerRecord) -> None:
        """An answer or an alert, and how long its stages took."""
        if isinstance(record, AlertRecord):
            said = self._rerun.TextLog(f"alert: {record.alert}", level="WARN")
            self._log(record.raised_at, "alerts/raised", said)
            return
        letters = dict(zip("ABCDEFGH", record.options, strict=False))
        answer = letters.get(record.answer or "", record.answer or record.note or "no answer")
        self._log(record.asked_at, "answers", self._rerun.TextLog(f"{record.question} {answer}"))
        for name, milliseconds in record.stages_ms.items():
            self._scalar(record.asked_at, ["stages", name], milliseconds)
        if record.ttft_ms is not None:
            self._scalar(record.asked_at, ["stages", "time to first token"], record.ttft_ms)

    def judgement(self, told: Judgement) -> None:
        """How probable an alert was."""
        self._scalar(told.at, ["alerts", told.alert], told.probability)

    def close(self) -> None:
        """Everything is in the file, or with the viewer."""
        self._stream.flush()
        self._stream.disconnect()

    def _scalar(self, at: int, entity: list[object], value: float) -> None:
        self._log(at, entity, self._rerun.Scalars(value))

    def _points(
        self,
        places: list[tuple[float, float]],
        radii: list[float],
        colour: tuple[int, int, int],
        labels: list[str] | None = None,
    ) -> object:
        pixels = np.array(places) * self._shape
        return self._rerun.Points2D(
            pixels, radii=radii, colors=[colour], labels=labels, draw_order=2.0
        )

    def _log(self, at: int, entity: str | list[object], shown: object) -> None:
        self._stream.set_time(TIME_LINE, timestamp=np.datetime64(at, "ns"))
        self._stream.log(entity, shown)


def check_target(target: str, replaces: bool = False) -> None:
    """Whether something can be drawn there, before anything else is done.

    `replaces`: an earlier drawing may give way. Raises RuntimeFault.
    """
    if find_spec("rerun") is None:
        raise RuntimeFault("--rerun needs the extra 'rerun': pip install 'gazeqwen-edge[rerun]'")
    path = Path(target)
    if target == CONNECT:
        _check_viewer()
    elif path.exists() and not (replaces and _is_drawing(path)):
        raise RuntimeFault(f"--rerun {path}: it is there already: give another file")


def open_stream(target: str) -> RecordingStream:
    """A recording of Rerun that goes to a file, or to a viewer on this machine.

    Raises RuntimeFault where that can't be.
    """
    import rerun  # of some weight: only what is drawn needs it

    stream = rerun.RecordingStream("gazeqwen-edge")
    if target == CONNECT:
        stream.connect_grpc()
        return stream
    try:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        stream.save(target)
    except (OSError, RuntimeError) as error:
        raise RuntimeFault(f"--rerun {target}: can't be written: {error}") from error
    return stream


def _is_drawing(path: Path) -> bool:
    """Whether a file begins as those of Rerun do."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _check_viewer() -> None:
    """Rerun itself would wait for one, and at the end lose everything."""
    try:
        socket.create_connection(VIEWER, timeout=1.0).close()
    except OSError as error:
        host, port = VIEWER
        raise RuntimeFault(
            f"--rerun connect: no viewer listens at {host}:{port}: start `rerun` first"
        ) from error


def heat_picture(
    strength: NDArray[np.float32], grid: tuple[int, int], shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """What gaze did to each token (H*W,) as uint8 RGBA (height, width, 4) over the picture.

    `shape`: width and height. The strongest is MOST_OPAQUE, the weakest clear.
    """
    width, height = shape
    low, high = float(strength.min()), float(strength.max())
    share = (strength - low) / (high - low) if high > low else np.zeros_like(strength)
    opacity = np.rint(MOST_OPAQUE * share).astype(np.uint8).reshape(grid)
    rows = np.arange(height) * grid[0] // height
    columns = np.arange(width) * grid[1] // width
    picture = np.empty((height, width, 4), np.uint8)
    picture[..., :3] = HEAT
    picture[..., 3] = opacity[rows][:, columns]
    return picture


def _radius(fixation: Fixation) -> float:
    seconds = ((fixation.ended_at or fixation.captured_at) - fixation.started_at) / 1e9
    return min(LEAST_RADIUS + RADIUS_PER_SECOND * seconds, MOST_RADIUS)
