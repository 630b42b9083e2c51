"""Records as data: what sensors deliver, how archives name it, how sensors are made alike."""

from eco_index.records.dialect import CollectionDialect, Dialect, load_dialect
from eco_index.records.harmonisation import Harmonisation, load_harmonisation
from eco_index.records.sensor import (
    Band,
    Guard,
    Mask,
    RecordBand,
    SensorRecord,
    known_records,
    load_record,
    platform_id,
)

__all__ = [
    "Band",
    "CollectionDialect",
    "Dialect",
    "Guard",
    "Harmonisation",
    "Mask",
    "RecordBand",
    "SensorRecord",
    "known_records",
    "load_dialect",
    "load_harmonisation",
    "load_record",
    "platform_id",
]
