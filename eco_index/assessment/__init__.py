"""Assessments: programme x period -> one schema-checked summary with its maps and zones."""

from eco_index.assessment.digest import assessment_digest
from eco_index.assessment.run import assess

__all__ = ["assess", "assessment_digest"]
