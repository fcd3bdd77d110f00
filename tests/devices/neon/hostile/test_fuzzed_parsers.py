"""Damaged inputs for every parser of the live devices; `fuzzing.py` runs more, with figures."""

import pytest
from fuzzing import PARSERS, SLOWEST, fuzz

CASES, MIB = 2_000, 2**20


@pytest.mark.damaged
@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_raises_only_its_own_in_time_and_within_its_memory(name, times_as_many):
    count = CASES * times_as_many // PARSERS[name].cost
    figures = fuzz(name, count)
    assert figures.wrong == ""
    assert figures.cases == count
    assert figures.accepted > 0
    assert figures.slowest <= SLOWEST
    assert figures.grown < 24 * MIB


def test_what_it_is_made_of_is_accepted():
    for name, parser in PARSERS.items():
        for good in parser.corpus:
            assert parser.accepts(good), name
