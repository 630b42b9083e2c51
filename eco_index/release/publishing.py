"""Publish a period: stage a release folder, verify it, switch it into place; never change it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eco_index import __version__, report
from eco_index.errors import InputError, UsageError
from eco_index.period import Month, Period
from eco_index.release.cogs import write_cogs
from eco_index.release.gate import judged, override_note
from eco_index.release.plain_zarr import check_copy, copy_period
from eco_index.release.stac import write_stac
from eco_index.sources.scene import Scene
from eco_index.sources.scene_marks import LABEL, MARKS
from eco_index.summary import Summary, read_summary, write_summary

if TYPE_CHECKING:
    from eco_index.config import Region
    from eco_index.cube import Archive, CubeView

RELEASE_SCHEMA = 1
CHECKSUMS = "checksums.sha256"
DOCUMENTS = ("report.zh.html", "report.en.html", "table.csv")
OPTIONAL = ("units.csv", "analyses.csv")  # only where there are indices, analyses
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")


def publish(
    region: Region, period: Period, name: str, archive: Archive, override: str | None = None
) -> Path:
    """Publish the assessments of a period, with the data they stand on.

    Parameters
    ----------
    region : Region
        Its output folder holds the assessments and gets the release.
    period : Period
        What is published; must have been assessed.
    name : str
        ``v1`` ...; letters, digits, ``.``, ``_``, ``-``. A re-issue is a new name.
    archive : Archive
        The region's archive.
    override : str, optional
        Reason for publishing although the accuracy asked for is not shown; it is printed in the
        release's record and in its reports.

    Returns
    -------
    Path
        ``<output>/releases/<period>/<name>``: cube.zarr, cog/, stac/, assessments/, inputs/,
        release.json, checksums.sha256. Its files are read-only.

    Raises
    ------
    UsageError
        The name is taken or malformed, nothing was assessed, a release that holds provisional or
        simulated numbers is to be named official, or the accuracy the standard asks for is not
        shown and nobody overrides it.
    InputError
        Assessments that do not stand on one pinned version of the cube; a copy that differs.
    """
    _check_name(name)
    home = region.written("releases") / period.id
    final = home / name
    if final.exists():
        raise UsageError(
            f"the release '{name}' of {period.id} exists already",
            where=str(final),
            rule="a release is never changed",
            fix="publish a correction under a new name; it will name this one as predecessor",
        )
    folders = sorted(p.parent for p in _assessments(region, period))
    summaries = [read_summary(folder / "summary.json") for folder in folders]
    view = _pinned(summaries, archive, period)
    record = _record(region, period, name, summaries, releases_of(home))
    record["gate"] = judged(summaries, override, str(region.config.path))
    if "official" in name.lower() and not record["official"]:
        raise UsageError(
            f"this release cannot be called '{name}': it is {' and '.join(record['reasons'])}",
            rule="official is only what rests on real imagery and confirmed numbers",
            fix="choose another name, for example trial-1",
        )
    with _staging(home, name) as staged:
        _fill(staged, region, period, view, folders, summaries, record)
        _seal(staged)
        try:
            os.rename(staged, final)
        except OSError as error:
            raise UsageError(
                f"the release '{name}' cannot be put in place: {error.strerror}", where=str(final)
            ) from None
    _write_index(home)
    return final


def _check_name(name: str) -> None:
    if not _NAME.match(name):
        raise UsageError(
            f"'{name}' cannot be the name of a release",
            rule="letters, digits, '.', '_', '-'; it begins with a letter or digit",
            fix="write for example --release v1",
        )


def _assessments(region: Region, period: Period) -> list[Path]:
    found = sorted((region.written("assessments") / period.id).glob("*/summary.json"))
    if not found:
        raise UsageError(
            f"{period.id} has no assessment to publish",
            where=str(region.written("assessments") / period.id),
            fix=f"run first: eco run {region.config.path} --period {period.id}",
        )
    return found


def _pinned(summaries: list[Summary], archive: Archive, period: Period) -> CubeView:
    """Return the one pinned version of the cube that all assessments stand on."""
    again = "run the period again, then publish"
    refs = {(s.provenance.tag, s.provenance.snapshot) for s in summaries}
    if len(refs) > 1:
        listed = ", ".join(f"{s.programme.id}: {s.provenance.tag}" for s in summaries)
        raise InputError(
            "the assessments stand on different versions of the cube",
            where=listed,
            rule="a release holds one version",
            fix=again,
        )
    tag, snapshot = refs.pop()
    if tag is None:
        raise InputError(
            f"the assessments of {period.id} do not stand on a pinned version of the cube",
            rule="what is published is pinned by a tag",
            fix=again,
        )
    wrong = [s.programme.id for s in summaries if s.period.id != period.id]
    view = archive.view(tag)
    if wrong or view.snapshot != snapshot:
        raise InputError(
            f"the tag '{tag}' of the archive is not what the assessments stand on",
            where=str(archive.path),
            rule=f"snapshot of the assessments: {snapshot}; of the tag: {view.snapshot}",
            fix=again,
        )
    return view


def releases_of(home: Path) -> list[dict[str, Any]]:
    """Return the records of all releases in a period's folder, oldest first."""
    found = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in home.glob("*/release.json")
        if not path.parent.name.startswith(".")
    ]
    return sorted(found, key=lambda r: (r["created"], r["name"]))


