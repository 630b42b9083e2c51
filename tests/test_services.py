"""Maps of services: closed forms on a plane, any tile, gaps, inputs that are not there."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from assessment_cube import HEIGHT, WIDTH
from hypothesis import given, settings
from hypothesis import strategies as st
from service_fakes import PLAIN, RISE, FakeView, plane, service_region

from eco_index.assessment.service_sums import GradeSums, ServiceSums
from eco_index.config import load_region
from eco_index.errors import InputError, UsageError
from eco_index.grid import Tile
from eco_index.indices import wind
from eco_index.methods import load_method
from eco_index.period import Period
from eco_index.services import FILL, SERVICES, ServiceMaps
from eco_index.services.types import load_types
from eco_index.shares import PixelShares
from eco_index.summary import TOTAL_NAME, Zone
from eco_index.zone_raster import ZonePixels

YEAR = Period(2025)
WHOLE = Tile(0, 0, 0, HEIGHT, 0, WIDTH)
EMPTY = PixelShares(*(np.zeros(0, np.int64) for _ in range(3)))


def view_of(land: int | np.ndarray, cover: float | np.ndarray) -> FakeView:
    land_map = np.broadcast_to(np.asarray(land, np.uint8), (HEIGHT, WIDTH))
    share = np.broadcast_to(np.asarray(cover, float), (HEIGHT, WIDTH))
    stored = np.where(np.isnan(share), 65535, np.rint(np.nan_to_num(share) * 1e4))
    return FakeView(land_map, stored.astype(np.uint16))


def potential() -> float:
    """R K L S on the plane, written down from the standard's formulas."""
    sine = math.sin(math.atan(RISE))
    beta = sine / 0.089 / (3 * sine**0.8 + 0.56)
    length = (100 / 22.13) ** (beta / (1 + beta))
    steep = 16.8 * sine - 0.5  # between 5.14 and 10.2 degrees
    return PLAIN["erosivity"] * PLAIN["erodibility"] * length * steep


# --- closed forms -------------------------------------------------------------------------------


@pytest.mark.parametrize("pixel", [10.0, 30.0, 90.0])
def test_soil_retention_on_a_plane(tmp_path: Path, pixel: float) -> None:
    # A coarser or finer elevation gives the same plane: nearest pixels would make steps of it.
    region = service_region(tmp_path, dem=(plane(pixel), pixel))
    for land, cover, c in (
        (32, 0.4, 0.15),
        (21, 0.8, 0.004),
        (12, 0.5, 0.221 - 0.595 * math.log10(0.5)),
        (42, math.nan, 0.0),
        (61, 0.02, 0.7),
        (52, 0.1, 0.01),
    ):
        maps = ServiceMaps(region, view_of(land, cover), YEAR)
        found = maps.tile("soil_retention", WHOLE)
        assert found.scope.all()
        # The file reaches beyond the grid, so its rim has slopes as well.
        expected = round(100 * potential() * (1 - c))
        assert np.abs(found.stored - expected).max() <= 1
        assert maps.soil_loss(WHOLE) == pytest.approx(100 * potential() * c, rel=1e-6)


def test_sand_fixation_by_hand(tmp_path: Path) -> None:
    maps = ServiceMaps(service_region(tmp_path), view_of(33, 0.15), YEAR)
    product = 12.0 * 0.5 * 0.8 * 0.9

    def loss(p: float) -> float:
        s = 150.71 * p**-0.3711
        return 1000 * 2 * 50 / s**2 * 109.8 * p * math.exp(-((50 / s) ** 2))

    expected = loss(product) - loss(product * math.exp(-0.1151 * 15))
    assert maps.tile("sand_fixation", WHOLE).stored == pytest.approx(10 * expected, abs=1)


