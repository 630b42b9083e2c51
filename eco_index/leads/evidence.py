"""Second look, object by object: does the imagery confirm what the land-cover maps say?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from eco_index.ledger.parameters import Kind, LeadParameters
from eco_index.ledger.records import Evidence
from eco_index.products import PRODUCTS

#: Products that the evidence of an object is taken from.
WANTED = ("landcover", "fvc", "ndvi_mean", "ndvi_max", "clear_count")
_CORNERS = np.ones((3, 3), bool)
WATER = (41, 42, 43)


@dataclass(frozen=True)
class Look:
    """Both periods in a window: physical values, NaN where there is none.

    Attributes
    ----------
    before, after : mapping
        Product to float32 (h, w); land cover as stored classes, clear counts as numbers.
    """

    before: Mapping[str, np.ndarray]
    after: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> Look:
        """Return physical values of stored integers."""
        return cls(
            {k: physical(k, v) for k, v in before.items()},
            {k: physical(k, v) for k, v in after.items()},
        )


def physical(product: str, stored: np.ndarray) -> np.ndarray:
    """Return physical values (float32, NaN for none); class maps are returned as they are."""
    record = PRODUCTS[product]
    if record.flags:
        return stored
    values = stored.astype(np.float32) * np.float32(record.scale)
    if record.fill is not None:
        values[stored == record.fill] = np.nan
    return values


def confirmed(kind: Kind, look: Look) -> tuple[np.ndarray, np.ndarray]:
    """Return which pixels changed as much as a kind asks, and where the imagery is silent.

    A pixel is confirmed where one of the kind's measures changed by its limit in its direction
    (and the maximum NDVI after lies at or below `ndvi_max_after`, where given). It is silent where
    it was seen in both periods, but a fall of cover could not show because less cover than the
    limit was there. The rest contradicts the land-cover maps, or was not seen.

    Returns
    -------
    tuple of numpy.ndarray
        bool (h, w) each; no pixel is both.
    """
    shape = look.before["fvc"].shape
    yes, able, seen = (np.zeros(shape, bool) for _ in range(3))
    sign = np.float32(1 if kind.direction == "rise" else -1)
    room = look.before["fvc"] if kind.direction == "fall" else None
    for product, limit in kind.limits.items():
        change = sign * (look.after[product] - look.before[product])
        known = np.isfinite(change)
        # Stored integers are 1e-4 wide: half of that keeps a change of just the limit.
        seen |= known
        yes |= known & (change >= np.float32(limit) - np.float32(5e-5))
        if room is not None and product != "ndvi_max" and kind.fvc is not None:
            known &= ~(room < np.float32(kind.fvc))
        able |= known
    if kind.ndvi_max_after is not None:
        yes &= look.after["ndvi_max"] <= np.float32(kind.ndvi_max_after)
    return yes, seen & ~able & ~yes


def measure_of(kind: Kind) -> str:
    """Return the product whose change is printed and compared with the surroundings."""
    return "fvc" if kind.fvc is not None else next(iter(kind.limits))


def weigh(
    kind: Kind, look: Look, mask: np.ndarray, other: np.ndarray, p: LeadParameters
) -> Evidence:
    """Return the evidence of an object.

    Parameters
    ----------
    kind : Kind
        The object's kind.
    look : Look
        A window that holds the object and its surroundings.
    mask : numpy.ndarray
        bool (h, w): pixels of the object.
    other : numpy.ndarray
        bool (h, w): pixels whose land cover changed in any way; they are no surroundings.
    p : LeadParameters
        Surroundings and full number of views.
    """
    yes, silent = confirmed(kind, look)
    measure = measure_of(kind)
    sign = 1.0 if kind.direction == "rise" else -1.0
    change = look.after[measure] - look.before[measure]
    near = ndimage.binary_dilation(mask, _CORNERS)  # mixed pixels at the edge
    ring = ndimage.binary_dilation(near, _CORNERS, iterations=p.ring_pixels) & ~near & ~other
    ring &= np.isfinite(change)
    surroundings = contrast = distinct = None
    own = change[mask & yes] if (mask & yes).any() else change[mask]
    silent_share = float(silent[mask].mean())
    # Where the imagery cannot show the change, comparing with the surroundings says nothing.
    if silent_share <= 0.5 and int(ring.sum()) >= p.ring_least:
        surroundings = float(np.median(change[ring]))
        if np.isfinite(own).any():
            size = sign * float(np.nanmedian(own))
            contrast = size - sign * surroundings
            if measure == "fvc" and kind.direction == "fall":
                contrast = min(contrast, _beyond_share(look, mask & yes, ring))
            distinct = 1.0 - float((sign * change[ring] >= size / 2).mean())
    clear = np.stack([look.before["clear_count"][mask], look.after["clear_count"][mask]])
    fewer = np.minimum(1.0, clear.min(axis=0) / p.confidence.full_observations)
    return Evidence(
        pixels=int(mask.sum()),
        agreement=_round(yes[mask].mean()),
        silent=_round(silent_share),
        measure=measure,
        before=_median(look.before[measure][mask]),
        after=_median(look.after[measure][mask]),
        surroundings=None if surroundings is None else _round(surroundings),
        contrast=None if contrast is None else _round(contrast),
        distinctness=None if distinct is None else _round(distinct),
        clear_before=round(float(clear[0].mean()), 2),
        clear_after=round(float(clear[1].mean()), 2),
        observations=_round(fewer.mean()),
        extension=_extension(look, mask) if set(kind.after) & set(WATER) else 0.0,
    )


def _beyond_share(look: Look, own: np.ndarray, ring: np.ndarray) -> float:
    """Return the cover an object lost beyond the share that its surroundings lost.

    A dry year takes a share of the cover: dense cover then falls by more than sparse cover.
    """
    before, after = (float(np.median(y["fvc"][ring])) for y in (look.before, look.after))
    kept = min(1.0, after / before) if before > 0 else 1.0
    if not own.any():
        return 0.0
    was, now = (float(np.nanmedian(y["fvc"][own])) for y in (look.before, look.after))
    return kept * was - now


def _extension(look: Look, mask: np.ndarray) -> float:
    """Return the share of an object's border (4 sides) along water that was there before."""
    rim = ndimage.binary_dilation(mask) & ~mask
    old = np.isin(look.before["landcover"], WATER)
    return _round((rim & old).sum() / max(1, rim.sum()))


