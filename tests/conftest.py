"""Fixtures shared by the tests."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

# The same examples in every run, so that a red run means a changed program. To look for new
# failing cases: pytest --hypothesis-profile=search
hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None)
hypothesis.settings.register_profile("search", deadline=None)
hypothesis.settings.load_profile("fixed")


@pytest.fixture(scope="session")
def small_region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Region file of a small simulated region; treat everything beside it as read-only."""
    from eco_index import simulation

    return simulation.small_region(tmp_path_factory.mktemp("small_region"))
