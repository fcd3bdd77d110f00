"""The ten tasks of StreamGaze, asked about a synthetic wearer, with their answers.

Every option of a multiple-choice question names something that is on the table, and the right one
is as likely at every letter. Yes and No are as likely, and in both cases the thing asked about is
in the scene (or, for appearance, may yet come).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from devices.synthetic.scene import Thing
from devices.synthetic.shapes import COLOURS, KINDS
from devices.synthetic.wearer import Moment
from devices.synthetic.wordings import (
    AFTERWARDS,
    APPEARANCE_ALERTS,
    COLOUR,
    FUTURE,
    GAZE_ALERTS,
    IDENTITY,
    KIND,
    NEAREST,
    ORDER,
    SEEN,
    UNSEEN,
)

CHOICES = 4
LETTERS = "ABCD"
YES_NO = ("Yes", "No")
ACTIONS = {
    "cup": "drink",
    "knife": "cut bread",
    "plate": "serve food",
    "bottle": "pour water",
    "book": "read",
    "key": "unlock a door",
    "hammer": "drive a nail",
    "star": "decorate",
}


@dataclass(frozen=True, slots=True)
class TaskQuestion:
    """A question with its answer: a letter where there are `options`, else the words.

    `hint` says in words what has to be seen to answer; None where no words were written for it.
    """

    task: str
    text: str
    options: tuple[str, ...]
    answer: str
    hint: str | None = None


Asker = Callable[[np.random.Generator, Moment], TaskQuestion | None]


def pick(random: np.random.Generator, options: Sequence[str]) -> str:
    """One of several, each as likely."""
    return options[int(random.integers(len(options)))]


def described(random: np.random.Generator, moment: Moment, thing: Thing) -> str:
    """A thing as a person calls it: by kind or colour alone only where that is unambiguous.

    The kind alone, "the knife", is what people say most.
    """
    things = moment.scene.things
    names = [f"the {thing.name}"]
    if sum(other.kind == thing.kind for other in things) == 1:
        names += [f"the {thing.kind}"] * 2
    if sum(other.colour == thing.colour for other in things) == 1:
        names.append(f"something {thing.colour}")
    return pick(random, names)


def _choice(
    random: np.random.Generator,
    task: str,
    text: str,
    right: str,
    wrong: Sequence[str],
    hint: str | None = None,
) -> TaskQuestion | None:
    """A question of four options at random letters, None where there are too few wrong ones."""
    others = list(dict.fromkeys(option for option in wrong if option != right))
    if len(others) < CHOICES - 1:
        return None
    chosen = [others[place] for place in random.permutation(len(others))[: CHOICES - 1]]
    place = int(random.integers(CHOICES))
    options = (*chosen[:place], right, *chosen[place:])
    return TaskQuestion(task, text, options, LETTERS[place], hint)


def _gazed(moment: Moment) -> Thing | None:
    return None if moment.gaze is None else moment.scene.things[moment.gaze]


def _looking_at(moment: Moment) -> str:
    thing = _gazed(moment)
    return f"I am looking at the {thing.name if thing else 'table'}."


def _names(moment: Moment, places: Sequence[int]) -> list[str]:
    return [moment.scene.things[place].name for place in places]


def identity_easy(random: np.random.Generator, moment: Moment) -> TaskQuestion | None:
    """What is looked at, among things that share nothing."""
    thing = _gazed(moment)
    if thing is None or moment.scene.crossed:
        return None
    names = _names(moment, moment.present)
    text = pick(random, IDENTITY)
    return _choice(random, OI_EASY, text, thing.name, names, _looking_at(moment))


def identity_hard(random: np.random.Generator, moment: Moment) -> TaskQuestion | None:
    """What is looked at, among things that share their kind or their colour with it."""
    thing = _gazed(moment)
    if thing is None or moment.gaze not in moment.scene.crossed:
        return None
    names = _names(moment, moment.scene.crossed)
    text = pick(random, IDENTITY)
    return _choice(random, OI_HARD, text, thing.name, names, _looking_at(moment))


def attribute(random: np.random.Generator, moment: Moment) -> TaskQuestion | None:
    """The colour or the kind of what is looked at, among those on the table."""
    thing = _gazed(moment)
    if thing is None:
        return None
    things = [moment.scene.things[place] for place in moment.present]
    hint = _looking_at(moment)
    if random.random() < 0.5:
        text = pick(random, COLOUR)
        return _choice(random, OAR, text, thing.colour, [each.colour for each in things], hint)
    text = pick(random, KIND)
    return _choice(random, OAR, text, thing.kind, [each.kind for each in things], hint)


def future_action(random: np.random.Generator, moment: Moment) -> TaskQuestion | None:
    """What the wearer will do, which follows from the kind of thing looked at."""
    thing = _gazed(moment)
    if thing is None:
        return None
    actions = [ACTIONS[moment.scene.things[place].kind] for place in moment.present]
    text = pick(random, FUTURE)
    return _choice(random, FAP, text, ACTIONS[thing.kind], actions, _looking_at(moment))


def not_fixated(random: np.random.Generator, moment: Moment) -> TaskQuestion | None:
    """What has not been looked at, among things that have."""
    looked = set(moment.looked_at)
    unseen = [place for place in moment.present if place not in looked]
    if not unseen or len(looked) < CHOICES - 1:
        return None
    right = _names(moment, [int(random.choice(unseen))])[0]
    text = pick(random, UNSEEN)
    return _choice(random, NFI, text, right, _names(moment, sorted(looked)))


def fixated(random: np.random.Generator, moment: Moment) -> TaskQuestion | None:
    """What has been looked at before, among things that have not: no task of StreamGaze's."""
    looked = set(moment.looked_at) - {moment.gaze}
    unseen = [place for place in moment.present if place not in moment.looked_at]
    if not looked:
        return None
    right = _names(moment, [int(random.choice(sorted(looked)))])[0]
    return _choice(random, FIX, pick(random, SEEN), right, _names(moment, unseen))


