"""Where real data lie, and the marks of tests that read them.

Real data are read in ``../shared/data`` beside the checkout, or below the folder that the
environment variable ECO_SHARED names; tests skip where they are absent.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("ECO_SHARED", ROOT.parent / "shared")).resolve()
DATA = SHARED / "data"
needs_shared = pytest.mark.skipif(
    not DATA.is_dir(), reason="real data are not here: ../shared/data (see ECO_SHARED)"
)
#: For `pytestmark` of a file whose tests all read real data.
REAL = [pytest.mark.real, needs_shared]


def real(test: Callable[..., Any]) -> Callable[..., Any]:
    """Mark one test as reading real data."""
    return pytest.mark.real(needs_shared(test))
