"""What is fuzzed of the microphone: its units, its description, its stream."""

import numpy as np
from fuzzed_parsers import NOW, REPORT, Parser, rtp

from devices.bounds import fault
from devices.clock import SimulatedClock
from devices.emulator.programmes.sound import encode_sound
from devices.mailbox import Mailbox
from devices.neon.rtsp.description import Description
from devices.neon.sound.stream import SoundStream
from devices.neon.sound.units import (
    MOST_UNITS,
    MalformedSound,
    SoundFormat,
    pack_units,
    parse_format,
    split_units,
)
from devices.neon.timing import ClockOffset
from devices.neon.wire import MalformedPacket

SOUND = encode_sound(0.1 * np.sin(np.arange(8 * 1024) / 5).astype(np.float32))
HEARD = [unit.data for unit in SOUND.units]
SPOKEN = b"".join(
    len(each).to_bytes(2, "big") + each
    for each in (
        rtp(97, number, pack_units([unit]), True, 1000 + 1024 * number)
        for number, unit in enumerate(HEARD)
    )
)


def read_units(data):
    units = split_units(data)
    assert 0 < len(units) <= MOST_UNITS and all(units) and sum(map(len, units)) < len(data)


def read_format(data):
    found = parse_format("MPEG4-GENERIC", data.decode("utf-8", "replace"), 8000)
    assert 2 <= len(found.config) <= 64


def read_sound(data):
    """Packets of a microphone, each after its length: what is handed in is sound that can be."""
    mailbox, clock = Mailbox(), SimulatedClock(NOW)
    stream = SoundStream(mailbox, clock, lambda: None)
    stream.begin(Description(8000, 97, (), sound=SoundFormat(8000, SOUND.config)))
    stream.set_offset(ClockOffset(0, NOW))
    stream.on_report(REPORT.packed())
    start = number = 0
    while start < len(data):
        begin = start + 2
        start = begin + max(8, int.from_bytes(data[start:begin], "big") % 1500)
        stream.on_packet(data[begin:start])
        clock.sleep_until(NOW + (number := number + 1) * 128 * 10**6)
    stream.close()
    assert stream._faults.total == 0, stream._faults._told_at
    assert all(fault(sample) is None for sample in mailbox.collect().samples)
    mailbox.close()


SOUND_PARSERS = {
    "units": Parser(read_units, (MalformedPacket,), [pack_units(HEARD[:1]), pack_units(HEARD[:4])]),
    "sound format": Parser(
        read_format,
        (MalformedSound,),
        [b"mode=AAC-hbr;config=1588;sizelength=13;indexlength=3;indexdeltalength=3"],
    ),
    "sound": Parser(read_sound, (), [SPOKEN], cost=10),
}
