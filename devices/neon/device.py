"""Pupil Labs Neon and Invisible, over the Companion app's network API."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass

from devices.address import split_address
from devices.clock import Clock, SystemClock
from devices.device import Delivery, Device, DeviceCounts, DeviceError, DeviceInfo
from devices.mailbox import Mailbox
from devices.mailbox import Stream as Lane
from devices.neon import wire
from devices.neon.decoding import VideoThread
from devices.neon.phone import ADVICE, Phone, PhoneSilent, discover
from devices.neon.session import SessionFailed, Transport
from devices.neon.streams import EventStream, GazeStream, Stream, WorldStream
from devices.neon.supervision import Supervisor
from devices.neon.undistortion import Lens
from devices.offset import OffsetWatch

DISCOVERY_TIMEOUT = 2.5
STATUS_TIMEOUT = 2.0
OPENING_TIMEOUT = 2.8
MODELS = {wire.NEON_HARDWARE: "Neon", wire.INVISIBLE_HARDWARE: "Invisible"}
FRAME_RATE = 30.0
FIELD = 103.0  # degrees across Neon's scene
GAZE_RATES = {wire.NEON_HARDWARE: 200.0, wire.INVISIBLE_HARDWARE: 120.0}


@dataclass(frozen=True, slots=True)
class NeonCondition:
    """How a connected device is doing.

    `loss` is the fraction of packets lost in the last 10 s, None where too few came to tell;
    `clock_offset` is host minus phone in seconds, None before the first time echo; `garbage`
    counts packets that could not be read.
    """

    battery_level: int
    worn: bool
    transport: Transport
    loss: float | None
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
        clock: Clock | None = None,
    ) -> None:
        """`address`: host or "host:port"; None: the first phone found. `port`: 8080 unless given.
        `transport` None: UDP, and TCP once packets are lost. `undistort`: gaze as an ideal camera
        would see it (Neon only).
        """
        super().__init__()
        self.clock = clock or SystemClock()
        self._address, self._port = address, port or wire.HTTP_PORT
        if address is not None:
            self._address, self._port = split_address(address, self._port)
        self._transport = transport
        self._undistort = undistort
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
        import pupil_labs.realtime_api  # noqa: F401 - its seconds of import are not the phone's

        self._mailbox = Mailbox()
        self._newest_frame = self._newest_gaze = None
        ready: Future[DeviceInfo] = Future()
        thread = threading.Thread(target=self._main, args=(ready,), name="neon", daemon=True)
        thread.start()
        try:
            info = ready.result()
        except DeviceError:
            thread.join()
            raise
        self._thread = thread
        self._offset = OffsetWatch(info.frame_width, info.frame_height, FIELD)
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
            sum(stream.garbage for stream in self._streams),
        )

    def _collect(self) -> Delivery:
        if self._thread is None:
            raise DeviceError("this device is not connected: connect it first")
        if not self._thread.is_alive():
            raise DeviceError(f"the connection to the phone failed ({self._failure}): connect anew")
        delivery = self._mailbox.collect()
        return delivery if self._offset is None else self._offset.put_right(delivery)

    def _main(self, ready: Future[DeviceInfo]) -> None:
        try:
            asyncio.run(self._session(ready))
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    async def _session(self, ready: Future[DeviceInfo]) -> None:
        self._loop = asyncio.get_running_loop()
        self._leaving = asyncio.Event()
        if self._address is None:
            address, port = await discover(DISCOVERY_TIMEOUT)
        else:
            address, port = self._address, self._port
        phone = Phone(address, port)
        video = VideoThread(self._mailbox)
        video.start()
        try:
            async with asyncio.timeout(OPENING_TIMEOUT):
                info = await self._open(phone, video)
            ready.set_result(info)
            running = asyncio.ensure_future(self._supervisor.run())
            leaving = asyncio.ensure_future(self._leaving.wait())
            await asyncio.wait((running, leaving), return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
            self._supervisor.leave()
            running.cancel()
            (outcome,) = await asyncio.gather(running, return_exceptions=True)
            self._failure = _innermost(outcome)
        except (PhoneSilent, SessionFailed, TimeoutError, BaseExceptionGroup) as error:
            raise DeviceError(_unreachable(address, port, error)) from None
        finally:
            await phone.close()
            video.stop()

    async def _open(self, phone: Phone, video: VideoThread) -> DeviceInfo:
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
        self._streams = tuple(streams.values())
        self._supervisor = Supervisor(
            phone, status, streams, self._mailbox, self.clock, self._transport
        )
        try:
            await self._supervisor.open()
        except BaseException:
            await self._supervisor.close()
            raise
        return DeviceInfo(
            name=f"{MODELS.get(status.hardware, 'Pupil Labs glasses')} ({status.name})",
            frame_width=world.frame_size[0],
            frame_height=world.frame_size[1],
            frame_rate=FRAME_RATE,
            gaze_rate=GAZE_RATES.get(status.hardware),
            detects_fixations=None in streams,
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


def _innermost(error: BaseException | None) -> BaseException | None:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _unreachable(address: str, port: int, error: BaseException) -> str:
    error = _innermost(error)
    if isinstance(error, DeviceError):
        return str(error)
    reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
    return f"no connection to a phone at {address}:{port} ({reason}): {ADVICE}"
