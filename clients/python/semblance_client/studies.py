"""A study: its state, its actions, its people, its votes and its report."""

import json
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semblance_client.connection import Connection, Problem
from semblance_client.reports import Report
from semblance_client.tables import csv_frame, rows_of
from semblance_client.uploads import import_again, upload
from semblance_client.waiting import wait_for

if TYPE_CHECKING:
    from pandas import DataFrame

HOUR = 3600.0
PAGE = 200
ACCEPTED = 202  # the report is being made
Json = dict[str, Any]


class Study:
    """A study of an installation. It holds what the server said last; `refresh` asks again."""

    def __init__(self, connection: Connection, document: Json) -> None:
        self._connection, self.document = connection, document

    # --- what it is -----------------------------------------------------------------------------
    @property
    def slug(self) -> str:
        """The study's name in addresses."""
        return str(self.document["slug"])

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.document["name"])

    @property
    def state(self) -> str:
        """The state: draft, generating, scoring, ready, open, paused, closing or closed."""
        return str(self.document["state"])

    @property
    def progress(self) -> Json:
        """Counts of images, scores and votes."""
        return dict(self.document["progress"])

    @property
    def warnings(self) -> list[str]:
        """The doubts about the study, in sentences."""
        return list(self.document["warnings"])

    @property
    def actions(self) -> list[str]:
        """The actions that are possible now."""
        return list(self.document["actions"])

    @property
    def url(self) -> str:
        """The address of the study's page."""
        return f"{self._connection.url}/studies/{self.slug}/"

    def refresh(self) -> "Study":
        """Ask the server again, and return the study."""
        self.document = self._connection.call("get_study", slug=self.slug).document
        return self

    def file(self) -> str:
        """Return the study file (TOML)."""
        return self._connection.call("get_study_file", slug=self.slug).body.decode()

    def amend(self, file: str | Path, *, reason: str = "") -> "Study":
        """Change the study file: freely while the study is a draft, later only what may still change.

        file: the text, or the path of a file. reason: the report prints it, so it is needed once the study is launched.
        """
        text = file.read_text(encoding="utf-8") if isinstance(file, Path) else file
        body = {"file": text, "reason": reason}
        self.document = self._connection.call("amend_study", body=body, slug=self.slug).document
        return self

    def history(self) -> Iterator[Json]:
        """Yield who did what and when, the latest first."""
        return pages(self._connection, "get_history", slug=self.slug)

    # --- what is done with it -------------------------------------------------------------------
    def launch(self) -> "Study":
        """Launch the study: its images are made, or found among the imported ones."""
        return self._act("launch")

    def open(self) -> "Study":
        """Open the study for votes."""
        return self._act("open")

    def pause(self) -> "Study":
        """Stop the voting until the study is opened again."""
        return self._act("pause")

    def close(self) -> "Study":
        """End the voting for good, and unseal the results. It cannot be undone."""
        return self._act("close")

    def retry(self) -> "Study":
        """Queue the study's failed jobs again."""
        return self._act("retry")

    def _act(self, action: str) -> "Study":
        self.document = self._connection.call("act_on_study", slug=self.slug, action=action).document
        return self

    def archive(self, *, is_archived: bool = True) -> "Study":
        """Leave the study out of lists, or list it again."""
        operation = "archive_study" if is_archived else "unarchive_study"
        self.document = self._connection.call(operation, slug=self.slug).document
        return self

    def delete(self) -> None:
        """Delete the study. Refused once people took part."""
        self._connection.call("delete_study", slug=self.slug)

    def wait_for(self, state: str, *, seconds: float = 24 * HOUR) -> "Study":
        """Wait until the study is in this state. Raises Problem if its jobs have failed."""

        def ask() -> Study | None:
            if self.refresh().state == state:
                return self
            if self.progress["failed_job_count"] and not self.progress["running_job_count"]:
                raise Problem(f"{self.name} waits for failed jobs: {'; '.join(self.progress['failures'])}")
            return None

        return wait_for(ask, seconds=seconds, what=f"{self.name} is {state}")

    def wait_for_votes(self, *, seconds: float = 30 * 24 * HOUR) -> "Study":
        """Wait until every comparison has the votes that the study asks for."""

        def ask() -> Study | None:
            counts = self.refresh().progress
            return self if counts["complete_count"] >= counts["comparison_count"] > 0 else None

        return wait_for(ask, seconds=seconds, what=f"All votes of {self.name}")

    def make_pilot(self, *, prompts: int | None = None, overlap: int | None = None) -> "Study":
        """Create a pilot of a draft or ready study, and return it. Prompts drawn from this study are moved into it."""
        body = {name: value for name, value in (("prompts", prompts), ("overlap", overlap)) if value is not None}
        return Study(self._connection, self._connection.call("make_pilot", body=body, slug=self.slug).document)

    def pilot_result(
        self, *, agreement: float | None = None, baseline: float | None = None, seconds: float = HOUR
    ) -> Json:
        """Return what this pilot says: its pace, and once it is closed its reliability and the sample size.

        agreement, baseline: what the size assumes about the metric and about always naming one model.
        """
        query = {"agreement": agreement, "baseline": baseline}

        def ask() -> Json | None:
            answer = self._connection.call("get_pilot_result", query=query, slug=self.slug)
            return None if answer.status == ACCEPTED else answer.document

        return wait_for(ask, seconds=seconds, what=f"The result of {self.name}")

    # --- files ----------------------------------------------------------------------------------
    def upload_images(self, path: str | Path, *, model: str = "", seconds: float = 24 * HOUR) -> Json:
        """Send a zip file or a folder of images (model/prompt/seed.png), and wait until they are imported.

        model: of this model only; its folder may then be left out. `faults` of the answer names each file that was
        left out.
        """
        return self._upload(path, seconds, kind="images", model=model)

    def upload_votes(self, path: str | Path, *, seconds: float = HOUR, **options: Any) -> Json:
        """Send a file of votes. options: leave_out_blank_names, prefix, same_people."""
        return self._upload(path, seconds, kind="votes", **options)

    def upload_scores(
        self, path: str | Path, *, metric: str, higher_is_more_consistent: bool | None = None, seconds: float = HOUR
    ) -> Json:
        """Send a file of scores of a metric. A metric that is new to the study needs its direction."""
        options = {"metric": metric, "higher_is_more_consistent": higher_is_more_consistent}
        return self._upload(path, seconds, kind="scores", **options)

    def _upload(self, path: str | Path, seconds: float, **options: Any) -> Json:
        return upload(self._connection, self.slug, Path(path), seconds=seconds, **options)

    def uploads(self) -> Iterator[Json]:
        """Yield what was uploaded to the study, the newest first."""
        return pages(self._connection, "list_uploads", slug=self.slug)

    def retry_import(self, upload_id: int, *, seconds: float = 24 * HOUR) -> Json:
        """Try a failed import again, from the files that came, and wait for it; see `may_be_retried` of an upload."""
        return import_again(self._connection, self.slug, upload_id, seconds=seconds)

    def delete_upload(self, upload_id: int) -> None:
        """Delete an upload and its files. What was imported from it stays."""
        self._connection.call("delete_upload", slug=self.slug, upload_id=upload_id)

    # --- people ---------------------------------------------------------------------------------
    def invite(self, labels: Iterable[str] = (), *, count: int = 0) -> list[Json]:
        """Create personal links, one for each label, or a number of them; return each label and link."""
        body: Json = {"labels": list(labels)} if not count else {"count": count}
        return list(self._connection.call("invite", body=body, slug=self.slug).document["items"])

    def mail_invitations(self, people: Iterable[Json | str], **text: str) -> int:
        """Invite people by e-mail, and return how many mails were written; a worker sends them.

        people: addresses, or `{"address": …, "label": …}`. text: subject and message, with {link}, {study} and {name}.
        """
        listed = [{"address": one} if isinstance(one, str) else one for one in people]
        body = {"people": listed, **text}
        return int(self._connection.call("mail_invitations", body=body, slug=self.slug).document["written"])

    def remind(self, **text: str) -> int:
        """Remind everybody who was invited by e-mail and has not finished; return how many. text: as above."""
        return int(self._connection.call("remind_invited", body=text, slug=self.slug).document["written"])

    def invitation_mails(self) -> Iterator[Json]:
        """Yield what became of each invitation and reminder, the latest first."""
        return pages(self._connection, "list_invitation_mails", slug=self.slug)

    def invitations(self) -> Iterator[Json]:
        """Yield each personal link with its label."""
        return pages(self._connection, "list_invitations", slug=self.slug)

    @property
    def open_link(self) -> str:
        """The open link: anyone who has it can take part."""
        answer = self._connection.call("list_invitations", query={"limit": 1}, slug=self.slug)
        return str(answer.document["open_link"])

    def annotators(self) -> Iterator[Json]:
        """Yield what each annotator does now, how fast, and which checks they passed, in the order of arrival."""
        return pages(self._connection, "list_annotators", slug=self.slug)

    def payment(self, rate: float) -> list[Json]:
        """Return what each person who came is owed at a pay per hour, with their completion code."""
        answer = self._connection.call("get_payment", query={"rate": rate}, slug=self.slug)
        return list(answer.document["items"])

    def share(self, account: str, role: str) -> list[Json]:
        """Give an account a role (viewer, editor or owner; "none" takes it away), and return all roles."""
        body = {"account": account, "role": role}
        return list(self._connection.call("share_study", body=body, slug=self.slug).document["items"])

    def shares(self) -> list[Json]:
        """Return the accounts that have a role in the study."""
        return list(self._connection.call("list_shares", slug=self.slug).document["items"])

    def create_report_link(self) -> Json:
        """Create a link with which anyone may read the report of the closed study; `address` is the link."""
        return dict(self._connection.call("create_report_link", slug=self.slug).document)

    def report_links(self) -> list[Json]:
        """Return the links to the report that are in force."""
        return list(self._connection.call("list_report_links", slug=self.slug).document["items"])

    def revoke_report_link(self, link_id: int) -> None:
        """Revoke a link to the report."""
        self._connection.call("revoke_report_link", slug=self.slug, link_id=link_id)

    def personal_data(self) -> Json:
        """Return the record of what is stored about people: names of fields, why, how long and who sees it."""
        return dict(self._connection.call("get_personal_data_record", slug=self.slug).document)

    def erase_personal_data(self) -> Json:
        """Erase the personal data of the closed study's annotators, and return the record. It cannot be undone."""
        return dict(self._connection.call("erase_personal_data", slug=self.slug).document)

    # --- results --------------------------------------------------------------------------------
    def export_votes(self, format: str = "csv") -> bytes:  # noqa: A002 - the API's word
        """Return the file of votes as csv, jsonl or parquet. While the study is sealed it names no model."""
        return self._connection.call("export_votes", query={"format": format}, slug=self.slug).body

    def votes(self) -> list[dict[str, str]]:
        """Return every vote as a row of text."""
        return rows_of(self.export_votes())

    def votes_frame(self) -> "DataFrame":
        """Return every vote as a DataFrame. Needs pandas."""
        return csv_frame(self.export_votes())

    def metrics(self) -> list[Json]:
        """Return the metrics by which the study is scored; a report may be asked for by each of them."""
        return list(self._connection.call("list_metrics", slug=self.slug).document["items"])

    def report(self, *, metric: str = "", seconds: float = HOUR) -> Report:
        """Return the report; wait for it while a worker makes it."""
        content = self.report_file("json", metric=metric, seconds=seconds)
        return Report(json.loads(content))

    def report_file(self, format: str, *, metric: str = "", seconds: float = HOUR) -> bytes:  # noqa: A002
        """Return the report in a format of its page: html, json, csv, latex, txt, md, card, parquet ..."""
        query = {"format": format, "metric": metric or None}

        def ask() -> bytes | None:
            answer = self._connection.call("get_report", query=query, slug=self.slug)
            return None if answer.status == ACCEPTED else answer.body

        return wait_for(ask, seconds=seconds, what=f"The report of {self.name}")

    def save_report(self, path: str | Path, *, format: str = "html", metric: str = "") -> Path:  # noqa: A002
        """Write the report to a file, and return its path."""
        target = Path(path)
        target.write_bytes(self.report_file(format, metric=metric))
        return target

    def __repr__(self) -> str:
        return f"<Study {self.slug}: {self.state}>"

    def _repr_html_(self) -> str:
        counts = self.progress
        rows = (
            ("State", self.state),
            ("Images", f"{counts['image_count']} of {counts['planned_image_count']}"),
            ("Votes", f"{counts['vote_count']} of {counts['slot_total']}"),
            ("Annotators", str(counts["annotator_count"])),
            *(("Look at", warning) for warning in self.warnings),
        )
        body = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
        return f'<div><h3><a href="{escape(self.url)}">{escape(self.name)}</a></h3><table>{body}</table></div>'


def pages(connection: Connection, operation: str, **arguments: Any) -> Iterator[Json]:
    """Yield the rows of a list, asking for one page after the other."""
    query, offset = arguments.pop("query", {}), 0
    while True:
        asked = {**query, "limit": PAGE, "offset": offset}
        document = connection.call(operation, query=asked, **arguments).document
        yield from document["items"]
        offset += PAGE
        if document["next"] is None:
            return
