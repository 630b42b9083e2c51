"""Reports: from a summary to a page in Chinese, a page in English and a long table."""

from eco_index.report.render import render

__all__ = ["render"]
