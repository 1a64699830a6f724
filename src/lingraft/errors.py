"""One exception for everything that a user can mend: what happened, why, and the cure."""

from collections.abc import Iterable
from difflib import get_close_matches


class LingraftError(Exception):
    """Something that the user can mend.

    `what` names the thing and the place, `why` the likely cause, `cure` the next step to take.
    The command line prints the three as one message and leaves with status 1.
    """

    def __init__(self, what: str, why: str = "", cure: str = ""):
        super().__init__("\n".join(part for part in (what, why, cure) if part))
        self.what = what
        self.why = why
        self.cure = cure

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        return type(self), (self.what, self.why, self.cure)


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return "did you mean 'x'?" with the nearest of `choices`, or "" when none is near."""
    near = get_close_matches(name, sorted(choices), n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else ""


def missing_package(package: str, extra: str, purpose: str) -> LingraftError:
    """Return the error for an optional package that is not installed, with the line that installs it."""
    return LingraftError(f"{package} is not installed", f"{purpose} needs it.", f"pip install 'lingraft[{extra}]'")
