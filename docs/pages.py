"""Makes one HTML file of an executed notebook that opens without a network.

Formulas become MathML. A widget, which needs a kernel to do anything, is left out; the picture or
page that stands for it stays.
"""

from __future__ import annotations

from pathlib import Path

from nbconvert import HTMLExporter
from nbformat import NotebookNode

from docs.book import without_widgets
from docs.tex import render_math
from natlib.data import write_text

DOCS = Path(__file__).parent


def make_page(notebook: NotebookNode, path: Path) -> Path:
    """Writes the page of a notebook.

    Args:
        notebook: The notebook with its outputs; it is left as it is.
        path: The file to write, `NAME.html`.

    Returns:
        The page.
    """
    copy = without_widgets(notebook)
    for cell in copy.cells:
        if cell.cell_type == "markdown":
            cell.source = render_math(cell.source)
    exporter = HTMLExporter(template_name="page", extra_template_basedirs=[str(DOCS)])
    html, _ = exporter.from_notebook_node(copy, {"metadata": {"name": path.stem}})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, html)
    return path
