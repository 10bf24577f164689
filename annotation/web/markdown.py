"""The study's texts: Markdown to HTML, with raw HTML shown as text and unsafe links refused."""

from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

# No images: a picture beside the instructions would have to be fetched from elsewhere, which the page's policy forbids.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).disable("image")


def render(text: str) -> SafeString:
    """The HTML of a Markdown text; empty for an empty text."""
    return mark_safe(_MARKDOWN.render(text))  # noqa: S308 - raw HTML is escaped and links are checked by the renderer
