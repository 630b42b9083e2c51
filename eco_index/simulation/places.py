"""Where things lie in the simulated region, as fractions of its size (u east, v south)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from eco_index.yamlio import Text


@dataclass(frozen=True)
class Blob:
    """An ellipse with a wavy outline.

    Attributes
    ----------
    u, v : float
        Centre.
    ru, rv : float
        Half axes.
    wobble : float
        Relative amplitude of the waves of the outline.
    phase : float
        Makes outlines differ.
    """

    u: float
    v: float
    ru: float
    rv: float
    wobble: float = 0.0
    phase: float = 0.0

    def _stretch(self, angle: np.ndarray) -> np.ndarray:
        return 1 + self.wobble * (
            0.55 * np.sin(3 * angle + self.phase)
            + 0.30 * np.sin(5 * angle + 2.3 * self.phase + 1)
            + 0.15 * np.sin(8 * angle + 3.1 * self.phase + 2)
        )

    def radius(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return 0 at the centre, 1 on the outline, more than 1 outside."""
        du, dv = (u - self.u) / self.ru, (v - self.v) / self.rv
        return np.asarray(np.hypot(du, dv) / self._stretch(np.arctan2(dv, du)))

    def scaled(self, factor: float) -> Blob:
        """Return the same shape round the same centre, its radius times `factor`."""
        return replace(self, ru=factor * self.ru, rv=factor * self.rv)

    def outline(self, n: int = 120) -> np.ndarray:
        """Return the outline as points [n, 2] (u, v)."""
        angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
        stretch = self._stretch(angle)
        return np.stack(
            [
                self.u + self.ru * stretch * np.cos(angle),
                self.v + self.rv * stretch * np.sin(angle),
            ],
            axis=1,
        )


LAKE = Blob(0.34, 0.60, 0.058, 0.090, 0.16, 0.7)
LAKE_SHRINK = 0.90  # factor on the radius after the change
SAND = Blob(0.15, 0.86, 0.16, 0.13, 0.25, 1.9)
FARMLAND = Blob(0.72, 0.76, 0.24, 0.20, 0.30, 4.2)
HILLS = Blob(0.76, 0.20, 0.26, 0.24)
TOWN = Blob(0.62, 0.60, 0.024, 0.020, 0.25, 0.3)
VILLAGES = (
    Blob(0.57, 0.74, 0.006, 0.005, 0.2, 0.1),
    Blob(0.70, 0.84, 0.006, 0.006, 0.2, 1.1),
    Blob(0.80, 0.74, 0.007, 0.005, 0.2, 2.1),
    Blob(0.52, 0.30, 0.005, 0.006, 0.2, 3.1),
    Blob(0.22, 0.47, 0.006, 0.005, 0.2, 4.1),
    Blob(0.90, 0.47, 0.006, 0.005, 0.2, 5.1),
)
WOODS = (
    Blob(0.10, 0.13, 0.040, 0.028, 0.25, 1.3),
    Blob(0.30, 0.38, 0.022, 0.030, 0.25, 2.6),
    Blob(0.09, 0.56, 0.030, 0.022, 0.25, 3.7),
    Blob(0.62, 0.92, 0.035, 0.022, 0.25, 4.4),
    Blob(0.95, 0.66, 0.024, 0.036, 0.25, 5.8),
    Blob(0.50, 0.64, 0.018, 0.026, 0.25, 0.9),
)

# Planted changes (between the first and the second year).
MINE = Blob(0.715, 0.315, 0.0165, 0.0115, 0.20, 2.0)
PLANTED_FOREST = Blob(0.915, 0.87, 0.045, 0.030, 0.15, 3.3)
DEGRADED = Blob(0.22, 0.27, 0.065, 0.050, 0.15, 5.0)
DEGRADED_DROP = 0.30  # vegetation cover lost in its core

# Rivers: control points (u, v); the first ends in the lake, the second leaves it, the third joins.
RIVERS = (
    (
        Text(zh="白沙河上游", en="Upper Baisha River"),
        (
            (0.56, -0.20),
            (0.53, -0.02),
            (0.57, 0.12),
            (0.50, 0.22),
            (0.47, 0.34),
            (0.40, 0.44),
            (0.37, 0.52),
            (0.34, 0.60),
        ),
    ),
    (
        Text(zh="白沙河下游", en="Lower Baisha River"),
        (
            (0.34, 0.60),
            (0.35, 0.70),
            (0.41, 0.77),
            (0.46, 0.84),
            (0.52, 0.89),
            (0.54, 0.99),
            (0.58, 1.20),
        ),
    ),
    (
        Text(zh="云岭河", en="Yunling River"),
        (
            (1.20, 0.40),
            (1.00, 0.46),
            (0.88, 0.53),
            (0.76, 0.56),
            (0.67, 0.545),
            (0.58, 0.50),
            (0.52, 0.42),
            (0.47, 0.34),
        ),
    ),
)

