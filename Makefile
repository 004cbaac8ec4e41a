# `make demo` and `make test` do all of their own set-up: either may be the first command on a fresh machine.
.DEFAULT_GOAL := help
.PHONY: help setup build device demo test

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

setup: ## install what is missing: system packages, ONNX Runtime, the test runner
	@ci/setup --test

build: ## the sensebind command, optimised, in target/release
	@ci/setup
	@cargo build --release --locked -p sensebind

device: ## the same command for a 64-bit ARM board, in target/aarch64-unknown-linux-gnu/release
	@ci/setup --device
	@cargo build --config .cargo/aarch64.toml --release --locked -p sensebind

demo: ## replay a minute of five senses and name what happens
	@ci/setup
	@cargo run --release --locked -p sensebind -- demo

test: ## every check that must pass before a change lands
	@ci/setup --test
	@cargo --locked xtask ci
