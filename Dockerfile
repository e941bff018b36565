# Fixwright's image: web, relay and worker are the same one with another command (Procfile, compose.yaml).
#
# The base is named by its tag; whoever builds for a place where it must never move pins it: --build-arg BASE=debian:12-slim@sha256:...
# Every RUN line is plain shell on Debian 12 (tests/unit/test_containers.py holds it in step with the rest; docs/operations.md says what is proven).
ARG BASE=debian:12-slim

FROM ${BASE} AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements.txt requirements-build.txt ./
RUN python3 -m venv /opt/fixwright \
    && /opt/fixwright/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt \
    && /opt/fixwright/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-build.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY bot bot
COPY providers providers
COPY pipeline pipeline
RUN /opt/fixwright/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation . \
    && FIXWRIGHT_ENGINES_DIR=/opt/engines /opt/fixwright/bin/fixwright engines install

FROM ${BASE}
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap ca-certificates git python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/fixwright --shell /usr/sbin/nologin fixwright \
    && install --directory --owner=fixwright --group=fixwright --mode=0700 /var/lib/fixwright /var/lib/fixwright/state
COPY --from=build /opt/fixwright /opt/fixwright
COPY --from=build /opt/engines /opt/engines
ENV PATH=/opt/fixwright/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    FIXWRIGHT_STATE_DIR=/var/lib/fixwright/state \
    FIXWRIGHT_ENGINES_DIR=/opt/engines \
    FIXWRIGHT_HOST=0.0.0.0 \
    FIXWRIGHT_LOG_FORMAT=json
USER fixwright
VOLUME /var/lib/fixwright/state
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["fixwright", "status", "--process", "web"]
CMD ["fixwright", "web"]