def _record(
    region: Region,
    period: Period,
    name: str,
    summaries: list[Summary],
    earlier: list[dict[str, Any]],
) -> dict[str, Any]:
    simulated = any(s.simulated for s in summaries)
    provisional = any(s.provisional for s in summaries)
    interim = any(s.status == "interim" for s in summaries)
    reasons = [
        text
        for flag, text in (
            (simulated, "simulated"),
            (provisional, "provisional"),
            (interim, "interim"),
        )
        if flag
    ]
    provenance = summaries[0].provenance
    return {
        "release_schema": RELEASE_SCHEMA,
        "name": name,
        "region": region.id,
        "period": period.id,
        "programmes": [s.programme.id for s in summaries],
        "tag": provenance.tag,
        "snapshot": provenance.snapshot,
        "predecessor": earlier[-1]["name"] if earlier else None,
        "official": not reasons,
        "reasons": reasons,
        "simulated": simulated,
        "provisional": provisional,
        "interim": interim,
        "created": _now(earlier),
        "code_version": __version__,
        "assessed_with": sorted({s.provenance.code_version for s in summaries}),
        "cube_schema_version": provenance.schema_version,
        "input_digests": {s.programme.id: s.provenance.input_digest for s in summaries},
    }


def _now(earlier: list[dict[str, Any]]) -> str:
    # A clock that was set back must not turn the order of releases round.
    now = dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")
    return max([now, *(r["created"] for r in earlier)])


@contextmanager
def _staging(home: Path, name: str) -> Iterator[Path]:
    try:
        home.mkdir(parents=True, exist_ok=True)
        staged = home / f".{name}.{os.getpid()}.part"
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir()
    except OSError as error:
        raise InputError(
            f"the release folder cannot be written: {error.strerror}", where=str(home)
        ) from None
    try:
        yield staged
    except OSError as error:
        raise InputError(
            f"the release cannot be written: {error.strerror or error}",
            where=str(home),
            rule="nothing was published, earlier releases are untouched",
            fix="make room on the disk, or check its permissions, and publish again",
        ) from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _fill(
    staged: Path,
    region: Region,
    period: Period,
    view: CubeView,
    folders: list[Path],
    summaries: list[Summary],
    record: dict[str, Any],
) -> None:
    months = [m.id for m in region.config.period_months(period)]
    brief = {k: record[k] for k in ("name", "period", "tag", "snapshot", "official", "reasons")}
    groups = copy_period(view, period, months, staged / "cube.zarr", brief)
    check_copy(view, staged / "cube.zarr", groups)
    tags = {
        "release": record["name"],
        "period": period.id,
        "cube_tag": str(record["tag"]),
        "cube_snapshot": record["snapshot"],
        "code_version": record["code_version"],
        "official": "yes" if record["official"] else f"no: {', '.join(record['reasons'])}",
    }
    write_cogs(view, period, staged / "cog", tags, _class_colours(summaries))
    for folder, summary in zip(folders, summaries, strict=True):
        _copy_assessment(folder, staged / "assessments" / folder.name, summary, record["gate"])
    _write_scenes(view, months, staged / "inputs" / "scenes.json")
    _write_json(staged / "release.json", record)
    write_stac(staged, record, summaries, view, period)


