"""Numbers in the explorer's templates as the report has them."""

from django import template

from annotation.reports.sections import claim, numbers

register = template.Library()
register.filter("score", numbers.score)
register.filter("metric_name", claim.metric_name)


@register.filter
def unbroken(text: str) -> str:
    """A text whose numbers keep their "n =" and their per cent beside them when lines are broken."""
    return text.replace("n = ", "n\u00a0=\u00a0").replace(" %", "\u00a0%")
