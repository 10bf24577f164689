"""Fetch what is wanted of the hub: plan it, check the free disk, download file by file with progress."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from functools import partial

from generation.hub.answers import FetchPostponed, Passing, endpoint
from generation.hub.cache import HubListing, cache_folder, keep_listing, known_listing
from generation.hub.downloads import Pause, download, request_listing, wait, with_patience
from generation.hub.wanted import Wanted

SPARE_BYTES = 2**30  # of the disk, left free
Report = Callable[[int, int], None]  # bytes that are here, bytes in all


@dataclass(frozen=True)
class FetchPlan:
    """The used files of what is wanted, and those of them that are missing, small ones first."""

    wanted: Wanted
    listing: HubListing
    names: tuple[str, ...]

    @property
    def missing(self) -> list[str]:
        """The files that are not in the cache as a whole."""
        missing = [name for name in self.names if not self.listing.has(name)]
        return sorted(missing, key=lambda name: (self.listing.files[name].size, name))

    @property
    def byte_total(self) -> int:
        """The size of all used files."""
        return sum(self.listing.files[name].size for name in self.names)

    @property
    def bytes_missing(self) -> int:
        """The size of the missing files; parts of them may have arrived."""
        return sum(self.listing.files[name].size for name in self.missing)

    @property
    def bytes_to_come(self) -> int:
        """The bytes that will still be written."""
        parts = (self.listing.part(name) for name in self.missing)
        return max(0, self.bytes_missing - sum(part.stat().st_size for part in parts if part.exists()))


def plan_fetch(wanted: Wanted, *, pause: Pause = wait) -> FetchPlan:
    """Return which files are used; the listing and the small files that say so are fetched if they are not here.

    Raises Refused if the hub refuses or the repository cannot be used, FetchPostponed if the hub stays away.
    """
    with _as_not_now(wanted):
        listing = known_listing(wanted.repository, wanted.revision)
        if listing is None:
            listing = with_patience(partial(request_listing, wanted), has_advanced=lambda: False, pause=pause)
            keep_listing(listing)
        reading = _Reading(listing.repository, listing.revision, listing.files, wanted=wanted, pause=pause)
        return FetchPlan(wanted, listing, tuple(dict.fromkeys(wanted.choose(reading))))


@dataclass(frozen=True, kw_only=True)
class _Reading(HubListing):
    """A listing whose small files are fetched as they are read."""

    wanted: Wanted
    pause: Pause

    def read(self, name: str) -> str:
        if not self.has(name):
            download(self, name, wanted=self.wanted, arrived=lambda _bytes: None, pause=self.pause)
        return super().read(name)


def fetch(plan: FetchPlan, *, report: Report, pause: Pause = wait) -> None:
    """Download the missing files of a plan. `report` is called with the bytes that are here and the bytes in all.

    Raises Refused if the hub refuses, FetchPostponed if it stays away or the disk is full; what has arrived is kept.
    """
    check_disk([plan])
    here, total = plan.byte_total - plan.bytes_missing, plan.byte_total

    def arrived(count: int) -> None:
        nonlocal here
        here += count
        report(here, total)

    report(here, total)
    with _as_not_now(plan.wanted):
        for name in plan.missing:
            download(plan.listing, name, wanted=plan.wanted, arrived=arrived, pause=pause)


def check_disk(plans: Sequence[FetchPlan]) -> None:
    """Raise FetchPostponed if the disk of the cache has no room for what the plans still fetch."""
    needed = sum(plan.bytes_to_come for plan in plans)
    folder = cache_folder()
    place = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if needed and free < needed + SPARE_BYTES:
        names = ", ".join(dict.fromkeys(plan.wanted.title for plan in plans if plan.bytes_to_come))
        raise FetchPostponed(
            f"{names}: {in_gb(needed)} are still to fetch and only {in_gb(free)} are free in {folder} "
            f"({in_gb(SPARE_BYTES)} stay free): make room there, or set HF_HOME to a folder on a larger disk."
        )


@contextmanager
def only_fetcher(*, may_wait: bool) -> Iterator[bool]:
    """Yield whether this process is the only one that fetches into the cache now; wait for another if it may."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".semblance-fetch.lock").open("a") as lock:
        try:
            flock(lock, LOCK_EX if may_wait else LOCK_EX | LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            flock(lock, LOCK_UN)


def in_gb(count: int) -> str:
    """Return a number of bytes for people, in powers of ten, as on the hub's pages.

    >>> in_gb(13_940_000_000), in_gb(4_200_000), in_gb(12)
    ('13.9 GB', '4 MB', '1 kB')
    """
    if count >= 10**9:
        return f"{count / 10**9:.1f} GB"
    return f"{count / 10**6:.0f} MB" if count >= 10**6 else f"{max(1, round(count / 1000))} kB"


@contextmanager
def _as_not_now(wanted: Wanted) -> Iterator[None]:
    try:
        yield
    except Passing as fault:
        raise FetchPostponed(
            f"{wanted.owner}: {wanted.repository} cannot be fetched now: {endpoint()} was tried again and again, and "
            f"{fault}; what has arrived is kept."
        ) from fault
    except OSError as error:
        raise FetchPostponed(
            f"{wanted.owner}: {wanted.repository} cannot be stored in {cache_folder()}: "
            f"{error.strerror or type(error).__name__}; what has arrived is kept."
        ) from error
