"""Each fault of a study file names ways to mend it: each leads to a valid file, and none in a circle."""

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tomli_w

from annotation.studies.study_file.reading import StudyFault, StudyFileFault, parse
from annotation.voting.rules import MOST_CHANCE

File = dict[str, Any]
Way = Callable[[File, str, re.Match[str]], None]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
MOST_STEPS = 25


def table_of(file: File, key: str) -> tuple[Any, Any]:
    """The innermost table or list of a fault's key, and the key in it."""
    *path, leaf = re.sub(r"\[(\d+)\]", lambda matched: f".{int(matched[1]) - 1}", key).split(".")
    here: Any = file
    for part in path:
        here = here[int(part)] if isinstance(here, list) else here.setdefault(part, {})
    return here, int(leaf) if isinstance(here, list) else leaf


def put(value: Any) -> Way:
    def way(file: File, key: str, _: re.Match[str]) -> None:
        table, leaf = table_of(file, key)
        table[leaf] = value

    return way


def put_at(place: str, value: Any) -> Way:
    return lambda file, _, matched: put(value)(file, matched.expand(place), matched)


def take_out(file: File, key: str, _: re.Match[str]) -> None:
    key = key.removesuffix("].text") + "]" if key.startswith("prompts") and key.endswith("].text") else key
    table, leaf = table_of(file, key)
    del table[leaf]


def take_out_named(file: File, key: str, matched: re.Match[str]) -> None:
    for name in matched[1].split(" and "):
        take_out(file, f"{key.rpartition('.')[0]}.{name}", matched)


def leave_the_rule_out(file: File, key: str, matched: re.Match[str]) -> None:
    take_out(file, key, matched)
    file["quality"]["screens_out"].remove(key.rpartition(".")[2])


def cut(file: File, key: str, matched: re.Match[str]) -> None:
    table, leaf = table_of(file, key)
    table[leaf] = table[leaf][: int(matched[1])]


def more(file: File, key: str, matched: re.Match[str]) -> None:
    """Plan one more comparison, repeat or check for a quality rule."""
    quality = file["quality"]
    match matched[1]:
        case "comparisons":
            file["prompts"]["list"].append(f"prompt {len(file['prompts']['list'])}")
        case "repeats":
            quality["repeats"] = quality.get("repeats", 0) + 1
        case _:
            quality["instructed"] = quality.get("instructed", 0) + 1


def fewer_checks(file: File, key: str, matched: re.Match[str]) -> None:
    quality, most = file["quality"], int(matched[1])
    quality["ladder"] = quality.get("ladder", [])[:most]
    most -= len(quality["ladder"])
    quality["repeats"] = min(quality.get("repeats", 0), most)
    quality["instructed"] = min(quality.get("instructed", 0), most - quality["repeats"])


def another_prompt(file: File, key: str, matched: re.Match[str]) -> None:
    file["prompts"]["list"].append(f"another prompt {len(file['prompts']['list'])}")


def another_name(file: File, key: str, matched: re.Match[str]) -> None:
    table, leaf = table_of(file, key)
    table[leaf] += "_too"


def to_the_table(file: File, key: str, matched: re.Match[str]) -> None:
    table, leaf = table_of(file, key)
    put(table.pop(leaf))(file, matched[1].replace("models.x", "models.a"), matched)


