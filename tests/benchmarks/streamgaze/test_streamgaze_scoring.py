"""The official rules of StreamGaze, case by case, as its evaluation code decides them."""

import math
from itertools import product

import pytest

from benchmarks.streamgaze.data.scoring import (
    Score,
    alert_is_right,
    choice_is_right,
    letter,
    overall,
    question_weighted,
    score_alerts,
    score_choices,
)
from benchmarks.streamgaze.reporting.significance import mcnemar, wilson

LETTERS = [
    ("A", "A"),
    ("b", "B"),
    (" c \n", "C"),
    ("D.", "D"),
    ("(B)", "B"),
    ("B) knife", "B"),
    ("C: jar", "C"),
    ("Answer: D", "D"),
    ("The answer is B.", "B"),
    ("I think a cup, so B", "A"),  # the article is the first standalone letter
    ("a", "A"),
    ("it is a knife", "A"),
    ("AB", "AB"),  # no letter stands alone
    ("A B", "A"),
    ("B or A", "B"),
    ("A/B", "A"),
    ("A_B", "A_B"),  # an underscore belongs to a word
    ("A1", "A1"),
    ("option-C", "C"),
    ("E", "E"),
    ("knife", "KNIFE"),
    ("", ""),
    ("   ", ""),
    (None, ""),
    (2, "2"),
    ("None", "NONE"),
    ("don't know: D", "D"),
    ("D'accord", "D"),
    ("vitamin C", "C"),
]


@pytest.mark.parametrize(("answer", "wanted"), LETTERS)
def test_letter(answer, wanted):
    assert letter(answer) == wanted


CHOICES = [
    ("B", "B", True),
    ("B", "b. knife", True),
    ("B", "I think a cup, so B", False),
    ("A", "I think a cup, so B", True),
    ("A", "AB", False),
    ("C. jar", "C", True),  # the key is read as predictions are
    ("A", None, False),  # a prediction of None counts, as a wrong one
    ("A", "", False),
    ("", "A", None),  # without a key a question does not count
    (None, "A", None),
    ("", "", None),
    ("E", "e", True),
]


@pytest.mark.parametrize(("answer", "prediction", "wanted"), CHOICES)
def test_multiple_choice(answer, prediction, wanted):
    assert choice_is_right(answer, prediction) is wanted


ALERTS = [
    (1, "Yes", True),
    (1, "yes.", True),
    (1, " YES ", True),
    (1, "No", False),
    (1, "eyes on the cup", True),  # EYES holds YES
    (1, "I do not know", False),
    (0, "No", True),
    (0, "I do not know", True),  # NOT and KNOW hold NO
    (0, "nothing yet", True),
    (0, "Yes", False),
    (0, "yes and no", True),
    (1, "yes and no", True),
    (0, "", False),
    (1, "", False),
    (0, None, True),  # the text of None is NONE, which holds NO
    (1, None, False),
    (0, "A", False),
    (1, "A", False),
    (2, "No", True),  # whatever is not 1 expects No
    ("1", "Yes", False),
    (None, "Yes", None),  # without a type a test point does not count
]


@pytest.mark.parametrize(("kind", "response", "wanted"), ALERTS)
def test_alerts(kind, response, wanted):
    assert alert_is_right(kind, response) is wanted


def test_there_are_more_than_forty_cases():
    assert len(LETTERS) + len(CHOICES) + len(ALERTS) > 40


def test_a_file_of_choices_zips_questions_with_predictions():
    assert score_choices("ABCD", ["A", "B", "C"]) == Score(3, 3)  # the missing one does not count
    assert score_choices("AB", ["A", "B", "C"]) == Score(2, 2)
    assert score_choices(["A", "", "C"], ["B", "A", "c"]) == Score(1, 2)
    assert score_choices([], []) == Score(0, 0)


def test_a_missing_response_to_an_alert_is_wrong():
    points = [{"type": 1, "response": "Yes"}, {"type": 0}, {"type": 1}, {"response": "No"}]
    assert score_alerts(points) == Score(1, 3)


def test_overall_is_the_unweighted_mean_over_files():
    scores = [Score(9, 10), Score(1, 2), Score(0, 0)]
    assert overall(scores) == pytest.approx((0.9 + 0.5 + 0.0) / 3)
    assert question_weighted(scores) == Score(10, 12)
    assert overall([]) is None
    assert Score(0, 0).accuracy is None


@pytest.mark.parametrize(("correct", "total"), [(0, 10), (3, 7), (50, 100), (999, 1000), (5, 5)])
def test_wilson_ends_are_where_the_score_test_turns(correct, total):
    low, high = wilson(correct, total)
    share = correct / total
    for end in (low, high):
        if 0 < end < 1:  # |share - p| = z sqrt(p (1 - p) / n) there
            spread = 1.959963984540054 * math.sqrt(end * (1 - end) / total)
            assert abs(share - end) == pytest.approx(spread, rel=1e-9)
    assert low <= share <= high


def test_wilson_of_nothing_is_everything():
    assert wilson(0, 0) == (0.0, 1.0)


def flips(count):
    """p of every split of `count` coins, by listing all outcomes."""
    outcomes = [sum(coins) for coins in product((0, 1), repeat=count)]
    return [
        sum(min(heads, count - heads) <= min(one, count - one) for heads in outcomes) / 2**count
        for one in range(count + 1)
    ]


@pytest.mark.parametrize("count", [1, 2, 5, 8, 11])
def test_mcnemar_counts_the_splits_at_least_so_uneven(count):
    for one, wanted in enumerate(flips(count)):
        assert mcnemar(one, count - one) == pytest.approx(wanted)


def test_mcnemar_of_many():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(0, 2000) < 1e-300
    # The normal approximation with continuity correction, close for large numbers.
    z = (abs(5300 - 4700) - 1) / math.sqrt(10000)
    assert mcnemar(5300, 4700) == pytest.approx(math.erfc(z / math.sqrt(2)), rel=0.03)
