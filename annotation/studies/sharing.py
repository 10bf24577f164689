"""Share a study: which accounts have which role in it, which studies an account may see, and links to its report.

An admin of the installation (Django's superuser) is an owner of every study.
"""

from collections.abc import Iterable

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet
from django.utils import timezone

from annotation.models import ReportLink, Study, StudyShare
from annotation.studies.audit import record
from annotation.voting.storage.sqlite_queue import in_turn
from jobs.refusals import Refused

Role = StudyShare.Role
Account = User | AnonymousUser
_RANK = {Role.VIEWER: 1, Role.EDITOR: 2, Role.OWNER: 3}


def is_at_least(role: Role | None, needed: Role) -> bool:
    """Return whether a role includes another one: an owner may do what an editor may, an editor what a viewer may."""
    return role is not None and _RANK[role] >= _RANK[needed]


def is_researcher(account: Account) -> bool:
    """Return whether the account may open the researcher's pages. Annotators have no accounts."""
    return account.is_active and account.is_staff


def visible_studies(account: Account, *, needed: Role = Role.VIEWER) -> QuerySet[Study]:
    """Return the studies in which the account has at least the needed role."""
    if account.is_superuser and account.is_active:
        return Study.objects.all()
    if not is_researcher(account):
        return Study.objects.none()
    roles = [role for role in Role if is_at_least(role, needed)]
    return Study.objects.filter(pk__in=StudyShare.objects.filter(account=account.pk, role__in=roles).values("study"))


def role_in(account: Account, slug: str) -> Role | None:
    """Return the role of an account in the study of that slug; None without one, or without such a study."""
    if account.is_superuser and account.is_active:
        return Role.OWNER if Study.objects.filter(slug=slug).exists() else None
    if not is_researcher(account):
        return None
    share = StudyShare.objects.filter(study__slug=slug, account=account.pk).values_list("role", flat=True).first()
    return Role(share) if share else None


@in_turn
def share(*, study: Study, account: User, role: Role, actor: User | None = None) -> StudyShare:
    """Give an account a role in the study, or another one. Refused for an account that cannot open the pages.

    Refused too if the study would lose its only owner.
    """
    if not is_researcher(account):
        raise Refused(f"{account} is not a researcher's account: an admin marks it as staff first.")
    if role != Role.OWNER:
        _refuse_last_owner(study, account)
    before = role_of(study, account)
    made, _ = StudyShare.objects.update_or_create(study=study, account=account, defaults={"role": role})
    record("shared", study=study, actor=actor, account=account.get_username(), before=before, role=str(role))
    return made


@in_turn
def unshare(*, study: Study, account: User, actor: User | None = None) -> None:
    """Take an account's role in the study away. Refused if it has none, or is the only owner."""
    _refuse_last_owner(study, account)
    before = role_of(study, account)
    count, _ = StudyShare.objects.filter(study=study, account=account).delete()
    if not count:
        raise Refused(f"{study} is not shared with {account}.")
    record("share ended", study=study, actor=actor, account=account.get_username(), before=before)


def role_of(study: Study, account: User) -> str:
    """Return the role that the account was given in the study; empty without one."""
    return StudyShare.objects.filter(study=study, account=account).values_list("role", flat=True).first() or ""


def set_role(*, study: Study, name: str, role: str, actor: User | None = None) -> None:
    """Give the account of that name a role in the study; the role `none` takes it away."""
    account = User.objects.filter(username=name, study_shares__study=study).first() or researcher_called(name)
    if role == "none":
        unshare(study=study, account=account, actor=actor)
    else:
        share(study=study, account=account, role=Role(role), actor=actor)


def archive(*, study: Study, is_archived: bool, actor: User | None = None) -> None:
    """Leave the study out of the lists, or list it again. Nothing else changes; repeating it does nothing."""
    rows = Study.objects.filter(pk=study.pk, archived_at__isnull=is_archived)
    if rows.update(archived_at=timezone.now() if is_archived else None):
        record("archived" if is_archived else "listed again", study=study, actor=actor)
    study.refresh_from_db()


def roles_in(account: User, studies: Iterable[Study]) -> dict[int, Role]:
    """Return the role of an account in each of these studies, by the study's id."""
    if account.is_superuser:
        return {study.pk: Role.OWNER for study in studies}
    shares = StudyShare.objects.filter(account=account, study__in=studies).values_list("study", "role")
    return {pk: Role(role) for pk, role in shares}


def _refuse_last_owner(study: Study, account: User) -> None:
    owners = set(StudyShare.objects.filter(study=study, role=Role.OWNER).values_list("account", flat=True))
    if owners == {account.pk}:
        raise Refused(f"{account} is the only owner of {study}: make another account an owner first.")


def researcher_called(name: str) -> User:
    """Return the researcher's account of that name. Raises Refused if there is none."""
    account = User.objects.filter(username=name, is_active=True).filter(Q(is_staff=True) | Q(is_superuser=True)).first()
    if account is None:
        raise Refused(f"There is no researcher's account called {name!r}; an admin creates accounts.")
    return account


def create_report_link(*, study: Study, actor: User | None = None) -> ReportLink:
    """Create a link to the report. It shows the report from the study's closing on, until it is revoked."""
    link = ReportLink.objects.create(study=study, created_by=actor)
    record("report link created", study=study, actor=actor, link=link.pk)
    return link


def revoke_report_link(*, study: Study, link_id: int, actor: User | None = None) -> None:
    """Make a link to the report lead nowhere. Refused if the study has no such link in force."""
    links = ReportLink.objects.filter(study=study, pk=link_id, revoked_at=None)
    if not links.update(revoked_at=timezone.now()):
        raise Refused(f"{study} has no such link in force.")
    record("report link revoked", study=study, actor=actor, link=link_id)


def study_of_report_link(token: str) -> Study | None:
    """Return the study whose report this link shows; None for a revoked or unknown link."""
    link = ReportLink.objects.select_related("study").filter(token=token, revoked_at=None).first()
    return link.study if link else None
