"""Zone layers read before a run, so that a fault is known before hours of compositing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eco_index.errors import InputError
from eco_index.period import Period

if TYPE_CHECKING:
    from eco_index.config import Region


class LayerFaults:
    """Why the layers of programmes cannot be used; each is read once."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._known: dict[tuple[str, int], str] = {}

    def of(self, programme: str, period: Period) -> str:
        """Return the first fault of the layers that a programme reads, or ''."""
        config, known = self._region.programmes[programme], self._region.config.layers
        layers = [config.layer, *(n for n in config.analyses.combine if n in known)]
        if config.indices and self._region.config.units is not None:
            layers.append(self._region.config.units)
        if config.analyses.restoration is not None:
            layers.append(config.analyses.restoration.layer)
        return next(filter(None, (self._fault(layer, period.year) for layer in layers)), "")

    def _fault(self, layer: str, year: int) -> str:
        # Here: geopandas and pyarrow hold 90 MiB that compositing, which plans too, does not need.
        from eco_index.zones import load_layer

        if (layer, year) not in self._known:
            try:
                load_layer(self._region, layer, year)
                self._known[layer, year] = ""
            except InputError as error:
                self._known[layer, year] = f"{error.what} ({error.where})"
        return self._known[layer, year]
