"""How every form is rendered: a refused form puts the focus, and so the screen, at its first fault."""

from typing import Any

from django.forms import BoundField, Widget
from django.forms.renderers import DjangoTemplates


class FocusedField(BoundField):
    """A field that gets the focus when the page loads if it is the first one with a fault."""

    def build_widget_attrs(self, attrs: dict[str, Any], widget: Widget | None = None) -> dict[str, Any]:
        """Return the attributes of the field's control."""
        built = super().build_widget_attrs(attrs, widget)
        is_first = self.name == next((name for name in self.form.fields if name in self.form.errors), None)
        return built | {"autofocus": True} if is_first else built


class FormRenderer(DjangoTemplates):
    """Django's templates, with the fields above."""

    bound_field_class = FocusedField
