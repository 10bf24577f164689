"""Permissions of every address and operation: for strangers, annotators, each role in a study, and admins."""

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Permission, User
from django.http import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from annotation.models import Annotator, Answer, ImageReport, Study, StudyShare, Upload
from annotation.studies.current import current_manifest
from annotation.studies.sharing import Role, create_report_link
from annotation.studies.tokens import Scope, create_token
from annotation.voting.annotators import invite
from annotation.voting.assignment import next_assignment
from annotation.web import urls
from annotation.web.access.who_may import ADDRESSES, OPERATIONS, PARTS, Who
from tests.annotation.reports.voted_studies import crossed
from tests.annotation.reports.voted_studies import make_study as make_voted_study
from tests.factories import make_researcher, make_study, member

pytestmark = pytest.mark.django_db
ROLES = (Who.ANYONE, Who.RESEARCHER, Who.VIEWER, Who.EDITOR, Who.OWNER, Who.ADMIN)  # each may what those before may
PLATFORM = {"id_parameter": "PROLIFIC_PID", "other_parameters": ["SESSION_ID"]}
PERSONAL = {"external_id": "5f0c1d2e3b", "platform_parameters": {"SESSION_ID": "session-77aa"}}


MAY = {"get": {200, 202, 400, 404, 409}, "post": {200, 302, 400, 404, 409, 422}}


@pytest.fixture
def study() -> Study:
    """An open study with a personal link, a visitor of the open link, answers, and a reported image."""
    study = make_study(images_per_set=2, platform=PLATFORM, analysis={"resamples": 100})
    annotator = give_personal_data(invite(study=study, label="Ada"))
    manifest = current_manifest(study)
    held = next_assignment(annotator=annotator, rules=manifest.voting_rules(), now=timezone.now()).assignment
    assert held is not None
    ImageReport.objects.create(assignment=held, image_id=held.left_images[0], kind="failed", reported_at=timezone.now())
    return study


def give_personal_data(annotator: Annotator) -> Annotator:
    for name, value in PERSONAL.items():
        setattr(annotator, name, value)
    annotator.save()
    for page, name, value in (("questions", "age", "quite-old-34"), ("comment", "", "a free remark")):
        Answer.objects.create(annotator=annotator, page=page, name=name, value=value, answered_at=timezone.now())
    return annotator


def secrets_of(study: Study) -> list[str]:
    found = [study.open_link_token, "session-77aa", "quite-old-34", "a free remark"]
    for annotator in study.annotators.all():
        found += [annotator.token, annotator.resume_code, annotator.external_id]
    return [one for one in found if one]


@pytest.fixture
def researcher() -> Client:
    return logged_in(make_researcher())


