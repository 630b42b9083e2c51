"""Blocks read here hold what GDAL reads, and anything out of the ordinary is left to GDAL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.errors import RasterioIOError
from rasterio.transform import from_origin
from rasterio.windows import Window

from eco_index.sources import raster, tiff_blocks
from eco_index.sources.tiff_blocks import SPARE, TiffFile, open_tiff, read_window
from eco_index.sources.tiff_header import Header, header_of

HEIGHT, WIDTH, BLOCK = 75, 90, 32
PLACE = from_origin(5e5, 4e6, 30, 30)


def write(path: Path, dtype: str = "uint16", bands: int = 1, **changes: Any) -> np.ndarray:
    """Write a file in the form that is read here, or nearly."""
    options: dict[str, Any] = {
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "compress": "deflate",
        "predictor": 2,
        "crs": "EPSG:32649",
        "transform": PLACE,
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
    name = str(files[dtype])
    header = header_of(name)
    assert header is not None
    got = read_window(name, header, window)
    with rasterio.open(name) as source:
        expected = source.read(1, window=window)
    tops, lefts = y // BLOCK * BLOCK, x // BLOCK * BLOCK
    bottom = min(-(-(y + window.height) // BLOCK) * BLOCK, HEIGHT)
    right = min(-(-(x + window.width) // BLOCK) * BLOCK, WIDTH)
    if (bottom - tops) * (right - lefts) > SPARE * window.height * window.width:
        assert got is None  # mostly pixels that another window will want: GDAL keeps them
    else:
        assert got is not None and got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
    whole = opened(name).read(1, window=window)
    assert whole.dtype == expected.dtype
    np.testing.assert_array_equal(whole, expected)


def opened(name: Path | str) -> TiffFile:
    found = open_tiff(str(name))
    assert found is not None
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"BIGTIFF": "YES"},
        {"nodata": 0},
        {"nodata": 65535},
        {"COPY_SRC_OVERVIEWS": "YES"},
        {"crs": "+proj=aea +lat_0=0 +lon_0=105 +lat_1=25 +lat_2=47 +ellps=GRS80 +units=m"},
        {"crs": "EPSG:4326", "transform": from_origin(116.125, 40.25, 0.01, 0.02)},
        {"blockxsize": 64, "blockysize": 16},
    ],
)
def test_headers_are_those_of_gdal(tmp_path: Path, changes: dict[str, Any]) -> None:
    first = write(tmp_path / "first.tif", **changes)
    moved = changes | {"transform": changes.get("transform", PLACE) @ Affine.translation(7, -3)}
    write(tmp_path / "second.tif", **moved)  # the same kind: GDAL is not asked any more
    for name in ("first.tif", "second.tif"):
        found = opened(tmp_path / name)
        with rasterio.open(tmp_path / name) as source:
            assert found.crs == source.crs
            assert found.transform.almost_equals(source.transform, 1e-9)
            assert (found.width, found.height, found.count) == (WIDTH, HEIGHT, source.count)
            assert found.nodatavals == source.nodatavals
        np.testing.assert_array_equal(found.read(1), first)


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
        {"transform": PLACE @ Affine.rotation(3)},
        {"transform": Affine(30, 0, 5e5, 0, 30, 4e6)},
        {"transform": Affine.identity(), "crs": None},
    ],
)
def test_other_forms_are_left_to_gdal(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "other.tif"
    write(path, **changes)
    assert open_tiff(str(path)) is None


def test_pixels_that_are_points_are_left_to_gdal(tmp_path: Path) -> None:
    path = tmp_path / "point.tif"
    write(path)
    with rasterio.open(path, "r+") as source:
        source.update_tags(AREA_OR_POINT="Point")
    with rasterio.open(path) as source:
        assert source.tags()["AREA_OR_POINT"] == "Point"
    assert open_tiff(str(path)) is None


def test_what_is_no_tiff_is_left_to_gdal(tmp_path: Path) -> None:
    path = tmp_path / "no.tif"
    for content in (
        b"",
        b"II*\0",
        b"II*\0\x08\0\0\0\xff\x0f",
        b"II*\0\xff\xff\xff\xff",
        b"text" * 9,
    ):
        path.write_bytes(content)
        assert open_tiff(str(path)) is None
    with pytest.raises(FileNotFoundError):
        open_tiff(str(tmp_path / "absent.tif"))
    assert open_tiff("/vsicurl/http://127.0.0.1:1/a.tif") is None


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write(path)
    assert opened(path).header.dtype == np.uint16
    path.unlink()
    write(path, "int8")
    assert opened(path).header.dtype == np.int8


def test_missing_and_broken_blocks_are_left_to_gdal(tmp_path: Path) -> None:
    path = tmp_path / "broken.tif"
    data = write(path)
    with rasterio.open(path) as source:
        offset = int(source.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
    raw = bytearray(path.read_bytes())
    raw[offset + 40] ^= 0xFF
    path.write_bytes(raw)
    broken = opened(path)
    assert read_window(str(path), broken.header, Window(0, 0, WIDTH, HEIGHT)) is None
    with pytest.raises(RasterioIOError):  # GDAL says so
        broken.read(1)
    np.testing.assert_array_equal(broken.read(1, Window(0, 0, BLOCK, HEIGHT)), data[:, :BLOCK])
    sparse = tmp_path / "sparse.tif"
    with rasterio.open(
        sparse,
        "w",
        driver="GTiff",
        height=HEIGHT,
        width=WIDTH,
        count=1,
        dtype="uint16",
        crs="EPSG:32649",
        transform=PLACE,
        tiled=True,
        blockxsize=BLOCK,
        blockysize=BLOCK,
        compress="deflate",
        predictor=2,
        SPARSE_OK=True,
    ) as out:
        out.write(data[:BLOCK, :BLOCK], 1, window=Window(0, 0, BLOCK, BLOCK))
    found = opened(sparse)
    assert read_window(str(sparse), found.header, Window(0, 0, WIDTH, HEIGHT)) is None
    expected = np.zeros_like(data)
    expected[:BLOCK, :BLOCK] = data[:BLOCK, :BLOCK]
    np.testing.assert_array_equal(found.read(1), expected)


def test_blocks_across_the_border_of_strips_are_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write(tmp_path / "a.tif")
    found = opened(tmp_path / "a.tif")
    decoded = []
    block = tiff_blocks._block

    def counted(file: int, row: int, column: int, form: Header) -> np.ndarray | None:
        decoded.append((row, column))
        return block(file, row, column, form)

    monkeypatch.setattr(tiff_blocks, "_block", counted)
    strips = [(0, 20), (20, 21), (21, 50), (50, HEIGHT)]
    with tiff_blocks.carrying():
        for first, last in strips:
            part = found.read(1, Window(5, first, WIDTH - 5, last - first))
            np.testing.assert_array_equal(part, data[first:last, 5:])
        assert not tiff_blocks._carried.blocks  # nothing reaches beyond the last strip
    assert sorted(decoded) == [(row, column) for row in range(3) for column in range(3)]
    assert tiff_blocks._carried.blocks is None


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
