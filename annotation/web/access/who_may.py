"""The table of rights: every address of the pages and every operation of the API.

`guard` enforces it, so an address that is missing here is refused to everybody.
"""

from enum import Enum
from typing import NamedTuple


class Who(Enum):
    """The visitors that an address is for. Each one includes those below it, and admins may do everything."""

    ANYONE = "anyone"  # also annotators: their link, which is in the address, is their whole credential
    RESEARCHER = "a researcher"
    MAKER = "a researcher who may make studies"
    VIEWER = "a viewer of the study"
    EDITOR = "an editor of the study"
    OWNER = "an owner of the study"
    ADMIN = "an admin of the installation"


class Access(NamedTuple):
    """The people who may GET, POST and DELETE an address; None if it refuses the method.

    is_personal: GET gives data of annotators, so that a token of the API needs the scope `data`.
    """

    get: Who | None
    post: Who | None = None
    delete: Who | None = None
    is_personal: bool = False


ANYONE, RESEARCHER, MAKER, ADMIN = Who.ANYONE, Who.RESEARCHER, Who.MAKER, Who.ADMIN
VIEWER, EDITOR, OWNER = Who.VIEWER, Who.EDITOR, Who.OWNER
MAKES_STUDIES = "annotation.add_study"  # the permission of a maker

# Parts of the site that check each visitor by themselves, by the beginning of their routes.
PARTS = {
    "admin/": "Django's admin: lists only what is shared (annotation/admin)",
    "accounts/": "allauth: an account's own pages",
}

# An annotator's link is their whole credential: with it, anyone can vote or withdraw as that annotator. So links and
# answers are for those who may change the study.
ADDRESSES = {
    "landing": Access(ANYONE),
    "image": Access(ANYONE),
    "visit": Access(ANYONE),
    "instructions": Access(ANYONE),
    "welcome": Access(ANYONE, ANYONE),
    "questions": Access(ANYONE, ANYONE),
    "start": Access(None, ANYONE),
    "practice": Access(ANYONE, ANYONE),
    "practice-feedback": Access(ANYONE),
    "check": Access(ANYONE, ANYONE),
    "end-break": Access(None, ANYONE),
    "comment": Access(None, ANYONE),
    "undo-last": Access(None, ANYONE),
    "stop": Access(ANYONE, ANYONE),
    "withdraw": Access(ANYONE, ANYONE),
    "no-mail": Access(ANYONE, ANYONE),
    "end": Access(ANYONE),
    "join": Access(ANYONE, ANYONE),
    "resume": Access(ANYONE, ANYONE),
    "shared-report": Access(ANYONE),  # with the link that an owner made
    "shared-figure": Access(ANYONE),
    "sample-report": Access(ANYONE),  # of a simulated study
    "sample-figure": Access(ANYONE),
    "docs": Access(ANYONE),  # the documents of the repository
    "document": Access(ANYONE),
    "installation-workers": Access(ADMIN),  # the admins' pages
    "readmit-card": Access(None, ADMIN),
    "installation-jobs": Access(ADMIN),
    "job-action": Access(None, ADMIN),
    "installation-models": Access(ADMIN),
    "check-model": Access(None, ADMIN),
    "try-model": Access(None, ADMIN),
    "trial-picture": Access(ADMIN),
    "installation-accounts": Access(ADMIN, ADMIN),
    "account-action": Access(None, ADMIN),
    "installation-storage": Access(ADMIN, ADMIN),
    "empty-place": Access(None, ADMIN),
    "metrics": Access(ADMIN),  # or the token METRICS_TOKEN: they name every study
    "studies": Access(RESEARCHER),
    "new-study": Access(MAKER, MAKER),
    "new-study-check": Access(None, MAKER),
    "notices": Access(RESEARCHER, RESEARCHER),
    "tokens": Access(RESEARCHER, RESEARCHER),
    "plan": Access(RESEARCHER),
    "plan-curves": Access(RESEARCHER),
    "study": Access(VIEWER),  # a viewer's page has no personal links
    "study-live": Access(VIEWER),  # what the overview's cards show
    "study-pilot": Access(VIEWER, EDITOR),
    "study-settings": Access(VIEWER, EDITOR),
    "study-images": Access(VIEWER),  # blind while the study is sealed, as the two below
    "sheet-image": Access(VIEWER),  # and only the account that the address was made for
    "images-file": Access(VIEWER),
    "images-file-progress": Access(VIEWER),
    "images-file-again": Access(None, VIEWER),
    "drop-seed": Access(None, EDITOR),
    "study-file": Access(EDITOR),  # it contains the completion codes, for which a platform pays
    "study-action": Access(EDITOR, EDITOR),
    "study-history": Access(VIEWER),
    "history-file": Access(VIEWER),
    "study-archive": Access(None, OWNER),
    "sharing": Access(OWNER, OWNER),
    "report-links": Access(None, OWNER),
    "make-invitations": Access(EDITOR, EDITOR),
    "mail-invitations": Access(None, EDITOR),
    "open-link-qr": Access(EDITOR),
    "invitation-qr": Access(EDITOR),
    "study-annotators": Access(VIEWER),  # without links, ids and answers
    "payment-file": Access(EDITOR),
    "erase-annotator": Access(OWNER, OWNER),
    "personal-data": Access(EDITOR),  # names of fields and no values; who has which role
    "personal-data-file": Access(EDITOR),
    "erase-personal-data": Access(OWNER, OWNER),
    "invitations-file": Access(EDITOR),
    "answers-file": Access(EDITOR),
    "free-annotator": Access(None, EDITOR),
    "free-returned": Access(None, EDITOR),
    "preview": Access(VIEWER, VIEWER),  # it stores nothing, and shows no completion code
    "preview-step": Access(VIEWER, VIEWER),
    "preview-image": Access(VIEWER),
    "preview-operation": Access(None, ANYONE),  # with the token of a preview's page
    "uploads": Access(EDITOR),  # names of files, which may name people
    "upload-states": Access(EDITOR),
    "begin-upload": Access(None, EDITOR),
    "send-piece": Access(None, EDITOR),
    "import-upload": Access(None, EDITOR),
    "delete-upload": Access(None, EDITOR),
    "reported": Access(VIEWER),
    "reported-image": Access(VIEWER),
    "reported-decision": Access(None, EDITOR),
    "report": Access(VIEWER),
    "report-progress": Access(VIEWER),
    "report-again": Access(None, EDITOR),
    "report-figure": Access(VIEWER),
    "report-file": Access(VIEWER),
    "report-file-progress": Access(VIEWER),
    "report-file-again": Access(None, EDITOR),
    "explorer": Access(VIEWER),
    "explored-comparison": Access(VIEWER),
    "explored-image": Access(VIEWER),
}

