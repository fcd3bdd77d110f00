"""Ears and mouth of a run, as far as they are asked for and there; what is not is one line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from devices.clock import Clock
from runtime.answers.heard import Standing
from runtime.answers.listeners import Listeners
from runtime.voice.ears import Ears, Reactions
from runtime.voice.mouth import CommandVoice, Mouth, Voice, speaking_command, writing_command
from runtime.voice.recognizer import Recognizer, SpeechUnavailable, open_recognizer
from runtime.voice.speaking import Speaking
from runtime.voice.transcriber import Transcriber

NO_SOUND = (
    "this device has no sound (--microphone takes this computer's, --microphone page that of the "
    "page): going on without voice"
)


@dataclass(frozen=True, slots=True)
class VoiceOptions:
    """What a person wants of voice. `model`: the folder of a speech model, None for the default;
    `pause`: seconds; `wake`: without it nothing is for the glasses; `full_duplex`: the microphone
    does not hear them; `command`: what speaks, None for the first of the defaults; `transcribes`:
    sound that others send is understood, too, where `listens`; `wav_command`: what speaks as WAV,
    None for the default."""

    listens: bool = False
    speaks: bool = False
    model: Path | None = None
    pause: float = 0.7
    wake: str | None = None
    full_duplex: bool = False
    command: str | None = None
    transcribes: bool = False
    wav_command: str | None = None


class Conversation:
    """`ears` is None where nobody listens, `transcriber` where nothing that is heard is understood,
    `wav_command` where nothing speaks as WAV; `speaks`: whether a program says answers aloud."""

    def __init__(
        self,
        options: VoiceOptions,
        hears: bool,
        clock: Clock,
        listeners: Listeners,
        recognizer: Recognizer | None = None,
        voice: Voice | None = None,
        page: Voice | None = None,
    ) -> None:
        """`hears`: whether the device has sound. `recognizer`, `voice`: in place of those that the
        options name. `page`: the voice of the pages, where there may be some."""
        self.ears: Ears | None = None
        self.transcriber: Transcriber | None = None
        self.wav_command: tuple[str, ...] | None = None
        self.speaks = False
        self._listeners, self._notice, self._clock = listeners, listeners.notice, clock
        self._mouths: list[tuple[Mouth, Speaking]] = []
        self._talks = False
        if options.speaks:
            self._open_voice(options, voice)
        if page is not None:
            self._add_mouth("page's voice", page)
            self._find_writer(options)
        if options.listens and not hears:
            self._notice(NO_SOUND)
        if options.listens and (hears or options.transcribes):
            self._open_ears(options, hears, recognizer)

    def _open_voice(self, options: VoiceOptions, voice: Voice | None) -> None:
        try:
            self._add_mouth("voice", voice or CommandVoice(speaking_command(options.command)))
            self.speaks = True
        except SpeechUnavailable as error:
            self._notice(f"{error}; going on without speaking")

    def _add_mouth(self, name: str, voice: Voice) -> None:
        mouth = Mouth(voice, self._clock, self._listeners.tell, self._notice)
        speaking = Speaking(mouth)
        self._mouths.append((mouth, speaking))
        self._listeners.subscribe(name, speaking.hear)

    def _find_writer(self, options: VoiceOptions) -> None:
        try:
            self.wav_command = writing_command(options.wav_command)
        except SpeechUnavailable as error:
            self._notice(f"{error}; going on without /v1/audio/speech")

    def _open_ears(self, options: VoiceOptions, hears: bool, recognizer: Recognizer | None) -> None:
        try:
            recognizer = recognizer or open_recognizer(options.model)
        except SpeechUnavailable as error:
            self._notice(f"{error}; going on without listening")
            return
        self.transcriber = Transcriber(recognizer)
        if hears:
            told = options.pause, options.wake, options.full_duplex
            self.ears = Ears(self.transcriber, self._clock, self._reactions(), *told)

    def _reactions(self) -> Reactions:
        return Reactions(
            self._listeners.tell,
            self._notice,
            self.silence,
            self.repeat,
            self._confirm,
            self._is_speaking,
        )

    def silence(self) -> None:
        """Be silent at once."""
        for _, speaking in self._mouths:
            speaking.silence()

    def repeat(self) -> None:
        """Say the last answer again."""
        for _, speaking in self._mouths:
            speaking.repeat()

    def _confirm(self, standing: Standing) -> None:
        for _, speaking in self._mouths:
            speaking.confirm(standing)

    def _is_speaking(self, begin: int, end: int) -> bool:
        return any(mouth.is_speaking(begin, end) for mouth, _ in self._mouths)

    def talk(self, held: bool) -> None:
        """A button goes down, which silences the glasses, or up. Any thread may call this."""
        if self.ears is not None:
            self.ears.push_to_talk(held)
            if held:
                self.silence()

    def toggle_talk(self) -> None:
        """A key that is pressed once before and once after what is meant for the glasses."""
        if self.ears is not None:
            self._talks = not self._talks
            self.talk(self._talks)
            self._notice("listening to you" if self._talks else "understood as for the glasses")

    def close(self) -> None:
        """The run is over: what is still to be said is said, for a few seconds at most."""
        if self.ears is not None:
            self.ears.close()
        if self.transcriber is not None:
            self.transcriber.close()
        for mouth, _ in self._mouths:
            mouth.close()
            if mouth.dropped:
                self._notice(f"{mouth.dropped} sentences were not spoken: too much waited")
