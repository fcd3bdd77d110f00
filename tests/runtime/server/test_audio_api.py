"""OpenAI's own client has sound understood, and text spoken."""

import asyncio
import io
import shlex
import sys
import threading
import wave as wav
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import openai
import pytest
from aiohttp import web
from scripted_speech import RATE, Scripted, wave
from spoken_words import write_wav

from runtime.server.aloud.means import Means
from runtime.server.openai.audio import SPEAKING, Audio
from runtime.server.security import MOST_BODY, Access, guard
from runtime.voice.mouth import writing_command
from runtime.voice.recognizer import SpeechUnavailable
from runtime.voice.transcriber import Transcriber

SENTENCES = ["What is this?", "How are you?", "It is a cup."]
# Speaks a tone of a tenth of a second for each letter, as WAV on its standard output.
SPEAKER = """
import sys, wave
text = sys.stdin.read().strip()
with wave.open(sys.stdout.buffer, "wb") as file:
    file.setnchannels(1), file.setsampwidth(2), file.setframerate(22050)
    file.writeframes(b"\\x00\\x20\\x00\\xe0" * (1102 * len(text)))
"""


def program(script):
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(script)}"


@contextmanager
def client_of(means):
    """OpenAI's client of a server that hears and speaks by `means`."""
    loop, ready, port = asyncio.new_event_loop(), threading.Event(), []

    async def start():
        guarded = guard(Access.of("127.0.0.1", is_loopback=True))
        app = web.Application(middlewares=[guarded], client_max_size=MOST_BODY)
        app.add_routes(Audio(means).routes())
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port.append(runner.addresses[0][1])
        ready.set()
        return runner

    def serve():
        runner = loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(10)
    try:
        url = f"http://127.0.0.1:{port[0]}/v1"
        yield openai.OpenAI(base_url=url, api_key="none", max_retries=0)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@pytest.fixture(scope="module")
def client():
    transcriber = Transcriber(Scripted(SENTENCES))
    means = Means(transcribe=transcriber.transcribe, speech=writing_command(program(SPEAKER)))
    with client_of(means) as client:
        yield client
    transcriber.close()


def recorded(folder, spoken, seconds):
    write_wav(folder / "said.wav", wave(spoken, seconds), RATE)
    return folder / "said.wav"


def test_what_is_said_in_a_file_is_told(client, tmp_path):
    path = recorded(tmp_path, [(0, 0.5, 1.5)], 2.0)
    with path.open("rb") as file:
        told = client.audio.transcriptions.create(model="mini", file=file)
    assert told.text == SENTENCES[0]
    more = {"model": "mini", "file": path}
    assert client.audio.transcriptions.create(**more, response_format="text").strip() == told.text
    verbose = client.audio.transcriptions.create(**more, response_format="verbose_json")
    assert verbose.text == told.text and verbose.duration == pytest.approx(2.0, abs=0.05)


def test_long_sound_is_heard_sentence_by_sentence(client, tmp_path):
    path = recorded(tmp_path, [(0, 0.0, 1.5), (2, 12.0, 13.0), (1, 28.0, 29.0)], 30.0)
    told = client.audio.transcriptions.create(model="mini", file=path)
    assert told.text == " ".join(SENTENCES[n] for n in (0, 2, 1))


@pytest.mark.parametrize(
    ("content", "more", "said"),
    [
        (b"no sound at all", {}, "can't be read as sound"),
        (b"", {}, "can't be read as sound"),
        (b"x", {"response_format": "srt"}, "json, text or"),
        (b"x", {"stream": True}, "in one piece"),
    ],
)
def test_what_can_not_be_understood_is_an_error_in_their_form(client, content, more, said):
    with pytest.raises(openai.BadRequestError, match=said):
        client.audio.transcriptions.create(model="mini", file=("a.wav", content), **more)


def test_sound_of_more_than_ten_minutes_is_refused(client):
    written = io.BytesIO()
    with av.open(written, "w", "flac") as file:
        stream = file.add_stream("flac", 8000, layout="mono")
        for _ in range(61):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 80_000), np.int16), "s16", "mono")
            frame.sample_rate = 8000
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    with pytest.raises(openai.BadRequestError, match="longer than 600 seconds"):
        client.audio.transcriptions.create(model="mini", file=("a.flac", written.getvalue()))


def sound_of(content, **options):
    """(seconds, rate) of a file."""
    with av.open(io.BytesIO(content), **options) as file:
        frames = list(file.decode(audio=0))
    return sum(frame.samples for frame in frames) / frames[0].rate, frames[0].rate


