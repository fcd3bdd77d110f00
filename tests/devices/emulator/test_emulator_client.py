"""The unmodified client library takes the emulator for a phone."""

import asyncio
import logging
import struct

import numpy as np
import pytest

from devices.device import DeviceError
from devices.emulator.emulator import Emulator
from devices.emulator.faults import parse_faults
from devices.emulator.phone import Settings
from devices.emulator.programmes.drawn import draw_test_card
from devices.emulator.programmes.truth import Truth
from devices.neon import wire
from devices.waiting import within

client = pytest.importorskip("pupil_labs.realtime_api")
streaming = pytest.importorskip("pupil_labs.realtime_api.streaming")
CALIBRATION = struct.pack("<B6s", 1, b"404641") + bytes(792) + bytes(4)


@pytest.fixture(scope="module")
def card():
    card = draw_test_card(seconds=1.0, key_frame_spacing=6)
    return type(card)(**{name: getattr(card, name) for name in card.__slots__} | {
        "calibration": CALIBRATION
    })  # fmt: skip


@pytest.fixture(scope="module")
def phone(card):
    with Emulator(card, settings=Settings(report_delay=0.05)) as emulator:
        yield emulator


def ask(phone, question):
    async def talk():
        async with client.Device(phone.address, phone.port) as device:
            return await question(device)

    return asyncio.run(asyncio.wait_for(talk(), 10))


async def first(iterator, count):
    found = []
    async for item in iterator:
        found.append(item)
        if len(found) == count:
            break
    await iterator.aclose()
    return found


def test_status_over_http(phone):
    status = ask(phone, lambda device: device.get_status())
    assert status.phone.ip == phone.address
    assert status.phone.battery_level == 80
    assert status.hardware.version == "2" and status.hardware.module_serial
    for sensor in ("world", "gaze", "eye_events"):
        found = getattr(status, f"direct_{sensor}_sensor")()
        assert found.connected and found.url.endswith(f"/?camera={sensor}")


def test_status_over_websocket_and_its_changes(phone):
    async def follow(device):
        components = await first(device.status_updates(), 5)
        updates = device.status_updates()
        await first_of(updates, 5)
        phone.inject("unplugged", seconds=0.2)
        changed = [await anext(updates) for _ in range(8)]
        await updates.aclose()
        return components, changed

    async def first_of(updates, count):
        return [await anext(updates) for _ in range(count)]

    components, changed = ask(phone, follow)
    assert [type(c).__name__ for c in components] == ["Phone", "Hardware", *["Sensor"] * 3]
    assert [c.connected for c in changed if type(c).__name__ == "Sensor"] == [
        *[False] * 3, *[True] * 3
    ]  # fmt: skip


def test_calibration(phone):
    calibration = ask(phone, lambda device: device.get_calibration())
    assert calibration.serial == "404641"


def test_recording_control_and_events(phone):
    async def record(device):
        started = await device.recording_start()
        with pytest.raises(Exception, match="400"):
            await device.recording_start()
        event = await device.send_event("here", event_timestamp_unix_ns=123)
        await device.recording_stop_and_save()
        with pytest.raises(Exception, match="400"):
            await device.recording_cancel()
        return started, event

    started, event = ask(phone, record)
    assert started == event.recording_id
    assert (event.name, event.timestamp) == ("here", 123)


def test_time_echo(phone):
    from pupil_labs.realtime_api.time_echo import TimeOffsetEstimator

    async def measure(device):
        status = await device.get_status()
        return await TimeOffsetEstimator(phone.address, status.phone.time_echo_port).estimate(10)

    assert abs(ask(phone, measure).time_offset_ms.median) <= 1


