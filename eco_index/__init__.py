"""Ecological quality from satellite imagery: imagery in, versioned cube and reports out."""

__version__ = "0.1.0"
