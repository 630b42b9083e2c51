"""The official methods: numbers with evidence, overlays from the official text, provisional."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from eco_index import yamlio
from eco_index.config import Region, configs_folder
from eco_index.digests import hash_of
from eco_index.errors import UsageError
from eco_index.method_model import (
    MethodFile,
    NumberSpec,
    OptionSpec,
    OverlayFile,
    RuleSpec,
    check_values,
    near,
)
from eco_index.summary import Evidence
from eco_index.yamlio import Text

#: Evidence that makes every result that used it provisional.
UNSURE: tuple[Evidence, ...] = ("recalled", "placeholder")


_NOT_FOUND = Text(zh="未查到", en="not found")
_BY_USER = Text(zh="用户选择", en="chosen by the user")


def stated(text: Text, source: Text) -> Text:
    """Return a statement with where it was read."""
    return Text(zh=f"{text.zh}〔{source.zh}〕", en=f"{text.en} [{source.en}]")


@dataclass(frozen=True)
class Number:
    """A number (or rule, or choice) of a method.

    Attributes
    ----------
    key : str
    value : float or None
        None for rules, choices, and placeholders that a stated rule replaces.
    unit : str
    evidence : {'primary', 'secondary', 'recalled', 'placeholder'}
    source : str
        Where the value was read, in words.
    clause : str
        Clause of the official text, where known.
    source_zh : str
        The source in Chinese; empty where `source` serves both languages.
    """

    key: str
    value: float | None
    unit: str
    evidence: Evidence
    source: str
    clause: str = ""
    source_zh: str = ""

    @property
    def sure(self) -> bool:
        """Whether the evidence lets a result stand as final."""
        return self.evidence not in UNSURE

    @property
    def required(self) -> float:
        """The value; an error where there is none."""
        if self.value is None:
            raise UsageError(
                f"the number '{self.key}' has no value yet",
                rule="placeholders without value need an overlay from the official text",
                fix="fill it in an overlay file (eco methods check)",
            )
        return self.value


class Method:
    """A method file, with an overlay if one is given.

    Attributes
    ----------
    file : MethodFile
    overlay : OverlayFile or None
    overlay_digest : str or None
        SHA-256 of the overlay's content.
    numbers : dict of Number
        All numbers after the overlay.
    rules : dict of Number
        Statements without a value; `source` starts with the statement.
    choices : dict of str
        Default choice of every option after the overlay.
    used : set of str
        Keys that were read through `number` so far.
    """

    def __init__(self, file: MethodFile, overlay: OverlayFile | None = None) -> None:
        self.file, self.overlay = file, overlay
        self.used: set[str] = set()
        self.numbers = {
            key: self._number(key, n.value, n.unit, n.evidence, self._source(n), n.clause)
            for key, n in file.numbers.items()
        }
        self.rules = {
            key: self._number(
                f"rule.{key}", None, "", r.evidence, stated(r.text, self._source(r)), r.clause
            )
            for key, r in file.rules.items()
        }
        self.choices = {key: o.default for key, o in file.options.items()}
        self._option_evidence: dict[str, Evidence] = {
            key: o.evidence for key, o in file.options.items()
        }
        self._option_source = {key: self._source(o) for key, o in file.options.items()}
        self.overlay_digest: str | None = None
        if overlay is not None:
            self._apply(overlay)

    id = property(lambda self: self.file.id)
    version = property(lambda self: self.file.version)
    title = property(lambda self: self.file.title)
    reference = property(lambda self: self.file.reference)

    def _source(self, of: NumberSpec | RuleSpec | OptionSpec) -> Text:
        parts = [self.file.sources[k] for k in of.sources] + ([of.note] if of.note else [])
        if not parts:
            return _NOT_FOUND
        both = [p if isinstance(p, Text) else Text(zh=p, en=p) for p in parts]
        return Text(zh="；".join(p.zh for p in both), en="; ".join(p.en for p in both))

    @staticmethod
    def _number(
        key: str, value: float | None, unit: str, evidence: Evidence, source: Text, clause: str = ""
    ) -> Number:
        return Number(key, value, unit, evidence, source.en, clause, source.zh)

    def number(self, key: str, unit_group: str = "") -> Number:
        """Return a number; `unit_group` selects its variant where an overlay gives one.

        Raises
        ------
        UsageError
            The method has no such number.
        """
        found = self.numbers.get(f"{key}@{unit_group}") or self.numbers.get(key)
        if found is None:
            raise UsageError(
                f"method '{self.id}' has no number '{key}'{near(key, self.numbers)}",
                fix=f"see `eco methods show {self.id}`",
            )
        self.used.add(found.key)
        return found

    def option(self, key: str, choice: str) -> Number:
        """Return how sure a choice is: only the default choice carries the file's evidence."""
        spec = self.file.options[key]
        # Which group a unit belongs to is a fact, not a deviation from the standard.
        official = choice == self.choices[key] or spec.given_by_unit
        chosen = spec.choices[choice]
        text = Text(zh=f"{spec.title.zh}：{chosen.zh}", en=f"{spec.title.en}: {chosen.en}")
        source = self._option_source[key] if official else _BY_USER
        evidence = self._option_evidence[key] if official else "placeholder"
        return self._number(f"option.{key}", None, "", evidence, stated(text, source))

    def items(self) -> list[Number]:
        """Return all numbers, rules and default choices."""
        options = [self.option(k, c) for k, c in self.choices.items()]
        return [*self.numbers.values(), *self.rules.values(), *options]

    def open_items(self) -> list[Number]:
        """Return what still needs the official text."""
        return [n for n in self.items() if not n.sure]

    @property
    def provisional(self) -> bool:
        """Whether a number read so far (all of them, if none was read) is not sure."""
        read = [self.numbers[k] for k in self.used] or self.items()
        return any(not n.sure for n in read)

    def _apply(self, overlay: OverlayFile) -> None:
        by, date = overlay.entered_by, overlay.date
        signed = Text(
            zh=f"{overlay.document}；{by}于{date}录入",
            en=f"{overlay.document}; entered by {by}, {date}",
        )
        for key, entry in overlay.numbers.items():
            base, _, group = key.partition("@")
            self._known("number", base, self.numbers)
            if group:
                spec = self.file.options.get("unit_group")
                weights = {k for keys in self.file.weight_groups.values() for k in keys}
                if spec is None or group not in spec.choices or base not in weights:
                    raise UsageError(
                        f"'{key}': only weights may differ by unit group",
                        rule=f"unit groups: {sorted(spec.choices) if spec else 'none'}",
                    )
            self.numbers[key] = replace(
                self.numbers[base],
                key=key,
                value=entry.value,
                evidence="primary",
                source=signed.en,
                source_zh=signed.zh,
                clause=entry.page,
            )
        for key, rule in overlay.rules.items():
            self._known("rule", key, self.rules)
            text = stated(self.file.rules[key].text, signed)
            self.rules[key] = self._number(f"rule.{key}", None, "", "primary", text, rule.page)
        for key, option in overlay.options.items():
            self._known("option", key, self.choices)
            self._known("choice", option.choice, self.file.options[key].choices)
            self.choices[key] = option.choice
            self._option_evidence[key] = "primary"
            self._option_source[key] = Text(
                zh=f"{signed.zh}，{option.page}", en=f"{signed.en}, {option.page}"
            )
        values = {k: n.value for k, n in self.numbers.items()}
        unit_groups = self.file.options.get("unit_group")
        try:
            for variant in ("", *(unit_groups.choices if unit_groups else ())):
                check_values(self.file, values, variant)
        except ValueError as error:
            raise UsageError(f"with the overlay applied: {error}") from None
        self.overlay_digest = "sha256:" + hash_of(overlay.model_dump(mode="json"))

    def _known(self, kind: str, name: str, allowed: Iterable[str]) -> None:
        if name not in allowed:
            raise UsageError(
                f"method '{self.id}' has no {kind} '{name}'{near(name, allowed)}",
                fix=f"see `eco methods show {self.id}`",
            )


