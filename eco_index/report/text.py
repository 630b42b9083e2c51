"""Words and numbers of a report: locale files, and how values are written."""

from __future__ import annotations

import functools
import math
import string
from pathlib import Path
from typing import Any

from eco_index.errors import UsageError
from eco_index.period import Period
from eco_index.yamlio import Text, read_yaml

LANGUAGES = ("zh", "en")
NO_VALUE = "—"
MINUS = "\u2212"

_UNITS = {
    "km2": "km²", "hm2": "hm²", "m2": "m²", "1": "", "km2/km2": "", "count": "", "": "",
    "t/(hm2 a)": "t/(hm²·a)", "t/(km2 a)": "t/(km²·a)", "m3/a": "m³/a",
}  # fmt: skip
_WORDS = {"pp": "unit.points", "pp/a": "unit.points_per_year", "1/a": "unit.per_year"}


def locale_file(language: str) -> Path:
    """Return the path of a language's text file."""
    return Path(__file__).parent / "locales" / f"{language}.yaml"


def _flatten(data: dict[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            flat |= _flatten(value, f"{name}.")
        else:
            flat[name] = str(value)
    return flat


@functools.cache
def load_texts(language: str) -> dict[str, str]:
    """Return the texts of a language, by dotted key.

    Raises
    ------
    UsageError
        There is no such language.
    """
    if language not in LANGUAGES:
        raise UsageError(
            f"there is no report language '{language}'",
            rule=f"languages: {', '.join(LANGUAGES)}",
        )
    data, _ = read_yaml(locale_file(language))
    return _flatten(data)


def digits_of(unit: str) -> int:
    """Return how many decimals values of a unit are printed with."""
    return {"1": 3, "1/a": 4, "pp/a": 3, "count": 0}.get(unit, 2)


class Words:
    """Texts of one language, and the way it writes numbers, units, periods.

    Parameters
    ----------
    language : str
        ``zh`` or ``en``.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = load_texts(language)

    def __call__(self, key: str, /, **values: object) -> str:
        """Return the text of a key with its values filled in.

        Raises
        ------
        UsageError
            The key, or one of the values it names, is missing.
        """
        try:
            text = self._texts[key]
        except KeyError:
            where = str(locale_file(self.language))
            raise UsageError(f"no text for '{key}' in '{self.language}'", where=where) from None
        named = {n for _, n, _, _ in string.Formatter().parse(text) if n}
        if named != set(values):
            where = str(locale_file(self.language))
            raise UsageError(
                f"text '{key}' is given {sorted(values)}, it names {sorted(named)}", where=where
            )
        return text.format(**values) if named else text

    def has(self, key: str) -> bool:
        """Tell whether the language has a text for the key."""
        return key in self._texts

    def name(self, text: Text) -> str:
        """Return a title in this language, with a capital where a label begins with one."""
        name = text.get(self.language)
        return name[:1].upper() + name[1:]

    def unit(self, unit: str) -> str:
        """Return a unit as it is printed."""
        return self(_WORDS[unit]) if unit in _WORDS else _UNITS.get(unit, unit)

    def number(self, value: float | None, unit: str = "", *, signed: bool = False) -> str:
        """Return a value with the decimals its unit deserves, without the unit.

        None and NaN give an em dash: missing is never zero.
        """
        if value is None or not math.isfinite(value):
            return NO_VALUE
        digits = digits_of(unit)
        rounded = round(value, digits) + 0.0  # no negative zero
        text = f"{abs(rounded):,.{digits}f}"
        if rounded < 0:
            return MINUS + text
        return f"+{text}" if signed and rounded > 0 else text

    def plain(self, value: float | None) -> str:
        """Return a number as given (coefficients, inputs): no rounding to a unit's decimals."""
        if value is None or not math.isfinite(value):
            return NO_VALUE
        return repr(float(value)).removesuffix(".0").replace("-", MINUS)

    def quantity(self, value: float | None, unit: str) -> str:
        """Return a value with its unit."""
        return self._with_unit(self.number(value, unit), self.unit(unit))

    def change(self, value: float | None, unit: str) -> str:
        """Return a signed difference with its unit; percentages differ by percentage points."""
        text = self.number(value, unit, signed=True)
        name = self("unit.points") if unit == "%" else self.unit(unit)
        return self._with_unit(text, name)

    def _with_unit(self, text: str, name: str) -> str:
        if text == NO_VALUE or not name:
            return text
        gap = "" if name == "%" or not name[0].isascii() else "\u00a0"
        return f"{text}{gap}{name}"

    def period(self, period_id: str) -> str:
        """Return a period in words."""
        period = Period.parse(period_id)
        return self(("period.year", "period.half1", "period.half2")[period.half], year=period.year)

    def listed(self, parts: list[str], most: int = 6) -> str:
        """Return names as a list in words, shortened after `most`."""
        text = self("list.separator").join(parts[:most])
        return text if len(parts) <= most else self("list.more", listed=text, n=len(parts) - most)
