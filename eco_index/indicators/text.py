"""The table that ``eco index`` prints, in Chinese or English."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

_WORDS = {
    "zh": {
        "sub": "分指数",
        "raw": "原始值",
        "value": "取值",
        "weight": "权重",
        "note": "说明",
        "missing": "未评价，缺：",
        "not_applicable": "不适用",
        "clipped": "已限制在0—100",
        "provisional": "试算",
        "none": "未评价（不完整）",
        "before": "上期",
        "options": "所用选项",
        "default": "默认",
        "numbers": "所用数字：",
        "unsure": "其中凭记忆或占位",
        "official": "结果为试算，不得作为官方结果。",
        "columns": "表中没有的列：",
        "overlay": "官方数值补充文件",
        "restriction": "原始值为限制前，取值为限制后",
        "inverse": "以100减去该值计入",
        "classes": "各类单元数（面积占比）",
        "all": "全部单元",
        "set": "归一化所用的单元集合",
        "primary": "标准原文",
        "secondary": "文献转述",
        "recalled": "凭记忆",
        "placeholder": "占位值",
        "evidence": "依据",
    },
    "en": {
        "sub": "sub-index",
        "raw": "raw",
        "value": "value",
        "weight": "weight",
        "note": "note",
        "missing": "not evaluated, missing: ",
        "not_applicable": "not applicable",
        "clipped": "limited to 0-100",
        "provisional": "provisional",
        "none": "not evaluated (incomplete)",
        "before": "before",
        "options": "choices used",
        "default": "default",
        "numbers": "numbers used: ",
        "unsure": "of them recalled or placeholder",
        "official": "The results are provisional and no official figures.",
        "columns": "columns that the table does not have: ",
        "overlay": "overlay of official values",
        "restriction": "raw: before the restriction, value: after it",
        "inverse": "enters as 100 - value",
        "classes": "units of each class (share of the area)",
        "all": "all units",
        "set": "units behind the normalisation",
        "primary": "primary",
        "secondary": "secondary",
        "recalled": "recalled",
        "placeholder": "placeholder",
        "evidence": "evidence",
    },
}


def index_text(data: Mapping[str, Any], lang: str = "en") -> str:
    """Return `index_command_data` as readable text.

    Parameters
    ----------
    data : mapping
        What `index_command_data` returned.
    lang : {'zh', 'en'}
        Language of the text.
    """
    words = _WORDS[lang]
    method = data["method"]
    lines = [
        f"{method['title'][lang]}  {method['id']}@{method['version']}",
        method["reference"],
    ]
    if method["overlay_digest"]:
        lines.append(f"{words['overlay']}: {method['overlay_digest']}")
    for unit in data["units"]:
        lines += ["", *_unit(unit, data, lang)]
    if len(data["units"]) > 1 and data["classes"]:
        lines += ["", f"{words['classes']}:", *_classes(data, lang)]
    lines += ["", f"{words['options']}:"]
    for option in data["options"]:
        mark = f" ({words['default']})" if option["choice"] == option["default"] else ""
        text = f"  {option['title'][lang]}: {option['choice_title'][lang]}{mark}"
        lines.append(f"{text}  [{words['evidence']}: {words[option['evidence']]}]")
    sets = [u["options"]["unit_set"][lang] for u in data["units"] if "unit_set" in u["options"]]
    lines += [f"  {words['set']}: {units}" for units in dict.fromkeys(sets)]
    if data["missing_columns"]:
        lines.append(words["columns"] + ", ".join(data["missing_columns"]))
    unsure = [n for n in method["numbers"] if n["evidence"] in ("recalled", "placeholder")]
    lines.append(f"{words['numbers']}{len(method['numbers'])}; {words['unsure']}: {len(unsure)}")
    if method["provisional"]:
        lines.append(words["official"])
    return "\n".join(lines)


def _unit(unit: Mapping[str, Any], data: Mapping[str, Any], lang: str) -> list[str]:
    words, short = _WORDS[lang], data["short"]
    name = unit["name"][lang]
    head = f"{unit['unit']} {name}" if name != unit["unit"] else name
    if unit["value"] is None:
        head += f"  {short} {words['none']}"
    else:
        head += f"  {short} {unit['value']:.2f}  {unit['grade_title'][lang]}"
        if unit["provisional"]:
            head += f"  [{words['provisional']}]"
        if unit["change"] is not None:
            head += (
                f"  {words['before']} {unit['previous']:.2f} ({unit['change']:+.2f}, "
                f"{unit['change_title'][lang]})"
            )
    depth: dict[str, int] = {}
    rows = [[words[k] for k in ("sub", "raw", "value", "weight", "note")]]
    asked = {o["id"] for o in data["options"]}
    no_type = {s["id"] for s in unit["sub_indices"] if asked & set(s["missing"])}
    for sub in unit["sub_indices"]:
        if sub["parent"] in unit["not_applicable"] or sub["parent"] in no_type:
            continue  # the line of the parent says it
        depth[sub["id"]] = depth.get(sub["parent"], 0) + 1
        rows.append(
            [
                "  " * depth[sub["id"]] + sub["title"][lang],
                _figure(sub["raw"], 2),
                _figure(sub["value"], 2),
                _figure(sub["weight"], 4),
                _remark(sub, unit["not_applicable"], data, lang),
            ]
        )
    return [head, *_columns(rows), *(f"  ! {w[lang]}" for w in unit["warnings"])]


def _classes(data: Mapping[str, Any], lang: str) -> list[str]:
    """One line a group; a class without units is left out."""
    words = _WORDS[lang]
    groups: Mapping[str, Any] = next(
        (o["choices"] for o in data["options"] if o["id"] == "unit_group"), {}
    )
    lines: dict[str, list[str]] = {}
    for row in data["classes"]:
        if not row["units"]:
            continue
        name = data["class_titles"][row["class"]][lang] if row["class"] else words["none"]
        share = "" if row["area_share"] is None else f" ({row['area_share']:.2f} %)"
        group = words["all"] if row["group"] == "all" else groups[row["group"]][lang]
        lines.setdefault(group, []).append(f"{name} {row['units']}{share}")
    return [f"  {group}: {'; '.join(parts)}" for group, parts in lines.items()]


def _remark(
    sub: Mapping[str, Any], not_applicable: list[str], data: Mapping[str, Any], lang: str
) -> str:
    words = _WORDS[lang]
    if sub["id"] in not_applicable:
        return words["not_applicable"]
    if sub["missing"]:
        titles = data["input_titles"]
        named = (f"{m} ({titles[m][lang]})" if m in titles else m for m in sub["missing"])
        return words["missing"] + ", ".join(named)
    notes = []
    if sub["weight"] is None:
        notes.append(words["restriction"])
    elif sub["raw"] is not None and sub["value"] != sub["raw"] and not 0 <= sub["raw"] <= 100:
        notes.append(words["clipped"])
    if sub["id"] in data["inverse"]:
        notes.append(words["inverse"])
    if sub["provisional"]:
        notes.append(words["provisional"])
    return ", ".join(notes)


def _figure(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _width(text: str) -> int:
    """Columns on a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _columns(rows: list[list[str]]) -> list[str]:
    widths = [max(_width(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = []
        for i, cell in enumerate(row):
            pad = " " * (widths[i] - _width(cell))
            cells.append(pad + cell if 0 < i < 4 else cell + pad)
        lines.append("  ".join(cells).rstrip())
    return lines
