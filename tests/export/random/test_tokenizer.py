import unicodedata

import pytest
from transformers import AutoTokenizer

from export.random.tokenizer import SPECIAL_TOKENS, train_tokenizer, write_tokenizer

CORPUS = (
    "You are a helpful assistant.",
    "Question: What am I looking at?\nOptions:\nA. the red cup\nB. the blue cup\nC. no\nD. yes",
    "The best option is: A The best option is: B The best option is: C The best option is: D",
)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(CORPUS * 4, 320)


def test_the_vocabulary_is_bytes_then_merges_then_special_tokens(tokenizer):
    assert tokenizer.get_vocab_size() == 320
    assert [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS] == list(range(312, 320))
    # As in Qwen2.5: the printable bytes come first, so that "!" is 0 and "A" is 32.
    assert tokenizer.encode("!AD").ids == [0, 32, 35]


def test_a_corpus_too_small_gives_fewer_tokens_and_a_tiny_vocabulary_is_refused():
    assert train_tokenizer(["ab"], 1000).get_vocab_size() == 256 + 1 + len(SPECIAL_TOKENS)
    with pytest.raises(ValueError, match="at least 264"):
        train_tokenizer(["ab"], 263)


def test_the_same_texts_give_the_same_tokenizer(tokenizer):
    assert train_tokenizer(CORPUS * 4, 320).to_str() == tokenizer.to_str()


@pytest.mark.parametrize("letter", "ABCD")
def test_option_letters_are_single_tokens(tokenizer, letter):
    assert len(tokenizer.encode(letter).ids) == 1
    assert len(tokenizer.encode(f" {letter}").ids) == 1


def test_special_tokens_stay_whole_and_text_survives(tokenizer):
    text = "<|im_start|>user\n<|video_pad|>naïve 視線 A\t12<|im_end|>\n"
    encoding = tokenizer.encode(text)
    assert encoding.tokens[0] == "<|im_start|>"
    assert "<|video_pad|>" in encoding.tokens
    assert tokenizer.decode(encoding.ids, skip_special_tokens=False) == text
    assert "<|" not in tokenizer.decode(encoding.ids)


def test_text_is_cut_and_normalised_as_qwen_does(tokenizer):
    """The pieces written out from the regular expression of Qwen2.5."""
    cut = tokenizer.pre_tokenizer.pre_tokenize_str("I'll see 123 cups, (two)!\n\n  ok ")
    pieces = [piece.replace("Ġ", " ").replace("Ċ", "\n") for piece, _ in cut]
    expected = ["I", "'ll", " see", " ", "1", "2", "3", " cups", ",", " (", "two", ")!\n\n"]
    assert pieces == [*expected, " ", " ok", " "]
    decomposed = unicodedata.normalize("NFD", "naïve")
    assert tokenizer.encode(decomposed).ids == tokenizer.encode("naïve").ids


def test_transformers_loads_the_folder_and_agrees(tokenizer, tmp_path):
    write_tokenizer(tokenizer, tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    text = "<|im_start|>user\n<|vision_start|><|video_pad|><|vision_end|>Options:\nA. 42<|im_end|>"
    assert theirs(text)["input_ids"] == tokenizer.encode(text).ids
    assert theirs.eos_token == "<|im_end|>"
    assert theirs.pad_token == "<|endoftext|>"


def test_the_chat_template_is_that_of_qwen(tokenizer, tmp_path):
    write_tokenizer(tokenizer, tmp_path)
    turn = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "What?"}]}]
    rendered = AutoTokenizer.from_pretrained(tmp_path).apply_chat_template(
        turn, add_generation_prompt=True, tokenize=False
    )
    assert rendered == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n<|vision_start|><|video_pad|><|vision_end|>What?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
