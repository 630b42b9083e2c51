"""The ``eco`` command: arguments in, stages called, answers and exit codes out; no science."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from eco_index.errors import EcoError

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    0 done, 1 some work failed (the rest is kept), 2 wrong usage or configuration, 3 input data
    unusable, 130 interrupted.
    """
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code (for tests and for other programs)."""
    from eco_index.cli import console
    from eco_index.cli.app import app

    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        # Typer leaves by SystemExit after usage errors (2), --help (0) and Ctrl-C (130).
        app(given, prog_name="eco")
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        if code == INTERRUPTED:
            console.say_interrupted()
        return code
    except KeyboardInterrupt:
        console.say_interrupted()
        return INTERRUPTED
    except EcoError as error:
        if _debug():
            console.say_traceback()
        console.say_error(error, as_json="--json" in given)
        return error.exit_code
    except Exception as error:
        console.say_unexpected(error, debug=_debug(), as_json="--json" in given)
        return 1
    return 0


def _debug() -> bool:
    return os.environ.get("ECO_DEBUG", "") not in ("", "0")
