"""``eco show``, ``eco verify``, ``eco publish`` and ``eco trace``: results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from eco_index.cli import console
from eco_index.cli.options import AsJson, RegionFile, read_region

ArchivePath = Annotated[
    Path,
    typer.Argument(
        metavar="ARCHIVE",
        help="The folder archive.icechunk in a region's output folder.",
        show_default=False,
    ),
]


def show(archive: ArchivePath, as_json: AsJson = False) -> None:
    """Say in words what an archive holds: variables, times, tags, size, newest commits.

    Example: `eco show eco-demo/out/archive.icechunk`
    """
    from eco_index import cube

    data = cube.show(archive)
    if as_json:
        console.answer_json(data)
        return
    _say_archive(data)


def _say_archive(data: dict[str, Any]) -> None:
    for key, value in data.items():
        if not isinstance(value, dict | list):
            text = console.size_text(value) if key in ("size", "size_bytes", "bytes") else value
            console.answer(f"{key.replace('_', ' ')}: {text}")
    for name, group in data["groups"].items():
        console.answer()
        console.answer(f"group {name}")
        console.table(
            ("variable", "units", "stored as", "title", "名称"),
            [
                (
                    v["id"],
                    v["units"],
                    f"{v['dtype']} x {v['scale']:g}" + _fill(v["fill"]),
                    v["title"],
                    v["title_zh"],
                )
                for v in group["variables"]
            ],
        )
        times = [f"{t['id']} ({t['done']}/{t['total']})" for t in group["times"] if t["done"]]
        console.answer(f"tiles done: {', '.join(times) or 'none yet'}")
    for key, value in data.items():
        if key in ("groups", "grid") or not isinstance(value, dict | list) or not value:
            continue
        console.answer()
        console.answer(f"{key.replace('_', ' ')}:")
        for line in tree_lines(value, "  "):
            console.answer(line)


def _fill(fill: int | None) -> str:
    return "" if fill is None else f", missing {fill}"


def verify(
    archive: ArchivePath,
    quick: Annotated[
        bool, typer.Option("--quick", help="Attributes and structure only, not the data.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check an archive against the data schema. Exit code 3 if readers would go wrong.

    Example: `eco verify eco-demo/out/archive.icechunk`
    """
    from eco_index import cube

    findings = cube.verify(archive, data=not quick)
    errors = sum(f.level == "error" for f in findings)
    if as_json:
        console.answer_json({"findings": [f.to_dict() for f in findings], "errors": errors})
    else:
        for finding in findings:
            console.answer(f"{finding.level}: {finding.where}: {finding.message}")
        console.answer(
            f"{console.path_text(archive)}: {errors} error(s), {len(findings) - errors} warning(s)"
        )
    if errors:
        raise typer.Exit(3)


def publish(
    region_file: RegionFile,
    period: Annotated[
        str, typer.Option("--period", metavar="PERIOD", help="2025, 2025H1 or 2025H2.")
    ],
    release: Annotated[
        str,
        typer.Option(
            "--release",
            metavar="NAME",
            help="Name of the release, for example v1. A re-issue is a new name.",
        ),
    ],
    override: Annotated[
        str | None,
        typer.Option(
            "--override",
            metavar="REASON",
            help="Publish although the accuracy asked for is not shown; the reason is printed.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Publish a period as an immutable release folder.

    It holds plain Zarr, GeoTIFFs, a static STAC catalogue, the documents and checksums, and is
    never changed afterwards; a re-issue is a new release that names the one before.

    Example: `eco publish configs/regions/demo.yaml --period 2025 --release v1`
    """
    from eco_index import release as release_room
    from eco_index.cube import open_archive
    from eco_index.period import Period

    region = read_region(region_file)
    wanted = Period.parse(period)
    folder = release_room.publish(
        region, wanted, release, open_archive(region.archive_path), override
    )
    if as_json:
        console.answer_json({"release": release, "period": wanted.id, "folder": str(folder)})
        return
    console.answer(f"published {wanted.id} as release {release}: {console.path_text(folder)}")
    console.answer(f"trace a printed number: eco trace {console.path_text(folder)} KEY")


def trace(
    release: Annotated[
        Path,
        typer.Argument(
            metavar="RELEASE", help="Folder of a release or an assessment.", show_default=False
        ),
    ],
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY", help="Key beside the number in table.csv.", show_default=False
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Trace a printed number to the cube's tag, the inputs, the method's clause and the code.

    Example: `eco trace eco-demo/out/releases/2025/v1 KEY`
    """
    from eco_index import release as release_room

    found = release_room.trace(release, key)
    if as_json:
        console.answer_json(found)
        return
    console.answer(release_room.trace_text(found, "en"))


def tree_lines(value: Any, indent: str = "") -> list[str]:
    """Return nested data as indented lines."""
    lines: list[str] = []
    entries = value.items() if isinstance(value, dict) else (("-", v) for v in value)
    for name, entry in entries:
        label = f"{indent}{name}" if name == "-" else f"{indent}{name}:"
        if isinstance(entry, dict) and set(entry) == {"zh", "en"}:
            entry = f"{entry['zh']} / {entry['en']}"
        if isinstance(entry, dict | list | tuple):
            if entry:
                lines.append(label)
                lines += tree_lines(entry, indent + "  ")
        elif entry is not None and entry != "":
            lines.append(f"{label} {entry}")
    return lines
