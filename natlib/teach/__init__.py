"""For notebooks: figures, questions, the explorer, the machine check, and checks of exercises."""

from natlib.teach.machine import check

__all__ = ["check", "report", "show"]


def __getattr__(name: str) -> object:
    """Imports `report` or `show` where it is asked for: the machine check needs neither."""
    if name in ("report", "show"):
        from natlib.teach import learn, plots

        return learn.report if name == "report" else plots.show
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
