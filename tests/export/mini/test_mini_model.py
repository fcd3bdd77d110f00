"""Mini's batched forward pass against the reference: transformers' model with hooks, one by one."""

from dataclasses import replace

import pytest
import torch

from devices.samples import Fixation
from devices.synthetic.questions import ASKERS, FIX, FREE, GTA, LETTERS, OI_EASY, TaskQuestion
from export.mini.model import MiniModel
from export.mini.sizes import MiniSizes
from export.mini.training import answer
from export.mini.world.batches import ClipStream
from export.mini.world.clip_plan import ClipLength, DrawnClips
from export.mini.world.prompts import IGNORED, PromptWriter, mini_tokenizer, option_ends, prompt_of
from export.parity.reading.pictures import Pictures
from export.parity.reference import ReferenceModel, ReferenceStep
from export.random.pictures import write_pictures
from runtime.inputs.gaze_encoding import gaze_encoding

WORDS = ("Question", ":", "Tell", "me", "when", "I", "look", "at", "the", "purple", "hammer", ".")
SIZES = replace(MiniSizes(), width=64, heads=2, kv_heads=1, intermediate=96)
SIZES = replace(SIZES, vision=replace(SIZES.vision, out_width=64))


@pytest.fixture(scope="module")
def tokenizer():
    return mini_tokenizer(640)


@pytest.fixture(scope="module")
def batch(tokenizer):
    drawn = DrawnClips((ClipLength(3, 3, 2, 1.0),), questions=3)
    return ClipStream(tokenizer, (3,), drawn=drawn).batch(0)


@pytest.fixture(scope="module")
def model(tokenizer):
    torch.manual_seed(1)
    return MiniModel(SIZES, tokenizer, PromptWriter(tokenizer).before_video).eval()


@pytest.fixture(scope="module")
def reference(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder, model.sizes.vision)
    return ReferenceModel(model.qwen, model.vjepa, model.resampler, Pictures(folder))


def still(pair):
    """V-JEPA's input of a step: its older frame, then its newer one fifteen times."""
    return torch.stack([pair[0], *[pair[1]] * 15])


def test_features_are_those_of_sixteen_frames_at_one_step(model, reference, batch):
    pairs = batch.frames.flatten(0, 1)
    with torch.no_grad():
        features = model.features(pairs)
    for pair, found in zip(pairs, features, strict=True):
        tubelets = reference.features(still(pair))
        expected = tubelets[3:5].mean(dim=0).flatten(0, 1)
        assert torch.allclose(found, expected, atol=1e-5)


def test_visual_embeddings_are_those_of_transformers(model, reference, batch):
    pairs = batch.frames.flatten(0, 1)
    with torch.no_grad():
        visual = model.visual(pairs)
    for pair, found in zip(pairs, visual, strict=True):
        assert torch.allclose(found, reference.visual(pair), atol=1e-5)


def reference_logits(model, reference, batch, clip, question, gazed=True):
    """The logits where the answer begins, of one question alone, in one prefill."""
    steps = []
    for step, pair in enumerate(batch.frames[clip]):
        fixations = []
        if batch.gazed[clip, step]:
            x, y = batch.gaze[clip, step].tolist()
            fixations = [Fixation(0, 0, x, y, 0, None, "file")]
        encoding = torch.from_numpy(gaze_encoding(fixations, model.sizes.d_latent))
        features = reference.features(still(pair))
        residuals = reference.residuals(features, 0, 1, (4, 4), encoding) if gazed else None
        steps.append(ReferenceStep(reference.visual(pair), residuals, (4, 4)))
    tokens, targets = batch.tokens[clip, question], batch.targets[clip, question]
    end = int((targets != IGNORED).nonzero()[0]) + 1
    return reference.logits(model.before_video.tolist(), steps, tokens[:end].tolist())


def test_packed_questions_get_the_answers_they_would_get_alone(model, reference, batch):
    frames = batch.frames.flatten(0, 1)
    with torch.no_grad():
        found = answer(model, batch, model.features(frames), model.visual(frames)).logits
    row = 0
    for clip in range(batch.tokens.shape[0]):
        for question in range(batch.tokens.shape[1]):
            expected = reference_logits(model, reference, batch, clip, question)
            assert torch.allclose(found[row], expected, atol=1e-4)
            row += int((batch.targets[clip, question] != IGNORED).sum())