def methods_folder() -> Path:
    """Return the folder of the shipped method files."""
    return configs_folder() / "methods"


@lru_cache(maxsize=64)
def _read_file(path: Path, _stamp: tuple[int, int]) -> MethodFile:
    return yamlio.load(path, MethodFile)


def read_method_file(path: Path) -> MethodFile:
    """Read and check a method file (cached until the file changes)."""
    stat = path.stat()
    return _read_file(path, (stat.st_mtime_ns, stat.st_size))


def list_methods(folder: Path | None = None) -> list[str]:
    """Return the ids of all shipped methods."""
    return sorted(p.stem for p in (folder or methods_folder()).glob("*.yaml"))


def load_method(
    method_id: str, overlay: Path | str | None = None, folder: Path | None = None
) -> Method:
    """Read a method, with values from an overlay file if one is given.

    Parameters
    ----------
    method_id : str
        File name in the folder, without suffix.
    overlay : path, optional
        Overlay file with values from the official text.
    folder : path, optional
        Folder of method files; the shipped ones by default.

    Raises
    ------
    UsageError
        Unknown method; a malformed file; an overlay for another method or version, or one that
        breaks a rule (weights that do not add to one, class limits out of order).
    """
    folder = folder or methods_folder()
    known = list_methods(folder)
    if method_id not in known:
        raise UsageError(
            f"unknown method '{method_id}'{near(method_id, known)}", rule=f"methods: {known}"
        )
    path = folder / f"{method_id}.yaml"
    file = read_method_file(path)
    if file.id != method_id:
        raise UsageError(f"the file holds method '{file.id}'", where=str(path), rule="id = name")
    if overlay is None:
        return Method(file)
    overlay = Path(overlay)
    signed = yamlio.load(overlay, OverlayFile)
    if (signed.method, signed.method_version) != (file.id, file.version):
        raise UsageError(
            f"the overlay is for {signed.method}@{signed.method_version}, "
            f"not for {file.id}@{file.version}",
            where=str(overlay),
            fix="check the values against the method's present version, then correct the header",
        )
    try:
        return Method(file, signed)
    except UsageError as error:
        raise UsageError(
            error.what,
            where=f"{overlay}: {error.where or 'see key'}",
            rule=error.rule,
            fix=error.fix,
        ) from None


def method_of(region: Region, method_id: str) -> Method:
    """Return a method with the region's overlay, if it names one (relative to the region file)."""
    text = region.config.overlays.get(method_id)
    if text is None:
        return load_method(method_id)
    path = Path(yamlio.expand(text, f"{region.config.path}, key 'overlays.{method_id}'"))
    return load_method(method_id, region.config.path.resolve().parent / path)
