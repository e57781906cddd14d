"""The book and the slides: what their scripts make, and what the check of built pages finds."""

import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

pytest.importorskip("latex2mathml", reason="the extra 'site' is not installed")

from docs import book, check, slides, tex

ROOT = Path(__file__).parents[1]
PICTURE = {"text/html": "<img alt='a front' src='data:image/png;base64,aa'>", "image/png": "aa"}
WIDGET = {book.WIDGET: {"model_id": "1"}, "text/plain": "HBox()"}


@pytest.mark.parametrize(
    ("html", "problem"),
    [
        ("<a href='gone.html'>x</a>", "gone.html does not exist"),
        ("<a href='../outside.html'>x</a>", "../outside.html does not exist"),
        ("<a href='#gone'>x</a>", "#gone has no such anchor"),
        ("<a href='other.html#gone'>x</a>", "other.html#gone has no such anchor"),
        ("<a href='/other.html'>x</a>", "holds only at the root of a host"),
        ("<img src='picture.png'>", "a picture has no alt text"),
        ("<img alt=' ' src='picture.png'>", "a picture has no alt text"),
        ("<img alt='x' src='gone.png'>", "gone.png does not exist"),
        ("<script src='https://cdn.example/x.js'></script>", "cdn.example/x.js from elsewhere"),
        ("<link rel='stylesheet' href='//cdn.example/x.css'>", "cdn.example/x.css from elsewhere"),
        ("<style>@import 'https://cdn.example/x.css';</style>", "from elsewhere"),
        ("<style>p { background: url(https://cdn.example/x) }</style>", "from elsewhere"),
        ("<p style='background: url(http://cdn.example/x)'>x</p>", "from elsewhere"),
    ],
)
def test_check_finds(tmp_path, html, problem):
    pages = tmp_path / "pages"
    pages.mkdir()
    (tmp_path / "outside.html").write_text("<p>not part of the pages", "utf-8")
    (pages / "index.html").write_text(html, "utf-8")
    (pages / "other.html").write_text("<h1 id='here'>Here</h1>", "utf-8")
    (pages / "picture.png").touch()
    (found,) = check.problems(pages)
    assert found.startswith("index.html: ") and problem in found
    assert check.main([str(pages)]) == 1


def test_check_accepts_good_pages(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "index.html").write_text(
        "<a href='#up'>1</a><h1 id='up'>2</h1><a href='../b.html#here%20too'>3</a>"
        "<a href='..'>4</a>"
        "<a href='https://example.org/x'>5</a><img alt='x' src='data:image/png;base64,aa'>"
    )
    (tmp_path / "b.html").write_text("<a name='here too' href='a/'>1</a>", "utf-8")
    (tmp_path / "index.html").write_text(
        "<link rel='canonical' href='https://example.org'>", "utf-8"
    )
    assert check.problems(tmp_path) == []
    assert check.main([str(tmp_path)]) == 0


def test_check_reads_style_sheets(tmp_path):
    (tmp_path / "index.html").touch()
    (tmp_path / "style.css").write_text(
        "@font-face { src: url('https://cdn.example/f.woff') }", "utf-8"
    )
    (found,) = check.problems(tmp_path)
    assert found == "style.css: loads https://cdn.example/f.woff from elsewhere"


def test_check_of_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match="build it first"):
        check.problems(tmp_path)


def test_formulas_become_mathml():
    text = tex.render_math("$x_i$ costs $5 or `$x$` and\n\n$$\\sum_i x_i$$\n```\n$y$\n```")
    assert text.count("<math") == 2 and 'display="block"' in text
    assert "<msub><mi>x</mi><mi>i</mi></msub>" in text
    assert " costs $5 or `$x$` and" in text and "\n$y$\n" in text


def lecture() -> nbformat.NotebookNode:
    """A notebook with one of everything that slides treat in their own way."""

    def marked(cell, kind):
        cell.metadata.slideshow = {"slide_type": kind}
        return cell

    outputs = [new_output("stream", text="3"), new_output("display_data", data=PICTURE)]
    notes = "**What do you notice?** $x$\n\nMore.\n\n## Next\n\nText\n\n## Exercises\n\n1. none"
    return new_notebook(
        cells=[
            marked(new_markdown_cell("# A lesson\n\nText"), "slide"),
            marked(new_code_cell("import os"), "skip"),
            new_code_cell("show()", outputs=outputs),
            marked(new_markdown_cell(notes), "fragment"),
            new_code_cell("x = 1\n" * 30),
            new_code_cell("slider", outputs=[new_output("display_data", data=WIDGET)]),
        ],
        metadata={"widgets": {}},
    )


