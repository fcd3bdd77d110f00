"""The page of a served run, opened in Chromium, and what a person can see of it."""

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from chromium import chromium, size
from served_run import served

SECONDS = 600.0  # of the run: the things on the table depend on it
FRAME_SIDE = 336
COUNTED = """
window.felt = []; window.heard = 0; window.awake = [];
navigator.wakeLock.request = async (what) => {
  window.awake.push(what);
  return { release: () => window.awake.pop() };
};
navigator.vibrate = (pattern) => { window.felt.push(pattern); return true; };
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (at) { window.heard += 1; return start.call(this, at); };
"""
# In one go, so that no frame comes in between: the gaze's ring is the one thing of its colour.
DRAWN = """
const canvas = document.getElementById("scene"), {width, height} = canvas;
const {frame, gaze, capturedAt} = canvas.dataset;
const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
let [left, right, upper, lower, sum] = [width, -1, height, -1, 0];
for (let at = 0; at < pixels.length; at += 4) {
  sum += pixels[at];
  if ([255, 59, 107].every((value, channel) => Math.abs(pixels[at + channel] - value) < 8)) {
    const [x, y] = [(at / 4) % width, Math.floor(at / 4 / width)];
    [left, right] = [Math.min(left, x), Math.max(right, x)];
    [upper, lower] = [Math.min(upper, y), Math.max(lower, y)];
  }
}
return {frame, gaze, sum, width, height, now: Date.now(), capturedAt,
        ring: right < 0 ? null : [left, right, upper, lower]};
"""


@dataclass(frozen=True)
class OpenedPage:
    """`address` ends in a slash."""

    browser: object
    address: str

    def drawn(self):
        """What is on the canvas now."""
        return self.browser.execute_script(DRAWN)

    def text(self, name):
        return self.browser.execute_script(
            "return document.getElementById(arguments[0]).textContent", name
        )

    def history(self):
        """The records that the server tells, oldest first."""
        with urlopen(f"{self.address}history.jsonl") as reply:
            return [json.loads(line) for line in reply.read().splitlines()]

    def script(self, text, *arguments):
        return self.browser.execute_script(text, *arguments)


@contextmanager
def opened_page(folder: Path, *more, flags=()):
    """A new run of the synthetic wearer of seed 0, and its page once a picture is drawn."""
    with (
        served(*more, seconds=f"{SECONDS:g}") as (address, _),
        chromium(folder, *flags) as browser,
    ):
        browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": COUNTED})
        size(browser, 1280, 900)
        browser.get(address)
        page = OpenedPage(browser, address)
        until(lambda: page.drawn()["frame"])
        yield page


def until(happened, seconds=40.0):
    """Wait for what happens on the page, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found
