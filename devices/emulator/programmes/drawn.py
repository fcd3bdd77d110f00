"""A programme that is drawn and encoded here: a small test card, or the synthetic wearer's view."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from devices.clock import NANOSECONDS, SimulatedClock
from devices.emulator.programmes.programme import EyeEvent, GazePoint, Picture, Programme
from devices.neon import wire
from devices.samples import Blink, GazeSample, SceneFrame
from devices.synthetic.device import SyntheticDevice

KEY_FRAME_SPACING = 60
"""Frames from one key frame to the next, as in Neon's stream."""


def draw_test_card(
    seconds: float = 4.0,
    width: int = 160,
    height: int = 120,
    rate: int = 30,
    gaze_rate: int = 200,
    key_frame_spacing: int = KEY_FRAME_SPACING,
) -> Programme:
    """A drifting pattern in which every frame differs, gaze on a circle, one fixation a second."""
    rows, columns = np.mgrid[0:height, 0:width]
    count = round(seconds * rate)

    def frame(index: int) -> NDArray[np.uint8]:
        red = (columns * 3 + index * 5) % 256
        green = (rows * 3 + index * 2) % 256
        blue = (columns * rows // 16 + index * 7) % 256
        return np.stack((red, green, blue), axis=-1).astype(np.uint8)

    parameters, units = encode((frame(i) for i in range(count)), rate, key_frame_spacing)
    angles = np.arange(round(seconds * gaze_rate)) * (2 * np.pi / gaze_rate)
    gaze = tuple(
        GazePoint(
            index * NANOSECONDS // gaze_rate,
            float(np.float32(width * (0.5 + 0.25 * np.cos(angle)))),
            float(np.float32(height * (0.5 + 0.25 * np.sin(angle)))),
        )
        for index, angle in enumerate(angles)
    )
    return Programme(
        name="test card",
        width=width,
        height=height,
        parameters=parameters,
        length=round(seconds * NANOSECONDS),
        pictures=tuple(
            Picture(index * NANOSECONDS // rate, picture) for index, picture in enumerate(units)
        ),
        gaze=gaze,
        events=_fixations(int(seconds), (width / 2, height / 2)),
    )


def draw_wearer(seed: int, seconds: float = 20.0) -> Programme:
    """What the synthetic wearer sees and looks at, from the beginning; its blinks are events."""
    clock = SimulatedClock(0)
    device = SyntheticDevice(seed, seconds, clock, question_every=None)
    info = device.connect()
    rate = round(info.frame_rate)
    times: list[int] = []
    gaze: list[GazePoint] = []
    events: list[EyeEvent] = []

    def frames() -> Iterator[NDArray[np.uint8]]:
        ended = False
        while not ended:
            delivery = device.poll()
            for sample in delivery.samples:
                if isinstance(sample, SceneFrame):
                    times.append(sample.captured_at)
                    yield sample.pixels
                elif isinstance(sample, GazeSample):
                    x, y = sample.x * info.frame_width, sample.y * info.frame_height
                    gaze.append(GazePoint(sample.captured_at, x, y))
                elif isinstance(sample, Blink):
                    span = sample.started_at, sample.ended_at
                    events.append(EyeEvent(sample.captured_at, wire.BLINK, *span))
            ended = delivery.ended
            clock.sleep_until(clock.now() + NANOSECONDS // rate)

    parameters, units = encode(frames(), rate)
    length = round(seconds * NANOSECONDS)
    return Programme(
        name=info.name,
        width=info.frame_width,
        height=info.frame_height,
        parameters=parameters,
        length=length,
        pictures=tuple(
            Picture(at, picture) for at, picture in zip(times, units, strict=True) if at < length
        ),
        gaze=tuple(point for point in gaze if point.at < length),
        events=tuple(event for event in events if event.at < length),
    )


def _fixations(count: int, point: tuple[float, float]) -> tuple[EyeEvent, ...]:
    """One fixation a second, from 0.2 to 0.7 s, each known 10 ms late."""
    events = []
    for second in range(count):
        begun, ended = (second * NANOSECONDS + part * NANOSECONDS // 10 for part in (2, 7))
        late = NANOSECONDS // 100
        events.append(EyeEvent(begun + late, wire.FIXATION_ONSET, begun))
        events.append(EyeEvent(ended + late, wire.FIXATION, begun, ended, point))
    return tuple(events)


def encode(
    frames: Iterable[NDArray[np.uint8]], rate: int, key_frame_spacing: int = KEY_FRAME_SPACING
) -> tuple[tuple[bytes, bytes], list[tuple[bytes, ...]]]:
    """H.264 baseline, as Neon's: ((SPS, PPS), the NAL units of each frame).

    `frames` are uint8 RGB, (height, width, 3); width and height are even.
    """
    context: av.VideoCodecContext | None = None
    packets: list[bytes] = []
    for pixels in frames:
        if context is None:
            context = _encoder(pixels.shape[1], pixels.shape[0], rate, key_frame_spacing)
        packets += map(bytes, context.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
    if context is None:
        raise ValueError("there are no frames to encode")
    packets += map(bytes, context.encode(None))
    pictures = [tuple(_units(packet)) for packet in packets]
    parameters = {unit[0] & 0x1F: unit for unit in _units(bytes(context.extradata))}
    slices = (wire.SLICE, wire.INSTANT_REFRESH_SLICE)
    return (parameters[wire.SEQUENCE_PARAMETERS], parameters[wire.PICTURE_PARAMETERS]), [
        tuple(unit for unit in picture if unit[0] & 0x1F in slices) for picture in pictures
    ]


def _encoder(width: int, height: int, rate: int, key_frame_spacing: int) -> av.VideoCodecContext:
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, rate), Fraction(rate)
    context.gop_size = key_frame_spacing
    context.thread_count = 1
    context.options = {
        "preset": "veryfast",
        "tune": "zerolatency",
        "profile": "baseline",
        "crf": "20",
        "x264-params": f"keyint={key_frame_spacing}:scenecut=0:slices=1:repeat-headers=0:log=-1",
    }
    context.flags |= av.codec.context.Flags.global_header
    context.open()
    return context


def _units(data: bytes) -> Iterable[bytes]:
    """The NAL units of a byte stream with start codes."""
    for part in data.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01"):
        if part:
            yield part
