"""What every device promises to its user."""

import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from devices.catalog import DeviceOptions, open_device
from devices.device import Device, DeviceError, StaleSample
from devices.emulator.emulator import Emulator
from devices.emulator.phone import Settings
from devices.emulator.programmes.drawn import draw_test_card
from devices.neon.device import NeonDevice
from devices.samples import GazeSample, SceneFrame
from devices.webcam.camera import CameraSource
from devices.webcam.device import WebcamDevice
from devices.webcam.pointer import Centre

pytestmark = pytest.mark.realtime


@contextmanager
def neon(transport):
    pytest.importorskip("pupil_labs.realtime_api")
    card = draw_test_card(seconds=1.0, key_frame_spacing=6)
    with Emulator(card, settings=Settings(report_delay=0.02)) as emulator:
        yield lambda: NeonDevice(emulator.address, emulator.port, transport=transport)


@contextmanager
def core():
    pytest.importorskip("zmq", reason="needs the extra 'core'")
    from devices.core.device import CoreDevice
    from devices.emulator.capture import PupilCapture

    with PupilCapture() as capture:
        yield lambda: CoreDevice("127.0.0.1", capture.port)


@contextmanager
def webcam():
    source = CameraSource("testsrc=size=64x48:rate=30,realtime", "lavfi")
    yield lambda: WebcamDevice(source, pointer=lambda size: Centre())


@contextmanager
def recording():
    from devices.recording.playback import RecordingDevice

    folder = Path(__file__).parents[3] / "shared" / "data" / "neon-recording"
    if not folder.is_dir():
        pytest.skip("no real recordings at ../shared/data")
    yield lambda: RecordingDevice(folder)


@contextmanager
def synthetic():
    from devices.synthetic.device import SyntheticDevice

    yield lambda: SyntheticDevice(seed=1)


SETUPS = {
    "neon over udp": lambda: neon("udp"),
    "neon over tcp": lambda: neon("tcp"),
    "core": core,
    "webcam": webcam,
    "recording": recording,
    "synthetic": synthetic,
}


@pytest.fixture(params=SETUPS)
def make(request):
    """Makes devices of one kind, not yet connected."""
    with SETUPS[request.param]() as maker:
        yield maker


@pytest.fixture
def device(make):
    device = make()
    yield device
    device.disconnect()


def wait_for(device, kinds=(SceneFrame, GazeSample), timeout=6.0):
    """Poll until each kind has come; returns all deliveries."""
    deliveries, end = [], time.monotonic() + timeout
    while time.monotonic() < end:
        deliveries.append(device.poll())
        seen = {type(s) for delivery in deliveries for s in delivery.samples}
        if seen.issuperset(kinds):
            return deliveries
        time.sleep(0.005)
    raise AssertionError(f"only {seen} in {timeout} s")


def resources():
    """Threads and sockets of this process."""
    links = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            links.append(str(entry.readlink()))
    threads = sorted(thread.name for thread in threading.enumerate())
    return threads, sum(link.startswith("socket:") for link in links)


def settles_at(expected, timeout=3.0):
    """Whether threads and sockets return to what they were (servers here close with a delay)."""
    end = time.monotonic() + timeout
    while resources() != expected and time.monotonic() < end:
        time.sleep(0.02)
    return resources() == expected


def test_it_delivers_frames_and_gaze_of_the_size_it_names(device):
    assert isinstance(device, Device)
    info = device.connect()
    assert info.name and info.frame_width > 0 and info.frame_height > 0
    deliveries = wait_for(device)
    samples = [sample for delivery in deliveries for sample in delivery.samples]
    for sample in samples:
        assert sample.captured_at <= device.clock.now()
        if isinstance(sample, SceneFrame):
            assert sample.pixels.dtype == np.uint8
            assert sample.pixels.shape == (info.frame_height, info.frame_width, 3)


def test_within_a_stream_time_only_rises_and_watermarks_follow(device):
    device.connect()
    last = {SceneFrame: 0, GazeSample: 0}
    wait_for(device)
    for _ in range(100):
        delivery = device.poll()
        until = {SceneFrame: delivery.frames_until, GazeSample: delivery.gaze_until}
        for sample in delivery.samples:
            kind = type(sample)
            if kind in last:
                assert last[kind] <= sample.captured_at <= until[kind]
                last[kind] = sample.captured_at
        time.sleep(0.003)