@pytest.mark.parametrize(
    ("form", "options"),
    [("mp3", {}), ("opus", {}), ("aac", {}), ("flac", {}), ("wav", {})],
)
def test_a_text_is_spoken_in_every_format_of_theirs(client, form, options):
    spoken = client.audio.speech.create(
        model="mini", voice="alloy", input="Ten lettrs", response_format=form
    )
    seconds, _ = sound_of(spoken.content, **options)
    assert seconds == pytest.approx(1.0, abs=0.11)  # a codec fills its first and its last frame


def test_their_default_is_mp3_and_bare_samples_have_their_rate(client):
    spoken = client.audio.speech.create(model="mini", voice="alloy", input="Ten lettrs")
    with av.open(io.BytesIO(spoken.content)) as file:
        assert file.format.name == "mp3"
    bare = client.audio.speech.create(
        model="mini", voice="alloy", input="Ten lettrs", response_format="pcm"
    )
    assert len(bare.content) == pytest.approx(2 * 24_000, rel=0.01)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"input": " "}, "characters"),
        ({"input": "x" * 4097}, "characters"),
        ({"input": "x", "speed": 2.0}, "speed is 1"),
        ({"input": "x", "response_format": "midi"}, "can't be read"),
    ],
)
def test_what_can_not_be_spoken_is_an_error_in_their_form(client, asked, said):
    with pytest.raises(openai.BadRequestError, match=said):
        client.audio.speech.create(model="mini", voice="alloy", **asked)


@pytest.mark.parametrize(
    ("script", "said"),
    [("print('no WAV')", "no WAV"), ("raise SystemExit(3)", "status 3")],
)
def test_a_program_that_fails_is_told(script, said):
    with (
        client_of(Means(speech=writing_command(program(script)))) as client,
        pytest.raises(openai.InternalServerError, match=said),
    ):
        client.audio.speech.create(model="mini", voice="alloy", input="x")


def test_who_leaves_ends_the_program_and_too_many_are_told_to_come_again(tmp_path):
    script = f"import os, time; open(r'{tmp_path}/%d' % os.getpid(), 'w'); time.sleep(60)"
    with client_of(Means(speech=writing_command(program(script)))) as client:

        def speak():
            asked = {"model": "mini", "voice": "alloy", "input": "x"}
            with pytest.raises(openai.APITimeoutError):
                client.with_options(timeout=1.5).audio.speech.create(**asked)

        with ThreadPoolExecutor(SPEAKING) as pool:
            left = [pool.submit(speak) for _ in range(SPEAKING)]
            until(lambda: len(list(tmp_path.iterdir())) == SPEAKING)
            with pytest.raises(openai.RateLimitError):
                client.audio.speech.create(model="mini", voice="alloy", input="x")
            for each in left:
                each.result()
        pids = [int(path.name) for path in tmp_path.iterdir()]
        until(lambda: not any(runs(pid) for pid in pids))


def until(happened):
    for _ in range(200):
        if happened():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it did not happen")


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_without_ears_and_without_a_program_it_is_said_what_to_do():
    with client_of(Means()) as client:
        with pytest.raises(openai.InternalServerError, match="--listen"):
            client.audio.transcriptions.create(model="mini", file=("a.wav", b"x"))
        with pytest.raises(openai.InternalServerError, match="--speech-wav"):
            client.audio.speech.create(model="mini", voice="alloy", input="x")


def test_no_such_program_is_one_line():
    with pytest.raises(SpeechUnavailable, match=r"--speech-wav .* no such program"):
        writing_command("no-such-program --x")


def test_as_many_sounds_wait_as_there_is_room_for():
    begun, go = threading.Event(), threading.Event()

    class Slow:
        def text(self, samples, rate):
            begun.set()
            go.wait(10)
            return "x"

    transcriber = Transcriber(Slow())
    sound = np.zeros(100, np.float32)
    texts = [transcriber.transcribe(sound, RATE) for _ in range(4)]
    assert begun.wait(5)
    with pytest.raises(Exception, match="wait already"):
        transcriber.transcribe(sound, RATE)
    go.set()
    assert [text.result(10) for text in texts] == ["x"] * 4
    assert transcriber.transcribe(sound, RATE).result(10) == "x"
    transcriber.close()


def test_a_file_is_wav_where_that_is_asked_for(client):
    spoken = client.audio.speech.create(
        model="mini", voice="alloy", input="x", response_format="wav"
    )
    with wav.open(io.BytesIO(spoken.content)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 22050)
