"""Debian's Chromium without a screen, steered by its own driver; nothing is fetched for it."""

import shutil
from contextlib import contextmanager

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
HERE = shutil.which("chromium"), shutil.which("chromedriver")

IN_BROWSER = [
    pytest.mark.browser,
    pytest.mark.realtime,
    pytest.mark.skipif(None in HERE, reason="needs Debian's chromium and chromium-driver"),
]


def in_browser(test):
    """One test of a file that has others, too."""
    for mark in IN_BROWSER:
        test = mark(test)
    return test


@contextmanager
def chromium(folder, *flags):
    """Yields a driver whose browser keeps its profile in a new folder below `folder`."""
    pytest.importorskip("selenium", reason="needs the extra 'test'")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location, driver = HERE
    for flag in (*FLAGS, *flags, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    try:
        yield browser
    finally:
        browser.quit()


def size(browser, width, height, is_phone=False):
    """Show the page as in a window, or on a phone, of so many CSS pixels."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 2 if is_phone else 1}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**metrics, "mobile": is_phone})


def scheme(browser, name):
    """`light` or `dark`."""
    features = [{"name": "prefers-color-scheme", "value": name}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def complaints(browser):
    """What stands in the console as an error, since it was last asked for."""
    return [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]