# County borders meet at one point; wavy lines, so that nothing follows the grid.
COUNTY_JUNCTION = (0.495, 0.462)
COUNTY_LINES = ((0.462, 0.0), (0.438, 1.0), (1.0, 0.531))


@dataclass(frozen=True)
class Place:
    """A zone of the simulated region: a wavy polygon with its attributes."""

    code: str
    name: Text
    blob: Blob
    attributes: dict[str, str]


COUNTIES: tuple[tuple[str, Text, tuple[float, float], dict[str, str]], ...] = (
    (
        "159901",
        Text(zh="白沙旗", en="Baisha Banner"),
        (0.2, 0.5),
        {"key_function": "yes", "function_type": "sand_fixation", "group": "key_function"},
    ),
    (
        "159902",
        Text(zh="云岭县", en="Yunling County"),
        (0.8, 0.2),
        {"key_function": "no", "function_type": "", "group": "other"},
    ),
    (
        "159903",
        Text(zh="河湾县", en="Hewan County"),
        (0.8, 0.8),
        {"key_function": "no", "function_type": "", "group": "other"},
    ),
)

RESERVES = (
    Place(
        "NR01",
        Text(zh="云岭国家级自然保护区", en="Yunling National Nature Reserve"),
        Blob(0.75, 0.26, 0.13, 0.125, 0.14, 0.4),
        {"level": "national", "reserve_type": "forest"},
    ),
    Place(
        "NR02",
        Text(zh="镜湖湿地自治区级自然保护区", en="Jinghu Wetland Regional Nature Reserve"),
        Blob(0.345, 0.575, 0.100, 0.145, 0.12, 1.4),
        {"level": "regional", "reserve_type": "wetland"},
    ),
)

#: Functional zones of a reserve from the inside outwards: value of the attribute, name, and the
#: factor on the reserve's radius up to which it reaches. The mine lies in the buffer zone of NR01.
FUNCTIONAL_ZONES: dict[str, tuple[tuple[str, Text, float], ...]] = {
    "NR01": (
        ("core", Text(zh="核心区", en="core zone"), 0.34),
        ("buffer", Text(zh="缓冲区", en="buffer zone"), 0.74),
        ("experimental", Text(zh="实验区", en="experimental zone"), 1.0),
    ),
    "NR02": (
        ("core", Text(zh="核心保护区", en="core protected zone"), 0.60),
        ("general_control", Text(zh="一般控制区", en="general control zone"), 1.0),
    ),
}

#: Restoration projects with works in the year of the planted changes. The first planted trees; the
#: second, a fence in the steppe, has no effect at all.
PROJECTS = (
    Place(
        "RP01",
        Text(zh="河湾造林工程", en="Hewan afforestation project"),
        Blob(PLANTED_FOREST.u, PLANTED_FOREST.v, 0.050, 0.034, 0.15, 3.3),
        {"project_type": "afforestation"},
    ),
    Place(
        "RP02",
        Text(zh="北部草原围封工程", en="Northern steppe enclosure project"),
        Blob(0.40, 0.14, 0.060, 0.050, 0.12, 2.2),
        {"project_type": "enclosure"},
    ),
)

RED_LINE = (
    Place(
        "RL01",
        Text(zh="云岭水源涵养红线区", en="Yunling water-conservation area"),
        Blob(0.735, 0.28, 0.170, 0.165, 0.10, 0.9),
        {"function_type": "water_conservation"},
    ),
    Place(
        "RL02",
        Text(zh="镜湖生物多样性维护红线区", en="Jinghu biodiversity area"),
        Blob(0.345, 0.58, 0.150, 0.155, 0.07, 2.9),
        {"function_type": "biodiversity"},
    ),
    Place(
        "RL03",
        Text(zh="白沙防风固沙红线区", en="Baisha sand-fixation area"),
        Blob(0.15, 0.86, 0.120, 0.105, 0.08, 3.9),
        {"function_type": "sand_fixation"},
    ),
    Place(
        "RL04",
        Text(zh="白沙河水土保持红线区", en="Baisha River soil-conservation area"),
        Blob(0.49, 0.86, 0.110, 0.060, 0.10, 4.9),
        {"function_type": "soil_conservation"},
    ),
    Place(
        "RL05",
        Text(zh="北部草原防风固沙红线区", en="Northern steppe sand-fixation area"),
        Blob(0.38, 0.13, 0.150, 0.085, 0.10, 5.9),
        {"function_type": "sand_fixation"},
    ),
)

BASIN = Place(
    "BA01",
    Text(zh="白沙河流域", en="Baisha River basin"),
    Blob(0.49, 0.52, 0.39, 0.43, 0.12, 0.6),
    {},
)
