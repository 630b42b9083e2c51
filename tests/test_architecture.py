"""The plan of the house: imports go one way, from imagery to reports, and never back."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "eco_index"

#: Rooms from left to right; a room may import itself and rooms of a smaller number.
#: Rooms of one number do not know each other.
ORDER = {
    "errors": 0,
    "yamlio": 1, "period": 1, "grid": 1, "gcj02": 1, "dbf": 1,
    "records": 1.5,
    "catalog": 2, "compositing": 2, "csv_rows": 2, "digests": 2, "programme": 2,
    "services_config": 2, "shares": 2, "summary": 2,
    "products": 2.5, "region_sections": 2.5,
    "config": 3, "method_model": 3, "vectors": 3,
    "ledger": 4, "methods": 4, "sensors": 4, "zone_labels": 4,
    "sources": 5,
    "warp": 6,
    "kernels": 7,
    "kernel_shifted": 7.5, "kernel_masks": 7.5, "kernel_reduce": 7.5, "kernel_bands": 7.5,
    "kernel_gaps": 7.5, "kernel_values": 7.5,
    "scene_windows": 7.6,
    "composite_parts": 7.7,
    "composite_rules": 7.75,
    "composite_server": 7.8,
    "composite_methods": 7.85,
    "composite": 8, "auxiliary": 8,
    "indices": 9,
    "cover": 9.5, "rsei_run": 9.5,
    "period_products": 10,
    "cube": 11,
    "services": 11.5,
    "zones": 12, "zonal": 12, "coverage_kernels": 12,
    "trend_kernels": 12,
    "zone_raster": 13, "zone_shift": 13, "change": 13, "trends": 13, "groundtruth": 13,
    "layer_faults": 13,
    "boundaries": 13.5, "crossing": 13.5,
    "indicators": 14, "analysis": 14,
    "assessment": 15,
    "report": 16,
    "release": 17,
    "leads": 17,
    "tasks": 18, "executor": 18,
    "months": 19, "workers": 19, "cover_fit": 19,
    "plan_cost": 19.5,
    "compute": 20, "plan": 20, "exports": 20,
    "pipeline": 21,
    "simulation": 22,
    "demo": 23,
    "cli": 24,
}  # fmt: skip


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> list[tuple[str, int, bool]]:
    """Return (module, line, whether only types are wanted) of every absolute import."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test).endswith("TYPE_CHECKING")
        for inner in branch.body
        for node in ast.walk(inner)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(a.name, node.lineno, id(node) in typing_only) for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module]
            if node.module == "eco_index":
                names = [f"eco_index.{a.name}" for a in node.names]
            found += [(name, node.lineno, id(node) in typing_only) for name in names]
    return found


FILES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def test_every_room_has_its_place_in_the_plan():
    assert {room_of(p) for p in FILES} <= set(ORDER)


@pytest.mark.parametrize("room", sorted(ORDER))
def test_a_room_imports_only_rooms_left_of_it(room):
    wrong = []
    for path in (p for p in FILES if room_of(p) == room):
        for module, line, typing_only in imports_of(path):
            parts = module.split(".")
            if parts[0] != "eco_index" or len(parts) < 2 or typing_only:
                continue
            other = parts[1]
            if other in ORDER and other != room and ORDER[other] >= ORDER[room]:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {module}")
    assert not wrong


def test_no_prefect_in_the_package_and_no_science_in_the_flows():
    for path in FILES:
        for module, line, _ in imports_of(path):
            assert not module.startswith("prefect"), f"{path}:{line}"
    science = ("numpy", "xarray", "rasterio", "zarr", "numba", "dask", "geopandas", "scipy")
    for path in (ROOT / "flows").glob("*.py"):
        for module, line, _ in imports_of(path):
            assert not module.startswith(science), f"{path}:{line}"
            assert ".indices" not in module and ".indicators" not in module, f"{path}:{line}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_can_be_read_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500
