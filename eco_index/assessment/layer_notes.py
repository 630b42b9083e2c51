"""What a reader should know of a programme's boundaries: ill fitted by pixels, or shifted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eco_index.config import Region
from eco_index.errors import EcoError
from eco_index.yamlio import Text
from eco_index.zone_shift import find_shift
from eco_index.zones import ZoneLayer, load_layer

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
