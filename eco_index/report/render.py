"""From summary.json to one self-contained HTML page per language and a long table."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError
from markupsafe import Markup

from eco_index.errors import UsageError
from eco_index.report import fonts
from eco_index.report.analyses import analyses_table
from eco_index.report.long_table import csv_table
from eco_index.report.text import Words, load_texts
from eco_index.report.unit_table import unit_table
from eco_index.report.view import context_of
from eco_index.summary import Summary, read_summary

TEMPLATES = Path(__file__).parent / "templates"
_FONT_FACE = (
    "@font-face {{ font-family: {family}; src: url({uri}) format('woff2'); font-display: block; }}"
)


def render(summary_path: Path, languages: Sequence[str] = ("zh", "en")) -> list[Path]:
    """Write the reports of a summary beside it.

    Parameters
    ----------
    summary_path : Path
        summary.json; the maps and zones it names lie relative to it.
    languages : sequence of str
        ``zh``, ``en``.

    Returns
    -------
    list of Path
        ``report.<language>.html`` for each language, ``table.csv``, and where the summary has them
        ``units.csv`` and ``analyses.csv``. The same summary gives the same bytes.

    Raises
    ------
    InputError
        Summary, map or zones cannot be read, or a name has characters the font cannot show.
    UsageError
        There is no such language, or a text or variable of a template is missing.
    """
    summary_path = Path(summary_path)
    summary = read_summary(summary_path)
    if not languages:
        raise UsageError("no report language given", rule="languages: zh, en")
    strings = list(_strings(summary.model_dump(mode="python")))
    fonts.require_glyphs(strings, str(summary_path))
    words = [text for lang in languages for text in load_texts(lang).values()]
    otf = fonts.subset_otf(fonts.charset([*strings, *words, _FORMATTING]))
    written = []
    for language in languages:
        page = render_html(summary, summary_path.parent, language, otf)
        written.append(_write(summary_path.with_name(f"report.{language}.html"), page.encode()))
    written.append(_write(summary_path.with_name("table.csv"), csv_table(summary)))
    for name, table in (
        ("units.csv", unit_table(summary)),
        ("analyses.csv", analyses_table(summary)),
    ):
        if table is not None:
            written.append(_write(summary_path.with_name(name), table))
    return written


# What number formatting and templates add to the words of the locale files.
_FORMATTING = "\u2212\u2013\u2014\u00a0²°φλ·²→…“”‘’•"


def render_html(summary: Summary, folder: Path, language: str, otf: bytes) -> str:
    """Return the page of one language.

    Parameters
    ----------
    summary : Summary
        What the page says.
    folder : Path
        Where the summary's maps and zones lie.
    language : str
        ``zh`` or ``en``.
    otf : bytes
        Font with every glyph that may occur (`fonts.subset_otf`).
    """
    words = Words(language)
    with fonts.figure_font(otf) as font:
        context = context_of(summary, folder, words, font)
    page = _template(context | {"font_face": ""}, words)
    uri = fonts.web_font(otf, fonts.charset([visible_text(page)]))
    return _template(
        context | {"font_face": _FONT_FACE.format(family=fonts.WEB_FAMILY, uri=uri)}, words
    )


@functools.cache
def environment(language: str) -> Environment:
    """Return the template environment of a language: all escaped, nothing may be missing."""
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    env.globals["t"] = Words(language)
    return env


def _template(context: dict[str, Any], words: Words) -> str:
    env = environment(words.language)
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    # Both are our own text, not a reader's: CSS knows no HTML escapes.
    trusted = {"style": Markup(style), "font_face": Markup(context["font_face"])}
    try:
        return env.get_template("report.html.j2").render(context | trusted)
    except UndefinedError as error:
        raise UsageError(
            f"the report's template wants something that is missing: {error}",
            where=str(TEMPLATES / "report.html.j2"),
        ) from None


def visible_text(page: str) -> str:
    """Return the text of a page that a reader can see, tags and style taken out."""
    body = re.sub(r"<style>.*?</style>", " ", page, flags=re.DOTALL)
    alts = " ".join(re.findall(r'\balt="([^"]*)"', body))
    return unescape(re.sub(r"<[^>]*>", " ", body) + alts)


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [s for k, v in value.items() for s in (*_strings(k), *_strings(v))]
    if isinstance(value, list | tuple):
        return [s for v in value for s in _strings(v)]
    return []


def _write(path: Path, data: bytes) -> Path:
    # A reader never sees half a report, and a failed write leaves the old one.
    staged = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        staged.write_bytes(data)
        os.replace(staged, path)
    finally:
        staged.unlink(missing_ok=True)
    return path
