"""What is worth knowing of how good a scene is: marks in the manifest, words for reports."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from eco_index.sources.scene import Scene
from eco_index.yamlio import Text

#: Property of a scene: mark to its numbers (``{"rpc": {"bias_m": 25.0, ...}}``).
MARKS = "quality_marks"
#: Property of a scene: the marks of lower quality as one line, for who reads a manifest.
LABEL = "quality_label"
#: Mark of a scene whose manifest holds a line only (written before there were marks).
AS_WRITTEN = "label"

Marks = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Mark:
    """One thing to know of scenes; `lower` where it makes them worth less than others."""

    lower: bool
    title: Text


KNOWN = {
    "simple_screen": Mark(
        True,
        Text(
            zh="用声明的简单筛选代替质量波段（{band}大于{cloud_above}判为云）：不识别薄卷云和云影，"
            "会把雪和亮沙地判为云",
            en="simple cloud screen in place of a quality band ({band} above {cloud_above} is "
            "cloud): finds neither thin cirrus nor shadows, takes snow and bright sand for cloud",
        ),
    ),
    "mask_supplied": Mark(
        False,
        Text(
            zh="使用随影像提供的掩膜层，其质量由提供者负责",
            en="mask layer supplied beside the scene; its quality is that of its maker",
        ),
    ),
    "top_of_atmosphere": Mark(
        True,
        Text(
            zh="大气层顶反射率，未做大气校正",
            en="top of atmosphere, no atmospheric correction",
        ),
    ),
    "rpc": Mark(
        True,
        Text(
            zh="用RPC与DEM定位：RPC自述偏差{bias_m}米，高程每差1米平面偏移{shift}米",
            en="placed by RPC and a DEM: bias {bias_m} m by the RPC itself, {shift} m for each "
            "metre of height",
        ),
    ),
    "rpc_one_height": Mark(
        True,
        Text(
            zh="用RPC与单一高程定位：RPC自述偏差{bias_m}米，高程每差1米平面偏移{shift}米",
            en="placed by RPC with one height for all: bias {bias_m} m by the RPC itself, "
            "{shift} m for each metre of height",
        ),
    ),
}


@dataclass(frozen=True)
class Marked:
    """How many scenes of a dataset carry a mark.

    Attributes
    ----------
    dataset, mark : str
    text : Text
        The mark in words, with the numbers of its scenes (smallest to largest).
    lower : bool
        Whether it makes a scene worth less than others.
    scenes, of : int
        Scenes with the mark, and all scenes of the dataset.
    """

    dataset: str
    mark: str
    text: Text
    lower: bool
    scenes: int
    of: int


def mark_properties(marks: Marks) -> dict[str, Any]:
    """Return the properties by which a scene's manifest keeps its marks.

    Parameters
    ----------
    marks : mapping
        Names of `KNOWN`, in the order in which they are read, to the numbers of their texts.
    """
    lower = [_words(name, [values]).en for name, values in marks.items() if KNOWN[name].lower]
    found: dict[str, Any] = {MARKS: {name: dict(values) for name, values in marks.items()}}
    return found | ({LABEL: f"lower: {'; '.join(lower)}"} if lower else {})


def marked_scenes(scenes: Iterable[Scene]) -> list[Marked]:
    """Count the marks of scenes, by dataset and mark; those of lower quality first.

    Scenes without marks are of full quality: they only count among all of their dataset.
    """
    totals: Counter[str] = Counter()
    found: defaultdict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for scene in scenes:
        totals[scene.dataset] += 1
        label = scene.properties.get(LABEL)
        written = {AS_WRITTEN: {"label": label}} if label else {}
        for name, values in scene.properties.get(MARKS, written).items():
            # Words of an older manifest count apart: each stands for itself.
            key = name if name in KNOWN else f"{AS_WRITTEN}:{values.get('label', name)}"
            found[scene.dataset, key].append(values)
    out = [
        Marked(
            dataset,
            name.partition(":")[0],
            _words(name, values),
            KNOWN[name].lower if name in KNOWN else True,
            len(values),
            totals[dataset],
        )
        for (dataset, name), values in found.items()
    ]
    return sorted(out, key=lambda m: (m.dataset, not m.lower, -m.scenes, m.mark, m.text.en))


def _words(name: str, values: list[Mapping[str, Any]]) -> Text:
    """Return a mark in words, with the numbers of all its scenes."""
    if name not in KNOWN:
        label = name.partition(":")[2]
        return Text(zh=label, en=label)
    title = KNOWN[name].title
    keys = sorted({k for each in values for k in each})
    zh = {k: _range([each.get(k) for each in values], "未注明", "至") for k in keys}
    en = {k: _range([each.get(k) for each in values], "unstated", " to ") for k in keys}
    return Text(zh=title.zh.format(**zh), en=title.en.format(**en))


def _range(values: list[Any], unstated: str, to: str) -> str:
    known = sorted({v for v in values if v is not None})
    parts = [known[0], known[-1]] if len(known) > 1 else known
    text = to.join(f"{v:g}" if isinstance(v, (int, float)) else str(v) for v in parts)
    if None not in values:
        return text
    return f"{text}/{unstated}" if text else unstated
