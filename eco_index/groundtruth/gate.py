"""The gate before a release: accuracy against the limits of HJ 1176-2021, with reasons."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from eco_index.errors import UsageError
from eco_index.groundtruth.accuracy import ALL, ClassAccuracy, ParameterAccuracy
from eco_index.methods import Method
from eco_index.yamlio import Text

#: Grades of kappa from the lowest to the highest; limits between them: `kappa_*` of the method.
KAPPA_GRADES = (
    Text(zh="很差", en="very poor"),
    Text(zh="差", en="poor"),
    Text(zh="一般", en="fair"),
    Text(zh="好", en="good"),
    Text(zh="很好", en="very good"),
    Text(zh="极好", en="excellent"),
)
_KAPPA_LIMITS = ("kappa_poor", "kappa_fair", "kappa_good", "kappa_very_good", "kappa_excellent")


@dataclass(frozen=True)
class Gate:
    """Verdict on a release.

    Attributes
    ----------
    reasons : tuple of Text
        Why it is blocked; empty where the limits are kept.
    notes : tuple of Text
        What a reader must know besides: plots left out, rules without evidence.
    override : str
        Reason given by a person for releasing nevertheless; printed with `reasons`.
    """

    reasons: tuple[Text, ...]
    notes: tuple[Text, ...] = ()
    override: str = ""

    @property
    def passed(self) -> bool:
        """Whether the limits are kept."""
        return not self.reasons

    @property
    def open(self) -> bool:
        """Whether the release may go out: passed, or overridden."""
        return self.passed or bool(self.override)

    def overridden(self, reason: str) -> Gate:
        """Return the gate opened by a person, reasons kept.

        Raises
        ------
        UsageError
            An empty reason, or a gate that is not blocked.
        """
        if self.passed:
            raise UsageError("The gate is not blocked.", fix="leave the override out")
        if not reason.strip():
            raise UsageError("The override has no reason.", rule="the reason is printed")
        return replace(self, override=reason.strip())


def kappa_grade(kappa: float, method: Method) -> Text | None:
    """Return the grade of a kappa, None where it is NaN."""
    if math.isnan(kappa):
        return None
    return KAPPA_GRADES[sum(kappa >= method.number(k).required for k in _KAPPA_LIMITS)]


def gate(
    parameters: Mapping[str, Mapping[str, ParameterAccuracy]],
    classes: ClassAccuracy | None,
    method: Method,
) -> Gate:
    """Judge a release.

    Parameters
    ----------
    parameters : mapping
        Parameter (``fvc``) to the result of `accuracy_by_type`; the figure of all types decides, a
        type below the limit is noted. Empty: no parameter was checked, which blocks.
    classes : ClassAccuracy or None
        None: the class map was not checked, which blocks.
    method : Method
        ``hj1176_2021``.
    """
    least = method.number("parameter_accuracy").required
    above = method.number("overall_accuracy").required
    reasons: list[Text] = []
    notes: list[Text] = []
    if not parameters:
        reasons.append(
            Text(zh="没有用地面样地检验任何生态参数", en="no parameter was checked against plots")
        )
    for name, found in parameters.items():
        for kind, a in found.items():
            zh, en = (name, name) if kind == ALL else (f"{name}（{kind}）", f"{name} ({kind})")
            if math.isnan(a.p):
                failed = Text(
                    zh=f"{zh}：没有可用于计算精度的样地（有反演值{a.n}个，其中为零{a.n_zero}个，"
                    f"无值{a.n_missing}个）",
                    en=f"{en}: no plots to compute P from ({a.n} with a value, {a.n_zero} of them "
                    f"zero, {a.n_missing} without)",
                )
            elif a.p < least:
                failed = Text(
                    zh=f"{zh}：精度P为{100 * a.p:.2f}%，低于{100 * least:g}%（n={a.n_ree}）",
                    en=f"{en}: P is {100 * a.p:.2f} %, below {100 * least:g} % (n={a.n_ree})",
                )
            else:
                failed = None
            if failed is not None:
                (reasons if kind == ALL else notes).append(failed)
            if kind == ALL and a.n_zero:
                notes.append(
                    Text(
                        zh=f"{zh}：反演值为零的{a.n_zero}个样地未参与P（标准未说明，待核）",
                        en=f"{en}: {a.n_zero} plots with a retrieved value of zero take no part in "
                        "P (the standard leaves it open)",
                    )
                )
        if ALL not in found:
            raise UsageError(f"'{name}' has no figure of all types.", rule=f"key '{ALL}'")
    if classes is None:
        reasons.append(
            Text(
                zh="没有用参考样本检验分类图",
                en="the class map was not checked against reference samples",
            )
        )
    elif not classes.overall > above:
        reasons.append(
            Text(
                zh=f"分类总体精度为{100 * classes.overall:.2f}%，未超过{100 * above:g}%"
                f"（n={classes.n}）",
                en=f"overall accuracy is {100 * classes.overall:.2f} %, not above "
                f"{100 * above:g} % (n={classes.n})",
            )
        )
    return Gate(tuple(reasons), tuple(notes))
