"""retry_import STUDY [NUMBER]: list the uploads of a study, or try a failed import of one again."""

from typing import Any

from django.core.management.base import CommandParser

from annotation.management.base import StudyCommand
from annotation.models import Study, Upload, UploadJob
from annotation.studies.uploads.receiving import finish, may_be_retried
from jobs.refusals import Refused
from jobs.wording import command


class Command(StudyCommand):
    """Queues the import of uploaded files again, as "Try again" on the page Files does; a worker does it."""

    help = "List the uploads of a study, or try a failed import of one again. A worker does it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the study and the upload's number."""
        parser.add_argument("study", help="The study's slug.")
        parser.add_argument(
            "number", nargs="?", type=int, help="The upload's number; without it all uploads are listed."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """List the uploads, or try one again."""
        study = self.study(options["study"])
        if options["number"] is None:
            self._list(study)
            return
        upload = study.uploads.select_related("job").filter(pk=options["number"]).first()
        if upload is None:
            listing = command("retry_import", study.slug)
            raise Refused(f"{study} has no upload {options['number']}; {listing} lists them.")
        if (state := _state(upload)) != UploadJob.State.FAILED:
            raise Refused(f"{upload.name} is {state}: only an import that failed is tried again.")
        job = finish(upload=upload, actor=None)
        self.tell(id=upload.pk, name=upload.name, state=job.state)
        self.stdout.write(f"{upload.name}: its import waits for a worker again.")

    def _list(self, study: Study) -> None:
        uploads = list(study.uploads.select_related("job"))
        self.tell(uploads=[_facts(upload) for upload in uploads])
        for facts in map(_facts, uploads):
            error = f": {facts['error']}" if facts["error"] else ""
            self.stdout.write(f"{facts['id']}: {facts['kind']} from {facts['name']}, {facts['state']}{error}")
        if not uploads:
            self.stdout.write(f"{study} has no uploads.")


def _facts(upload: Upload) -> dict[str, Any]:
    job: UploadJob | None = getattr(upload, "job", None)
    return {
        "id": upload.pk,
        "kind": upload.kind,
        "name": upload.name,
        "state": _state(upload),
        "error": job.error if job else "",
        "may_be_retried": job is not None and may_be_retried(upload, job),
    }


def _state(upload: Upload) -> str:
    """Return the state of the import, or "receiving" if there is none yet."""
    job: UploadJob | None = getattr(upload, "job", None)
    return str(job.state) if job else "receiving"
