"""Pupil Labs Neon and Invisible, over the Companion app's network API."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass

from devices.address import split_address
from devices.clock import Clock, SystemClock
from devices.complaints import Complaints, reason
from devices.device import (
    Delivery,
    Device,
    DeviceCondition,
    DeviceCounts,
    DeviceError,
    DeviceInfo,
)
from devices.mailbox import Mailbox
from devices.mailbox import Stream as Lane
from devices.neon import wire
from devices.neon.phone import ADVICE, Phone, PhoneConfused, PhoneSilent, discover
from devices.neon.rtsp.connection import PhoneRefuses, SessionFailed
from devices.neon.rtsp.session import Transport
from devices.neon.sound.stream import SoundStream
from devices.neon.status import PhoneStatus
from devices.neon.stream import Stream
from devices.neon.streams import EventStream, GazeStream
from devices.neon.supervision import Supervisor
from devices.neon.undistortion import Lens
from devices.neon.video.decoding import VideoThread
from devices.neon.world import WorldStream
from devices.optics.fields import INVISIBLE_FIELD, NEON_FIELD
from devices.optics.offset import OffsetWatch
from devices.waiting import within

DISCOVERY_TIMEOUT = 2.5
STATUS_TIMEOUT = 2.0
OPENING_TIMEOUT = 2.8
FIRST_SIZE_TIMEOUT = 4.0
"""Seconds for a picture's size where only key frames tell it: Neon's are two seconds apart."""
ANSWERED = "restart the Companion app, and check that it is up to date"
FIELDS = {wire.NEON_HARDWARE: NEON_FIELD, wire.INVISIBLE_HARDWARE: INVISIBLE_FIELD}
MODELS = {wire.NEON_HARDWARE: "Neon", wire.INVISIBLE_HARDWARE: "Invisible"}
FRAME_RATE = 30.0
GAZE_RATES = {wire.NEON_HARDWARE: 200.0, wire.INVISIBLE_HARDWARE: 120.0}


@dataclass(frozen=True, slots=True)
class NeonCondition(DeviceCondition):
    """How a connected device is doing.

    `loss` is the fraction of packets lost in the last 10 s, None where too few came to tell;
    `clock_offset` is host minus phone in seconds, None before the first time echo; `garbage`
    counts packets that could not be read, or came from somebody else. Unknown is None.
    """

    clock_offset: float | None
    garbage: int


class NeonDevice(Device):
    """Neon or Invisible. Frames are uint8 RGB in the scene camera's size, gaze as the tracker
    gives it; both on the host's clock.

    It reconnects by itself for as long as it is not disconnected, and says so in the notices.
    """

    def __init__(
        self,
        address: str | None = None,
        port: int | None = None,
        *,
        transport: Transport | None = None,
        undistort: bool = False,
        sound: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """`address`: host or "host:port"; None: the first phone found. `port`: 8080 unless given.
        `transport` None: UDP, and TCP once packets are lost. `undistort`: gaze as an ideal camera
        would see it (Neon only). `sound`: take what the phone's microphone hears, if it is on.
        """
        super().__init__()
        self.clock = clock or SystemClock()
        self._address, self._port = address, port or wire.HTTP_PORT
        if address is not None:
            self._address, self._port = split_address(address, self._port)
        self._transport = transport
        self._undistort = undistort
        self._sound = sound
        self._mailbox = Mailbox()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving: asyncio.Event | None = None
        self._supervisor: Supervisor | None = None
        self._streams: tuple[Stream, ...] = ()
        self._failure: BaseException | None = None
        self._offset: OffsetWatch | None = None

    def connect(self) -> DeviceInfo:
        """Find the phone and open its streams, within 3 s. Raises DeviceError."""
        if self._thread is not None:
            raise DeviceError("this device is connected already: disconnect it first")
        if self._address is None or self._undistort:
            import pupil_labs.realtime_api  # noqa: F401 - its seconds of import are not the phone's

        self._mailbox = Mailbox()
        self._newest_frame = self._newest_gaze = None
        ready: Future[DeviceInfo] = Future()
        thread = threading.Thread(target=self._main, args=(ready,), name="neon", daemon=True)
        thread.start()
        try:
            info = ready.result()
        except BaseException:
            thread.join()
            raise
        self._thread = thread
        self._offset = OffsetWatch(info.frame_width, info.frame_height, NEON_FIELD[0])
        return info

    def disconnect(self) -> None:
        if self._thread is not None:
            with suppress(RuntimeError):  # the loop is closed already if the connection failed
                self._loop.call_soon_threadsafe(self._leaving.set)
            self._thread.join()
            self._thread = None
            self._mailbox.close()

    def counts(self) -> DeviceCounts:
        return self._mailbox.counts()

    def condition(self) -> NeonCondition:
        """How the device is doing. Raises DeviceError while it is not connected."""
        if self._thread is None or self._supervisor is None:
            raise DeviceError("this device is not connected: connect it first")
        supervisor, offset = self._supervisor, self._supervisor.offset
        gaze = next(stream for stream in self._streams if isinstance(stream, GazeStream))
        return NeonCondition(
            supervisor.status.battery_level,
            gaze.worn,
            supervisor.transport,
            supervisor.loss,
            None if offset is None else offset.offset / 1e9,
            sum(stream.garbage for stream in self._streams) + self._mailbox.refused,
        )

    def _collect(self) -> Delivery:
        if self._thread is None:
            raise DeviceError("this device is not connected: connect it first")
        if not self._thread.is_alive():
            failure = "it ended" if self._failure is None else reason(self._failure)
            raise DeviceError(f"the connection to the phone failed ({failure}): connect anew")
        delivery = self._mailbox.collect()
        return delivery if self._offset is None else self._offset.put_right(delivery)

    def _main(self, ready: Future[DeviceInfo]) -> None:
        try:
            asyncio.run(self._session(ready))
        except BaseException as error:
            self._failure = error
            if not ready.done():
                if not isinstance(error, DeviceError):
                    error = DeviceError(f"the connection failed ({reason(error)}): connect anew")
                ready.set_exception(error)

    def _on_loop_fault(
        self, loop: asyncio.AbstractEventLoop, context: Mapping[str, object]
    ) -> None:
        """What goes wrong where nobody waits for it is a line, not a traceback."""
        error = context.get("exception")
        said = reason(error) if isinstance(error, BaseException) else str(context.get("message"))
        self._faults.add(f"the phone: {said}", self.clock.now())

    async def _session(self, ready: Future[DeviceInfo]) -> None:
        self._loop = asyncio.get_running_loop()
        self._faults = Complaints(self._mailbox.note)
        self._loop.set_exception_handler(self._on_loop_fault)
        self._leaving = asyncio.Event()
        if self._address is None:
            address, port = await discover(DISCOVERY_TIMEOUT)
        else:
            address, port = self._address, self._port
        phone = Phone(address, port)
        video = VideoThread(self._mailbox, clock=self.clock)
        video.start()
        try:
            async with within(OPENING_TIMEOUT):
                parts = await self._open(phone, video)
            ready.set_result(await self._described(*parts))
            running = asyncio.ensure_future(self._supervisor.run())
            leaving = asyncio.ensure_future(self._leaving.wait())
            await asyncio.wait((running, leaving), return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
            self._supervisor.leave()
            running.cancel()
            (outcome,) = await asyncio.gather(running, return_exceptions=True)
            self._failure = outcome
        except (PhoneSilent, SessionFailed, TimeoutError) as error:
            raise DeviceError(_unreachable(address, port, error)) from None
        finally:
            for stream in self._streams:
                stream.close()
            await phone.close()
            video.stop()

    async def _open(self, phone: Phone, video: VideoThread) -> tuple[PhoneStatus, WorldStream]:
        status = await phone.status(STATUS_TIMEOUT)
        lens = await _lens(phone) if self._undistort else None
        for camera, noun in (("world", "scene camera"), ("gaze", "gaze")):
            if camera not in status.urls:
                raise DeviceError(
                    f"the phone {status.name} has no {noun}: connect the glasses to it and wait "
                    "until the Companion app shows them"
                )
        parts = (self._mailbox, self.clock, self._ask_for_echo)
        world = WorldStream(*parts, video)
        gaze = GazeStream(*parts, world, lens)
        streams: dict[Lane | None, Stream] = {"frames": world, "gaze": gaze}
        if "eye_events" in status.urls:
            streams[None] = EventStream(*parts, gaze)
        if self._sound:
            streams["sound"] = SoundStream(*parts)
        self._streams = tuple(streams.values())
        self._supervisor = Supervisor(
            phone, status, streams, self._mailbox, self.clock, self._transport
        )
        try:
            await self._supervisor.open()
        except BaseException:
            await self._supervisor.close()
            raise
        return status, world

    async def _described(self, status: PhoneStatus, world: WorldStream) -> DeviceInfo:
        """What is known once the first picture's size is. Raises DeviceError."""
        with suppress(TimeoutError):
            async with within(FIRST_SIZE_TIMEOUT):
                while world.size is None:
                    await asyncio.sleep(0.01)
        if world.size is None:
            await self._supervisor.close()
            raise DeviceError(
                f"the phone {status.name} does not tell the size of its pictures: {ANSWERED}"
            )
        return DeviceInfo(
            name=f"{MODELS.get(status.hardware, 'Pupil Labs glasses')} ({status.name})",
            frame_width=world.size[0],
            frame_height=world.size[1],
            frame_rate=FRAME_RATE,
            gaze_rate=GAZE_RATES.get(status.hardware),
            detects_fixations=self._supervisor.has_events,
            field_of_view=FIELDS.get(status.hardware),
            hears=self._supervisor.has_sound,
        )

    def _ask_for_echo(self) -> None:
        self._supervisor.ask_for_echo()


async def _lens(phone: Phone) -> Lens:
    """Raises DeviceError where the phone has no calibration."""
    try:
        return await phone.lens()
    except PhoneSilent as error:
        raise DeviceError(
            f"the phone gives no calibration of its camera ({error}): leave gaze distorted (only"
            " Neon can be undistorted)"
        ) from None


def _unreachable(address: str, port: int, error: BaseException) -> str:
    if isinstance(error, DeviceError):
        return str(error)
    if isinstance(error, PhoneConfused | PhoneRefuses):
        return f"the phone at {address}:{port} answers, but not as it should ({error}): {ANSWERED}"
    said = "no answer in time" if isinstance(error, TimeoutError) else str(error)
    return f"no connection to a phone at {address}:{port} ({said}): {ADVICE}"
