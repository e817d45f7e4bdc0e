# One image for every role; the command says which role. Targets: `serve` (no torch), `gpu` (onnxruntime for CUDA) and
# `train` (with torch). docs/containers.md tells how they are used.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
# Nobody can write byte code beside the packages later, so it is compiled now. The system's certificates are trusted so that a
# base image with a house's own authority works.
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=1
COPY requirements/uv.txt /requirements/
RUN python -m pip install --no-cache-dir --require-hashes --requirement /requirements/uv.txt \
    && uv venv --python python /opt/penpress

FROM build AS serve-packages
COPY requirements/serve.txt /requirements/
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --python /opt/penpress --require-hashes --requirement /requirements/serve.txt

FROM build AS gpu-packages
COPY requirements/gpu.txt /requirements/
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --python /opt/penpress --require-hashes --requirement /requirements/gpu.txt

FROM build AS train-packages
COPY requirements/training.txt /requirements/
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --python /opt/penpress --require-hashes --requirement /requirements/training.txt

# The project alone, in an environment that is laid over the one with its packages.
FROM build AS project
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --python /opt/penpress --no-deps .

FROM ${BASE} AS runtime
LABEL org.opencontainers.image.title="Penpress" \
      org.opencontainers.image.description="Tells handwriting from print, at archive scale" \
      org.opencontainers.image.licenses="Apache-2.0"
# The user has a name because Postgres asks for it. A new named volume takes the owner of the folder it is mounted on, so
# the folders are made here.
RUN groupadd --gid 65532 penpress \
    && useradd --uid 65532 --gid 65532 --home-dir /var/lib/penpress --shell /usr/sbin/nologin penpress \
    && install --directory --owner 65532 --group 65532 --mode 0750 \
        /var/lib/penpress /var/lib/penpress/blobs /var/lib/penpress/mlflow /var/lib/penpress/models
ENV PATH=/opt/penpress/bin:$PATH \
    PENPRESS_HOME=/var/lib/penpress \
    PYTHONUNBUFFERED=1 \
    MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false \
    MLFLOW_DISABLE_TELEMETRY=true
WORKDIR /var/lib/penpress
EXPOSE 8000
STOPSIGNAL SIGTERM
# It refuses to start before there is a key: `docker run … penpress keys create NAME`, with the same volume.
CMD ["penpress", "up", "--host", "0.0.0.0"]

FROM runtime AS train
COPY --from=train-packages /opt/penpress /opt/penpress
COPY --from=project /opt/penpress /opt/penpress
USER 65532:65532

FROM runtime AS gpu
COPY --from=gpu-packages /opt/penpress /opt/penpress
# onnxruntime looks for CUDA where the linker does; the driver itself comes from the host.
RUN find /opt/penpress/lib -type d -path '*/nvidia/*/lib' >/etc/ld.so.conf.d/cuda.conf && ldconfig
COPY --from=project /opt/penpress /opt/penpress
USER 65532:65532

FROM runtime AS serve
COPY --from=serve-packages /opt/penpress /opt/penpress
COPY --from=project /opt/penpress /opt/penpress
USER 65532:65532
