"""Numbers in the explorer's templates as the report has them."""

from django import template

from annotation.reports import claim, numbers

register = template.Library()
register.filter("score", numbers.score)
register.filter("metric_name", claim.metric_name)
