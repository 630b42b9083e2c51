"""Harmonisation (``configs/harmonisation/*.yaml``): one sensor's reflectance as another's."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from pydantic import Field

from eco_index import yamlio
from eco_index.errors import UsageError
from eco_index.yamlio import Strict, Text, configs_folder


class Line(Strict):
    """Reflectance of the target = slope x reflectance + intercept (reflectance 0-1)."""

    slope: float = Field(gt=0.5, lt=1.5)
    intercept: float = Field(gt=-0.1, lt=0.1)


class Coefficients(Strict):
    """Lines of one platform or family, by common band name."""

    platforms: tuple[str, ...] = Field(min_length=1)
    lines: dict[str, Line] = Field(description="empty: these platforms are the target")
    nir_assets: tuple[str, ...] = Field(
        (), description="asset keys of the near infrared for which the line holds; () for any"
    )
    evidence: Literal["primary", "secondary", "recalled", "placeholder"]
    source: str


class Harmonisation(Strict):
    """Published coefficients that bring sensors together."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: int = 1
    title: Text
    target: str
    coefficients: tuple[Coefficients, ...]
    notes: Text

    def of(self, platform: str) -> Coefficients | None:
        """Return the coefficients of a platform (`platform_id`), None where there are none."""
        return next((c for c in self.coefficients if platform in c.platforms), None)


def known_harmonisations() -> list[str]:
    """Return the ids of all sets of coefficients."""
    return sorted(p.stem for p in (configs_folder() / "harmonisation").glob("*.yaml"))


@lru_cache(maxsize=16)
def load_harmonisation(name: str) -> Harmonisation:
    """Read a set of coefficients.

    Raises
    ------
    UsageError
        There is no such set, or its file is malformed.
    """
    if name not in known_harmonisations():
        raise UsageError(
            f"there is no harmonisation '{name}'",
            where=str(configs_folder() / "harmonisation"),
            rule=f"known: {', '.join(known_harmonisations())}",
            fix="correct 'harmonisation' in the region file, or leave it out",
        )
    return yamlio.load(configs_folder() / "harmonisation" / f"{name}.yaml", Harmonisation)
