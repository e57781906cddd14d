"""How Sphinx makes the book of the pages that `docs/book.py` gathered."""

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

from docs.tex import mathml

project = "natlib"
author = "the natlib authors"
project_copyright = "the natlib authors, MIT licence"
language = "en"
extensions = ["myst_nb"]
nb_execution_mode = "off"  # `make site` executes what is not executed yet, then gathers it
nb_merge_streams = True  # what is printed between two steps of a progress bar
nb_ipywidgets_js = {}  # pages show explorers, and pictures of other widgets
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
myst_heading_slug_func = "docs.book.anchor"
html_math_renderer = "mathml"

html_theme = "sphinx_book_theme"
html_title = "natlib: Neural Architecture Transfer"
html_theme_options = {
    "home_page_in_toc": True,
    "show_toc_level": 2,
    "use_download_button": False,  # each notebook's first lines link its files
    "use_fullscreen_button": False,
    "navbar_persistent": [],  # the search field stands in the side bar
}
html_static_path = ["style.css", "search.js"]
html_css_files = ["style.css"]
html_js_files = ["search.js"]
html_extra_path = ["../build/book/extra"]
html_copy_source = False
html_show_sourcelink = False
html_use_index = False
html_show_sphinx = False
templates_path: list[str] = []


def _inline(translator, node: nodes.math) -> None:
    translator.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def _block(translator, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="formula">{mathml(node.astext(), block=True)}</div>')
    raise nodes.SkipNode


def _remove_templates(app: Sphinx, error: Exception | None) -> None:
    """Takes away the themes' templates, which are copied with their style sheets."""
    for path in Path(app.outdir, "_static").glob("*webpack-macros.html"):
        path.unlink()


def setup(app: Sphinx) -> None:
    """Draws formulas as MathML."""
    app.connect("build-finished", _remove_templates)
    app.add_html_math_renderer(
        "mathml", inline_renderers=(_inline, None), block_renderers=(_block, None)
    )