# What a reader of these words does. If a sentence offers several ways, each of them is tried.
WAYS: dict[str, tuple[Way, ...]] = {
    r"remove the section \[(\w+)\]": (put_at(r"\1", None),),
    r"[Ll]eave (?:it|the seeds) out|Leave the rule out(?!, in)|take (?:it|one) out|take it off this list": (take_out,),
    r"[Ll]eave (repeats|repeats and repeats_contradicted|too_fast|per_set) out": (take_out_named,),
    r"Leave the rule out, in screens_out too": (leave_the_rule_out,),
    r"did you mean ([\w.]+)\?": (to_the_table,),
    r"not a key of a study file[.;](?! did)": (take_out,),
    r'write source = "images"': (put_at("source", "images"),),
    r"needs a local folder or a hub id": (put("/models/x"), put("org/x")),
    r"must be the 40 digits": (put(COMMIT),),
    r"a local folder is written with": (
        lambda file, key, matched: put("/x")(file, key.replace("revision", "checkpoint"), matched),
    ),
    r"give per_set and seeds, for example": (put_at("images", {"per_set": 20, "seeds": 7}),),
    r"give a list of seeds, or a number": (put([1, 2]), put(7)),
    r"must be a list of seeds, or one number": (put([1, 2]), put(7)),
    r"must be a table with per_set and seeds": (put({"per_set": 8, "seeds": 7}),),
    r"needs per_set": (put_at("images.per_set", 8),),
    r"give (\d+) seeds": (lambda file, key, matched: put(list(range(int(matched[1]))))(file, key, matched),),
    r"a set needs at least 2 images": (put([1, 2]),),
    r"must be a whole number from (\d+)": (lambda file, key, matched: put(int(matched[1]))(file, key, matched),),
    r"occurs twice|is already prompt \d+": (take_out,),
    r"must be (?:less|greater) than or equal to ([\d.]+)": (
        lambda file, key, matched: put(type(table_of(file, key)[0][table_of(file, key)[1]])(float(matched[1])))(
            file, key, matched
        ),
    ),
    r"must be a whole number,|must be a number,": (put(3),),
    r"has no LoRA to scale": (
        lambda file, key, matched: put("/lora")(file, key.replace("lora_scale", "lora"), matched),
    ),
    r"a LoRA needs its scale": (put(0.6),),
    r"(?<=has only one; )give another prompt|has two; give another": (another_prompt,),
    r"begin at 0\.5": (put([0.5]),),
    r"raise its probability": (put(MOST_CHANCE),),
    r"plan more (\w+)": (more,),
    r"plan at most (\d+) in all": (fewer_checks,),
    r"Give at most (\d+), or": (lambda file, key, matched: put(int(matched[1]))(file, key, matched),),
    r"must be more than that": (put(60.0),),
    r"shorten annotation\.minimum_viewing_seconds": (put_at("annotation.minimum_viewing_seconds", 0.1),),
    r"give (quality\.\w+) a probability": (put_at(r"\1", 0.01),),
    r"belongs to kind = .choice.": (
        lambda file, key, matched: put("choice")(file, key.replace("choices", "kind"), matched),
    ),
    r"needs at least two choices|item; give at least 2": (put(["one", "two"]),),
    r"none of the choices": (lambda file, key, matched: put(table_of(file, key)[0]["choices"][0])(file, key, matched),),
    r"is empty; give at least": (put(["a prompt", "another"]),),
    r"has more than (\d+) items": (cut,),
    r"must come after opens_at": (put("2027-01-01T00:00:00Z"),),
    r"must begin with https": (put("https://x.example/{code}"),),
    r"is empty; give a text": (put("text"),),
    r"is empty; write a prompt": (lambda file, key, matched: put("text")(file, key.removesuffix(".text"), matched),),
    r"must contain (\{\w+\})": (lambda file, key, matched: put(matched[1])(file, key, matched),),
    r"give the study another slug|give slug too": (put_at("slug", "another"),),
    r"give each a name of its own|give the model another name|give each its own": (another_name,),
    r"needs either list or file|must be a table with list": (put({"list": ["one", "two", "three"]}),),
    r"must be a list\.": (put(["one", "two"]),),
    r"must be a text in quotation marks": (put("text"),),
    r"must be '([^']+)'": (lambda file, key, matched: put(matched[1])(file, key, matched),),
    r"must be a multiple of 8": (put(768),),
    r"name: is missing|models\.[ab]: is missing": (put({"name": "C"}),),
}


def ways_out(fault: StudyFault, file: File) -> Iterator[File]:
    """The file after each change that the sentence offers."""
    found_one = False
    for words, ways in WAYS.items():
        matched = re.search(words, str(fault))
        for way in ways if matched else ():
            assert matched
            found_one = True
            changed = copy.deepcopy(file)
            way(changed, fault.key, matched)
            yield {key: value for key, value in changed.items() if value is not None}
    assert found_one, f"no way out in {fault}"


def first_fault(file: File) -> StudyFault | None:
    try:
        parse(tomli_w.dumps(file), None)
    except StudyFileFault as refusal:
        return refusal.faults[0]
    return None


def follow(file: File, before: tuple[File, ...] = ()) -> None:
    """Try every way to its end."""
    fault = first_fault(file)
    if fault is None:
        return
    assert file not in before, f"a circle: {fault}"
    assert len(before) < MOST_STEPS, fault
    for changed in ways_out(fault, file):
        follow(changed, (*before, file))


def a_file(source: str, changes: File, prompts: int = 4) -> File:
    checkpoints = {"checkpoint": "/models/x"} if source == "generated" else {}
    file: File = {
        "name": "A study",
        "source": source,
        "models": {side: {"name": side.upper(), **checkpoints} for side in "ab"},
        "prompts": {"list": [f"p {number}" for number in range(prompts)]},
        **({"images": {"per_set": 8, "seeds": 7}} if checkpoints else {}),
    }
    for key, value in changes.items():
        table, leaf = table_of(file, key)
        table[leaf] = value
    return file


