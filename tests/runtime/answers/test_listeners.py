"""Everybody is told everything, in order, whatever one of them does."""

import pytest

from runtime.answers.listeners import Listeners, Notice, Piece


def failing(news):
    raise ValueError("broken")


def test_all_are_told_in_the_order_in_which_it_happened():
    listeners, one, other = Listeners(), [], []
    listeners.subscribe("one", one.append)
    listeners.subscribe("other", other.append)
    listeners.notice("a line")
    listeners.piece("a word")
    assert one == other == [Notice("a line"), Piece("a word")]
    assert not listeners.failures


def test_one_that_fails_costs_the_others_nothing_and_is_counted():
    listeners, before, after = Listeners(), [], []
    listeners.subscribe("screen", before.append)
    listeners.subscribe("page", failing)
    listeners.subscribe("record", after.append)
    for number in range(3):
        listeners.piece(str(number))
    listeners.close()
    told = [news.text for news in after if isinstance(news, Piece)]
    assert told == ["0", "1", "2"]
    assert listeners.failures == {"page": 3}
    lines = [news.line for news in before if isinstance(news, Notice)]
    assert lines == ["the page failed: ValueError: broken", "the page failed 3 times in all"]


def test_where_all_fail_all_are_counted():
    listeners = Listeners()
    listeners.subscribe("one", failing)
    listeners.subscribe("other", failing)
    listeners.notice("a line")
    assert listeners.failures["one"] >= 1
    assert listeners.failures["other"] >= 1


def test_a_name_is_one_listeners_own():
    listeners = Listeners()
    listeners.subscribe("page", print)
    with pytest.raises(ValueError, match="page"):
        listeners.subscribe("page", print)


def test_what_is_no_failure_ends_a_run():
    def interrupted(news):
        raise KeyboardInterrupt

    listeners = Listeners()
    listeners.subscribe("screen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        listeners.notice("a line")
