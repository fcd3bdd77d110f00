"""Text as the checkpoint's own tokenizer and chat template make it, and ours compared with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer

from export.checkpoints.chat import VIDEO
from export.checkpoints.common import CheckpointError, read_json
from export.parity.reading.findings import MOST_NAMED, agreed, differs, entries
from export.parity.reading.transformers_reading import ORACLE, quiet
from runtime.answers.questions import Question, alert_question, question_tokens
from runtime.bundle.manifest import ParityFigure, PromptPieces

TEXT = "text"
LONG = " ".join(f"and then, in minute {minute}, something else;" for minute in range(60))
QUESTIONS = (
    Question("What am I looking at?"),
    Question("What am I looking at?", ("the red cup", "a kettle", "it's a spoon", "none")),
    Question("Which one?", ("A. the first", "B) the second", "C.", " D. with a space")),
    Question("How many?", tuple(str(7**power) for power in range(8))),
    Question("At 12:05:59 I paid 1,234.50 EUR, 3/4 of 1e-6 or -0. Why?", ("Yes", "No")),
    alert_question("Am I looking at the phone?"),
    Question("I'll ask: don't they've what we'd say he's?"),
    Question("¿Qué miro? Où est l'œuvre? Straße, naïve, Łódź, İstanbul"),
    Question("cafe\u0301 and café, A\u030a and Å, \ufb01 ligature"),
    Question("Что это? Τι είναι αυτό;", ("чашка", "κύπελλο")),
    Question("我在看什么？", ("红色的杯子", "蓝色的水壶", "以上都不是")),
    Question("私は何を見ていますか。 제가 무엇을 보고 있나요?"),
    Question("ماذا أنظر إليه؟ על מה אני מסתכל?"),
    Question("मैं क्या देख रहा हूँ? ฉันกำลังมองอะไร"),
    Question("🎉 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 👍🏽 what is this?", ("😀", "👁️‍🗨️")),
    Question("first\n\n\nafter two empty lines\n\n"),
    Question("  spaces before,  two within, a tab\tand after   "),
    Question("carriage\r\nreturn, a non-breaking\u00a0space, a zero\u200bwidth one"),
    Question("def f(x):\n    return x**2  # <b>&amp;</b> {% raw %} {{ x }} \\n"),
    Question("<|im_start|>user <|vision_start|> are special, <|no|> is not"),
    Question(f"{LONG} what was the last of it?", ("this", "that")),
)


def checkpoint_tokenizer(folder: Path) -> Any:  # noqa: ANN401 - transformers has many classes
    """The checkpoint's tokenizer as transformers loads it; CheckpointError where it can't."""
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder)
            if tokenizer.chat_template is None:  # the hub also has it apart, for the processor
                template = read_json(folder / "chat_template.json")["chat_template"]
                tokenizer.chat_template = template
            return tokenizer
    except CheckpointError:
        raise
    except Exception as error:  # whatever it is, text can't be compared
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise CheckpointError(
            f"{folder}: {ORACLE} can't load its tokenizer: {reason[0]}"
        ) from error


def compare_text(
    tokenizer: Tokenizer,
    prompt: PromptPieces,
    theirs: Any,  # noqa: ANN401
    stops: int | list[int] | None,
) -> Iterator[ParityFigure]:
    """Questions of many kinds, letters and stop ids.

    `tokenizer` and `prompt` are the bundle's; `stops`: what generation in transformers ends at.
    """
    different = []
    for question in QUESTIONS:
        if said := _difference(tokenizer, prompt, theirs, question):
            different.append(differs(TEXT, f"tokenizer.json, chat template: {said}"))
    yield from different[:MOST_NAMED]
    if not different:
        case = f"{len(QUESTIONS)} questions, as {ORACLE}'s AutoTokenizer and the chat template"
        yield agreed(TEXT, f"{case} give them")
    letters: Mapping[str, list[int]] = {
        letter: theirs(letter, add_special_tokens=False)["input_ids"] for letter in prompt.letters
    }
    yield from entries(
        TEXT,
        "tokenizer.json",
        ORACLE,
        ((f"the letter {each}", [prompt.letters[each]], ids) for each, ids in letters.items()),
    )
    ending = stops if isinstance(stops, list) else [stops]
    yield from entries(
        TEXT, "generation_config.json", ORACLE, [("eos_token_id", list(prompt.stop), ending)]
    )


def _difference(
    tokenizer: Tokenizer,
    prompt: PromptPieces,
    theirs: Any,  # noqa: ANN401
    question: Question,
) -> str:
    """What differs in a question's tokens; empty where nothing does."""
    turn = [{"type": "video"}, {"type": "text", "text": question.prompt()}]
    messages = [{"role": "user", "content": turn}]
    rendered = theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = theirs(rendered, add_special_tokens=False)["input_ids"]
    video = theirs.convert_tokens_to_ids(VIDEO)
    told = repr(question.text if len(question.text) <= 40 else f"{question.text[:40]}...")
    if ids.count(video) != 1:
        return f"{told} has {ids.count(video)} places for the video in {ORACLE}"
    place = ids.index(video)
    if (before := ids[:place]) != list(prompt.before_video):
        return (
            f"before the video stands {tokenizer.decode(prompt.before_video, False)!r} here and "
            f"{theirs.decode(before)!r} in {ORACLE}"
        )
    after, ours = ids[place + 1 :], question_tokens(tokenizer, prompt, question).tolist()
    if ours != after:
        return f"{told} is {len(ours)} tokens here and {len(after)}, or other ones, in {ORACLE}"
    spoken = theirs.decode(after, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    if tokenizer.decode(ours) != spoken:
        return f"the tokens of {told} read {tokenizer.decode(ours)!r} here, else {spoken!r}"
    return ""