def test_texture_and_relief_take_the_fused_chain_with_the_same_values(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    sand = rng.integers(40, 80, (HEIGHT, WIDTH)).astype(float)
    soil = {"sand": sand, "silt": 0.6 * (100 - sand), "clay": 0.4 * (100 - sand), "organic": 1.5}
    relief = rng.uniform(0, 30, (HEIGHT, WIDTH))
    method = load_method("hj1173_2021")
    ef = wind.erodible_fraction(*(np.asarray(soil[k]) for k in soil), method)
    scf = wind.crust_factor(soil["clay"], 1.5, method)
    rough = wind.roughness_factor(relief, 500, method)
    plain = {"weather_factor": 9.0, "erodible_fraction": ef, "crust_factor": scf}
    view = view_of(32, 0.3)
    fused = ServiceMaps(
        service_region(
            tmp_path / "a",
            {"weather_factor": 9.0, "relief": relief, **soil},
            services={"relief_distance_m": 500},
        ),
        view,
        YEAR,
    )
    given = ServiceMaps(
        service_region(tmp_path / "b", plain | {"roughness": rough}), view, YEAR
    )  # fmt: skip
    a, b = (m.tile("sand_fixation", WHOLE).stored for m in (fused, given))
    assert np.abs(a - b).max() <= 1
    assert a.std() > 10  # the maps differ from place to place


def test_water_conservation_by_hand_and_without_a_coefficient(tmp_path: Path) -> None:
    land = np.full((HEIGHT, WIDTH), 32, np.uint8)
    land[:, 20:30], land[:, 30:40], land[:, 40:50], land[:, 50:] = 12, 66, 0, 64
    found = ServiceMaps(service_region(tmp_path), view_of(land, 0.4), YEAR).tile(
        "water_conservation", WHOLE
    )
    assert (found.stored[:, :20] == round(10 * (300 * (1 - 0.0394) - 200))).all()
    # Cropland has no coefficient: a gap, not zero. Rock is outside. No class: a gap.
    assert (found.stored[:, 20:50] == FILL).all()
    assert found.scope[:, 20:30].all() and not found.scope[:, 30:40].any()
    assert found.scope[:, 40:50].all()
    assert (found.stored[:, 50:] == 1000).all()


# --- invariants ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> ServiceMaps:
    """Random maps with gaps everywhere."""
    rng = np.random.default_rng(11)

    def gaps(values: np.ndarray) -> np.ndarray:
        return np.where(rng.random(values.shape) < 0.03, np.nan, values)

    shape = (HEIGHT, WIDTH)
    maps = {k: gaps(v * rng.uniform(0.5, 1.0, shape)) for k, v in PLAIN.items()}
    dem = gaps(1000 + 40 * rng.random((HEIGHT // 2 + 4, WIDTH // 2 + 4)))
    region = service_region(tmp_path_factory.mktemp("noisy"), maps, dem=(dem, 60.0))
    land = rng.choice([0, 11, 12, 21, 31, 33, 42, 51, 61, 66], shape).astype(np.uint8)
    return ServiceMaps(region, view_of(land, gaps(rng.random(shape))), YEAR)


ZONE = Zone(id="_all", name=TOTAL_NAME, area_km2=1, pixels_km2=1)
#: Zones 0 and 2 are a group, 1 belongs to none; then all of them.
GROUPINGS: list = [([ZONE], np.array([0, -1, 0])), ([ZONE], np.zeros(3, np.int64))]


@settings(max_examples=15)
@given(
    rows=st.lists(st.integers(1, HEIGHT - 1), max_size=2, unique=True),
    columns=st.lists(st.integers(1, WIDTH - 1), max_size=2, unique=True),
    seed=st.integers(0, 2**32 - 1),
)
def test_values_and_sums_do_not_depend_on_tiles(noisy: ServiceMaps, rows, columns, seed) -> None:
    ids = np.random.default_rng(seed).integers(0, 4, (HEIGHT, WIDTH)).astype(np.int32)
    ys, xs = [0, *sorted(rows), HEIGHT], [0, *sorted(columns), WIDTH]
    for name, service in SERVICES.items():
        whole, sums, once = noisy.tile(name, WHOLE), ServiceSums(3), ServiceSums(3)
        once.add(ZonePixels(ids, EMPTY), whole)
        for y0, y1 in pairwise(ys):
            for x0, x1 in pairwise(xs):
                tile = Tile(0, 0, y0, y1, x0, x1)
                part = noisy.tile(name, tile)
                assert (part.stored == whole.stored[tile.slices]).all()
                assert (part.scope == whole.scope[tile.slices]).all()
                sums.add(ZonePixels(ids[tile.slices], EMPTY), part)
        plain = np.where(whole.stored == FILL, np.nan, whole.stored * service.scale)
        for z in range(3):
            inside = plain[ids == z + 1]
            assert sums.valid.whole[z] == np.isfinite(inside).sum()
            assert sums.mean(service.scale)[z] == pytest.approx(np.nanmean(inside))
        assert (sums.total.whole == once.total.whole).all()
        together = sums.with_totals(GROUPINGS)
        assert (together.total.whole[:3] == sums.total.whole).all()
        assert together.total.whole[3] == sums.total.whole[0] + sums.total.whole[2]
        assert together.total.whole[4] == sums.total.whole.sum()
        assert together.scope.whole[4] == (whole.scope & (ids > 0)).sum()


def test_a_value_only_where_every_input_has_one(noisy: ServiceMaps) -> None:
    for name in SERVICES:
        found = noisy.tile(name, WHOLE)
        assert (found.stored[~found.scope] == FILL).all()
        valid = found.stored != FILL
        assert 0 < valid.sum() < found.scope.sum()
    read = noisy.inputs.read("rain", WHOLE)
    assert (noisy.tile("water_conservation", WHOLE).stored[np.isnan(read)] == FILL).all()


@given(seed=st.integers(0, 2**32 - 1))
def test_sums_with_shares_of_pixels(seed: int) -> None:
    """Two zones that share every pixel by halves have half of what one zone has."""
    rng = np.random.default_rng(seed)
    stored = rng.integers(-1000, 100000, (6, 7)).astype(np.int32)
    stored[rng.random(stored.shape) < 0.2] = FILL
    from eco_index.services import TileMap

    found = TileMap(stored, np.ones(stored.shape, bool))
    at = np.arange(stored.size)
    shares = PixelShares(
        np.repeat([0, 1], stored.size), np.tile(at, 2), np.full(2 * stored.size, 1 << 35)
    )
    halves, whole = ServiceSums(2), ServiceSums(1)
    halves.add(ZonePixels(np.zeros(stored.shape, np.int32), shares), found)
    whole.add(ZonePixels(np.ones(stored.shape, np.int32), EMPTY), found)
    assert halves.total.values() * 2 == pytest.approx(np.repeat(whole.total.values(), 2))
    both: list = [([ZONE], np.zeros(2, np.int64))]
    assert halves.with_totals(both).valid.values()[2] == whole.valid.values()[0]
    grades = rng.integers(0, 6, stored.shape).astype(np.uint8)
    counted = GradeSums(2)
    counted.add(ZonePixels(np.zeros(stored.shape, np.int32), shares), grades)
    total = counted.with_totals(both).counts.values()[2]
    assert total == pytest.approx(np.bincount(grades.ravel(), minlength=256))


# --- what is not there, what is wrong -----------------------------------------------------------


def test_missing_inputs_are_named(tmp_path: Path) -> None:
    region = service_region(tmp_path, {k: PLAIN[k] for k in ("erosivity", "rain")})
    (tmp_path / "rain.tif").unlink()
    maps = ServiceMaps(region, view_of(32, 0.4), YEAR)
    assert maps.available == []
    text = {k: ", ".join(m.en for m in v) for k, v in maps.missing.items()}
    assert "soil erodibility K (not named)" in text["soil_retention"]
    assert "rain of the year (no file of 'svc_rain' for 2025)" in text["water_conservation"]
    assert "weather factor" in text["sand_fixation"] and "sand (not named)" in text["sand_fixation"]


@pytest.mark.parametrize(
    ("units", "wrong"),
    [({"rain": "m"}, "rain"), ({"erodibility": "US"}, "erodibility"), ({"dem": "ft"}, "dem")],
)
def test_units_are_checked_in_the_catalogue(tmp_path: Path, units, wrong) -> None:
    region = service_region(tmp_path, units=units)
    with pytest.raises(InputError, match=f"svc_{wrong}") as caught:
        ServiceMaps(region, view_of(32, 0.4), YEAR)
    assert "units of" in (caught.value.rule or "")


@pytest.mark.parametrize(
    ("key", "value", "service"),
    [
        ("erodibility", 0.3, "soil_retention"),
        ("rain", -3.0, "water_conservation"),
        ("erodible_fraction", 50.0, "sand_fixation"),
    ],
)
def test_impossible_values_name_the_service_and_the_place(tmp_path, key, value, service) -> None:
    region = service_region(tmp_path, PLAIN | {key: value})
    maps = ServiceMaps(region, view_of(32, 0.4), YEAR)
    with pytest.raises(InputError) as caught:
        maps.tile(service, WHOLE)
    assert service in (caught.value.where or "") and caught.value.fix


def test_an_elevation_of_impossible_heights_is_refused_on_its_rim_too(tmp_path: Path) -> None:
    dem = plane()
    dem[0:2] = -32768  # a no-data code that nobody declared, just beyond the grid
    maps = ServiceMaps(service_region(tmp_path, dem=(dem, 30.0)), view_of(32, 0.4), YEAR)
    with pytest.raises(InputError, match="elevation"):
        maps.tile("soil_retention", WHOLE)


@pytest.mark.parametrize(
    ("services", "message"),
    [
        ({"sand": "svc_dem", "erodible_fraction": "svc_dem"}, "not both"),
        ({"relief": "svc_dem"}, "belong together"),
        ({"rainfall": "svc_dem"}, "rainfall"),
    ],
)
def test_contradictions_of_the_region_file(tmp_path: Path, services, message) -> None:
    with pytest.raises(UsageError, match=message):
        service_region(tmp_path, {}, services=services)


def test_half_years_and_unknown_crosswalks_are_refused(tmp_path: Path) -> None:
    region = service_region(tmp_path)
    with pytest.raises(UsageError, match="whole years"):
        ServiceMaps(region, view_of(32, 0.4), Period(2025, 1))
    with pytest.raises(UsageError, match="no crosswalk 'clc'"):
        load_types("clc", region.config.path)


def test_an_own_crosswalk_beside_the_region_file(tmp_path: Path) -> None:
    shipped = load_types("lucc", Path("region.yaml"))
    own = shipped.model_dump()
    own["classes"][32]["runoff"] = "alpine_meadow"
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own, allow_unicode=True), encoding="utf-8")
    region = service_region(tmp_path, services={"types": "own.yaml"})
    maps = ServiceMaps(region, view_of(32, 0.4), YEAR)
    expected = round(10 * (300 * (1 - 0.082) - 200))
    assert (maps.tile("water_conservation", WHOLE).stored == expected).all()
    assert maps.types.digest != shipped.digest
    own["classes"][32]["soil"] = "steppe"
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own, allow_unicode=True), encoding="utf-8")
    with pytest.raises(UsageError, match="steppe"):
        ServiceMaps(region, view_of(32, 0.4), YEAR)