QUESTION = {"name": "age", "text": "Your age?"}
CHECK = {"text": "Which?", "choices": ["a", "b"], "answer": "a"}
FAULTY: dict[str, File] = {
    "per_set alone": {"images": {"per_set": 8}},
    "one seed for all": {"images": {"seeds": 7}},
    "a list of seeds": {"images": {"seeds": [1, 2, 3]}},
    "per_set unlike the seeds": {"images": {"per_set": 8, "seeds": [1, 2, 3]}},
    "per_set of one": {"images": {"per_set": 1, "seeds": 7}},
    "per_set of a text": {"images": {"per_set": "8"}},
    "an empty section": {"images": {"seed": 7}},
    "images is a number": {"images": 8},
    "no seeds": {"images": {"per_set": 8, "seeds": []}},
    "the same seed twice": {"images": {"seeds": [1, 1, 2]}},
    "per_set at the top": {"per_set": 8},
    "a hub id": {"models.a.checkpoint": "org/model"},
    "a revision": {"models.a.revision": COMMIT},
    "a LoRA": {"models.a.lora": "/lora"},
    "a LoRA's scale": {"models.a.lora_scale": 0.5},
    "an encoder from the hub": {"encoder": {"checkpoint": "org/encoder"}},
    "an encoder without a name": {"encoder": {"checkpoint": ""}},
    "practice": {"frame": {"practice": 2}},
    "worked examples": {"frame": {"worked_examples": 1}},
    "a question with choices": {"frame": {"questions": [{**QUESTION, "choices": ["a"]}]}},
    "a choice of one": {"frame": {"questions": [{**QUESTION, "kind": "choice", "choices": ["a"]}]}},
    "a question of another table": {"frame": {"questions": [{**QUESTION, "question": "x"}]}},
    "two questions of one name": {"frame": {"questions": [{**QUESTION}, {**QUESTION}]}},
    "a check of one choice": {"frame": {"check": [{**CHECK, "choices": ["a"]}]}},
    "another answer": {"frame": {"check": [{**CHECK, "answer": "c"}]}},
    "a ladder": {"quality": {"ladder": [0.75, 0.5]}},
    "a long ladder": {"quality": {"ladder": [0.5] * 22}},
    "an instructed item": {"quality": {"instructed": 1}},
    "repeats": {"quality": {"repeats": 2}},
    "repeats, too near": {"quality": {"repeats": 1, "repeat_distance": 2}},
    "a rule about checks": {"quality": {"checks_failed": 0.01}},
    "a rule about repeats": {"quality": {"repeats_contradicted": 0.01}},
    "a rule about repeats that slip": {"quality": {"repeats_contradicted": 0.01, "slip": 0.4}},
    "a rule about speed": {"quality": {"too_fast": 1e-9}},
    "a rule about speed, and waiting": {
        "quality": {"too_fast": 0.05},
        "annotation": {"minimum_viewing_seconds": 600.0},
    },
    "a rule about sides": {"quality": {"same_side": 0.001}},
    "screening by no rule": {"quality": {"screens_out": ["same_side"]}},
    "a chance of one": {"quality": {"same_side": 1}},
    "no way to write": {"texts": {"question": "", "instructed": "x"}},
    "closes first": {"annotation": {"opens_at": "2026-12-02T00:00:00Z", "closes_at": "2026-12-01T00:00:00Z"}},
    "an address": {"platform": {"redirect_url": "http://x"}},
    "a slug of a page": {"slug": "plan"},
    "a side": {"models.a.name": "left"},
    "the same name": {"models.b.name": "a"},
    "no template": {"models.a.prompt_template": "x"},
    "a size": {"sampling": {"width": 7}},
    "a prompt that is a number": {"prompts.list": ["a", 5]},
    "a prompt twice": {"prompts.list": ["a", "a"]},
    "an empty prompt": {"prompts.list": ["a", " "]},
    "no prompts": {"prompts.list": []},
    "another table of prompts": {"prompts": {"text": "a"}},
}
SOURCES = ("generated", "images", "external")


@pytest.mark.parametrize("changes", FAULTY.values(), ids=FAULTY.keys())
def test_no_advice_leads_in_a_circle(changes: File) -> None:
    files = [a_file(source, changes, prompts) for source in SOURCES for prompts in (1, 2, 4)]
    assert any(first_fault(file) for file in files)
    for file in files:
        follow(file)


@pytest.mark.parametrize("source", ["images", "external"])
@pytest.mark.parametrize(
    "images", [{"per_set": 8}, {"per_set": 8, "seeds": 7}, {"seeds": [1, 2]}, 8, {"seeds": -1}, {"x": 1}]
)
def test_images_made_elsewhere_take_one_answer(source: str, images: Any) -> None:
    with pytest.raises(StudyFileFault) as refused:
        parse(tomli_w.dumps(a_file(source, {"images": images})), None)
    assert [fault.key for fault in refused.value.faults] == ["images"]
    assert str(refused.value.faults[0]).endswith("remove the section [images].")
