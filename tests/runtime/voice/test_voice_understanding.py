"""What is for the glasses and what is not; options as people say them."""

from pathlib import Path

import pytest

from devices.synthetic.wordings import (
    AFTERWARDS,
    COLOUR,
    FUTURE,
    GAZE_ALERTS,
    IDENTITY,
    KIND,
    NEAREST,
    UNSEEN,
)
from runtime.answers.heard import Standing
from runtime.answers.questions import Question
from runtime.voice.spoken_options import spoken_options
from runtime.voice.understanding import meaning, pointing_words

CHATTER = (Path(__file__).parent / "chatter.txt").read_text(encoding="utf-8").splitlines()
ASKED = (*IDENTITY, *COLOUR, *KIND, *FUTURE, *UNSEEN, *AFTERWARDS, NEAREST)


@pytest.mark.parametrize("text", [text.format("the knife") for text in ASKED])
def test_what_a_wearer_asks_is_asked(text):
    found = meaning(text)
    assert (found.taken_as, found.wish) == ("question", Question(text))


@pytest.mark.parametrize("text", [text.format("the knife") for text in GAZE_ALERTS])
def test_a_standing_request_is_one(text):
    assert meaning(text).wish == Standing(text)


def test_a_standing_request_ends():
    found = meaning("Stop telling me about the knife.")
    assert found.wish == Standing("Stop telling me about the knife.", begins=False)


@pytest.mark.parametrize("text", ["Stop.", "stop", " Stop it!", "You. Stop."])
@pytest.mark.parametrize("wake", [None, "gaze"])
def test_stop_is_obeyed_whatever_gates_the_rest(text, wake):
    assert meaning(text, wake).taken_as == "stop"


@pytest.mark.parametrize("text", ["You.", "Okay.", "Thank you.", "Uh.", "", "...", "You. Okay."])
def test_stray_words_of_a_codec_are_nothing(text):
    assert meaning(text).taken_as == "nothing"
    assert meaning(text, certain=True).taken_as == "nothing"


def test_stray_words_around_a_question_are_left_out():
    assert meaning("You. What is this? Okay.").wish == Question("What is this?")


def test_a_wake_word_is_taken_off_and_makes_certain():
    for said in ("Gaze, find the exit.", "gaze find the exit.", "Hey Gaze. find the exit."):
        assert meaning(said, "gaze").wish == Question("find the exit.")
    assert meaning("What is this?", "gaze").taken_as == "nothing"
    assert meaning("Gazelles are fast. What is this?", "gaze").taken_as == "nothing"
    assert meaning("Gaze.", "gaze").taken_as == "nothing"


def test_this_morning_points_at_nothing():
    assert meaning("How was the train this morning?").taken_as == "nothing"
    assert meaning("What is this?").taken_as == "question"
    words = pointing_words("What was this, and that, this evening?", 0, 100)
    assert [word.text for word in words] == ["this", "that"]


def test_of_ten_minutes_of_talk_no_sentence_is_taken_for_a_question():
    words = sum(len(line.split()) for line in CHATTER)
    questions = sum(line.endswith("?") for line in CHATTER)
    assert words > 1200 and questions > 30  # ten minutes at 120 words a minute
    taken = [line for line in CHATTER if meaning(line).taken_as != "nothing"]
    assert taken == []
    assert [line for line in CHATTER if meaning(line, "gaze").taken_as != "nothing"] == []


@pytest.mark.parametrize(
    ("text", "question", "options"),
    [
        ("Is it a cup, a bottle or a key?", None, ("a cup", "a bottle", "a key")),
        ("Is it a cup, a bottle, or a key?", None, ("a cup", "a bottle", "a key")),
        ("Is this a cup or a bottle?", None, ("a cup", "a bottle")),
        ("Is it red or green?", None, ("red", "green")),
        ("Is it red, green or blue?", None, ("red", "green", "blue")),
        ("What is it, red, green or blue?", None, ("red", "green", "blue")),
        ("Which did I look at first, the cup or the key?", None, ("the cup", "the key")),
        (
            "Which of these did I look at before? The green bottle or the blue key.",
            "Which of these did I look at before?",
            ("The green bottle", "the blue key"),
        ),
        ("What am I looking at?", None, ()),
        ("What did I look at before the fork?", None, ()),
    ],
)
def test_options_may_be_spoken(text, question, options):
    assert spoken_options(text) == (question or text, options)


def test_more_options_than_letters_are_no_options():
    text = "Is it " + ", ".join(f"a thing{n}" for n in range(9)) + " or a key?"
    assert spoken_options(text) == (text, ())


def test_pointing_words_lie_where_they_stand_in_the_sentence():
    words = pointing_words("Is this here like that?", 0, 23_000)
    assert [(word.text, word.at) for word in words] == [
        ("this", 5000), ("here", 10000), ("that", 20000),
    ]  # fmt: skip
