"""The chain of the benchmark: the peer in plain xarray and this project agree on small maps."""

import numpy as np
import pytest
import xarray as xr

from benchmarks import chain


@pytest.mark.parametrize("influence", ["nearest", "density"])
def test_both_sides_agree(tmp_path, monkeypatch, influence):
    monkeypatch.setattr(chain, "CHUNK", 150)
    source, ours, peer = (str(tmp_path / f"{n}.zarr") for n in ("in", "ours", "peer"))
    chain.write_inputs(source, 260)
    chain.ours(source, ours, influence)
    chain.peer(source, peer, influence, "float64")
    assert max(chain.difference(ours, peer).values()) < 1e-6
    maps = xr.open_zarr(ours, consolidated=False)
    for name in chain.OUTPUTS:
        known = maps[name].notnull()
        assert 0.5 < float(known.mean()) < 1 and float(maps[name].std()) > 0
    assert float(maps.soil_retention.min()) >= 0
    assert 0 <= float(maps.quality.min()) < float(maps.quality.max()) <= 1
    assert np.float64(maps.sand_fixation.max()) > 1
