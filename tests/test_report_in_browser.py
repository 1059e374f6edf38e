"""A report in a real browser: nothing runs, nothing is loaded, all can be read.

They need Chromium and the dependency group `browser`, and are skipped without, unless
BAYESPASSK_BROWSER is set: then they fail.
"""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

import bayespassk as bp
from bayespassk.counts import visible
from conftest import HOSTILE

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
PACKAGES = ("playwright", "axe_playwright_python")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser():
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    missing += [] if CHROMIUM else ["Chromium"]
    if missing:
        reason = f"a report cannot be opened in a browser: there is no {' and no '.join(missing)}"
        pytest.fail(reason) if os.environ.get("BAYESPASSK_BROWSER") else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def path(hostile_fits, tmp_path_factory) -> Path:
    """A report of fits whose names try to be more than text."""
    found = tmp_path_factory.mktemp("reports") / "report.html"
    bp.report(hostile_fits, found, k=[1, 100, 10_000], target=["benchmark", "population"])
    return found


@pytest.fixture
def open_page(browser, path):
    """A function that opens the report in a window of some size, and records what it asks for."""
    pages = []

    def opened(size):
        page = browser.new_page(viewport=size)
        pages.append(page)
        page.asked, page.refused, page.said = [], [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("requestfailed", lambda request: page.refused.append(request.failure))
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("dialog", lambda dialog: page.said.append(dialog.message))
        page.goto(path.as_uri())
        return page

    yield opened
    for page in pages:
        page.close()


def test_nothing_runs_and_nothing_is_loaded(open_page, path):
    page = open_page(DESK)
    assert page.asked == [path.as_uri()]
    assert page.said == []  # the policy of the page had nothing to refuse either
    assert page.title().startswith("pass@k of 4 systems on </title><script>")
    assert page.locator("script, iframe, object, embed, form, input, link, base").count() == 0
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 200)")
    for name in map(visible, HOSTILE):
        assert page.get_by_text(name).count() > 0


def test_the_policy_of_the_page_forbids_scripts_and_the_network(open_page):
    page = open_page(DESK)
    page.evaluate(
        """() => {
            const script = document.createElement('script');
            script.textContent = "document.title = 'owned'";
            document.body.append(script);
            const image = document.createElement('img');
            image.src = 'http://127.0.0.1:9/x.png';
            document.body.append(image);
        }"""
    )
    page.wait_for_timeout(200)
    assert "owned'</script>" in page.title()  # which is its name, and not what the script set
    assert page.title() != "owned"
    assert page.asked[1:] == ["http://127.0.0.1:9/x.png"]
    assert page.refused == ["csp"]
    assert len([said for said in page.said if "Content Security Policy" in said]) == 2


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_page_is_as_wide_as_the_window(open_page, size):
    page = open_page(size)
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
    beyond = page.evaluate(
        """width => [...document.querySelectorAll('body *')].filter(e =>
            !e.closest('.scroll') && e.getBoundingClientRect().right > width + 1).length"""
    , size["width"])  # fmt: skip
    assert beyond == 0
    smallest = page.evaluate(
        """() => Math.min(...[...document.querySelectorAll('p, li, td, th, figcaption')].map(e =>
            parseFloat(getComputedStyle(e).fontSize)))"""
    )
    assert smallest >= 13


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_it_keeps_the_rules_of_accessibility(open_page, size):
    """None of the rules of axe is broken; what it cannot decide is contrast, which is next."""
    import axe_playwright_python

    axe = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text()
    page = open_page(size)
    page.evaluate(axe)
    found = page.evaluate("axe.run()")
    broken = [(rule["id"], node["html"]) for rule in found["violations"] for node in rule["nodes"]]
    assert broken == []
    assert {rule["id"] for rule in found["incomplete"]} <= {"color-contrast"}
    passed = {rule["id"] for rule in found["passes"]}
    assert "scrollable-region-focusable" in passed or size is DESK  # where nothing need scroll
    assert passed >= {
        "color-contrast", "image-alt", "document-title", "html-has-lang", "heading-order",
        "meta-viewport", "region",
    }  # fmt: skip


CONTRASTS = """() => {
    const parts = colour => colour.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = e => {
        const colour = parts(getComputedStyle(e).backgroundColor);
        return colour.length === 3 || colour[3] === 1 ? colour : behind(e.parentElement);
    };
    const texts = [...document.querySelectorAll('body *')].filter(e =>
        [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()));
    return texts.map(e => {
        const [a, b] = [light(parts(getComputedStyle(e).color)), light(behind(e))];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    });
}"""


def test_all_text_stands_out_from_what_is_behind_it(open_page):
    """By WCAG's formula; 4.5 is its level AA, and 1 would be text that cannot be seen."""
    page = open_page(PHONE)
    found = page.evaluate(CONTRASTS)
    assert len(found) > 200
    assert min(found) >= 4.5
    page.evaluate("document.querySelector('footer').style.color = '#999'")
    assert min(page.evaluate(CONTRASTS)) < 4.5  # so it can fail


def test_print_has_all_of_a_table_and_no_links_to_press(open_page):
    page = open_page(DESK)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 680, "height": 900})
    assert not page.locator("nav").is_visible()
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    )
    assert (
        page.evaluate("getComputedStyle(document.querySelector('figure')).breakInside") == "avoid"
    )
    assert page.pdf(format="A4").startswith(b"%PDF")
    cut = page.evaluate(
        """() => [...document.querySelectorAll('table')].filter(t =>
            t.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
            .map(t => t.caption.textContent)"""
    )
    assert cut == []


def test_the_verdict_is_the_first_thing_seen(open_page):
    page = open_page(PHONE)
    box = page.locator(".verdict .level").bounding_box()
    title = page.locator("h1").bounding_box()
    assert box["y"] > title["y"]
    assert page.locator("main > :first-child").get_attribute("aria-label") == "Verdict"
