"""The pages of the documents, for researchers and strangers alike: nothing in them is secret."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_safe

from annotation.web.access.guard import researcher_page
from annotation.web.docs.documents import DOCUMENTS, document_of, pages_text
from annotation.web.docs.search import MOST_FOUND, MOST_LETTERS, find


@require_safe
@researcher_page
def docs(request: HttpRequest) -> HttpResponse:
    """Show the list of documents, or what a search found in them."""
    query = request.GET.get("q", "").strip()[:MOST_LETTERS]
    if not query:
        return render(request, "web/docs/docs.html", {"documents": DOCUMENTS})
    found = find(query)
    context = {"documents": DOCUMENTS, "query": query, "found": found[:MOST_FOUND], "count": len(found)}
    return render(request, "web/docs/search.html", context)


@require_safe
@researcher_page
def document(request: HttpRequest, name: str) -> HttpResponse:
    """Show a document. An unknown name gets the list of those that there are."""
    shown = document_of(name.removesuffix(".md"))
    if shown is None:
        return render(request, "web/docs/docs.html", {"documents": DOCUMENTS, "missing": name}, status=404)
    if shown.name != name:  # a message of the program names docs/report.md
        return redirect(shown.address)
    context = {"documents": DOCUMENTS, "document": shown, "html": pages_text(name).html}
    return render(request, "web/docs/document.html", context)


urlpatterns: list[URLPattern] = [
    path("docs/", docs, name="docs"),
    path("docs/<str:name>/", document, name="document"),
]
