"""Maps of ecosystem services (HJ 1173-2021) from the cube and the rasters laid under it."""

from eco_index.services.inputs import ServiceInputs, service_receipts
from eco_index.services.maps import FILL, SERVICES, Service, ServiceMaps, TileMap

__all__ = [
    "FILL",
    "SERVICES",
    "Service",
    "ServiceInputs",
    "ServiceMaps",
    "TileMap",
    "service_receipts",
]
