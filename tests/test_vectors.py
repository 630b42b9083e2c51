"""Zone files as they come: formats, encodings, datums."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from pyproj import CRS
from zone_fakes import RES, make_region, pixel_box

from eco_index.config import load_region
from eco_index.errors import InputError, UsageError
from eco_index.gcj02 import to_gcj02
from eco_index.vectors import project, read_vector
from eco_index.zones import load_layer

NAMES = ["呼和浩特市回民区", "联通", "鄂尔多斯", "𠮷林"]
SHAPES = [pixel_box(10 * k, 2, 10 * k + 9.5, 40) for k in range(4)]


def frame(names: list[str] = NAMES) -> gpd.GeoDataFrame:
    from zone_fakes import CRS

    table = {"code": [f"z{k}" for k in range(len(names))], "名称": names}
    return gpd.GeoDataFrame(table, geometry=SHAPES[: len(names)], crs=CRS)


def shapefile(
    folder: Path, encoding: str, cpg: str | None = None, language: int = 0, names=NAMES
) -> Path:
    """Write a Shapefile whose .cpg says `cpg`, or nothing."""
    path = folder / "zones.shp"
    frame(names).to_file(path, encoding=encoding)
    (folder / "zones.cpg").unlink()
    if cpg is not None:
        (folder / "zones.cpg").write_text(cpg)
    table = bytearray((folder / "zones.dbf").read_bytes())
    table[29] = language
    (folder / "zones.dbf").write_bytes(table)
    return path


class TestShapefile:
    @pytest.mark.parametrize("encoding", ["GB18030", "UTF-8"])
    @pytest.mark.parametrize("language", [0x00, 0x57])
    def test_without_cpg(self, tmp_path, encoding, language):
        found = read_vector(shapefile(tmp_path, encoding, language=language), None, "here")
        assert found["名称"].tolist() == NAMES
        assert found["code"].tolist() == ["z0", "z1", "z2", "z3"]

    @pytest.mark.parametrize(("encoding", "cpg"), [("GBK", "936"), ("GBK", "GBK"),
                                                   ("UTF-8", "UTF-8\n")])  # fmt: skip
    def test_with_cpg(self, tmp_path, encoding, cpg):
        found = read_vector(shapefile(tmp_path, encoding, cpg, names=NAMES[:3]), None, "here")
        assert found["名称"].tolist() == NAMES[:3]

    def test_header_says_gbk(self, tmp_path):
        path = shapefile(tmp_path, "GBK", language=0x4D, names=NAMES[:3])
        assert read_vector(path, None, "here")["名称"].tolist() == NAMES[:3]

    def test_two_bytes_that_are_both(self, tmp_path):
        """'茂' in GBK is valid UTF-8 as well (a letter of another script)."""
        names = ["茂", "模"]
        assert names[0].encode("gbk").decode("utf-8") != names[0]
        table = frame(names).rename(columns={"名称": "name"})
        table.to_file(tmp_path / "zones.shp", encoding="GBK")
        (tmp_path / "zones.cpg").unlink()
        found = read_vector(tmp_path / "zones.shp", None, "here")
        assert found["name"].tolist() == names

    def test_cpg_that_lies(self, tmp_path):
        path = shapefile(tmp_path, "GBK", "UTF-8", names=NAMES[:3])
        with pytest.raises(InputError, match="not in the encoding that zones.cpg states") as caught:
            read_vector(path, None, "here")
        assert "GB18030" in str(caught.value)

    def test_neither_is_not_guessed(self, tmp_path):
        table = frame(["Neiba ñoño", "señora"]).rename(columns={"名称": "name"})
        table.to_file(tmp_path / "zones.shp", encoding="ISO-8859-1")
        (tmp_path / "zones.cpg").unlink()
        with pytest.raises(InputError, match="neither UTF-8 nor GBK"):
            read_vector(tmp_path / "zones.shp", None, "here")
        (tmp_path / "zones.cpg").write_text("ISO-8859-1")
        found = read_vector(tmp_path / "zones.shp", None, "here")
        assert found["name"].tolist() == ["Neiba ñoño", "señora"]

    def test_plain_ascii_needs_nothing(self, tmp_path):
        table = frame(["a", "b"]).rename(columns={"名称": "name"})
        table.to_file(tmp_path / "zones.shp")
        (tmp_path / "zones.cpg").unlink(missing_ok=True)
        assert read_vector(tmp_path / "zones.shp", None, "here")["name"].tolist() == ["a", "b"]


class TestFormats:
    @pytest.mark.parametrize("name", ["zones.gpkg", "zones.geojson", "zones.parquet", "zones.shp"])
    def test_same_layer_from_each(self, tmp_path, name):
        """Areas, names and ids of a zone layer do not depend on the file's format."""
        columns = {"counties": {"code": [f"z{k}" for k in range(4)], "name_zh": NAMES}}
        region = make_region(tmp_path, {"counties": SHAPES}, columns=columns)
        expected = load_layer(region, "counties")
        table = gpd.read_file(tmp_path / "counties.gpkg")
        if name.endswith("parquet"):
            table.to_parquet(tmp_path / name)
        else:
            table = table.to_crs(4490) if name.endswith("json") else table
            table.to_file(tmp_path / name)
        catalogue = tmp_path / "catalog.yaml"
        catalogue.write_text(catalogue.read_text("utf-8").replace("counties.gpkg", name), "utf-8")
        region = load_region(tmp_path / "region.yaml")
        found = load_layer(region, "counties")
        assert found.ids == expected.ids
        assert [n.zh for n in found.names] == NAMES
        assert found.area_km2 == pytest.approx(expected.area_km2, rel=1e-6)

    def test_parquet_without_crs_or_geometry(self, tmp_path):
        frame().set_crs(None, allow_override=True).to_parquet(tmp_path / "a.parquet")
        with pytest.raises(InputError, match="does not say in which CRS"):
            read_vector(tmp_path / "a.parquet", None, "here")
        frame().drop(columns="geometry").to_parquet(tmp_path / "b.parquet")
        with pytest.raises(InputError, match="cannot be read as GeoParquet"):
            read_vector(tmp_path / "b.parquet", None, "here")
        (tmp_path / "c.parquet").write_bytes(b"no parquet")
        with pytest.raises(InputError, match="cannot be read as GeoParquet"):
            read_vector(tmp_path / "c.parquet", None, "here")


