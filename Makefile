# Two commands do all the set-up: `make run` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
# What `make lock` wrote, and nothing else: its pins are complete, so pip looks for nothing that they do not name.
LOCKED := $(PIP) --require-hashes --no-deps
# What setup.py compiles, and what that is made of.
LOOPS := $(wildcard service/api/wire.py service/detect/lookups.py service/events/*.p* service/features/*.p*)
PROTOS := $(wildcard protos/epcsentinel/v1/*.proto)
# What only tests use is compiled when one imports it: most of its files none does, and all take pip a minute.
DEV := $(LOCKED) --no-compile
OWN := $(PIP) --no-deps --no-build-isolation --editable .

# Hundreds of processes of the tests import the same modules: what one has compiled is there for all others.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run web pages test coverage lint proto model compare bench e2e gpu gpu-check lock base-image sbom clean

run: .venv/gateway
	$(BIN)/epc-sentinel serve

# The gateway and the web service in front of it, with its findings in the folder findings. Ctrl-C ends both.
web: .venv/web
	@$(BIN)/epc-sentinel serve & gateway=$$!; trap 'kill $$gateway 2>/dev/null; wait $$gateway' EXIT INT TERM; $(BIN)/epc-sentinel web

# tests/conftest.py has the order of files: the longest begin first. A third process for two cores costs tests their time limits.
test: .venv/dev .triton/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# The tests once more, with which statements they run counted, in the processes that they start too; fails under 90 %. Not in CI:
# it takes 1.4 times the processor time of `make test`.
coverage: .venv/dev .triton/installed
	rm -rf build/coverage && mkdir -p build/coverage
	$(BIN)/python -m coverage run -m pytest -n 2 --dist loadfile
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

lint: .venv/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code

proto: .venv/dev
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python -m grpc_tools.protoc -Iprotos --python_out=service/pb --mypy_out=quiet:service/pb \
		$(PROTOS)
	$(BIN)/python -m grpc_tools.protoc -Iprotos -I$$(echo .venv/lib/python3*/site-packages) --include_imports \
		--descriptor_set_out=k8s/components/envoy/epcsentinel.binpb \
		$(PROTOS:protos/%=%) grpc/health/v1/health.proto google/rpc/status.proto google/rpc/error_details.proto

