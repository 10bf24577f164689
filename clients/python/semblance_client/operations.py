"""The operations of the API that the client calls. A test of the server compares them with its OpenAPI document."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation: its method, its path, and the names that a call may give.

    creates: whether a request may be sent again with its Idempotency-Key. repeats: whether it may without one.
    """

    method: str
    path: str
    query: tuple[str, ...] = ()
    body: tuple[str, ...] = ()
    creates: bool = False
    repeats: bool = False


_STUDY = "/studies/{slug}"
_UPLOADS = f"{_STUDY}/uploads"
_PAGE = ("limit", "offset")
_UPLOAD = (
    *("kind", "files", "model", "metric", "higher_is_more_consistent"),
    *("leave_out_blank_names", "prefix", "same_people"),
)
OPERATIONS = {
    "list_models": Operation("GET", "/models"),
    "list_workers": Operation("GET", "/installation/workers"),
    "list_jobs": Operation("GET", "/installation/jobs", query=(*_PAGE, "kind", "state")),
    "list_registered_models": Operation("GET", "/installation/models", query=_PAGE),
    "list_notices": Operation("GET", "/notices", query=(*_PAGE, "unread")),
    "read_notices": Operation("POST", "/notices/read", repeats=True),
    "list_studies": Operation("GET", "/studies", query=(*_PAGE, "state", "archived")),
    "create_study": Operation("POST", "/studies", body=("file",), creates=True),
    "check_study": Operation("POST", "/study-check", body=("file",)),
    "get_study": Operation("GET", _STUDY),
    "delete_study": Operation("DELETE", _STUDY),
    "get_study_file": Operation("GET", f"{_STUDY}/file"),
    "amend_study": Operation("POST", f"{_STUDY}/file", body=("file", "reason")),
    "act_on_study": Operation("POST", f"{_STUDY}/actions/{{action}}"),
    "make_pilot": Operation("POST", f"{_STUDY}/pilots", body=("prompts", "overlap"), creates=True),
    "get_pilot_result": Operation("GET", f"{_STUDY}/pilot", query=("agreement", "baseline")),
    "archive_study": Operation("POST", f"{_STUDY}/archive"),
    "unarchive_study": Operation("DELETE", f"{_STUDY}/archive"),
    "list_annotators": Operation("GET", f"{_STUDY}/people", query=_PAGE),
    "get_payment": Operation("GET", f"{_STUDY}/payment", query=("rate",)),
    "get_personal_data_record": Operation("GET", f"{_STUDY}/personal-data"),
    "erase_personal_data": Operation("DELETE", f"{_STUDY}/personal-data"),
    "get_history": Operation("GET", f"{_STUDY}/history", query=_PAGE),
    "list_shares": Operation("GET", f"{_STUDY}/shares"),
    "share_study": Operation("POST", f"{_STUDY}/shares", body=("account", "role")),
    "list_report_links": Operation("GET", f"{_STUDY}/report-links"),
    "create_report_link": Operation("POST", f"{_STUDY}/report-links", creates=True),
    "revoke_report_link": Operation("DELETE", f"{_STUDY}/report-links/{{link_id}}"),
    "list_invitations": Operation("GET", f"{_STUDY}/invitations", query=_PAGE),
    "invite": Operation("POST", f"{_STUDY}/invitations", body=("count", "labels"), creates=True),
    "list_invitation_mails": Operation("GET", f"{_STUDY}/invitation-mails", query=_PAGE),
    "mail_invitations": Operation(
        "POST", f"{_STUDY}/invitation-mails", body=("people", "subject", "message"), creates=True
    ),
    "remind_invited": Operation("POST", f"{_STUDY}/reminders", body=("subject", "message"), creates=True),
    "list_uploads": Operation("GET", _UPLOADS, query=_PAGE),
    "begin_upload": Operation("POST", _UPLOADS, body=_UPLOAD, repeats=True),
    "get_upload": Operation("GET", f"{_UPLOADS}/{{upload_id}}"),
    "delete_upload": Operation("DELETE", f"{_UPLOADS}/{{upload_id}}"),
    "send_piece": Operation(
        "POST", f"{_UPLOADS}/{{upload_id}}/pieces", query=("file", "piece", "sha256"), repeats=True
    ),
    "import_upload": Operation("POST", f"{_UPLOADS}/{{upload_id}}/import", repeats=True),
    "export_votes": Operation("GET", f"{_STUDY}/votes", query=("format",)),
    "list_metrics": Operation("GET", f"{_STUDY}/metrics"),
    "get_report": Operation("GET", f"{_STUDY}/report", query=("format", "metric")),
}