def test_slides_follow_the_metadata_and_the_rules():
    parts = [(slides.slide_type(cell), cell.source[:8]) for cell in slides.arrange(lecture()).cells]
    assert parts == [
        ("slide", "# A less"),
        ("-", "show()"),
        ("subslide", "show()"),  # the picture
        ("fragment", "**What d"),
        ("subslide", "More."),
        ("slide", "## Next\n"),
        ("subslide", "x = 1\nx "),  # does not fit below the text
        ("subslide", "slider"),
    ]


def test_an_explorer_gets_a_slide_and_keeps_its_page_without_a_kernel():
    html = {"text/html": '<div id="natlib-1-1"></div>\n<script>1</script>', "text/plain": "x"}
    outputs = [new_output("display_data", data=data) for data in (html, WIDGET)]
    notebook = new_notebook(cells=[new_code_cell("explorer", outputs=outputs)])
    code, explorer = slides.arrange(notebook).cells
    assert code.outputs == [] and [output.data for output in explorer.outputs] == [html]
    assert slides.slide_type(explorer) == "subslide" and slides.PICTURE in explorer.metadata.tags


def test_links_of_slides_lead_to_decks():
    text = "[one](01_supernet.ipynb#Elastic-width) [map](map.md#top) [paper](https://example.org)"
    notebook = new_notebook(cells=[new_markdown_cell(text)])
    (part,) = slides.arrange(notebook).cells
    assert part.source == "[one](01_supernet.html) map [paper](https://example.org)"


def test_code_and_picture_are_apart_and_widgets_gone():
    _, code, picture, *_, last = slides.arrange(lecture()).cells
    assert [output.output_type for output in code.outputs] == ["stream"]
    assert [output.data for output in picture.outputs] == [PICTURE]
    assert last.outputs == []


def test_a_deck_needs_no_other_file(tmp_path):
    nbformat.write(lecture(), tmp_path / "lesson.ipynb")
    deck = slides.make_deck(tmp_path / "lesson.ipynb", tmp_path / "decks")
    assert [path.name for path in deck.parent.iterdir()] == ["lesson.html"]
    assert check.problems(deck.parent) == []
    html = deck.read_text("utf-8")
    assert html.count("<section") == html.count("</section>") == 2 + 6
    assert 'alt="a front"' in html and "Exercises" not in html and "<math" in html


def test_reveal_is_shipped_with_its_notice():
    assert "Permission is hereby granted" in (slides.DECK / "reveal" / "LICENSE").read_text("utf-8")
    assert sum(path.stat().st_size for path in slides.DECK.rglob("*") if path.is_file()) < 600_000


@pytest.fixture
def executed(tmp_path):
    """Copies of all notebooks in place of executed ones, and one deck."""
    for notebook in (ROOT / "notebooks").rglob("[0-9]*.ipynb"):
        copy = tmp_path / "executed" / notebook.relative_to(ROOT / "notebooks")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(notebook.read_bytes())
    (tmp_path / "slides").mkdir()
    (tmp_path / "slides" / "00_start_here.html").write_text("<p>a deck", "utf-8")
    return tmp_path / "executed"


def test_book_holds_every_notebook_with_links_to_its_files(executed, tmp_path):
    book.gather(executed, tmp_path / "slides", tmp_path / "book")
    pages = tmp_path / "book" / "pages"
    notebooks = {path.relative_to(ROOT) for path in ROOT.glob("notebooks/**/[0-9]*.ipynb")}
    assert {path.relative_to(pages) for path in pages.rglob("*.ipynb")} == notebooks
    index = (pages / "index.md").read_text("utf-8")
    assert all(str(path.with_suffix("")) in index for path in notebooks)
    title = json.loads((pages / "notebooks" / "00_start_here.ipynb").read_text("utf-8"))["cells"][0]
    name = "00_start_here"
    for link in (f"files/{name}.py", f"files/{name}.ipynb", f"slides/{name}.html"):
        assert f'href="../{link}"' in "".join(title["source"])
        assert (tmp_path / "book" / "extra" / link).exists()


def test_book_says_what_is_not_executed(executed, tmp_path):
    (executed / "00_start_here.ipynb").unlink()
    with pytest.raises(FileNotFoundError, match="'make site' makes it"):
        book.gather(executed, tmp_path / "slides", tmp_path / "book")
