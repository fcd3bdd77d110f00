"""axe-core finds nothing serious on the page, as wide as a desk's and as narrow as a phone's."""

import time
from pathlib import Path

import pytest
from chromium import IN_BROWSER, scheme, size
from opened_page import opened_page, until

pytestmark = IN_BROWSER
RUN = "axe.run().then((found) => arguments[0](found.violations))"
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def page(tmp_path_factory, request):
    folder = request.config.getoption("--axe")
    if folder is None:
        pytest.skip("needs axe-core: .ci/axe DIR, then --axe DIR")
    source = Path(folder).absolute() / "node_modules" / "axe-core" / "axe.min.js"
    with opened_page(tmp_path_factory.mktemp("browser")) as page:
        until(lambda: page.text("history"))
        page.script(source.read_text("utf-8"))
        yield page


def serious(page):
    page.browser.set_script_timeout(60)
    found = page.browser.execute_async_script(RUN)
    return [
        (each["id"], [node["html"] for node in each["nodes"]])
        for each in found
        if each["impact"] in SERIOUS
    ]


@pytest.mark.parametrize("look", ["light", "dark"])
@pytest.mark.parametrize(("width", "height", "is_phone"), [(1280, 900, False), (390, 844, True)])
def test_nothing_serious_keeps_anybody_from_using_it(page, width, height, is_phone, look):
    size(page.browser, width, height, is_phone)
    scheme(page.browser, look)
    time.sleep(0.3)
    assert serious(page) == []


def test_nothing_has_to_be_scrolled_sideways_on_a_phone(page):
    size(page.browser, 360, 740, True)
    assert page.script("return document.documentElement.scrollWidth") <= 360


def test_a_serious_fault_would_be_found(page):
    scheme(page.browser, "light")
    page.script("document.getElementById('state').className = 'planted'")
    page.script("document.getElementById('state').attributeStyleMap.set('color', '#ddd')")
    page.script("document.querySelector('label[for=question]').remove()")
    assert {"color-contrast", "label"} <= {name for name, _ in serious(page)}