def transition(random: np.random.Generator, moment: Moment) -> TaskQuestion | None:
    """What was looked at right after another thing."""
    order = moment.looked_at
    once = [at for at in range(len(order) - 1) if order.count(order[at]) == 1]
    if not once:
        return None
    at = int(random.choice(once))
    before, after = _names(moment, order[at : at + 2])
    wrong = [name for name in _names(moment, moment.present) if name not in (before, after)]
    text = pick(random, AFTERWARDS).format(before)
    return _choice(random, OTP, text, after, wrong)


def sequence(random: np.random.Generator, moment: Moment) -> TaskQuestion | None:
    """In which order the last three different things were looked at."""
    last = moment.looked_at[-3:]
    if len(set(last)) < 3:
        return None
    orders = [", ".join(_names(moment, order)) for order in permutations(last)]
    text = pick(random, ORDER)
    return _choice(random, GSM, text, orders[0], orders[1:])


def recall(random: np.random.Generator, moment: Moment) -> TaskQuestion | None:
    """Which thing lies nearest to another: a matter of the scene, not of gaze."""
    things = moment.scene.things
    asked = int(random.choice(moment.present))
    gaps = {
        place: float(np.hypot(things[place].x - things[asked].x, things[place].y - things[asked].y))
        for place in moment.present
        if place != asked
    }
    nearest = sorted(gaps, key=gaps.__getitem__)
    if len(nearest) < CHOICES or gaps[nearest[1]] < 1.2 * gaps[nearest[0]]:
        return None
    text = NEAREST.format(things[asked].name)
    names = _names(moment, nearest)
    return _choice(random, SR, text, names[0], names[1:])


def gaze_alert(random: np.random.Generator, moment: Moment) -> TaskQuestion | None:
    """Whether the thing asked about is looked at now; something else is, if not."""
    wanted = random.random() < 0.5
    others = [place for place in moment.present if place != moment.gaze]
    if wanted and moment.gaze is None:
        return None
    place = moment.gaze if wanted else int(random.choice(others))
    name = described(random, moment, moment.scene.things[place])
    text = pick(random, GAZE_ALERTS).format(name)
    return _yes_no(GTA, text, wanted, _looking_at(moment))


def appearance_alert(random: np.random.Generator, moment: Moment) -> TaskQuestion | None:
    """Whether a thing is there: one that lies on the table, or one that is not there (yet)."""
    wanted = random.random() < 0.5
    things = moment.scene.things
    if wanted:
        name = f"the {things[int(random.choice(moment.present))].name}"
    else:
        there = {things[place].name for place in moment.present}
        absent = [name for name in ALL_NAMES if name not in there]
        late = [thing.name for thing in things if thing.appears > moment.seconds]
        name = f"the {pick(random, late or absent)}"
    return _yes_no(OAA, pick(random, APPEARANCE_ALERTS).format(name), wanted, None)


def _yes_no(task: str, text: str, wanted: bool, hint: str | None) -> TaskQuestion:
    return TaskQuestion(task, text, YES_NO, "A" if wanted else "B", hint)


def spoken(random: np.random.Generator, moment: Moment) -> TaskQuestion | None:
    """A question that is answered in words."""
    thing = _gazed(moment)
    if random.random() < 0.6:
        answer = f"a {thing.name}" if thing else "the table"
        return TaskQuestion(FREE, pick(random, IDENTITY), (), answer, _looking_at(moment))
    if thing is None:
        return None
    text = pick(random, COLOUR)
    return TaskQuestion(FREE, text, (), thing.colour, _looking_at(moment))


ALL_NAMES = tuple(f"{colour} {kind}" for colour in COLOURS for kind in KINDS)
GSM = "past_gaze_sequence_matching"
NFI = "past_non_fixated_object_identification"
OTP = "past_object_transition_prediction"
SR = "past_scene_recall"
FAP = "present_future_action_prediction"
OAR = "present_object_attribute_recognition"
OI_EASY = "present_object_identification_easy"
OI_HARD = "present_object_identification_hard"
GTA = "proactive_gaze_triggered_alert"
OAA = "proactive_object_appearance_alert"
FREE = "free_text"
FIX = "fixated_object"
ASKERS: dict[str, Asker] = {
    GSM: sequence,
    NFI: not_fixated,
    OTP: transition,
    SR: recall,
    FAP: future_action,
    OAR: attribute,
    OI_EASY: identity_easy,
    OI_HARD: identity_hard,
    GTA: gaze_alert,
    OAA: appearance_alert,
}


def presence_alert(random: np.random.Generator, task: str, name: str) -> str:
    """The wording of an alert about a thing of this name: GTA's or OAA's."""
    return pick(random, GAZE_ALERTS if task == GTA else APPEARANCE_ALERTS).format(f"the {name}")
