"""From the files of a scene to the assets that a composite reads, masks put together."""

from __future__ import annotations

from collections.abc import Callable

from eco_index.catalog import Dataset
from eco_index.sensors import needed_bands
from eco_index.sources.address import derive
from eco_index.sources.scene import Asset


class Unusable(Exception):
    """An item, or one of its assets, that cannot be used; becomes an AssetFailure."""

    def __init__(self, asset: str, reason: str) -> None:
        self.asset, self.reason = asset, reason
        super().__init__(reason)


def assets_of(
    dataset: Dataset, find: Callable[[str], Asset | None], has: str, whose: str = "scene"
) -> dict[str, Asset]:
    """Return the assets of the bands that a composite reads, by common name.

    Parameters
    ----------
    dataset : Dataset
        Catalogue entry.
    find : callable
        Asset of an asset key (``name`` or ``name#4`` for band 4 of a file), None where absent.
    has : str
        What there is, for messages.
    whose : str
        What has it, for messages.

    Raises
    ------
    Unusable
        A band is missing.
    """

    def of(band: str) -> Asset:
        keys = dataset.bands[band].asset
        for key in keys:
            asset = find(key)
            if asset is not None:
                return asset
        raise Unusable(
            band, f"band {band} missing: {whose} has {has}; expected {' or '.join(keys)}"
        )

    bands = needed_bands(dataset)
    mask = dataset.mask
    if mask is None or (mask.recipe != "valid_value" and not mask.also):
        return {band: of(band) for band in bands}
    values = {band: of(band) for band in bands if band != mask.band}
    if mask.recipe == "valid_value":
        href = derive("value", [(a.href, a.band) for a in values.values()], bands=list(values))
    else:
        parts = [of(mask.band), *(of(guard.band) for guard in mask.also)]
        href = derive("mask", [(a.href, a.band) for a in parts])
    return values | {mask.band: Asset(href)}
