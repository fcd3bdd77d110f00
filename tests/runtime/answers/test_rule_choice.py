"""Which rule finds fixations, and what it is told of the device."""

from dataclasses import replace

import pytest

from devices.device import DeviceInfo
from devices.samples import GazeSample
from runtime.answers.session import SessionOptions, fixation_rule
from runtime.bundle.manifest import Settings
from runtime.errors import RuntimeFault

MS = 1_000_000


@pytest.mark.parametrize(
    ("rule", "device", "line"),
    [
        ("device", {}, "listed tells no fixations of its own"),
        ("velocity", {"gaze_from": "fixation file"}, "no gaze, only a fixation file"),
        ("adaptive", {"gaze_from": "fixation file"}, "no gaze, only a fixation file"),
        ("dispersion", {"gaze_from": "fixation file"}, "no gaze, only a fixation file"),
    ],
)
def test_a_rule_that_the_source_can_not_feed_is_refused_in_one_line(rule, device, line):
    info, settings = DeviceInfo("listed", 160, 120, 30.0, 200.0, **device), Settings(4, 4)
    with pytest.raises(RuntimeFault, match=line) as caught:
        SessionOptions.of(settings, info, rule=rule)
    assert "\n" not in str(caught.value) and "--fixations" in str(caught.value)
    assert SessionOptions.of(settings, info, rule=rule, use_gaze=False).rule == rule
    assert SessionOptions.of(settings, replace(info, detects_fixations=True), rule="file")


def test_degrees_come_from_the_field_of_view_that_is_known():
    """A drift that is fast in a wide view is slow in a narrow one."""
    settings, found = Settings(4, 4), {}
    options = SessionOptions(rule="adaptive", window=8.0, rate=2.0)
    for across in (20.0, None, 150.0):
        field = across and (across, across)
        info = DeviceInfo("listed", 100, 100, 30.0, 200.0, field_of_view=field)
        rule = fixation_rule(options, settings, info)
        for index in range(100):
            at = index * 5 * MS
            rule.feed(GazeSample(at, at, 0.1 + index * 0.0045, 0.5))
        found[across] = bool(rule.active(495 * MS, 0.1))
    assert found == {20.0: True, None: True, 150.0: False}


def test_the_default_rule_is_the_adaptive_one():
    info = DeviceInfo("listed", 160, 120, 30.0, 200.0)
    assert SessionOptions.of(Settings(4, 4), info).rule == "adaptive"
