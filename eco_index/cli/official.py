"""``eco methods`` and ``eco index``: the official methods, their evidence, and the calculator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eco_index.cli import console
from eco_index.cli.options import AsJson

if TYPE_CHECKING:
    from eco_index.methods import Method, Number

methods_app = typer.Typer(
    help="The official methods: every number with its evidence.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

EVIDENCE = {
    "primary": "read in the standard's own text",
    "secondary": "stated by another publication",
    "recalled": "from memory, unverified: results are provisional",
    "placeholder": "not known: results are provisional",
}

MethodName = Annotated[
    str,
    typer.Argument(metavar="METHOD", help="A name of `eco methods list`.", show_default=False),
]
MaybeMethodName = Annotated[
    str | None,
    typer.Argument(metavar="[METHOD]", help="Default: all methods.", show_default=False),
]
Overlay = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.yaml",
        help="Official values that your team entered and signed.",
        show_default=False,
    ),
]


@methods_app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the methods, and how well their numbers are attested."""
    from eco_index.methods import list_methods, load_method

    methods = [load_method(name) for name in list_methods()]
    if as_json:
        console.answer_json([_head(m) for m in methods])
        return
    rows = [
        (m.id, m.version, m.title.en, m.title.zh, len(m.items()), len(m.open_items()))
        for m in methods
    ]
    console.table(("method", "version", "title", "名称", "numbers", "unverified"), rows)
    console.answer("`eco methods show METHOD` prints every number with its source.")


@methods_app.command()
def show(method: MethodName, overlay: Overlay = None, as_json: AsJson = False) -> None:
    """Print every number of a method with its evidence and source.

    Example: `eco methods show hj192_2015`
    """
    from eco_index.methods import load_method

    loaded = load_method(method, overlay)
    if as_json:
        console.answer_json(_head(loaded) | {"numbers": [_number(n) for n in loaded.items()]})
        return
    _say_head(loaded)
    _say_numbers(loaded.items())
    for key, meaning in EVIDENCE.items():
        console.answer(f"{key + ':':<13}{meaning}")


@methods_app.command()
def check(method: MaybeMethodName = None, overlay: Overlay = None, as_json: AsJson = False) -> None:
    """Check method files and say which numbers still need the official text.

    Example: `eco methods check eqi_2021 --overlay our_values.yaml`
    """
    from eco_index.errors import UsageError
    from eco_index.methods import list_methods, load_method

    if method is None and overlay is not None:
        raise UsageError("--overlay needs a METHOD", fix="eco methods check METHOD --overlay FILE")
    names = [method] if method else list_methods()
    loaded = [load_method(name, overlay) for name in names]
    if as_json:
        data = [_head(m) | {"open": [_number(n) for n in m.open_items()]} for m in loaded]
        console.answer_json(data)
        return
    for one in loaded:
        _say_head(one)
        if one.open_items():
            console.answer("still to be verified in the official text:")
            _say_numbers(one.open_items())
        console.answer()


def index(
    method: MethodName,
    inputs: Annotated[
        Path,
        typer.Option(
            metavar="FILE.csv|yaml",
            help="Table with a row a unit (county); `--inputs help` lists the columns.",
            show_default=False,
        ),
    ],
    overlay: Overlay = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=CHOICE",
            help="A choice where the standard is ambiguous; give it again for more.",
            show_default=False,
        ),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv|yaml",
            help="Table of an earlier year: prints change and change class of every unit.",
            show_default=False,
        ),
    ] = None,
    lang: Annotated[str, typer.Option(help="Language of the table: zh or en.")] = "en",
    as_json: AsJson = False,
) -> None:
    """Compute an official index from a table of unit inputs, every sub-index shown.

    Missing inputs stay missing: a sub-index that needs one is not evaluated, and says so.

    Examples:
    `eco index hj192_2015 --inputs help`

    `eco index hj192_2015 --inputs 2025.csv --compare 2024.csv`
    """
    from eco_index import indicators
    from eco_index.errors import UsageError
    from eco_index.methods import load_method

    loaded = load_method(method, overlay)
    if str(inputs) == "help" and not inputs.exists():
        _say_inputs(loaded, as_json)
        return
    if lang not in ("zh", "en"):
        raise UsageError(f"--lang cannot be '{lang}'", rule="zh or en")
    options = read_options(loaded, option or [])
    data = indicators.index_command_data(method, inputs, overlay, options, compare)
    if as_json:
        console.answer_json(data)
    else:
        console.answer(indicators.index_text(data, lang))


def read_options(method: Method, texts: list[str]) -> dict[str, str]:
    """Read NAME=CHOICE texts and check them against the method's options."""
    from eco_index.errors import UsageError

    chosen = {}
    for text in texts:
        name, equals, choice = text.partition("=")
        spec = method.file.options.get(name)
        if not equals or spec is None or choice not in spec.choices:
            known = "; ".join(
                f"{key}={'|'.join(s.choices)}" for key, s in method.file.options.items()
            )
            raise UsageError(
                f"--option cannot be '{text}'", rule=f"options of {method.id}: {known or 'none'}"
            )
        chosen[name] = choice
    return chosen


def _head(method: Method) -> dict[str, Any]:
    return {
        "id": method.id,
        "version": method.version,
        "title": method.title.model_dump(),
        "reference": method.reference,
        "overlay_digest": method.overlay_digest,
        "numbers_total": len(method.items()),
        "numbers_unverified": len(method.open_items()),
    }


def _number(number: Number) -> dict[str, Any]:
    return {k: getattr(number, k) for k in ("key", "value", "unit", "evidence", "source", "clause")}


def _say_head(method: Method) -> None:
    console.answer(f"{method.id}@{method.version}  {method.title.zh} / {method.title.en}")
    console.answer(f"{method.reference}")
    n_open, n_all = len(method.open_items()), len(method.items())
    open_text = f"{n_open} of {n_all} unverified: results are provisional (试算)"
    console.answer(f"numbers, rules and choices: {open_text if n_open else 'all attested'}")


def _say_numbers(numbers: list[Number]) -> None:
    rows = [(n.key, n.value, n.unit, n.evidence, n.clause, n.source) for n in numbers]
    console.table(("number", "value", "unit", "evidence", "clause", "source"), rows)


def _say_inputs(method: Method, as_json: bool) -> None:
    specs = method.file.inputs
    if as_json:
        console.answer_json({k: s.model_dump(mode="json") for k, s in specs.items()})
        return
    rows = [
        (name, s.unit, f"{s.minimum:g} to {s.maximum:g}", s.title.en, s.title.zh)
        for name, s in specs.items()
    ]
    console.table(("column", "unit", "range", "meaning", "含义"), rows)
    for key, option in method.file.options.items():
        if option.given_by_unit:
            known = ", ".join(f"{c} ({t.en} {t.zh})" for c, t in option.choices.items())
            console.answer(f"what a unit is, column {key}: {known}; default {method.choices[key]}")
    console.answer("and unit_id, unit_name; leave a cell empty where the value is not known")
