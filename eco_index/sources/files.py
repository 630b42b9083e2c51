"""Scenes of a plain folder: date and band are read from the file names."""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from pathlib import Path

from eco_index.catalog import Catalog, Dataset, SceneFiles
from eco_index.errors import InputError, UsageError
from eco_index.sensors import needed_bands
from eco_index.sources.assets import Unusable, assets_of
from eco_index.sources.preflight import header_bbox
from eco_index.sources.scene import Asset, AssetFailure, Found, Scene, touches
from eco_index.sources.stac import split_band


class SceneFilesSource:
    """A folder of files whose names match a pattern with groups 'date' and 'asset'.

    Files that differ only in the group 'asset' form a scene (or those of one group 'scene').
    """

    def __init__(self, dataset_id: str, dataset: Dataset, catalog: Catalog) -> None:
        assert isinstance(dataset.access, SceneFiles)
        self.id, self.dataset, self.access = dataset_id, dataset, dataset.access
        self.where = f"{catalog.path}, dataset '{dataset_id}'"
        self.folder = catalog.resolve(self.access.path, self.where)
        try:
            self.pattern = re.compile(self.access.pattern)
        except re.error as error:
            raise UsageError(
                f"'access.pattern' is not a regular expression: {error}", where=self.where
            ) from None
        missing = {"date", "asset"} - set(self.pattern.groupindex)
        if missing:
            raise UsageError(
                f"'access.pattern' lacks the group(s) {', '.join(sorted(missing))}",
                where=self.where,
                rule="groups (?P<date>...) and (?P<asset>...), optionally (?P<scene>...)",
            )

    def search(
        self, lonlat_bounds: tuple[float, float, float, float], start: dt.date, end: dt.date
    ) -> Found:
        """Return the scenes that touch an area between two days, both included.

        Raises
        ------
        InputError
            The folder is missing, no file matches, or a date does not fit its format.
        """
        scenes, failures = [], []
        for (scene_id, day), files in sorted(self._groups().items()):
            if not start <= day <= end:
                continue
            found = self._scene(scene_id, day, files)
            if isinstance(found, AssetFailure):
                failures.append(found)
            elif touches(found.bbox, lonlat_bounds, margin=0.0):
                scenes.append(found)
        scenes.sort(key=lambda s: s.key)
        return Found(tuple(scenes), tuple(sorted(failures)))

    def _groups(self) -> dict[tuple[str, dt.date], dict[str, Path]]:
        if not self.folder.is_dir():
            raise InputError(
                "the folder of scene files does not exist",
                where=f"{self.where}: {self.folder}",
                fix="correct 'access.path' in the catalogue, or put the data there",
            )
        groups: dict[tuple[str, dt.date], dict[str, Path]] = defaultdict(dict)
        for path in sorted(p for p in self.folder.rglob("*") if p.is_file()):
            name = path.relative_to(self.folder).as_posix()
            match = self.pattern.search(name)
            if match is None:
                continue
            try:
                day = dt.datetime.strptime(match["date"], self.access.date_format).date()
            except ValueError:
                raise InputError(
                    f"the date '{match['date']}' does not fit '{self.access.date_format}'",
                    where=f"{self.where}: {name}",
                    fix="correct 'access.pattern' or 'access.date_format'",
                ) from None
            if "scene" in self.pattern.groupindex:
                scene_id = match["scene"]
            else:
                a, b = match.span("asset")
                scene_id = re.sub(r"[._\-]+$", "", Path(name[:a] + name[b:]).stem.rstrip("._-"))
            groups[scene_id, day][match["asset"]] = path
        if not groups:
            raise InputError(
                "no file name fits the pattern",
                where=f"{self.where}: {self.folder}",
                rule=f"pattern {self.access.pattern}",
            )
        return groups

    def _scene(self, scene_id: str, day: dt.date, files: dict[str, Path]) -> Scene | AssetFailure:
        def find(key: str) -> Asset | None:
            name, number = split_band(key)
            path = files.get(name)
            return Asset(str(path), path.stat().st_size, None, number) if path else None

        try:
            assets = assets_of(self.dataset, find, ", ".join(sorted(files)))
        except Unusable as problem:
            return AssetFailure(self.id, scene_id, problem.asset, problem.reason)
        mask = needed_bands(self.dataset)[-1]
        bbox = header_bbox(assets[mask].href, self.dataset)
        if isinstance(bbox, str):
            return AssetFailure(self.id, scene_id, mask, bbox)
        return Scene(scene_id, self.id, f"{day}T00:00:00Z", bbox, assets)
