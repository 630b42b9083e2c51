"""What a reader should know of a programme's boundaries: moved, or shifted against others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from eco_index.boundaries import BoundaryChange, boundary_changes, edition_sums
from eco_index.config import Region
from eco_index.cube import CubeView
from eco_index.errors import EcoError
from eco_index.period import Period
from eco_index.programme import ProgrammeConfig
from eco_index.yamlio import Text
from eco_index.zonal import SumSpec
from eco_index.zone_shift import find_shift
from eco_index.zones import ZoneLayer, layer_path, load_layer

#: Zones named one by one where boundaries changed; the others are counted.
MOST_NAMED = 20
#: Share by which pixels may miss a zone's area before a note says so (own rule).
MOST_AREA_OFF = 0.02


def coverage_notes(layer: ZoneLayer, pixels_km2: Sequence[float]) -> list[Text]:
    """Tell zones whose pixels miss their area by much: the pixel-centre rule on small zones."""
    inside = layer.inside_km2
    off = np.abs(np.asarray(pixels_km2) - inside) / inside
    worse = np.flatnonzero(off > MOST_AREA_OFF)
    if not worse.size:
        return []
    worst = worse[np.argmax(off[worse])]
    name, share = layer.names[worst], off[worst]
    return [
        Text(
            zh=f"{worse.size}个区域（共{len(layer)}个）按像元中心统计的面积与边界面积相差超过"
            f"{MOST_AREA_OFF:.0%}，最大为{name.zh}（{share:.0%}）；"
            "在区域文件中设 coverage: exact 或 auto 可按像元覆盖比例统计",
            en=f"by pixel centres the area of {worse.size} of {len(layer)} zone(s) differs by more "
            f"than {MOST_AREA_OFF:.0%} from that of the boundary, most for {name.en} "
            f"({share:.0%}); 'coverage: exact' or 'auto' in the region file counts shares of "
            "pixels instead",
        )
    ]


def shift_notes(region: Region, layer: ZoneLayer, year: int) -> list[Text]:
    """Compare a layer with the region's units: a layer in GCJ-02 lies 300 to 700 m off."""
    units = region.config.units
    if units is None or units == layer.id:
        return []
    try:
        found = find_shift(layer, load_layer(region, units, year))
    except EcoError:
        return []  # programmes that need the units say what is wrong with them
    return [] if found is None else [found.note()]


def edition_notes(
    region: Region,
    programme: ProgrammeConfig,
    layer: ZoneLayer,
    view: CubeView,
    period: Period,
    compared: Period | None,
) -> list[Text]:
    """Tell boundaries that changed since the year compared with, apart from the ground."""
    if compared is None:
        return []
    path = layer_path(region, layer.id, compared.year)
    if path == layer_path(region, layer.id, period.year):
        return []
    if not path.exists():
        return [
            Text(
                zh=f"缺少{compared.year}年的边界文件：不报告边界变更",
                en=f"the boundaries of {compared.year} are missing: no report on whether they "
                "changed",
            )
        ]
    earlier = load_layer(region, layer.id, compared.year)
    if programme.filter:
        earlier = earlier.select(programme.filter)
    pixel_km2 = region.grid.pixel_area_m2 / 1e6
    changed = [c for c in boundary_changes(earlier, layer, pixel_km2) if c.kind != "same"]
    if not changed:
        return []
    notes = list(_told(changed, layer, earlier, view, period, compared))
    if len(changed) > MOST_NAMED:
        rest = len(changed) - MOST_NAMED
        notes.append(
            Text(
                zh=f"另有{rest}个区域的边界有变更", en=f"{rest} more zone(s) have other boundaries"
            )
        )
    return notes


def _told(
    changed: list[BoundaryChange],
    layer: ZoneLayer,
    earlier: ZoneLayer,
    view: CubeView,
    period: Period,
    compared: Period,
) -> Iterator[Text]:
    """Yield a note for each zone, those with the largest moves first."""
    changed = sorted(changed, key=lambda c: -(c.added_km2 + c.removed_km2))[:MOST_NAMED]
    at = [layer.ids.index(c.id) for c in changed if c.kind == "moved"]
    means: dict[str, tuple[float, float, float]] = {}
    if at:
        moved = layer.take(at)
        was = earlier.take([earlier.ids.index(layer.ids[k]) for k in at])
        sums = edition_sums(view, period, compared, moved, was, SumSpec(("fvc",)))
        split = sums.mean("fvc")
        own = (sums.before.mean("fvc") - split.boundary) * 100
        parts = np.stack([own, split.boundary * 100, split.ground * 100], axis=1)
        means = {zone: tuple(row) for zone, row in zip(moved.ids, parts.tolist(), strict=True)}
    for change in changed:
        if change.kind == "new":
            yield Text(
                zh=f"{change.name.zh}为新增区域（{change.now_km2:.2f} km²），"
                f"{compared.year}年的边界中没有；与{compared.id}的比较采用现边界",
                en=f"{change.name.en} is new ({change.now_km2:.2f} km2): the boundaries of "
                f"{compared.year} do not have it; {compared.id} is taken within the present one",
            )
            continue
        if change.kind == "gone":
            yield Text(
                zh=f"{change.name.zh}（{change.before_km2:.2f} km²）在{compared.year}年的边界中有，"
                "现边界中已无，本期不评估",
                en=f"{change.name.en} ({change.before_km2:.2f} km2) is in the boundaries of "
                f"{compared.year} and no longer in the present ones; it is not assessed",
            )
            continue
        note = Text(
            zh=f"{change.name.zh}的边界有变更：划入{change.added_km2:.2f} km²，"
            f"划出{change.removed_km2:.2f} km²（{change.before_km2:.2f} → "
            f"{change.now_km2:.2f} km²）",
            en=f"the boundary of {change.name.en} changed: {change.added_km2:.2f} km2 came to it, "
            f"{change.removed_km2:.2f} km2 left it ({change.before_km2:.2f} to "
            f"{change.now_km2:.2f} km2)",
        )
        own, boundary, ground = means[change.id]
        if np.isfinite([own, boundary, ground]).all():
            note = Text(
                zh=f"{note.zh}；植被覆盖度：{compared.id}按原边界{own:.2f}%，"
                f"边界变更影响{boundary:+.2f}个百分点，地面变化{ground:+.2f}个百分点",
                en=f"{note.en}; vegetation cover: {own:.2f} % in {compared.id} on its own "
                f"boundary, {boundary:+.2f} points from moving it, {ground:+.2f} points on the "
                "ground",
            )
        yield note
