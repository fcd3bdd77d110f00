"""The emulator: a phone's life from start to restart, in a thread of its own."""

from __future__ import annotations

import asyncio
import random
import threading
from types import TracebackType

from devices.clock import Clock, SystemClock
from devices.device import DeviceError
from devices.emulator.faults import Fault, FaultPlan
from devices.emulator.phone import Phone, Ports, Settings
from devices.emulator.programmes.programme import Programme
from devices.emulator.rtsp import RtspServer
from devices.emulator.services import EchoService, HttpService

LOOK_SPACING = 0.01
"""Seconds between two looks at the plan of faults."""


class Emulator:
    """A Neon Companion phone at `address`, `port` (HTTP); it plays a programme round and round.

    The scene frame i of round r is captured at `started_at + r * programme.length +
    programme.pictures[i].at` (Unix ns of `clock`), and so for gaze: the truth that a client's
    mapped capture times are compared with.
    """

    def __init__(
        self,
        programme: Programme,
        plan: FaultPlan | None = None,
        settings: Settings | None = None,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        clock: Clock | None = None,
        after_restart: Programme | None = None,
    ) -> None:
        """`port` 0: any free one. `after_restart`: what the phone plays once it was restarted."""
        self.clock = clock or SystemClock()
        self._after_restart = after_restart or programme
        self._draw = random.Random(seed)
        self._phone = Phone(
            programme,
            self.clock,
            self.clock.now(),
            plan or FaultPlan(),
            settings or Settings(),
            address,
            Ports(http=port),
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._listening = threading.Event()
        self._error: DeviceError | None = None

    @property
    def address(self) -> str:
        return self._phone.address

    @property
    def port(self) -> int:
        return self._phone.ports.http

    @property
    def started_at(self) -> int:
        return self._phone.started_at

    @property
    def programme(self) -> Programme:
        return self._phone.programme

    @property
    def plan(self) -> FaultPlan:
        return self._phone.plan

    def elapsed(self) -> float:
        """Seconds since the start: the time that a plan of faults counts."""
        return self._phone.elapsed()

    def inject(self, name: str, value: float = 1.0, seconds: float = float("inf")) -> None:
        """Let a fault begin now."""
        self._phone.plan = self._phone.plan.plus(Fault(name, value, self.elapsed(), seconds))

    def start(self) -> Emulator:
        """Listen. Raises DeviceError if the port is taken."""
        self._thread = threading.Thread(target=self._main, name="emulator", daemon=True)
        self._thread.start()
        self._listening.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error
        return self

    def stop(self) -> None:
        """Close every socket and end the thread. Calling it again does nothing."""
        if self._thread is not None and self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Emulator:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except OSError as error:
            self._error = DeviceError(
                f"the emulator can't listen at {self.address}:{self.port} ({error.strerror}): "
                "choose another port"
            )
        finally:
            self._listening.set()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        while not self._stop.is_set():
            cause = await self._live()
            while not self._stop.is_set() and self._phone.fault(cause):
                await asyncio.sleep(LOOK_SPACING)
            if cause == "restart":
                self._phone.ports = Ports(http=self.port)
                self._phone.programme = self._after_restart

    def _services(
        self, phone: Phone, draw: random.Random
    ) -> tuple[RtspServer, EchoService, HttpService]:
        """What listens during one life of the app."""
        return RtspServer(phone, draw), EchoService(phone), HttpService(phone)

    async def _live(self) -> str:
        """Serve until the app goes down; returns the fault that took it down, or "stop"."""
        phone = self._phone
        services = streams, *_ = self._services(phone, self._draw)
        resets = phone.plan.begun("reset", phone.elapsed())
        try:
            for service in services:
                await service.start()
            self._listening.set()
            while not self._stop.is_set():
                for cause in ("restart", "refuse"):
                    if phone.fault(cause):
                        return cause
                if (begun := phone.plan.begun("reset", phone.elapsed())) > resets:
                    resets = begun
                    streams.reset()
                await asyncio.sleep(LOOK_SPACING)
            return "stop"
        finally:
            for service in services:
                await service.close()
