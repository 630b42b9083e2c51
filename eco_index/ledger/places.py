"""Where a region's ledger of leads and its pictures lie."""

from __future__ import annotations

from pathlib import Path

from eco_index.config import Region
from eco_index.errors import InputError
from eco_index.ledger.book import NAME, Ledger

FOLDER = "leads"


def leads_folder(region: Region) -> Path:
    """Return the folder of a region's ledger, pictures and exports."""
    return region.output / FOLDER


def ledger_path(region: Region) -> Path:
    """Return the file of a region's ledger."""
    return leads_folder(region) / NAME


def chip_path(folder: Path, lead_id: str, period: str, against: str) -> Path:
    """Return the file of a lead's picture of a pair of periods."""
    return folder / "chips" / f"{lead_id}_{against}_{period}.png"


def check_owner(ledger: Ledger, region: Region) -> None:
    """Refuse a ledger of another region or CRS.

    Raises
    ------
    InputError
        It belongs to another region than the region file's, or its footprints are in another CRS.
    """
    opened = ledger.opened
    if opened is None:
        return
    if opened.region != region.id or opened.crs != region.grid.crs_wkt:
        what = "region" if opened.region != region.id else "CRS"
        raise InputError(
            f"the ledger belongs to another {what} than the region file's",
            where=str(ledger.path),
            rule=f"ledger: region '{opened.region}'; region file: '{region.id}'; footprints are "
            "matched in one CRS",
            fix="give the region an output folder of its own, or its old id and grid CRS back",
        )