def _round(value: float | np.floating) -> float:
    return round(float(value), 4)


def _median(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return _round(np.median(known)) if known.size else None


def confidence_of(evidence: Evidence, p: LeadParameters) -> float:
    """Return the confidence of an object, 0-1.

    ``w1 agreement + w2 observations + w3 distinctness``, with the weights of the parameter file;
    an unknown distinctness counts half; new water along old water is multiplied by
    `extension_factor`. Engineering judgement, not from a standard.
    """
    w = p.confidence
    distinct = 0.5 if evidence.distinctness is None else evidence.distinctness
    value = (
        w.agreement * evidence.agreement
        + w.observations * evidence.observations
        + w.distinctness * distinct
    )
    if evidence.extension >= p.extension_share:
        value *= p.extension_factor
    return round(min(1.0, max(0.0, value)), 3)


def refused(kind: Kind, evidence: Evidence, area_ha: float, p: LeadParameters) -> str | None:
    """Return why an object is not entered as a lead (a key of `REASONS`), None if it is."""
    sparse = kind.sparse and evidence.silent > 0.5
    if sparse:
        # Agreement is asked of those pixels that can speak; half of the object or more cannot.
        speaking = 1.0 - evidence.silent
        if evidence.agreement + 1e-9 < p.min_agreement * speaking:
            return "not_confirmed"
        if area_ha < p.sparse_min_area_ha:
            return "silent_and_small"
    elif evidence.agreement < p.min_agreement:
        return "not_confirmed"
    elif evidence.contrast is not None and evidence.contrast < p.min_contrast:
        return "as_surroundings"
    if confidence_of(evidence, p) < p.confidence.least:
        return "low_confidence"
    return None


#: Why objects were not entered.
REASONS = {
    "not_confirmed": "the imagery does not confirm the change of land cover",
    "silent_and_small": "too bare before to show a change, and small",
    "as_surroundings": "the surroundings changed as much (a dry year?)",
    "low_confidence": "the confidence is too low",
}
