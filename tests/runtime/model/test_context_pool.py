"""A step that can't be computed closes every context that it was appended to, and no other."""

from types import SimpleNamespace

import pytest

from runtime.errors import NotFiniteError
from runtime.model.context_pool import ContextPool

PLAN = SimpleNamespace(
    pair=SimpleNamespace(key=(1, 2)), time=2, gaze=SimpleNamespace(fixations=(), gaze_at=None)
)
SOUND, BROKEN = (SimpleNamespace(visual=told, residuals=None, plan=PLAN) for told in (1, None))


class Kept:
    """Holds what it is given; `BROKEN` is no number to it."""

    def __init__(self, saves_runs, deaf=False):
        self.saves_runs, self.deaf, self.held = saves_runs, deaf, []

    def append_step(self, visual, residuals):
        if visual is None and not self.deaf:
            raise NotFiniteError("no number")
        self.held.append(visual)

    def append_step_beside(self, other, visual, residuals):
        self.append_step(visual, residuals)
        other.append_step(visual, residuals)

    def clear(self):
        self.held.clear()


@pytest.mark.parametrize("saves_runs", [False, True])
def test_both_open_contexts_are_closed(saves_runs):
    pool = ContextPool(lambda: Kept(saves_runs), window=4)
    for step in (SOUND, SOUND, SOUND, BROKEN):
        assert not pool.is_emptied
        pool.append(step)
    assert pool.count == 0 and pool.is_emptied
    pool.append(SOUND)
    assert pool.longest.context.held == [1] and len(pool.longest.facts) == 1


def test_one_that_took_the_step_stays():
    made = iter([Kept(False), Kept(False, deaf=True)])
    pool = ContextPool(lambda: next(made), window=4)
    for step in (SOUND, SOUND, SOUND, BROKEN):
        pool.append(step)
    assert pool.count == 1 and pool.longest.context.deaf


@pytest.mark.parametrize("saves_runs", [False, True])
def test_both_hold_every_step_since_they_were_opened(saves_runs):
    pool = ContextPool(lambda: Kept(saves_runs), window=4)
    for _ in range(4):
        pool.append(SOUND)
    assert pool.count == 2 and len(pool.longest.facts) == 4
    pool.append(SOUND)
    assert pool.count == 2 and len(pool.longest.facts) == 3
