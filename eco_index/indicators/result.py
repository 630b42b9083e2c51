"""What evaluating an official index gives back."""

from __future__ import annotations

from dataclasses import dataclass

from eco_index.methods import Number
from eco_index.yamlio import Text

PROVISIONAL = Text(zh="试算", en="provisional")
FINAL = Text(zh="", en="")
NOT_EVALUATED = Text(zh="未评价", en="not evaluated")
NO_TEXT = Text(zh="", en="")


@dataclass(frozen=True)
class SubResult:
    """A sub-index of one unit.

    Attributes
    ----------
    id, title, parent : str, Text, str
        Parent '' is the index itself.
    raw : float or None
        Before limiting to 0-100; None: not evaluated.
    value : float or None
        After limiting (and rounding, if chosen).
    weight : float or None
        Weight within the parent that was used; 0 where the sub-index does not apply.
    inverse : bool
        Enters the parent as 100 - value.
    missing : tuple of str
        Inputs that were missing.
    applicable : bool
        False where the sub-index does not apply to the unit.
    provisional : bool
    used : tuple of str
        Keys of the numbers, rules and choices it rests on, those of its children included.
    """

    id: str
    title: Text
    parent: str
    raw: float | None
    value: float | None
    weight: float | None
    inverse: bool = False
    missing: tuple[str, ...] = ()
    applicable: bool = True
    provisional: bool = False
    used: tuple[str, ...] = ()


@dataclass(frozen=True)
class IndexResult:
    """An official index of one unit.

    Attributes
    ----------
    method, version, overlay_digest : str
        What it was computed with.
    value : float or None
        None where a sub-index could not be evaluated.
    complete : bool
    provisional : bool
        A number that was used is recalled or a placeholder.
    grade, grade_title : str, Text
        Class; empty without a value.
    sub_indices : tuple of SubResult
        In the order of the method file; the restriction, if any, comes last.
    inputs : dict
        Every declared input, None where missing.
    options : dict
        Choice of every option, and the unit set behind a normalisation by its maximum.
    numbers : tuple of Number
        Every number, rule and choice that was used.
    warnings : tuple of Text
    """

    method: str
    version: str
    overlay_digest: str | None
    title: Text
    value: float | None
    complete: bool
    provisional: bool
    grade: str
    grade_title: Text
    sub_indices: tuple[SubResult, ...]
    inputs: dict[str, float | None]
    options: dict[str, str | Text]
    numbers: tuple[Number, ...]
    warnings: tuple[Text, ...] = ()

    @property
    def label(self) -> Text:
        """The mark that must stand beside a provisional value."""
        return PROVISIONAL if self.provisional else FINAL

    def sub(self, sub_id: str) -> SubResult:
        """Return a sub-index by id."""
        return next(s for s in self.sub_indices if s.id == sub_id)