def test_without_residuals_it_is_the_plain_model(model, reference, batch):
    with torch.no_grad():
        visual = model.visual(batch.frames.flatten(0, 1)).unflatten(0, (2, 3)).flatten(1, 2)
        found = model.answers(visual, None, batch).logits[0]
    plain = reference_logits(model, reference, batch, 0, 0, gazed=False)
    gazed = reference_logits(model, reference, batch, 0, 0)
    assert torch.allclose(found, plain, atol=1e-4)
    assert not torch.allclose(found, gazed, atol=1e-3)


def test_a_batch_is_a_function_of_its_number(tokenizer):
    drawn = DrawnClips((ClipLength(1, 1, 2, 1.0, takes=2),), questions=2)
    streams = [ClipStream(tokenizer, (3,), drawn=drawn) for _ in range(2)]
    first, same, other = streams[0].batch(4), streams[1].batch(4), streams[0].batch(5)
    assert torch.equal(first.frames, same.frames)
    assert torch.equal(first.tokens, same.tokens)
    assert not torch.equal(first.frames, other.frames)


def test_prompts_are_worded_as_the_runtime_words_them(tokenizer):
    question = TaskQuestion(OI_EASY, "What?", ("red cup", "blue key", "a", "b"), "B")
    assert prompt_of(question) == (
        "Question: What?\nOptions:\nA. red cup\nB. blue key\nC. a\nD. b\n\nThe best option is:"
    )
    alert = TaskQuestion(GTA, "Tell me when I look at the cup.", ("Yes", "No"), "A")
    assert prompt_of(alert) == (
        "Question: Tell me when I look at the cup. Based on the video so far, should the alert be "
        "triggered?\nOptions:\nA. Yes\nB. No\n\nThe best option is:"
    )
    asked = PromptWriter(tokenizer).ask(question)
    text = tokenizer.decode(list(asked.tokens), skip_special_tokens=False)
    assert text == (f"<|vision_end|>{prompt_of(question)}<|im_end|>\n<|im_start|>assistant\nB")


def test_targets_follow_their_tokens_and_marks_end_their_options(tokenizer):
    question = TaskQuestion(OI_EASY, "What?", ("red cup", "blue key", "white book", "b"), "C")
    asked = PromptWriter(tokenizer).ask(question)
    wanted = [target for target in asked.targets if target != IGNORED]
    assert tokenizer.decode(wanted, skip_special_tokens=False) == "C<|im_end|>"
    first = next(place for place, target in enumerate(asked.targets) if target != IGNORED)
    assert asked.tokens[first + 1] == asked.targets[first]
    marked = [place for place, mark in enumerate(asked.marks) if mark != IGNORED]
    assert [asked.marks[place] for place in marked] == [0, 0, 1, 0]
    prompt = prompt_of(question)
    for (letter, end), place in zip(option_ends(prompt, question), marked, strict=True):
        option = question.options[LETTERS.index(letter)]
        assert prompt[:end].endswith(f"{letter}. {option}")
        said = tokenizer.decode(list(asked.tokens[: place + 1]), skip_special_tokens=False)
        assert said.rstrip("\n").endswith(f"{letter}. {option}")


def test_every_prompt_is_known_to_the_tokenizer_word_by_word(tokenizer):
    ids = tokenizer.encode("Question: Tell me when I look at the purple hammer.").ids
    assert len(ids) == len(
        ["Question", ":", "Tell", "me", "when", "I", "look", "at", "the", "purple", "hammer", "."]
    )


def test_steps_show_what_had_been_captured_by_then(batch):
    """Gaze is in the frame near a thing or the table, and things that are not there yet are not."""
    assert batch.frames.shape == (2, 3, 2, 112, 112, 3)
    assert batch.gaze.isfinite().all()
    assert {task for clip in batch.tasks for task in clip} <= {*ASKERS, FIX, FREE}
