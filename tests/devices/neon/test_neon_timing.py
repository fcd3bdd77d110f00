"""Time echo and media clock: capture times stay right when the phone's clock drifts or jumps."""

import random

import pytest

from devices.neon.timing import ClockOffset, Echo, EchoFailed, StreamClock, offset_from, phone_time
from devices.neon.wire import SenderReport

SECOND = 1_000_000_000
MS = SECOND // 1000
START = 1_700_000_000 * SECOND
RATE = 90_000


@pytest.mark.parametrize("offset_ms", [0, -3000, 7_200_123])
def test_many_echoes_bound_the_offset_below_a_millisecond(offset_ms):
    draw = random.Random(4)
    offset, echoes = offset_ms * MS + 345_678, []
    for number in range(8):
        sent = START + number * 1_300_000
        read = sent + draw.randrange(100_000, 400_000)
        received = read + draw.randrange(100_000, 400_000)
        echoes.append(Echo(sent, received, (read - offset) // MS))
    assert abs(offset_from(echoes) - offset) < 0.4 * MS


def test_echoes_that_contradict_each_other_give_the_median():
    before = [Echo(START + i * MS, START + i * MS, START // MS + i) for i in range(6)]
    after = [Echo(START + i * MS, START + i * MS, START // MS + i + 5000) for i in (6, 7)]
    assert abs(offset_from(before + after)) < MS


class Wire:
    """A phone and its stream in simulated time: one packet every 5 ms, sent when captured."""

    def __init__(self, stamps_follow_clock=False):
        self.follow = stamps_follow_clock
        self.ahead = [(0, 3 * SECOND)]
        self.asked = 0
        self.clock = StreamClock(RATE, self._ask)
        self.base = 2**32 - 50_000  # wraps within the first second

    def _ask(self):
        self.asked += 1

    def unix(self, moment):
        ahead = sum(step for at, step in self.ahead if at <= moment)
        return moment + (moment - START) // 10_000 + ahead  # 100 ppm

    def stamp(self, moment):
        media = self.unix(moment) if self.follow else moment + (moment - START) // 10_000
        return (self.base + media * RATE // SECOND) % 2**32

    def report(self, moment):
        self.clock.report(SenderReport(1, self.unix(moment), self.stamp(moment)), moment)

    def echo(self, moment):
        self.clock.set_offset(ClockOffset(moment - self.unix(moment), moment))

    def run(self, begin, end, echo_every=500 * MS, report_every=SECOND, echo_on_demand=True):
        """{moment: error of the capture time, or None} of the packets captured in between."""
        errors = {}
        for moment in range(begin, end, 5 * MS):
            since = moment - START
            if since % report_every == 0:
                self.report(moment)
            if since % echo_every == 0 or (echo_on_demand and self.asked):
                self.echo(moment)
                self.asked = 0
            dated = self.clock.date(self.stamp(moment), moment)
            errors[moment] = None if dated is None else dated - moment
        return errors


def test_nothing_is_dated_before_the_first_report_and_the_first_echo():
    wire = Wire()
    assert wire.clock.date(wire.stamp(START), START) is None
    wire.echo(START)
    assert wire.clock.date(wire.stamp(START), START) is None
    other = Wire()
    other.report(START)
    assert other.clock.date(other.stamp(START), START) is None
    other.echo(START)
    assert abs(other.clock.date(other.stamp(START), START) - START) < MS


def test_drift_of_100_ppm_over_ten_minutes_stays_below_a_millisecond():
    errors = Wire().run(START, START + 600 * SECOND)
    assert None not in errors.values()
    assert max(map(abs, errors.values())) < MS


@pytest.mark.parametrize("follow", [False, True], ids=["steady stamps", "stamps that jump"])
@pytest.mark.parametrize(
    "step", [3600 * SECOND, -3600 * SECOND, 5 * SECOND, -5 * SECOND, SECOND // 5, -SECOND // 5]
)
@pytest.mark.parametrize("after_report_ms", [105, 355, 905])
@pytest.mark.parametrize("echo_on_demand", [True, False])
def test_a_step_is_followed_within_two_seconds(follow, step, after_report_ms, echo_on_demand):
    wire = Wire(stamps_follow_clock=follow)
    step_at = START + 3 * SECOND + after_report_ms * MS
    wire.ahead.append((step_at, step))
    errors = wire.run(START, step_at + 4 * SECOND, echo_on_demand=echo_on_demand)
    settled = {m: e for m, e in errors.items() if m > step_at + 2 * SECOND}
    assert None not in settled.values()
    assert max(map(abs, settled.values())) < 5 * MS
    if not follow:
        assert None not in errors.values()
        assert max(abs(e) for e in errors.values()) < 5 * MS
    before = [e for m, e in errors.items() if m < step_at]
    assert max(map(abs, before)) < MS


@pytest.mark.parametrize("what", ["echo", "report"])
@pytest.mark.parametrize("lie", [START, 3600 * SECOND, 11 * SECOND, -SECOND, -3600 * SECOND])
def test_a_clock_that_would_date_its_own_report_amiss_is_not_believed(what, lie):
    """Said again and again; the phone's clock was known before, and is known again afterwards."""
    wire = Wire()
    errors = wire.run(START, START + 3 * SECOND)
    honest = wire.unix
    lying = Wire()
    lying.clock, lying.base = wire.clock, wire.base
    setattr(wire, what, lambda moment: getattr(lying, what)(moment))
    lying.unix = lambda moment: honest(moment) + (lie if what == "echo" else -lie)
    lying.stamp = wire.stamp
    errors |= wire.run(START + 3 * SECOND, START + 13 * SECOND)
    delattr(wire, what)
    errors |= wire.run(START + 13 * SECOND, START + 16 * SECOND)
    assert None not in errors.values()
    assert max(map(abs, errors.values())) < 5 * MS


def test_a_packet_from_the_future_is_not_dated_and_asks_for_an_echo():
    wire = Wire(stamps_follow_clock=True)
    wire.run(START, START + SECOND)
    wire.asked = 0
    wire.ahead.append((START + SECOND, 5 * SECOND))
    assert wire.clock.date(wire.stamp(START + SECOND), START + SECOND) is None
    assert wire.asked


def test_a_late_packet_keeps_its_capture_time():
    wire = Wire()
    wire.run(START, START + SECOND)
    dated = wire.clock.date(wire.stamp(START + SECOND // 2), START + 4 * SECOND)
    assert abs(dated - START - SECOND // 2) < MS


def test_a_packet_that_claims_to_be_older_than_can_be_is_not_dated():
    wire = Wire()
    wire.run(START, START + SECOND)
    arrived_at = START + 20 * SECOND
    wire.asked = 0
    assert wire.clock.date(wire.stamp(arrived_at - 9 * SECOND), arrived_at) is not None
    assert wire.clock.date(wire.stamp(arrived_at - 11 * SECOND), arrived_at) is None
    assert wire.asked


def test_an_echo_from_beyond_all_time_fails():
    with pytest.raises(EchoFailed, match="have passed since 1970"):
        phone_time(bytes(8) + b"\xff" * 8)
    assert phone_time(bytes(8) + (1_700_000_000_000).to_bytes(8, "big")) == 1_700_000_000_000