def test_a_judged_crosswalk_makes_every_service_provisional(tmp_path: Path) -> None:
    maps = ServiceMaps(service_region(tmp_path), view_of(32, 0.4), YEAR)
    assert {maps.evidence(name) for name in SERVICES} == {"placeholder"}


def test_rasters_on_another_crs_give_the_same_slope(tmp_path: Path) -> None:
    """Elevation in degrees: the plane's slope within the scale of the sampling."""
    from pyproj import Transformer
    from zone_fakes import CRS, RES, X0, Y1

    region = service_region(tmp_path)
    to_grid = Transformer.from_crs("EPSG:4326", CRS, always_xy=True)
    west, south, east, north = region.grid.lonlat_bounds()
    step = 0.0003
    lon = west - 0.002 + step * (np.arange(int((east - west + 0.004) / step)) + 0.5)
    lat = north + 0.002 - step * (np.arange(int((north - south + 0.004) / step)) + 0.5)
    x, _ = to_grid.transform(*np.meshgrid(lon, lat))
    import rasterio
    from rasterio.transform import from_origin

    with rasterio.open(
        tmp_path / "dem.tif", "w", driver="GTiff", height=lat.size, width=lon.size, count=1,
        dtype="float64", crs="EPSG:4326",
        transform=from_origin(west - 0.002, north + 0.002, step, step),
    ) as out:  # fmt: skip
        out.write(1000 + RISE * (x - X0), 1)
    assert Y1 > 0 and RES == 30
    maps = ServiceMaps(region, view_of(32, 0.4), YEAR)
    found = maps.tile("soil_retention", WHOLE).stored / 100
    assert found == pytest.approx(potential() * 0.85, rel=2e-3)


