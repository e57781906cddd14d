"""A thin library for rebuilding Neural Architecture Transfer (NAT) in notebooks."""

__version__ = "0.1.0"
