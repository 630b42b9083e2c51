"""Beyond one number a zone: residual trends, intervals, project effects, warnings, targets.

Pure functions on arrays and small tables. Every rule and limit stands in ``configs/methods``; the
formulas stand in ``docs/reference/analysis.md``.
"""
