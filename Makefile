# make build | demo | test | conformance | bench | soak     (tools/setup installs what is missing; downloads and built dependencies go to ~/.cache/headpond)
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON := $${HEADPOND_CACHE:-$$HOME/.cache/headpond}/python/bin/python
JOBS := $(shell nproc)

.DEFAULT_GOAL := build
.PHONY: build setup demo test conformance bench soak format clean

setup:
	@tools/setup

build: setup
	@[ -f build/build.ninja ] || cmake --preset release >/dev/null
	@cmake --build build -j $(JOBS) -- --quiet
	@tools/flink build || [ $$? -eq 3 ]   # 3: no Java or Maven here; everything else works without

# ENGINES=mission: on Flink, Spark and dbt, with bronze in S3 (tools/mission.py).
demo: build
	@if [ "$(ENGINES)" = mission ]; then $(PYTHON) tools/mission.py; else build/headpond demo; fi

test: build
	@tests/run

conformance: build
	@$(PYTHON) tests/conformance/run.py --full

bench: build
	@build/bench/headpond_bench --out build/bench.json
	@for store in directory s3 "s3 --put-ms 80" "s3 --put-ms 80 --ingesters 4" "s3 --put-ms 80 --ingesters 8"; do $(PYTHON) bench/readable.py --store $$store; done
	@$(PYTHON) bench/lanes.py
	@$(PYTHON) bench/peers.py --events 2000000
	@$(PYTHON) tests/rules_jni.py --calls 50000
	@$(PYTHON) bench/spark_minute.py
	@[ ! -f build/flink/headpond-pager.jar ] || $(PYTHON) bench/flink_pager.py --out build/bench.json   # not there: no Java here

soak: build
	@tests/run --soak

format:
	@git ls-files '*.h' '*.cpp' | xargs clang-format -i

clean:
	@rm -rf build build-asan build-tsan
