"""A live loop over a listed device, and what it recorded."""

import json

from stand_in import START, ListedDevice

from devices.clock import SystemClock
from runtime.answers.alerts import StandingAlerts
from runtime.answers.listeners import Listeners
from runtime.answers.questions import Question
from runtime.answers.record import Conditions
from runtime.answers.session import SessionOptions, gaze_timeline, step_planner
from runtime.answers.watcher import Watcher
from runtime.model.brake import Brake
from runtime.model.encoder import Encoder
from runtime.run.capture import Capture, DueQuestion
from runtime.run.console import Screen
from runtime.run.live_loop import LiveLoop, Stages
from runtime.run.recorder import Recorder
from runtime.run.reports import Reporter

CHOICE = Question("What is it?", ("a cup", "a knife", "a plate"))
OPTIONS = SessionOptions(rule="adaptive", window=8.0, rate=2.0)


class RealTimeDevice(ListedDevice):
    """The same samples on the host's clock."""

    def connect(self):
        info = super().connect()
        self.clock = SystemClock(START)
        return info


class SlowEncoder(Encoder):
    """Every pair of frames takes a given simulated time."""

    clock = None
    cost = 0

    def _encode(self, pair, watch):
        self.clock.sleep_until(self.clock.now() + self.cost)
        return super()._encode(pair, watch)


def run_loop(
    models,
    device,
    out,
    questions=(),
    alerts=(),
    eager=True,
    rate=None,
    cost=None,
    stopped=None,
    over=None,
    start=START,
    listener=lambda news: None,
    compares=False,
):
    """Run a live loop over a device; returns its records by kind. Questions count from `start`."""
    manifest = models.bundle.manifest
    grid = manifest.settings.live_height, manifest.settings.live_width
    with device as info:
        gaze = gaze_timeline(OPTIONS, manifest.settings, info)
        due = [DueQuestion(question, start + moment) for question, moment in questions]
        capture = Capture(step_planner(models, OPTIONS, gaze), due, bool(alerts))
        encoder = SlowEncoder(models, grid, use_gaze=True, compares=compares)
        encoder.clock, encoder.cost = device.clock, cost or 0
        watcher = Watcher(models, grid, OPTIONS.window_steps)
        recorder = Recorder(out, print)
        conditions = Conditions("causal", "test", "test")
        listeners = Listeners()
        screen = Screen()
        listeners.subscribe("screen", screen.hear)
        listeners.subscribe("one more", listener)
        listeners.subscribe("record", recorder.hear)
        reporter = Reporter(listeners, conditions, device.counts, gaze)
        stages, standing = Stages(capture, encoder, watcher), StandingAlerts(alerts)
        brake = Brake(rate) if eager else None
        loop = LiveLoop(device, stages, standing, conditions, reporter, stays=True, brake=brake)
        loop.run(stopped or (lambda: False), over or (lambda: False))
        device.disconnect()
        reporter.close()
        recorder.close()
        screen.close()
    records = [json.loads(line) for line in out.read_text().splitlines()]
    return {
        kind: [record for record in records if record["kind"] == kind]
        for kind in ("answer", "alert", "second", "summary")
    }