# The operations of the API, by the names of their addresses.
OPERATIONS = {
    "api:openapi-json": Access(ANYONE),
    "api:api-root": Access(ANYONE),
    "api:ask_next": Access(None, ANYONE),
    "api:vote": Access(None, ANYONE),
    "api:give_back": Access(None, ANYONE),
    "api:leave": Access(None, ANYONE),
    "api:report_image": Access(None, ANYONE),
    "api:undo": Access(None, ANYONE),
    "api:instructions_read": Access(None, ANYONE),
    "api:models": Access(RESEARCHER),
    "api:studies": Access(RESEARCHER, MAKER),
    "api:notices": Access(RESEARCHER),
    "api:notices-read": Access(None, RESEARCHER),
    "api:study-check": Access(None, RESEARCHER),
    "api:study": Access(VIEWER, None, OWNER),
    "api:study-file": Access(EDITOR, EDITOR, is_personal=True),  # the completion codes
    "api:action": Access(None, EDITOR),
    "api:pilots": Access(None, EDITOR),
    "api:pilot": Access(VIEWER),
    "api:archive": Access(None, OWNER, OWNER),
    "api:history": Access(VIEWER),
    "api:shares": Access(OWNER, OWNER),
    "api:links": Access(OWNER, OWNER),
    "api:link": Access(None, None, OWNER),
    "api:invitations": Access(EDITOR, EDITOR, is_personal=True),
    "api:people": Access(VIEWER),
    "api:payment": Access(EDITOR, is_personal=True),
    "api:personal-data": Access(EDITOR, None, OWNER),
    "api:invitation-mails": Access(EDITOR, EDITOR, is_personal=True),
    "api:reminders": Access(None, EDITOR),
    "api:uploads": Access(EDITOR, EDITOR),
    "api:upload": Access(EDITOR, None, EDITOR),
    "api:upload-pieces": Access(None, EDITOR),
    "api:upload-import": Access(None, EDITOR),
    "api:votes": Access(VIEWER, is_personal=True),
    "api:metrics": Access(VIEWER),
    "api:report": Access(VIEWER),
    "api:workers": Access(ADMIN),
    "api:jobs": Access(ADMIN),
    "api:registered-models": Access(ADMIN),
    "api-without-slash": Access(ANYONE, ANYONE),
}

# What names people, costs a query over all votes, or makes rows: an account gets so many of each in a minute.
MOST_A_MINUTE = 30
LIMITED = {
    *(
        (name, "GET")
        for name in ("payment-file", "answers-file", "invitations-file", "history-file", "api:votes", "api:payment")
    ),
    *((name, "POST") for name in ("make-invitations", "api:invitations", "begin-upload", "api:uploads", "tokens")),
}

# Roles in a study; the other visitors need no study in the address.
OF_A_STUDY = (VIEWER, EDITOR, OWNER)


def needed(name: str, method: str) -> Who:
    """Return who may use this address with this method; ADMIN for an address that is not in the table.

    A method that the address refuses is refused by its view, and asks for no more than the address's other method.
    """
    access = ADDRESSES.get(name) or OPERATIONS.get(name) or Access(ADMIN)
    own = {"POST": access.post, "DELETE": access.delete}.get(method, access.get)
    return own or access.get or access.post or access.delete or ADMIN


def scope(name: str, method: str) -> str:
    """Return the scope that a token needs for an operation of the API."""
    if method not in ("GET", "HEAD", "OPTIONS"):
        return "write"
    return "data" if OPERATIONS[name].is_personal else "read"
