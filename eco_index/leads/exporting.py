"""Leads for other people's programs: a GeoPackage for maps, a workbook to fill in."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyogrio
import shapely
from openpyxl import Workbook
from openpyxl.cell import Cell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from eco_index.errors import PartialError, UsageError
from eco_index.leads.columns import COLUMNS, ENTRIES, HISTORY, history_rows
from eco_index.leads.shapes import degrees_crs, to_degrees
from eco_index.ledger import chip_path
from eco_index.ledger.book import Ledger
from eco_index.ledger.parameters import LeadParameters
from eco_index.ledger.records import NEEDS_NOTE, STATES, TRANSITIONS, Lead
from eco_index.yamlio import Text

GPKG, XLSX = "leads.gpkg", "leads.xlsx"
SHEETS = (
    Text(zh="线索台账", en="Leads"),
    Text(zh="办理历史", en="History"),
    Text(zh="填写说明", en="How to fill in"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_ENTRY_FILL = PatternFill("solid", fgColor="FFF7D6")
_HEAD_FILL = PatternFill("solid", fgColor="DCE6F1")


def export(
    ledger: Ledger,
    leads: Sequence[Lead],
    folder: Path,
    pictures: Path,
    parameters: LeadParameters,
    language: str,
) -> list[Path]:
    """Write ``leads.gpkg``, ``leads.xlsx`` and the newest picture of each lead into a folder.

    Parameters
    ----------
    ledger : Ledger
        Gives the CRS.
    leads : sequence of Lead
        What is exported, in this order.
    folder : Path
        Files of these names in it are replaced.
    pictures : Path
        The region's folder of leads (holds ``chips``).
    parameters : LeadParameters
        Titles of the kinds.
    language : str
        ``zh`` or ``en``.

    Raises
    ------
    UsageError
        Another language, or nothing to export.
    PartialError
        A file cannot be written (it is open in another program, the disk is full).
    """
    if language not in ("zh", "en"):
        raise UsageError(f"--lang cannot be '{language}'", rule="zh or en")
    if not leads or ledger.opened is None:
        raise UsageError(
            "there is no lead to export",
            where=str(ledger.path),
            fix="search first: eco leads find REGION.yaml --period PERIOD, or ask for other states",
        )
    written = [folder / GPKG, folder / XLSX]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        chips = {lead.id: _copy_chip(lead, pictures, folder) for lead in leads}
        _replace(
            written[0], lambda path: _write_gpkg(path, ledger, leads, chips, parameters, language)
        )
        _replace(written[1], lambda path: _write_xlsx(path, leads, chips, parameters, language))
    except (OSError, pyogrio.errors.DataSourceError) as error:
        raise PartialError(
            f"the export could not be written: {error}",
            where=str(folder),
            fix="close the files in other programs, check the folder, and export again",
        ) from None
    return written


def _replace(path: Path, write: Any) -> None:
    partial = path.with_name(f"~{path.name}")
    partial.unlink(missing_ok=True)
    try:
        write(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _copy_chip(lead: Lead, pictures: Path, folder: Path) -> str:
    """Copy the newest picture of a lead beside the export; return its relative path or ''."""
    pairs = [(lead.latest.period, lead.latest.against)]
    if lead.missed is not None:
        pairs.insert(0, (lead.missed.period, lead.missed.against))
    for period, against in pairs:
        source = chip_path(pictures, lead.id, period, against)
        if source.exists():
            target = chip_path(folder, lead.id, period, against)
            if target != source:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
            return target.relative_to(folder).as_posix()
    return ""


def _write_gpkg(
    path: Path,
    ledger: Ledger,
    leads: Sequence[Lead],
    chips: dict[str, str],
    parameters: LeadParameters,
    language: str,
) -> None:
    assert ledger.opened is not None
    crs = ledger.opened.crs
    rows, shapes = [], []
    for lead in leads:
        row = {c.key: c.cell(lead, parameters, language) for c in COLUMNS}
        row |= {"chip": chips[lead.id], "state_code": lead.state, "kind_code": lead.latest.kind}
        rows.append(row)
        shape = to_degrees(crs, shapely.from_wkt(lead.latest.footprint))
        parts = shapely.get_parts(shape)
        shapes.append(shapely.MultiPolygon(list(parts)))
    frame = gpd.GeoDataFrame(rows, geometry=shapes, crs=degrees_crs(crs))
    frame.to_file(path, layer="leads", driver="GPKG", engine="pyogrio")
    history = pd.DataFrame([r for lead in leads for r in history_rows(lead, language)])
    pyogrio.write_dataframe(history, path, layer="history", driver="GPKG")


def _write_xlsx(
    path: Path,
    leads: Sequence[Lead],
    chips: dict[str, str],
    parameters: LeadParameters,
    language: str,
) -> None:
    book = Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    sheet.title = SHEETS[0].get(language)
    titles = [c.title for c in COLUMNS] + list(ENTRIES.values())
    _header(sheet, titles, language, len(COLUMNS))
    for row, lead in enumerate(leads, 2):
        for column, record in enumerate(COLUMNS, 1):
            cell = sheet.cell(row, column)
            assert isinstance(cell, Cell)
            if record.key == "chip":
                if chips[lead.id]:
                    _put(cell, chips[lead.id].rsplit("/", 1)[-1])
                    cell.hyperlink = chips[lead.id]
                    cell.font = Font(color="1F5FBF", underline="single")
            else:
                _put(cell, record.cell(lead, parameters, language))
        for k, key in enumerate(ENTRIES):
            cell = sheet.cell(row, len(COLUMNS) + 1 + k)
            cell.fill = _ENTRY_FILL
            if key == "on":
                cell.number_format = "yyyy-mm-dd"
    widths = [c.width for c in COLUMNS] + [12, 14, 13, 40]
    for column, width in enumerate(widths, 1):
        sheet.column_dimensions[get_column_letter(column)].width = width
    sheet.freeze_panes = "C2"
    last = get_column_letter(len(titles))
    sheet.auto_filter.ref = f"A1:{last}{len(leads) + 1}"
    choices = ",".join(t.get(language) for k, t in STATES.items() if k != "new")
    valid = DataValidation(type="list", formula1=f'"{choices}"', allow_blank=True)
    letter = get_column_letter(len(COLUMNS) + 1)
    valid.add(f"{letter}2:{letter}{len(leads) + 1}")
    sheet.add_data_validation(valid)
    _history_sheet(book.create_sheet(SHEETS[1].get(language)), leads, language)
    _notes_sheet(book.create_sheet(SHEETS[2].get(language)), leads, parameters, language)
    book.save(path)


def _header(sheet: Worksheet, titles: Sequence[Text], language: str, given: int) -> None:
    for column, title in enumerate(titles, 1):
        cell = sheet.cell(1, column, title.get(language))
        cell.font = Font(bold=True)
        cell.fill = _HEAD_FILL if column <= given else PatternFill("solid", fgColor="F7D774")
        cell.alignment = Alignment(wrap_text=True, vertical="center")


def _put(cell: Cell, value: str | float | int | None) -> None:
    """Write a value; text stays text, also where it begins like a formula."""
    if isinstance(value, str):
        cell.value = _CONTROL.sub(" ", value)[:32767]
        cell.data_type = "s"
    else:
        cell.value = value


def _history_sheet(sheet: Worksheet, leads: Sequence[Lead], language: str) -> None:
    _header(sheet, list(HISTORY.values()), language, len(HISTORY))
    rows = [row for lead in leads for row in history_rows(lead, language)]
    for number, row in enumerate(rows, 2):
        for column, key in enumerate(HISTORY, 1):
            cell = sheet.cell(number, column)
            assert isinstance(cell, Cell)
            _put(cell, row[key])
    for column, width in enumerate((24, 26, 14, 12, 12, 14, 13, 60, 24), 1):
        sheet.column_dimensions[get_column_letter(column)].width = width
    sheet.freeze_panes = "A2"


def _notes_sheet(
    sheet: Worksheet, leads: Sequence[Lead], parameters: LeadParameters, language: str
) -> None:
    zh = language == "zh"
    need = {f"{STATES[a].get(language)} → {STATES[b].get(language)}" for a, b in sorted(NEEDS_NOTE)}
    lines = [
        "只填写黄色列：新状态、办理人、办理日期、备注；其余列请勿改动，新状态留空的行不变。"
        if zh
        else "Fill in the yellow columns only; leave the others as they are. A row without a new "
        "state stays as it is.",
        "填写后用 eco leads import 导入：逐行校验，有一处错误则全部不导入。"
        if zh
        else "Then run eco leads import: all rows are checked; one mistake, and none is imported.",
        "",
        "允许的状态变更：" if zh else "Steps allowed:",
        *(
            f"{STATES[a].get(language)} → {' / '.join(STATES[b].get(language) for b in following)}"
            for a, following in TRANSITIONS.items()
        ),
        ("须填写备注：" if zh else "Steps that need a note: ") + "；".join(sorted(need)),
        "",
        (f"经纬度坐标系：{leads[0].latest.lonlat_crs}；X、Y 为网格坐标（米）。")
        if zh
        else f"Longitude and latitude: {leads[0].latest.lonlat_crs}; X and Y: the grid's, metres.",
        ("判别参数来源：" if zh else "Source of the limits: ") + parameters.source.get(language),
    ]
    for row, text in enumerate(lines, 1):
        sheet.cell(row, 1, text)
    sheet.column_dimensions["A"].width = 110
