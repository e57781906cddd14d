"""Formulas as MathML at build time: browsers draw it without a script, with fonts of their own."""

from __future__ import annotations

import re

from latex2mathml.converter import convert

# Code comes first, so that a dollar in it starts no formula.
_MATH = re.compile(
    r"(?P<code>```.*?```|`[^`\n]+`)|\$\$(?P<block>.+?)\$\$|(?<![\\$\w])\$(?P<inline>[^$`\s]"
    r"(?:[^$`\n]*[^$`\s])?)\$(?!\d)",
    re.DOTALL,
)


def mathml(tex: str, block: bool = False) -> str:
    """Returns a formula as MathML.

    Args:
        tex: The formula in the notation of TeX, without dollars.
        block: Whether it stands on a line of its own.
    """
    return convert(tex.strip(), display="block" if block else "inline")


def render_math(markdown: str) -> str:
    """Replaces the formulas in a text in Markdown, which stand between dollars, by MathML."""

    def replace(match: re.Match) -> str:
        if match["code"]:
            return match["code"]
        return mathml(match["block"] or match["inline"], block=bool(match["block"]))

    return _MATH.sub(replace, markdown)