# Regenerates the bundled model from nothing, in 50 minutes on 2 cores: from one world, from the items of twenty others
# that it only learns from, and from sixteen random networks with tables of their own. Its points are from four worlds more.
model: .venv/dev
	$(BIN)/epc-sentinel simulate --out data/world --epcs 60000 --seed 0
	for n in 17 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79; do $(BIN)/epc-sentinel simulate --out data/other$$n --epcs 60000 --seed $$n; done
	for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do $(BIN)/epc-sentinel simulate --out data/network$$n --epcs 8000 --network $$n; done
	echo '{"undecided_weight": 5, "most_pieces": 224}' > data/config.json
	$(BIN)/epc-sentinel train --data data/world --truth data/world/truth.parquet --config data/config.json \
		$$(printf ' --more-data data/other%s' 17 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79) \
		$$(printf ' --other-network data/network%s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16) --epochs 96 --patience 96 --out runs/bundled
	$(BIN)/epc-sentinel export runs/bundled --out model_repository --version 1 --replace
	for n in 41 42 43 44; do $(BIN)/epc-sentinel simulate --out data/check$$n --epcs 60000 --seed $$n; done
	$(BIN)/epc-sentinel points model_repository $$(printf ' --data data/check%s' 41 42 43 44) --version 1 --replace

# The same request on the embedded model and on a real Triton: findings and latency.
compare: .venv/dev .triton/installed
	$(BIN)/python -m tests.tools.compare_backends

# The gateway under load, embedded and on a real Triton, beside the limits of this machine.
bench: .venv/dev .triton/installed
	$(BIN)/python -m tests.tools.bench

# onnxruntime and torch with CUDA in the place of those without, whose files they have: pip would leave one that is there.
# `make clean` is the way back.
gpu: .venv/dev
	$(BIN)/pip uninstall --quiet --yes onnxruntime onnxruntime-gpu torch
	$(LOCKED) --requirement requirements/gateway-gpu.txt
	$(LOCKED) --requirement requirements/torch-cuda.txt

# What only a GPU can show, in one table. Without one it says so, and fails.
gpu-check: .venv/dev
	$(BIN)/python -m tests.tools.gpu_check

# The script and style of the pages, from web/ (needs node and npm). What is built is committed; a test compares it with its sources.
# Not `npm ci`: it refuses the lock for a part of vite that Windows alone has, and the lock does not.
pages:
	cd web && npm install --no-save --no-audit --no-fund && npm run build

# Every real part together, a canary's whole story, live clients: calls, losses, split, alarms.
e2e: .venv/dev .triton/installed
	$(BIN)/python -m tests.tools.e2e
	$(BIN)/python -m tests.tools.feedback.closing

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/gateway: .venv/bin/python pyproject.toml setup.py $(addprefix requirements/,build.txt compiler.txt gateway.txt) $(LOOPS)
	$(LOCKED) --requirement requirements/build.txt --requirement requirements/gateway.txt
	@command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null || $(LOCKED) --requirement requirements/compiler.txt
	$(OWN)
	touch $@

.venv/web: .venv/gateway requirements/web.txt
	$(LOCKED) --requirement requirements/web.txt
	touch $@

# torch for processors alone, from a folder or an index that pip is told of, or else the one of PyPI, with CUDA on Linux.
.venv/dev: .venv/gateway requirements/dev.txt requirements/torch-cpu.txt requirements/torch-cuda.txt
	$(DEV) --requirement requirements/dev.txt
	$(DEV) --requirement requirements/torch-cpu.txt 2>/dev/null || $(DEV) --requirement requirements/torch-cuda.txt
	touch $@

# Pins and hashes of all that is installed, for every Python from 3.11 and every platform, from PyPI alone. It keeps the
# versions that are there, where pyproject.toml allows them: `make lock NEWER=--upgrade` looks for newer ones.
COMPILE := $(BIN)/uv --quiet pip compile --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock" $(NEWER)
SERVING := --extra triton --extra valkey --extra tracing --constraint requirements/dev.txt
lock: .venv/dev
	$(COMPILE) pyproject.toml --extra dev --no-emit-package torch --output-file requirements/dev.txt
	$(COMPILE) pyproject.toml $(SERVING) --output-file requirements/gateway.txt
	$(COMPILE) pyproject.toml $(SERVING) --extra parquet --output-file requirements/gateway-parquet.txt
	$(COMPILE) pyproject.toml $(SERVING) --extra web --extra parquet --output-file requirements/web.txt
	$(COMPILE) pyproject.toml $(SERVING) --extra web --extra train --no-emit-package torch --output-file requirements/train.txt
	echo 'torch==2.13.0' | $(COMPILE) --no-config --constraint requirements/dev.txt --output-file requirements/torch-cuda.txt -
	$(COMPILE) pyproject.toml $(SERVING) --extra gpu --no-emit-package onnxruntime --constraint requirements/torch-cuda.txt --output-file requirements/gateway-gpu.txt
	printf 'setuptools>=77\ncython>=3.2,<4\n' | $(COMPILE) --constraint requirements/dev.txt --output-file requirements/build.txt -
	echo 'ziglang>=0.13' | $(COMPILE) --constraint requirements/dev.txt --output-file requirements/compiler.txt -
	echo 'nvidia-pytriton==0.7.0' | $(COMPILE) --no-deps --output-file requirements/triton-server.txt -

# The base of the image as its tag leads to it today, in the Dockerfile. Needs a registry.
base-image:
	digest=$$(docker buildx imagetools inspect python:3.11-slim-trixie --format '{{.Manifest.Digest}}') && \
		sed -i "s/^\(FROM python:3.11-slim-trixie@\)[^ ]*/\1$$digest/" Dockerfile

# CycloneDX: every package of the image with its version and hashes, as the lock has them.
sbom: .venv/dev
	mkdir -p build
	$(BIN)/python -W ignore -m cyclonedx_py requirements requirements/gateway.txt --pyproject pyproject.toml --output-reproducible --output-file build/sbom.cdx.json

# The real Triton server, from a wheel. Outside the venv: its dependencies would force old numpy and protobuf.
.triton/installed: requirements/triton-server.txt
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes --no-deps --upgrade --target .triton --requirement requirements/triton-server.txt
	touch $@

clean:
	rm -rf .venv .triton data runs build *.egg-info .*_cache
