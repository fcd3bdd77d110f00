"""Models are gone when nobody has them any more: a real one takes gigabytes."""

import weakref

import numpy as np

from runtime.bundle.opening import Bundle
from runtime.model.models import Models
from runtime.run.command_line import MINI


def test_models_that_have_run_are_gone_with_their_last_user():
    models = Models(Bundle.open(MINI))
    pair = np.zeros((2, 112, 112, 3), np.uint8)
    features, _ = models.features(pair, 1), models.visual(pair)
    models.residuals(models.scene(features, 0, 1, (4, 4)), np.zeros(64, np.float32))
    models.context((4, 4), 60).append_text(np.array([1, 2]))
    alive = [weakref.ref(models), weakref.ref(models.in_rows(4))]
    del models
    assert [each() for each in alive] == [None, None]
