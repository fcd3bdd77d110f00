"""Workers as actors of Ray, each with the bundle opened once. Needs the extra 'cluster'."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import ray
from ray.actor import ActorHandle

from runtime.cluster.dispatch import Beat, Event, Failed, Finished, Lost, Opened
from runtime.cluster.handing_over import Packed, unpacked
from runtime.cluster.units import ClusterError, Opener, Parcel, Work
from runtime.errors import RuntimeFault

LOOPBACK = "127.0.0.2"  # Ray takes 127.0.0.1 for a wish to be reached from outside
REACHED_WITHIN = 10.0  # seconds
LONGEST = 500  # characters of a cause


@dataclass(frozen=True, slots=True)
class Needs:
    """What a worker holds for itself. `memory`: bytes, 0 for what Ray thinks; `gpus` may be a
    fraction."""

    cores: int = 1
    gpus: float = 0.0
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something was not done; no exception travels."""

    cause: str


class Worker:
    """Runs as an actor: one thread works, another one answers how far it is."""

    def __init__(self) -> None:
        self._work: Work | None = None
        self._progress = 0

    def open(self, opener: Opener, packed: Packed | None) -> bytes | Trouble:
        """Open the work; of a bundle that is handed over, at its place here."""
        try:
            if packed is not None:
                folder = unpacked(packed, Path(tempfile.gettempdir()))
                opener = replace(opener, arguments=(*opener.arguments, "--bundle", str(folder)))
            self._work = opener.open()
        except Exception as error:
            return _trouble(error)
        return self._work.conditions

    def do(self, key: str) -> Parcel | Trouble:
        """Do a unit."""
        assert self._work is not None
        try:
            return self._work.do(key, self._heard)
        except Exception as error:
            return _trouble(error)

    def progress(self) -> int:
        """A number that grows as the work gets on."""
        return self._progress

    def _heard(self) -> None:
        self._progress += 1


def _trouble(error: Exception) -> Trouble:
    """What a fault says; of anything else, where it came from as well."""
    if isinstance(error, RuntimeFault | OSError):
        return Trouble(str(error)[:LONGEST])
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}, line {last.lineno}"
    return Trouble(f"{type(error).__name__}: {error} ({where})"[:LONGEST])


class RayPlace:
    """A cluster of Ray's, as a place for workers."""

    def __init__(self, opener: Opener, needs: Needs, packed: Packed | None = None) -> None:
        self._opener, self._needs = opener, needs
        self._packed = None if packed is None else ray.put(packed)
        self._names = (f"worker {number}" for number in count(1))
        self._actors: dict[str, ActorHandle] = {}
        self._tasks: dict[ray.ObjectRef, str] = {}
        self._pulses: dict[str, ray.ObjectRef] = {}
        self._progress: dict[str, int] = {}
        self._opened: set[str] = set()

    def start(self) -> str:
        name = next(self._names)
        needs = self._needs
        options = {"num_cpus": needs.cores, "num_gpus": needs.gpus, "max_concurrency": 2}
        if needs.memory:
            options["memory"] = needs.memory
        actor = ray.remote(Worker).options(max_restarts=0, max_task_retries=0, **options).remote()
        self._actors[name] = actor
        self._tasks[actor.open.remote(self._opener, self._packed)] = name
        return name

    def give(self, worker: str, key: str) -> None:
        self._tasks[self._actors[worker].do.remote(key)] = worker

    def wait(self, seconds: float) -> Sequence[Event]:
        done, _ = ray.wait(list(self._tasks), num_returns=1, timeout=seconds)
        events = [self._event(self._tasks.pop(each), each) for each in done]
        return [*events, *self._beats()]

    def end(self, worker: str) -> None:
        self._forget(worker)
        ray.kill(self._actors.pop(worker))

    def _event(self, worker: str, task: ray.ObjectRef) -> Event:
        try:
            came = ray.get(task)
        except ray.exceptions.RayError as error:
            self._forget(worker)
            self._actors.pop(worker, None)
            return Lost(worker, f"its process ended ({type(error).__name__})")
        if isinstance(came, Trouble):
            return Failed(worker, came.cause)
        return Opened(worker, came) if isinstance(came, bytes) else Finished(worker, came)

    def _beats(self) -> list[Event]:
        """Of workers that have got on since they were last asked. No answer is no beat."""
        beats: list[Event] = []
        for worker in set(self._tasks.values()):
            pulse = self._pulses.get(worker)
            if pulse is None:
                self._pulses[worker] = self._actors[worker].progress.remote()
                continue
            if not ray.wait([pulse], timeout=0)[0]:
                continue
            del self._pulses[worker]
            try:
                progress = ray.get(pulse)
            except ray.exceptions.RayError:
                continue  # its task says so
            if progress != self._progress.get(worker):
                self._progress[worker] = progress
                beats.append(Beat(worker))
        return beats

    def _forget(self, worker: str) -> None:
        self._tasks = {task: name for task, name in self._tasks.items() if name != worker}
        self._pulses.pop(worker, None)
        self._progress.pop(worker, None)


def _reach(address: str) -> None:
    """Raises ClusterError where nothing listens at HOST:PORT: Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), REACHED_WITHIN).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ClusterError(f"--address {address}: no Ray cluster answers: {error}") from error


class Connection:
    """A cluster that is joined, or one of this machine alone; left again at the end."""

    def __init__(self, address: str | None, dashboard: bool) -> None:
        """`address`: None for this machine alone, on loopback. Raises ClusterError."""
        if address is not None and address != "auto":
            _reach(address)
        own = {"_node_ip_address": LOOPBACK, "include_dashboard": dashboard}
        # Ray reports its use to its makers unless it is told not to.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        try:
            ray.init(
                address=address or "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                **({} if address else own),
            )
        except Exception as error:  # Ray raises just that where its node does not start in time
            ray.shutdown()
            said = " ".join(str(error).split())[:LONGEST]
            if address is None:
                raise ClusterError(
                    f"--on ray: it does not start on this machine: {said}"
                ) from error
            raise ClusterError(f"--address {address}: no Ray cluster answers: {said}") from error

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        ray.shutdown()
