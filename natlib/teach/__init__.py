"""For notebooks: figures, the explorer, the machine check, and self-checks of exercises."""

from importlib import import_module

from natlib.teach.machine import check

__all__ = ["check", "report", "show"]


def __getattr__(name: str) -> object:
    """Imports `show` or `report` where it is asked for: the machine check needs neither."""
    if name in ("report", "show"):
        return getattr(
            import_module(f"natlib.teach.{'plots' if name == 'show' else 'learn'}"), name
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
