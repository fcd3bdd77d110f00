"""No picture leaves the video path unless it is whole; what does is bit-exact."""

import random
from dataclasses import replace

import numpy as np
import pytest

from devices.emulator.broadcast import fragments
from devices.emulator.faults import Fault, FaultPlan
from devices.emulator.link import Link
from devices.emulator.programmes.drawn import draw_test_card
from devices.emulator.programmes.recorded import load_recording
from devices.emulator.programmes.truth import Truth
from devices.neon.sequence import Arrival, Sequencer
from devices.neon.video.bitstream import parameter_sets, parse_parameters
from devices.neon.video.decoding import CorruptPicture, Decoder
from devices.neon.video.h264 import Assembler
from devices.neon.wire import START_CODE, RtpPacket

MS = 1_000_000


@pytest.fixture(scope="module")
def card():
    return draw_test_card(seconds=2.0, width=320, height=240, key_frame_spacing=12)


@pytest.fixture(scope="module")
def card_truth(card):
    return Truth(card, 0)


def packets(programme, rounds=1):
    """(ms, packet) of a programme, as the emulator cuts it up."""
    sequence = 65_000
    for turn in range(rounds):
        for index, picture in enumerate(programme.pictures):
            payloads = [p for unit in picture.units for p in fragments(unit)]
            for number, payload in enumerate(payloads):
                marker = number == len(payloads) - 1
                stamp = turn * len(programme.pictures) + index
                moment = (turn * programme.length + picture.at) / MS + number * 0.05
                yield moment, RtpPacket(96, sequence, stamp, 7, marker, payload)
                sequence = (sequence + 1) % 2**16


def in_order(programme):
    return [Arrival(packet, round(ms * MS), gap=False) for ms, packet in packets(programme)]


def assembler_of(programme):
    # Stamps count pictures here: a tick is 1/30 s.
    return Assembler(parameter_sets(programme.parameters), rate=30)


def assemble(arrivals, programme=None):
    assembler = assembler_of(programme or draw_test_card(seconds=0.1))
    return [picture for arrival in arrivals for picture in assembler.push(arrival)]


def stream(picture):
    return b"".join(START_CODE + unit for unit in picture.units)


def test_pictures_come_out_as_they_went_in_with_their_last_packet(card):
    arrivals = in_order(card)
    pictures = assemble(arrivals)
    assert [p.data for p in pictures] == [stream(p) for p in card.pictures]
    assert [p.key for p in pictures] == [i % 12 == 0 for i in range(len(pictures))]
    last = [a.arrived_at for a in arrivals if a.packet.marker]
    assert [p.arrived_at for p in pictures] == last
    assert not any(p.gap for p in pictures)


def test_every_single_lost_packet_is_noticed(card):
    """Whichever packet is missing, its picture is not handed over, and the next one knows."""
    arrivals = in_order(card)[:40]
    for missing in range(1, 30):
        marked = [a for i, a in enumerate(arrivals) if i != missing]
        marked[missing] = Arrival(marked[missing].packet, marked[missing].arrived_at, gap=True)
        lost = arrivals[missing].packet.timestamp
        pictures = assemble(marked)
        assert lost not in [p.timestamp for p in pictures if p.data is not None], missing
        after = [p for p in pictures if p.timestamp >= lost]
        assert after[0].gap, missing


@pytest.mark.parametrize("skipped", [1, 2, 7, 11, 12, 13, 16, 24])
def test_pictures_that_were_never_sent_are_noticed_without_a_gap_among_the_packets(card, skipped):
    """libav decodes such pictures without a word, from the wrong references."""
    sent = (*card.pictures[:15], *card.pictures[15 + skipped :])
    arrivals, sequence = [], 0
    for picture in sent:
        index = card.pictures.index(picture)
        payloads = [p for unit in picture.units for p in fragments(unit)]
        for number, payload in enumerate(payloads):
            packet = RtpPacket(96, sequence, index, 7, number == len(payloads) - 1, payload)
            arrivals.append(Arrival(packet, index, gap=False))
            sequence += 1
    pictures = assemble(arrivals, card)
    assert [p.timestamp for p in pictures if p.gap] == [15 + skipped]


def test_a_missing_first_slice_of_several_is_noticed():
    first, second = b"\x65\x88\x80", b"\x65\x00\xf0"  # first_mb_in_slice 0 and more than 0
    whole = [RtpPacket(96, 0, 5, 1, False, first), RtpPacket(96, 1, 5, 1, True, second)]
    assert assemble([Arrival(p, 0, gap=False) for p in whole])[0].data is not None
    assert assemble([Arrival(whole[1], 0, gap=True)])[0].data is None


def test_parameter_sets_sent_as_a_picture_of_their_own_belong_to_the_next(card):
    (sps, pps), key = card.parameters, b"\x65\x88\x80"
    aggregate = b"\x18" + b"".join(len(u).to_bytes(2, "big") + u for u in (sps, pps))
    sent = [RtpPacket(96, 0, 5, 1, True, aggregate), RtpPacket(96, 1, 5, 1, True, key)]
    pictures = assemble([Arrival(p, 0, gap=False) for p in sent])
    assert [p.data for p in pictures] == [START_CODE + sps + START_CODE + pps + START_CODE + key]


