# Two commands do all the set-up: `make run` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: run test lint proto model compare bench e2e clean

run: .venv/gateway
	$(BIN)/epc-sentinel serve

test: .venv/dev .triton/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: .venv/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code

proto: .venv/dev
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python -m grpc_tools.protoc -Iprotos --python_out=service/pb --mypy_out=quiet:service/pb \
		protos/epcsentinel/v1/anomaly.proto
	$(BIN)/python -m grpc_tools.protoc -Iprotos -I$$(echo .venv/lib/python3*/site-packages) --include_imports \
		--descriptor_set_out=k8s/components/envoy/epcsentinel.binpb \
		epcsentinel/v1/anomaly.proto grpc/health/v1/health.proto google/rpc/status.proto google/rpc/error_details.proto

# Regenerates the bundled model from nothing, in a quarter of an hour on 2 cores: from one world, and from the items of
# another that it only learns from.
model: .venv/dev
	$(BIN)/epc-sentinel simulate --out data/world --epcs 60000 --seed 7
	$(BIN)/epc-sentinel simulate --out data/other --epcs 60000 --seed 17
	$(BIN)/epc-sentinel train --data data/world --truth data/world/truth.parquet --more-data data/other --epochs 40 --out runs/bundled
	$(BIN)/epc-sentinel export runs/bundled --out model_repository --version 1 --replace

# The same request on the embedded model and on a real Triton: findings and latency.
compare: .venv/dev .triton/installed
	$(BIN)/python -m tests.tools.compare_backends

# The gateway under load, embedded and on a real Triton, beside the limits of this machine.
bench: .venv/dev .triton/installed
	$(BIN)/python -m tests.tools.bench

# Every real part together, a canary's whole story, live clients: calls, losses, split, alarms.
e2e: .venv/dev .triton/installed
	$(BIN)/python -m tests.tools.e2e

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/gateway: .venv/bin/python pyproject.toml
	$(PIP) --editable .
	touch $@

.venv/dev: .venv/gateway
	$(PIP) --editable ".[dev]"
	touch $@

# The real Triton server, from a wheel. Outside the venv: its dependencies would force old numpy and protobuf.
.triton/installed:
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .triton nvidia-pytriton==0.7.0
	touch $@

clean:
	rm -rf .venv .triton data runs build *.egg-info .*_cache