def _class_colours(summaries: list[Summary]) -> dict[int, str]:
    return {
        c.code: c.colour
        for s in summaries
        for layer in s.maps
        if layer.id == "landcover"
        for c in layer.classes
    }


def _copy_assessment(source: Path, target: Path, summary: Summary, gate: dict[str, Any]) -> None:
    """Copy a summary with the files it names, and its documents; render those that are missing."""
    maps = (m.path for m in summary.maps)
    for name in ("summary.json", summary.zones_file, *maps, *summary.files):
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, place)
    if gate["override"]:
        note = override_note(gate)
        changed = summary.model_copy(update={"notes": (note, *summary.notes)})
        write_summary(changed, target / "summary.json")
        report.render(target / "summary.json")
    elif all((source / name).exists() for name in DOCUMENTS):
        for name in (*DOCUMENTS, *(n for n in OPTIONAL if (source / n).exists())):
            shutil.copyfile(source / name, target / name)
    else:
        report.render(target / "summary.json")


def _write_scenes(view: CubeView, months: list[str], path: Path) -> None:
    """Write which scenes each month was made of (ids, sizes, checksums; no secrets)."""
    found: dict[str, Any] = {}
    for month in months:
        manifest = view.manifest(Month.parse(month))
        if manifest is not None:
            found[month] = {
                "scenes": [s.receipt() | _quality(s) for s in manifest.scenes],
                "failures": [f.to_dict() for f in manifest.failures],
            }
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_json(path, found)


def _quality(scene: Scene) -> dict[str, Any]:
    return {k: scene.properties[k] for k in (MARKS, LABEL) if k in scene.properties}


def _write_json(path: Path, data: Any) -> None:
    text = json.dumps(data, ensure_ascii=False, indent=1, default=str)
    path.write_text(text + "\n", encoding="utf-8")


def digest(path: Path) -> str:
    """Return the sha256 of a file, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _seal(staged: Path) -> None:
    """Write the checksums (format of `sha256sum`) and take away the right to write."""
    files = sorted(p for p in staged.rglob("*") if p.is_file())
    lines = [f"{digest(p)}  {p.relative_to(staged).as_posix()}\n" for p in files]
    (staged / CHECKSUMS).write_text("".join(lines), encoding="utf-8")
    for path in (*files, staged / CHECKSUMS):
        path.chmod(0o444)


def _write_index(home: Path) -> None:
    """Write index.json: all releases of the period, each with its successor.

    It lies outside the releases, since a release never changes, and is made anew from them.
    """
    records = releases_of(home)
    followed = {r["predecessor"]: r["name"] for r in records if r["predecessor"]}
    index = [
        {k: r[k] for k in ("name", "created", "tag", "official", "predecessor")}
        | {"override": r.get("gate", {}).get("override")}
        | {"successor": followed.get(r["name"])}
        for r in records
    ]
    staged = home / f".index.{os.getpid()}.part"
    _write_json(staged, {"latest": records[-1]["name"], "releases": index})
    os.replace(staged, home / "index.json")
