"""Run one benchmark by name, or all: ``python -m benchmarks [NAME [options]]``.

Every file ``bench_NAME.py`` has a ``main(arguments)`` that prints one JSON object.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main() -> None:
    """Dispatch by name; without one, run all with their default sizes."""
    names = sorted(p.stem.removeprefix("bench_") for p in Path(__file__).parent.glob("bench_*.py"))
    chosen, options = sys.argv[1:2], sys.argv[2:]
    if chosen and chosen[0] not in names:
        sys.exit(f"no benchmark '{chosen[0]}': one of {', '.join(names)}")
    for name in chosen or names:
        importlib.import_module(f"benchmarks.bench_{name}").main(options)


if __name__ == "__main__":
    main()
