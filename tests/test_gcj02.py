from __future__ import annotations

import numpy as np
import pytest
from pyproj import Geod

from eco_index.gcj02 import to_gcj02, to_wgs84

#: Published test points of eviltransform: WGS 84 lat, lon; GCJ-02 lat, lon.
POINTS = np.array(
    [
        (31.1774276, 121.5272106, 31.17530398364597, 121.531541859215),
        (22.543847, 113.912316, 22.540796131694766, 113.9171764808363),
        (39.911954, 116.377817, 39.91334545536069, 116.38404722455657),
    ]
)
GEOD = Geod(ellps="WGS84")


def test_published_points():
    lat, lon, shifted_lat, shifted_lon = POINTS.T
    found = to_gcj02(lon, lat)
    assert found[0] == pytest.approx(shifted_lon, abs=1e-9)
    assert found[1] == pytest.approx(shifted_lat, abs=1e-9)
    back = to_wgs84(shifted_lon, shifted_lat)
    assert back[0] == pytest.approx(lon, abs=1e-9)
    assert back[1] == pytest.approx(lat, abs=1e-9)


def test_there_and_back_all_over_china():
    """Also where the formula has a cusp (105 E) and at every sixth of a degree."""
    lon, lat = np.meshgrid(np.r_[73.5:135:0.0831, 105.0, 105 + 1e-7], np.arange(3.5, 54, 0.117))
    lon, lat = lon.ravel(), lat.ravel()
    shifted = to_gcj02(lon, lat)
    back = to_wgs84(*shifted)
    _, _, apart = GEOD.inv(lon, lat, *back)
    assert np.max(apart) < 1e-3
    _, _, shift = GEOD.inv(lon, lat, *shifted)
    assert 300 < np.median(shift) < 700 and np.max(shift) < 1200


def test_nothing_is_shifted_abroad():
    lon, lat = np.array([-71.4, 149.1, 10.0]), np.array([18.7, -35.3, 53.0])
    for found in (to_gcj02(lon, lat), to_wgs84(lon, lat)):
        assert np.array_equal(found[0], lon) and np.array_equal(found[1], lat)
