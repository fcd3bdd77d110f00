"""Fields of any value, each message well-formed around them: what is read is within bounds."""

import base64
import json
import math
import struct

from fuzzed_parsers import SDP
from harmless import is_line
from hostile_phone import BitWriter, sequence_parameters
from hypothesis import given, settings
from hypothesis import strategies as some

from devices.bounds import FARTHEST, fault
from devices.mailbox import Mailbox
from devices.neon import wire
from devices.neon.rtsp.answers import MOST_BODY, MalformedAnswer, parse_head
from devices.neon.rtsp.description import MalformedDescription, parse_description
from devices.neon.status import MalformedStatus, parse_status
from devices.neon.undistortion import Lens, NoLens
from devices.neon.video.bitstream import MOST_PIXELS, MOST_SIDE, parse_parameters
from devices.neon.wire import MalformedPacket
from devices.samples import GazeSample

drawn = settings(max_examples=100, derandomize=True, deadline=None, database=None)
number = some.integers(0, 2**33)
moments = some.one_of(some.integers(-(2**63), 2**63 - 1), some.integers(0, 2**61))
singles = some.floats(width=32)
json_values = some.recursive(
    some.none() | some.booleans() | some.floats() | some.integers() | some.text(),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(), inner, max_size=4),
    max_leaves=8,
)


@drawn
@given(singles, singles, some.integers(0, 255), some.sampled_from(wire.GAZE_SIZES))
def test_gaze(x, y, worn, size):
    payload = struct.pack("!ffB", x, y, worn)
    payload += struct.pack("!ff", x, y) * (size // 8)
    expected = math.isfinite(x) and math.isfinite(y) and max(abs(x), abs(y)) <= 100_000
    try:
        gaze = wire.parse_gaze(payload[:size])
    except MalformedPacket:
        assert not expected
    else:
        assert expected and (gaze.x, gaze.y, gaze.worn) == (x, y, worn == 255)


@drawn
@given(some.integers(-1, 7), moments, moments, some.lists(singles, min_size=10, max_size=10))
def test_events(kind, started, ended, values):
    layouts = {0: "!iqq10f", 1: "!iqq10f", 2: "!iq", 3: "!iq", 4: "!iqq", 5: "!i"}
    layout = layouts.get(kind, "!iqq")
    parts = (kind, started, ended, *values)[
        : len(struct.unpack(layout, bytes(struct.calcsize(layout))))
    ]
    times = list(parts[1:3])
    sane = (
        kind in layouts and all(0 < moment < 2**62 for moment in times) and times == sorted(times)
    )
    if kind in (0, 1):
        sane = sane and all(math.isfinite(v) and abs(v) <= 100_000 for v in values[:6])
    try:
        event = wire.parse_event(struct.pack(layout, *parts))
    except MalformedPacket:
        assert not sane
    else:
        assert sane and event.kind == kind and event.started == (times[0] if times else None)


@drawn
@given(
    some.integers(1, 2**25), some.integers(1, 2**25), some.integers(4, 40),
    some.none() | some.tuples(number, number, number, number), number,
)  # fmt: skip
def test_sequence_parameters(width, height, log2_frames, crop, references):
    unit = sequence_parameters(width, height, log2_frames, crop, references)
    columns, rows = -(-width // 16) * 16, -(-height // 16) * 16
    cut = crop or (0, (columns - width) // 2, 0, (rows - height) // 2)
    seen = columns - 2 * (cut[0] + cut[1]), rows - 2 * (cut[2] + cut[3])
    try:
        found = parse_parameters(unit)
    except MalformedPacket:
        sane = min(seen) >= 16 and max(columns, rows, *cut) <= MOST_SIDE
        assert not (
            sane and seen[0] * seen[1] <= MOST_PIXELS and log2_frames <= 16 and references <= 16
        )
    else:
        assert (found.width, found.height, found.frame_numbers) == (*seen, 2**log2_frames)
        assert min(seen) >= 16 and max(seen) <= MOST_SIDE and log2_frames <= 16


@drawn
@given(some.lists(some.tuples(number, some.integers(0, 40)), max_size=60))
def test_any_bits_at_all_as_sequence_parameters(fields):
    bits = BitWriter().fixed(100, 8).fixed(0, 16)
    for value, width in fields:
        bits = bits.fixed(value % 2**width, width) if width % 3 else bits.unsigned(value)
    try:
        found = parse_parameters(bits.unit(0x67))
    except MalformedPacket:
        return
    assert 0 < found.width * found.height <= MOST_PIXELS


@drawn
@given(some.integers(-(10**12), 10**12) | some.text(), some.text(), some.text())
def test_heads(length, name, value):
    head = f"RTSP/1.0 200 OK\r\n{name}: {value}\r\nContent-Length: {length}\r\n\r\n"
    try:
        answer = parse_head(head.encode("utf-8", "replace"))
    except MalformedAnswer:
        return
    assert 0 <= answer.length <= MOST_BODY and answer.length == int(str(length).strip())


@drawn
@given(some.integers(-5, 300), some.integers(-5, 10**10), some.binary(max_size=60), some.text())
def test_descriptions(kind, rate, unit, junk):
    text = SDP.decode().replace(":96 H264/90000", f":{kind} H264/{rate}")
    sets = base64.b64encode(unit).decode()
    text = text.partition("sprop-")[0] + f"sprop-parameter-sets={sets}\r\n{junk}"
    try:
        found = parse_description(text)
    except MalformedDescription:
        return
    assert 0 <= found.payload_type == kind < 128 and 1000 <= found.rate == rate <= 10**7


@drawn
@given(some.sampled_from(["Phone", "Hardware", "Sensor"]), some.data())
def test_statuses(model, data):
    names = ["device_name", "battery_level", "battery_state", "time_echo_port", "version", "sensor",
             "conn_type", "connected", "ip", "port", "params", "protocol"]  # fmt: skip
    drawn_names = data.draw(some.sets(some.sampled_from(names), max_size=3))
    said = {"model": model, "data": {name: data.draw(json_values) for name in drawn_names}}
    phone = {"model": "Phone", "data": {}}
    try:
        status = parse_status(json.dumps({"result": [phone, said]}).encode())
    except MalformedStatus as error:
        assert is_line(str(error))
        return
    assert is_line(status.name) and len(status.name) <= 60
    assert status.echo_port is None or 0 < status.echo_port < 2**16
    assert status.battery_state is None or is_line(status.battery_state)


@drawn
@given(
    some.lists(some.floats(), min_size=9, max_size=9), some.lists(some.floats(-50, 50), max_size=9)
)
def test_lenses(matrix, coefficients):
    rows = [matrix[start : start + 3] for start in (0, 3, 6)]
    try:
        lens = Lens.from_calibration(rows, coefficients)
    except NoLens:
        return
    for point in ((0.0, 0.0), (1600.0, 1200.0), (-1e5, 1e5)):
        assert all(map(math.isfinite, lens.undistorted(*point)))


@drawn
@given(some.integers(), some.integers(), some.floats(), some.floats(), some.none() | some.floats())
def test_the_door(captured_at, arrived_at, x, y, confidence):
    mailbox = Mailbox()
    mailbox.receive("gaze")
    sample = GazeSample(captured_at, arrived_at, x, y, True, confidence)
    mailbox.hand_in(sample)
    for delivered in mailbox.collect().samples:
        assert fault(delivered) is None
        assert 0 <= delivered.captured_at < 2**62 and max(abs(x), abs(y)) <= FARTHEST
        assert confidence is None or 0 <= confidence <= 1
    mailbox.close()  # a warning, and so an error, where the accounts do not add up
