"""Blocks read here hold what GDAL reads, and anything out of the ordinary is left to GDAL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import from_origin
from rasterio.windows import Window

from eco_index.sources import raster
from eco_index.sources.tiff_blocks import SPARE, read_window

HEIGHT, WIDTH, BLOCK = 75, 90, 32


def write(path: Path, dtype: str = "uint16", bands: int = 1, **changes: Any) -> np.ndarray:
    """Write a file in the form that is read here, or nearly."""
    options: dict[str, Any] = {
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "compress": "deflate",
        "predictor": 2,
    } | changes
    limits = np.iinfo(dtype) if dtype != "float32" else np.iinfo("int16")
    data = np.random.default_rng(5).integers(limits.min, limits.max, (HEIGHT, WIDTH), endpoint=True)
    data = data.astype(dtype)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=HEIGHT,
        width=WIDTH,
        count=bands,
        dtype=dtype,
        crs="EPSG:32649",
        transform=from_origin(5e5, 4e6, 30, 30),
        **options,
    ) as out:
        for band in range(bands):
            out.write(data, band + 1)
    return data


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("blocks")
    found = {}
    for dtype in ("uint8", "int8", "uint16", "int16"):
        found[dtype] = folder / f"{dtype}.tif"
        write(found[dtype], dtype)
    return found


@given(
    st.sampled_from(["uint8", "int8", "uint16", "int16"]),
    st.tuples(st.integers(0, HEIGHT - 1), st.integers(1, HEIGHT)),
    st.tuples(st.integers(0, WIDTH - 1), st.integers(1, WIDTH)),
)
def test_windows_are_those_of_gdal(
    files: dict[str, Path], dtype: str, rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    (y, h), (x, w) = rows, columns
    window = Window(x, y, min(w, WIDTH - x), min(h, HEIGHT - y))
    with rasterio.open(files[dtype]) as source:
        got, expected = read_window(source, window), source.read(1, window=window)
    tops, lefts = y // BLOCK * BLOCK, x // BLOCK * BLOCK
    bottom = min(-(-(y + window.height) // BLOCK) * BLOCK, HEIGHT)
    right = min(-(-(x + window.width) // BLOCK) * BLOCK, WIDTH)
    if (bottom - tops) * (right - lefts) > SPARE * window.height * window.width:
        assert got is None  # mostly pixels that another window will want: GDAL keeps them
        return
    assert got is not None and got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"predictor": 1},
        {"compress": "lzw"},
        {"compress": "zstd"},
        {"tiled": False, "blockxsize": WIDTH, "blockysize": 16},
        {"bands": 2},
        {"bands": 2, "interleave": "pixel"},
        {"dtype": "float32", "predictor": 3},
        {"dtype": "uint32"},
        {"ENDIANNESS": "BIG"},
        {"NBITS": 12, "predictor": 1},
    ],
)
def test_other_forms_are_left_to_gdal(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "other.tif"
    write(path, **changes)
    with rasterio.open(path) as source:
        assert read_window(source, Window(0, 0, WIDTH, HEIGHT)) is None


def test_missing_and_broken_blocks_are_left_to_gdal(tmp_path: Path) -> None:
    path = tmp_path / "broken.tif"
    data = write(path)
    with rasterio.open(path) as source:
        offset = int(source.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
    raw = bytearray(path.read_bytes())
    raw[offset + 40] ^= 0xFF
    path.write_bytes(raw)
    with rasterio.open(path) as source:
        assert read_window(source, Window(0, 0, WIDTH, HEIGHT)) is None
        sound = read_window(source, Window(0, 0, BLOCK, HEIGHT))
        np.testing.assert_array_equal(sound, data[:, :BLOCK])
    sparse = tmp_path / "sparse.tif"
    write(sparse, SPARSE_OK=True)
    with rasterio.open(
        sparse,
        "w",
        driver="GTiff",
        height=HEIGHT,
        width=WIDTH,
        count=1,
        dtype="uint16",
        tiled=True,
        blockxsize=BLOCK,
        blockysize=BLOCK,
        compress="deflate",
        predictor=2,
        SPARSE_OK=True,
    ) as out:
        out.write(data[:BLOCK, :BLOCK], 1, window=Window(0, 0, BLOCK, BLOCK))
    with rasterio.open(sparse) as source:
        assert read_window(source, Window(0, 0, WIDTH, HEIGHT)) is None
        np.testing.assert_array_equal(
            read_window(source, Window(0, 0, BLOCK, BLOCK)), data[:BLOCK, :BLOCK]
        )


def test_a_file_is_opened_once_whoever_reads_it(files: dict[str, Path]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def read(name: str) -> int:
        try:
            return id(raster.open_kept(name))
        finally:
            raster.give_back()

    name = str(files["uint16"])
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        found = [pool.submit(read, name).result() for pool in (one, other, one, other)]
    assert len(set(found)) == 1


def test_no_two_threads_share_a_handle(files: dict[str, Path]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    name = str(files["int16"])
    mine = raster.open_kept(name)
    assert raster.open_kept(name) is mine
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(raster.open_kept, name).result() is not mine
        pool.submit(raster.give_back).result()
    raster.give_back()
    raster.forget(name)


def test_kept_files_stay_within_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raster, "max_open", lambda: 3)
    names = [str(tmp_path / f"{k}.tif") for k in range(5)]
    for name in names:
        write(Path(name))
    raster.give_back()
    handles = [raster.open_kept(name) for name in names]
    raster.give_back()
    assert sum(handle.closed for handle in handles) == 2
    write(Path(names[4]), "int16")  # changed on disk: never read from an old handle
    open_now = [h for h in handles if not h.closed]
    assert raster.open_kept(names[4]).dtypes == ("int16",)
    raster.give_back()
    for name in names:
        raster.forget(name)
    assert all(h.closed for h in open_now)
