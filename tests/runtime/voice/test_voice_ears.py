"""Where speech begins and ends, what it is taken for, and at which moment: on an injected clock."""

import numpy as np
import pytest
from scripted_speech import MS, PIECE, RATE, SECOND, START, Scripted, fed, pieces, wave

from devices.clock import SimulatedClock
from devices.device import Delivery
from devices.samples import Sound
from runtime.answers.heard import Standing
from runtime.answers.questions import Question
from runtime.voice.ears import Ears, Reactions
from runtime.voice.segments import Segmenter

TWO = ["What am I looking at?", "Tell me when I look at the knife."]


class Around:
    """What ears set off."""

    def __init__(self, speaking=()):
        self.records, self.silenced, self.repeated, self.confirmed = [], [], [], []
        self.speaking = speaking
        self.clock = SimulatedClock(START)

    def reactions(self):
        return Reactions(
            self.records.append,
            self.records.append,
            lambda: self.silenced.append(self.clock.now()),
            lambda: self.repeated.append(self.clock.now()),
            self.confirmed.append,
            lambda begin, end: any(a <= end and b >= begin for a, b in self.speaking),
        )

    def ears(self, sentences, **options):
        return Ears(Scripted(sentences), self.clock, self.reactions(), **options)


def listened(sentences, spoken, seconds=6.0, lost=(), noise=0.001, tick=5 * MS, **options):
    around = Around(options.pop("speaking", ()))
    ears = around.ears(sentences, **options)
    sounds = pieces(wave(spoken, seconds, noise), lost=lost)
    return fed(ears, around.clock, sounds, START + round(seconds * SECOND), tick), around, ears


def moment_of(said):
    return (said.moment - START) / SECOND


def test_a_questions_moment_is_when_the_speech_ended_and_it_is_known_a_pause_later():
    found, around, ears = listened(TWO, [(0, 1.0, 2.0), (1, 3.5, 4.2)])
    (question, known), (request, _) = found
    assert question.wish == Question("What am I looking at?")
    assert request.wish == Standing("Tell me when I look at the knife.")
    assert moment_of(question) == pytest.approx(2.0, abs=0.03)
    assert moment_of(request) == pytest.approx(4.2, abs=0.03)
    assert 0.65 < (known - question.moment) / SECOND < 1.0
    assert question.heard.began_at == pytest.approx(START + SECOND, abs=60 * MS)
    assert [record.taken_as for record in around.records] == ["question", "standing request"]
    assert around.confirmed == [request.wish]
    arrived = [s for s in pieces(wave([], 6.0)) if s.arrived_at < START + 6 * SECOND]
    assert ears.used == len(arrived) and not ears.dropped and ears.is_idle


def test_it_comes_out_alike_however_the_sound_is_delivered():
    spoken = [(0, 1.0, 2.0), (1, 3.1, 3.9)]
    found = [listened(TWO, spoken, tick=tick)[0] for tick in (5 * MS, 90 * MS, 350 * MS)]
    for size in (160, 800, 4000):
        around = Around()
        sounds = pieces(wave(spoken, 6.0), size=size)
        found.append(fed(around.ears(TWO), around.clock, sounds, START + 6 * SECOND))
    assert len({tuple(said for said, _ in each) for each in found}) == 1


def test_utterances_parted_by_a_short_pause_are_one():
    spoken = [(0, 1.0, 1.6), (0, 2.1, 2.7)]
    assert len(listened(TWO, spoken)[0]) == 1
    assert moment_of(listened(TWO, spoken)[0][0][0]) == pytest.approx(2.7, abs=0.03)
    assert len(listened(TWO, spoken, pause=0.4)[0]) == 2


def test_until_it_is_known_what_was_said_nothing_later_is_decided():
    around = Around()
    ears = around.ears(TWO)
    waiting, said_at = pieces(wave([(0, 1.0, 2.0)], 4.0)), None
    while (now := around.clock.now()) < START + 4 * SECOND:
        here = tuple(sound for sound in waiting if sound.arrived_at <= now)
        waiting = waiting[len(here) :]
        before = ears.decided_until(now)
        if found := ears.hear(Delivery(here, now, now), now):
            said_at = now
            assert before <= found[0].moment
        until = ears.decided_until(now)
        speech = START + SECOND + 300 * MS < now < START + 2 * SECOND
        assert until <= now and (said_at or not speech or until < now)
        if said_at is None and now > START + 2200 * MS:
            assert until <= START + 2030 * MS
        around.clock.sleep_until(now + 5 * MS)
    assert said_at is not None and ears.decided_until(now) > START + 3500 * MS


def test_sound_that_stalls_holds_nothing_up():
    around = Around()
    ears = around.ears(TWO)
    fed(ears, around.clock, pieces(wave([(0, 0.5, 1.2)], 1.3)), START + 3 * SECOND)
    now = around.clock.now()
    assert ears.decided_until(now) == now and ears.is_idle
    assert [record.text for record in around.records] == [TWO[0]]


