"""Shows the source of what a lesson explains: the very lines that run, not a copy of them."""

import ast
import inspect
import textwrap

from IPython.display import Markdown, display


def show_source(*things: object, docstrings: bool = False) -> None:
    """Shows functions, methods or classes of natlib as Python code, and where they stand.

    Args:
        *things: What to show, one after the other.
        docstrings: Whether to keep docstrings, which the text of a lesson mostly repeats.
    """
    for thing in things:
        code = textwrap.dedent(inspect.getsource(thing))
        if not docstrings:
            code = _without_docstrings(code)
        module = inspect.getmodule(thing).__name__.replace(".", "/")
        display(Markdown(f"`{module}.py`, `{thing.__qualname__}`\n\n```python\n{code}\n```"))


def _without_docstrings(code: str) -> str:
    lines = code.splitlines()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            first = node.body[0]
            lines[first.lineno - 1 : first.end_lineno] = [None] * (
                first.end_lineno - first.lineno + 1
            )
    return "\n".join(line for line in lines if line is not None).strip()
