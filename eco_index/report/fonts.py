"""Chinese type without a system font: subsets of Noto Sans CJK SC for figures and HTML.

The package ``noto-cjk-sans-otc`` carries the font (SIL Open Font License). Only the glyphs that a
report really uses are taken from it, so that a report stays small and looks the same everywhere.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import tempfile
import threading
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import noto_cjk_sans_otc
import uharfbuzz as hb
from fontTools.ttLib import TTFont
from fontTools.ttLib.sfnt import readTTCHeader
from matplotlib.font_manager import FontProperties

from eco_index.errors import InputError

FAMILY = "Noto Sans CJK SC"
WEB_FAMILY = "EcoReport"  # own name: a reader's installed font must not change the page
ASCII = "".join(chr(code) for code in range(0x20, 0x7F))
# Characters that are laid out but need no glyph.
_INVISIBLE = frozenset("\t\n\r\u200b\u00ad")
_NAMES = {0, 1, 2, 4, 5, 6, 13, 14}  # copyright and licence stay in the file
_lock = threading.Lock()
_last: tuple[frozenset[str], bytes] = (frozenset(), b"")


def font_file() -> Path:
    """Return the font collection that the package ships."""
    return Path(str(noto_cjk_sans_otc.FONT_PATH))


@functools.cache
def face_index() -> int:
    """Return the position of the simplified-Chinese face, found by its name.

    Raises
    ------
    InputError
        The collection has no such face.
    """
    path = font_file()
    with path.open("rb") as handle:
        count = readTTCHeader(handle).numFonts
    names = []
    for index in range(count):
        with TTFont(path, fontNumber=index, lazy=True) as font:
            name = str(font["name"].getDebugName(1))
        if name == FAMILY:
            return index
        names.append(name)
    raise InputError(
        f"the font collection has no face '{FAMILY}'",
        where=str(path),
        rule=f"faces found: {', '.join(names)}",
        fix="install noto-cjk-sans-otc again",
    )


@functools.cache
def _covered() -> frozenset[int]:
    with TTFont(font_file(), fontNumber=face_index(), lazy=True) as font:
        return frozenset(font.getBestCmap())


def missing_glyphs(text: Iterable[str]) -> list[str]:
    """Return the characters of `text` that the font cannot show, sorted."""
    wanted = {c for part in text for c in part} - _INVISIBLE
    return sorted(c for c in wanted if ord(c) not in _covered())


def require_glyphs(text: Iterable[str], where: str) -> None:
    """Raise unless the font can show every character.

    Raises
    ------
    InputError
        A character has no glyph; the message names it.
    """
    missing = missing_glyphs(text)
    if missing:
        listed = ", ".join(f"U+{ord(c):04X} {unicodedata.name(c, 'unnamed')}" for c in missing[:5])
        raise InputError(
            f"the report's font has no glyph for {len(missing)} character(s): {listed}",
            where=where,
            rule=f"names and titles use characters of {FAMILY}",
            fix="write the name in Chinese or Latin characters (zone layer or configuration)",
        )


def _tags(*names: str) -> set[int]:
    return {int.from_bytes(name.encode("ascii"), "big") for name in names}


def _subset(font: bytes | Path, index: int, characters: str) -> bytes:
    """Return an OpenType font with the glyphs of `characters`, without hints."""
    blob = hb.Blob(font) if isinstance(font, bytes) else hb.Blob.from_file_path(str(font))
    wanted = hb.SubsetInput()
    for chosen, values in (
        (wanted.unicode_set, {ord(c) for c in characters}),
        (wanted.layout_feature_tag_set, _tags("palt", "kern")),
        (wanted.name_id_set, _NAMES),
    ):
        chosen.clear()
        chosen.update(values)
    wanted.drop_table_tag_set.update(_tags("vhea", "vmtx", "VORG", "BASE", "DSIG"))
    wanted.flags = (
        hb.SubsetFlags.NO_HINTING | hb.SubsetFlags.DESUBROUTINIZE | hb.SubsetFlags.NOTDEF_OUTLINE
    )
    return bytes(hb.subset(hb.Face(blob, index), wanted).blob.data)


def subset_otf(characters: str) -> bytes:
    """Return an OpenType font that holds at least `characters`.

    The last font is used again while it suffices: the reports of one run share nearly all their
    words. What is drawn with it, and web fonts made from it, do not depend on its surplus.
    """
    global _last
    with _lock:
        known, otf = _last
        if not set(characters) <= known:
            otf = _make(characters)
            _last = frozenset(characters), otf
        return otf


def _make(characters: str) -> bytes:
    require_glyphs([characters], "subset of the report's font")
    return _subset(font_file(), face_index(), characters)


def charset(text: Iterable[str]) -> str:
    """Return the sorted visible characters of `text`, always with ASCII."""
    found = {c for part in text for c in part} | set(ASCII)
    return "".join(sorted(found - _INVISIBLE))


def web_font(otf: bytes, characters: str) -> str:
    """Return a ``data:`` URI with the WOFF2 subset of `otf` that shows `characters`."""
    with TTFont(io.BytesIO(otf), lazy=True) as font:
        lost = sorted({ord(c) for c in characters} - set(font.getBestCmap()))
        if lost:
            raise InputError(
                f"the report's font lacks U+{lost[0]:04X} and {len(lost) - 1} other character(s)",
                rule="every character of a page has a glyph in the page's own font",
                fix="this is a defect of the report: please report it with the summary",
            )
    out = io.BytesIO()
    small = _subset(otf, 0, characters)
    with TTFont(io.BytesIO(small), lazy=True, recalcBBoxes=False, recalcTimestamp=False) as font:
        font.flavor = "woff2"
        font.save(out)
    return "data:font/woff2;base64," + base64.b64encode(out.getvalue()).decode("ascii")


@contextmanager
def figure_font(otf: bytes) -> Iterator[FontProperties]:
    """Give matplotlib the font through a temporary file; nothing is registered globally."""
    with tempfile.TemporaryDirectory(prefix="eco-font-") as folder:
        # The name depends on the content: matplotlib caches fonts by path.
        path = Path(folder) / f"{hashlib.sha256(otf).hexdigest()[:16]}.otf"
        path.write_bytes(otf)
        yield FontProperties(fname=str(path))
