import json
import math
import shutil
import sys
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from tokenizers import Tokenizer
from transformers import AutoTokenizer, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from export.checkpoints.common import CheckpointError, sha256
from export.checkpoints.gaze import check_fit, load_gaze
from export.checkpoints.qwen import QwenCheckpoint
from export.checkpoints.vjepa import load_vjepa
from export.random.shapes import SHAPES
from export.random.tensors import PIECE, random_pieces, random_tensor
from export.random.weights import WHOLE_FILE, write_random
from runtime.bundle.manifest import Injection

# Parameters of the published models: Qwen2.5-0.5B (its decoder alone), Qwen2.5-VL-3B and 7B.
DECODER_PARAMETERS = {"0.5b": 494_032_768}
ALL_PARAMETERS = {"3b": 3_754_622_976, "7b": 8_292_166_656}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_random("tiny", 3, tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def model(written):
    return Qwen2_5_VLForConditionalGeneration.from_pretrained(written.qwen_folder).eval()


def files_of(folder):
    return {path.relative_to(folder): sha256(path) for path in folder.rglob("*") if path.is_file()}


def elements(shapes):
    return sum(math.prod(shape) for shape in shapes.values())


@pytest.mark.parametrize("name", SHAPES)
def test_the_names_and_shapes_are_those_of_transformers(name):
    shape = SHAPES[name]
    decoder, vision = shape.decoder, shape.vision
    config = Qwen2_5_VLConfig(
        hidden_size=decoder.width,
        intermediate_size=decoder.intermediate,
        num_hidden_layers=decoder.layers,
        num_attention_heads=decoder.heads,
        num_key_value_heads=decoder.kv_heads,
        vocab_size=decoder.vocabulary,
        rope_scaling={"type": "mrope", "mrope_section": list(decoder.mrope_section)},
        vision_config={
            "depth": vision.depth,
            "hidden_size": vision.width,
            "intermediate_size": vision.intermediate,
            "num_heads": vision.heads,
            "out_hidden_size": vision.out_width,
            "tokens_per_second": vision.tokens_per_second,
        },
    )
    with torch.device("meta"):
        theirs = Qwen2_5_VLForConditionalGeneration(config).state_dict()
    expected = {key: tuple(tensor.shape) for key, tensor in theirs.items()}
    if decoder.tied:
        del expected["lm_head.weight"]
    ours = {f"model.visual.{key}": size for key, size in vision.shapes().items()}
    for key, size in decoder.shapes().items():
        ours[key if key == "lm_head.weight" else f"model.language_model.{key}"] = size
    assert ours == expected


def test_the_real_shapes_have_as_many_parameters_as_the_published_models():
    for name, published in DECODER_PARAMETERS.items():
        assert elements(SHAPES[name].decoder.shapes()) == published
    for name, published in ALL_PARAMETERS.items():
        shape = SHAPES[name]
        assert elements(shape.decoder.shapes()) + elements(shape.vision.shapes()) == published


@pytest.mark.parametrize("name", ["0.5b", "3b", "7b"])
def test_the_real_shapes_share_tower_encoder_and_resampler(name):
    shape = SHAPES[name]
    assert (shape.vjepa.width, shape.vjepa.depth, shape.vjepa.pixels) == (768, 12, 384)
    assert shape.vision.full_attention_blocks == (7, 15, 23, 31)
    assert shape.vision.tokens_per_second == 2
    assert (shape.resampler.n_latents, shape.resampler.d_latent) == (32, 256)
    assert sum(shape.decoder.mrope_section) * 2 == shape.decoder.head_dim
    assert shape.dtype is torch.bfloat16


def test_transformers_loads_the_folder_with_nothing_missing(written):
    _, report = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        written.qwen_folder, output_loading_info=True
    )
    assert not any(report.values()), report


def test_the_written_checkpoints_belong_together(written):
    encoder = load_vjepa(written.vjepa_file, written.vjepa_pixels)
    gaze = load_gaze(written.gaze_file)
    check_fit(gaze, QwenCheckpoint.open(written.qwen_folder), encoder)
    assert len(gaze.lora) == 2 * 8


