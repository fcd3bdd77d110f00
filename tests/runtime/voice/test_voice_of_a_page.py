"""A page's microphone and its browser's voice, as the server and the voice's rooms see them."""

import asyncio
import struct
import threading
from contextlib import asynccontextmanager

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from scripted_speech import MS, RATE, SECOND, START, Scripted, wave
from written_records import answer

from devices.catalog import DeviceOptions, open_device
from devices.clock import SimulatedClock, SystemClock
from devices.device import Delivery
from devices.microphone.device import PAGE
from devices.samples import Sound
from runtime.answers.alerts import AlertRule, StandingAlerts
from runtime.answers.heard import SpokenRecord
from runtime.answers.listeners import Listeners
from runtime.server.aloud.microphone import BadSound, PageMicrophone
from runtime.server.aloud.voice import PageVoice
from runtime.server.desk import Counter, Desk
from runtime.server.hub import Hub
from runtime.server.live_socket import LiveSocket
from runtime.server.security import Places
from runtime.voice.conversation import Conversation, VoiceOptions
from runtime.voice.ears import Ears, Reactions

PIECE = 800  # samples: a tenth of a second at RATE


def piece(number, samples):
    return struct.pack("<d", number) + (np.asarray(samples) * 32767).astype("<i2").tobytes()


def placed(arrivals, length=PIECE):
    """[(begin, samples)] of pieces that arrive: (number of the first sample, when in ms)."""
    clock, found = SimulatedClock(START), []
    microphone = PageMicrophone(
        RATE, clock.now, lambda samples, rate, begin: found.append((begin - START, samples.size))
    )
    for number, at in arrivals:
        clock.sleep_until(START + at * MS)
        microphone.take(piece(number, np.zeros(length)))
    return found


def test_sound_lies_where_it_was_captured_however_late_it_comes():
    arrivals = [(7 * PIECE, 1100), (8 * PIECE, 1200), (9 * PIECE, 2900), (10 * PIECE, 2900)]
    begins = [begin for begin, _ in placed(arrivals)]
    assert begins == [1000 * MS, 1100 * MS, 1200 * MS, 1300 * MS]


def test_what_was_lost_moves_nothing_and_nothing_lies_in_the_future():
    begins = [begin for begin, _ in placed([(0, 500), (3 * PIECE, 800), (90 * PIECE, 900)])]
    assert begins == [400 * MS, 700 * MS, 800 * MS]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        struct.pack("<d", 0),
        struct.pack("<d", 0) + b"x",
        piece(-1, [0.0]),
        piece(float("nan"), [0.0]),
        piece(float("inf"), [0.0]),
        piece(2.0**60, [0.0]),
    ],
)
def test_what_is_no_sound_is_refused(message):
    microphone = PageMicrophone(RATE, lambda: START, lambda *told: pytest.fail("it was heard"))
    with pytest.raises(BadSound):
        microphone.take(message)


def test_a_rate_that_can_not_be_is_refused():
    for rate in (0, -8000, 10**9):
        with pytest.raises(BadSound):
            PageMicrophone(rate, lambda: START, lambda *told: None)


def test_any_device_hears_what_a_page_does():
    options = DeviceOptions(microphone=PAGE, seconds=2.0)
    device = open_device("synthetic", options)
    with device as info:
        assert info.hears
        begin = device.clock.now() - SECOND
        device.hear(np.full(PIECE, 0.5, np.float32), RATE, begin)
        (heard,) = (s for s in device.poll().samples if isinstance(s, Sound))
        assert (heard.begins_at, heard.rate, heard.samples[0]) == (begin, RATE, 0.5)
    assert device.counts().sound.delivered == 1


@asynccontextmanager
async def pages(hear=None, voice=None, talk=lambda held: None):
    """Yields how to open one more page."""
    hub, alerts = Hub(lambda: START, (4, 4)), StandingAlerts([], AlertRule())
    counter = Counter(None, None, lambda: START, alerts, alerts.rule, talk, hear)
    socket = LiveSocket(hub, Desk(counter, hub), Places(4), {}, voice or PageVoice())
    app = web.Application()
    app.router.add_get("/live", socket.serve)
    async with TestClient(TestServer(app)) as client:
        yield lambda: client.ws_connect("/live")


async def told(page, kind):
    while (message := await page.receive_json(timeout=10))["type"] != kind:
        pass
    return message


def test_a_page_is_heard_while_its_button_is_held_and_one_at_a_time():
    heard, held = [], []

    async def visit():
        async with pages(lambda *told: heard.append(told), talk=held.append) as opened:
            one, other = await opened(), await opened()
            await one.send_bytes(piece(0, [0.1]))
            assert "while the button" in (await told(one, "refused"))["reason"]
            await one.send_json({"do": "talk", "held": True, "rate": RATE})
            await one.send_bytes(piece(0, [0.5, -0.5]))
            await one.send_bytes(b"no")
            await told(one, "refused")
            await other.send_json({"do": "talk", "held": True, "rate": RATE})
            assert "else is talking" in (await told(other, "refused"))["reason"]
            await one.close()
            await asyncio.sleep(0.1)
            await other.send_json({"do": "talk", "held": True, "rate": RATE})
            await other.send_bytes(piece(0, [0.25]))
            await other.send_bytes(b"no")
            await told(other, "refused")

    asyncio.run(asyncio.wait_for(visit(), 20))
    assert [samples.tolist() for samples, _, _ in heard] == [
        pytest.approx([0.5, -0.5], abs=1e-4),
        pytest.approx([0.25], abs=1e-4),
    ]
    assert held == [True, False, True, False]


