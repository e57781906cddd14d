"""Shows the source of what a lesson explains: the very lines that run, not a copy of them."""

import ast
import inspect
import textwrap

from IPython.display import Markdown, display


def show_source(*things: object) -> None:
    """Shows functions, methods or classes as code, without docstrings, and where they stand."""
    for thing in things:
        code = textwrap.dedent(inspect.getsource(thing))
        lines = dict(enumerate(code.splitlines(), start=1))
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
                for number in range(node.body[0].lineno, node.body[0].end_lineno + 1):
                    del lines[number]
        code, module = "\n".join(lines.values()), inspect.getmodule(thing).__name__
        place = f"`{module.replace('.', '/')}.py`, `{thing.__qualname__}`"
        display(Markdown(f"{place}\n\n```python\n{code}\n```"))
