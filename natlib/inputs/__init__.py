"""What comes from outside: pictures, folders, weights, settings, other processes and signals.

The ground floor: it imports nothing else of natlib, the core may import it, and it returns plain
values. What is refused gets a sentence of `words.toml`: what is wrong, where, what to do.
"""

import tomllib
from collections.abc import Iterable
from pathlib import Path

WORDS = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))


def say(key: str, **parts: object) -> str:
    """Returns a sentence of `words.toml`, filled in."""
    place, name = key.split(".")
    return WORDS["sentences"][place][name].format(**parts)


def demand(fine: object, key: str, error: type = ValueError, **parts: object) -> None:
    """Raises an error with such a sentence where something is not `fine`."""
    if not fine:
        raise error(say(key, **parts))


def listed(names: Iterable[object], most: int = 3) -> str:
    """Returns names in quotes, `most` of them."""
    names = [f"'{name}'" for name in names]
    return ", ".join(names[:most]) + ", ..." * (len(names) > most)
