"""Who listens to a run, as the command line asks for them: a session, a diary, a page, Rerun."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from devices.device import Delivery, Device, DeviceInfo
from runtime.answers.alerts import StandingAlerts
from runtime.answers.listeners import Listeners
from runtime.answers.session import SessionOptions, live_size
from runtime.model.models import Models
from runtime.run.capture import DueQuestion
from runtime.run.saving import Saving
from runtime.stream.steps import StepPlan

# What not every run has is imported where it is asked for, so that no other run waits for it.
if TYPE_CHECKING:
    from aiohttp import web

    from runtime.diary.keeper import DiaryKeeper
    from runtime.diary.store import Entry
    from runtime.server.server import Server
    from runtime.viewer.listener import RerunListener


class Audience:
    """Those who listen to one run under the causal protocol, until it closes them.

    `diary` is None where none is kept.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        models: Models,
        device: Device,
        info: DeviceInfo,
        chosen: SessionOptions,
        listeners: Listeners,
    ) -> None:
        """Raises RuntimeFault or DeviceError for what is asked for and can't be had."""
        self._options, self._models, self._chosen = options, models, chosen
        self._device, self._info, self._listeners = device, info, listeners
        self._saving = self._opened_saving()
        self._rerun = self._opened_rerun()
        self.diary = self._opened_diary()
        self._server: Server | None = None

    def serve(
        self,
        alerts: StandingAlerts,
        ask: Callable[[DueQuestion], None],
        look: Callable[[int], StepPlan | None],
    ) -> None:
        """Open the page, where one is asked for: whoever looks at it may ask, and change `alerts`.

        `look`: the step plan of a moment (Unix ns). Raises RuntimeFault.
        """
        if self._options.serve is None:
            return
        from runtime.server.opening import open_server

        self._server = open_server(
            self._options,
            self._models,
            self._info,
            self._chosen,
            alerts,
            self._device.clock,
            ask,
            look,
            self._listeners.notice,
            self._diary_page(),
        )
        if self._server is not None:
            self._listeners.subscribe("server", self._server.hear)

    @property
    def is_served(self) -> bool:
        """Whether there is a page."""
        return self._server is not None

    def asked(self, due: DueQuestion) -> None:
        """A person asked a question."""
        self._saving.asked(due)

    def delivered(self, delivery: Delivery, now: int) -> None:
        """The device delivered something at `now` (Unix ns)."""
        self._saving.delivered(delivery, now)
        if self._rerun is not None:
            self._rerun.delivered(delivery)
        if self._server is not None:
            self._server.delivered(delivery, now)

    def close(self) -> None:
        """The run is over. Raises RuntimeFault where what was to be saved can't be."""
        try:
            self._saving.close()
        finally:
            if self._server is not None:
                self._server.close()
            if self.diary is not None:
                self.diary.close()
            if self._rerun is not None:
                self._rerun.close()

    def _diary_page(self) -> Sequence[web.RouteDef]:
        """What the page fetches of the diary."""
        if self._options.diary is None:
            return ()
        from runtime.diary.page import DiaryPage

        return DiaryPage(self._options.diary).routes()

    def _opened_saving(self) -> Saving:
        options, notice = self._options, self._listeners.notice
        is_whole = options.session_frames == "whole"
        size = None if is_whole else live_size(self._models.bundle.manifest)
        limit = options.session_limit
        return Saving(options.session, self._device, self._info, limit, size, notice)

    def _opened_diary(self) -> DiaryKeeper | None:
        if self._options.diary is None:
            return None
        from runtime.diary.keeper import open_keeper

        notice = self._listeners.notice
        window, heard = self._chosen.window, self._looked
        keeper = open_keeper(self._options, self._models, window, notice, heard)
        self._listeners.subscribe("diary", keeper.hear)
        return keeper

    def _opened_rerun(self) -> RerunListener | None:
        options = self._options
        if options.rerun is None:
            return None
        from runtime.viewer.listener import open_listener

        settings = self._models.bundle.manifest.settings
        grid = settings.live_height, settings.live_width
        notice = self._listeners.notice
        opened = open_listener(options.rerun, self._info, grid, options.fast, notice)
        self._listeners.subscribe("rerun", opened.hear)
        return opened

    def _looked(self, entry: Entry) -> None:
        """The diary was written: Rerun shows it, too."""
        if self._rerun is None:
            return
        from runtime.viewer.drawing import Look

        self._rerun.look(Look(entry.at, entry.x, entry.y, entry.thing, entry.confidence))
