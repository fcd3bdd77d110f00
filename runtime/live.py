"""`python -m runtime.live`: watch a device, answer questions about what is looked at."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace

from devices.catalog import DeviceOptions, open_device
from devices.clock import NANOSECONDS
from devices.device import Device, DeviceError, DeviceInfo
from devices.parser import complain, say
from runtime.answers.alerts import AlertRule, StandingAlert, StandingAlerts
from runtime.answers.listeners import Listeners
from runtime.answers.record import Conditions
from runtime.answers.session import SessionOptions, gaze_timeline, step_planner
from runtime.answers.watcher import Watcher
from runtime.audience import Audience
from runtime.bundle.opening import Bundle
from runtime.couriers.dispatch import couriers
from runtime.engines.choice import Machine
from runtime.engines.cuda import CudaSettings
from runtime.errors import QuestionError, RuntimeFault
from runtime.heap import keep_heap_flat, small_garbage
from runtime.model.brake import Brake
from runtime.model.encoder import Encoder
from runtime.model.models import Models
from runtime.model.opening import open_models
from runtime.run.capture import Capture, DueQuestion
from runtime.run.command_line import AskedQuestion, parse_arguments
from runtime.run.console import Screen
from runtime.run.interruption import Interruption
from runtime.run.live_loop import LiveLoop, Stages
from runtime.run.recorder import Recorder
from runtime.run.reports import Reporter
from runtime.run.typed import read_questions
from runtime.terminal import fill_closed_streams

GIBIBYTE = 1 << 30


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status."""
    fill_closed_streams()
    options = parse_arguments(arguments)
    screen = Screen()
    try:
        with closing(screen):
            run(options, screen)
    except (RuntimeFault, DeviceError) as error:
        complain(error)
        return 1
    except MemoryError:
        complain(
            "the memory does not suffice: a shorter --window takes less, and "
            f"python -m runtime.check {options.bundle} says what the bundle takes"
        )
        return 1
    except KeyboardInterrupt:
        say("interrupted before the stream began")
        return 1
    if screen.trouble is not None:
        complain(f"standard output: {screen.trouble}: what came later was not printed")
        return 1
    return 0


def run(options: argparse.Namespace, screen: Screen) -> None:
    """Open everything, watch, and close everything."""
    bundle = Bundle.open(options.bundle)
    device = open_device(options.device, device_options(options))
    profile = "evaluation" if options.protocol == "released" else "live"
    limit = CudaSettings(options.gpu_memory and int(options.gpu_memory * GIBIBYTE))
    machine = Machine.here()
    opened = open_models(options.engine, bundle, machine, profile, cuda=limit, lost=screen.notice)
    screen.notice(f"engine   {opened.choice.line}")
    models = opened.models
    with device as told, ExitStack() as others:
        info = replace(told, field_of_view=options.field or told.field_of_view)
        chosen = session_options(options, bundle, info)
        due = due_questions(options.ask, run_span(options, device, info))
        listeners = Listeners()
        listeners.subscribe("screen", screen.hear)
        recorder = Recorder(options.record, listeners.notice)
        listeners.subscribe("record", recorder.hear)
        try:
            others.enter_context(couriers(options, listeners))
            screen.opened(bundle.manifest, models.engine_name, info, chosen)
            if options.protocol == "released":
                if options.diary is not None:
                    raise RuntimeFault("--diary keeps what --protocol causal sees")
                if options.rerun is not None:
                    raise RuntimeFault("--rerun draws what --protocol causal sees")
                if options.session is not None:
                    raise RuntimeFault("--session saves what --protocol causal receives")
                if options.listen or options.speak:
                    raise RuntimeFault("--listen and --speak are for --protocol causal")
                answer_as_released(models, device, info, chosen, due, listeners)
            else:
                with screen.status():
                    watch(options, models, device, info, chosen, due, listeners)
        finally:
            listeners.close()
            recorder.close()


def watch(
    options: argparse.Namespace,
    models: Models,
    device: Device,
    info: DeviceInfo,
    chosen: SessionOptions,
    due: Sequence[DueQuestion],
    listeners: Listeners,
) -> None:
    """Watch under the causal protocol until all is answered, the device ends, or Ctrl-C."""
    manifest = models.bundle.manifest
    grid = manifest.settings.live_height, manifest.settings.live_width
    alerts = StandingAlerts(standing_alerts(options, device), alert_rule(options))
    gaze = gaze_timeline(chosen, manifest.settings, info)
    is_served = options.serve is not None
    is_drawn = is_served or options.rerun is not None
    watcher = Watcher(models, grid, chosen.window_steps, listeners.piece, compares=is_served)
    for question in (*(each.question for each in due), *(alert.question for alert in alerts)):
        watcher.asker.check(question)
    audience = Audience(options, models, device, info, chosen, listeners)
    planner = step_planner(models, chosen, gaze)
    glances = alerts if audience.diary is None else True
    may_stand = is_served or audience.ears is not None or options.device == "session"
    capture = Capture(
        planner, due, glances, audience.known, audience.asked, audience.ears, may_stand
    )
    stages = Stages(capture, Encoder(models, grid, chosen.use_gaze, compares=is_drawn), watcher)
    conditions = Conditions("causal", manifest.name, models.engine_name)
    reporter = Reporter(listeners, conditions, device.counts, gaze, audience.heard)
    is_typed = sys.stdin is not None and sys.stdin.isatty()
    if is_typed:
        read_questions(capture, device.clock, audience.toggle_talk)
    brake = None if options.fast else Brake(options.encode_rate)
    told = audience.delivered, audience.diary
    with Interruption() as interruption:  # whoever sees the page's address may end the run
        audience.serve(alerts, capture.ask, planner.tail)
        stays = bool(alerts) or not due or is_typed or audience.stays
        loop = LiveLoop(device, stages, alerts, conditions, reporter, stays, brake, *told)
        is_over = run_length(options, device)
        with small_garbage():
            try:
                loop.run(lambda: interruption.came, is_over)
            finally:
                device.disconnect()  # so that what it still holds is counted, too
                audience.end_conversation()
                reporter.close()
                audience.close()


