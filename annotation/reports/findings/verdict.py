"""The verdict of a report: the lines of its first screen. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VerdictLine:
    """One line of the verdict.

    kind: what it is about, for example "agreement". outcome: of a comparison "shown", "shown worse" or "undecided";
    "doubt" for a reason to doubt the result, else "none". sentence: what was found, in one sentence. numbers: the
    numbers behind it, in sentences; may be empty.
    """

    kind: str
    outcome: str
    sentence: str
    numbers: str = ""

    @property
    def text(self) -> str:
        """The sentence with its numbers."""
        return f"{self.sentence} {self.numbers}".strip()
