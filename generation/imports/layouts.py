"""Find model, prompt and seed of every image file in a folder, and the files without them.

Two layouts: folders named `<model>/<prompt>/<seed>.jpg`, and a flat CSV manifest with the columns path, model,
prompt, seed. Reads names and the manifest, never an image.
"""

import os
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from generation.models import MOST_PROMPT_BYTES, DiffusionModel
from generation.plans.image_sets import LARGEST_SEED
from generation.tables.columns import Columns
from generation.tables.reading import open_table
from generation.weights.checkpoints import on_disk
from jobs.refusals import Refused
from jobs.wording import hidden_character

MANIFEST = "manifest.csv"
COLUMNS = ("path", "model", "prompt", "seed")
# Files and folders that file managers and archivers create; names that begin with a dot are ignored as well.
LEFT_BEHIND = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "lost+found"}


_OF_MANIFESTS = ("", ".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".parquet")


@dataclass(frozen=True)
class Fault:
    """A file or line that is refused, and the reason."""

    where: str
    reason: str

    def __str__(self) -> str:
        """Return one line without control characters, which could break the line or control the terminal."""
        said = f"{self.where} {self.reason}"
        return "".join("\ufffd" if unicodedata.category(sign) == "Cc" else sign for sign in said)


@dataclass
class PromptFiles:
    """The files of one prompt of one model, by seed, and the faults among them."""

    model: str
    prompt: str
    files: dict[int, Path] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def __str__(self) -> str:
        return shown(f"{self.model}/{self.prompt}")

    def add(self, seed: str, path: Path, where: str) -> None:
        """Add a file, or a fault with the reason why it is refused."""
        number = _seed(seed)
        if number is None:
            wanted = f"a whole number from 0 to {LARGEST_SEED}"
            self.faults.append(Fault(where, f"does not say its seed: “{shown(seed)}” is not {wanted}"))
        elif number in self.files:
            self.faults.append(Fault(where, f"has seed {number}, as another file of this prompt has"))
        else:
            self.files[number] = path


@dataclass
class Layout:
    """The content of a folder or a manifest: the prompts in order, and the files that belong to none."""

    prompts: list[PromptFiles] = field(default_factory=list)
    strays: list[Fault] = field(default_factory=list)


def read_layout(folder: Path, *, model: str | None) -> Layout:
    """Read the prompts of a CSV manifest, which is `folder` itself or its manifest.csv; without one, of its folders.

    With `model` only this model's images are read: in FOLDER/model if that exists, else in FOLDER itself.
    Raises Refused if there are no images, and for an invalid manifest.
    """
    if not on_disk(folder):
        raise Refused(f"There is no {folder}.")
    if not folder.is_dir() and not (folder.is_file() and folder.suffix.lower() in _OF_MANIFESTS):
        raise Refused(
            f"{folder} is not a folder: give the folder that holds the images as <model>/<prompt>/<seed>.jpg, or a "
            "manifest in CSV; unpack an archive first."
        )
    manifest = folder if folder.is_file() else folder / MANIFEST
    try:
        layout = _from_manifest(manifest, model) if manifest.is_file() else _from_folders(folder, model)
    except OSError as error:
        raise Refused(f"{shown(str(error.filename))} cannot be read: {error.strerror}.") from None
    if not layout.prompts:
        of_model = f" of the model {model}" if model else ""
        raise Refused(f"{folder} holds no images{of_model}: it needs <model>/<prompt>/<seed>.jpg or a {MANIFEST}.")
    first: dict[tuple[str, str], PromptFiles] = {}
    for prompt in layout.prompts:
        _check_names(prompt)
        if first.setdefault((prompt.model, prompt.prompt), prompt) is not prompt:
            prompt.faults.append(Fault(str(prompt), "is there twice, in folders whose names only look different"))
        if len(prompt.prompt.encode("utf-8", "surrogateescape")) > MOST_PROMPT_BYTES:
            prompt.faults.append(Fault(str(prompt), f"has a prompt longer than {MOST_PROMPT_BYTES} bytes"))
    return layout


def is_folder_of(folder: Path, model: str) -> bool:
    """Return whether a folder is that of one model: it holds no folder named after the model, and no manifest."""
    if not folder.is_dir() or (folder / MANIFEST).is_file():
        return False
    return all(_text(child.name) != model for child in _children(folder))


def shown(name: str) -> str:
    """Return a printable name: bytes that are not UTF-8 are replaced."""
    return os.fsencode(name).decode("utf-8", "replace")


def _from_folders(folder: Path, model: str | None) -> Layout:
    layout = Layout()
    if model is None:
        for child in _children(folder):
            if child.is_dir():
                _add_model(layout, child, _text(child.name), root=folder)
            else:
                layout.strays.append(Fault(shown(child.name), "lies outside the folders of models and prompts"))
    else:
        folders = [child for child in _children(folder) if child.is_dir()]
        own = next((child for child in folders if _text(child.name) == model), None)
        if own is None and _are_models(folders):
            raise _no_such_model(folder, model, [shown(child.name) for child in folders])
        _add_model(layout, own or folder, model, root=folder)
    return layout


def _are_models(folders: list[Path]) -> bool:
    """Return whether the folders hold only folders, as those of models do and those of prompts do not."""
    try:
        return {file.is_dir() for folder in folders for file in _children(folder)} == {True}
    except OSError:  # becomes a fault of its prompt
        return False


def _add_model(layout: Layout, folder: Path, model: str, *, root: Path) -> None:
    children = _children(folder)
    if not children:
        layout.strays.append(Fault(shown(str(folder.relative_to(root))), "holds no folders of prompts"))
    for child in children:
        if not child.is_dir():
            where = shown(str(child.relative_to(root)))
            layout.strays.append(Fault(where, "lies outside the folders of models and prompts"))
            continue
        prompt = PromptFiles(model, _text(child.name))
        layout.prompts.append(prompt)
        try:
            _add_files(prompt, child, root)
        except OSError as error:
            prompt.faults.append(Fault(str(prompt), f"cannot be read ({error.strerror})"))


def _add_files(prompt: PromptFiles, folder: Path, root: Path) -> None:
    for file in _children(folder):
        where = shown(str(file.relative_to(root)))
        if _leaves(file, root):
            prompt.faults.append(Fault(where, "is a link that leads out of the folder or in a circle"))
        elif file.is_dir():
            prompt.faults.append(Fault(where, "is a folder: wanted are images named <seed>.jpg"))
        else:
            prompt.add(file.stem, file, where)


def _no_such_model(place: Path, model: str, models: Iterable[str]) -> Refused:
    return Refused(f"{place} holds no images of the model {model}; --model names one of these: {', '.join(models)}.")


def _from_manifest(manifest: Path, model: str | None) -> Layout:
    prompts: dict[tuple[str, str], PromptFiles] = {}
    others: dict[str, None] = {}
    for line, row in _rows(manifest):
        where = f"{manifest.name} line {line}:"
        if missing := [column for column in COLUMNS if not (row.get(column) or "").strip()]:
            raise Refused(f"{where} {' and '.join(missing)} must not be empty.")
        key = (_text(row["model"]), _text(row["prompt"]))
        if model not in (None, key[0]):
            others[key[0]] = None
            continue
        prompt = prompts.setdefault(key, PromptFiles(*key))
        file = manifest.parent / row["path"]
        if Path(row["path"]).is_absolute() or _leaves(file, manifest.parent):
            prompt.faults.append(Fault(where, f"the path {row['path']} leads out of the manifest's folder"))
        else:
            prompt.add(row["seed"].strip(), file, f"{where} {row['path']}")
    if model and others and not prompts:
        raise _no_such_model(manifest, model, others)
    return Layout(list(prompts.values()))


def _rows(manifest: Path) -> Iterator[tuple[int, dict[str, str]]]:
    # A file's name may contain decomposed accents and must stay unchanged.
    columns = Columns(COLUMNS, as_written=frozenset({"path"}))
    with open_table(manifest, columns) as table:
        for line, row, fault in table.rows:
            if fault:
                raise Refused(f"{manifest.name} line {line}: {fault}.")
            yield line, row


def _check_names(prompt: PromptFiles) -> None:
    longest = DiffusionModel._meta.get_field("name").max_length
    for what, name, most in (("model", prompt.model, longest), ("prompt", prompt.prompt, None)):
        if not name or shown(name) != name:
            prompt.faults.append(Fault(str(prompt), f"has a {what} whose name is empty or not UTF-8"))
        elif not name.isprintable() and any(unicodedata.category(sign) == "Cc" for sign in name):
            prompt.faults.append(Fault(str(prompt), f"has a {what} whose name holds a control character"))
        elif what == "model" and (hidden := hidden_character(name)):
            # No study file can name it.
            prompt.faults.append(
                Fault(str(prompt), f"has a model whose name holds a character that is not seen ({hidden})")
            )
        elif most is not None and len(name) > most:
            prompt.faults.append(Fault(str(prompt), f"has a {what} whose name is longer than {most} signs"))


def _leaves(file: Path, folder: Path) -> bool:
    try:
        return not file.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # circular links, or a NUL in the name
        return True


def _children(folder: Path) -> list[Path]:
    kept = (child for child in folder.iterdir() if not child.name.startswith("."))
    return sorted(child for child in kept if child.name.lower() not in LEFT_BEHIND)


def _text(name: str) -> str:
    """Return a name with composed accents, so that prompts compare equal: some file systems decompose them."""
    return unicodedata.normalize("NFC", name).strip()


def _seed(text: str) -> int | None:
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_SEED))
    return int(text) if is_number and int(text) <= LARGEST_SEED else None
