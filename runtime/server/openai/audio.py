"""`POST /v1/audio/transcriptions` and `POST /v1/audio/speech`."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import Literal

import msgspec
from aiohttp import BodyPartReader, web

from runtime.server.aloud.means import Means, QueueFull
from runtime.server.openai.sound import FORMATS, RATE, BadSoundFile, decoded, encoded
from runtime.server.security import Places, api_error

MOST_TEXT = 4096
"""Characters to be spoken, as OpenAI has it."""
MOST_FIELD = 4096
"""Bytes of what stands beside a file."""
MOST_WAV = 64 << 20
"""Bytes that are taken from a program."""
PATIENCE = 60.0
"""Seconds that a program may take."""
SPEAKING = 2
"""Texts that are spoken at a time."""
NO_EARS = "this run understands no speech: start it with --listen (extra 'voice')"
NO_MOUTH = (
    "no program is known that speaks WAV on its standard output: install espeak-ng, or start the "
    "run with --speech-wav COMMAND"
)


class Spoken(msgspec.Struct):
    """What is to be spoken. Who speaks is the program's to say: `voice` and the rest change
    nothing."""

    input: str
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: float = 1.0
    stream_format: Literal["audio"] = "audio"


class Audio:
    """Hears and speaks for clients of OpenAI's API."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._speaking = Places(SPEAKING)

    def routes(self) -> list[web.RouteDef]:
        """Where each is found."""
        return [
            web.post("/v1/audio/transcriptions", self.transcribe),
            web.post("/v1/audio/speech", self.speak),
        ]

    async def transcribe(self, request: web.Request) -> web.Response:
        """What is said in a file of sound."""
        if self._means.transcribe is None:
            return api_error(501, NO_EARS)
        try:
            fields, content = await _form(request)
        except ValueError as error:
            return api_error(400, str(error) or "the body can't be read")
        form = fields.get("response_format", "json")
        if form not in ("json", "text", "verbose_json"):
            return api_error(400, "it is json, text or verbose_json", "response_format")
        if fields.get("stream", "false").lower() not in ("false", "0"):
            return api_error(400, "a transcription comes in one piece", "stream")
        if content is None:
            return api_error(400, "there is no file", "file")
        try:
            sound = await asyncio.to_thread(decoded, content)
            text = await asyncio.wrap_future(self._means.transcribe(sound, RATE))
        except BadSoundFile as error:
            return api_error(400, str(error), "file")
        except QueueFull as error:
            return api_error(429, str(error))
        if form == "text":
            return web.Response(text=text + "\n")
        told: dict[str, object] = {"text": text}
        if form == "verbose_json":
            length = sound.size / RATE
            told |= {"task": "transcribe", "language": "english", "duration": length}
        return web.json_response(told)

    async def speak(self, request: web.Request) -> web.Response:
        """A text as sound."""
        if self._means.speech is None:
            return api_error(501, NO_MOUTH)
        try:
            asked = msgspec.json.decode(await request.read(), type=Spoken)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            return api_error(400, f"the body can't be read: {error}")
        if not 0 < len(asked.input.strip()) <= len(asked.input) <= MOST_TEXT:
            return api_error(400, f"the text has 1 to {MOST_TEXT} characters", "input")
        if asked.speed != 1:
            return api_error(400, "how fast is the program's to say: speed is 1", "speed")
        if not self._speaking.take():
            return api_error(429, f"{SPEAKING} texts are being spoken: ask again in a moment")
        try:
            wav = await asyncio.wait_for(_wav(self._means.speech, asked.input), PATIENCE)
            sound = await asyncio.to_thread(encoded, wav, asked.response_format)
        except (OSError, asyncio.TimeoutError) as error:
            return api_error(503, f"speaking failed ({error or 'it took too long'})")
        except BadSoundFile as error:
            return api_error(503, str(error))
        finally:
            self._speaking.give_back()
        return web.Response(body=sound, content_type=FORMATS[asked.response_format][2])


async def _form(request: web.Request) -> tuple[dict[str, str], bytes | None]:
    """The fields of a form and its file. Raises ValueError; aiohttp minds how much there is."""
    if request.content_type != "multipart/form-data":
        raise ValueError("a transcription is asked for as multipart/form-data")
    fields: dict[str, str] = {}
    content, size = None, 0
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.name is None:
            raise ValueError("a part of the form has no name")
        read = bytearray()
        while chunk := await part.read_chunk(1 << 16):
            read += chunk
            size += len(chunk)
            is_file = part.name == "file"
            if size > request.client_max_size or (not is_file and len(read) > MOST_FIELD):
                raise web.HTTPRequestEntityTooLarge(request.client_max_size, size)
        if part.name == "file":
            content = bytes(read)
        else:
            fields[part.name] = read.decode()
    return fields, content


async def _wav(command: tuple[str, ...], text: str) -> bytes:
    """What a program writes; whoever is cancelled meanwhile ends it. Raises OSError."""
    running = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # so that its end reaches what it starts, too
    )
    assert running.stdin is not None and running.stdout is not None
    try:
        with suppress(ConnectionError):
            running.stdin.write(text.encode() + b"\n")
            await running.stdin.drain()
        running.stdin.close()
        written = bytearray()
        while chunk := await running.stdout.read(1 << 16):
            written += chunk
            if len(written) > MOST_WAV:
                raise OSError(f"{command[0]} writes more than {MOST_WAV >> 20} MiB")
        if status := await running.wait():
            raise OSError(f"{command[0]} ends with status {status}")
        return bytes(written)
    finally:
        if running.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