def test_the_files_have_the_released_layouts(written):
    shards = sorted(written.qwen_folder.glob("*.safetensors"))
    assert [shard.name for shard in shards] == [
        f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)
    ]
    index = json.loads((written.qwen_folder / "model.safetensors.index.json").read_text())
    sizes = 0
    for shard in shards:
        with safe_open(shard, "pt") as file:
            assert {index["weight_map"][name] for name in file.keys()} == {shard.name}  # noqa: SIM118
            sizes += sum(file.get_tensor(name).nbytes for name in file.keys())  # noqa: SIM118
    assert index["metadata"]["total_size"] == sizes
    encoder = torch.load(written.vjepa_file, weights_only=True)["ema_encoder"]
    assert all(name.startswith("module.backbone.") for name in encoder)
    assert "module.backbone.patch_embed_img.proj.weight" in encoder
    gaze = torch.load(written.gaze_file, weights_only=True)
    assert set(gaze) == {"state_dict", "config", "lora_state_dict", "lora_config"}


def test_the_tokenizer_and_the_config_agree(written):
    config = json.loads((written.qwen_folder / "config.json").read_text())
    tokenizer = Tokenizer.from_file(str(written.qwen_folder / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == config["vocab_size"]
    for key, token in (
        ("image_token_id", "<|image_pad|>"),
        ("video_token_id", "<|video_pad|>"),
        ("vision_start_token_id", "<|vision_start|>"),
        ("vision_end_token_id", "<|vision_end|>"),
        ("eos_token_id", "<|im_end|>"),
    ):
        assert config[key] == tokenizer.token_to_id(token)
    theirs = AutoTokenizer.from_pretrained(written.qwen_folder)
    assert [len(theirs(letter)["input_ids"]) for letter in ("A", " B", "C", " D")] == [1, 1, 1, 1]


def test_the_same_seed_writes_the_same_bytes(written, tmp_path):
    write_random("tiny", 3, tmp_path / "again")
    write_random("tiny", 4, tmp_path / "other")
    first, again, other = (
        files_of(folder)
        for folder in (written.vjepa_file.parent, tmp_path / "again", tmp_path / "other")
    )
    assert first == again
    changed = {path.name for path in first if first[path] != other[path]}
    drawn = {path.name for path in first if path.suffix in (".pt", ".safetensors")}
    assert changed == drawn | {WHOLE_FILE}


def test_progress_reaches_its_total_and_never_goes_back(tmp_path):
    heard = []
    files = write_random("tiny", 3, tmp_path, lambda done, total: heard.append((done, total)))
    done = [each for each, _ in heard]
    assert done == sorted(done)
    assert {total for _, total in heard} == {done[-1]}
    sizes = [path.stat().st_size for path in files.qwen_folder.glob("*.safetensors")]
    sizes += [files.vjepa_file.stat().st_size, files.gaze_file.stat().st_size]
    assert 0.9 * sum(sizes) < done[-1] < sum(sizes)


def test_large_tensors_come_in_pieces_and_are_the_same_as_whole():
    piece = next(random_pieces("embed_tokens.weight", (152064, 3584), 0))
    assert len(piece) == PIECE
    shape = (3, PIECE // 2)
    pieces = list(random_pieces("a.weight", shape, 5))
    assert [len(piece) for piece in pieces] == [PIECE, PIECE // 2]
    assert torch.equal(torch.cat(pieces).view(shape), random_tensor("a.weight", shape, 5))


def test_an_interrupted_folder_is_not_taken_for_a_checkpoint(tmp_path):
    write_random("tiny", 1, tmp_path)

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_random("tiny", 2, tmp_path, interrupt)
    with pytest.raises(CheckpointError, match="neither"):
        QwenCheckpoint.open(tmp_path / "qwen")


def test_what_is_whole_is_not_drawn_again(tmp_path):
    written, heard = write_random("tiny", 1, tmp_path), []
    again = write_random("tiny", 1, tmp_path, lambda done, total: heard.append(done))
    assert again == written and not heard
    write_random("tiny", 2, tmp_path, lambda done, total: heard.append(done))
    assert heard


@pytest.mark.parametrize("name", ["vjepa.pt", "qwen/model-00002-of-00003.safetensors"])
@pytest.mark.parametrize("cut", [True, False])
def test_what_was_cut_or_deleted_is_drawn_again(written, tmp_path, name, cut):
    write_random("tiny", 3, tmp_path)
    path = tmp_path / name
    if cut:
        path.write_bytes(path.read_bytes()[:-7])
    else:
        path.unlink()
    write_random("tiny", 3, tmp_path)
    assert files_of(tmp_path) == files_of(written.vjepa_file.parent)


def test_amplitudes_are_those_of_a_training_that_injects_there(written):
    amplitude = torch.load(written.gaze_file, weights_only=True)["state_dict"]["amplitude"]
    assert torch.nonzero(amplitude != 1).flatten().tolist() == [1, 3, 5, 7]
    assert load_gaze(written.gaze_file).injection == Injection((1, 3, 5, 7), "amplitudes")


def test_an_unknown_shape_and_a_full_disk_are_refused(tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match=r"'9b': choose one of tiny, 0\.5b, 3b, 7b"):
        write_random("9b", 0, tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**9))
    with pytest.raises(CheckpointError, match=r"17\.\d GB are needed and 1\.0 GB are free"):
        write_random("7b", 0, tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))


@torch.no_grad()
def test_activations_and_logits_are_neither_flat_nor_huge(written, model):
    torch.manual_seed(0)
    encoder = load_vjepa(written.vjepa_file, written.vjepa_pixels)
    features = encoder(torch.randn(1, 3, 16, 64, 64))[0]
    assert 0.3 < features.pow(2).mean().sqrt() < 3
    assert features.std(dim=(0, 1, 2)).mean() > 0.1
    tokens = torch.randint(0, 504, (1, 12))
    output = model(input_ids=tokens, output_hidden_states=True)
    for stream in output.hidden_states:
        assert 0.05 < stream.pow(2).mean().sqrt() < 20
    assert 0.3 < output.logits.pow(2).mean().sqrt() < 3
    assert len(set(output.logits[0].argmax(-1).tolist())) > 3


@torch.no_grad()
def test_the_residual_depends_on_gaze_and_changes_the_logits(written, model):
    """The first 9 tokens stand for a grid of 3 x 3, the rest for text."""
    torch.manual_seed(0)
    resampler = load_gaze(written.gaze_file).resampler
    features, encoding = torch.randn(9, 64), torch.rand(2, 32)
    left, right = (resampler(features, each) for each in encoding)
    assert (left - right).abs().max() > 1e-3
    tokens = torch.randint(0, 504, (1, 14))
    plain, with_left, with_right = (
        _logits(model, tokens, residuals, resampler.geometry.injected_layers)
        for residuals in (torch.zeros_like(left), left, right)
    )
    assert (with_left - plain).abs().max() > 0.1
    assert (with_left - with_right).abs().max() > 1e-3


def _logits(model, tokens, residuals, layers):
    """Logits at the last position with residuals added after the layers, by hooks."""

    def adding(residual):
        def hook(module, arguments, output):
            output[:, : len(residual)] += residual

        return hook

    decoder = model.model.language_model.layers
    handles = [
        decoder[layer].register_forward_hook(adding(residual))
        for layer, residual in zip(layers, residuals, strict=True)
    ]
    logits = model(input_ids=tokens).logits[0, -1]
    for handle in handles:
        handle.remove()
    return logits


def test_the_side_of_the_frames_is_chosen_at_the_export(tmp_path):
    """No weight depends on it, so the same checkpoints serve every side."""
    from export.__main__ import _checkpoints, parse_arguments
    from runtime.terminal import SafeConsole

    out, sides = tmp_path / "out", []
    for more in ([], ["--vjepa-pixels", "384"]):
        options = parse_arguments(["--random", "tiny", "--out", str(out), *more])
        checkpoints = _checkpoints(options, SafeConsole(sys.stderr))
        sides.append(load_vjepa(checkpoints.vjepa, checkpoints.vjepa_pixels).geometry.pixels)
    assert sides == [64, 384]
