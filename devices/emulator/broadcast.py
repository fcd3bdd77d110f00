"""One stream on its way to one client: payloads, RTP packets, sender reports."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from itertools import count

from devices.clock import NANOSECONDS
from devices.emulator.link import Link
from devices.emulator.phone import Phone
from devices.emulator.programmes.programme import (
    EyeEvent,
    GazePoint,
    Picture,
    SoundUnit,
    endless,
)
from devices.neon import wire
from devices.neon.sound.units import UNIT_SAMPLES, pack_units
from devices.waiting import together

PACKET_PAYLOAD = 1250
PACKETS_AT_ONCE = 16
"""A large frame is sent in portions of this many packets, a millisecond apart, as Wi-Fi would."""
BLINK_SPACING = NANOSECONDS // 2
BLINK_LENGTH = NANOSECONDS // 5
KEEP_ALIVE_SPACING = NANOSECONDS

PAYLOAD_TYPES = {
    "world": wire.VIDEO_PAYLOAD,
    "gaze": wire.GAZE_PAYLOAD,
    "eye_events": wire.EVENTS_PAYLOAD,
    "sound": wire.SOUND_PAYLOAD,
}

Send = Callable[[bytes], None]


class Broadcast:
    """Plays the phone's programme on one camera, from the present on, until it is cancelled."""

    def __init__(
        self, phone: Phone, camera: str, rtp: Send, rtcp: Send, ordered: bool, draw: random.Random
    ) -> None:
        """`rtp` and `rtcp` put bytes on the wire; `draw` picks bases and drives the link."""
        self._phone = phone
        self._camera = camera
        sound = phone.programme.sound
        self._ticks, self._whole_after = wire.MEDIA_CLOCK, 0
        if camera == "sound" and sound is not None:  # a unit is sent once all of it was heard
            self._ticks = sound.rate
            self._whole_after = UNIT_SAMPLES * NANOSECONDS // sound.rate
        self._rtp = rtp
        self._rtcp = rtcp
        self._base = draw.getrandbits(32)
        self._source = draw.getrandbits(32)
        self._sequence = draw.getrandbits(16)
        self._link = Link(draw.getrandbits(32), ordered)
        self._packets = 0
        self._octets = 0

    async def run(self) -> None:
        await together(self._play(), self._report())

    async def _play(self) -> None:
        phone = self._phone
        for moment, item in self._items():
            captured_at = phone.started_at + moment
            sent_at = captured_at + self._whole_after
            due = phone.real((sent_at - phone.clock.now()) / NANOSECONDS)
            await asyncio.sleep(due)
            if self._silent():
                continue
            payloads = self._payloads(captured_at, item)
            for number, payload in enumerate(payloads, start=1):
                self._send(payload, captured_at, marker=number == len(payloads))
                if number % PACKETS_AT_ONCE == 0:
                    await asyncio.sleep(phone.real(0.001))

    def _items(self) -> Iterator[tuple[int, Picture | GazePoint | EyeEvent | SoundUnit]]:
        programme = self._phone.programme
        begin = self._phone.clock.now() - self._phone.started_at
        if self._camera == "world":
            return endless(programme.pictures, programme.length, begin)
        if self._camera == "gaze":
            return endless(programme.gaze, programme.length, begin)
        if self._camera == "sound":
            sound = programme.sound
            return endless(sound.units, sound.length, begin) if sound else iter(())
        return self._events(begin)

    def _events(self, begin: int) -> Iterator[tuple[int, EyeEvent]]:
        """The programme's events, a keep-alive every second, and blinks while that fault lasts."""
        programme = self._phone.programme
        own = endless(programme.events, programme.length, begin)
        ahead = next(own, None)
        for tick in count(begin // BLINK_SPACING + 1):
            moment = tick * BLINK_SPACING
            while ahead is not None and ahead[0] <= moment:
                yield ahead
                ahead = next(own, None)
            if moment % KEEP_ALIVE_SPACING == 0:
                yield moment, EyeEvent(moment, wire.KEEP_ALIVE)
            yield moment, EyeEvent(0, wire.BLINK, started=-BLINK_LENGTH)

    def _silent(self) -> bool:
        stalls = {"world": "camera-stall", "gaze": "gaze-stall"}
        names = ("half-open", "unplugged", stalls.get(self._camera, "half-open"))
        return any(self._phone.fault(name) for name in names)

    def _payloads(
        self, captured_at: int, item: Picture | GazePoint | EyeEvent | SoundUnit
    ) -> list[bytes]:
        phone = self._phone
        if isinstance(item, SoundUnit):
            return [pack_units([item.data])]
        if isinstance(item, Picture):
            now = phone.elapsed()
            return [
                self._link.corrupted(payload, now, phone.plan)
                for unit in item.units
                for payload in fragments(unit)
            ]
        if isinstance(item, GazePoint):
            worn = item.worn and not phone.fault("off")
            unknown = int(phone.fault("gaze-size"))
            payload = wire.pack_gaze(item.x, item.y, worn, phone.settings.gaze_size, item.eyes)
            return [payload[:9].ljust(unknown, b"\0")[:unknown] if unknown else payload]
        if item.kind == wire.BLINK and item.started < 0 and not phone.fault("blink"):
            return []
        began = phone.unix(captured_at + item.started - item.at)
        return [item.payload(began, phone.unix(captured_at + item.ended - item.at))]

    def _send(self, payload: bytes, captured_at: int, marker: bool) -> None:
        packet = wire.RtpPacket(
            PAYLOAD_TYPES[self._camera],
            self._sequence,
            self._stamp(captured_at),
            self._source,
            marker,
            payload,
        )
        self._sequence = (self._sequence + 1) % 2**16
        self._packets += 1
        self._octets += len(payload)
        now = self._phone.elapsed()
        for due, data in self._link.carry(packet.packed(), now, self._phone.plan):
            if due <= now + 1e-4:
                self._rtp(data)
            else:
                delay = self._phone.real(due - now)
                asyncio.get_running_loop().call_later(delay, self._rtp, data)

    def _stamp(self, moment: int) -> int:
        ticks = self._phone.media_time(moment) * self._ticks // NANOSECONDS
        return (self._base + ticks) % 2**32

    async def _report(self) -> None:
        phone = self._phone
        delay = phone.fault("report-late") or phone.settings.report_delay
        await asyncio.sleep(phone.real(delay))
        while True:
            if not (self._silent() or phone.fault("report-missing")):
                now = phone.clock.now()
                report = wire.SenderReport(
                    self._source, phone.unix(now), self._stamp(now), self._packets, self._octets
                )
                self._rtcp(report.packed())
            await asyncio.sleep(phone.real(phone.settings.report_interval))


def fragments(unit: bytes) -> list[bytes]:
    """The RTP payloads of a NAL unit: itself, or FU-A fragments where it is too large."""
    if len(unit) <= PACKET_PAYLOAD:
        return [unit]
    indicator, kind = unit[0] & 0xE0 | wire.FRAGMENT, unit[0] & 0x1F
    body, step = unit[1:], PACKET_PAYLOAD - 2
    pieces = [body[start : start + step] for start in range(0, len(body), step)]
    payloads = []
    for number, piece in enumerate(pieces):
        first, last = number == 0, number == len(pieces) - 1
        payloads.append(bytes((indicator, first << 7 | last << 6 | kind)) + piece)
    return payloads
