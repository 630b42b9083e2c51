"""``eco leads``: human-activity leads, their ledger, and exchange with people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eco_index.cli import console
from eco_index.cli.options import AsJson, Programmes, RegionFile, read_programmes, read_region

if TYPE_CHECKING:
    from eco_index.config import Region
    from eco_index.leads import Ledger
    from eco_index.leads.find import FindReport
    from eco_index.ledger.records import Lead

leads_app = typer.Typer(
    help="Leads to human activity in protected areas (疑似问题线索), and their ledger.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

LeadId = Annotated[
    str, typer.Argument(metavar="LEAD", help="Id in `eco leads list`.", show_default=False)
]
States = Annotated[
    list[str] | None,
    typer.Option(
        "--state",
        metavar="STATE",
        help="Only this state; give it again for more: new, sent, confirmed, rejected, "
        "rectified, struck_off.",
        show_default=False,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.yaml",
        help="Kinds and limits; default: the shipped configs/leads.yaml.",
        show_default=False,
    ),
]
Lang = Annotated[str, typer.Option(help="Language of words and headings: zh or en.")]


@leads_app.command()
def find(
    region_file: RegionFile,
    period: Annotated[
        str, typer.Option("--period", metavar="PERIOD", help="2025, 2025H1 or 2025H2.")
    ],
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="PERIOD",
            help="Compared with; default: the same period a year before.",
            show_default=False,
        ),
    ] = None,
    programme: Programmes = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Search a period for new mining, buildings, roads, water and cleared forest.

    Leads are entered into the region's ledger; one that is known keeps its id and state. Without
    `--programme` all protected zones are searched.

    Example: `eco leads find configs/regions/demo.yaml --period 2025`
    """
    region = read_region(region_file)
    programmes = read_programmes(region, programme)
    from eco_index import leads
    from eco_index.cube import open_archive
    from eco_index.period import Period

    parameters = leads.load_parameters(config)
    wanted = Period.parse(period)
    view = open_archive(region.archive_path).view()
    with console.Progress(quiet=as_json) as progress:
        report = leads.find(
            region,
            view,
            wanted,
            against=Period.parse(against) if against else None,
            programmes=programmes,
            parameters=parameters,
            progress=progress,
        )
    if as_json:
        console.answer_json(report.to_dict())
        return
    _say_found(region, report)


def _say_found(region: Region, report: FindReport) -> None:
    from eco_index.leads.evidence import REASONS

    ledger = _ledger(region)
    console.answer(
        f"{report.against} to {report.period}, {', '.join(report.zones)}: {len(report.new)} new, "
        f"{len(report.seen)} known detected again, {len(report.missed)} known not detected"
    )
    _table([ledger.leads[i] for i in (*report.new, *report.again)], "en")
    for lead_id in report.again:
        console.answer(f"note: {lead_id} had been closed and is detected again")
    for reason, count in report.refused.items():
        console.answer(f"left out: {count} object(s): {REASONS[reason]}")
    console.answer(f"ledger: {console.path_text(report.ledger)}")
    console.answer(f"pictures: {console.path_text(Path(report.ledger).parent / 'chips')}")


@leads_app.command("list")
def list_(
    region_file: RegionFile,
    state: States = None,
    kind: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="mining, construction, road, water, clearing."),
    ] = None,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """List the leads of the ledger with their states.

    Example: `eco leads list configs/regions/demo.yaml --state new --state sent`
    """
    chosen = _chosen(_ledger(read_region(region_file)), state)
    chosen = [lead for lead in chosen if kind is None or lead.latest.kind == kind]
    if as_json:
        console.answer_json([_head(lead) for lead in chosen])
        return
    _check_language(lang)
    _table(chosen, lang)
    console.answer(f"{len(chosen)} lead(s)")


@leads_app.command()
def show(region_file: RegionFile, lead: LeadId, lang: Lang = "en", as_json: AsJson = False) -> None:
    """Print a lead with its evidence and its whole history.

    Example: `eco leads show configs/regions/demo.yaml demo-2025-0001`
    """
    one = _ledger(read_region(region_file)).lead(lead)
    if as_json:
        history = [event.model_dump(mode="json") for event in one.history]
        console.answer_json(_head(one) | {"history": history})
        return
    _check_language(lang)
    _say_lead(one, lang)


