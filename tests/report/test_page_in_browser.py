"""The page in a real Chromium: it renders, sorts, filters, unfolds, in the light and the dark."""

import shutil

import pytest
from waiting import PATIENCE

from flowbench.report.write import write_report

playwright = pytest.importorskip("playwright.sync_api", reason="driving Chromium needs playwright")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--no-first-run"]
RIGHT_EDGE = "part => part.getBoundingClientRect().right"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def address(tree, tmp_path_factory):
    folder = write_report(tree, out=tmp_path_factory.mktemp("page"))
    return (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=["light", "dark"])
def opened(browser, address, request):
    """The page, all its charts drawn, and what it complains of or asks of the network."""
    context = browser.new_context(color_scheme=request.param)
    page = context.new_page()
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: complaints.extend(_from_outside(asked.url)))
    page.scheme = request.param
    page.goto(address)
    page.wait_for_selector("html[data-ready]", timeout=1000 * PATIENCE)
    yield page, complaints
    context.close()


@pytest.fixture
def page(opened):
    """The page without a filter; nothing was complained of, nothing asked of the network."""
    page, complaints = opened
    page.fill("#filter", "")
    yield page
    assert complaints == []


def _from_outside(url):
    return [] if url.startswith(("file:", "data:", "blob:")) else [url]


def first_column(page):
    return page.locator(".summary:visible td:first-child").all_inner_texts()


def test_it_renders(page):
    assert page.locator(".summary").count() == 7
    assert page.locator(".chart polyline").count() >= 6
    assert page.locator(".effects .interval circle").count() >= 2
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(int(part) for part in ground[4:-1].split(",")) > 3 * 128
    assert light is (page.scheme == "light")


@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_is_cut_off(page, width):
    """Wide tables scroll, also by keyboard; the page itself does not."""
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator(".summary:visible button").first.click()
    for part in page.locator("table, pre, .chart, .figures img").all():
        right = part.evaluate(RIGHT_EDGE)
        scrolls = part.evaluate("part => !!part.closest('.scroll[tabindex=\"0\"]')")
        assert right <= width or scrolls
    for part in page.locator("article:visible, article:visible pre").all():
        assert part.evaluate(RIGHT_EDGE) <= width
        assert part.evaluate("part => part.scrollWidth <= part.clientWidth")
    page.locator(".summary:visible button").first.click()


def test_nothing_is_cut_off_on_paper(page):
    page.set_viewport_size({"width": 700, "height": 900})  # A4
    page.emulate_media(media="print")
    rights = [part.evaluate(RIGHT_EDGE) for part in page.locator("table, .chart").all()]
    page.emulate_media(media="screen")
    assert max(rights) <= 700


@pytest.mark.parametrize(("media", "width"), [("screen", 1200), ("screen", 390), ("print", 800)])
def test_screen_readers_find_no_serious_fault(page, media, width):
    page.set_viewport_size({"width": width, "height": 900})
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-core")
    page.emulate_media(media=media)
    button = page.locator(".summary:visible button").last
    button.click()
    found = axe.Axe().run(page).response["violations"]
    button.click()
    page.emulate_media(media="screen")
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    assert [(one["id"], one["nodes"][0]["html"]) for one in grave] == []


def test_headings_sort_and_what_is_missing_comes_last(page):
    assert first_column(page) == sorted(first_column(page))
    heading = page.locator("th", has_text="test log-likelihood")
    cells = page.locator(".summary td:nth-child(5)")
    for order in ("descending", "ascending"):
        heading.locator("button").click()
        assert heading.get_attribute("aria-sort") == order
        sorts = [cell.get_attribute("data-v") for cell in cells.all()]
        values = [float(value) for value in sorts if value]
        assert values == sorted(values, reverse=order == "descending")
        assert sorts[-2:] == ["", ""]


def test_the_filter_keeps_what_has_all_words(page):
    page.fill("#filter", "toy tanh")
    assert first_column(page) == ["toy", "toy"]
    assert page.inner_text("#count") == "2 of 7 settings"
    page.fill("#filter", "failed")
    assert first_column(page) == ["toy"]


def test_a_row_unfolds_to_command_and_figures(page):
    page.fill("#filter", "gaussian")
    row = page.locator(".summary:visible")
    detail = row.locator("xpath=following-sibling::tr")
    assert not detail.is_visible()
    row.click()
    assert detail.is_visible()
    assert row.locator("button").get_attribute("aria-expanded") == "true"
    assert detail.locator("code").first.inner_text()
    assert "test log-likelihood" in detail.locator("pre").inner_text()
    image = detail.locator("img").first
    image.scroll_into_view_if_needed()
    page.wait_for_function("image => image.naturalWidth > 0", arg=image.element_handle())
    row.locator("button").press("Enter")
    assert not detail.is_visible()
