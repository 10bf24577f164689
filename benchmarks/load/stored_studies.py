"""Make an open study of any size for the benchmark's votes, and stored votes that are labelled as synthetic.

The rows are made inside the database, so that millions take minutes. No image is made, because the API names images
but opens none.
"""

from typing import Any

import numpy as np
from django.db import connection, models, transaction
from django.utils import timezone

from annotation.models import Annotator, Assignment, Comparison, ManifestVersion, Study, StudyModel, Vote
from annotation.studies.documents import document, sha256
from annotation.studies.manifest import Manifest
from annotation.voting.slots import recounted
from generation.models import DiffusionModel, GeneratedImage, ImageSet, Prompt
from scoring.models import Encoder, ImageEmbedding, SetScore

IMAGES_PER_SET = 20
MODELS = ("Synthetic A", "Synthetic B")


def open_study(*, slug: str, comparisons: int, overlap: int, is_analysed: bool = True, **changes: Any) -> Study:
    """Make an open study with the defaults of a study file, two sets of IMAGES_PER_SET images for each comparison.

    changes: other tables of the manifest. Without `is_analysed` the caller refreshes the planner's statistics.
    """
    manifest = Manifest.model_validate(
        {
            "name": f"Load {slug}",
            "slug": slug,
            "source": "images",
            "notice": "Synthetic: a benchmark's study, its votes are made by a program.",
            "model_a": {"name": MODELS[0]},
            "model_b": {"name": MODELS[1]},
            "prompts": [{"text": f"{slug} {position}"} for position in range(comparisons)],
            "annotation": {"overlap": overlap, "comparisons_per_annotator": min(comparisons, 100_000)},
            **changes,
        }
    )
    models = [DiffusionModel.objects.get_or_create(name=name)[0] for name in MODELS]
    digest = sha256(manifest)
    with transaction.atomic():
        study = Study.objects.create(
            slug=slug, name=manifest.name, source="images", state="open", opened_at=timezone.now(),
            manifest_sha256=digest,
        )  # fmt: skip
        for position, (key, model) in enumerate(zip("ab", models, strict=True)):
            StudyModel.objects.create(study=study, position=position, key=key, diffusion_model=model)
        ManifestVersion.objects.create(study=study, number=1, document=document(manifest), sha256=digest)
        prompts = Prompt.objects.bulk_create((Prompt(text=prompt.text) for prompt in manifest.prompts), batch_size=1000)
        _make_sets(study, first=prompts[0].pk, last=prompts[-1].pk)
        _make_comparisons(study, overlap, first=prompts[0].pk, last=prompts[-1].pk)
    if is_analysed:
        analyse()
    return study


def store_scores(study: Study, *, with_embeddings: bool = False) -> None:
    """Store a score of every set by the study's own metric, and optionally an embedding of every image."""
    metric = Manifest.model_validate(study.manifest_versions.latest("number").document).encoder.metric
    of_these = (
        "FROM generation_imageset s JOIN annotation_comparison c ON c.image_set_a_id = s.id OR c.image_set_b_id = s.id "
        f"WHERE c.study_id = {study.pk}"
    )
    score = {"metric": f"'{metric}'", "value": "60 + s.id * 7919 % 3001 * 0.01", "source": "'computed'"}
    _insert(SetScore, of_these, image_set="s.id", image_count=str(IMAGES_PER_SET), **score)
    if with_embeddings:
        identity = metric.removeprefix("scs/")
        Encoder.objects.get_or_create(identity=identity, defaults={"fingerprint": "0" * 64})
        images = of_these.replace(" WHERE", " JOIN generation_generatedimage i ON i.image_set_id = s.id WHERE")
        vector = np.arange(1, 5, dtype="<f4").tobytes().hex()
        _insert(
            ImageEmbedding,
            images,
            image="i.id",
            encoder=f"'{identity}'",
            dimension="4",
            vector=f"decode('{vector}', 'hex')" if _is_postgresql() else f"x'{vector}'",
        )


def _make_sets(study: Study, *, first: int, last: int) -> None:
    listed = list(range(IMAGES_PER_SET))
    for offset, model in enumerate(study.diffusion_models):
        number = f"p.id * 2 + {offset}"
        _insert(
            ImageSet,
            f"FROM generation_prompt p WHERE p.id BETWEEN {first} AND {last}",
            uid=_uuid(number),
            diffusion_model=str(model.pk),
            prompt="p.id",
            origin="'imported'",
            rendered_prompt="p.text",
            seeds=f"CAST('{listed}' AS jsonb)" if _is_postgresql() else f"'{listed}'",
            fingerprint=_hex(number, 64),
        )
    seeds = f"WITH RECURSIVE n(seed) AS (SELECT 0 UNION ALL SELECT seed + 1 FROM n WHERE seed < {IMAGES_PER_SET - 1}) "
    of_these = f"FROM generation_imageset s CROSS JOIN n WHERE s.prompt_id BETWEEN {first} AND {last} ORDER BY s.id"
    numbers = {"width": "8", "height": "8", "byte_count": "1"}
    _insert(
        GeneratedImage, of_these, seeds, image_set="s.id", seed="n.seed", path="''", sha256=_hex("0", 64), **numbers
    )


