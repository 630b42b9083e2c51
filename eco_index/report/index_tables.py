"""Tables of official indices: value and grade, every sub-index, inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eco_index.report.tables import (
    MOST_COLUMNS,
    Cell,
    Line,
    Table,
    marked,
    split_wide,
    tone,
    unit_title,
)
from eco_index.report.text import NO_VALUE, Words
from eco_index.summary import IndexValue, MethodInput, MethodOption, SubIndex
from eco_index.yamlio import Text

Titles = Mapping[str, MethodInput]


def index_table(indices: Sequence[IndexValue], words: Words) -> Table:
    """Return value, grade and change of an official index by unit."""
    # The column stands where a unit has an interval.
    sure = any(i.interval for i in indices)
    lines = []
    for index in indices:
        complete = words("text.complete" if index.complete else "text.incomplete")
        lines.append(
            Line(
                index.name.get(words.language),
                (
                    Cell(
                        words.number(index.value), trace=index.trace,
                        provisional=marked(index.provisional, index.value),
                        tone="missing" if index.value is None else "strong",
                    ),
                    *((Cell(_interval(index, words)),) if sure else ()),
                    Cell(_grade(index, words), numeric=False),
                    Cell(words.number(index.previous)),
                    Cell(words.number(index.change, signed=True), tone=tone(index.change)),
                    Cell(index.change_title.get(words.language) or NO_VALUE, numeric=False),
                    Cell(complete, numeric=False),
                    Cell(index.trace, numeric=False, tone="key"),
                ),
            )
        )  # fmt: skip
    heads = (
        "index", *(("confidence",) if sure else ()), "grade", "previous", "change",
        "change_class", "complete", "trace",
    )  # fmt: skip
    return Table(
        words("text.index_caption", title=indices[0].title.get(words.language)),
        words("table.zone"),
        tuple(words(f"table.{h}") for h in heads),
        tuple(lines),
        plain=True,
    )


def _interval(index: IndexValue, words: Words) -> str:
    return "–".join(words.number(v) for v in index.interval or ()) or NO_VALUE


def _grade(index: IndexValue, words: Words) -> str:
    """Return the grade, with all that the interval touches in brackets where it is not sure."""
    grade = index.grade_title.get(words.language) or NO_VALUE
    if len(index.grades) < 2:
        return grade
    touched = "/".join(g.get(words.language) for g in index.grades)
    return words("text.grade_unsure", grade=grade, touched=touched)


def _weight(sub: SubIndex, words: Words) -> Cell:
    return Cell(words.plain(None if sub.weight is None else round(sub.weight, 4)))


def _sub_cell(index: IndexValue, sub_id: str, titles: Titles, words: Words) -> Cell:
    sub = next((s for s in index.sub_indices if s.id == sub_id), None)
    if sub is None:
        return Cell(NO_VALUE, tone="missing")
    if sub.value is None:
        if not sub.missing:
            return Cell(words("text.not_evaluated"), numeric=False, tone="missing")
        missing = words.listed([input_title(m, titles, words) for m in sub.missing], most=4)
        text = words("text.not_evaluated_missing", missing=missing)
        return Cell(text, numeric=False, tone="missing")
    text = words.number(sub.value)
    if sub.raw is not None and abs(sub.raw - sub.value) > 0.005:
        text = words("text.capped", value=text, raw=words.number(sub.raw))
    return Cell(text, provisional=sub.provisional)


def input_title(name: str, titles: Titles, words: Words) -> str:
    """Return the words for an input of an official index; its column name where there are none."""
    return words.name(titles[name].title) if name in titles else name


def _with_unit(name: str, titles: Titles, words: Words) -> str:
    unit = titles[name].unit if name in titles else ""
    return unit_title(input_title(name, titles, words), unit, words)


def sub_index_tables(indices: Sequence[IndexValue], titles: Titles, words: Words) -> list[Table]:
    """Return every sub-index of every unit, with weights."""
    subs = _tree(indices[0].sub_indices)
    names = [i.name.get(words.language) for i in indices]
    if len(indices) > MOST_COLUMNS:
        return split_wide(_units_by_subs(subs, indices, names, titles, words), words)
    lines = [
        Line(
            words.name(sub.title),
            (
                _weight(sub, words),
                *(_sub_cell(index, sub.id, titles, words) for index in indices),
            ),
            level,
        )
        for level, sub in subs
    ]
    table = Table(
        words("text.sub_caption", title=indices[0].title.get(words.language)),
        words("table.sub_index"),
        (words("table.weight"), *names),
        tuple(lines),
    )
    return split_wide(table, words)


def _units_by_subs(
    subs: Sequence[tuple[int, SubIndex]],
    indices: Sequence[IndexValue],
    names: Sequence[str],
    titles: Titles,
    words: Words,
) -> Table:
    weights = Line(words("table.weight"), tuple(_weight(s, words) for _, s in subs), -1)
    lines = [
        Line(name, tuple(_sub_cell(index, sub.id, titles, words) for _, sub in subs))
        for name, index in zip(names, indices, strict=True)
    ]
    return Table(
        words("text.sub_caption", title=indices[0].title.get(words.language)),
        words("table.zone"),
        tuple(words.name(s.title) for _, s in subs),
        (weights, *lines),
    )


def _tree(subs: Sequence[SubIndex], parent: str = "", level: int = 0) -> list[tuple[int, SubIndex]]:
    """Return sub-indices with their depth, children right after their parent."""
    known = {s.id for s in subs}
    found = []
    for sub in subs:
        own = sub.parent if sub.parent in known else ""
        if own == parent:
            found.append((level, sub))
            found += _tree(subs, sub.id, level + 1)
    return found


def input_tables(indices: Sequence[IndexValue], titles: Titles, words: Words) -> list[Table]:
    """Return the inputs of an official index by unit."""
    names = list(dict.fromkeys(n for i in indices for n in i.inputs))
    caption = words("text.inputs_caption", title=indices[0].title.get(words.language))
    if len(indices) > MOST_COLUMNS:
        table = Table(
            caption,
            words("table.zone"),
            tuple(_with_unit(name, titles, words) for name in names),
            tuple(
                Line(
                    i.name.get(words.language),
                    tuple(Cell(words.plain(_rounded(i.inputs.get(n)))) for n in names),
                )
                for i in indices
            ),
        )
        return split_wide(table, words)
    table = Table(
        caption,
        words("table.input"),
        tuple(i.name.get(words.language) for i in indices),
        tuple(
            Line(
                _with_unit(name, titles, words),
                tuple(Cell(words.plain(_rounded(i.inputs.get(name)))) for i in indices),
            )
            for name in names
        ),
    )
    return split_wide(table, words)


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.7g}")


def option_lines(
    indices: Sequence[IndexValue], options: Mapping[str, MethodOption], words: Words
) -> list[str]:
    """Return the choices that were made where the standard is ambiguous, one line each.

    Where units differ (city district, key-function county), each choice names its units.
    """
    lines = []
    for key in dict.fromkeys(k for i in indices for k in i.options):
        units: dict[str | Text, list[str]] = {}
        for index in indices:
            if key in index.options:
                units.setdefault(index.options[key], []).append(index.name.get(words.language))
        option = options.get(key)
        texts = []
        for choice, names in units.items():
            known: str | Text = choice
            if option is not None and isinstance(choice, str):
                known = option.choices.get(choice, choice)
            text = known.get(words.language) if isinstance(known, Text) else known
            if option is not None and choice == option.default and not option.given_by_unit:
                text = words("text.option_default", value=text)
            texts.append(text if len(units) == 1 else f"{text} ({', '.join(names)})")
        name = option.title.get(words.language) if option is not None else words(f"text.{key}")
        lines.append(words("text.option", name=name, value="; ".join(texts)))
    return lines
