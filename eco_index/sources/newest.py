"""One acquisition processed more than once: the newest processing is kept."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from eco_index.sources.scene import Scene

_SENTINEL2 = re.compile(r"(S2[A-D])_MSIL2A_(\d{8}T\d{6})_N(\d{4})_R(\d{3})_T(\w{5})")
_LANDSAT = re.compile(r"(L[CETO]0\d)_(L2S[PR])_(\d{6})_(\d{8})_(\d{8})_(\d{2})_(RT|T1|T2)")
_MODIS = re.compile(r"(M[OYC]D\w{4,5})\.A(\d{7})\.(h\d\dv\d\d)\.(\d{3})\.(\d{13})")


def acquisition_of(scene: Scene) -> tuple[Any, Any] | None:
    """Return what names the acquisition and what orders its processings, None if not known.

    Sentinel-2: satellite, start of the data take and tile, ordered by baseline alone (official ones
    after 99.99): two parts of a data take on one tile have one baseline, and both are kept.
    Landsat: satellite, path, row and day, ordered by collection, real time last, and day of
    processing. MODIS: product, day and tile, ordered by collection and time of production.
    """
    names = (
        str(scene.properties.get("s2:product_uri", "")),
        str(scene.properties.get("sentinel:product_id", "")),
        scene.id,
    )
    for name in names:
        if found := _SENTINEL2.search(name):
            official = found[3] < "9000"  # N9999: of a Sen2Cor that somebody ran
            return ("s2", found[1], found[2], found[5]), (official, found[3])
        if found := _LANDSAT.search(name):
            key = ("landsat", *found.group(1, 2, 3, 4), scene.id[found.end() :])
            return key, (found[6], found[7] != "RT", found[5])
        if found := _MODIS.search(name):
            return ("modis", found[1], found[2], found[3]), (found[4], found[5])
    return None


def newest_only(scenes: Iterable[Scene]) -> list[Scene]:
    """Drop older processings; the scene that stays names them in its property ``supersedes``."""
    groups: dict[Any, list[tuple[Any, Scene]]] = defaultdict(list)
    kept: list[Scene] = []
    for scene in scenes:
        found = acquisition_of(scene)
        if found is None:
            kept.append(scene)
        else:
            groups[found[0]].append((found[1], scene))
    for group in groups.values():
        best = max(version for version, _ in group)
        gone = sorted(s.id for version, s in group if version != best)
        for version, scene in group:
            if version != best:
                continue
            if gone:
                more = scene.properties | {"supersedes": gone}
                scene = dataclasses.replace(scene, properties=more)
            kept.append(scene)
    return sorted(kept, key=lambda s: s.key)
