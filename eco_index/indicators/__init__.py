"""Per-zone indicators (records) and official indices per unit (EI, EQI)."""

from eco_index.indicators.adapters import method_use, to_index_value
from eco_index.indicators.classes import class_table
from eco_index.indicators.commands import (
    index_command_data,
    methods_check,
    methods_list,
    methods_show,
)
from eco_index.indicators.engine import change_class, evaluate, grade, input_names
from eco_index.indicators.records import INDICATORS, ZoneIndicator
from eco_index.indicators.region import region_mean
from eco_index.indicators.result import IndexResult, SubResult
from eco_index.indicators.table import read_table
from eco_index.indicators.text import index_text
from eco_index.indicators.together import evaluate_together, held

__all__ = [
    "INDICATORS",
    "IndexResult",
    "SubResult",
    "ZoneIndicator",
    "change_class",
    "class_table",
    "evaluate",
    "evaluate_together",
    "grade",
    "held",
    "index_command_data",
    "index_text",
    "input_names",
    "method_use",
    "methods_check",
    "methods_list",
    "methods_show",
    "read_table",
    "region_mean",
    "to_index_value",
]
