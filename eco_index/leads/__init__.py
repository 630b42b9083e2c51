"""Human-activity leads (疑似问题线索): search, pictures, the ledger, exchange with people."""

from eco_index.leads.find import FindReport, find
from eco_index.leads.steps import set_state
from eco_index.ledger.book import NAME, Ledger, read_ledger, writing
from eco_index.ledger.parameters import LeadParameters, load_parameters
from eco_index.ledger.places import leads_folder, ledger_path

__all__ = [
    "NAME",
    "FindReport",
    "LeadParameters",
    "Ledger",
    "find",
    "leads_folder",
    "ledger_path",
    "load_parameters",
    "read_ledger",
    "set_state",
    "writing",
]
