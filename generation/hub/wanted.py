"""The files that a model needs from the hub, and whether they are on this machine. Needs no network and no torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from generation.hub.cache import HubListing, known_listing, snapshot
from generation.models import DiffusionModel
from generation.weights import checkpoints
from generation.weights.checkpoint_files import CheckpointFiles, Listing, choose
from generation.weights.checkpoints import LocalListing, local_listing, local_path
from generation.weights.lora_files import LoraFiles, choose_lora
from jobs.refusals import Refused


@dataclass(frozen=True)
class Wanted:
    """A pinned revision of a repository of the hub, and which of its files are used.

    `selection` says which files of the revision are wanted: the variant of a checkpoint, the file of a LoRA.
    """

    repository: str
    revision: str
    selection: str
    choose: Callable[[Listing], Sequence[str]] = field(compare=False, repr=False)
    owner: str = field(compare=False)

    @property
    def title(self) -> str:
        """The repository and the selection, for messages."""
        return f"{self.repository} ({self.selection})" if self.selection else self.repository


def wanted_of(model: DiffusionModel) -> list[Wanted]:
    """Return what a model needs of the hub; empty if it names folders of this machine only.

    Raises Refused for a folder that is not there and for a hub id that is not pinned.
    """
    wanted = []
    if model.checkpoint and local_path(model.checkpoint, revision=model.revision, owner=model.name) is None:
        wanted.append(
            Wanted(
                model.checkpoint,
                model.revision,
                model.variant,
                lambda listing: _names(choose(listing, variant=model.variant, owner=model.name)),
                model.name,
            )
        )
    if model.lora and local_path(model.lora, revision=model.lora_revision, owner=model.name) is None:
        wanted.append(
            Wanted(
                model.lora,
                model.lora_revision,
                model.lora_file,
                lambda listing: choose_lora(listing, file=model.lora_file, owner=model.name).all,
                model.name,
            )
        )
    return wanted


def _names(files: CheckpointFiles) -> tuple[str, ...]:
    return (*files.small_files, *files.weights)


def is_at_hand(model: DiffusionModel) -> bool:
    """Return whether no file of a model needs to be fetched. A job of such a model may be claimed.

    A model that cannot be used at all counts as at hand, so that its job is claimed and fails with the sentence.
    """
    try:
        wanted = wanted_of(model)
    except Refused:
        return True
    return all(is_fetched(one) for one in wanted)


def is_fetched(wanted: Wanted) -> bool:
    """Return whether every used file is in the hub's cache. A repository that cannot be used counts as fetched."""
    listing = listing_of(wanted)
    try:
        names = wanted.choose(listing)
    except OSError:  # a small file that says which others are used; fetching it says what is wrong
        return False
    except Refused:
        return listing.is_whole
    return all(listing.has(name) for name in names)


def listing_of(wanted: Wanted) -> "HubListing | LocalListing":
    """Return the repository's listing if it was fetched before, else that of the files in the cache."""
    known = known_listing(wanted.repository, wanted.revision)
    return known or LocalListing(snapshot(wanted.repository, wanted.revision), is_whole=False)


def checkpoint_at_hand(model: DiffusionModel) -> tuple[Path, CheckpointFiles]:
    """Return the folder of a model's checkpoint and its used files. Raises Refused if they are not on this machine."""
    folder = local_path(model.checkpoint, revision=model.revision, owner=model.name)
    if folder is not None:
        listing: Listing = local_listing(folder, owner=model.name)
        return folder, choose(listing, variant=model.variant, owner=model.name)
    wanted = wanted_of(model)[0]
    _refuse_unfetched(wanted)
    files = choose(listing_of(wanted), variant=model.variant, owner=model.name)
    return snapshot(wanted.repository, wanted.revision), files


def lora_at_hand(model: DiffusionModel) -> tuple[LocalListing, LoraFiles]:
    """Return the folder of a model's LoRA and its used files. Raises Refused if they are not on this machine."""
    path = local_path(model.lora, revision=model.lora_revision, owner=model.name)
    if path is None:
        wanted = wanted_of(model)[-1]
        _refuse_unfetched(wanted)
        files = choose_lora(listing_of(wanted), file=model.lora_file, owner=model.name)
        return LocalListing(snapshot(wanted.repository, wanted.revision)), files
    file = model.lora_file
    if path.is_file():
        if file and file != path.name:
            raise Refused(f"{model.name}: lora is the file {path} already; leave lora_file out.")
        path, file = path.parent, path.name
    listing = LocalListing(path)
    return listing, choose_lora(listing, file=file, owner=model.name)


def _refuse_unfetched(wanted: Wanted) -> None:
    if not is_fetched(wanted):
        raise Refused(
            f"{wanted.owner}: {checkpoints.shown(wanted.repository)} at {wanted.revision} is not on this machine yet; "
            "fetch_models fetches it, and so does a running worker."
        )
