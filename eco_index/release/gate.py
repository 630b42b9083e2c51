"""The gate before a release: the accuracy the standard asks for, or a reason that is printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eco_index.errors import UsageError
from eco_index.summary import Summary
from eco_index.yamlio import Text

_UNCHECKED = Text(
    zh="没有任何专题用地面数据检验", en="no assessment was checked against the ground"
)


def judged(summaries: Sequence[Summary], override: str | None, where: str) -> dict[str, Any]:
    """Return the gate's record of a release: passed, reasons, notes, override.

    Raises
    ------
    UsageError
        The accuracy is not shown and there is no override, or an override without a reason, or one
        that is not needed.
    """
    gates = [s.gate for s in summaries if s.gate is not None]
    reasons = [r for gate in gates for r in gate.reasons] if gates else [_UNCHECKED]
    reasons = list({r.en: r for r in reasons}.values())
    notes = list({n.en: n for gate in gates for n in gate.notes}.values())
    given = None if override is None else override.strip()
    if given == "":
        raise UsageError("the override has no reason", rule="the reason is printed in the release")
    if reasons and given is None:
        raise UsageError(
            "the release is blocked: " + "; ".join(r.en for r in reasons),
            where=where,
            rule="HJ 1176-2021: P of parameters at least 80 %, overall accuracy above 85 %",
            fix="name plots and samples under 'ground_truth' and run the period again, or give a "
            'reason that gets printed: --override "REASON"',
        )
    if given is not None and not reasons:
        raise UsageError("the release is not blocked", fix="leave --override out")
    return {
        "passed": not reasons,
        "reasons": [{"zh": r.zh, "en": r.en} for r in reasons],
        "notes": [{"zh": n.zh, "en": n.en} for n in notes],
        "override": given,
    }


def override_note(gate: dict[str, Any]) -> Text:
    """Return what reports of an overridden release say first of all notes."""
    zh = "；".join(r["zh"] for r in gate["reasons"])
    en = "; ".join(r["en"] for r in gate["reasons"])
    reason = gate["override"]
    return Text(
        zh=f"未达到HJ 1176-2021的精度要求而发布（{zh}）。发布理由：{reason}",
        en=f"Published although the accuracy HJ 1176-2021 asks for is not shown ({en}). "
        f"Reason given: {reason}",
    )