def test_the_newest_sample_has_an_age_limit_and_stale_data_raises(device):
    device.connect()
    with pytest.raises(StaleSample, match="no scene frame"):
        device.newest_frame(max_age=1.0)
    with pytest.raises(StaleSample, match="no gaze"):
        device.newest_gaze(max_age=1.0)
    wait_for(device)
    assert isinstance(device.newest_frame(max_age=5.0), SceneFrame)
    assert isinstance(device.newest_gaze(max_age=5.0), GazeSample)
    time.sleep(0.25)
    with pytest.raises(StaleSample, match="stalled"):
        device.newest_frame(max_age=0.2)
    with pytest.raises(StaleSample, match="stalled"):
        device.newest_gaze(max_age=0.2)


def test_disconnecting_leaves_no_thread_and_no_socket_and_may_be_repeated(make):
    make().disconnect()
    with make():
        pass  # what libraries start once and for all is not the device's
    before = resources()
    device = make()
    device.connect()
    wait_for(device)
    device.disconnect()
    assert settles_at(before)
    device.disconnect()
    assert resources() == before
    with pytest.raises(DeviceError):
        device.poll()


def test_the_context_manager_connects_and_disconnects(make):
    device = make()
    with device:
        wait_for(device)
    with pytest.raises(DeviceError):
        device.poll()


def test_two_in_a_row(make):
    device = make()
    for _ in range(2):
        device.connect()
        wait_for(device)
        device.disconnect()
    with make():
        pass


def test_counts_add_up_and_outlive_the_connection(device):
    device.connect()
    deliveries = wait_for(device)
    device.disconnect()
    counts = device.counts()
    for kind, stream in ((SceneFrame, counts.frames), (GazeSample, counts.gaze)):
        delivered = sum(isinstance(s, kind) for d in deliveries for s in d.samples)
        assert stream.delivered == delivered > 0
        assert stream.received == stream.delivered + sum(stream.dropped.values())


def offline(name):
    if name == "core":
        pytest.importorskip("zmq", reason="needs the extra 'core'")
        from devices.core.device import CoreDevice

        return CoreDevice("192.0.2.1")
    if name == "webcam":
        return WebcamDevice(CameraSource("/dev/video99"))
    pytest.importorskip("pupil_labs.realtime_api")
    addresses = {"neon refused": "127.0.0.1:9", "neon unreachable": "192.0.2.1"}
    return NeonDevice(addresses.get(name))


@pytest.mark.parametrize(
    "name", ["neon refused", "neon unreachable", "neon searched for", "core", "webcam"]
)
def test_without_the_device_it_fails_within_three_seconds_in_one_clear_line(name):
    device = offline(name)
    before = resources()
    started = time.monotonic()
    with pytest.raises(DeviceError) as caught:
        device.connect()
    assert time.monotonic() - started < 3.0
    line = str(caught.value)
    assert "\n" not in line
    if name != "webcam":
        for advice in ("network" if name == "core" else "Wi-Fi", "address", "open", "firewall"):
            assert advice in line
    assert settles_at(before)
    device.disconnect()


def test_a_half_open_phone_fails_within_three_seconds_too():
    pytest.importorskip("pupil_labs.realtime_api")
    card = draw_test_card(seconds=0.2)
    with Emulator(card) as emulator:
        emulator.inject("half-open")
        started = time.monotonic()
        with pytest.raises(DeviceError, match="no answer in time"):
            NeonDevice(emulator.address, emulator.port).connect()
        assert time.monotonic() - started < 3.0


def test_addresses_that_can_not_be_read_are_one_clear_line():
    for address in ("phone:x", ":80", "1.2.3.4:99999"):
        with pytest.raises(DeviceError, match=r"192\.168\.1\.5"):
            NeonDevice(address)


@pytest.mark.parametrize(("name", "kind"), [("neon", "NeonDevice"), ("core", "CoreDevice")])
def test_live_devices_are_opened_by_name_and_address(name, kind):
    for options in (
        DeviceOptions(address="192.0.2.1:81"),
        DeviceOptions(address="192.0.2.1", port=81),
    ):
        device = open_device(name, options)
        assert type(device).__name__ == kind
        assert (device._address, device._port) == ("192.0.2.1", 81)


def test_a_webcam_is_opened_by_name_and_device_file():
    device = open_device("webcam", DeviceOptions(address="/dev/video7"))
    assert isinstance(device, WebcamDevice) and device._source.name == "/dev/video7"
    assert open_device("webcam", DeviceOptions())._source.name == "/dev/video0"


def test_opening_a_live_device_imports_no_heavy_library():
    program = (
        "import sys; from devices.catalog import DeviceOptions, open_device; "
        "open_device('neon', DeviceOptions(address='192.0.2.1')); "
        "sys.exit('pandas' in sys.modules or 'pupil_labs.realtime_api' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", program], cwd=root).returncode == 0
