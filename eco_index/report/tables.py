"""Tables of a report as plain cells; nothing is computed here but the way a value is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from eco_index.report.text import NO_VALUE, Words, digits_of
from eco_index.summary import Row, Summary
from eco_index.yamlio import Text

MOST_COLUMNS = 7
#: Kind of an interval to the title of its column.
INTERVALS = {"confidence": "table.confidence", "bounds": "table.interval"}


@dataclass(frozen=True)
class Cell:
    """A table cell: main text, a second line, what it means for its look."""

    text: str
    second: str = ""
    trace: str = ""
    numeric: bool = True
    provisional: bool = False
    tone: str = ""  # rise, fall, missing


@dataclass(frozen=True)
class Line:
    """A table row; `level` indents its head, `group` starts a group of rows."""

    head: str
    cells: tuple[Cell, ...]
    level: int = 0


@dataclass(frozen=True)
class Table:
    """A table: caption, column heads, rows."""

    caption: str
    corner: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    plain: bool = False  # the heading above says what the caption says

    @property
    def heads(self) -> list[tuple[str, bool]]:
        """Column titles, and whether the column holds text."""
        first = self.lines[0].cells if self.lines else ()
        text = [not cell.numeric for cell in first] or [False] * len(self.columns)
        return list(zip(self.columns, text, strict=True))


@dataclass(frozen=True)
class Group:
    """All rows of one indicator, in the order of the summary.

    Attributes
    ----------
    indicator : str
    title : Text
        Title of the indicator, without the class.
    variables : dict
        Variable code to title; a single "" for an indicator without subdivision.
    rows : dict
        (zone, variable) to row.
    """

    indicator: str
    title: Text
    unit: str
    variables: dict[str, Text]
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)

    @property
    def headline(self) -> bool:
        return tuple(self.variables) == ("",)

    @property
    def first(self) -> Row:
        return next(iter(self.rows.values()))

    def of_own_zones(self, summary: Summary) -> bool:
        """Tell whether a zone of the programme's layer, or a total of them, has a row here."""
        own = {z.id for z in summary.own_zones}
        return any(zone in own for zone, _ in self.rows)

    def get(self, zone: str, variable: str = "") -> Row | None:
        """Return the row of a zone, or None where the summary has none."""
        return self.rows.get((zone, variable))


def groups_of(summary: Summary) -> list[Group]:
    """Return the rows of a summary by indicator, headline indicators first."""
    found: dict[str, list[Row]] = {}
    for row in summary.rows:
        found.setdefault(row.indicator, []).append(row)
    groups = []
    for indicator, rows in found.items():
        variables = {r.variable: r.title for r in rows}
        title, variables = _split_titles(variables)
        groups.append(
            Group(
                indicator,
                title,
                rows[0].unit,
                variables,
                {(r.zone, r.variable): r for r in rows},
            )
        )
    return sorted(groups, key=lambda g: not g.headline)


def _split_titles(variables: dict[str, Text]) -> tuple[Text, dict[str, Text]]:
    """Split "indicator: class" titles into the indicator's and the classes' titles."""
    titles = list(variables.values())
    if tuple(variables) == ("",):
        return titles[0], variables
    heads = {(t.zh.partition("：")[0], t.en.partition(": ")[0]) for t in titles}
    split = all("：" in t.zh and ": " in t.en for t in titles)
    if split and len(heads) == 1:
        zh, en = heads.pop()
        short = {
            k: Text(zh=t.zh.partition("：")[2], en=t.en.partition(": ")[2])
            for k, t in variables.items()
        }
        return Text(zh=zh, en=en), short
    return titles[0], variables


def tone(change: float | None, unit: str = "") -> str:
    """Return the look of a change; colour never carries it alone, the sign does."""
    # What rounds to zero in print has neither risen nor fallen there.
    if change is None or round(change, digits_of(unit)) == 0:
        return ""
    return "rise" if change > 0 else "fall"


def marked(provisional: bool, value: float | None) -> bool:
    """Tell whether a value gets the mark of provisional numbers; an absent one needs none."""
    return provisional and value is not None


def value_cell(row: Row | None, words: Words) -> Cell:
    """Return value and change of a row in one cell."""
    if row is None:
        return Cell(NO_VALUE, tone="missing")
    second = "" if row.change is None else words.number(row.change, row.unit, signed=True)
    return Cell(
        words.number(row.value, row.unit),
        second,
        row.trace,
        provisional=marked(row.provisional, row.value),
        tone="missing" if row.value is None else f"with-{tone(row.change, row.unit)}",
    )


def unit_title(title: str, unit: str, words: Words) -> str:
    """Return a column head with its unit."""
    name = words.unit(unit)
    return f"{title} ({name})" if name else title