def test_lost_packets_move_no_moment():
    spoken = [(0, 1.0, 2.0), (1, 3.5, 4.3)]
    whole = listened(TWO, spoken)[0]
    holed = listened(TWO, spoken, lost={3, 4, 5, 10, 20, 29})[0]
    assert [said.wish for said, _ in holed] == [said.wish for said, _ in whole]
    for (one, _), (other, _) in zip(whole, holed, strict=True):
        assert abs(one.moment - other.moment) <= 130 * MS  # a packet that was lost is that long
        assert one.wish != whole[0][0].wish or one.moment == other.moment


def test_noise_at_twenty_decibels_is_no_speech_and_hides_none():
    found, _, _ = listened(TWO, [(0, 1.0, 2.0), (1, 3.5, 4.3)], noise=0.0141)
    assert [moment_of(said) for said, _ in found] == pytest.approx([2.0, 4.3], abs=0.05)
    assert listened(TWO, [], noise=0.05)[0] == []


def test_a_click_is_no_utterance_and_what_never_ends_is_cut():
    assert listened(TWO, [(0, 1.0, 1.1)])[1].records == []
    syllables = [(0, 1.0 + n / 2, 1.35 + n / 2) for n in range(58)]
    _, around, _ = listened(TWO, syllables, seconds=32.0)
    assert around.records[0].taken_as == "nothing" and "too long" in around.records[0].why


def test_stop_silences_before_its_pause_is_over_and_again_repeats():
    sentences = ["Stop.", "Again."]
    found, around, _ = listened(sentences, [(0, 1.0, 1.5), (1, 3.0, 3.5)])
    assert found == [] and len(around.silenced) == 1 and len(around.repeated) == 1
    assert (around.silenced[0] - START) / SECOND < 1.5 + 0.3 + 0.2
    assert [record.taken_as for record in around.records] == ["stop", "again"]


def test_its_own_voice_is_no_question_but_the_wearers_stop_within_it_is_obeyed():
    own = [(START + SECOND, START + 3 * SECOND)]
    found, around, _ = listened(TWO, [(0, 1.1, 2.8)], speaking=own)
    assert found == [] and around.silenced == []
    (record,) = around.records
    assert record.taken_as == "nothing" and "own voice" in record.why
    found, around, _ = listened(["A green bottle. Stop."], [(0, 1.1, 2.8)], speaking=own)
    assert found == [] and len(around.silenced) == 1


def test_with_headphones_speaking_silences_and_is_a_question():
    own = [(START + SECOND, START + 3 * SECOND)]
    found, around, _ = listened(TWO, [(0, 1.1, 2.0)], speaking=own, full_duplex=True)
    assert len(found) == 1
    assert (around.silenced[0] - START) / SECOND < 1.1 + 0.5


def test_a_wake_word_gates_all_but_stop_and_a_key_makes_certain():
    sentences = ["What am I looking at?", "Gaze, what am I looking at?", "Stop.", "The red one."]
    spoken = [(0, 1.0, 1.8), (1, 3.0, 3.8), (2, 5.0, 5.5)]
    found, around, _ = listened(sentences, spoken, seconds=7.0, wake="gaze")
    assert [said.wish.text for said, _ in found] == ["what am I looking at?"]
    assert [record.taken_as for record in around.records] == ["nothing", "question", "stop"]
    around = Around()
    ears = around.ears(sentences)
    sounds = pieces(wave([(3, 1.0, 1.6)], 3.0))
    fed(ears, around.clock, sounds, START + 1200 * MS)
    ears.push_to_talk(True)
    later = [sound for sound in sounds if sound.arrived_at > around.clock.now() - 5 * MS]
    found = fed(ears, around.clock, later, START + 3 * SECOND)
    assert [said.wish for said, _ in found] == [Question("The red one.")]


def test_pointing_words_have_their_moment():
    ((said, _),) = listened(["What is this?"], [(0, 1.0, 2.0)])[0]
    (word,) = said.heard.pointing
    assert word.text == "this"
    assert said.heard.began_at + 600 * MS < word.at < said.heard.ended_at


class Failing:
    def text(self, samples, rate):
        raise ValueError("broken")


def test_a_recogniser_that_fails_is_said_and_costs_nothing_else():
    around = Around()
    ears = Ears(Failing(), around.clock, around.reactions())
    assert fed(ears, around.clock, pieces(wave([(0, 1, 2)], 4)), START + 4 * SECOND) == []
    assert ears.is_idle and "broken" in around.records[0]


def test_sound_that_is_none_or_comes_too_late_is_dropped_by_cause():
    around = Around()
    ears = around.ears(TWO)
    bad = Sound(START, START, RATE, np.array([np.nan], np.float32))
    old = Sound(START - 9 * SECOND, START, RATE, np.zeros(PIECE, np.float32))
    ears.hear(Delivery((bad, old), START, START), START)
    assert ears.used == 0
    assert ears.dropped == {"not a valid sound": 1, "not heard in time": 1}


def test_a_long_hole_ends_what_was_said_and_begins_anew():
    segmenter, turns = Segmenter(0.7), []
    for sound in pieces(wave([(0, 0.5, 1.5)], 1.5)):
        turns += segmenter.feed(sound)
    for sound in pieces(wave([(0, 0.5, 1.5)], 3.0), start=START + 60 * SECOND):
        turns += segmenter.feed(sound)
    ended = [turn.utterance for turn in turns if turn.kind == "ended"]
    assert [round((u.ended_at - START) / SECOND, 1) for u in ended] == [1.5, 61.5]
