"""What a result of an analysis rests on: method, numbers, evidence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from eco_index.methods import Method, Number
from eco_index.summary import Evidence, weakest
from eco_index.yamlio import Text

MISSING = Text(zh="未评价", en="not evaluated")


@dataclass(frozen=True)
class Basis:
    """What a result rests on.

    Attributes
    ----------
    method : str
        ``id@version``.
    title : Text
    reference : str
    numbers : tuple of Number
        Every number and rule that was used.
    rules : tuple of Text
        The rules that were used, in words.
    note : Text or None
        What a reader of any result of the method must know.
    """

    method: str
    title: Text
    reference: str
    numbers: tuple[Number, ...]
    rules: tuple[Text, ...] = ()
    note: Text | None = None

    @property
    def evidence(self) -> Evidence:
        """The weakest evidence among the numbers."""
        return weakest(n.evidence for n in self.numbers)

    @property
    def provisional(self) -> bool:
        """Whether a number that was used is not sure."""
        return any(not n.sure for n in self.numbers)


def basis_of(method: Method, keys: Iterable[str] | None = None) -> Basis:
    """Return the basis of a result from the keys it used (all numbers and rules by default)."""
    chosen = [*method.numbers, *method.rules] if keys is None else list(keys)
    rules = [k for k in chosen if k in method.rules]
    return Basis(
        method=f"{method.id}@{method.version}",
        title=method.title,
        reference=method.reference,
        numbers=tuple(method.rules[k] if k in method.rules else method.number(k) for k in chosen),
        rules=tuple(method.file.rules[k].text for k in rules),
        note=method.file.note,
    )
