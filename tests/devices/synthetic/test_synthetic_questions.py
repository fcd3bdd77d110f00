"""The questions about a wearer: options in sight, answers right, letters balanced."""

from collections import Counter

import numpy as np
import pytest

from devices.synthetic.questions import (
    ACTIONS,
    ASKERS,
    FAP,
    GSM,
    GTA,
    NFI,
    OAA,
    OAR,
    OI_EASY,
    OI_HARD,
    OTP,
    SR,
)
from devices.synthetic.wearer import Wearer


@pytest.fixture(scope="module")
def asked():
    """For every task, questions with the moments they were asked at."""
    found = {task: [] for task in ASKERS}
    for seed in range(150):
        wearer = Wearer((7, seed), 20.0)
        random = np.random.default_rng(seed)
        for seconds in (9.0, 14.0, 19.0):
            moment = wearer.moment(seconds)
            for task, ask in ASKERS.items():
                question = ask(random, moment)
                if question is not None:
                    found[task].append((question, moment))
    return found


def right(question):
    return question.options["ABCD".index(question.answer)]


def things(moment):
    return {thing.name: thing for thing in moment.scene.things}


def test_all_ten_tasks_are_asked(asked):
    assert len(ASKERS) == 10
    assert all(len(questions) >= 20 for questions in asked.values())


def test_every_option_is_in_sight(asked):
    for task in (OI_EASY, OI_HARD, NFI, OTP, SR):
        for question, moment in asked[task]:
            names = {moment.scene.things[place].name for place in moment.present}
            assert len(set(question.options)) == 4
            assert set(question.options) <= names
    for question, moment in asked[OAR]:
        seen = [moment.scene.things[place] for place in moment.present]
        attributes = {thing.colour for thing in seen} | {thing.kind for thing in seen}
        assert set(question.options) <= attributes


def test_letters_are_balanced(asked):
    for task in (OI_EASY, OI_HARD, OAR):
        letters = Counter(question.answer for question, _ in asked[task])
        assert set(letters) == set("ABCD")
        assert max(letters.values()) < 0.4 * sum(letters.values())


def test_yes_and_no_are_balanced(asked):
    for task in (GTA, OAA):
        answers = [question.answer for question, _ in asked[task]]
        assert 0.38 < answers.count("A") / len(answers) < 0.62


def test_present_tasks_name_what_is_looked_at(asked):
    for task, name_of in (
        (OI_EASY, lambda thing: thing.name),
        (OI_HARD, lambda thing: thing.name),
        (FAP, lambda thing: ACTIONS[thing.kind]),
    ):
        for question, moment in asked[task]:
            assert right(question) == name_of(moment.scene.things[moment.gaze])
    for question, moment in asked[OAR]:
        thing = moment.scene.things[moment.gaze]
        assert right(question) in (thing.colour, thing.kind)


def test_the_hard_options_cross_kinds_and_colours(asked):
    for question, moment in asked[OI_HARD]:
        four = [things(moment)[option] for option in question.options]
        assert len({thing.kind for thing in four}) == len({thing.colour for thing in four}) == 2


def test_what_was_not_fixated_was_not_and_the_others_were(asked):
    for question, moment in asked[NFI]:
        looked = {moment.scene.things[place].name for place in moment.looked_at}
        assert right(question) not in looked
        assert set(question.options) - {right(question)} <= looked


def test_transitions_and_sequences_follow_the_order_of_gaze(asked):
    for question, moment in asked[OTP]:
        order = [moment.scene.things[place].name for place in moment.looked_at]
        before = next(name for name in order if name in question.text)
        assert order[order.index(before) + 1] == right(question)
    for question, moment in asked[GSM]:
        last = [moment.scene.things[place].name for place in moment.looked_at[-3:]]
        assert right(question) == ", ".join(last)


def test_gaze_alerts_say_yes_only_for_what_is_looked_at(asked):
    for question, moment in asked[GTA]:
        named = [
            thing
            for thing in moment.scene.things
            if thing.name in question.text
            or f"the {thing.kind}" in question.text
            or f"something {thing.colour}" in question.text
        ]
        assert len(named) == 1
        looked_at = moment.gaze is not None and moment.scene.things[moment.gaze] == named[0]
        assert (question.answer == "A") == looked_at


def test_appearance_alerts_say_yes_only_for_what_is_there(asked):
    for question, moment in asked[OAA]:
        there = [moment.scene.things[place].name for place in moment.present]
        assert (question.answer == "A") == any(name in question.text for name in there)


def test_nearest_is_measured_on_the_table(asked):
    for question, moment in asked[SR]:
        known = things(moment)
        (subject,) = [thing for name, thing in known.items() if name in question.text]
        gaps = {
            name: np.hypot(known[name].x - subject.x, known[name].y - subject.y)
            for name in question.options
        }
        assert right(question) == min(gaps, key=gaps.get)
