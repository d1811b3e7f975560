# The service in an image: docker build --tag scoreboard .
# docs/deploy.md says how to run it, and what of this has been tried.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /checkout
# The pinned packages first: a change of the code alone leaves this layer as it was. Wheels only,
# since there is no compiler here.
COPY requirements.txt requirements-dev.txt ./
RUN sed '/^--editable/d' requirements.txt >/pins.txt \
    && sed '/^--editable/d' requirements-dev.txt >/tools.txt \
    && python -m venv --without-pip /opt/scoreboard \
    && pip --python /opt/scoreboard/bin/python install --only-binary :all: --no-deps \
        --requirement /pins.txt \
    && pip install --only-binary :all: --constraint /tools.txt hatchling
COPY LICENSE README.md pyproject.toml ./
COPY sql sql
COPY src src
# The last line fails the build when the wheel came without its SQL.
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && pip --python /opt/scoreboard/bin/python install --no-deps /wheels/*.whl \
    && pip --python /opt/scoreboard/bin/python check \
    && DATABASE_URL=sqlite:////tmp/built.db /opt/scoreboard/bin/scoreboard migrate

FROM python:3.13-slim
# A number, since some clusters refuse a name: they cannot see that it is not root's. /data is for a
# SQLite file on a volume.
RUN groupadd --gid 10001 scoreboard \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin scoreboard \
    && install --directory --owner 10001 --group 10001 /data
COPY --from=build /opt/scoreboard /opt/scoreboard
ENV PATH=/opt/scoreboard/bin:$PATH \
    HOST=0.0.0.0 \
    PORT=8000
USER 10001:10001
# Not writable: without DATABASE_URL the start fails, where a file in the container would get lost.
WORKDIR /
EXPOSE 8000
STOPSIGNAL SIGTERM
# Whether the process is up. A database that is away must not get it killed: /readyz tells of that.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['PORT'] + '/healthz', timeout=2)"]
CMD ["scoreboard", "serve"]
