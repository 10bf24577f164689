"""Commands on pages, as they are typed."""

from django import template

from jobs.wording import command

register = template.Library()
register.simple_tag(command, name="command")
