"""Show why a form was refused beside the field that the sentence names."""

from django import forms


def add_refusal(form: forms.Form, sentence: str) -> None:
    """Put a refusal that begins with a key of the form, as in `days: …` or `annotation.overlap can …`, at its field."""
    word, _, rest = sentence.partition(" ")
    name = word.rstrip(":").rpartition(".")[2]
    if name not in form.fields:
        form.add_error(None, sentence)
    elif word.endswith(":"):
        form.add_error(name, rest[:1].upper() + rest[1:])
    else:
        form.add_error(name, f"It {rest}")
