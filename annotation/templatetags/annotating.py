"""Filters of the annotator's pages."""

from django import template

register = template.Library()


@register.filter
def resume_code(code: str) -> str:
    """A resume code in two halves, which are easier to copy by hand."""
    return f"{code[:5]}-{code[5:]}"
