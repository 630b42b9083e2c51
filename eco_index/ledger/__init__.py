"""The ledger of human-activity leads (疑似问题线索): what it holds, and where it lies."""

from eco_index.ledger.book import NAME, Ledger, lines_of, read_ledger, writing
from eco_index.ledger.parameters import LeadParameters, load_parameters
from eco_index.ledger.places import chip_path, leads_folder, ledger_path

__all__ = [
    "NAME",
    "LeadParameters",
    "Ledger",
    "chip_path",
    "leads_folder",
    "ledger_path",
    "lines_of",
    "load_parameters",
    "read_ledger",
    "writing",
]
