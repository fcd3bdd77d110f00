"""Mini's training: the same from a seed, interrupted or not; checkpoints that others can read."""

from dataclasses import replace

import pytest
import torch

from export.checkpoints.common import CheckpointError
from export.checkpoints.gaze import check_fit, load_gaze
from export.checkpoints.qwen import QwenCheckpoint
from export.checkpoints.vjepa import load_vjepa
from export.graphs.precision.quantization import linears
from export.mini.checkpoint import write_checkpoints
from export.mini.model import parameter_count
from export.mini.plan import TrainingPlan
from export.mini.rounding import Rounded
from export.mini.sizes import MiniSizes
from export.mini.state import STATE_FILE, load_state, save_state
from export.mini.training import Trainer, answer
from export.mini.world.batches import ClipStream
from export.mini.world.clip_plan import ClipLength, DrawnClips
from export.parity.reference import ReferenceModel, ReferenceStep

pytestmark = pytest.mark.long
SIZES = replace(MiniSizes(), width=64, intermediate=64, latents=4, d_latent=32)
SIZES = replace(
    SIZES,
    vision=replace(SIZES.vision, depth=2, width=32, heads=1, intermediate=32, out_width=64),
    vjepa=replace(SIZES.vjepa, depth=1),
)
CLIPS = DrawnClips(
    (ClipLength(1, 1, 1, 0.8, takes=2), ClipLength(2, 2, 1, 0.2, takes=2)), questions=1
)
PLAN = TrainingPlan(
    seed=4,
    seeing=8,
    locating=4,
    answering=10,
    rounding=4,
    second_stage=6,
    gazes=2,
    hinted_steps=6,
    seen_steps=1,
    spots_from=14,
    later=16,
    clips=CLIPS,
)

# Half-way as the whole is asked for, and within each of the last two stages.
INTERRUPTED = (16, PLAN.total - PLAN.second_stage - 2, PLAN.total - 3)
SEEN, LOCATED = PLAN.seeing, PLAN.seeing + PLAN.locating  # the last steps of the first stages


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
def interrupted(tmp_path_factory):
    """A run that was never interrupted, and folders with its state at some steps."""
    trainer, states = Trainer(PLAN, SIZES), tmp_path_factory.mktemp("states")
    for report in trainer.run(PLAN.total, workers=0):
        if report.step in (SEEN, LOCATED, *INTERRUPTED):
            save_state(trainer, states / str(report.step))
    return trainer, states


@pytest.fixture(scope="module")
def trained(interrupted):
    return interrupted[0]


@pytest.mark.parametrize("step", INTERRUPTED)
def test_a_resumed_training_is_as_if_never_interrupted(interrupted, step):
    trained, states = interrupted
    resumed = Trainer(PLAN, SIZES)
    assert load_state(resumed, states / str(step))
    assert resumed.step == step
    train(resumed, PLAN.total)
    expected, found = trained.model.state_dict(), resumed.model.state_dict()
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name


def test_matrices_are_rounded_in_training_as_in_a_bundle_and_exact_in_evaluation(trained):
    model = trained.model.train()
    attention = model.qwen.model.language_model.layers[0].self_attn
    for linear in (attention.k_proj, model.qwen.lm_head):
        own = linear.parametrizations.weight.original
        restored = linears("int4").rounded("", own.detach())
        assert torch.allclose(linear.weight, restored, atol=1e-6)
        assert len(linear.weight[0, :32].unique()) <= 16 < len(own[0, :32].unique())
    adapted = attention.q_proj
    lora = adapted.parametrizations.weight[0]
    merged = lora(adapted.parametrizations.weight.original).detach()
    assert torch.allclose(adapted.weight, linears("int4").rounded("", merged), atol=1e-6)
    assert torch.equal(model.eval().qwen.lm_head.weight, model.words)
    model.train()


def test_gradients_pass_through_rounding():
    weight = torch.randn(4, 32, requires_grad=True)
    wanted = torch.randn(4, 32)
    (Rounded()(weight) * wanted).sum().backward()
    assert torch.equal(weight.grad, wanted)


def test_the_same_seed_gives_the_same_weights_twice(interrupted):
    again, restored = train(Trainer(PLAN, SIZES), INTERRUPTED[0]), Trainer(PLAN, SIZES)
    load_state(restored, interrupted[1] / str(INTERRUPTED[0]))
    for name, tensor in restored.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name


def test_another_seed_gives_other_weights():
    one, other = (Trainer(replace(PLAN, seed=seed), SIZES) for seed in (4, 5))
    train(one, 1), train(other, 1)
    assert not torch.equal(one.model.vjepa.video_mod_embed, other.model.vjepa.video_mod_embed)


def test_each_stage_leaves_alone_what_is_not_its_own(interrupted):
    seen, trainer = Trainer(PLAN, SIZES), Trainer(PLAN, SIZES)
    load_state(seen, interrupted[1] / str(SEEN))
    load_state(trainer, interrupted[1] / str(LOCATED))
    kept = seen.model.state_dict()
    changed = {
        name
        for name, each in trainer.model.state_dict().items()
        if not torch.equal(each, kept[name])
    }
    assert changed
    assert all(name.startswith("resampler.") for name in changed)
    train(trainer, LOCATED + 1)
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
    reference = ReferenceModel.load(
        files.qwen_folder,
        files.vjepa_file,
        SIZES.vjepa.pixels,
        files.gaze_file,
        SIZES.resampler.injected_layers,
    )
    batch = ClipStream(trained.tokenizer, (9,), drawn=CLIPS).batch(0)
    model, pairs = trained.model.eval(), batch.frames.flatten(0, 1)
    with torch.no_grad():
        found = answer(model, batch, model.features(pairs), model.visual(pairs)).logits
        films = batch.films
        gaze, gazed = films.gaze.flatten(0, 1), films.gazed.flatten().float()
        residuals = model.residuals(model.features(pairs), gaze, gazed)
    steps = []
    for step in range(batch.gazed.shape[1]):
        last = torch.zeros_like(residuals[:1, step])  # the last module's reaches no logit
        added = torch.cat([residuals[:, step], last])
        steps.append(ReferenceStep(reference.visual(pairs[step]), added, (4, 4)))
    end = int((batch.targets[0, 0] >= 0).nonzero()[0]) + 1
    asked = batch.tokens[0, 0, :end].tolist()
    expected = reference.logits(model.before_video.tolist(), steps, asked)
    assert torch.allclose(found[0], expected, atol=1e-4)
