"""The built book and slides in a browser, from the file system: width, search, dark mode, slides.

Needs what `make site` builds, Debian's chromium and the package playwright; skipped where one is
missing.
"""

import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser
playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install 'natlib[browser]'"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
BUILD = Path(__file__).parents[1] / "build"
# The page and what in it is wider than the screen and cannot be scrolled.
TOO_WIDE = """() => [document.documentElement, ...document.querySelectorAll("article *")].filter(
  (element) => {
    if (element.getBoundingClientRect().right <= innerWidth + 1) return false;
    for (let box = element.parentElement; box; box = box.parentElement)
      if (getComputedStyle(box).overflowX != "visible") return false;
    return true;
  }).map((element) => element.outerHTML.slice(0, 80))"""
FULL = """() => {
  const slide = Reveal.getCurrentSlide();
  return [slide.scrollHeight, parseFloat(getComputedStyle(slide).fontSize)];
}"""


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    if not (BUILD / "site" / "index.html").exists():
        pytest.skip("there is no book: 'make site' makes it")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser):
    """Returns a function that opens a page, and checks at the end that it ran as a file alone."""
    problems, contexts = [], []

    def note(request):
        if not request.url.startswith(("file:", "data:", "blob:")):
            problems.append(request.url)

    def open_page(path, width=1280, height=720, scheme="light"):
        size = {"width": width, "height": height}
        contexts.append(browser.new_context(viewport=size, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.on("request", note)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"file://{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_the_screen(opened, width):
    site = BUILD / "site"
    page = opened(site / "index.html", width)
    for path in sorted([*site.glob("*.html"), *site.glob("[a-z]*/**/*.html")]):
        if path.relative_to(site).parts[0] != "slides":
            page.goto(f"file://{path}")
            assert not page.evaluate(TOO_WIDE), path


def test_search_finds_a_word_and_its_page(opened):
    page = opened(BUILD / "site" / "search.html?q=hypervolume")
    found = page.locator("#search-results li a").filter(has_text="NSGA-III")
    found.first.wait_for()
    found.first.click()
    page.get_by_role("heading", level=1).filter(has_text="NSGA-III").wait_for()


def test_dark_mode(opened):
    page = opened(BUILD / "site" / "notebooks" / "02_surrogate.html", scheme="dark")
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, color.removeprefix("rgb(").removesuffix(")").split(", ")[:3])) < 60
    assert page.locator("math").count() > 5


@pytest.mark.parametrize("deck", sorted((BUILD / "slides").glob("*.html")), ids=lambda p: p.stem)
def test_every_slide_fits(opened, deck):
    page = opened(deck)
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    number = page.evaluate("Reveal.getTotalSlides()")
    assert number > 10
    for i in range(number):
        page.evaluate(
            "i => { const { h, v } = Reveal.getIndices(Reveal.getSlides()[i]);"
            "Reveal.slide(h, v); }",
            i,
        )
        height, letters = page.evaluate(FULL)
        assert height <= 720 and letters >= 16, f"slide {i + 1}: {letters} px"
