"""What tasks hand on: short receipts that fit into JSON, never arrays; and when to try again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from eco_index.errors import EcoError, PartialError

MAX_ITEMS = 200


def receipt(value: Any) -> dict[str, Any]:
    """Return what a stage answered as plain, short JSON values."""
    short = _short(value)
    return short if isinstance(short, dict) else {"result": short}


def _short(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return _short(value.to_dict())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _short(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): _short(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = [_short(v) for v in value]
        return items if len(items) <= MAX_ITEMS else {"count": len(items)}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return str(value) if isinstance(value, Path) else repr(value)[:200]


async def worth_another_try(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """An expected error says what to do about it: trying again would not help."""
    try:
        await state.aresult()
    except EcoError:
        return False
    except Exception:
        return True
    return False


RETRY: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": [10, 60, 300],
    "retry_condition_fn": worth_another_try,
}


def require_success(*receipts: dict[str, Any]) -> None:
    """Fail the flow if a stage reports programmes that failed; the others are finished by then.

    Raises
    ------
    PartialError
        Names every programme and its error: the run shows as failed, finished work is kept.
    """
    failures = {
        f"{stage.get('period', '')} {name}".strip(): problem
        for stage in receipts
        for name, problem in (stage.get("failures") or {}).items()
    }
    if failures:
        raise PartialError(
            f"{len(failures)} part(s) of the assessment failed: {', '.join(failures)}",
            where="; ".join(f"{name}: {_words(problem)}" for name, problem in failures.items()),
            fix="what is finished is kept; repair the cause and run the period again",
        )


def _words(problem: Any) -> str:
    return str(problem.get("what", problem)) if isinstance(problem, dict) else str(problem)
