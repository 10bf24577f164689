"""The meaning of an answer of the hub: a refusal that a person must mend, or a fault that passes by itself."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from generation.hub.wanted import Wanted
from jobs.refusals import Refused

LONGEST_WISH = 3600.0  # seconds: the hub is asked again after them, even if it wants a longer pause
_RESET = re.compile(r";\s*r\s*=\s*0\s*;\s*t\s*=\s*(\d+)")  # of the hub's header `ratelimit`, if nothing remains


class Passing(Exception):  # noqa: N818 - it names what happened
    """A fault that passes: the network, a busy server, a limit of requests. The message is a part of a sentence.

    is_drip: whether bytes come, but so slowly that the file would never be whole.
    """

    def __init__(self, reason: str, *, wait_seconds: float = 0.0, is_drip: bool = False) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds
        self.is_drip = is_drip


class FetchPostponed(Exception):  # noqa: N818 - it names what happened
    """Fetching cannot go on now, and may later: the hub is away, or the disk is full. The message is one sentence."""


def fault_of(status: int, headers: Mapping[str, str], *, wanted: Wanted, file: str, has_token: bool) -> Exception:
    """Return the exception for an answer that is no success: Passing or Refused."""
    if status in (408, 425, 429) or status >= 500:
        return Passing(f"it answers {status}", wait_seconds=_wished_wait(headers))
    return Refused(f"{wanted.owner}: {_sentence(status, headers.get('x-error-code', ''), wanted, file, has_token)}")


def _sentence(status: int, code: str, wanted: Wanted, file: str, has_token: bool) -> str:
    """Return what is wrong and the way out. The hub answers 401 for a repository that does not exist, too."""
    page = f"{endpoint()}/{wanted.repository}"
    give_token = "give the worker the token of an account that may read it as HF_TOKEN"  # noqa: S105
    match code, status:
        case "GatedRepo", _:
            if has_token:
                return (
                    f"{wanted.repository} is gated, and the account of HF_TOKEN has no access ({status}): "
                    f"accept its licence on {page} with that account."
                )
            return (
                f"{wanted.repository} is gated ({status}): accept its licence on {page}, "
                "and give the worker the token of that account as HF_TOKEN."
            )
        case "RevisionNotFound", _:
            return f"{wanted.repository} has no revision {wanted.revision} ({status}): correct the revision."
        case "EntryNotFound", _:
            return f"{wanted.repository} at {wanted.revision} has no file {file} ({status}): correct the revision."
        case "RepoNotFound", _:
            also = "or HF_TOKEN may not read it" if has_token else f"or it is private: {give_token}"
            return f"there is no {wanted.repository} on the hub ({status}): correct the name; {also}."
        case _, 401:
            if has_token:
                return f"the hub does not accept HF_TOKEN ({status}): give the worker a valid one."
            return f"{wanted.repository} may not be read without an account ({status}): {give_token}."
        case _, 403:
            if has_token:
                return f"HF_TOKEN may not read {wanted.repository} ({status}): give it that right, or accept {page}."
            return f"{wanted.repository} may not be read ({status}): {give_token}."
        case _, 404:
            return f"the hub has no {file or wanted.repository} at {wanted.revision} ({status}): correct the name."
        case _:
            return f"the hub refuses {wanted.repository} ({status}): open {page} to see why."


def endpoint() -> str:
    """Return the hub's address (HF_ENDPOINT)."""
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def _wished_wait(headers: Mapping[str, str]) -> float:
    """Return for how many seconds the server asks to be left alone; 0 if it does not."""
    if match := _RESET.search(headers.get("ratelimit", "")):
        return min(float(match[1]) + 1, LONGEST_WISH)
    wish = headers.get("retry-after", "").strip()
    if wish.isdecimal():
        return min(float(wish), LONGEST_WISH)
    try:
        moment = parsedate_to_datetime(wish)
    except (ValueError, OverflowError):
        return 0.0
    now = datetime.now(UTC)
    return min(
        max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now.timestamp()), LONGEST_WISH
    )
