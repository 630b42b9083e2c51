"""Fixtures shared by the tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def small_region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Region file of a small simulated region; treat everything beside it as read-only."""
    from eco_index import simulation

    return simulation.small_region(tmp_path_factory.mktemp("small_region"))
