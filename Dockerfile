# Two images of one source: `web` without torch, `gpu` with what samples and scores images.
#   docker build --target web . ; docker build --target gpu .

FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
WORKDIR /build
COPY pyproject.toml constraints.txt README.md ./
RUN pip install --constraint constraints.txt '.[s3,oidc]'

FROM build AS build-gpu
# As in the Makefile: torch first and alone; an index of another build of it where one is wanted.
ARG TORCH_INDEX=
RUN torch="$(sed -n 's/^ *"\(torch==[0-9.]*\)".*/\1/p' pyproject.toml)" \
    && pip install --no-deps --constraint constraints.txt "$torch" ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} \
    && pip install --constraint constraints.txt '.[generation,s3]'

FROM python:3.11-slim-bookworm AS runtime
# A fixed number, so that the owner of a volume stays the same from image to image.
RUN useradd --uid 10001 --create-home semblance \
    && install -d -o semblance -g semblance /var/lib/semblance /var/cache/huggingface
# Recorded with each image: docker build --build-arg SEMBLANCE_COMMIT=$(git rev-parse HEAD)
ARG SEMBLANCE_COMMIT=
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 SEMBLANCE_COMMIT=$SEMBLANCE_COMMIT \
    SEMBLANCE_VAR=/var/lib/semblance SEMBLANCE_STATIC=/app/staticfiles \
    HF_HOME=/var/cache/huggingface MPLCONFIGDIR=/tmp/matplotlib
WORKDIR /app
COPY manage.py ./
COPY config config
COPY generation generation
COPY jobs jobs
COPY scoring scoring
COPY annotation annotation
COPY templates templates
COPY static static
COPY locale locale
# The documents, which the web process renders at /docs/, and the sample report.
COPY docs docs

FROM runtime AS web
COPY --from=build /venv /venv
RUN SEMBLANCE_VAR=/tmp/build python manage.py collectstatic --no-input && rm -r /tmp/build && python -m compileall -q /app
USER semblance

FROM runtime AS gpu
# torch.compile builds what it compiles with it (models with compile = true).
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
COPY --from=build-gpu /venv /venv
RUN python -m compileall -q /app
USER semblance
