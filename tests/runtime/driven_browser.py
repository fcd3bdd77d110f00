"""What a person does in a browser, and waits for."""


def type_keys(browser, *keys):
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(*keys).perform()


def wait_for(browser, what):
    """Until `what()` is true, 30 s at most; returns it."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 30).until(lambda _: what())


def text_of(browser, name):
    return browser.execute_script(f"return document.getElementById('{name}').textContent")
