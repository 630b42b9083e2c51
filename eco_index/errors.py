"""Errors that a person reads: what happened, where, which rule it breaks, what to do next."""


class EcoError(Exception):
    """Base of all expected failures.

    Parameters
    ----------
    what : str
        What is wrong, in one sentence.
    where : str, optional
        File and line, or product/period/tile/asset.
    rule : str, optional
        The rule that is broken, with the values allowed.
    fix : str, optional
        What the user can do next.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        rule: str | None = None,
        fix: str | None = None,
    ) -> None:
        self.what, self.where, self.rule, self.fix = what, where, rule, fix
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = [self.what]
        for label, text in (("where", self.where), ("rule", self.rule), ("fix", self.fix)):
            if text:
                parts.append(f"  {label}: {text}")
        return "\n".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process borders (Dask workers); keyword arguments must survive pickling.
        return (_rebuild, (type(self), self.what, self.where, self.rule, self.fix))


def _rebuild(
    kind: type[EcoError], what: str, where: str | None, rule: str | None, fix: str | None
) -> EcoError:
    return kind(what, where=where, rule=rule, fix=fix)


class PartialError(EcoError):
    """Some work failed, the rest is kept (exit code 1)."""

    exit_code = 1


class UsageError(EcoError):
    """Wrong usage or configuration (exit code 2)."""

    exit_code = 2


class InputError(EcoError):
    """Input data, or an archive, that cannot be used (exit code 3)."""

    exit_code = 3
