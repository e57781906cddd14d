"""The built book and slides in a browser, from the file system: width, search, dark mode, slides.

Needs what `make site` builds, Debian's chromium and the package playwright; skipped where one is
missing.
"""

import re
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


needs_site = pytest.mark.skipif(
    not (BUILD / "site" / "index.html").exists(), reason="there is no book: 'make site' makes it"
)


@needs_site
@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_the_screen(opened, width):
    site = BUILD / "site"
    page = opened(site / "index.html", width)
    for path in sorted([*site.glob("*.html"), *site.glob("[a-z]*/**/*.html")]):
        if path.relative_to(site).parts[0] != "slides":
            page.goto(f"file://{path}")
            assert not page.evaluate(TOO_WIDE), path


@needs_site
def test_search_finds_a_word_and_its_page(opened):
    page = opened(BUILD / "site" / "search.html?q=hypervolume")
    found = page.locator("#search-results li a").filter(has_text="NSGA-III")
    found.first.wait_for()
    found.first.click()
    page.get_by_role("heading", level=1).filter(has_text="NSGA-III").wait_for()


@needs_site
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


PRINTED = """() => [...document.querySelectorAll(".pdf-page")].map((page) => {
  const slide = page.querySelector("section");
  return [slide.scrollHeight, slide.scrollWidth, parseFloat(getComputedStyle(slide).fontSize)];
})"""


@pytest.mark.parametrize("deck", sorted((BUILD / "slides").glob("*.html")), ids=lambda p: p.stem)
def test_every_slide_is_printed_on_a_page_of_its_own(opened, deck):
    page = opened(f"{deck}?print-pdf")
    page.locator(".pdf-page > section").first.wait_for()
    page.wait_for_function("document.querySelectorAll('.pdf-page').length > 10")
    slides = page.evaluate(PRINTED)
    assert len(slides) == page.evaluate("Reveal.getTotalSlides()")
    full = [(i, *size) for i, size in enumerate(slides, 1) if size[0] > 720 or size[1] > 1280]
    assert not full, "number, height, width and size of letters"
    paper = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == len(slides)


@pytest.mark.parametrize(
    "copy", sorted((BUILD / "notebooks").rglob("*.html")), ids=lambda path: path.stem
)
def test_an_executed_copy_opens_without_a_network(opened, copy):
    page = opened(copy)
    assert page.locator("h1").count() == 1 and page.locator(".jp-CodeCell").count() > 3
    assert not page.locator("script[src]").count()  # what an explorer needs stands in the page
    assert not re.search(r"\$[^$`\n]{1,60}\$", page.locator("main").inner_text().replace("\\$", ""))
