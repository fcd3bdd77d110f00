"""What goes wrong with one question of a run, and that the others are answered all the same."""

from dataclasses import replace

import pytest
from drawn_streamgaze import choice, draw_set

from benchmarks.streamgaze.__main__ import main
from benchmarks.streamgaze.asking import causal, engines
from benchmarks.streamgaze.asking.causal import answer_causally
from benchmarks.streamgaze.asking.evaluation import Way, evaluate
from benchmarks.streamgaze.asking.released import answer_as_released
from benchmarks.streamgaze.data.dataset import Selection, VideoIndex, read_tasks
from benchmarks.streamgaze.data.media import Library
from benchmarks.streamgaze.data.questions import Problem
from runtime.engines.choice import Machine
from runtime.errors import EngineError

SCENE, EASY = "past_scene_recall", "present_object_identification_easy"
CAUSAL = Way("causal", use_gaze=True)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """One video; clips from its start at two rates, and two of the last minute."""
    asked = {
        SCENE: [("clip", [choice(6), choice(20), choice(40)])],
        EASY: [("clip", [choice(62), choice(66)])],
    }
    return draw_set(tmp_path_factory.mktemp("set") / "set", {"clip": 66}, asked)


@pytest.fixture(scope="module")
def files(drawn):
    return read_tasks(drawn.root, Selection())


@pytest.fixture(scope="module")
def library(drawn):
    return Library(VideoIndex([drawn.root]), [drawn.fixations])


@pytest.fixture(scope="module")
def sound(tiny_models, files, library):
    """What is answered where nothing goes wrong, by time."""
    return {r.key.time: said(r) for r in evaluate(tiny_models, library, files, CAUSAL)}


def said(result):
    return result.response, result.probabilities, result.steps


class StandIn:
    """Models that tests meddle with."""

    def __init__(self, models):
        self._models = models

    def __getattr__(self, name):
        return getattr(self._models, name)


class Memory(StandIn):
    """Notes how large contexts are, and has no memory for larger ones than `most`."""

    def __init__(self, models, most):
        super().__init__(models)
        self.most = most
        self.sizes = set()

    def context(self, grid, capacity):
        self.sizes.add(capacity)
        if capacity > self.most:
            raise MemoryError
        return self._models.context(grid, capacity)


class FlakyEngine(StandIn):
    """Its vision tower fails once, at one of its runs."""

    def __init__(self, models, fails_at):
        super().__init__(models)
        self.left = fails_at

    def visual(self, pair):
        self.left -= 1
        if not self.left:
            raise EngineError("vision: the device was lost")
        return self._models.visual(pair)


def test_a_clip_too_long_for_the_memory_costs_its_own_questions_only(
    tiny_models, files, library, sound
):
    plenty = Memory(tiny_models, 10**9)
    list(evaluate(plenty, library, files, CAUSAL))
    scarce = Memory(tiny_models, sorted(plenty.sizes)[-2])
    found = {r.key.time: r for r in evaluate(scarce, library, files, CAUSAL)}
    skipped = [result for result in found.values() if result.skipped]
    assert skipped and set(found) == set(sound) and len(skipped) < len(found)
    assert all(result.skipped == "not enough memory" for result in skipped)
    assert all("clip of" in result.reason for result in skipped)
    for time, result in found.items():
        assert result.skipped or said(result) == sound[time]


@pytest.mark.parametrize("fails_at", [1, 5, 12])
def test_an_engine_that_fails_once_costs_one_question(tiny_models, files, library, sound, fails_at):
    models = FlakyEngine(tiny_models, fails_at)
    found = {r.key.time: r for r in evaluate(models, library, files, CAUSAL)}
    (lost,) = (result for result in found.values() if result.skipped)
    assert (lost.skipped, lost.reason) == ("question refused", "vision: the device was lost")
    answered = {time: said(result) for time, result in found.items() if not result.skipped}
    assert answered == {time: own for time, own in sound.items() if time != lost.key.time}


def test_a_clip_without_a_frame_is_told(tiny_models, files, library):
    media = library.open("clip.mp4")
    # The camera stood still from the first frame to the 65th second.
    stalled = media.frame_times.copy()
    stalled[1:] += stalled[-1] - stalled[1] + 10**12
    questions = [replace(q) for file in files for q in file.questions if file.task.name == EASY]
    told = list(
        answer_as_released(tiny_models, replace(media, frame_times=stalled), questions, True)
    )
    assert len(told) == 2
    for _, problem in told:
        assert problem == Problem(
            "question refused",
            "there is no frame in the clip that the question is about: the model takes pairs",
        )


def test_frames_are_held_for_few_clips_at_a_time_and_nothing_changes(
    tiny_models, files, library, sound, monkeypatch
):
    passes = []

    class Counted(causal.Footage):
        def __init__(self, video, indices, size):
            passes.append(len(indices := set(indices)))
            super().__init__(video, indices, size)

    monkeypatch.setattr(causal, "Footage", Counted)
    monkeypatch.setattr(causal, "MOST_FRAMES", 40)
    found = {r.key.time: said(r) for r in evaluate(tiny_models, library, files, CAUSAL)}
    assert found == sound
    assert len(passes) > 1 and max(passes) <= 40
    passes.clear()
    monkeypatch.setattr(causal, "MOST_FRAMES", 1000)
    questions = [q for file in files for q in file.questions]
    list(answer_causally(tiny_models, library.open("clip.mp4"), questions, True, 0.0))
    assert len(passes) == 1


def test_an_engine_that_is_not_there_is_one_line(tiny_folder, drawn, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(engines.Machine, "here", lambda: Machine(None, (), {}))
    command = drawn.options("--bundle", tiny_folder, "--out", tmp_path / "run", "--engine", "cuda")
    assert main(command) == 1
    error = capsys.readouterr().err
    assert "no NVIDIA GPU found" in error and error.count("\n") == 1


def test_a_released_run_says_what_it_does_not_reproduce(tiny_folder, drawn, tmp_path, capsys):
    common = ["--bundle", tiny_folder, "--limit", 1, "--tasks", "SR", "--out"]
    assert main(drawn.options(*common, tmp_path / "released", "--protocol", "released")) == 0
    assert "retry with fewer frames" in capsys.readouterr().out
    assert main(drawn.options(*common, tmp_path / "causal")) == 0
    told = capsys.readouterr().out
    assert "Not reproduced" not in told and "protocol causal, gaze: yes" in told