def test_a_run_that_does_not_listen_to_pages_says_so():
    async def visit():
        async with pages() as opened:
            page = await opened()
            await page.send_json({"do": "talk", "held": True, "rate": RATE})
            return (await told(page, "refused"))["reason"]

    assert "--microphone page" in asyncio.run(visit())


def spoken_by(react):
    """What is recorded as spoken where `react` takes part in the place of a browser."""
    records, listeners = [], Listeners()
    listeners.subscribe("test", records.append)
    voice = PageVoice()
    talk = Conversation(VoiceOptions(), False, SystemClock(), listeners, page=voice)

    async def visit():
        async with pages(voice=voice) as opened:
            page = await opened()
            await told(page, "about")
            await react(page, talk, listeners)
            await asyncio.to_thread(talk.close)

    asyncio.run(asyncio.wait_for(visit(), 30))
    return [(r.text, r.whole) for r in records if isinstance(r, SpokenRecord)]


async def allowed(page):
    await page.send_json({"do": "aloud", "held": True})
    await asyncio.sleep(0.1)


def test_nothing_counts_as_spoken_where_no_page_may_speak():
    async def react(page, talk, listeners):
        listeners.tell(answer("A key."))
        await asyncio.sleep(0.2)

    assert spoken_by(react) == []


def test_a_page_speaks_what_it_is_told_and_says_what_it_has_spoken():
    async def react(page, talk, listeners):
        await allowed(page)
        listeners.tell(answer("A key. It is red."))
        said = await told(page, "speak")
        assert said["text"] == "A key. It is red."
        await page.send_json({"do": "spoken", "id": said["id"] + 1, "whole": True})  # of no one
        await page.send_json({"do": "spoken", "id": said["id"], "whole": True})
        await asyncio.sleep(0.1)
        talk.repeat()
        said = await told(page, "speak")
        await page.send_json({"do": "spoken", "id": said["id"], "whole": False})
        await asyncio.sleep(0.1)

    assert spoken_by(react) == [("A key. It is red.", True), ("A key. It is red.", False)]


def test_stop_silences_a_page_and_one_that_leaves_is_not_waited_for():
    async def react(page, talk, listeners):
        await allowed(page)
        listeners.tell(answer("A key."))
        await told(page, "speak")
        talk.silence()
        await told(page, "hush")
        listeners.tell(answer("A cup."))
        await told(page, "speak")
        await page.close()
        await asyncio.sleep(0.1)

    assert spoken_by(react) == [("A key.", False), ("A cup.", False)]


class Present:
    """A voice that speaks until it is silenced."""

    def __init__(self):
        self.began, self.ended = threading.Event(), threading.Event()

    def say(self, text, silenced):
        self.began.set()
        silenced.wait(10)
        self.ended.set()
        return False


def test_the_button_silences_the_glasses():
    listeners, voice = Listeners(), Present()
    options = VoiceOptions(listens=True, speaks=True)
    talk = Conversation(options, True, SystemClock(), listeners, Scripted([]), voice)
    listeners.tell(answer("A long answer."))
    assert voice.began.wait(5) and not voice.ended.is_set()
    talk.talk(held=True)
    assert voice.ended.wait(5)
    talk.close()


def held_ears(spoken, released_at, is_speaking=lambda begin, end: False):
    """(what was said, how long after the release that was known) with a microphone that hears
    from START until the button is let go (seconds)."""
    clock = SimulatedClock(START)
    reactions = Reactions(lambda record: None, is_speaking=is_speaking)
    ears = Ears(Scripted(["Colour of it"]), clock, reactions)
    ears.push_to_talk(held=True)
    sound = wave(spoken, released_at)
    for place in range(0, sound.size, PIECE):
        begin = START + place * SECOND // RATE
        clock.sleep_until(begin + SECOND // 10)
        now = clock.now()
        heard = Sound(begin, now, RATE, sound[place : place + PIECE])
        assert ears.hear(Delivery((heard,), now, now), now) == []
    ears.push_to_talk(held=False)
    released = clock.now()
    while clock.now() < released + 3 * SECOND:
        clock.sleep_until(clock.now() + 5 * MS)
        if said := ears.hear(Delivery((), clock.now(), clock.now()), clock.now()):
            return said, clock.now() - released
    return [], None


def test_a_microphone_that_hears_while_the_button_is_held_ends_the_sentence_with_it():
    (said,), after = held_ears([(0, 0.4, 1.2)], 1.3)
    assert said.wish.text == "Colour of it"  # no question by its words: the button made it one
    assert abs(said.moment - START - round(1.2 * SECOND)) <= 30 * MS
    assert after <= 300 * MS


def test_what_the_button_silenced_is_not_taken_for_what_was_said_after():
    before = (START - SECOND, START)  # the glasses spoke, until the button went down

    def is_speaking(begin, end):
        return before[0] <= end and before[1] + 400 * MS >= begin

    (said,), _ = held_ears([(0, 0.2, 1.0)], 1.2, is_speaking)
    assert said.wish.text == "Colour of it"


def test_an_answer_that_begins_while_the_button_is_held_is_no_question():
    own = (START + 600 * MS, START + 900 * MS)

    def is_speaking(begin, end):
        return own[0] <= end and own[1] + 400 * MS >= begin

    assert held_ears([(0, 0.2, 1.0)], 1.2, is_speaking) == ([], None)
