"""GCJ-02, the shifted coordinates of Chinese web maps, to WGS 84 and back.

Many Chinese boundary files circulate in GCJ-02 without saying so: they lie 100 to 900 m off. The
shift is a smooth function of the place; it has a published formula but no published inverse.

References
----------
The formula as reverse engineered and published in the `eviltransform` project (functions
`transform` and `gcj2wgs_exact`), whose test points the tests of this module use.
"""

from __future__ import annotations

import numpy as np

#: Semi-major axis and squared eccentricity of the Krasovsky ellipsoid, as the formula uses them.
_A, _EE = 6378245.0, 0.00669342162296594323
#: West, south, east, north: beyond this box nothing is shifted.
BOX = (72.004, 0.8293, 137.8347, 55.8271)


def to_gcj02(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return GCJ-02 coordinates of WGS 84 (or CGCS2000) ones.

    Parameters
    ----------
    lon, lat : numpy.ndarray
        Degrees, any shape. Places outside China's box are not shifted.

    Returns
    -------
    lon, lat : numpy.ndarray
    """
    lon, lat = np.asarray(lon, float), np.asarray(lat, float)
    east, north = _shift(lon, lat)
    inside = _inside(lon, lat)
    return np.where(inside, lon + east, lon), np.where(inside, lat + north, lat)


def to_wgs84(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return WGS 84 coordinates of GCJ-02 ones, to better than a millimetre.

    Parameters
    ----------
    lon, lat : numpy.ndarray
        Degrees, any shape. Places outside China's box are not shifted.

    Returns
    -------
    lon, lat : numpy.ndarray

    Notes
    -----
    The shift changes by less than 1 % of the distance moved, so that taking it off at the place
    found last converges by two digits a step.
    """
    lon, lat = np.asarray(lon, float), np.asarray(lat, float)
    found_lon, found_lat = lon, lat
    for _ in range(12):
        east, north = _shift(found_lon, found_lat)
        moved = np.maximum(np.abs(lon - east - found_lon), np.abs(lat - north - found_lat))
        found_lon, found_lat = lon - east, lat - north
        if moved.max(initial=0.0) < 1e-11:
            break
    inside = _inside(lon, lat)
    return np.where(inside, found_lon, lon), np.where(inside, found_lat, lat)


def _inside(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    west, south, east, north = BOX
    return (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)


def _shift(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Degrees by which GCJ-02 lies east and north of WGS 84 at a WGS 84 place."""
    x, y, pi = lon - 105.0, lat - 35.0, np.pi
    short = (20 * np.sin(6 * x * pi) + 20 * np.sin(2 * x * pi)) * 2 / 3
    north = -100 + 2 * x + 3 * y + 0.2 * y**2 + 0.1 * x * y + 0.2 * np.sqrt(np.abs(x)) + short
    north = north + (20 * np.sin(y * pi) + 40 * np.sin(y / 3 * pi)) * 2 / 3
    north = north + (160 * np.sin(y / 12 * pi) + 320 * np.sin(y / 30 * pi)) * 2 / 3
    east = 300 + x + 2 * y + 0.1 * x**2 + 0.1 * x * y + 0.1 * np.sqrt(np.abs(x)) + short
    east = east + (20 * np.sin(x * pi) + 40 * np.sin(x / 3 * pi)) * 2 / 3
    east = east + (150 * np.sin(x / 12 * pi) + 300 * np.sin(x / 30 * pi)) * 2 / 3
    phi = np.radians(lat)
    magic = 1 - _EE * np.sin(phi) ** 2
    north = np.degrees(north * magic * np.sqrt(magic) / (_A * (1 - _EE)))
    return np.degrees(east * np.sqrt(magic) / (_A * np.cos(phi))), north