def _make_comparisons(study: Study, overlap: int, *, first: int, last: int) -> None:
    model_a, model_b = study.diffusion_models
    _insert(
        Comparison,
        "FROM generation_imageset a JOIN generation_imageset b ON b.prompt_id = a.prompt_id "
        f"AND b.diffusion_model_id = {model_b.pk} WHERE a.diffusion_model_id = {model_a.pk} "
        f"AND a.prompt_id BETWEEN {first} AND {last} ORDER BY a.prompt_id",
        study=str(study.pk),
        position=f"a.prompt_id - {first}",
        prompt="a.prompt_id",
        cluster="CAST(a.prompt_id AS varchar(64))",
        image_set_a="a.id",
        image_set_b="b.id",
        overlap=str(overlap),
    )


def annotators(study: Study, count: int) -> list[str]:
    """Make so many annotators who have read the instructions, and return their tokens."""
    now = timezone.now()
    rows = [
        Annotator(study=study, kind="personal", label="synthetic", seed=1000 + number, instructions_read_at=now)
        for number in range(count)
    ]
    return [row.token for row in Annotator.objects.bulk_create(rows)]


def store_votes(*, slug: str, comparisons: int, count: int, **changes: Any) -> Study:
    """Make a closed study with at least `count` votes, equally many on each comparison, by simulated annotators."""
    each = -(-count // comparisons)
    study = open_study(slug=slug, comparisons=comparisons, overlap=each, **changes)
    rows = [Annotator(study=study, kind="simulated", label="synthetic") for _ in range(each)]
    for annotator in Annotator.objects.bulk_create(rows):
        _vote_on_everything(study, annotator)
    study.comparisons.update(slot_count=each, vote_count=each, **recounted())
    now = timezone.now()
    Study.objects.filter(pk=study.pk).update(state="closed", closed_at=now)
    analyse()
    return study


def _vote_on_everything(study: Study, annotator: Annotator) -> None:
    shown = {f"{side}_images": _image_list(f"c.image_set_{letter}_id") for side, letter in _SIDES}
    _insert(
        Assignment,
        f"FROM annotation_comparison c WHERE c.study_id = {study.pk}",
        comparison="c.id",
        annotator=str(annotator.pk),
        state="'voted'",
        left_model="'a'",
        rendition="'grid'",
        leased_at="CURRENT_TIMESTAMP",
        **shown,
    )
    _insert(
        Vote,
        f"FROM annotation_assignment s WHERE s.annotator_id = {annotator.pk}",
        id=_uuid("s.id"),
        assignment="s.id",
        choice="CASE WHEN s.id % 3 = 0 THEN 'right' ELSE 'left' END",
        response_ms="1000 + s.id % 7000",
        shown_at="CURRENT_TIMESTAMP",
        voted_at="CURRENT_TIMESTAMP",
        received_at="CURRENT_TIMESTAMP",
    )


_SIDES = (("left", "a"), ("right", "b"))


def _insert(model: type[models.Model], source: str, prefix: str = "", /, **expressions: str) -> None:
    """Run INSERT ... SELECT: a field gets its SQL expression, else its default."""
    names, parts, parameters = [], [], []
    for field in model._meta.concrete_fields:
        if isinstance(field, models.AutoField):
            continue
        names.append(connection.ops.quote_name(str(field.column)))
        if expression := expressions.pop(field.name, ""):
            parts.append(expression.replace("%", "%%"))
        else:
            value = timezone.now() if getattr(field, "auto_now_add", False) else field.get_default()
            parts.append(f"CAST(%s AS {field.db_type(connection)})" if _is_postgresql() else "%s")
            parameters.append(field.get_db_prep_save(value, connection=connection))
    if expressions:
        raise ValueError(f"{model.__name__} has no {', '.join(expressions)}")
    into = f"INSERT INTO {model._meta.db_table} ({', '.join(names)})"
    _execute(f"{prefix}{into} SELECT {', '.join(parts)} {source}", parameters)


def _execute(sql: str, parameters: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def _image_list(image_set: str) -> str:
    """Return SQL for the JSON list of a set's image ids."""
    join = "string_agg(CAST(i.id AS text), ', ')" if _is_postgresql() else "group_concat(i.id, ', ')"
    listed = f"(SELECT '[' || {join} || ']' FROM generation_generatedimage i WHERE i.image_set_id = {image_set})"
    return f"CAST({listed} AS jsonb)" if _is_postgresql() else listed


def _hex(number: str, digits: int) -> str:
    """Return SQL for a number in so many hexadecimal digits."""
    return f"lpad(to_hex({number}), {digits}, '0')" if _is_postgresql() else f"printf('%0{digits}x', {number})"


def _uuid(number: str) -> str:
    """Return SQL for a UUID with this number, in this database's form."""
    return f"CAST({_hex(number, 32)} AS uuid)" if _is_postgresql() else _hex(number, 32)


def _is_postgresql() -> bool:
    return connection.vendor == "postgresql"


def analyse() -> None:
    """Refresh the statistics of PostgreSQL's planner, as autovacuum would do later.

    It does nothing on SQLite, where Semblance keeps no statistics and plans by the indexes alone: statistics from
    before the study grew would make it read whole tables.
    """
    if _is_postgresql():
        _execute("VACUUM ANALYZE", [])
