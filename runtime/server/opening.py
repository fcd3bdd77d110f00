"""A server for a live run, as the command line asks for one."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Callable, Sequence

from aiohttp import web

from devices.device import Device, DeviceInfo
from runtime.answers.alerts import StandingAlerts
from runtime.answers.questions import Asker, Question
from runtime.answers.session import SessionOptions, live_size
from runtime.errors import RuntimeFault
from runtime.model.models import Models
from runtime.run.capture import DueQuestion
from runtime.server.addresses import Address, qr_code
from runtime.server.aloud.means import Means
from runtime.server.desk import Counter
from runtime.server.openai.routes import Served
from runtime.server.security import Access
from runtime.server.server import About, Beside, Run, Server
from runtime.server.tls.opening import Identity
from runtime.server.tls.opening import identity as told_identity
from runtime.stream.steps import StepPlan


def open_server(
    options: argparse.Namespace,
    models: Models,
    info: DeviceInfo,
    chosen: SessionOptions,
    alerts: StandingAlerts,
    device: Device,
    ask: Callable[[DueQuestion], None],
    look: Callable[[int], StepPlan | None],
    notice: Callable[[str], None],
    diary: Sequence[web.RouteDef] = (),
    means: Means | None = None,
) -> Server | None:
    """Serve the run and say where; None where an address that nobody chose is taken.

    `diary`: where it is fetched, empty where none is kept. `means`: of voice.
    Raises RuntimeFault where the address that was chosen can't be served.
    """
    means = means or Means()
    address = Address.parse(options.serve)
    try:
        listening = address.listen()
    except RuntimeFault as fault:
        if options.chose_address:
            raise
        notice(f"no page: {fault}")
        return None
    manifest = models.bundle.manifest
    asker = Asker(models.bundle)
    grid = manifest.settings.live_height, manifest.settings.live_width
    about = About(
        bundle=manifest.name,
        engine=models.engine_name,
        device=info.name,
        frame_width=info.frame_width,
        frame_height=info.frame_height,
        window=chosen.window,
        rate=chosen.rate,
        fixations=chosen.rule if chosen.use_gaze else "gaze off",
        is_random=manifest.provenance.weights == "random",
        starts_at=_milliseconds(info.starts_at),
        ends_at=_milliseconds(info.ends_at),
        has_diary=bool(diary),
        listens=means.talk is not None,
        microphone=means.hear is not None,
    )

    def count(question: Question) -> int:
        return len(asker.tokens(question))

    def count_text(text: str) -> int:
        return len(models.bundle.text_tokenizer.encode(text, add_special_tokens=False).ids)

    served = Served(
        manifest.name, live_size(manifest), grid[0] * grid[1], count, count_text, device.clock.now
    )
    hold = means.talk or (lambda held: None)
    counter = Counter(ask, asker.check, device.clock.now, alerts, alerts.rule, hold, means.hear)
    identity = None if options.tls is None else told_identity(options.tls, address)
    access = Access.of(address.host, address.is_loopback, secure=identity is not None)
    beside = handed(identity, access, address)
    server = Server(
        Run(about, counter, served, grid, look, device.condition, diary, means),
        listening,
        access,
        identity,
        beside,
    )
    server.start()
    if beside is not None and identity is not None:
        tell_trust(identity, beside, address, notice)
    tell_page(access, listening, address, notice)
    return server


def _milliseconds(moment: int | None) -> float | None:
    return None if moment is None else moment / 1e6


def handed(identity: Identity | None, access: Access, address: Address) -> Beside | None:
    """Where phones get the certificate of an authority that only this machine knows."""
    if identity is None or identity.authority is None or address.is_loopback:
        return None
    from runtime.server.tls.handing import handing  # needs the extra `serve`

    return Beside(handing(identity.authority, access), Address(address.host, 0).listen())


def tell_trust(
    identity: Identity, beside: Beside, address: Address, notice: Callable[[str], None]
) -> None:
    """Say where a phone finds whom to trust, and by what to know it."""
    assert identity.authority is not None
    url = f"http://{address.shown_host}:{beside.listening.getsockname()[1]}/"
    if (drawn := qr_code(url)) is not None:
        print(drawn, flush=True)
    notice(f"trust    {url} once, on the phone; SHA-256 {identity.authority.fingerprint}")


def tell_page(
    access: Access, listening: socket.socket, address: Address, notice: Callable[[str], None]
) -> None:
    """Say where the page is; on other addresses than loopback with the token, and to be scanned."""
    scheme = "https" if access.secure else "http"
    url = f"{scheme}://{address.shown_host}:{listening.getsockname()[1]}/"
    if access.token is not None:
        url += f"?token={access.token}"
        if (drawn := qr_code(url)) is not None:
            print(drawn, flush=True)
    notice(f"page     {url}")
