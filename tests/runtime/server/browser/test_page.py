"""The page in a real browser: what is drawn is true, what is typed is answered, all by keyboard."""

import time

import pytest
from busy import allowed
from chromium import IN_BROWSER, complaints
from opened_page import FRAME_SIDE, SECONDS, opened_page, until

from devices.synthetic.eyes import GAZE_RATE
from devices.synthetic.wearer import Wearer

pytestmark = IN_BROWSER
MOST_AWAY = 3.0  # pixels of the picture
MOST_AGE = 100.0  # milliseconds, of 95 in 100 frames
# How old the frame on the canvas is when the browser comes to show it.
AGES = """
const [done, scene, ages] = [arguments[0], document.getElementById("scene"), []];
const observer = new MutationObserver(() => requestAnimationFrame(() => {
  ages.push(Date.now() - scene.dataset.capturedAt);
  if (ages.length === 100) { observer.disconnect(); done(ages); }
}));
observer.observe(scene, {attributeFilter: ["data-captured-at"]});
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with opened_page(tmp_path_factory.mktemp("browser")) as page:
        yield page
        assert complaints(page.browser) == []


@pytest.fixture
def keys(page):
    """Types into whatever has the focus; nothing is ever clicked."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    page.script("document.activeElement.blur(); getSelection().collapse(document.body, 0)")

    def press(*texts):
        named = [getattr(Keys, text[1:]) if text.startswith("!") else text for text in texts]
        ActionChains(page.browser).send_keys(*named).perform()

    def walk_to(name):
        """Tab until an element has the focus: the page's order is what a person gets."""
        for _ in range(40):
            press("!TAB")
            if (
                page.script(
                    "return document.activeElement.id || document.activeElement.textContent"
                )
                == name
            ):
                return
        raise AssertionError(f"no way to {name} by keyboard")

    press.walk_to = walk_to
    return press


def test_the_picture_moves(page):
    first = page.drawn()
    later = until(lambda: (now := page.drawn())["frame"] != first["frame"] and now)
    assert int(later["frame"]) > int(first["frame"])
    assert later["sum"] != first["sum"]


