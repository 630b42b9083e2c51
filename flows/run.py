"""The assessment of a period from imagery to reports: the stages in their order."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from prefect import flow, get_run_logger

from .acquire import acquire_flow
from .assess import assess_flow
from .compute import compute_flow
from .publish import report_flow
from .receipts import require_success


@flow(name="assessment")
def assessment(
    region: str,
    period: str | None = None,
    programmes: list[str] | None = None,
    cadence: Literal["yearly", "half_yearly"] = "yearly",
    cluster: str = "local",
) -> dict[str, Any]:
    """Assess a region: the flow of the deployments. Does what `eco run` does.

    Parameters
    ----------
    region : str
        Path of the region file.
    period : str, optional
        2025, 2025H1 or 2025H2; by default the last complete one of `cadence`.
    programmes : list of str, optional
        Programmes of the region; by default all.
    cadence : {'yearly', 'half_yearly'}
        What the default period is.
    cluster : str
        ``local``, ``local:N`` or the address of a Dask scheduler.
    """
    from eco_index.config import load_region

    from .periods import last_complete_period, today_of

    if period is None:
        period = last_complete_period(cadence, today_of(load_region(region))).id
    get_run_logger().info("assessing %s, period %s", region, period)
    stages = {
        "acquire": acquire_flow(region, period),
        "compute": compute_flow(region, period, cluster),
        "assess": assess_flow(region, period, programmes),
        "report": report_flow(region, period, programmes),
    }
    require_success(stages["assess"], stages["report"])
    return {"period": period, **stages}


def assessment_flow(
    region: str | Path,
    period: str | None = None,
    programmes: list[str] | None = None,
    cadence: Literal["yearly", "half_yearly"] = "yearly",
    cluster: str = "local",
) -> dict[str, Any]:
    """Run the flow `assessment` in this process, with a temporary Prefect server.

    The server's data base lies in the region's output folder; it needs no account and no network.
    """
    from eco_index.config import load_region

    from .home import temporary_server

    with temporary_server(load_region(region)):
        return assessment(str(Path(region).resolve()), period, programmes, cadence, cluster)
