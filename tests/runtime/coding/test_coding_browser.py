"""50 fixations are checked in Chromium, by the keyboard alone."""

import csv
import random
from collections import Counter

import pytest
from chromium import IN_BROWSER, chromium
from coded_wearer import coded, things_of
from driven_browser import text_of, type_keys, wait_for
from reviewed_folder import reviewed

from devices.synthetic.cloud import draw_wearer

COUNT = 50
ENTER, SLASH = "\ue007", "/"

pytestmark = IN_BROWSER


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    wearer = draw_wearer(tmp_path_factory.mktemp("drawn") / "wearer", 9100, 45.0)
    out = tmp_path_factory.mktemp("coded") / "out"
    assert coded(wearer.folder, out, "--things", things_of(wearer), "--check", "no") == 0
    assert len(wearer.truth) > COUNT
    return out, wearer.things


@pytest.fixture
def browser(tmp_path):
    with chromium(tmp_path) as driver:
        yield driver


def is_at(browser, number):
    return browser.execute_script("return document.body.dataset.at") == str(number)


def lines(out):
    with (out / "wearer" / "corrections.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def kappa(pairs):
    """Cohen's, by its definition."""
    count = len(pairs)
    same = sum(one == other for one, other in pairs) / count
    first, second = (Counter(pair[side] for pair in pairs) for side in (0, 1))
    chance = sum(first[name] * second[name] for name in first) / count**2
    return (same - chance) / (1 - chance)


def test_50_fixations_by_keyboard_alone_land_in_the_table_and_in_kappa(folder, browser):
    out, things = folder
    draw = random.Random(7)
    said = []
    with reviewed(out) as (address, _):
        browser.get(address)
        wait_for(browser, lambda: is_at(browser, 0))
        for number in range(COUNT):
            key = draw.choice([ENTER, ENTER, ENTER, "n", "u", "1", "2", SLASH])
            if key == SLASH:
                type_keys(browser, SLASH)
                type_keys(browser, 'salt, "fine"', ENTER)
            else:
                type_keys(browser, key)
            wait_for(browser, lambda following=number + 1: is_at(browser, following))
            said.append(key)
        rows = lines(out)
        names = {"n": "none of these", "u": "", "1": things[0], "2": things[1]}
        names[SLASH] = 'salt, "fine"'
        wanted = [names.get(key, row["proposal"]) for key, row in zip(said, rows, strict=True)]
        assert [row["thing"] for row in rows] == wanted
        told = f"kappa {kappa([(row['thing'], row['proposal']) for row in rows]):.3f},"
        wait_for(browser, lambda: told in text_of(browser, "agreement"))
        type_keys(browser, "\ue012", "3")  # back by one, and another thing
        wait_for(browser, lambda: len(lines(out)) == COUNT + 1)
        assert lines(out)[-1]["row"] == rows[-1]["row"]
        assert lines(out)[-1]["thing"] == things[2]
        assert browser.get_log("browser") == []


def test_keys_faster_than_the_disk_are_heard_in_their_order(folder, browser):
    out, things = folder
    with reviewed(out, "--corrections", str(out / "fast.csv")) as (address, _):
        browser.get(address)
        wait_for(browser, lambda: is_at(browser, 0))
        type_keys(browser, *"12u12n")
        wait_for(browser, lambda: is_at(browser, 6))
    with (out / "fast.csv").open(encoding="utf-8", newline="") as file:
        heard = [row["thing"] for row in csv.DictReader(file)]
    assert heard == [*things[:2], "", *things[:2], "none of these"]


def test_a_server_that_is_gone_is_said_and_no_key_behind_it_is_taken(folder, browser):
    out, _ = folder
    with reviewed(out, "--corrections", str(out / "gone.csv")) as (address, process):
        browser.get(address)
        wait_for(browser, lambda: is_at(browser, 0))
        process.kill()
        process.wait(10)
        type_keys(browser, *"12")
        wait_for(browser, lambda: "not written" in text_of(browser, "said"))
        assert is_at(browser, 0)
