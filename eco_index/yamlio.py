"""Read YAML into typed models; every complaint names file, line, key and what is allowed."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from eco_index.errors import UsageError

_ENV = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def configs_folder() -> Path:
    """Return the project's ``configs`` folder."""
    folder = Path(__file__).resolve().parents[1] / "configs"
    if not folder.is_dir():
        raise UsageError(
            f"the folder of configurations is missing: {folder}",
            fix="install the project from its checkout (make setup)",
        )
    return folder


class Strict(BaseModel):
    """Base of all typed files: unknown keys are errors, values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(Strict):
    """A text in both languages of the project."""

    zh: str
    en: str

    def get(self, language: str) -> str:
        return self.zh if language == "zh" else self.en


class _Loader(yaml.SafeLoader):
    """Safe loader that refuses duplicate keys."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + 1
        if key in seen:
            raise yaml.MarkedYAMLError(
                problem=f"key '{key}' is given twice (first in line {seen[key]})",
                problem_mark=key_node.start_mark,
            )
        seen[key] = line
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> tuple[Any, yaml.Node | None]:
    """Return the content of a YAML file and its node tree (for line numbers)."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"file not found: {path}", fix="check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}", rule="YAML files are UTF-8") from None
    try:
        data = yaml.load(text, Loader=_Loader)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise UsageError(f"not valid YAML: {error.problem}", where=f"{path}{line}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"not valid YAML: {error}", where=str(path)) from None
    return data, node


def line_of(node: yaml.Node | None, location: tuple[Any, ...]) -> int | None:
    """Return the line (1-based) of a key path in a node tree, or of its deepest known part."""
    line = None
    for part in location:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if str(key.value) == str(part):
                    line, node = key.start_mark.line + 1, value
                    break
            else:
                continue  # pydantic puts union tags into locations; they are not keys
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                break
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def _fields_at(model: type[BaseModel], location: tuple[Any, ...]) -> list[str] | None:
    """Return the allowed keys of the model that holds the last part of `location`."""
    import typing

    def models_in(annotation: Any) -> list[type[BaseModel]]:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return [annotation]
        found: list[type[BaseModel]] = []
        for argument in typing.get_args(annotation):
            found += models_in(argument)
        return found

    current: list[type[BaseModel]] = [model]
    for part in location[:-1]:
        step: list[type[BaseModel]] = []
        for candidate in current:
            if part in candidate.model_fields:
                step += models_in(candidate.model_fields[part].annotation)
            else:
                for name, field in candidate.model_fields.items():
                    if field.alias == part:
                        step += models_in(candidate.model_fields[name].annotation)
        tagged = [
            c for c in current if getattr(c.model_fields.get("type"), "default", None) == part
        ]
        current = step or tagged or current
    names = sorted({n for c in current for n in c.model_fields})
    return names or None


def validate[ModelT: BaseModel](
    data: Any, model: type[ModelT], path: Path, node: yaml.Node | None = None
) -> ModelT:
    """Check `data` against `model`.

    Raises
    ------
    UsageError
        Unknown key, wrong type or missing key; the message names file, line, key, allowed keys.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = []
        errors = error.errors()
        for item in errors[:8]:
            location = tuple(item["loc"])
            line = line_of(node, location)
            key = ".".join(str(p) for p in location) or "(whole file)"
            place = f"{path}{f', line {line}' if line else ''}, key '{key}'"
            if item["type"] == "extra_forbidden":
                allowed = _fields_at(model, location)
                text = "unknown key"
                if allowed:
                    close = difflib.get_close_matches(str(location[-1]), allowed, n=1)
                    text += f"; allowed: {', '.join(allowed)}"
                    text += f" (did you mean '{close[0]}'?)" if close else ""
            elif item["type"] == "missing":
                text = "this key is missing"
            else:
                given = repr(item.get("input"))
                given = given if len(given) <= 60 else given[:57] + "..."
                text = f"{item['msg']} (given: {given})"
            problems.append(f"{place}: {text}")
        if len(errors) > 8:
            problems.append(f"... and {len(errors) - 8} more")
        raise UsageError(
            f"{path.name} does not fit what is expected ({len(errors)} problem(s))",
            where="\n         ".join(problems),
            fix="correct the lines named above",
        ) from None


def load[ModelT: BaseModel](path: Path | str, model: type[ModelT]) -> ModelT:
    """Read and check a YAML file."""
    path = Path(path)
    data, node = read_yaml(path)
    if not isinstance(data, dict):
        raise UsageError(
            f"{path.name} is empty or not a mapping of keys", where=str(path), fix="see configs/"
        )
    return validate(data, model, path, node)


def expand(text: str, where: str) -> str:
    """Replace ``${NAME}`` and ``${NAME:-default}`` by environment variables.

    Raises
    ------
    UsageError
        A variable without default is not set.
    """

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if found:
            return found
        if match[2] is not None:
            return match[2]
        raise UsageError(
            f"the environment variable {match[1]} is not set",
            where=where,
            fix=f"export {match[1]}=... and run again",
        )

    return _ENV.sub(value, text)
