"""Foreign text is one harmless line, whatever it holds."""

import random
import time
import unicodedata

import pytest

from devices.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Neon of Ada", "Neon of Ada"),
        ("Ādas Téléphone 電話 📱", "Ādas Téléphone 電話 📱"),
        ("👩\u200d🚀 می\u200cخواهم", "👩\u200d🚀 می\u200cخواهم"),
        ("[bold]Neon[/bold]", "[bold]Neon[/bold]"),
        ("  Neon\t of \u00a0 Ada \n", "Neon of Ada"),
        ("Neon\r\nerror: forged", "Neon error: forged"),
        ("Neon\u2028error:\u2029forged\x85here\x0b\x0c!", "Neon error: forged here !"),
        ("a\x1b[2J\x1b[Hb", "a\ufffdb"),
        ("a\x1b[38;5;196mb", "a\ufffdb"),
        ("a\x9b2Jb", "a\ufffdb"),
        ("a\x1b]0;title\x07b", "a\ufffdb"),
        ("a\x1b]8;;http://x\x1b\\b", "a\ufffdb"),
        ("a\x1bPq#0\x1b\\b", "a\ufffdb"),
        ("a\x1b(0b\x1bc", "a\ufffdb\ufffd"),
        ("a\x1b", "a\ufffd"),
        ("a\x1b[12;", "a\ufffd"),
        ("a\x00\x07\x08\x7fb", "a\ufffdb"),
        ("abc\u202egnp.exe\u2066", "abc\ufffdgnp.exe\ufffd"),
        ("a\ufeffb\u00adc\u200bd", "a\ufffdb\ufffdc\ufffdd"),
        ("a\ud800b\udfff", "a\ufffdb\ufffd"),
        ("a\uffff\U0001fffeb", "a\ufffdb"),
        ("", ""),
        ("\n\n", ""),
    ],
)
def test_what_moves_the_cursor_or_deceives_the_eye_is_replaced(text, shown):
    assert printable(text, 80) == shown


def test_long_text_is_cut_at_the_limit_and_says_so():
    assert printable("a" * 80, 80) == "a" * 80
    assert printable("a" * 81, 80) == "a" * 79 + "…"
    assert printable("one two", 5) == "one…"


def test_what_hides_behind_much_that_is_left_out_is_cut_too():
    assert printable("a" + "\n" * 10_000 + "b", 80) == "a…"


def test_the_cost_does_not_grow_with_the_text():
    for hostile in ("\x1b", "\x1b[0", "\x1b]", "\n ", "\u202e", "0;"):
        began = time.process_time()
        printable("\x1b[" + hostile * 2_000_000, 80)
        assert time.process_time() - began < 0.05


def test_nothing_of_a_thousand_random_texts_is_more_than_a_line():
    draws = random.Random(15)
    alphabet = ["\x1b", "[", "]", "\x9b", "m", "\x07", "\\", "\n", "\u202e", "\ud800", "é", " "]
    for _ in range(1000):
        text = "".join(
            draws.choice((draws.choice(alphabet), chr(draws.randrange(0x110000))))
            for _ in range(draws.randrange(60))
        )
        shown = printable(text, 40)
        assert len(shown) <= 40
        assert not {unicodedata.category(each) for each in shown} & {"Cc", "Cs", "Zl", "Zp"}
        shown.encode("utf-8")
        assert printable(shown, 40) == shown
