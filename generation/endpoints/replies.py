"""The meaning of an HTTP answer: made, refused for its content, not now, or an error to mend. Pure."""

from email.utils import parsedate_to_datetime

from django.utils import timezone

from generation.endpoints.exchanges import Reply
from generation.endpoints.outcomes import Moderated, TemporaryFailure
from generation.tables.foreign_values import plain_text
from jobs.refusals import Refused

# The codes under which servers refuse a prompt or an image for its content.
MODERATION = ("moderation", "moderation_blocked", "content_policy_violation", "content_filter", "safety")
NO_MONEY = ("insufficient_quota", "billing_hard_limit_reached")
LONGEST_REASON = 300
MOST_ERROR_BYTES = 2**16
MAY_PASS = (408, 409, 425, 429)
LONGEST_WISH = 86_400.0  # seconds: a server is asked again after them, even if it wants a longer pause


def check(reply: Reply, *, owner: str) -> None:
    """Return if the answer is a success. Raises Moderated, TemporaryFailure or Refused otherwise.

    Gateways before a server send its errors with the status of a success.
    """
    may_be_error = len(reply.body) <= MOST_ERROR_BYTES  # an answer with an image is larger
    if 200 <= reply.status < 300 and not (may_be_error and reply.document().get("error")):
        return
    code, reason = _fault(reply)
    if code in MODERATION:
        raise Moderated(reason or code)
    said = f" It says: {reason}" if reason else ""
    if code in NO_MONEY:
        raise Refused(f"{owner} has no credit left ({reply.status}).{said}")
    if reply.status in MAY_PASS or reply.status >= 500:
        busy = "takes no more requests for now" if reply.status == 429 else "has a fault"
        raise TemporaryFailure(f"{owner} {busy} ({reply.status})", pause=retry_after(reply), was_refused=True)
    if reply.status in (401, 403):
        raise Refused(
            f"{owner} refuses the worker's key ({reply.status}): check key_environment or key_file, and what the key "
            f"may do.{said}"
        )
    raise Refused(f"{owner} refuses the request ({reply.status}).{said or ' It gives no reason.'}")


def retry_after(reply: Reply) -> float | None:
    """Return the seconds that the header Retry-After asks to wait, at most a day; None without one."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_WISH)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, (at - timezone.now()).total_seconds()), LONGEST_WISH) if at.tzinfo else None


def _fault(reply: Reply) -> tuple[str, str]:
    """Return the code and the reason of an error: {"error": {"code": …, "message": …}}, or simpler forms of it.

    FastAPI lists what is wrong with a request: {"detail": [{"msg": …}, …]}.
    """
    document = reply.document()
    error = document.get("error", document)
    if not isinstance(error, dict):
        return "", plain_text(error, LONGEST_REASON)
    code = plain_text(error.get("code") or error.get("type"), 100)
    said = error.get("message") or error.get("detail")
    if isinstance(said, list) and said and isinstance(said[0], dict):
        said = said[0].get("msg")
    return code, plain_text(said, LONGEST_REASON)
