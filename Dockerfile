# The gateway and the model that it works by.
#   docker build -t epc-sentinel .
#   docker run --read-only --cap-drop ALL --stop-timeout 35 -p 50051:50051 epc-sentinel
# Settings are the variables EPC_SENTINEL_*. The stop timeout is EPC_SENTINEL_DRAIN_S and
# the 20 s after it in which a gateway is gone, whatever hangs, and something to spare.

# The Python that the tests run on. One base for both stages: the venv is bound to its interpreter and C library.
# `make base-image` writes the digest that the tag has today: Debian's corrections come that way, and no other.
FROM python:3.11-slim-trixie@sha256:90744cff8f32887f075c47d747a173ff333e9e98801667af93c357fa9f5e28ff AS base

FROM base AS build
WORKDIR /src
COPY requirements requirements
# What builds the package stays here. A file that differs from the lock by a bit is refused.
# A venv without pip: what runs has no installer. pip compiles the bytecode here, because it cannot be written later.
RUN pip install --no-cache-dir --require-hashes --requirement requirements/build.txt \
 && pip install --no-cache-dir --require-hashes --requirement requirements/compiler.txt \
 && python -m venv --without-pip /venv
# parquet, for --detection-log, would be 170 MB, as much as the rest: whoever wants it builds with
#   --build-arg LOCK=gateway-parquet
ARG LOCK=gateway
RUN pip --python /venv/bin/python install --no-cache-dir --require-hashes --requirement "requirements/${LOCK}.txt"
# No training/ and no export/: they need torch and pandas, which a gateway has not, and its image shall not change with them.
# The stage build-training adds both.
COPY pyproject.toml setup.py README.md LICENSE ./
COPY service service
# setup.py compiles with the package ziglang; a gateway that is not compiled is no image.
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --no-index --wheel-dir wheels . \
 && pip --python /venv/bin/python install --no-cache-dir --no-deps --no-index wheels/*.whl \
 && ls /venv/lib/python3.11/site-packages/service/features/journey.*.so

# The model alone, for k8s/components/model-image: docker build --target model -t epc-sentinel-model .
FROM base AS model
COPY model_repository /model_repository

# The web service, for k8s/components/web: docker build --target web -t epc-sentinel-web .
#   docker run --read-only --cap-drop ALL -p 8000:8000 -v epc-web:/var/lib/epc-sentinel -e EPC_SENTINEL_WEB_TARGET=HOST:50051 ..
FROM build AS build-web
RUN pip --python /venv/bin/python install --no-cache-dir --require-hashes --requirement requirements/web.txt

FROM base AS web
WORKDIR /app
COPY --from=build-web /venv /venv
COPY model_repository model_repository
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    EPC_SENTINEL_WEB_HOST=0.0.0.0 \
    EPC_SENTINEL_WEB_LOG_FORMAT=json \
    EPC_SENTINEL_WEB_STORE=/var/lib/epc-sentinel/findings \
    EPC_SENTINEL_WEB_UPLOADS=/var/lib/epc-sentinel/uploads
USER 65532:65532
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-c", "\
import urllib.request; \
from service.web.settings import load_web_settings; \
urllib.request.urlopen(f'http://127.0.0.1:{load_web_settings().port}/live', timeout=5)"]
ENTRYPOINT ["epc-sentinel"]
CMD ["web"]

# The training side and all commands, for k8s/components/retraining-argo:
#   docker build --target training -t epc-sentinel-train:0.1.0 .
# torch is that of PyPI, with CUDA; where pip's index has the one for processors alone: --build-arg TORCH=torch-cpu
FROM build AS build-training
ARG TORCH=torch-cuda
RUN pip --python /venv/bin/python install --no-cache-dir --require-hashes --requirement requirements/train.txt \
 && pip --python /venv/bin/python install --no-cache-dir --require-hashes --requirement "requirements/${TORCH}.txt"
COPY training training
COPY export export
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --no-index --wheel-dir wheels . \
 && pip --python /venv/bin/python install --no-cache-dir --no-deps --no-index --force-reinstall wheels/*.whl \
 && ls /venv/lib/python3.11/site-packages/training/retraining/retrain.py

FROM base AS training
WORKDIR /app
COPY --from=build-training /venv /venv
COPY model_repository model_repository
# What libraries keep for later goes to /tmp, the one folder beside the volume that a pod can write to.
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    ORT_DISABLE_TELEMETRY=1 \
    MPLCONFIGDIR=/tmp/matplotlib
USER 65532:65532
ENTRYPOINT ["epc-sentinel"]
CMD ["--help"]

FROM base
WORKDIR /app
COPY --from=build /venv /venv
COPY model_repository model_repository
# onnxruntime 1.29 and newer report home about every model unless told not to.
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    ORT_DISABLE_TELEMETRY=1 \
    EPC_SENTINEL_HOST=0.0.0.0 \
    EPC_SENTINEL_LOG_FORMAT=json
# A number, so that Kubernetes can see that it is not root. It owns no file: the gateway writes none.
USER 65532:65532
EXPOSE 50051
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-c", "\
import grpc, sys; \
from grpc_health.v1 import health_pb2 as pb, health_pb2_grpc; \
from service.settings import load_settings; \
to = load_settings(); \
at, direct = f'localhost:{to.health_port or to.port}', [('grpc.enable_http_proxy', 0)]; \
stub = health_pb2_grpc.HealthStub(grpc.insecure_channel(at, direct)); \
answer = stub.Check(pb.HealthCheckRequest(service='epcsentinel.v1.AnomalyService'), timeout=5); \
sys.exit(answer.status != pb.HealthCheckResponse.SERVING)"]
# No shell in between: SIGTERM reaches the gateway, which then drains.
ENTRYPOINT ["epc-sentinel"]
CMD ["serve"]
