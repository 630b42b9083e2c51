"""PNG bytes of a figure: small, and the same for the same figure."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from eco_index.errors import InputError

DPI = 180


def figure_png(figure: Figure, *, dpi: int = DPI, keep: Sequence[str] = ()) -> bytes:
    """Draw a figure as PNG with 256 colours and without metadata.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to draw.
    dpi : int
        Dots an inch.
    keep : sequence of str
        Colours that mean something (classes of a map): they stay exactly as they are, however
        few pixels have them.

    Raises
    ------
    InputError
        A character of the figure has no glyph in its font.
    """
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        # A box in place of a character is an error, not a warning.
        warnings.filterwarnings("error", message=r"Glyph .* missing")
        try:
            canvas.draw()
        except UserWarning as warning:
            raise InputError(
                f"a character of a figure has no glyph: {warning}",
                fix="write names in Chinese or Latin characters",
            ) from None
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    # Flat colours: a palette image is a third of the size. Other colours come from anti-aliasing.
    packed = pixels.astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
    place, colours = pd.factorize(packed.ravel())  # by hashing: a tenth of the time of a sort
    counts = np.bincount(place, minlength=colours.size)
    frequent = colours[np.lexsort((colours, -counts))]
    fixed = [
        sum(round(255 * v) << s for v, s in zip(to_rgb(c), (16, 8, 0), strict=True)) for c in keep
    ]
    chosen = list(dict.fromkeys([*fixed, *frequent[:256].tolist()]))[:256]
    table = np.array([[c >> s & 255 for s in (16, 8, 0)] for c in chosen], dtype=np.float32)
    each = np.stack([colours >> s & 255 for s in (16, 8, 0)], axis=1).astype(np.float32)
    # |a - b|^2 without the constant |a|^2: which entry is nearest does not depend on it.
    nearest = np.argmin((table**2).sum(axis=1) - 2 * each @ table.T, axis=1).astype(np.uint8)
    small = Image.fromarray(nearest[place].reshape(packed.shape))
    small.putpalette(table.astype(np.uint8).tobytes())
    out = io.BytesIO()
    small.save(out, format="PNG", compress_level=6)
    return out.getvalue()
