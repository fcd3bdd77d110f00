"""Folders whose files contradict each other: read as transformers reads them, or refused."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen2_5_VLForConditionalGeneration

from export.builder import BundleBuilder, Checkpoints
from export.checkpoints.common import CheckpointError
from export.checkpoints.qwen import QwenCheckpoint
from export.graphs.precision.quantization import linears
from runtime.bundle.manifest import Settings


@pytest.fixture
def folder(tiny_folder, tmp_path):
    return shutil.copytree(tiny_folder.with_name("tiny-checkpoints"), tmp_path / "checkpoints")


def rewrite(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def opened(folder):
    files = folder / "qwen", folder / "vjepa.pt", folder / "gazeqwen.pt"
    checkpoints = Checkpoints(*files, vjepa_pixels=64, weights="trained")
    settings = Settings(live_height=3, live_width=4)
    return BundleBuilder(checkpoints, folder / "out", "t", settings, linears("float32"))


def agrees(folder):
    """What our reading says, once it is known to be what the oracle reads."""
    builder = opened(folder)
    failed = [figure.case for figure in builder.compare_reading() if not figure.holds]
    assert failed == []
    return builder._reading()


def one_file(folder, change=lambda tensors: None):
    """The weights in one file, without their shards."""
    tensors = {}
    for shard in sorted(folder.glob("model-*.safetensors")):
        tensors |= load_file(shard)
        shard.unlink()
    (folder / "model.safetensors.index.json").unlink()
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def test_a_head_that_is_stored_is_the_head(folder):
    def nest(config):
        keys = ("vision_config", "architectures", "model_type", "video_token_id", "image_token_id")
        text = {key: config.pop(key) for key in list(config) if key not in keys}
        config["text_config"] = text | {"tie_word_embeddings": True}
        config["tie_word_embeddings"] = False

    def add(tensors):
        table = tensors["model.embed_tokens.weight"]
        tensors["lm_head.weight"] = table.flip(0).contiguous()

    one_file(folder / "qwen", add)
    rewrite(folder / "qwen" / "config.json", nest)
    ours = agrees(folder).weights.tensor("lm_head.weight")
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder / "qwen")
    assert torch.equal(ours, model.lm_head.weight)
    assert not torch.equal(ours, model.get_input_embeddings().weight)


def test_a_single_file_goes_before_shards(folder):
    shards = shutil.copytree(folder / "qwen", folder / "shards")
    one_file(folder / "qwen", lambda tensors: tensors["model.norm.weight"].mul_(2))
    old = QwenCheckpoint.open(shards).tensor("norm.weight").clone()
    for path in shards.glob("model*"):
        shutil.copy(path, folder / "qwen")
    assert torch.equal(agrees(folder).qwen.tensor("norm.weight"), 2 * old)


def test_a_weight_stored_twice_is_refused(folder):
    def twice(tensors):
        norm = tensors["model.norm.weight"]
        tensors["model.language_model.norm.weight"] = norm + 1

    one_file(folder / "qwen", twice)
    with pytest.raises(CheckpointError, match=r"stored twice.*norm\.weight.*norm\.weight"):
        opened(folder)


def test_an_adapter_in_the_folder_is_refused(folder):
    (folder / "qwen" / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"adapter_config\.json adapts the model"):
        opened(folder)


def test_rope_scaling_goes_before_rope_parameters(folder):
    def both(config):
        config["rope_scaling"] = {
            "rope_type": "default",
            "rope_theta": 5e4,
            "mrope_section": [2, 3, 3],
        }
        config["rope_parameters"] = {**config["rope_scaling"], "rope_theta": 1e6}

    rewrite(folder / "qwen" / "config.json", both)
    assert agrees(folder).decoder.rope_theta == 5e4


def test_yarn_is_refused_wherever_it_counts(folder):
    yarn = {"rope_type": "yarn", "factor": 4.0, "mrope_section": [2, 3, 3]}
    rewrite(folder / "qwen" / "config.json", lambda config: config.update(rope_scaling=yarn))
    with pytest.raises(CheckpointError, match="'yarn' are not supported"):
        opened(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"quantization_config": None},
        {"head_dim": None},
        {"use_sliding_window": True, "max_window_layers": 8},
        {"use_sliding_window": True, "max_window_layers": 0, "sliding_window": None},
    ],
)
def test_what_changes_nothing_is_taken(folder, change):
    rewrite(folder / "qwen" / "config.json", lambda config: config.update(change))
    agrees(folder)


def test_no_key_heads_are_as_many_as_heads(folder):
    rewrite(folder / "qwen" / "config.json", lambda config: config.update(num_key_value_heads=None))
    with pytest.raises(CheckpointError, match=r"k_proj\.weight has shape \(32, 64\).*\(64, 64\)"):
        opened(folder)


def test_questions_are_neither_cut_nor_filled(folder):
    def habits(content):
        content["truncation"] = {
            "direction": "Right",
            "max_length": 24,
            "strategy": "LongestFirst",
            "stride": 0,
        }
        content["padding"] = {
            "strategy": {"Fixed": 200},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 504,
            "pad_type_id": 0,
            "pad_token": "<|endoftext|>",
        }

    rewrite(folder / "qwen" / "tokenizer.json", habits)
    assert len(agrees(folder).prompt.before_video) == 28


def test_the_system_turn_and_the_stops_are_the_checkpoints(folder):
    def turn(content):
        said = "You are a helpful assistant."
        content["chat_template"] = content["chat_template"].replace(said, "Be brief.")

    rewrite(folder / "qwen" / "tokenizer_config.json", turn)
    rewrite(
        folder / "qwen" / "generation_config.json", lambda content: content.update(eos_token_id=504)
    )
    ours = agrees(folder)
    assert "Be brief." in ours.tokenizer.decode(ours.prompt.before_video)
    assert ours.prompt.stop == (504,)


def test_the_picture_rule_is_the_checkpoints(folder, tiny_models):
    """The tower's graph over its own frames, with means and deviations of 0.5."""
    from export.graphs.vision import VisionEmitter
    from export.parity.graphs import random_clip, random_encoding
    from export.parity.reading.pictures import Pictures
    from export.parity.reading.transformers_reading import TransformersReading
    from export.parity.reference import ReferenceModel
    from runtime.engines.engine import OnnxEngine
    from runtime.inputs.vision_layout import vision_layout

    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    path = folder / "qwen" / "preprocessor_config.json"
    rewrite(path, lambda content: content.update(half))
    ours = agrees(folder)
    reading = TransformersReading.of(folder / "qwen")
    reading.fill(reading.model.model.visual, "model.visual.")
    reference = ReferenceModel(reading.model, None, None, Pictures(folder / "qwen"))
    graph = VisionEmitter(ours.qwen.vision_state(), ours.qwen.vision, ours.pictures).emit(folder)
    clip = random_clip(tiny_models, 1, (3, 4), [random_encoding(tiny_models, 1)])
    layout = vision_layout(tiny_models.bundle.manifest.geometry.vision, 3, 4)
    found = OnnxEngine(graph).run({"frame_pair": clip.pair(0), **layout.inputs()})
    with torch.no_grad():
        expected = reference.visual(torch.from_numpy(clip.pair(0))).numpy()
    assert abs(found["visual_embeddings"] - expected).max() < 1e-4


