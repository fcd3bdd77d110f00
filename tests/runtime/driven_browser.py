"""Chromium without a window, driven by its own driver."""

import shutil
from contextlib import contextmanager

import pytest

DRIVER, BROWSER = shutil.which("chromedriver"), shutil.which("chromium")

needs_browser = pytest.mark.skipif(
    DRIVER is None or BROWSER is None, reason="needs Debian's chromium and chromium-driver"
)


@contextmanager
def opened_browser():
    """Yields selenium's driver; what pages write on their console is logged."""
    pytest.importorskip("selenium", reason="needs the extra 'test'")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for switch in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def type_keys(browser, *keys):
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(*keys).perform()


def wait_for(browser, what):
    """Until `what()` is true, 30 s at most; returns it."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 30).until(lambda _: what())


def text_of(browser, name):
    return browser.execute_script(f"return document.getElementById('{name}').textContent")