def shifted(folder: Path, crs: object) -> None:
    """Move a layer of a test region to GCJ-02 coordinates under an innocent CRS."""
    table = gpd.read_file(folder / "counties.gpkg").to_crs(4326)
    moved = shapely.transform(
        np.asarray(table.geometry.array, dtype=object),
        lambda p: np.column_stack(to_gcj02(p[:, 0], p[:, 1])),
    )
    (folder / "counties.gpkg").unlink()
    table.set_geometry(gpd.GeoSeries(moved, crs=4326)).to_crs(crs).to_file(folder / "counties.gpkg")


class TestDatum:
    @pytest.mark.parametrize("crs", [4326, 4490, 32649, 4547])
    def test_gcj02_comes_back(self, tmp_path, crs):
        region = make_region(
            tmp_path, {"counties": SHAPES}, layer_extra={"counties": {"datum": "gcj02"}}
        )
        shifted(tmp_path, crs)
        found = load_layer(region, "counties")
        for shape, own in zip(SHAPES, found.gdf.geometry, strict=True):
            assert shapely.hausdorff_distance(shape, own) < 0.01

    def test_undeclared_it_stays_off(self, tmp_path):
        region = make_region(tmp_path, {"counties": SHAPES})
        shifted(tmp_path, 4326)
        found = load_layer(region, "counties").gdf.geometry.iloc[0]
        assert 300 < shapely.distance(shapely.centroid(SHAPES[0]), shapely.centroid(found)) < 900

    def test_declared_with_the_dataset(self, tmp_path):
        access = {"type": "vector", "path": "counties.gpkg", "datum": "gcj02"}
        region = make_region(
            tmp_path,
            {"counties": SHAPES},
            datasets={"shifted": {"access": access}},
            layer_extra={"counties": {"dataset": "shifted"}},
        )
        shifted(tmp_path, 4326)
        found = load_layer(region, "counties").gdf.geometry.iloc[1]
        assert shapely.hausdorff_distance(SHAPES[1], found) < 0.01

    @pytest.mark.parametrize("datum", ["wgs84", "cgcs2000"])
    def test_the_others_are_left_alone(self, tmp_path, datum):
        region = make_region(
            tmp_path, {"counties": SHAPES}, layer_extra={"counties": {"datum": datum}}
        )
        assert load_layer(region, "counties").area_km2[0] == pytest.approx(9.5 * 38 * RES**2 / 1e6)

    @pytest.mark.parametrize("crs", [4214, 4610])
    def test_old_crs_contradicts(self, tmp_path, crs):
        """Beijing 1954 and Xian 1980 stand on other ellipsoids."""
        region = make_region(
            tmp_path, {"counties": SHAPES}, layer_extra={"counties": {"datum": "cgcs2000"}}
        )
        table = gpd.read_file(tmp_path / "counties.gpkg").to_crs(4326)
        (tmp_path / "counties.gpkg").unlink()
        table.set_crs(crs, allow_override=True).to_file(tmp_path / "counties.gpkg")
        with pytest.raises(InputError, match="'cgcs2000' is declared, but the file's CRS is"):
            load_layer(region, "counties")

    @pytest.mark.parametrize("crs", [4610, 2333])
    def test_old_datum_is_not_taken_for_a_new_one(self, tmp_path, crs):
        """PROJ knows no shift from Xian 1980 and would leave the zones about 100 m off."""
        region = make_region(tmp_path, {"counties": SHAPES})
        table = gpd.read_file(tmp_path / "counties.gpkg").to_crs(4326)
        (tmp_path / "counties.gpkg").unlink()
        old = table.set_crs(4610, allow_override=True).to_crs(crs)
        old.to_file(tmp_path / "counties.gpkg")
        with pytest.raises(InputError, match="shift from the datum of .* is not known"):
            load_layer(region, "counties")

    def test_a_known_shift_is_made(self):
        """PROJ knows ED50 to WGS 84 but not to CGCS2000, and would then leave it out."""
        place = gpd.GeoDataFrame(geometry=gpd.points_from_xy([5.0], [50.0]), crs=4230)
        found = project(place, CRS(4490), "here").geometry.iloc[0]
        expected = place.to_crs(4326).geometry.iloc[0]
        assert (found.x, found.y) == pytest.approx((expected.x, expected.y), abs=1e-9)
        assert abs(found.x - 5) * 71_000 > 50  # metres
        assert place.to_crs(4490).geometry.iloc[0].x == pytest.approx(5.0, abs=1e-9)

    def test_unknown_datum(self, tmp_path):
        with pytest.raises(UsageError, match="datum"):
            make_region(tmp_path, {"counties": SHAPES}, layer_extra={"counties": {"datum": "bd09"}})
