"""The way of a frame and of gaze to an answer, stage by stage, each of them to be timed apart."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import av
import numpy as np

from devices.clock import NANOSECONDS
from devices.device import DeviceInfo
from devices.samples import GazeSample
from runtime.answers.session import SessionOptions, fixation_rule
from runtime.model.models import Models

WIDTH, HEIGHT, FRAME_RATE, GAZE_RATE = 1600, 1200, 30, 200  # of Neon
COARSE = 14  # pixels: a video of noise takes ten times as long as one of a room
STEPS = 8  # in the contexts beforehand
NEW_TOKENS = 16
START = 1_700_000_000 * NANOSECONDS

DECODE, FIXATIONS, VISION, VJEPA = "frame decoded", "fixations", "vision", "V-JEPA"
SCENE, GAZE, PREFILL, BOTH = "scene half", "gaze half", "prefill, a step", "the same, two contexts"
FIRST, NEXT = "first token", "token to token"


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the way."""

    name: str
    run: Callable[[], None]


class Pipeline:
    """A video and gaze that are drawn, the models of a bundle, and two contexts of a few steps."""

    def __init__(self, models: Models) -> None:
        manifest = models.bundle.manifest
        self._models = models
        self._grid = manifest.settings.live_height, manifest.settings.live_width
        self.tokens = self._grid[0] * self._grid[1]
        prompt = manifest.prompt
        self.text = np.array([*prompt.after_video, *prompt.before_answer], np.int64)
        self._draw()
        room = len(prompt.before_video) + (STEPS + 2) * self.tokens + len(self.text) + NEW_TOKENS
        self._contexts = [models.context(self._grid, room) for _ in range(2)]
        for work in (self._see, self._watch, self._place, self._gaze):
            work()
        for _ in range(STEPS):
            self._prefill_both()
        self._mark = self._contexts[0].mark()
        self.past = self._mark.length
        self.stages = (
            Stage(DECODE, self._decode),
            Stage(FIXATIONS, self._fixate),
            Stage(VISION, self._see),
            Stage(VJEPA, self._watch),
            Stage(SCENE, self._place),
            Stage(GAZE, self._gaze),
            Stage(PREFILL, self._prefill),
            Stage(FIRST, self._ask),
            Stage(NEXT, self._next),
        )
        self.aside = Stage(BOTH, self._prefill_both)

    def rewind(self) -> None:
        """The contexts as they were before a question."""
        for context in self._contexts:
            context.rewind(self._mark)

    def _draw(self) -> None:
        manifest, rng = self._models.bundle.manifest, np.random.default_rng(0)
        pixels = manifest.geometry.vision.token_pixels
        size = self._grid[0] * pixels, self._grid[1] * pixels, 3
        self.frames = rng.integers(0, 256, (2, *size), np.uint8)
        width = manifest.geometry.resampler.width
        self._encoding = rng.uniform(-1, 1, width).astype(np.float32)
        self._packets, self._codec = _video(self.frames[0, ::COARSE, ::COARSE])
        info = DeviceInfo("drawn", WIDTH, HEIGHT, FRAME_RATE, GAZE_RATE, START, None)
        options = SessionOptions.of(manifest.settings, info, rule="velocity")
        self._rule = fixation_rule(options, manifest.settings, info)
        self._places = rng.normal(0.5, 0.01, (GAZE_RATE, 2)).tolist()
        self._moment = START

    def _decode(self) -> None:
        """The next frame of a video, as RGB."""
        packet = self._packets.pop(0)
        self._packets.append(packet)
        for frame in self._codec.decode(packet):
            frame.to_ndarray(format="rgb24")

    def _fixate(self) -> None:
        """A second of gaze, and what is fixated then."""
        for x, y in self._places:
            self._moment += NANOSECONDS // GAZE_RATE
            self._rule.feed(GazeSample(self._moment, self._moment, x, y, worn=True))
        self._rule.active(self._moment, 0.1)

    def _see(self) -> None:
        self._visual = self._models.visual(self.frames)

    def _watch(self) -> None:
        self._features = self._models.features(self.frames, 1)

    def _place(self) -> None:
        self._scene = self._models.scene(self._features, 0, 1, self._grid)

    def _gaze(self) -> None:
        self._residuals = self._models.residuals(self._scene, self._encoding)

    def _prefill(self) -> None:
        self._contexts[0].append_step(self._visual, self._residuals)

    def _prefill_both(self) -> None:
        one, other = self._contexts
        if one.saves_runs:
            one.append_step_beside(other, self._visual, self._residuals)
        else:
            for context in self._contexts:
                context.append_step(self._visual, self._residuals)

    def _ask(self) -> None:
        """The tail step of a question, and its text."""
        self._contexts[0].defer_step(self._visual, self._residuals)
        self._contexts[0].append_text(self.text)

    def _next(self) -> None:
        self._contexts[0].append_text(self.text[:1])


def _video(pixels: np.ndarray) -> tuple[list[av.Packet], av.VideoCodecContext]:
    """Half a second of H.264 in key frames, so that it may be played in a circle; its decoder."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE, options={"g": "1"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        picture = picture.reformat(WIDTH, HEIGHT)
        for _ in range(FRAME_RATE // 2):
            container.mux(stream.encode(picture.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    target.seek(0)
    source = av.open(target)
    codec = source.streams.video[0].codec_context
    return [packet for packet in source.demux(video=0) if packet.size], codec
