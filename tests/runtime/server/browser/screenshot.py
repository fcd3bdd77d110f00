"""Takes the README's picture of the page: .ci/screenshot FILE.jpg"""

import base64
import sys
import tempfile
from pathlib import Path

from chromium import scheme, size
from opened_page import opened_page, until

WIDTH, HEIGHT, QUALITY = 1200, 900, 80


def main(file):
    """An alert is raised and a question answered; then what is seen is written to `file`."""
    with tempfile.TemporaryDirectory() as folder, opened_page(Path(folder)) as page:
        size(page.browser, WIDTH, HEIGHT)
        scheme(page.browser, "light")
        until(lambda: page.text("raised") and "frame" in page.text("history"))
        shown = page.browser.execute_cdp_cmd(
            "Page.captureScreenshot", {"format": "jpeg", "quality": QUALITY}
        )
    file.write_bytes(base64.b64decode(shown["data"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
