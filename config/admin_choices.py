"""Check the rows chosen in a list of the admin, of every app: Django fails on ids that cannot exist."""

from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse

_django_response_action = ModelAdmin.response_action


def response_action(
    listed: "ModelAdmin[Any]", request: HttpRequest, *arguments: Any, **more: Any
) -> HttpResponse | None:
    """Run an action on the chosen rows; refuse it if one of them cannot be a row of the list."""
    try:
        for chosen in request.POST.getlist(ACTION_CHECKBOX_NAME):
            listed.opts.pk.to_python(chosen)
    except ValidationError:
        messages.error(request, "Nothing was done: what was chosen is no row of this list.")
        return None
    return _django_response_action(listed, request, *arguments, **more)
