"""The report in a real headless Chromium: quiet, offline, narrow, operable, inert."""

from pathlib import Path

import pytest

from gedanken.report.build import build

CHROMIUM = Path("/usr/bin/chromium")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no Chromium at {CHROMIUM}")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page_file(synthetic, tmp_path_factory):
    return build(synthetic.lab(ladder=6, hostile=True), tmp_path_factory.mktemp("report") / "report.html")


class Opened:
    """The page with everything that it said and asked for."""

    def __init__(self, browser, file, width=1400, scheme="light"):
        self.said, self.asked = [], []
        self.view = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.view.on("console", lambda m: self.said.append(m.text))
        self.view.on("pageerror", lambda e: self.said.append(str(e)))
        self.view.on("request", lambda r: self.asked.append(r.url))
        self.view.goto(file.as_uri())
        for panel in self.view.query_selector_all(".panel"):
            panel.scroll_into_view_if_needed()
            panel.wait_for_selector(".chart svg, .empty:not([hidden])")


@pytest.fixture(scope="module")
def opened(browser, page_file):
    return Opened(browser, page_file)


def test_it_is_quiet_and_asks_for_nothing(opened, page_file):
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith("data:")] == [page_file.as_uri()]


def test_panels_out_of_sight_are_drawn_when_idle(browser, page_file):
    view = browser.new_page(viewport={"width": 1400, "height": 900})
    view.goto(page_file.as_uri())
    view.wait_for_function(
        "[...document.querySelectorAll('.panel')].every(p => p.querySelector('.chart svg, .empty:not([hidden])'))"
    )
    assert view.evaluate("scrollY") == 0
    view.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_at_400_pixels(browser, page_file, scheme):
    opened = Opened(browser, page_file, 400, scheme)
    assert opened.view.evaluate("document.documentElement.scrollWidth") <= 400
    cut = """[...document.querySelectorAll('.chart')].filter(c => {
        const svg = c.querySelector('svg');
        return svg && svg.getBoundingClientRect().width > c.clientWidth + 1 }).length"""
    assert opened.view.evaluate(cut) == 0
    opened.view.close()


def test_no_axis_label_touches_another(browser, page_file):
    """Labels of one axis, as drawn, do not overlap; at 400 pixels, where it is hardest."""
    opened = Opened(browser, page_file, 400)
    overlaps = opened.view.evaluate(
        """() => { let bad = [];
        for (const axis of document.querySelectorAll('.role-axis-label')) {
          const boxes = [...axis.querySelectorAll('text')].filter(t => t.textContent && getComputedStyle(t).opacity > 0)
            .map(t => [t.textContent, t.getBoundingClientRect()]);
          for (let i = 1; i < boxes.length; i++) { const a = boxes[i-1][1], b = boxes[i][1];
            if (a.left < b.right && b.left < a.right && a.top + 2 < b.bottom && b.top + 2 < a.bottom)
              bad.push([axis.closest('.panel').id, boxes[i-1][0], boxes[i][0]]); } }
        return bad; }"""
    )
    opened.view.close()
    assert overlaps == []


def test_every_select_redraws(opened):
    """Each option of each select leaves a chart (or a sentence that says there is none) and no complaint."""
    view = opened.view
    for run in view.eval_on_selector_all("#run option", "os => os.map(o => o.value)"):
        view.select_option("#run", run)
        for panel in view.query_selector_all(".panel"):
            panel.scroll_into_view_if_needed()
            for select in panel.query_selector_all("select"):
                if not select.is_visible():
                    continue
                for option in select.eval_on_selector_all("option", "os => os.map(o => o.value)")[-2:]:
                    select.select_option(option)
                    panel.wait_for_selector(".chart svg, .empty:not([hidden])")
    view.wait_for_timeout(200)
    assert opened.said == []
    view.select_option("#run", index=0)


def test_selects_work_from_the_keyboard(opened):
    view = opened.view
    view.select_option("#run", "SmolLM2-135M")
    view.select_option("#depth select[name=quantity]", index=0)
    select = view.query_selector("#depth select[name=quantity]")
    before = select.input_value()
    select.focus()
    view.keyboard.press("ArrowDown")
    assert select.input_value() != before
    view.wait_for_function("document.querySelector('#depth .role-axis-title text').textContent.includes('[')")


def test_csv_is_what_the_chart_shows(opened):
    view = opened.view
    view.select_option("#run", "SmolLM2-135M")
    view.select_option("#depth select[name=quantity]", "rank_exponent")
    view.wait_for_timeout(150)
    with view.expect_download() as download:
        view.click("#depth .csv")
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    head = lines[0].split(",")
    assert download.value.suggested_filename.endswith(".csv") and len(lines) == 1 + 30 * 7
    numbers = {"value", "low", "high", "null", "null_low", "null_high", "ratio"}
    assert {"variable", "unit", "run", "site"} | numbers <= set(head)
    assert {line.split(",")[0] for line in lines[1:]} == {"rank exponent"}


def test_the_theme_toggles(opened):
    view = opened.view
    colour = "getComputedStyle(document.body.parentElement).backgroundColor"
    before = view.evaluate(colour)
    view.click("#theme")
    assert view.evaluate(colour) != before
    view.click("#theme")
    assert view.evaluate(colour) == before


def test_hostile_names_stay_text(opened):
    assert opened.view.evaluate("window.hacked") is None
    assert opened.view.evaluate("document.querySelectorAll('img').length") == 0
    assert "</script>" in opened.view.inner_text("h1")
