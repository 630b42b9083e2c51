"""Releases: what is published of a period, unchangeable and traceable to its last number."""

from eco_index.release.publishing import publish, releases_of
from eco_index.release.tracing import trace, trace_text

__all__ = ["publish", "releases_of", "trace", "trace_text"]