@pytest.mark.parametrize("payload", [b"\xff\x00\x00", b"\x7c", b"\x7c\x05abc", b"\x18\x00\x09ab"])
def test_payloads_that_make_no_sense_break_their_picture_only(payload, card):
    arrivals = in_order(card)
    bad = Arrival(RtpPacket(96, 0, 2**31, 7, True, payload), 0, gap=False)
    pictures = assemble([*arrivals[:1], bad, *arrivals])
    assert [p.data for p in pictures[-len(card.pictures) :]] == [stream(p) for p in card.pictures]
    assert pictures[1].data is None and pictures[1].gap


def receive(programme, plan, seed, rounds):
    """(pictures sent, {stamp: pixels} delivered, {cause: n}) through a faulty link."""
    link, sequencer, assembler = (
        Link(seed, ordered=False),
        Sequencer(50 * MS, 200),
        assembler_of(programme),
    )
    decoder, needs_key = Decoder(programme.parameters), True
    arrivals, delivered, dropped = [], {}, {"lost": 0, "no key": 0, "corrupt": 0}
    sent = 0
    for ms, packet in packets(programme, rounds):
        now = ms / 1000
        sent += packet.marker
        payload = link.corrupted(packet.payload, now, plan)
        changed = RtpPacket(96, packet.sequence, packet.timestamp, 7, packet.marker, payload)
        arrivals += [(due, changed) for due, data in link.carry(b"", now, plan) if data == b""]
    for due, packet in sorted(arrivals, key=lambda arrival: arrival[0]):
        for arrival in sequencer.push(packet, round(due * 1000 * MS)):
            for picture in assembler.push(arrival):
                needs_key |= picture.gap
                if picture.data is None:
                    dropped["lost"] += 1
                elif needs_key and not picture.key:
                    dropped["no key"] += 1
                else:
                    try:
                        delivered[picture.timestamp] = decoder.decode(picture.data)
                        needs_key = False
                    except CorruptPicture:
                        dropped["corrupt"] += 1
                        decoder, needs_key = Decoder(programme.parameters), True
    return sent, delivered, dropped


@pytest.mark.parametrize(
    ("fault", "least"),
    [("loss=0.001", 0.9), ("loss=0.01", 0.6), ("loss=0.05", 0.1), ("loss=0.1", 0.005),
     ("burst=0.001", 0.7), ("reorder=0.05", 1.0), ("jitter=0.004", 0.97), ("duplicate=0.1", 1.0),
     ("corrupt=0.002", 0.7)],
)  # fmt: skip
def test_no_corrupt_frame_is_ever_delivered(fault, least, card, card_truth):
    name, _, value = fault.partition("=")
    plan = FaultPlan((Fault(name, float(value)),))
    sent, delivered, dropped = receive(card, plan, seed=11, rounds=8)
    for stamp, pixels in delivered.items():
        assert np.array_equal(pixels, card_truth.frames[stamp % len(card.pictures)]), stamp
    assert len(delivered) >= least * sent
    if name in ("loss", "burst"):
        assert dropped["lost"] + dropped["no key"] > 0
        assert len(delivered) + sum(dropped.values()) <= sent
    if name == "corrupt":
        assert dropped["corrupt"] > 0


def test_the_same_holds_for_a_real_recording(shared_data):
    whole = load_recording(shared_data / "neon-recording")
    programme = replace(whole, pictures=whole.pictures[40:80])
    truth = Truth(replace(whole, pictures=whole.pictures[:80]), 0)
    plan = FaultPlan((Fault("loss", 0.001),))
    sent, delivered, dropped = receive(programme, plan, seed=5, rounds=1)
    assert sent == 40 and 0 < len(delivered) <= 20
    assert dropped["lost"] > 0
    for stamp, pixels in delivered.items():
        assert np.array_equal(pixels, truth.frames[40 + stamp])


def test_random_bytes_in_place_of_a_picture_are_refused(card):
    draw = random.Random(3)
    decoder = Decoder(card.parameters)
    decoder.decode(stream(card.pictures[0]))
    with pytest.raises(CorruptPicture):
        decoder.decode(START_CODE + b"\x41" + draw.randbytes(2000))


@pytest.mark.parametrize("size", [(160, 120), (1600, 1200), (1088, 1080), (178, 98)])
def test_the_size_is_read_from_the_parameters(size):
    programme = draw_test_card(seconds=0.1, width=size[0], height=size[1], rate=10)
    parameters = parse_parameters(programme.parameters[0])
    assert (parameters.width, parameters.height) == size


def test_the_size_of_a_real_neon():
    parameters = parse_parameters(bytes.fromhex("6742801fda0190097a6a000c000da1426a"))
    assert (parameters.width, parameters.height) == (1600, 1200)