def answer_as_released(
    models: Models,
    device: Device,
    info: DeviceInfo,
    chosen: SessionOptions,
    due: Sequence[DueQuestion],
    listeners: Listeners,
) -> None:
    """The released protocol on a recording. Raises RuntimeFault for any other device."""
    # No other run needs them, and every run would wait for them.
    from devices.recording.playback import RecordingDevice
    from devices.recording.video import FrameReader
    from runtime.run.released import ReleasedSession, answer_all

    if not isinstance(device, RecordingDevice):
        raise RuntimeFault("--protocol released needs --device recording: it samples the past")
    recording = device.description
    for line in recording.notices:
        listeners.notice(line)
    read = FrameReader(recording.video).frames
    session = ReleasedSession(
        models, recording.frame_times, read, info, chosen, device.counts, listeners.piece
    )
    answer_all(session, device, due, listeners)


def run_length(options: argparse.Namespace, device: Device) -> Callable[[], bool]:
    """Whether the time that the run was given is over."""
    if options.seconds is None:
        return lambda: False
    end = device.clock.now() + round(options.seconds * NANOSECONDS)
    return lambda: device.clock.now() >= end


def run_span(
    options: argparse.Namespace, device: Device, info: DeviceInfo
) -> tuple[int, int | None]:
    """From when until when (Unix ns) is watched: a live device from now on, None for no end."""
    start = device.clock.now() if info.starts_at is None else info.starts_at
    if info.ends_at is not None or options.seconds is None:
        return start, info.ends_at
    return start, start + round(options.seconds * NANOSECONDS)


def due_questions(
    asked: Sequence[AskedQuestion], span: tuple[int, int | None]
) -> list[DueQuestion]:
    """When each question is asked, in the time that is watched; else QuestionError."""
    start, end = span
    due = []
    for question in asked:
        moment = end if question.at is None else start + round(question.at * NANOSECONDS)
        if moment is None:
            raise QuestionError("a live device has no end: say when to ask, with --at SECONDS")
        if moment < start or (end is not None and moment > end):
            length = "" if end is None else f", which is {(end - start) / NANOSECONDS:.2f} s long"
            raise QuestionError(f"--at {question.at:g} lies outside what is watched{length}")
        due.append(DueQuestion(question.question, moment))
    return due


def standing_alerts(options: argparse.Namespace, device: Device) -> list[StandingAlert]:
    """The alerts of the command line; where nothing is asked, the one that the device knows of."""
    rule = alert_rule(options)
    known = device.known_alert
    if known is not None and not options.alert and not options.ask:
        return [StandingAlert(known.text, rule, lambda at: device.looked_at(at) == known.target)]
    return [StandingAlert(text, rule) for text in options.alert]


def alert_rule(options: argparse.Namespace) -> AlertRule:
    """When an alert is raised."""
    rule = AlertRule(options.alert_threshold, options.alert_release, options.alert_interval)
    if rule.release > rule.threshold:
        raise RuntimeFault("--alert-release must not lie above --alert-threshold")
    return rule


def session_options(
    options: argparse.Namespace, bundle: Bundle, info: DeviceInfo
) -> SessionOptions:
    """How the stream is watched: as the bundle says, but for what the command line says."""
    return SessionOptions.of(
        bundle.manifest.settings,
        info,
        rule=options.fixations,
        window=options.window,
        rate=options.fps,
        use_gaze=options.gaze == "yes",
    )


def device_options(options: argparse.Namespace) -> DeviceOptions:
    """What the command line says of the device."""
    return DeviceOptions(
        path=options.path,
        recording=options.recording,
        strict=options.strict,
        fixations=(options.fixation_file,) if options.fixation_file else (),
        fast=options.fast,
        address=options.address,
        transport=options.transport,
        undistort=options.undistort,
        confidence=options.confidence,
        seed=options.seed,
        seconds=options.seconds,
        sound=options.listen,
        microphone=options.microphone,
    )


if __name__ == "__main__":
    keep_heap_flat()  # of this process, not of one that calls `main`
    sys.exit(main())
