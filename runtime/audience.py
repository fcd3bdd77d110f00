"""Who listens to a run, as the command line asks for them: a session, a diary, a page, Rerun, and
ears and mouth, for what is asked and answered aloud."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from devices.device import Delivery, Device, DeviceInfo
from devices.samples import KnownQuestion
from runtime.answers.alerts import StandingAlerts
from runtime.answers.heard import Standing
from runtime.answers.listeners import Listeners
from runtime.answers.questions import Question
from runtime.answers.session import SessionOptions, live_size
from runtime.model.models import Models
from runtime.run.capture import DueQuestion
from runtime.run.saving import Saving, asked_before
from runtime.stream.steps import StepPlan

# What not every run has is imported where it is asked for, so that no other run waits for it.
if TYPE_CHECKING:
    from aiohttp import web

    from runtime.diary.keeper import DiaryKeeper
    from runtime.diary.store import Entry
    from runtime.server.aloud.means import Means
    from runtime.server.aloud.voice import PageVoice
    from runtime.server.server import Server
    from runtime.viewer.listener import RerunListener
    from runtime.voice.conversation import Conversation
    from runtime.voice.ears import Ears


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
        self._voice: PageVoice | None = None
        self._conversation = self._opened_conversation()
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
            self._device,
            ask,
            look,
            self._listeners.notice,
            self._diary_page(),
            self._means(),
        )
        if self._server is not None:
            self._listeners.subscribe("server", self._server.hear)

    @property
    def stays(self) -> bool:
        """Whether somebody may ask at any time: on the page, or aloud."""
        return self._server is not None or self.ears is not None

    @property
    def ears(self) -> Ears | None:
        """Those that listen to what is said; None where nobody does."""
        return None if self._conversation is None else self._conversation.ears

    @property
    def heard(self) -> Callable[[], tuple[int, Mapping[str, int]]] | None:
        """Pieces of sound that were listened to, and dropped by cause; None where nobody does."""
        return None if self.ears is None else self.ears.counts

    def toggle_talk(self) -> None:
        """A key that is pressed before and after what is certainly meant for the glasses."""
        if self._conversation is not None:
            self._conversation.toggle_talk()

    def known(self, sample: KnownQuestion) -> Question | Standing | None:
        """What the source asks itself, but for what is heard anew."""
        return asked_before(sample, listens=self.ears is not None)

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

    def end_conversation(self) -> None:
        """Nothing more is heard; what is still to be said is said, for a few seconds at most."""
        if self._conversation is not None:
            self._conversation.close()

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

    def _opened_conversation(self) -> Conversation | None:
        options = self._options
        is_served = options.serve is not None
        if not (options.listen or options.speak or is_served):
            return None
        from runtime.voice.conversation import Conversation, VoiceOptions

        if is_served:
            from runtime.server.aloud.voice import PageVoice

            self._voice = PageVoice()
        wanted = VoiceOptions(
            listens=options.listen,
            speaks=options.speak,
            model=options.speech_model,
            pause=options.pause,
            wake=options.wake,
            full_duplex=options.duplex == "full",
            command=options.speak_with,
            transcribes=is_served,
            wav_command=options.speech_wav,
        )
        told = self._info.hears, self._device.clock, self._listeners
        return Conversation(wanted, *told, page=self._voice)

    def _means(self) -> Means:
        """By what the page and the API hear and speak."""
        from devices.microphone.device import PAGE, MicrophoneDevice
        from runtime.server.aloud.means import Means

        talk, device = self._conversation, self._device
        assert talk is not None and self._voice is not None
        is_microphone = self._options.microphone == PAGE and talk.ears is not None
        return Means(
            self._voice,
            None if talk.ears is None else talk.talk,
            device.hear if is_microphone and isinstance(device, MicrophoneDevice) else None,
            None if talk.transcriber is None else talk.transcriber.transcribe,
            talk.wav_command,
        )
