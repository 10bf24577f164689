"""gpus [--readmit NAME]: list the cards that workers use, or let a refused one take jobs again."""

from typing import Any

from django.core.management.base import CommandParser
from rich.box import SIMPLE
from rich.table import Column, Table

from annotation.management.base import StudyCommand
from generation.machines.card_failures import readmit
from generation.models import Card
from generation.tables.printed_tables import print_table


class Command(StudyCommand):
    """A card that failed on two different jobs takes no more until it is readmitted here."""

    help = "List the cards that workers use with their failures, or readmit one that takes no more jobs."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the card to readmit."""
        parser.add_argument("--readmit", metavar="NAME", help="A card as listed, like host:0, or its UUID.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Readmit a card, or list all."""
        if options["readmit"]:
            card = readmit(options["readmit"])
            self.stdout.write(f"{card} ({card.name}) takes jobs again; its failures are forgotten.")
            return
        cards = list(Card.objects.prefetch_related("failures").order_by("host", "number"))
        self.tell(cards=[_as_document(card) for card in cards])
        if not cards:
            self.stdout.write("No worker has used a card yet.")
            return
        table = Table(Column("card", no_wrap=True), "name", "takes jobs", "failures", box=SIMPLE, show_edge=False)
        for card in cards:
            failures = "; ".join(failure.error for failure in card.failures.all()) or "–"
            table.add_row(str(card), card.name, "no" if card.refused_at else "yes", failures)
        print_table(self.console(), table)


def _as_document(card: Card) -> dict[str, Any]:
    failures = [failure.error for failure in card.failures.all()]
    return {"card": str(card), "name": card.name, "takes_jobs": card.refused_at is None, "failures": failures}