def test_gaze_is_drawn_where_the_wearer_looked_when_that_frame_was_taken(page):
    wearer = Wearer(0, SECONDS)
    seen, away = set(), []
    while len(away) < 25:
        drawn = until(lambda: (now := page.drawn())["frame"] not in seen and now)
        seen.add(drawn["frame"])
        seconds = -(-int(drawn["frame"]) * 1_000_000_000 // 30) / 1e9
        track = wearer.eyes.track(seconds + 1)
        tick = int(seconds * GAZE_RATE)
        around = track.open[tick : tick + 2]
        if not around.all():
            assert drawn["ring"] is None or around[0]
            continue
        share = seconds * GAZE_RATE - tick
        true_x = track.x[tick] * (1 - share) + track.x[tick + 1] * share
        true_y = track.y[tick] * (1 - share) + track.y[tick + 1] * share
        assert drawn["width"] == drawn["height"] == FRAME_SIDE
        left, right, top, bottom = drawn["ring"]
        if left > 1 and top > 1 and max(right, bottom) < FRAME_SIDE - 2:  # not cut by an edge
            x, y = (left + right + 1) / 2, (top + bottom + 1) / 2
            away.append(((x - true_x * FRAME_SIDE) ** 2 + (y - true_y * FRAME_SIDE) ** 2) ** 0.5)
        time.sleep(0.02)
    assert max(away) <= MOST_AWAY, away


def test_a_typed_question_is_answered(page, keys):
    keys.walk_to("question")
    keys("What colour is what I look at?", "!TAB", "red, blue", "!ENTER")
    record = until(
        lambda: next((r for r in page.history() if r["options"] == ["red", "blue"]), None)
    )
    until(lambda: page.text("said") == "answered")
    item = page.script(
        """const item = [...document.querySelectorAll("#history > li")]
             .find((item) => item.textContent.includes("What colour is what I look at?"));
           return {text: item.textContent, pictures: item.querySelectorAll("img").length,
                   meters: [...item.querySelectorAll("meter")].map((meter) => meter.value),
                   marks: item.querySelectorAll("circle").length}"""
    )
    assert {"A": "red", "B": "blue"}[record["answer"]] in item["text"]
    assert item["meters"] == pytest.approx(list(record["probabilities"].values()), abs=1e-6)
    assert item["pictures"] == min(len(record["steps"]), 8)
    first = len(record["steps"]) - item["pictures"]
    assert item["marks"] == sum(fixation["step"] >= first for fixation in record["fixations"])


def test_what_an_answer_would_be_without_gaze_stands_beside_it(page, keys):
    keys.walk_to("question")
    keys("Without?", "!TAB", "red, blue", "!TAB", " ", "!TAB", "!ENTER")
    record = until(lambda: next((r for r in page.history() if r["question"] == "Without?"), None))
    told = f"(without gaze {100 * record['without_gaze']['probabilities']['A']:.0f} %)"
    until(lambda: told in page.text("history"))
    keys.walk_to("compares")
    keys(" ")


@pytest.fixture
def quiet(page):
    """As the page opened, whatever an earlier try left: quiet, nothing heard, no such alert."""
    page.script(
        """window.heard = 0; window.felt = [];
           const loud = document.getElementById("loud");
           if (loud.checked) loud.click();
           [...document.querySelectorAll("#alerts li")]
             .filter((item) => item.textContent.includes("anything"))
             .forEach((item) => item.querySelector("button").click())"""
    )
    until(lambda: "anything" not in page.text("alerts"))


def test_an_alert_is_added_heard_and_removed_by_keyboard(page, quiet, keys):
    keys.walk_to("loud")
    keys(" ")
    assert page.script("return window.heard") == 2  # what it will sound like
    keys.walk_to("watch")
    keys("I look at anything.", "!TAB", "!BACK_SPACE", "!BACK_SPACE", "!BACK_SPACE", "0", "!ENTER")
    until(lambda: "I look at anything. (from 0)" in page.text("alerts"))
    until(lambda: "Alert: " in page.text("raised") and page.script("return window.felt.length"))
    assert page.script("return window.heard") >= 4
    until(
        lambda: any(
            r["kind"] == "alert" and r["alert"] == "I look at anything." for r in page.history()
        )
    )
    until(lambda: "Alert: I look at anything." in page.text("history"))
    points = """return [...document.querySelectorAll("#alerts li")]
        .find((item) => item.textContent.includes("anything"))
        .querySelector("polyline").getAttribute("points")"""
    until(lambda: page.script(points))
    for _ in range(40):
        keys("!TAB")
        if "anything" in (
            page.script("return document.activeElement.getAttribute('aria-label')") or ""
        ):
            keys("!ENTER")
            break
    until(lambda: "anything" not in page.text("alerts"))
    keys.walk_to("loud")
    keys(" ")


def test_the_screen_is_kept_on_as_long_as_it_is_wanted(page, keys):
    assert page.script("return window.awake") == []
    keys.walk_to("awake")
    keys(" ")
    until(lambda: page.script("return window.awake") == ["screen"])
    keys(" ")
    until(lambda: page.script("return window.awake") == [])


def test_one_looks_back_and_returns(page, keys):
    until(
        lambda: (
            page.script("return fetch('/steps').then((r) => r.json()).then((s) => s.length)") > 2
        )
    )
    keys.walk_to("past")
    until(lambda: int(page.script("return document.getElementById('past').max")) > 1)
    keys("!HOME")
    until(lambda: page.drawn()["frame"] == "past")
    assert page.text("moment").startswith("0:0") and page.text("moment").endswith("of 10:00")
    keys("!TAB", "!ENTER")
    until(lambda: page.drawn()["frame"].isdigit())
    assert page.text("moment") == "now"


def test_what_gaze_did_is_laid_over_the_picture(page, keys):
    plain = "return document.getElementById('heat').checked"
    assert not page.script(plain)
    keys.walk_to("heat")
    keys(" ")
    reddish = """const c = document.getElementById("scene");
        const p = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
        let red = 0;
        for (let i = 0; i < p.length; i += 4) red += p[i] > 200 && p[i + 1] < 110 && p[i + 2] < 60;
        return red"""
    until(lambda: page.script(reddish) > 50)
    keys(" ")


def test_a_step_of_which_no_picture_is_kept_is_no_fault(page):
    gone = """const image = new Image(); image.onerror = () => arguments[0](true);
        image.src = "/steps/1.jpg";"""
    assert complaints(page.browser) == []
    assert page.browser.execute_async_script(gone)
    assert complaints(page.browser) == []


def test_text_is_only_ever_text(page, keys):
    marked = "<img src=x onerror='window.felt=null'>"
    keys.walk_to("question")
    keys(marked, "!TAB", "<b>red</b>, blue", "!ENTER")
    until(lambda: marked in page.text("history"))
    assert page.script("return document.querySelectorAll('#history b, img[src=x]').length") == 0
    assert page.script("return window.felt !== null")


def test_what_can_not_be_asked_is_said(page, keys):
    keys.walk_to("question")
    keys("Which?", "!TAB", "only", "!ENTER")
    until(lambda: "options" in page.text("said"))
    assert not any(record["question"] == "Which?" for record in page.history())


def test_a_frame_is_on_the_page_soon_after_it_was_captured(page):
    page.browser.set_script_timeout(60)
    ages = page.browser.execute_async_script(AGES)
    oldest = sorted(ages)[int(0.95 * len(ages))]
    print(f"95 of 100 frames are on the page within {oldest:.0f} ms")
    assert oldest <= allowed(MOST_AGE), sorted(ages)
