"""The emulated phone's state: its clock, its sensors, and what it says about itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from devices.clock import NANOSECONDS, Clock, SystemClock
from devices.emulator.faults import FaultPlan
from devices.emulator.programmes.programme import Programme
from devices.neon import wire

CAMERAS = ("world", "gaze", "eye_events")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a phone is like, apart from its faults.

    `gaze_size` is the size of a gaze payload in bytes, `report_delay` and `report_interval` are
    the seconds to a stream's first sender report and between two. `events`: eye events are on.
    """

    gaze_size: int = 9
    hardware: str = wire.NEON_HARDWARE
    events: bool = True
    battery: int = 80
    report_delay: float = 0.2
    report_interval: float = 1.0


class SpedUpClock:
    """The host's clock, `speed` times as fast from now on: a long run takes less time."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._true = SystemClock()
        self._start = self._true.now()

    def now(self) -> int:
        return self._start + round((self._true.now() - self._start) * self.speed)

    def sleep_until(self, moment: int) -> None:
        self._true.sleep_until(self._start + round((moment - self._start) / self.speed))


@dataclass(slots=True)
class Ports:
    """Where the phone listens; 0 where any free port will do, then the one that was found."""

    http: int = 0
    rtsp: int = 0
    echo: int = 0


@dataclass(slots=True)
class Phone:
    """One emulated phone. Moments are Unix ns of the host's `clock` unless they say otherwise."""

    programme: Programme
    clock: Clock
    started_at: int
    plan: FaultPlan
    settings: Settings
    address: str
    ports: Ports = field(default_factory=Ports)

    def real(self, seconds: float) -> float:
        """How long it really takes until so many seconds have passed on the host's clock."""
        return seconds / self.clock.speed if isinstance(self.clock, SpedUpClock) else seconds

    def elapsed(self, moment: int | None = None) -> float:
        """Seconds since the emulator's start."""
        return ((self.clock.now() if moment is None else moment) - self.started_at) / NANOSECONDS

    def fault(self, name: str) -> float:
        """The value of a fault at this moment; 0 while it is not active."""
        return self.plan.value(name, self.elapsed())

    def unix(self, moment: int) -> int:
        """What the phone's clock shows (Unix ns) at a moment of the host's."""
        elapsed = self.elapsed(moment)
        ahead = self.plan.total("clock-offset", elapsed) + self.plan.total("clock-step", elapsed)
        return self._oscillator(moment) + round(ahead * NANOSECONDS)

    def media_time(self, moment: int) -> int:
        """The time (ns) that RTP timestamps count: it does not jump when the clock does."""
        stamps = self.plan.value("clock-stamps", self.elapsed(moment))
        return self.unix(moment) if stamps else self._oscillator(moment)

    def _oscillator(self, moment: int) -> int:
        drift = self.plan.value("clock-drift", self.elapsed(moment))
        return moment + round((moment - self.started_at) * drift / 1e6)

    def components(self) -> list[dict[str, Any]]:
        """The status as the phone sends it: one {"model", "data"} per component."""
        plugged = not self.fault("unplugged")
        neon = self.settings.hardware == wire.NEON_HARDWARE
        phone = {
            "ip": self.address,
            "device_id": "emulated",
            "device_name": f"Emulator ({self.programme.name})",
            "battery_level": self.settings.battery,
            "battery_state": "OK" if self.settings.battery > 20 else "LOW",
            "memory": 64 * 2**30,
            "memory_state": "OK",
            "time_echo_port": self.ports.echo,
        }
        serial = "000000" if plugged else "unknown"
        hardware = {
            "version": self.settings.hardware if plugged else "unknown",
            "glasses_serial": "unknown" if neon else serial,
            "world_camera_serial": "unknown" if neon else serial,
            "module_serial": serial if neon else "unknown",
        }
        sensors = [self._sensor(camera, plugged) for camera in CAMERAS]
        models = [("Phone", phone), ("Hardware", hardware), *(("Sensor", s) for s in sensors)]
        return [{"model": model, "data": data} for model, data in models]

    def _sensor(self, camera: str, plugged: bool) -> dict[str, Any]:
        available = camera != "eye_events" or self.settings.events
        return {
            "sensor": camera,
            "conn_type": "DIRECT",
            "protocol": "rtsp",
            "ip": self.address,
            "port": self.ports.rtsp,
            "params": f"camera={camera}",
            "connected": plugged and available,
            "stream_error": False,
        }
