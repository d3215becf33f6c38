"""What the tests of pages do in a browser: open, look for requests and errors, scroll until all is drawn, ask axe."""

from collections.abc import Iterator
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1200, "height": 900}


@contextmanager
def opened(browser: Browser, address: str, **options: object) -> Iterator[tuple[Page, list[str], list[str]]]:
    """Yield the page at an address, the requests that it makes beside its own, and what it logs or throws."""
    context = browser.new_context(**{"viewport": DESK, **options})
    page, requests, said = context.new_page(), [], []
    page.on("request", lambda request: requests.append(request.url) if not request.url.startswith("data:") else None)
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.goto(address)
    try:
        yield page, requests, said
    finally:
        context.close()


def scroll_through(page: Page) -> None:
    """Bring every chart into view, one after the other, until all are drawn."""
    page.wait_for_selector("html[data-charts=ready]")
    charts = page.locator("figure[data-chart]")
    for place in range(charts.count()):
        charts.nth(place).evaluate("(one) => one.scrollIntoView({ behavior: 'instant' })")
        page.wait_for_function("(one) => one.classList.contains('live')", arg=charts.nth(place).element_handle())
    page.evaluate("window.scrollTo({ top: 0, behavior: 'instant' })")


def serious_findings(page: Page) -> list[str]:
    """Return what axe finds that is serious or critical, with the element."""
    found = Axe().run(page).response["violations"]
    return [
        f"{violation['impact']}: {violation['id']} {node['target']}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
