"""Mini's training: the same from a seed, interrupted or not; checkpoints that others can read."""

from dataclasses import replace

import pytest
import torch

from export.checkpoints import CheckpointError
from export.gaze_checkpoint import check_fit, load_gaze
from export.mini.checkpoint import write_checkpoints
from export.mini.clips import ClipLength, ClipStream, DrawnClips
from export.mini.model import parameter_count
from export.mini.sizes import MiniSizes
from export.mini.state import STATE_FILE, load_state, save_state
from export.mini.training import Trainer, TrainingPlan, answer
from export.qwen_checkpoint import QwenCheckpoint
from export.reference import ReferenceModel, ReferenceStep
from export.vjepa_checkpoint import load_vjepa

SIZES = replace(MiniSizes(), width=64, heads=2, kv_heads=1, intermediate=64, latents=4, d_latent=32)
SIZES = replace(
    SIZES,
    vision=replace(SIZES.vision, depth=2, width=32, heads=1, intermediate=32, out_width=64),
    vjepa=replace(SIZES.vjepa, depth=1),
)
CLIPS = DrawnClips((ClipLength(1, 1, 2, 0.8), ClipLength(2, 2, 1, 0.2)), questions=1)
PLAN = TrainingPlan(
    seed=4,
    seeing=70,
    locating=20,
    answering=80,
    second_stage=30,
    gazes=2,
    hinted_steps=40,
    seen_steps=1,
    clips=CLIPS,
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def train(trainer, until):
    for _ in trainer.run(until, workers=0):
        pass
    return trainer


@pytest.fixture(scope="module")
def trained():
    return train(Trainer(PLAN, SIZES), PLAN.total)


def test_two_hundred_steps_are_a_hundred_and_a_hundred_more(trained, tmp_path):
    assert PLAN.total == 200
    save_state(train(Trainer(PLAN, SIZES), 100), tmp_path)
    resumed = Trainer(PLAN, SIZES)
    assert load_state(resumed, tmp_path)
    assert resumed.step == 100
    train(resumed, PLAN.total)
    expected, found = trained.model.state_dict(), resumed.model.state_dict()
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name


def test_a_second_stage_can_be_resumed_within(trained, tmp_path):
    save_state(trained, tmp_path)
    again = Trainer(PLAN, SIZES)
    load_state(again, tmp_path)
    for name, tensor in trained.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name


def test_another_seed_gives_other_weights():
    one, other = (Trainer(replace(PLAN, seed=seed), SIZES) for seed in (4, 5))
    train(one, 1), train(other, 1)
    assert not torch.equal(one.model.vjepa.video_mod_embed, other.model.vjepa.video_mod_embed)


def test_each_stage_leaves_alone_what_is_not_its_own():
    trainer = train(Trainer(PLAN, SIZES), PLAN.seeing)
    stages = [PLAN.seeing, PLAN.locating, PLAN.answering, PLAN.second_stage]
    kept = {name: each.clone() for name, each in trainer.model.state_dict().items()}
    train(trainer, sum(stages[:2]))
    changed = {
        name
        for name, each in trainer.model.state_dict().items()
        if not torch.equal(each, kept[name])
    }
    assert changed
    assert all(name.startswith("resampler.") for name in changed)
    train(trainer, sum(stages[:2]) + 1)
    assert all(
        torch.equal(each, kept[name])
        for name, each in trainer.model.state_dict().items()
        if name.startswith("vjepa.")
    )


def test_a_state_that_is_none_is_refused_in_one_line(tmp_path):
    trainer = Trainer(PLAN, SIZES)
    assert not load_state(trainer, tmp_path)
    torch.save({"step": 3}, tmp_path / STATE_FILE)
    with pytest.raises(CheckpointError, match="remove it to start anew"):
        load_state(trainer, tmp_path)


def test_the_real_sizes_stay_within_what_was_promised():
    trainer = Trainer(TrainingPlan(), MiniSizes())
    parameters = parameter_count(trainer.model)
    assert parameters < 4_000_000
    with_both_moments = 3 * 4 * (parameters + parameter_count(trainer.supports))
    assert with_both_moments < 60 * 2**20


def test_checkpoints_say_the_same_read_by_transformers_and_peft(trained, tmp_path):
    files = write_checkpoints(trained.model, trained.tokenizer, tmp_path)
    gaze = load_gaze(files.gaze_file)
    assert (gaze.rank, gaze.alpha) == (8, 16.0)
    assert any(pair.up.abs().max() > 0 for pair in gaze.lora.values())
    vjepa = load_vjepa(files.vjepa_file, pixels=SIZES.vjepa.pixels)
    check_fit(gaze, QwenCheckpoint.open(files.qwen_folder), vjepa)
    reference = ReferenceModel.load(files.qwen_folder, vjepa, gaze)
    batch = ClipStream(trained.tokenizer, (9,), drawn=CLIPS).batch(0)
    model, pairs = trained.model.eval(), batch.frames.flatten(0, 1)
    with torch.no_grad():
        found = answer(model, batch, model.features(pairs), model.visual(pairs)).logits
        residuals = model.residuals(
            model.features(pairs), batch.gaze.flatten(0, 1), batch.gazed.flatten().float()
        )
    steps = []
    for step in range(batch.gazed.shape[1]):
        last = torch.zeros_like(residuals[:1, step])  # the last module's reaches no logit
        added = torch.cat([residuals[:, step], last])
        steps.append(ReferenceStep(reference.visual(pairs[step]), added, (4, 4)))
    end = int((batch.targets[0, 0] >= 0).nonzero()[0]) + 1
    asked = batch.tokens[0, 0, :end].tolist()
    expected = reference.logits(model.before_video.tolist(), steps, asked)
    assert torch.allclose(found[0], expected, atol=1e-4)
