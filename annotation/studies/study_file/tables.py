"""Translate the tables of a study file to the fields of a manifest: read the prompts file, draw the seeds."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import Any

from django.utils.text import slugify

from annotation.studies.manifest import Manifest
from annotation.studies.pairs import LONGEST_KEY, MODEL_KEY, drawn_seed
from annotation.studies.section import Fault, Key
from annotation.studies.study_file.fault_sentences import shown, unknown_key
from jobs.refusals import Refused
from jobs.wording import counted, hidden_character
from scoring.encoder_spec import OWN_ENCODER

# All control characters except the tab and the line feed.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
MOST_TEXT_BYTES = 64 * 2**20
FEWEST_SEEDS, MOST_SEEDS = 2, 10_000
WITHOUT_SEEDS = {
    "images": 'source is "images", and a set has as many images as import_images brings in',
    "external": 'source is "external", which has no images here',
}
Raw = dict[str, Any]


@dataclass(slots=True)
class Draft:
    """A study file translated to raw values by manifest field, and the faults found so far.

    The faults here have keys of the file. A field in `given_up` already has its fault and is not validated again.
    `prompts_file`: the file that the prompts come from, if any; prompt number i stands in its line i, from 1.
    """

    raw: Raw = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    given_up: set[str] = field(default_factory=set)
    prompts_file: str = ""

    def fault(self, key: Key, sentence: str, given_up: str = "") -> None:
        """Add a fault; `given_up` names a field that cannot be validated because of it."""
        self.faults.append(Fault(key, sentence))
        if given_up:
            self.given_up.add(given_up)

    def file_key(self, key: Key) -> Key:
        """Return a key of the manifest as a key of the file."""
        if key[0] == "seeds":
            return ("images", *key)
        if key[0] == "prompts":
            return ("prompts", "list", *key[1:])
        return key


def translate(data: Mapping[str, Any], base: Path | None) -> Draft:
    """Translate the tables of a study file, parsed as TOML, to the fields of a manifest."""
    draft = Draft()
    for place in _with_control_characters(data, ()):
        draft.fault(place, "holds a control character, which no page can show; take it out.")
    for place, name in _names(data):
        if (hidden := hidden_character(name)) and not _CONTROL.search(name):
            draft.fault(place, f"holds a character that is not seen ({hidden}); take it out.")
    tables = {"models", "prompts", "images"}
    known = (set(Manifest.model_fields) - {"seeds"}) | tables
    for key in data:
        if key not in known:
            draft.fault((key,), unknown_key((key,)))
    draft.raw = {key: value for key, value in data.items() if key in known - tables}
    _slug(draft)
    _models(draft, data.get("models", {}), base)
    _pairs(draft)
    _prompts(draft, data.get("prompts"), base)
    _images(draft, data.get("images"))
    _resolve(draft, draft.raw.get("encoder"), ("encoder",), ("checkpoint",), base)
    metrics = draft.raw.get("metrics")
    for index, metric in enumerate(metrics if isinstance(metrics, list) else ()):
        if isinstance(metric, dict):
            for key in ("encoder", "comparer"):
                _resolve(draft, metric.get(key), ("metrics", index, key), ("checkpoint",), base)
    return draft


def _slug(draft: Draft) -> None:
    name = draft.raw.get("name")
    if isinstance(name, date | time):  # without quotation marks; each text of a study file takes it
        name = name.isoformat()
    if "slug" in draft.raw or not isinstance(name, str):
        draft.given_up |= set() if "slug" in draft.raw else {"slug"}  # the missing name is already a fault
        return
    slug = slugify(name)[:100].strip("-_").replace("_", "-")
    if slug:
        draft.raw["slug"] = slug
    elif name.strip():
        draft.fault(("name",), "has no letters to draw a slug from; give slug too, like sdxl-pixart.", "slug")
    else:
        draft.given_up.add("slug")  # the empty name is already a fault


def _models(draft: Draft, models: Any, base: Path | None) -> None:
    if not isinstance(models, dict):
        draft.fault(("models",), "must be tables, [models.a], [models.b] and so on.", "models")
        return
    draft.raw["models"] = {}
    for key, table in models.items():
        if not (re.fullmatch(MODEL_KEY, key) and len(key) <= LONGEST_KEY):
            sentence = "is no name of a model's table, which has small letters, digits, hyphens and underscores, like"
            draft.fault(("models", key), f"{sentence} [models.sdxl-lora].")
            continue
        plan = dict(table) if isinstance(table, dict) else table
        _resolve(draft, plan, ("models", key), ("checkpoint", "lora"), base)
        draft.raw["models"][key] = plan


def _pairs(draft: Draft) -> None:
    """Draw the seed of a balanced design whose file has none, from the slug."""
    plan = draft.raw.get("pairs")
    if isinstance(plan, dict) and plan.get("design") == "balanced" and "seed" not in plan:
        draft.raw["pairs"] = plan | {"seed": drawn_seed(str(draft.raw.get("slug", "")))}


def _resolve(draft: Draft, table: Any, section: Key, keys: tuple[str, ...], base: Path | None) -> None:
    """Make the local paths of a table absolute; a relative one starts from the folder of the study file."""
    if isinstance(table, dict) and section[-1] == "encoder" and table.get("kind") == OWN_ENCODER:
        return  # the name of a function, which no folder can take
    for key in keys:
        value = table.get(key) if isinstance(table, dict) else None
        if not isinstance(value, str) or not value or "\0" in value:
            continue
        if base is None and value.startswith("."):
            sentence = "is a relative path, but no folder is known to start from; write the whole path, from /."
            draft.fault((*section, key), f'"{value}" {sentence}')
            table[key] = str(Path("/") / value)  # still local: no second fault about it
        else:
            table[key] = absolute_if_local(value, base)


def absolute_if_local(checkpoint: str, base: Path | None) -> str:
    """Return a checkpoint as an absolute path if it begins like a path or lies in the base folder, else unchanged."""
    if checkpoint.startswith("~") or Path(checkpoint).is_absolute():
        return str(Path(checkpoint).expanduser())
    is_local = base is not None and (checkpoint.startswith(".") or _exists(base / checkpoint))
    return str((base / checkpoint).resolve()) if base and is_local else checkpoint


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name longer than the file system allows
        return False


def _prompts(draft: Draft, table: Any, base: Path | None) -> None:
    if not isinstance(table, dict):
        draft.fault(("prompts",), "must be a table with list or file, for example [prompts] list = [...].", "prompts")
        return
    for key in table.keys() - {"file", "list"}:
        draft.fault(("prompts", key), unknown_key(("prompts", key)))
    if ("file" in table) == ("list" in table):
        draft.fault(("prompts",), "needs either list or file, one of the two.", "prompts")
    elif "file" in table:
        _prompts_file(draft, table["file"], base)
    else:
        items = table["list"]
        draft.raw["prompts"] = (
            [{"text": item} if isinstance(item, str) else item for item in items] if isinstance(items, list) else items
        )


def _prompts_file(draft: Draft, name: Any, base: Path | None) -> None:
    """Read one prompt from each line. Blank lines at the end are ignored, others are faults."""
    key = ("prompts", "file")
    if not isinstance(name, str):
        draft.fault(key, "must be the name of a text file with one prompt in each line.", "prompts")
        return
    if base is None:
        draft.fault(key, "cannot be read from here; write the prompts themselves, as list = [...].", "prompts")
        return
    try:
        lines = re.split(r"\r\n|\n|\r", read_text(base / Path(name).expanduser()).rstrip())
    except Refused as refusal:
        draft.fault(key, str(refusal), "prompts")
        return
    draft.prompts_file = name
    draft.raw["prompts"] = [{"text": line} for line in lines]
    if any(_CONTROL.search(line) for line in lines):
        draft.fault(key, "holds a control character, which no page can show; take it out.")


def _images(draft: Draft, table: Any) -> None:
    if table is None:
        return
    if draft.raw.get("source") in WITHOUT_SEEDS:
        # One sentence for the whole section: mending its keys one by one would only lead to the next fault.
        draft.fault(("images",), f"{WITHOUT_SEEDS[draft.raw['source']]}; remove the section [images].", "seeds")
        return
    if not isinstance(table, dict):
        draft.fault(("images",), "must be a table with per_set and seeds.", "seeds")
        return
    for key in table.keys() - {"per_set", "seeds"}:
        draft.fault(("images", key), unknown_key(("images", key)))
    per_set, seeds = table.get("per_set"), table.get("seeds")
    if per_set is not None and not (type(per_set) is int and FEWEST_SEEDS <= per_set <= MOST_SEEDS):
        is_list = isinstance(seeds, list)  # a list is validated even if per_set is wrong
        sentence = f"must be a whole number from {FEWEST_SEEDS} to {MOST_SEEDS}, not {shown(per_set)}."
        draft.fault(("images", "per_set"), sentence, "" if is_list else "seeds")
        draft.raw |= {"seeds": seeds} if is_list else {}
    elif isinstance(seeds, list):
        draft.raw["seeds"] = seeds
        if per_set not in (None, len(seeds)):
            draft.fault(
                ("images", "seeds"),
                f"holds {counted(len(seeds), 'seed')}, but per_set is {per_set}; "
                f"give {per_set} seeds, or leave per_set out.",
            )
    elif seeds is None:
        draft.fault(("images", "seeds"), "is missing: give a list of seeds, or a number to draw them from.", "seeds")
    elif type(seeds) is int and seeds >= 0:
        if per_set is None:
            draft.fault(("images",), "needs per_set: how many seeds to draw from the one number.", "seeds")
        else:
            draft.raw["seeds"] = list(draw_seeds(seeds, per_set))
    else:
        sentence = "must be a list of seeds, or one number, from 0, that they are drawn from."
        draft.fault(("images", "seeds"), sentence, "seeds")


def _with_control_characters(value: Any, key: Key) -> Iterator[Key]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _with_control_characters(item, (*key, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _with_control_characters(item, (*key, index))
    elif isinstance(value, str) and _CONTROL.search(value):
        yield key


def _names(data: Mapping[str, Any]) -> Iterator[tuple[Key, str]]:
    """Yield the names of the study and of its models, with their keys."""
    models = data.get("models")
    tables = models.items() if isinstance(models, dict) else ()
    named: list[tuple[Key, Any]] = [((), data), *((("models", key), table) for key, table in tables)]
    for place, table in named:
        if isinstance(table, Mapping) and isinstance(table.get("name"), str):
            yield (*place, "name"), table["name"]


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark. Raises Refused if it is not one."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_TEXT_BYTES + 1)
        if len(data) > MOST_TEXT_BYTES:  # a device, say, which has no end
            raise Refused(f"{path} is larger than {MOST_TEXT_BYTES:,} bytes, as no study file or list of prompts is.")
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise Refused(f"{path} is not a text file in UTF-8 (byte {error.start}); save it as UTF-8.") from None
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:  # a name with a zero byte
        raise Refused(f"{str(path)!r} is not the name of a file.") from None


def draw_seeds(number: int, how_many: int) -> tuple[int, ...]:
    """Draw distinct seeds below 2**32: the first four bytes of SHA-256("<number>:<i>") for i = 0, 1, 2, ...

    A seed that was already drawn is skipped, so asking for more seeds keeps the earlier ones. Python's own generator
    is not used because its sampling may change between versions.

    >>> draw_seeds(7, 3)
    (4127154647, 3617640167, 2374935413)
    """
    drawn: dict[int, None] = {}
    index = 0
    while len(drawn) < how_many:
        digest = hashlib.sha256(f"{number}:{index}".encode()).digest()
        drawn.setdefault(int.from_bytes(digest[:4], "big"))
        index += 1
    return tuple(drawn)
