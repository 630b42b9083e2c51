"""Where Prefect keeps its things: in the region's output folder, with an embedded SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eco_index.config import Region

STARTUP_SECONDS = 180  # a fresh data base is migrated first; that is slow on a busy machine


def home_of(region: Region) -> Path:
    """Return the folder of Prefect's data base and logs for a region (made if missing)."""
    home = region.output / ".prefect"
    home.mkdir(parents=True, exist_ok=True)
    return home.resolve()


def environment(region: Region, api_url: str | None = None) -> dict[str, str]:
    """Return the environment variables of Prefect processes that work for a region."""
    home = home_of(region)
    settings = {
        "DO_NOT_TRACK": "1",
        "PREFECT_HOME": str(home),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home / 'prefect.db'}",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(home / "ui"),
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": str(STARTUP_SECONDS),
    }
    if api_url is not None:
        settings["PREFECT_API_URL"] = api_url
    return settings


@contextmanager
def temporary_server(region: Region) -> Iterator[None]:
    """Let flows called in this block use a server of their own, which ends with the process."""
    from prefect.settings import (
        PREFECT_API_DATABASE_CONNECTION_URL,
        PREFECT_HOME,
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE,
        PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
        temporary_settings,
    )

    values = environment(region)
    with temporary_settings(
        {
            PREFECT_HOME: values["PREFECT_HOME"],
            PREFECT_API_DATABASE_CONNECTION_URL: values["PREFECT_API_DATABASE_CONNECTION_URL"],
            PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: True,
            PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS: STARTUP_SECONDS,
        }
    ):
        yield
