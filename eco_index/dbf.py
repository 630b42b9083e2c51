"""Which encoding the attribute table of a Shapefile has, where no .cpg file says it.

Chinese Shapefiles are in GBK or in UTF-8, and many come without their .cpg; read as Latin-1, which
is the reader's guess, every name is rubbish. Bytes tell the two apart: GBK text is practically
never valid UTF-8.
"""

from __future__ import annotations

import codecs
from pathlib import Path

import numpy as np

from eco_index.errors import InputError

#: Language ids of a DBF header that mean GBK, and those that say nothing reliable.
_GBK_IDS, _VAGUE_IDS = (0x4D, 0x7A), (0x00, 0x57)
#: Share of two-byte characters in the ranges of GB 2312 from which text counts as Chinese.
_PLAUSIBLE = 0.8


def text_encoding(path: Path, where: str) -> str | None:
    """Return the encoding of a Shapefile's attributes.

    Parameters
    ----------
    path : Path
        The .shp file.
    where : str
        For messages.

    Returns
    -------
    str or None
        None: plain ASCII, or stated by the file in a way that the reader understands.

    Raises
    ------
    InputError
        The text is neither UTF-8 nor GBK and nothing says what it is, or the .cpg file is wrong.
    """
    table = _beside(path, ".dbf")
    if table is None:
        return None
    data = table.read_bytes()
    texts = _texts(data)
    stated = _beside(path, ".cpg")
    if not texts:
        return None
    if stated is not None:
        _check_stated(texts, stated, where)
        return None
    language = data[29]
    if language in _GBK_IDS:
        return "GB18030"
    if language not in _VAGUE_IDS:
        return None
    found = _guess(texts)
    if found is None:
        raise InputError(
            "the attributes of the Shapefile are neither UTF-8 nor GBK, and no .cpg file says what "
            "they are",
            where=where,
            rule="an encoding is only recognised where the text leaves no doubt",
            fix=f"write its name into {path.stem}.cpg beside the file, e.g. ISO-8859-1",
        )
    return found


def _beside(path: Path, suffix: str) -> Path | None:
    for name in (path.with_suffix(suffix), path.with_suffix(suffix.upper())):
        if name.exists():
            return name
    return None


def _texts(data: bytes) -> set[bytes]:
    """Return field names and text cells that are not plain ASCII."""
    if len(data) < 33:
        return set()
    n, start, width = (int.from_bytes(data[a:b], "little") for a, b in ((4, 8), (8, 10), (10, 12)))
    found: set[bytes] = set()
    columns, at, offset = [], 32, 1
    while at + 32 <= min(start, len(data)) and data[at] != 0x0D:
        found.add(data[at : at + 11].split(b"\0")[0])
        if data[at + 11] in b"Cc":
            columns.append((offset, data[at + 16] + 256 * data[at + 17]))
        else:
            columns.append((offset, 0))
        offset += data[at + 16] + (256 * data[at + 17] if data[at + 11] in b"Cc" else 0)
        at += 32
    n = min(n, (len(data) - start) // max(width, 1))
    rows = np.frombuffer(data, np.uint8, n * width, start).reshape(n, width)
    for first, size in columns:
        cells = rows[:, first : first + size]
        for k in np.flatnonzero((cells >= 0x80).any(axis=1)):
            found.add(cells[k].tobytes().rstrip(b" \0"))
    return {text for text in found if not text.isascii()}


def _decoded(texts: set[bytes], encoding: str) -> str | None:
    """Return all texts decoded, None if one is not valid; a cut last character is forgiven."""
    try:
        return "".join(codecs.getincrementaldecoder(encoding)().decode(t) for t in texts)
    except UnicodeDecodeError:
        return None


def _guess(texts: set[bytes]) -> str | None:
    as_utf8 = _decoded(texts, "utf-8")
    # Chinese takes three bytes in UTF-8; GBK text can pass for UTF-8 only in twos.
    if as_utf8 is not None and any(ord(c) >= 0x0800 for c in as_utf8):
        return "UTF-8"
    as_gbk = _decoded(texts, "gb18030")
    if as_gbk is not None:
        wide = [c for c in as_gbk if ord(c) >= 0x80]
        if sum(_common(c) for c in wide) >= _PLAUSIBLE * len(wide):
            return "GB18030"
    return "UTF-8" if as_utf8 is not None else None


def _common(character: str) -> bool:
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


def _check_stated(texts: set[bytes], stated: Path, where: str) -> None:
    name = stated.read_text(encoding="ascii", errors="replace").strip().strip("\ufeff")
    name = f"cp{name}" if name.isdigit() else name
    try:
        if _decoded(texts, name) is not None:
            return
    except LookupError:
        return  # a name that the reader may know
    found = _guess(texts)
    raise InputError(
        f"the attributes of the Shapefile are not in the encoding that {stated.name} states "
        f"({name})" + (f"; they look like {found}" if found else ""),
        where=where,
        fix=f"correct {stated.name}" + (f": {found}" if found else ""),
    )