def blocks(items: Sequence[Cell | str], size: int = MOST_COLUMNS) -> list[slice]:
    """Cut many columns into blocks of nearly the same width that fit the page."""
    count = max(1, -(-len(items) // size))
    step = -(-len(items) // count)
    return [slice(i, i + step) for i in range(0, len(items), step)] or [slice(0, 0)]


def split_wide(table: Table, words: Words, keep: int = 0) -> list[Table]:
    """Return the table as several with fewer columns; the last `keep` stay with the last part."""
    body = len(table.columns) - keep
    parts = blocks(table.columns[:body])
    found = []
    for n, part in enumerate(parts, 1):
        last = n == len(parts)
        tail = slice(body, None) if last else slice(0, 0)
        caption = table.caption
        if len(parts) > 1:
            caption += words("table.part", n=n, total=len(parts))
        found.append(
            Table(
                caption,
                table.corner,
                table.columns[:body][part] + table.columns[tail],
                tuple(
                    Line(x.head, x.cells[:body][part] + x.cells[tail], x.level) for x in table.lines
                ),
                plain=table.plain,
            )
        )
    return found


def headline_tables(groups: Iterable[Group], summary: Summary, words: Words) -> list[Table]:
    """Return the matrix zones x headline indicators."""
    chosen = [g for g in groups if g.headline and g.of_own_zones(summary)]
    if not chosen:
        return []
    zones = [(z.id, z.name.get(words.language)) for z in summary.own_zones]
    heads = tuple(unit_title(words.name(g.title), g.unit, words) for g in chosen)
    if len(zones) <= 4:
        table = Table(
            words("section.overview"),
            words("table.indicator"),
            tuple(name for _, name in zones),
            tuple(
                Line(head, tuple(value_cell(g.get(z), words) for z, _ in zones))
                for head, g in zip(heads, chosen, strict=True)
            ),
        )
        return [table]
    table = Table(
        words("section.overview"),
        words("table.zone"),
        heads,
        tuple(
            Line(name, tuple(value_cell(g.get(zone), words) for g in chosen))
            for zone, name in zones
        ),
    )
    return split_wide(table, words)


def _areas(row: Row, words: Words) -> tuple[Cell, ...]:
    values = (row.denominator_km2, row.valid_km2, row.no_data_km2)
    return tuple(Cell(words.number(v, "km2")) for v in values)


def _area_heads(words: Words) -> tuple[str, ...]:
    return tuple(words(f"table.{k}") for k in ("denominator_km2", "valid_km2", "no_data_km2"))


def detail_table(group: Group, summary: Summary, words: Words) -> Table:
    """Return every number of an indicator with denominator, areas, change, trace key."""
    names = {z.id: z.name.get(words.language) for z in summary.zones}
    rows = list(group.rows.values())
    kinds = [k for k in INTERVALS if any(r.interval and r.interval_kind == k for r in rows)]
    # A number that itself compares two periods has no value before and no change of its own.
    state = any(r.kind == "state" for r in rows)
    columns = [words("table.value")]
    columns += [words("table.previous"), words("table.change")] if state else []
    columns += [words(INTERVALS[k]) for k in kinds]
    noted = any(r.note for r in rows)
    columns += [words("table.note")] if noted else []
    columns += [*_area_heads(words), words("table.trace")]
    lines = []
    for row in rows:
        cells = [
            Cell(
                words.number(row.value, row.unit), trace=row.trace,
                provisional=marked(row.provisional, row.value),
                tone="missing" if row.value is None else "",
            ),
        ]  # fmt: skip
        if state:
            change = words.number(row.change, row.unit, signed=True)
            cells += [
                Cell(words.number(row.previous, row.unit)),
                Cell(change, tone=tone(row.change, row.unit)),
            ]
        for kind in kinds:
            ends = (row.interval or ()) if row.interval_kind == kind else ()
            text = "–".join(words.number(v, row.unit) for v in ends)
            cells.append(Cell(text or NO_VALUE))
        if noted:
            note = row.note.get(words.language) if row.note else ""
            cells.append(Cell(note, numeric=False))
        cells += [*_areas(row, words), Cell(row.trace, numeric=False, tone="key")]
        head = names[row.zone]
        if row.variable:
            head += f" · {words.name(group.variables[row.variable])}"
        lines.append(Line(head, tuple(cells)))
    return Table(
        unit_title(words.name(group.title), group.unit, words),
        words("table.zone"),
        tuple(columns),
        tuple(lines),
        plain=True,
    )


def class_tables(group: Group, summary: Summary, words: Words) -> list[Table]:
    """Return the matrix zones x classes, with the areas once for each zone.

    Classes that are zero everywhere (now and before) are left out.
    """
    zones = [(z.id, z.name.get(words.language)) for z in summary.own_zones]
    shown = [v for v in group.variables if _occurs(group, v)]
    caption = unit_title(words.name(group.title), group.unit, words)
    titles = [words.name(group.variables[v]) for v in shown]
    same = all(
        len({(r.denominator_km2, r.valid_km2, r.no_data_km2)
             for v in group.variables if (r := group.get(zone, v))}) <= 1
        for zone, _ in zones
    )  # fmt: skip
    first = {zone: next((r for v in shown if (r := group.get(zone, v))), None) for zone, _ in zones}
    blank = (Cell(NO_VALUE),) * 3
    areas = {zone: _areas(r, words) if r else blank for zone, r in first.items()}
    if len(zones) <= 6:
        lines = [
            Line(title, tuple(value_cell(group.get(zone, v), words) for zone, _ in zones))
            for v, title in zip(shown, titles, strict=True)
        ]
        if same:
            lines += [
                Line(head, tuple(areas[zone][i] for zone, _ in zones), level=-1)
                for i, head in enumerate(_area_heads(words))
            ]
        heads = tuple(n for _, n in zones)
        return [Table(caption, words("table.class"), heads, tuple(lines), plain=True)]
    columns = (*titles, *(_area_heads(words) if same else ()))
    rows = tuple(
        Line(
            name,
            (
                *(value_cell(group.get(zone, v), words) for v in shown),
                *(areas[zone] if same else ()),
            ),
        )
        for zone, name in zones
    )
    table = Table(caption, words("table.zone"), columns, rows, plain=True)
    return split_wide(table, words, keep=3 if same else 0)


def _occurs(group: Group, variable: str) -> bool:
    rows = [r for (_, v), r in group.rows.items() if v == variable]
    return any(r.value or r.previous or r.value is None for r in rows)
