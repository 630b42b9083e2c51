"""Cover measured from drones beside Landsat NDVI of an arid river (Kuiseb, Namib), 30 m pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shared_data import DATA, REAL

from eco_index.groundtruth.accuracy import ALL, accuracy_by_type, parameter_accuracy
from eco_index.groundtruth.gate import gate
from eco_index.methods import load_method

xlrd = pytest.importorskip("xlrd", reason="the plots are .xls files")


pytestmark = REAL


def table(path: Path) -> dict[float, float]:
    """FID to MEAN of a zonal table."""
    sheet = xlrd.open_workbook(path).sheet_by_index(0)
    names = sheet.row_values(0)
    fid, mean = names.index("FID"), names.index("MEAN")
    return {sheet.cell_value(k, fid): sheet.cell_value(k, mean) for k in range(1, sheet.nrows)}


def test_drone_cover_of_the_kuiseb():
    folder = DATA / "kuiseb_uav_fvc"
    cover, ndvi, flights = [], [], []
    for path in sorted((folder / "UAV_FVC_Tables").glob("*_Cover.xls")):
        flight = path.name.removesuffix("_Cover.xls")
        index = table(folder / "Landsat_2016_VI_Tables" / f"{flight}_NDVI.xls")
        for fid, value in table(path).items():
            if fid in index:
                cover.append(value)
                ndvi.append(index[fid])
                flights.append(flight.split("_")[0])
    observed, vegetation = np.array(cover), np.array(ndvi)
    # 18 of the 30 flights are in the shared data; all 30 give r = 0.909, n = 1724.
    found = parameter_accuracy(observed, vegetation)
    assert found.n == 986
    assert np.sqrt(found.r2) == pytest.approx(0.88498, abs=1e-5)

    # Leave one river reach out: the line of the others retrieves its cover, clipped to 0-1.
    reaches = np.array(flights)
    retrieved = np.full(observed.size, np.nan)
    for reach in set(flights):
        own = reaches == reach
        slope, start = np.polyfit(vegetation[~own], observed[~own], 1)
        retrieved[own] = np.clip(slope * vegetation[own] + start, 0, 1)
    by_reach = accuracy_by_type(observed, retrieved, flights)
    every = by_reach[ALL]
    assert sum(a.n for k, a in by_reach.items() if k != ALL) == every.n == 986
    assert every.r2 > 0.6 and every.rmse < 0.2 and every.n_zero == (retrieved == 0).sum()
    # Sparse cover makes the relative error large: the standard's gate says no, and why.
    verdict = gate({"fvc": by_reach}, None, load_method("hj1176_2021"))
    assert not verdict.passed and "below 80 %" in verdict.reasons[0].en
