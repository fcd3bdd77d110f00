"""Text from tokens: told in whole characters, the whole is what a decoder of everything says."""

import random

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from runtime.answers.spelling import MOST_HELD, Spelling

TEXTS = ("the red cup", " naïve – straße", "刀を見た", "👩‍🍳🔪", "é\u0301", "\ufffd", "a\n b  c ")


@pytest.fixture(scope="module")
def tokenizer():
    """Bytes, and no merges: every character beyond ASCII takes several tokens."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    built = Tokenizer(models.BPE({letter: n for n, letter in enumerate(letters)}, []))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    return built


PRINTABLE = (*range(33, 127), *range(161, 173), *range(174, 256))


def letters_of(raw):
    """Bytes as a byte-level tokenizer writes them: those that can't be printed from 256 on."""
    others = [byte for byte in range(256) if byte not in PRINTABLE]
    return "".join(chr(b) if b in PRINTABLE else chr(256 + others.index(b)) for b in raw)


@pytest.fixture(scope="module")
def straddling():
    """The same, and a token that ends one character and begins another."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merged = letters_of(b"\x82"), letters_of(b"\xe2")
    vocabulary = {text: n for n, text in enumerate([*letters, "".join(merged)])}
    built = Tokenizer(models.BPE(vocabulary, [merged]))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    return built


class Counting:
    """A tokenizer that counts what it is given to decode."""

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self.decoded = 0

    def decode(self, tokens):
        self.decoded += len(tokens)
        return self._tokenizer.decode(tokens)


def spelt(tokenizer, tokens):
    pieces = []
    spelling = Spelling(tokenizer, pieces.append)
    for token in tokens:
        spelling.add(token)
    whole = spelling.end()
    assert whole == "".join(pieces) and "" not in pieces
    return pieces, whole


@pytest.mark.parametrize("text", TEXTS)
def test_every_piece_is_of_whole_characters(tokenizer, text):
    pieces, whole = spelt(tokenizer, tokenizer.encode(text).ids)
    assert whole == text
    assert text == "\ufffd" or not any("\ufffd" in piece for piece in pieces)


def test_a_character_is_told_with_its_last_byte(tokenizer):
    pieces = []
    spelling = Spelling(tokenizer, pieces.append)
    told = []
    for token in tokenizer.encode("a刀b").ids:
        spelling.add(token)
        told.append(len(pieces))
    assert told == [1, 1, 1, 2, 3]


@pytest.mark.parametrize("seed", range(200))
def test_damaged_text_is_what_it_would_be_if_all_were_decoded_at_once(tokenizer, seed):
    draws = random.Random(seed)
    tokens = tokenizer.encode("".join(draws.choices(TEXTS, k=6))).ids
    for _ in range(4):
        place = draws.randrange(len(tokens))
        tokens[place : place + 1] = [draws.randrange(256)] * draws.randrange(3)
    cut = tokens[: draws.randrange(len(tokens))]
    assert spelt(tokenizer, cut)[1] == tokenizer.decode(cut)


@pytest.mark.parametrize("seed", range(100))
def test_so_is_text_that_is_damaged_for_longer_than_is_waited(straddling, seed):
    """Of bytes that begin, go on and end no character; also where no token ends with one."""
    draws = random.Random(seed)
    whole = (b"\x82\xe2",)
    bytes_ = (*whole, b"\xe2", b"\x82", b"\xac", b"\xf0", b"\xff") if seed % 2 else whole
    drawn = draws.choices(bytes_, k=3 * MOST_HELD)
    tokens = [straddling.token_to_id(letters_of(each)) for each in drawn]
    tokens += straddling.encode("刀 a").ids
    for count in range(MOST_HELD - 3, len(tokens), 7):
        assert spelt(straddling, tokens[:count])[1] == straddling.decode(tokens[:count])


@pytest.mark.parametrize("text", ["the red cup ", "刀", "\x80"])
def test_a_long_answer_costs_as_much_per_token_as_a_short_one(tokenizer, text):
    """Also one of bytes that never become a character."""
    tokens = tokenizer.encode(text).ids if text != "\x80" else [tokenizer.encode("刀").ids[1]]
    costs = []
    for count in (1_000, 4_000):
        counting = Counting(tokenizer)
        spelt(counting, (tokens * count)[:count])
        costs.append(counting.decoded / count)
    assert costs[1] < 1.1 * costs[0] and costs[1] <= MOST_HELD
