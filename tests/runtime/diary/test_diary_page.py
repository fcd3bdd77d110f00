"""The page of a live run shows its diary as a time line."""

import json
import sqlite3
import time
import urllib.error
import urllib.request

import pytest
from chromium import chromium, in_browser
from driven_browser import wait_for
from served_run import served


def fetch(address):
    with urllib.request.urlopen(address, timeout=10) as answer:
        return answer.read()


def entries(address, count):
    """What is told once there are so many entries."""
    for _ in range(150):
        told = json.loads(fetch(f"{address}diary"))
        if len(told["entries"]) >= count:
            return told
        time.sleep(0.2)
    raise AssertionError("nothing came into the diary")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "diary.sqlite"
    with served("--diary", str(path)) as (address, _):
        yield address, path


def test_the_page_is_told_what_the_file_holds(run):
    address, path = run
    told = entries(address, 3)["entries"]
    numbers = [each["number"] for each in told]
    assert numbers == sorted(numbers)
    with sqlite3.connect(path) as file:
        rows = dict(file.execute("SELECT number, at FROM entries").fetchall())
        pictures = dict(file.execute("SELECT number, content FROM pictures").fetchall())
    assert all(each["at"] == pytest.approx(rows[each["number"]] / 1e6) for each in told)
    assert fetch(f"{address}diary/{numbers[0]}.jpg") == pictures[numbers[0]]
    later = json.loads(fetch(f"{address}diary?after={numbers[1]}"))["entries"]
    assert [each["number"] for each in later][:2] == numbers[1:3]


@pytest.mark.parametrize("path", ["diary/0.jpg", "diary/99999999999999999999.jpg", "diary?after=x"])
def test_what_is_not_there_is_not_found(run, path):
    with pytest.raises(urllib.error.HTTPError) as refused:
        fetch(run[0] + path)
    assert refused.value.code == 404


def test_a_run_without_a_diary_has_no_time_line():
    with served() as (address, _), pytest.raises(urllib.error.HTTPError) as refused:
        fetch(f"{address}diary")
    assert refused.value.code == 404


@in_browser
def test_the_time_line_shows_every_entry_in_the_lane_of_its_thing(run, tmp_path):
    address = run[0]
    entries(address, 3)
    with chromium(tmp_path) as browser:
        browser.get(address)
        bars = "return [...document.querySelectorAll('#lanes rect')].map((r) => r.textContent)"
        shown = wait_for(browser, lambda: browser.execute_script(bars))
        told = json.loads(fetch(f"{address}diary"))["entries"][: len(shown)]
        assert len(shown) >= 3
        for said, entry in zip(shown, told, strict=True):
            assert said.endswith(entry["thing"] or "unsure")
        pictures = (
            "return [...document.querySelectorAll('#looks img')].filter((i) => i.naturalWidth)"
        )
        wait_for(browser, lambda: len(browser.execute_script(pictures)) >= 3)
        assert browser.get_log("browser") == []