def test_files_that_disagree_about_pictures_are_refused(folder):
    path = folder / "qwen" / "preprocessor_config.json"
    other = json.loads(path.read_text()) | {"image_std": [0.5] * 3}
    path.with_name("video_preprocessor_config.json").write_text(json.dumps(other))
    with pytest.raises(CheckpointError, match="differ in std"):
        opened(folder)


def test_an_emitted_layer_that_computes_otherwise_is_found(tiny_folder, tiny_models, monkeypatch):
    """Rightly read, wrongly built: the first layers differ from transformers' own."""
    from export.graphs.decoder import DecoderEmitter
    from export.parity.cut_down import LAYERS, check_cut_down, cut_down_case
    from export.parity.graphs import graph_cases
    from export.parity.reading.transformers_reading import TransformersReading
    from export.parity.reference import ReferenceModel

    folder = tiny_folder.with_name("tiny-checkpoints")
    builder = opened(folder)
    oracle, ours = builder._oracle(), builder._reading()

    def figures():
        first = TransformersReading.of(oracle.folder, LAYERS)
        first.fill(first.model.model.visual, "model.visual.")
        reference = ReferenceModel(first.model, oracle.encoder(), oracle.gaze, oracle.pictures)
        case = cut_down_case(tiny_models, reference, graph_cases(tiny_models, reference)[-1])
        found = check_cut_down(
            tiny_models, case, ours.weights, ours.qwen.decoder, first, oracle.gaze
        )
        return [figure.holds for figure in found]

    assert figures() == [True, True]
    emit = DecoderEmitter._linear
    swapped = {"gate_proj": "up_proj", "up_proj": "gate_proj"}

    def wrong(self, graph, name, *rest):
        layer, _, part = name.rpartition(".")
        return emit(self, graph, f"{layer}.{swapped.get(part, part)}" if layer else name, *rest)

    monkeypatch.setattr(DecoderEmitter, "_linear", wrong)
    assert figures() == [False, False]
