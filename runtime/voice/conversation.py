"""Ears and mouth of a run, as far as they are asked for and there; what is not is one line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from devices.clock import Clock
from runtime.answers.listeners import Listeners
from runtime.voice.ears import Ears, Reactions
from runtime.voice.mouth import CommandVoice, Mouth, Voice, speaking_command
from runtime.voice.recognizer import Recognizer, SpeechUnavailable, open_recognizer
from runtime.voice.speaking import Speaking

NO_SOUND = "this device has no sound (--microphone takes this computer's): going on without voice"


@dataclass(frozen=True, slots=True)
class VoiceOptions:
    """What a person wants of voice. `model`: the folder of a speech model, None for the default;
    `pause`: seconds; `wake`: without it nothing is for the glasses; `full_duplex`: the microphone
    does not hear them; `command`: what speaks, None for the first of the defaults."""

    listens: bool = False
    speaks: bool = False
    model: Path | None = None
    pause: float = 0.7
    wake: str | None = None
    full_duplex: bool = False
    command: str | None = None


class Conversation:
    """`ears` and `speaking` are None where nobody listens, or nothing is said aloud."""

    def __init__(
        self,
        options: VoiceOptions,
        hears: bool,
        clock: Clock,
        listeners: Listeners,
        recognizer: Recognizer | None = None,
        voice: Voice | None = None,
    ) -> None:
        """`hears`: whether the device has sound. `recognizer`, `voice`: in place of those that the
        options name."""
        self.ears: Ears | None = None
        self.speaking: Speaking | None = None
        self._mouth: Mouth | None = None
        self._notice = listeners.notice
        self._talks = False
        if options.speaks:
            try:
                voice = voice or CommandVoice(speaking_command(options.command))
                self._mouth = Mouth(voice, clock, listeners.tell, listeners.notice)
                self.speaking = Speaking(self._mouth)
                listeners.subscribe("voice", self.speaking.hear)
            except SpeechUnavailable as error:
                self._notice(f"{error}; going on without speaking")
        if options.listens and not hears:
            self._notice(NO_SOUND)
        elif options.listens:
            try:
                recognizer = recognizer or open_recognizer(options.model)
            except SpeechUnavailable as error:
                self._notice(f"{error}; going on without listening")
                return
            self.ears = Ears(
                recognizer,
                clock,
                self._reactions(listeners),
                options.pause,
                options.wake,
                options.full_duplex,
            )

    def _reactions(self, listeners: Listeners) -> Reactions:
        if self.speaking is None or self._mouth is None:
            return Reactions(listeners.tell, listeners.notice)
        return Reactions(
            listeners.tell,
            listeners.notice,
            self.speaking.silence,
            self.speaking.repeat,
            self.speaking.confirm,
            self._mouth.is_speaking,
        )

    def toggle_talk(self) -> None:
        """A key that is pressed once before and once after what is meant for the glasses."""
        if self.ears is not None:
            self._talks = not self._talks
            self.ears.push_to_talk(self._talks)
            self._notice("listening to you" if self._talks else "understood as for the glasses")

    def close(self) -> None:
        """The run is over: what is still to be said is said, for a few seconds at most."""
        if self.ears is not None:
            self.ears.close()
        if self._mouth is not None:
            self._mouth.close()
            if self._mouth.dropped:
                self._notice(f"{self._mouth.dropped} sentences were not spoken: too much waited")
