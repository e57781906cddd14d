"""A thin library for rebuilding Neural Architecture Transfer (NAT) in notebooks."""

from natlib.doctor import check

__all__ = ["check"]
__version__ = "0.1.0"
