"""Trends of real and published series against the results that came with them."""

from __future__ import annotations

import csv
import json

import numpy as np
import pymannkendall as mk
import pytest
import rasterio
from shared_data import DATA, REAL

from eco_index.trends import NOT_TESTED, lines, trends

pytestmark = REAL


def same(found, k, want):
    assert found.slope[k] == pytest.approx(want["slope"], rel=1e-9)
    assert found.z[k] == pytest.approx(want["z"], rel=1e-9)
    assert found.p[k] == pytest.approx(want["p"], rel=1e-9)
    assert found.tau[k] == pytest.approx(want["Tau"], rel=1e-9)


def test_drought_index_of_inner_mongolia():
    folder = DATA / "inner_mongolia_spei03_aug"
    reference = json.loads((folder / "mann_kendall_reference.json").read_text("utf-8"))
    years = np.array(reference["years"])
    layers = []
    for year in years:
        with rasterio.open(folder / f"SPEI_03_{year}_08.tif") as source:
            layers.append(source.read(1))
    stack = np.stack(layers)
    found = trends(stack, years, correction="none")
    for name, want in reference["pixels"].items():
        row, column = (int(part[3:]) for part in name.split("_"))
        same(found, (row, column), want)
    zone = np.nanmean(stack, axis=(1, 2))
    np.testing.assert_allclose(zone, reference["plain_pixel_mean"], atol=1e-6)
    same(trends(zone[:, None], years, correction="none"), 0, reference["plain_mean_trend"])
    outside = np.isnan(stack).all(axis=0)
    assert outside.any() and (found.classes[outside] == NOT_TESTED).all()
    corrected = trends(stack, years)
    rows, columns = np.nonzero(np.isfinite(stack).all(axis=0))
    for row, column in list(zip(rows, columns, strict=True))[::400]:
        want = mk.hamed_rao_modification_test(stack[:, row, column].astype(float))
        assert corrected.p[row, column] == pytest.approx(want.p, rel=1e-7, abs=1e-12)


def test_yearly_vegetation_maxima_of_two_flux_sites():
    folder = DATA / "phenofit_mod13a1_2sites"
    sites = json.loads((folder / "annual_max_trend_reference.json").read_text("utf-8"))["sites"]
    best: dict[tuple[str, int], float] = {}
    with open(folder / "MOD13A1_2sites.csv", encoding="utf-8", newline="") as source:
        for row in csv.DictReader(source):
            key = (row["site"], int(row["date"][:4]))
            if row["SummaryQA"] in ("0", "1") and row["NDVI"]:
                best[key] = max(best.get(key, -np.inf), float(row["NDVI"]))
    for site, want in sites.items():
        years = np.array(want["years"])
        series = np.array([best[site, int(y)] for y in years])
        assert series.tolist() == want["annual_max_NDVI_QA01"]
        same(trends(series[:, None], years, correction="none"), 0, want["trend"])


def test_published_ecological_index_of_cities_in_henan():
    with open(DATA / "checks" / "henan_ei_trend.csv", encoding="utf-8", newline="") as source:
        rows = [r for r in csv.DictReader(source) if r["pub_slope"]]
    names = [name for name in rows[0] if name.startswith("y")]
    years = np.array([int(name[1:]) for name in names])
    fit = lines(np.array([[float(r[name]) for r in rows] for name in names]), years)
    assert len(rows) == 9
    for k, row in enumerate(rows):
        assert fit.slope[k] == pytest.approx(float(row["pub_slope"]), abs=0.0005)
        assert fit.r2[k] == pytest.approx(float(row["pub_R2"]), abs=0.0023)
        assert fit.change[k] == pytest.approx(float(row["pub_dEI"]), abs=0.011)