@pytest.fixture
def viewer(study: Study) -> Client:
    """A viewer of the study who has every permission to view that Django knows."""
    user = member(study, Role.VIEWER)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return logged_in(user)


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def patterns(found: list[Any], before: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Yield each address below these patterns, as its route and its pattern."""
    for one in found:
        route = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from patterns(one.url_patterns, route)
        else:
            yield route, one


def address(name: str, study: Study) -> str:
    """Return the address of this name, for the study if it has one."""
    report = ImageReport.objects.filter(assignment__comparison__study=study).first()
    values = {"slug": study.slug, "action": "pause", "annotator_id": study.annotators.earliest("pk").pk}
    values |= {"report_id": report.pk if report else 1, "position": 0, "decision": "set-aside", "name": "agreement"}
    values |= {
        "token": "none",
        "address": "none",
        "report_format": "json",
        "number": 1,
        "side": "a",
        "seed": 0,
        "rendition": "grid",
    }
    values |= {"upload_id": 1, "file": 0, "piece": 0, "step": "instructions", "kind": "csv"}
    values |= {"model_id": 1, "trial_id": 1, "account_id": 1, "place": "reports"}
    pages = [pattern for pattern in urls.urlpatterns if isinstance(pattern, URLPattern)]
    (pattern,) = (pattern for pattern in pages if pattern.name == name)
    return reverse(name, kwargs={key: values[key] for key in pattern.pattern.converters})


def status(client: Client, method: str, url: str) -> int:
    """Return the status of an answer. The answer is read to its end, because a file stays open otherwise."""
    response = getattr(client, method)(url)
    text(response)
    return int(response.status_code)


def text(response: HttpResponseBase) -> str:
    """Return all text of an answer, also in archives and tables."""
    body = b"".join(response) if response.streaming else response.content  # type: ignore[attr-defined]
    if body.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            return "".join(unpacked(archive.read(name)) for name in archive.namelist())
    return unpacked(body) + str(response.headers)


def unpacked(body: bytes) -> str:
    if body.startswith(b"PAR1"):
        return str(pq.read_table(io.BytesIO(body)).to_pylist())
    return body.decode(errors="replace")


def named_addresses(found: list[Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the name of each address, as the guard sees it, with its route."""
    for one in found:
        if isinstance(one, URLResolver):
            yield from named_addresses(one.url_patterns, f"{one.namespace}:" if one.namespace else before)
        else:
            yield f"{before}{one.name}", str(one.pattern)


def test_every_address_is_in_the_table() -> None:
    found = {name for name, _route in named_addresses(urls.urlpatterns)}
    assert found == {*ADDRESSES, *OPERATIONS}, "a new address gets a line in annotation.web.access.who_may"
    roots = {str(one.pattern) for one in get_resolver().url_patterns if isinstance(one, URLResolver)}
    assert roots == {"admin/", "accounts/", "accounts/2fa/", ""}, "a new part of the site is walked here, too"
    assert all(root == "" or root.startswith(tuple(PARTS)) for root in roots)


def visitors(study: Study) -> dict[str, tuple[Client, Who]]:
    """Return a client of each kind of visitor, with what they are in the table's words."""
    other = make_study(slug="other-study")
    people = {"stranger": Client(), "annotator": Client(), "other annotator": Client()}
    for name, of in (("annotator", study), ("other annotator", other)):
        person = of.annotators.first() or invite(study=of, label="Ben")
        people[name].get(f"/a/{person.token}/")
    found = {name: (client, Who.ANYONE) for name, client in people.items()}
    found["account without a role"] = (logged_in(User.objects.create_user("outsider")), Who.ANYONE)
    maker = member(study, "")
    maker.user_permissions.add(Permission.objects.get(codename="add_study"))
    found["researcher without a share"] = (logged_in(maker), Who.RESEARCHER)
    for role in Role:
        found[role] = (logged_in(member(study, role)), Who[role.name])
    found["admin"] = (logged_in(User.objects.create_superuser("admin")), Who.ADMIN)
    return found


def refusals_of(name: str, visitor: Who, needed: Who) -> set[int]:
    """Return the statuses with which this visitor is refused; empty if they may."""
    if visitor == Who.ANYONE:
        return {404} if name == "account without a role" else {302}
    if needed == Who.MAKER:  # a permission of the account, whatever its roles are
        return set() if name in ("researcher without a share", "admin") else {403}
    if ROLES.index(visitor) >= ROLES.index(needed):
        return set()
    is_of_a_study = needed in (Who.VIEWER, Who.EDITOR, Who.OWNER)
    return {404} if visitor == Who.RESEARCHER and is_of_a_study else {403}


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_table_holds_for_each_kind_of_visitor(study: Study, method: str) -> None:
    walked = visitors(study)
    for address_name, access in ADDRESSES.items():
        needed = getattr(access, method)
        if Who.ANYONE in access:  # by a link: the tests of its page try wrong ones
            continue
        url = address(address_name, study)
        for name, (client, who) in walked.items():
            found = status(client, method, url)
            refused = refusals_of(name, who, needed or access.get or access.post or Who.ADMIN)
            expected = refused or ({405} if needed is None else MAY[method])
            assert found in expected, (address_name, method, name)


def test_the_number_of_a_row_of_another_study_opens_nothing(study: Study) -> None:
    """An owner of one study who guesses the numbers of another study's rows, in addresses, in forms and by a token."""
    own = make_study(slug="own")
    owner, root = member(own, Role.OWNER), User.objects.create_superuser("root")
    images = {"files": [{"path": "a.zip", "bytes": 1}], "files_sha256": "1", "byte_count": 1}
    upload = Upload.objects.create(study=study, account=root, kind="images", folder="f", **images)
    link, report = create_report_link(study=study), ImageReport.objects.get()
    numbers = {"upload_id": upload.pk, "link_id": link.pk, "report_id": report.pk}
    numbers |= {"annotator_id": study.annotators.get().pk}
    _token, secret = create_token(account=owner, name="t", scopes=Scope.values, days=1)
    page, script = logged_in(owner), Client(headers={"authorization": f"Bearer {secret}"})
    walked = 0
    for route, pattern in patterns(urls.urlpatterns):
        keys = set(pattern.pattern.converters)
        if not keys & numbers.keys():
            continue
        is_by_token = route.startswith("api/")
        values = {"slug": "own", "file": 0, "piece": 0, **numbers}
        url = reverse(
            f"api:{pattern.name}" if is_by_token else str(pattern.name), kwargs={key: values[key] for key in keys}
        )
        url += f"?file=0&piece=0&sha256={'0' * 64}" if url.endswith("/pieces") else ""
        found = {status(script if is_by_token else page, method, url) for method in ("get", "post", "delete")}
        assert found in ({404, 405}, {404}, {405, 409} if "link_id" in keys else {404}), url
        walked += 1
    assert walked >= 11
    for form, address_name in (({"revoke": link.pk}, "report-links"), ({"account": "root", "role": "none"}, "sharing")):
        page.post(reverse(address_name, args=["own"]), form)
    assert Upload.objects.filter(pk=upload.pk, is_received=False).exists()
    assert study.report_links.filter(revoked_at=None).exists()
    assert study.annotators.get().external_id == PERSONAL["external_id"]


def test_what_is_not_in_the_table_is_refused_to_all_but_admins(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ADDRESSES, "study")
    for name, (client, who) in visitors(study).items():
        assert (status(client, "get", study.get_absolute_url()) == 200) == (who == Who.ADMIN), name


def test_staff_who_may_only_view_see_no_credential_and_no_answer(
    study: Study, viewer: Client, researcher: Client
) -> None:
    pages = [address(name, study) for name, needs in ADDRESSES.items() if needs.get == Who.VIEWER]
    person = study.annotators.earliest("pk")
    search = f"/admin/annotation/annotator/?q={person.external_id}"
    pages += [search, "/studies/plan/?study=study", "/admin/", "/api/v1/openapi.json"]
    for page in pages:
        shown = text(viewer.get(page)).replace(f"q={person.external_id}", "")
        shown = shown.replace(f'value="{person.external_id}"', "")
        assert [one for one in secrets_of(study) if one in shown] == [], page
    assert ">Ada<" not in text(viewer.get(search)), "no guess of an id is confirmed"
    shown = text(researcher.get(f"{study.get_absolute_url()}invitations/"))
    assert study.open_link_token in shown
    assert person.token in shown


def test_an_annotator_is_added_or_changed_only_by_an_editor_of_the_study(study: Study, viewer: Client) -> None:
    person, other = study.annotators.get(), make_study(slug="other-study")
    add = reverse("admin:annotation_annotator_add")
    change = reverse("admin:annotation_annotator_change", args=[person.pk])
    new = {"study": study.pk, "label": "Grace"}
    assert status(viewer, "get", add) == 403
    for place in (add, change):
        assert viewer.post(place, new).status_code == 403, place
    assert study.annotators.get().label == "Ada"
    assert status(viewer, "get", change) == 200
    editor = logged_in(member(study, Role.EDITOR))
    for place in (add, change):
        assert editor.post(place, new).status_code == 302, place
    assert set(study.annotators.values_list("label", flat=True)) == {"Grace"}
    assert study.annotators.count() == 2
    assert editor.post(add, new | {"study": other.pk}).status_code == 200, "the form has no such choice"
    assert not other.annotators.exists()


def test_no_filter_of_the_admin_confirms_a_guess(study: Study, viewer: Client) -> None:
    person, annotators = study.annotators.get(), reverse("admin:annotation_annotator_changelist")
    for name in ("token", "resume_code", "external_id", "platform_parameters__SESSION_ID", "answers__value"):
        for guess in (f"{name}__startswith=5", f"{name}={getattr(person, name, '')}", f"{name}__gte=a"):
            assert status(viewer, "get", f"{annotators}?{guess}") == 400, guess
    studies = reverse("admin:annotation_study_changelist")
    assert status(viewer, "get", f"{studies}?open_link_token__startswith={study.open_link_token[0]}") == 400
    for offered in (f"{annotators}?study__id__exact={study.pk}&kind__exact=personal", f"{studies}?state__exact=open"):
        assert status(viewer, "get", offered) == 200, offered


def test_the_admin_shows_no_secret_of_a_second_factor(viewer: Client) -> None:
    owner = User.objects.create_user("owner", is_staff=True)
    factor = Authenticator.objects.create(user=owner, type="totp", data={"secret": "JBSWY3DPEHPK3PXP"})
    listed = reverse("admin:mfa_authenticator_changelist")
    shown = viewer.get(reverse("admin:mfa_authenticator_change", args=[factor.pk]))
    assert (shown.status_code, "JBSWY3DPEHPK3PXP" in text(shown)) == (200, False)
    assert status(viewer, "get", f"{listed}?data__secret__startswith=J") == 400
    assert status(viewer, "get", f"{listed}?type__exact=totp") == 200


def admin_addresses(study: Study) -> list[str]:
    """Return every address of studies and annotators in the admin."""
    found = []
    for route, _ in patterns(get_resolver().url_patterns):
        if route.startswith("admin/annotation/"):
            pk = study.annotators.earliest("pk").pk if "/annotator/" in route else study.pk
            found.append("/" + re.sub(r"<\w+:(object_id|pk)>", str(pk), route).replace("<str:name>", "pause"))
    return found


def test_the_admin_shows_a_study_only_to_those_it_is_shared_with(study: Study, viewer: Client) -> None:
    bare = User.objects.create_user("bare", is_staff=True)
    bare.user_permissions.set(Permission.objects.all())  # no permission of Django's opens a study that is not shared
    addresses, event_count = admin_addresses(study), study.events.count()
    assert len(addresses) > 10
    for url in addresses:
        assert "<" not in url, "a new kind of address is walked here, too"
        assert status(Client(), "get", url) == 302, url
        assert [one for one in secrets_of(study) if one in text(viewer.get(url, follow=True))] == [], url
        for method in ("get", "post"):
            shown = text(getattr(logged_in(bare), method)(url, follow=True))
            assert [one for one in (*secrets_of(study), study.name, "Ada") if f">{one}<" in shown] == [], url
        assert status(viewer, "post", url) in {200, 302, 403, 404}, url
    kept = Study.objects.get(pk=study.pk)
    assert (kept.state, kept.annotators.count(), kept.events.count()) == ("open", 1, event_count)


def test_the_annotators_page_says_why_there_are_no_links(study: Study, viewer: Client, researcher: Client) -> None:
    page, said = study.get_absolute_url(), "Your account cannot see links and answers"
    shown = viewer.get(page).content.decode() + viewer.get(f"{page}annotators/").content.decode()
    assert said in shown
    for act in ("invitations.csv", "answers.csv", "payment.csv", "do/pause/", "invitations/", "free/", "returned/"):
        assert f'{page}{act}"' not in shown
    assert said not in researcher.get(f"{page}annotators/").content.decode()


def test_no_download_of_a_report_names_a_person(viewer: Client) -> None:
    study = make_voted_study(crossed([[4, 1], [1, 4]]))
    StudyShare.objects.create(study=study, account=User.objects.get(username="viewer"), role=Role.VIEWER)
    give_personal_data(study.annotators.earliest("pk"))
    for name in ("json", "parquet", "bundle"):  # every format is written from what these hold
        shown = text(viewer.get(reverse("report-file", args=[study.slug, name])))
        assert [one for one in [*secrets_of(study), "person 0"] if one in shown] == [], name
