# One image for every part: `docker run IMAGE faasight collector`, `dashboards`, `alerts`, `migrate` or `up`.
ARG PYTHON=3.11.17-slim-trixie

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY constraints.txt ./
# The build backend is pinned like everything else, so no isolated environment may fetch another.
RUN python -m pip install --constraint constraints.txt hatchling && python -m venv /opt/faasight
COPY pyproject.toml README.md LICENSE ./
COPY instrumentation/ instrumentation/
COPY alerts/faasight_alerts/ alerts/faasight_alerts/
COPY cli/faasight_cli/ cli/faasight_cli/
COPY collector/faasight_collector/ collector/faasight_collector/
COPY dashboards/faasight_dashboards/ dashboards/faasight_dashboards/
COPY emulator/faasight_emulator/ emulator/faasight_emulator/
COPY store/faasight_store/ store/faasight_store/
RUN python -m pip wheel --no-build-isolation --no-deps --wheel-dir /wheels ./instrumentation . \
    && /opt/faasight/bin/python -m pip install --constraint constraints.txt /wheels/*.whl \
    && /opt/faasight/bin/faasight version

FROM python:${PYTHON}
# The folders must exist with their owner: a new volume takes both over.
RUN groupadd --system --gid 10001 faasight \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/faasight --shell /usr/sbin/nologin faasight \
    && install --directory --owner=faasight --group=faasight --mode=0750 /var/lib/faasight /var/lib/faasight/journal /var/lib/faasight/data
COPY --from=build /opt/faasight /opt/faasight
ENV PATH=/opt/faasight/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    FAASIGHT_STORE=chdb:///var/lib/faasight/data \
    FAASIGHT_JOURNAL=/var/lib/faasight/journal \
    FAASIGHT_LOG_FORMAT=json
USER 10001:10001
WORKDIR /var/lib/faasight
EXPOSE 4317 4318 8050
STOPSIGNAL SIGTERM
# Of `faasight up` and `faasight collector`; docker-compose.yml has those of the other parts.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "faasight_cli.healthy"]
ENTRYPOINT ["faasight"]
CMD ["up"]
