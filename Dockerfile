# syntax=docker/dockerfile:1
FROM python:3.12-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/releasebot
COPY constraints.txt pyproject.toml README.md ./
COPY bot bot
COPY commands commands
COPY integrations integrations
COPY sandbox sandbox
RUN /opt/releasebot/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM python:3.12-slim-bookworm
# git fetches and pushes; openssh-client is what git itself uses for SSH remotes.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git openssh-client tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/releasebot releasebot
COPY --from=build /opt/releasebot /opt/releasebot
ENV PATH=/opt/releasebot/bin:$PATH PYTHONUNBUFFERED=1 RELEASEBOT_CONFIG=/etc/releasebot/settings.yml
USER releasebot
WORKDIR /var/lib/releasebot
VOLUME /var/lib/releasebot
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["tini", "--", "releasebot"]
CMD ["serve"]
