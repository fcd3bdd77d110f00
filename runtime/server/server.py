"""The server of a run: its thread, its event loop, its application."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from aiohttp import web

from devices.device import Delivery, DeviceCondition
from runtime.answers.listeners import News
from runtime.server.aloud.means import Means
from runtime.server.desk import Counter, Desk
from runtime.server.hub import Hub
from runtime.server.live_socket import LiveSocket
from runtime.server.metrics import Metrics
from runtime.server.openai.audio import Audio
from runtime.server.openai.routes import Completions, Served
from runtime.server.routes import Fetched
from runtime.server.security import MOST_BODY, Access, Places, guard
from runtime.server.sight import Sights
from runtime.server.tls.opening import Identity
from runtime.stream.steps import StepPlan

MOST_STREAMS = 32  # clients that are told of everything, at a time
PARTING = 0.3  # seconds that a client has to take its leave


@dataclass(frozen=True, slots=True)
class About:
    """What is the same for a whole run. Moments in Unix ms, None for a stream without such.

    `listens`: whether what is said is understood; `microphone`: and heard by the page that is held.
    """

    bundle: str
    engine: str
    device: str
    frame_width: int
    frame_height: int
    window: float
    rate: float
    fixations: str
    is_random: bool
    listens: bool
    microphone: bool
    starts_at: float | None = None
    ends_at: float | None = None
    has_diary: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """The run that is served. `look`: the step plan of a moment, see `Sights`. `condition`: see
    `Device`. `diary`: where it is fetched, empty where none is kept. `means`: of voice."""

    about: About
    counter: Counter
    served: Served
    grid: tuple[int, int]
    look: Callable[[int], StepPlan | None]
    condition: Callable[[], DeviceCondition | None]
    diary: Sequence[web.RouteDef] = ()
    means: Means = field(default_factory=Means)


@dataclass(frozen=True, slots=True)
class Beside:
    """What is served in plain HTTP on a socket of its own."""

    app: web.Application
    listening: socket.socket


@dataclass(slots=True)
class _Insides:
    hub: Hub
    desk: Desk
    runners: list[web.AppRunner]
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Server:
    """Serves one run on a socket that listens already, in a thread of its own."""

    def __init__(
        self,
        run: Run,
        listening: socket.socket,
        access: Access,
        identity: Identity | None = None,
        beside: Beside | None = None,
    ) -> None:
        """`identity`: without one it does not speak TLS."""
        self._run, self._listening = run, listening
        self._access, self._identity, self._beside = access, identity, beside
        self._loop = asyncio.new_event_loop()
        self._insides: _Insides | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, name="server", daemon=True)
        self._sights: Sights | None = None

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        assert self._insides is not None
        hub = self._insides.hub
        self._sights = Sights(self._run.look, hub.is_watched, hub.show)

    def hear(self, news: News) -> None:
        """Take what happened in the run; returns at once."""
        if self._insides is not None:
            self._insides.hub.hear(news)

    def delivered(self, delivery: Delivery, now: int) -> None:
        """The device delivered something at `now` (Unix ns); called where the device is polled."""
        if self._sights is not None:
            self._sights.delivered(delivery, now)

    def close(self) -> None:
        """Take leave of every client; done within a second."""
        if self._thread.is_alive():
            with suppress(RuntimeError):  # it has ended meanwhile
                self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=1.0)
        self._listening.close()
        if self._beside is not None:
            self._beside.listening.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._insides = self._loop.run_until_complete(self._open())
            self._ready.set()
            self._loop.run_forever()
            self._loop.run_until_complete(self._close(self._insides))
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()
            self._loop.close()

    async def _open(self) -> _Insides:
        run = self._run
        hub = Hub(run.counter.now, run.grid, run.condition)
        desk = Desk(run.counter, hub)
        about, places = asdict(run.about), Places(MOST_STREAMS)
        fetched = Fetched(hub, places, about, run.counter.now)
        app = web.Application(middlewares=[guard(self._access)], client_max_size=MOST_BODY)
        app.add_routes(fetched.routes())
        app.router.add_get("/live", LiveSocket(hub, desk, places, about, run.means.voice).serve)
        app.router.add_get("/metrics", Metrics(hub).serve)
        app.add_routes(Completions(desk, run.served).routes())
        app.add_routes(Audio(run.means).routes())
        app.add_routes(run.diary)
        context = self._identity.context if self._identity is not None else None
        runners = [await started(app, self._listening, context)]
        if self._beside is not None:
            runners.append(await started(self._beside.app, self._beside.listening))
        return _Insides(hub, desk, runners, [asyncio.create_task(hub.draw())])

    @staticmethod
    async def _close(insides: _Insides) -> None:
        insides.desk.close()
        insides.hub.close()
        for task in insides.tasks:
            task.cancel()
        current = asyncio.current_task()
        await asyncio.sleep(0)  # those who wait for answers hear that there are none
        leaving = [asyncio.create_task(runner.cleanup()) for runner in insides.runners]
        await asyncio.wait(leaving, timeout=2 * PARTING)
        others = [task for task in asyncio.all_tasks() if task is not current]
        for task in others:
            task.cancel()
        await asyncio.wait(others, timeout=PARTING) if others else None


async def started(
    app: web.Application, listening: socket.socket, context: ssl.SSLContext | None = None
) -> web.AppRunner:
    """Serve an application on a socket that listens; `context`: without one in plain HTTP."""
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        handler_cancellation=True,
        shutdown_timeout=PARTING,
        keepalive_timeout=20.0,
    )
    await runner.setup()
    await web.SockSite(runner, listening, ssl_context=context).start()
    return runner