# --- the simulated region -----------------------------------------------------------------------


def test_simulated_rasters_are_plausible_and_named_by_the_demo(tmp_path: Path) -> None:
    from eco_index.simulation.landscape import build_world
    from eco_index.simulation.region_files import write_region_files
    from eco_index.simulation.services import write_service_rasters
    from eco_index.simulation.spec import SimSpec

    spec = SimSpec(size_px=128, all_scenes=False, overviews=False)
    write_service_rasters(build_world(spec), tmp_path / "data" / "services")
    region = load_region(write_region_files(tmp_path, spec, 64, 64))
    whole = Tile(0, 0, 0, 128, 0, 128)
    view = FakeView(np.full((128, 128), 32, np.uint8), np.full((128, 128), 4000, np.uint16))
    maps = ServiceMaps(region, view, YEAR)
    assert maps.available == list(SERVICES)
    soil = [maps.inputs.read(k, whole) for k in ("sand", "silt", "clay")]
    assert np.abs(sum(soil) - 100).max() < 1e-4
    rain, et = (maps.inputs.read(k, whole) for k in ("rain", "evapotranspiration"))
    assert (et <= rain).all()
    z = maps.inputs.elevation(whole)
    slope = np.degrees(np.arctan(np.hypot(*np.gradient(z, 30.0))))
    assert 0.1 < np.median(slope) < 10 and slope.max() < 45
    for name in SERVICES:
        assert (maps.tile(name, whole).stored != FILL).all()
