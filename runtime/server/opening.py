"""A server for a live run, as the command line asks for one."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from devices.clock import Clock
from devices.device import DeviceInfo
from runtime.answers.alerts import StandingAlerts
from runtime.answers.questions import Asker, Question
from runtime.answers.session import SessionOptions, live_size
from runtime.errors import RuntimeFault
from runtime.model.models import Models
from runtime.run.capture import DueQuestion
from runtime.server.addresses import Address, qr_code
from runtime.server.desk import Counter
from runtime.server.openai.routes import Served
from runtime.server.security import Access
from runtime.server.server import About, Run, Server
from runtime.stream.steps import StepPlan


def open_server(
    options: argparse.Namespace,
    models: Models,
    info: DeviceInfo,
    chosen: SessionOptions,
    alerts: StandingAlerts,
    clock: Clock,
    ask: Callable[[DueQuestion], None],
    look: Callable[[int], StepPlan | None],
    notice: Callable[[str], None],
    talk: Callable[[bool], None] | None = None,
) -> Server | None:
    """Serve the run and say where; None where an address that nobody chose is taken.

    `talk`: a button to talk goes down or up; None where nobody listens.

    Raises RuntimeFault where the address that was chosen can't be served.
    """
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
        listens=talk is not None,
    )

    def count(question: Question) -> int:
        return len(asker.tokens(question))

    def count_text(text: str) -> int:
        return len(models.bundle.text_tokenizer.encode(text, add_special_tokens=False).ids)

    served = Served(
        manifest.name, live_size(manifest), grid[0] * grid[1], count, count_text, clock.now
    )
    hold = talk or (lambda held: None)
    counter = Counter(ask, asker.check, clock.now, alerts, alerts.rule, hold)
    access = Access.of(address.host, address.is_loopback)
    server = Server(Run(about, counter, served, grid, look), listening, access)
    server.start()
    host = address.shown_host
    url = f"http://{host}:{listening.getsockname()[1]}/"
    if access.token is not None:
        url += f"?token={access.token}"
        if (drawn := qr_code(url)) is not None:
            print(drawn)
    notice(f"page     {url}")
    return server
