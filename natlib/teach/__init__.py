"""For notebooks: figures, the explorer, the machine check, and self-checks of exercises."""

from natlib.teach.machine import check

__all__ = ["check", "show"]


def __getattr__(name: str) -> object:
    """Imports `show` where it is asked for: the machine check needs no figures."""
    if name == "show":
        from natlib.teach.plots import show

        return show
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
