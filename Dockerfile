# syntax=docker/dockerfile:1

# For a release, give the digest of a base image you have looked at:
#   docker build --build-arg PYTHON=python:3.11-slim-bookworm@sha256:... .
ARG PYTHON=python:3.11-slim-bookworm

# --- Build: everything by hash, from the locks ---
FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_LINK_MODE=copy
RUN python -m pip install --quiet 'uv==0.13.9'
RUN python -m venv --without-pip /opt/confide
WORKDIR /src
COPY requirements.lock ./
# requirements.lock has no embedded engine: production runs on MongoDB, and the engine's licence is the GPL.
RUN uv pip install --python /opt/confide/bin/python --require-hashes --no-deps --compile-bytecode -r requirements.lock
COPY . .
# The build backend comes by hash too; nothing of that lock enters the image but what it built.
RUN uv build --wheel --build-constraints requirements-demo.lock --require-hashes --out-dir /dist \
 && uv pip install --python /opt/confide/bin/python --no-deps --compile-bytecode /dist/*.whl

# --- Run ---
FROM ${PYTHON}
LABEL org.opencontainers.image.title="Confide" org.opencontainers.image.licenses="Apache-2.0"
# A number, so that an orchestrator can see that it is not root.
RUN groupadd --gid 10001 confide \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin confide \
 && install --directory --owner=10001 --group=10001 --mode=0700 /data
COPY --from=build /opt/confide /opt/confide
ENV PATH=/opt/confide/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CONFIDE_HOST=0.0.0.0 \
    CONFIDE_PORT=8000 \
    CONFIDE_DATA_DIR=/data
USER 10001:10001
WORKDIR /data
# The key ring lives here, and only here: see docs/deployment.md before you copy or snapshot it.
VOLUME ["/data"]
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['CONFIDE_PORT'] + '/healthz', timeout=3).read()"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["confide"]
CMD ["serve"]
