"""A bundle that nobody could open is not begun."""

import re
from dataclasses import replace

import pytest

from export.checkpoints.common import CheckpointError
from export.inspection import check_plan
from runtime.bundle.opening import Bundle
from runtime.run.command_line import MINI


@pytest.mark.parametrize(
    ("part", "changes", "named"),
    [
        ("name", "a\x1b[2J", "its name"),
        ("geometry", {"decoder": {"layers": 10**9}}, "decoder.layers"),
        ("geometry", {"vision": {"temporal_patch": 4}}, "4 frames at a time"),
        ("settings", {"live_height": 5000}, "settings.live_height"),
        ("prompt", {"stop": ()}, "prompt.stop"),
        ("positions", {"tokens_per_second": 0.0}, "positions.tokens_per_second"),
    ],
)
def test_what_nobody_could_open_is_not_begun(tmp_path, part, changes, named):
    """Each of these was once found by whoever opened the bundle, hours after its export began."""
    manifest = Bundle.open(MINI).manifest
    parts = ("name", "geometry", "settings", "prompt", "positions")
    plan = {each: getattr(manifest, each) for each in parts}
    check_plan(tmp_path, **plan)
    with pytest.raises(CheckpointError, match=re.escape(named)):
        check_plan(tmp_path, **{**plan, part: _changed(plan[part], changes)})


def _changed(value, changes):
    if not isinstance(changes, dict):
        return changes
    parts = {name: _changed(getattr(value, name), change) for name, change in changes.items()}
    return replace(value, **parts)
