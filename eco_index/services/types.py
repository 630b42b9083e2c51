"""From LUCC classes to the types of HJ 1173-2021: a file of ``configs/crosswalks/hj1173``."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from pydantic import model_validator

from eco_index import yamlio
from eco_index.config import configs_folder
from eco_index.digests import hash_of
from eco_index.errors import UsageError
from eco_index.indices.soil import C_TYPES
from eco_index.indices.water import RUNOFF_TYPES
from eco_index.indices.wind import WIND_TYPES
from eco_index.products import LUCC
from eco_index.summary import Evidence
from eco_index.yamlio import Strict, Text

#: Field of a class to the types that its values name.
KINDS = {"soil": C_TYPES, "wind": WIND_TYPES, "runoff": RUNOFF_TYPES}


class ClassTypes(Strict):
    """Types of one LUCC class; null where a service does not exist on it."""

    soil: str | None
    wind: str | None
    runoff: str | None

    @model_validator(mode="after")
    def _known(self) -> ClassTypes:
        for kind, types in KINDS.items():
            value = getattr(self, kind)
            if value is not None and value not in types.values():
                raise ValueError(f"{kind}: '{value}' is none of {', '.join(types.values())}")
        return self


class ServiceTypes(Strict):
    """A file of ``configs/crosswalks/hj1173``."""

    id: str
    version: int
    title: Text
    source: str
    evidence: Evidence
    note: Text | None = None
    classes: dict[int, ClassTypes]

    @model_validator(mode="after")
    def _whole(self) -> ServiceTypes:
        if set(self.classes) != set(LUCC):
            odd = sorted(set(self.classes) ^ set(LUCC))
            raise ValueError(f"classes must be those of LUCC, each once; not so: {odd}")
        return self

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything in it."""
        return hash_of(self.model_dump(mode="json"))

    def table(self, kind: str) -> np.ndarray:
        """Return type codes of a kind (`KINDS`) by stored LUCC class, uint8 (256,); 0: no type."""
        codes = {name: code for code, name in KINDS[kind].items()}
        out = np.zeros(256, np.uint8)
        for lucc, types in self.classes.items():
            name = getattr(types, kind)
            out[lucc] = 0 if name is None else codes[name]
        return out


def load_types(name: str, beside: Path) -> ServiceTypes:
    """Read a crosswalk by its id, or by a path relative to the region file.

    Raises
    ------
    UsageError
        Unknown file, or a malformed one.
    """
    folder = configs_folder() / "crosswalks" / "hj1173"
    own = name.endswith(".yaml")
    path = beside.resolve().parent / name if own else folder / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        raise UsageError(
            f"there is no crosswalk '{name}' to the types of HJ 1173",
            where=f"{beside}, key 'services.types'",
            rule=f"known: {known}; or the path of a .yaml file",
        )
    return yamlio.load(path, ServiceTypes)
