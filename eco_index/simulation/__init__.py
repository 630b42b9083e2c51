"""A simulated region with known truth: imagery, land cover, zones and tables, offline."""

from eco_index.simulation.run import simulate, small_region
from eco_index.simulation.spec import SimSpec

__all__ = ["SimSpec", "simulate", "small_region"]
