"""Patches of class maps: FRAGSTATS tables, scipy's labels, and any tiling."""

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from shared_data import DATA, real

from eco_index.errors import InputError, UsageError
from eco_index.indices.patches import PatchScan, blocks_of, find_patches

FRAGSTATS = DATA / "landscape30_fragstats"


def random_map(seed, shape, classes=3):
    return np.random.default_rng(seed).integers(0, classes + 1, shape).astype(np.uint8)


def scipy_patches(array, fill, neighbours):
    """Return (class, first pixel) -> (pixels, perimeter), and the label map."""
    found, labels, number = {}, np.zeros(array.shape, np.int64), 0
    structure = np.ones((3, 3)) if neighbours == 8 else None
    for code in np.unique(array[array != fill]):
        part, n = ndimage.label(array == code, structure=structure)
        for i in range(1, n + 1):
            mask = np.pad(part == i, 1)
            sides = sum(int((mask != np.roll(mask, 1, axis)).sum()) for axis in (0, 1))
            found[int(code), int(np.flatnonzero(part == i)[0])] = (int((part == i).sum()), sides)
            labels[part == i] = number + i
        number += n
    return found, labels


def as_dict(table):
    return {
        (int(c), int(f)): (int(n), round(float(p)))
        for c, f, n, p in zip(table.cls, table.first, table.pixels, table.perimeter_m, strict=True)
    }


@pytest.mark.parametrize("neighbours", [4, 8])
@pytest.mark.parametrize("seed", range(6))
def test_patches_are_those_of_scipy(seed, neighbours):
    array = random_map(seed, (23, 31), 2 + seed % 3)
    truth, labels = scipy_patches(array, 0, neighbours)
    scan = PatchScan(array.shape, [1, 2, 3, 4], 0, neighbours=neighbours)
    for _, _, part in blocks_of(array, 7):
        scan.add(part)
    assert as_dict(scan.table()) == truth
    ours = np.zeros(array.shape, np.int64)
    for y, x, part in blocks_of(array, 7):
        ours[y : y + part.shape[0], x : x + part.shape[1]] = scan.labels(part, y, x)
    pairs = np.unique(np.stack([ours.ravel(), labels.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(ours)) == len(np.unique(labels))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
    st.sampled_from([4, 8]),
)
def test_any_chunking_gives_the_same_table(seed, rows, columns, neighbours):
    array = random_map(seed, (sum(rows), sum(columns)), 2)
    args = {"fill": 0, "pixel_size": (30.0, 20.0), "neighbours": neighbours}
    whole = find_patches(array, [1, 2], **args)
    chunked = find_patches(
        da.from_array(array, chunks=(tuple(rows), tuple(columns))), [1, 2], **args
    )
    for name in whole.__dataclass_fields__:
        assert np.array_equal(getattr(whole, name), getattr(chunked, name)), name


def test_a_spiral_and_a_comb_are_one_patch_each():
    spiral = np.zeros((64, 64), np.uint8)
    low, high = 0, 63
    while low < high:
        spiral[low, low : high + 1] = spiral[low : high + 1, high] = 1
        spiral[high, low : high + 1] = 1
        spiral[low + 2 : high + 1, low] = 1
        if low + 2 < high:
            spiral[low + 2, low : low + 2] = 1
        low, high = low + 2, high - 2
    assert ndimage.label(spiral)[1] == 1
    comb = np.zeros((40, 41), np.uint8)
    comb[:, ::2], comb[-1] = 1, 1
    for array in (spiral, comb):
        for neighbours in (4, 8):
            table = find_patches(array, [1], fill=0, neighbours=neighbours, block=5)
            assert len(table) == 1 and table.pixels[0] == array.sum()


def test_sizes_are_in_hectares_and_metres():
    table = find_patches(np.array([[1, 1, 2]], np.uint8), [1, 2], pixel_size=(100.0, 50.0))
    assert table.area_ha.tolist() == [1.0, 0.5]
    assert table.perimeter_m.tolist() == [400.0, 300.0]
    assert table.sides[0, 1, 2] == table.sides[0, 2, 1] == 1 and table.sides[0, 1, 1] == 2


def test_unknown_codes_are_named_with_their_pixels():
    with pytest.raises(InputError, match=r"9 \(2 pixels\)"):
        find_patches(np.array([[1, 9], [9, 0]], np.uint8), [1], fill=0)
    with pytest.raises(InputError, match=r"-5 \(1 pixels\), 70000 \(1 pixels\)"):
        find_patches(np.array([[1, -5], [70000, 0]], np.int32), [1], fill=0)


def test_a_map_of_floats_or_three_dimensions_is_refused():
    with pytest.raises(InputError, match="float"):
        find_patches(np.full((2, 2), np.nan), [1])
    with pytest.raises(InputError, match="two dimensions"):
        find_patches(np.zeros((1, 2, 2), np.uint8), [1])


@pytest.mark.parametrize(
    "options", [{"neighbours": 6}, {"classes": []}, {"classes": [-1]}, {"pixel_size": (0.0, 1.0)}]
)
def test_wrong_parameters_are_refused(options):
    with pytest.raises(UsageError):
        PatchScan(**{"shape": (2, 2), "classes": [1], **options})


def test_blocks_that_do_not_tile_the_map_are_refused():
    scan = PatchScan((4, 4), [1])
    scan.add(np.ones((2, 2), np.uint8))
    with pytest.raises(UsageError, match="column 2"):
        scan.add(np.ones((3, 2), np.uint8))
    with pytest.raises(UsageError, match="whole map"):
        scan.table()


def test_an_all_missing_map_has_no_patch():
    table = find_patches(np.zeros((5, 5), np.uint8), [1], fill=0, block=2)
    assert len(table) == 0 and table.class_pixels.tolist() == [0]


@real
def test_patch_table_of_fragstats():
    import pandas as pd
    import rasterio

    with rasterio.open(FRAGSTATS / "landscape.tif") as source:
        array = source.read(1)
    rows = pd.read_csv(FRAGSTATS / "landscape.patch", skipinitialspace=True)
    rows.columns = rows.columns.str.strip()
    truth = sorted(
        (int(t.strip()[-1]), round(a, 4), round(p))
        for t, a, p in zip(rows["TYPE"], rows["AREA"], rows["PERIM"], strict=True)
    )
    table = find_patches(array, [1, 2, 3], block=11)
    ours = sorted(
        (int(c), round(float(a), 4), round(float(p)))
        for c, a, p in zip(table.cls, table.area_ha, table.perimeter_m, strict=True)
    )
    assert len(table) == 28 and ours == truth


def test_a_chunked_xarray_and_a_negative_fill():
    import xarray as xr

    array = random_map(3, (20, 30)).astype(np.int16)
    plain = find_patches(array, [1, 2, 3], fill=0)
    stored = np.where(array == 0, np.int16(-9999), array)
    chunked = xr.DataArray(stored, dims=("y", "x")).chunk(y=7, x=11)
    assert as_dict(find_patches(chunked, [1, 2, 3], fill=-9999)) == as_dict(plain)
