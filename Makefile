# The commands of the project. Each does the set-up it needs; `make` alone lists them.

# rustup puts cargo here and a fresh shell may not know it yet.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin
# File names are UTF-8 whatever the machine's locale says.
export ELIXIR_ERL_OPTIONS := +fnu $(ELIXIR_ERL_OPTIONS)

SEEDS ?= 2000
RUNS ?= 60

.PHONY: help setup build test otp27 interop demo bench guard parity crash long lint doc clean

help:
	@echo 'make demo                 moves a Mnesia database into Magnesia, compares, shows times'
	@echo 'make test                 all tests'
	@echo 'make otp27                all tests on OTP 27 and its Elixir, out of Debian 13, as root'
	@echo 'make interop              under ejabberd and RabbitMQ, out of their Debian packages'
	@echo 'make bench                every figure; make bench ONLY=read.set for a part'
	@echo 'make guard                instructions of the small kernels against the baseline'
	@echo 'make parity SEEDS=2000    Magnesia against stock Mnesia: random scripts, same answers'
	@echo 'make parity ACCESS=1      the same for fragments, query handles and properties'
	@echo 'make parity HOT=1         the same for tables of a stock Mnesia under our aliases'
	@echo 'make crash RUNS=60        kill -9 in the middle of writing, then check what is there'
	@echo 'make long                 the long tier, with fuzzing, sanitizers and mutants'
	@echo 'make lint                 formats, clippy, warnings, dialyzer, documentation'
	@echo 'make setup build doc clean'

setup:
	@scripts/setup

build: setup
	mix compile

# The shared library links only inside a VM: `mix test` is its test.
test: setup
	cargo test --workspace --exclude magnesia-nif --locked
	mix test

# Rust is tested by this machine's cargo, with the erl of OTP 27 for a referee.
otp27: setup
	scripts/otp27 cargo test --workspace --exclude magnesia-nif --locked
	scripts/otp27 mix compile --warnings-as-errors --force
	scripts/otp27 mix test

interop: setup
	scripts/interop $(ONLY)

demo: setup
	mix magnesia.demo $(if $(QUICK),--quick)

bench: setup
	mix magnesia.bench $(if $(ONLY),--only $(ONLY)) $(if $(SMOKE),--smoke)

guard: setup
	scripts/guard

parity: setup
	MIX_ENV=test mix run --no-start scripts/parity$(if $(HOT),_hot).exs --seeds $(SEEDS) \
	  $(if $(STORAGE),--storage $(STORAGE)) $(if $(ACCESS),--access)

crash: setup
	MIX_ENV=test mix run --no-start scripts/crash.exs --runs $(RUNS)

long: setup
	scripts/long

lint: setup
	scripts/lint

doc: setup
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked

clean:
	mix clean
	cargo clean
