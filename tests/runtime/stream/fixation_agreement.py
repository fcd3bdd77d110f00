"""How well two lists of fixations agree, computed apart from any rule."""

import numpy as np


def matched(found, true):
    """Pairs (of `found`, of `true`) whose overlap is more than half of their union.

    `found`, `true`: (n, 2) starts and ends. More than half can be shared with one other only.
    """
    starts = np.maximum.outer(found[:, 0], true[:, 0])
    ends = np.minimum.outer(found[:, 1], true[:, 1])
    union = np.maximum.outer(found[:, 1], true[:, 1]) - np.minimum.outer(found[:, 0], true[:, 0])
    return np.argwhere((ends - starts).clip(0) > 0.5 * union)


def kappa(found, true, times):
    """Cohen's kappa, sample by sample: is it in a fixation?"""
    ours, theirs = (
        ((times[:, None] >= spans[:, 0]) & (times[:, None] <= spans[:, 1])).any(axis=1)
        for spans in (found, true)
    )
    table = np.array([[(ours & theirs).sum(), (ours & ~theirs).sum()],
                      [(~ours & theirs).sum(), (~ours & ~theirs).sum()]]) / times.size  # fmt: skip
    chance = table.sum(axis=0) @ table.sum(axis=1)
    return float((np.trace(table) - chance) / (1 - chance))