@pytest.mark.parametrize("scheme", ["rtsp", "rtspt"])
def test_video_gaze_and_events_are_received_and_dated(phone, card, scheme):
    async def receive(device):
        status = await device.get_status()
        urls = [
            getattr(status, f"direct_{name}_sensor")().url.replace("rtsp:", f"{scheme}:")
            for name in ("world", "gaze", "eye_events")
        ]
        return await asyncio.gather(
            first(streaming.receive_video_frames(urls[0]), 20),
            first(streaming.receive_gaze_data(urls[1]), 100),
            first(streaming.receive_eye_events_data(urls[2]), 2),
        )

    logging.getLogger("aiortsp").setLevel(logging.CRITICAL)
    frames, gaze, events = ask(phone, receive)
    truth = Truth(card, phone.started_at)
    for sample in gaze:
        index, error = truth.gaze_at(sample.timestamp_unix_ns)
        assert (sample.x, sample.y, sample.worn) == (card.gaze[index].x, card.gaze[index].y, True)
        assert abs(error) < 1_000_000
    # The client dates each frame rightly but hands it over one late: skip what precedes the
    # first key frame, as its decoder conceals what is missing there.
    exact = 0
    for frame in frames:
        index, error = truth.picture_at(frame.timestamp_unix_ns)
        assert abs(error) < 1_000_000
        exact += np.array_equal(frame.to_ndarray(format="rgb24"), truth.frames[index])
    assert exact >= 14
    assert {event.event_type for event in events} <= {wire.FIXATION, wire.FIXATION_ONSET}


@pytest.mark.parametrize(
    ("size", "kind"),
    [(9, "GazeData"), (17, "DualMonocularGazeData"), (25, "BinoAndDualMonoGazeData"),
     (65, "EyestateGazeData"), (89, "EyestateEyelidGazeData"),
     (105, "EyestateEyelidDualMonoGazeData")],
)  # fmt: skip
def test_every_gaze_payload(card, size, kind):
    async def receive(device):
        status = await device.get_status()
        return await first(streaming.receive_gaze_data(status.direct_gaze_sensor().url), 1)

    with Emulator(card, settings=Settings(gaze_size=size, report_delay=0.01)) as emulator:
        (sample,) = ask(emulator, receive)
    assert type(sample).__name__ == kind


def test_an_invisible_has_no_calibration_and_no_events(card):
    settings = Settings(hardware=wire.INVISIBLE_HARDWARE, events=False)
    with Emulator(card, settings=settings) as emulator:
        status = ask(emulator, lambda device: device.get_status())
        assert status.hardware.version == "1" and status.hardware.glasses_serial == "000000"
        assert not status.direct_eye_events_sensor().connected
        with pytest.raises(Exception, match="404"):
            ask(emulator, lambda device: device.get_calibration())


def test_a_port_in_use_is_one_clear_line(phone, card):
    with pytest.raises(DeviceError, match="choose another port"):
        Emulator(card, port=phone.port).start()


def talk_rtsp(port, requests, then=b""):
    """What the server says to requests over one connection within half a second."""

    async def talk():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number, request in enumerate(requests):
            writer.write(f"{request}\r\nCSeq: {number}\r\n\r\n".encode())
            await asyncio.sleep(0.05)
        writer.write(then)
        heard = b""
        try:
            async with within(0.5):
                while data := await reader.read(65536):
                    heard += data
        except TimeoutError:
            pass
        writer.close()
        return heard

    return asyncio.run(talk())


@pytest.mark.parametrize("faults", ["", "companion"])
def test_companion_2_9_31_over_tcp(card, faults):
    with Emulator(card, parse_faults(faults)) as emulator:
        status = ask(emulator, lambda device: device.get_status())
        port = status.direct_gaze_sensor().port
        url = f"rtsp://127.0.0.1:{port}/"
        requests = [
            f"DESCRIBE {url}?camera=gaze RTSP/1.0",
            f"SETUP {url} RTSP/1.0\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1",
            f"PLAY {url} RTSP/1.0",
        ]
        heard = talk_rtsp(port, requests, then=b"$\x01\x00\x04abcd")
    assert heard.count(b"200 OK") == 3 and b"$\x00" in heard
    assert (b"interleaved=0-1" in heard) == (not faults)
    assert (b"400 Bad Request" in heard) == bool(faults)


@pytest.mark.parametrize(
    ("request_line", "answer"),
    [("DESCRIBE rtsp://x/?camera=nose RTSP/1.0", b"404"), ("PLAY rtsp://x/ RTSP/1.0", b"455"),
     ("RECORD rtsp://x/ RTSP/1.0", b"501"), ("SETUP rtsp://x/ RTSP/1.0", b"461")],
)  # fmt: skip
def test_requests_that_make_no_sense_are_answered_so(phone, request_line, answer):
    status = ask(phone, lambda device: device.get_status())
    assert answer in talk_rtsp(status.sensors[0].port, [request_line])