@leads_app.command("set")
def set_(
    region_file: RegionFile,
    lead: LeadId,
    state: Annotated[
        str,
        typer.Argument(
            metavar="STATE",
            help="sent, confirmed, rejected, rectified or struck_off.",
            show_default=False,
        ),
    ],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who decided.")],
    note: Annotated[
        str, typer.Option("--note", metavar="TEXT", help="Why; needed to reject and to reopen.")
    ] = "",
    on: Annotated[
        str | None,
        typer.Option("--on", metavar="YYYY-MM-DD", help="Day of the decision; default: today."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change the state of a lead; who, when and why are kept for good.

    new → sent or rejected; sent → confirmed or rejected; confirmed → rectified or rejected;
    rectified → struck_off, or back to confirmed; rejected or struck_off → sent (reopened).

    Example: `eco leads set demo.yaml demo-2025-0001 sent --by 张三 --note "letter 12/2026"`
    """
    from eco_index import leads

    region = read_region(region_file)
    before = leads.set_state(leads.ledger_path(region), lead, state, by, note, on)
    if as_json:
        console.answer_json({"lead": lead, "before": before, "after": state})
        return
    console.answer(f"{lead}: {before} -> {state} (by {by})")


@leads_app.command()
def export(
    region_file: RegionFile,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Default: leads/export in the region's output folder.",
            show_default=False,
        ),
    ] = None,
    state: States = None,
    lang: Lang = "zh",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Write leads.gpkg (for maps), leads.xlsx (to fill in) and the pictures.

    Example: `eco leads export configs/regions/demo.yaml --state new --lang zh`
    """
    from eco_index import leads
    from eco_index.leads.exporting import export as write

    region = read_region(region_file)
    ledger = _ledger(region)
    folder = leads.leads_folder(region)
    files = write(
        ledger,
        _chosen(ledger, state),
        out or folder / "export",
        folder,
        leads.load_parameters(config),
        lang,
    )
    if as_json:
        console.answer_json({"files": [str(f) for f in files]})
        return
    for file in files:
        console.answer(console.path_text(file))
    console.answer("fill in the yellow columns of the workbook, then: eco leads import")


@leads_app.command("import")
def import_(
    region_file: RegionFile,
    workbook: Annotated[
        Path,
        typer.Argument(metavar="FILE.xlsx", help="A filled-in export.", show_default=False),
    ],
    as_json: AsJson = False,
) -> None:
    """Take over the states that people filled in: all rows, or none.

    Example: `eco leads import configs/regions/demo.yaml leads.xlsx`
    """
    from eco_index import leads
    from eco_index.leads.importing import import_states

    done = import_states(workbook, leads.ledger_path(read_region(region_file)))
    if as_json:
        rows = [{"lead": a, "before": b, "after": c} for a, b, c in done.moved]
        console.answer_json({"moved": rows, "noted": done.noted, "unchanged": done.unchanged})
        return
    for lead, before, after in done.moved:
        console.answer(f"{lead}: {before} -> {after}")
    console.answer(
        f"{len(done.moved)} state(s) changed, {len(done.noted)} note(s) added, "
        f"{done.unchanged} row(s) without an entry"
    )


def _ledger(region: Region) -> Ledger:
    from eco_index import leads

    return leads.read_ledger(leads.ledger_path(region))


def _chosen(ledger: Ledger, states: list[str] | None) -> list[Lead]:
    from eco_index.errors import UsageError
    from eco_index.ledger.records import STATES

    for state in states or ():
        if state not in STATES:
            raise UsageError(f"--state cannot be '{state}'", rule=f"one of: {', '.join(STATES)}")
    return [lead for lead in ledger.leads.values() if not states or lead.state in states]


def _check_language(lang: str) -> None:
    from eco_index.errors import UsageError

    if lang not in ("zh", "en"):
        raise UsageError(f"--lang cannot be '{lang}'", rule="zh or en")


def _table(leads: list[Lead], language: str) -> None:
    if not leads:
        return
    rows = []
    for lead in leads:
        one = lead.latest
        county = one.county.name.get(language) if one.county else ""
        zones = ", ".join(z.name.get(language) for z in one.zones[:2])
        place = f"{one.lon:.5f}, {one.lat:.5f}"
        rows.append(
            (
                lead.id,
                lead.state,
                one.kind,
                f"{one.area_ha:.2f}",
                one.confidence,
                place,
                county,
                zones,
            )
        )
    console.table(
        ("lead", "state", "kind", "ha", "confidence", "lon, lat", "county", "zones"), rows
    )


def _head(lead: Lead) -> dict[str, Any]:
    word = lead.last_word
    return {
        "id": lead.id,
        "state": lead.state,
        "by": word.by if word else None,
        "note": word.note if word else None,
        "missed": lead.missed.model_dump(mode="json") if lead.missed else None,
        **lead.latest.model_dump(mode="json"),
    }


def _say_lead(lead: Lead, language: str) -> None:
    from eco_index.leads import load_parameters
    from eco_index.leads.columns import COLUMNS, history_rows

    parameters = load_parameters()
    for column in COLUMNS:
        value = column.cell(lead, parameters, language)
        if value not in (None, ""):
            console.answer(f"{column.title.get(language)}: {value}")
    e = lead.latest.evidence
    console.answer(
        f"evidence: {100 * e.agreement:.0f} % of {e.pixels} pixels confirmed; {e.measure} "
        f"{e.before} -> {e.after}, surroundings {e.surroundings}; clear views "
        f"{e.clear_before} and {e.clear_after}"
    )
    console.answer()
    rows = history_rows(lead, language)
    columns = ("time", "event", "before", "after", "by", "on", "note")
    console.table(columns, [[row[c] for c in columns] for row in rows])
