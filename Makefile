# make run    the live board with demo actions, at http://127.0.0.1:8000 (PORT=8080 make run)
# make test   format, lint, types, every test with coverage
# Both set up what they need, in .venv beside this file; the second time takes seconds.

PYTHON_IN_VENV = .venv/bin/python

.PHONY: help run test check format browser soak fuzz costs bench bench-quick test-platform test-days pins clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

run:
	@scripts/bootstrap.sh requirements.txt
	@exec $(PYTHON_IN_VENV) -m scoreboard serve --demo

test: check
	$(PYTHON_IN_VENV) -m pytest --cov

check:
	@scripts/bootstrap.sh requirements-dev.txt
	$(PYTHON_IN_VENV) -m ruff format --check --quiet .
	$(PYTHON_IN_VENV) -m ruff check --quiet .
	$(PYTHON_IN_VENV) -m mypy --no-error-summary

# make format   rewrite the code in the project's form
format:
	@scripts/bootstrap.sh requirements-dev.txt
	$(PYTHON_IN_VENV) -m ruff format .
	$(PYTHON_IN_VENV) -m ruff check --fix .

# make browser  drive the page in Chromium (needs Debian's chromium, or CHROMIUM=/path/to/one)
browser:
	@scripts/bootstrap.sh requirements-browser.txt
	$(PYTHON_IN_VENV) -m pytest tests/browser

# make soak     every fault in random order under load: MINUTES=10, SEED=7 repeats a run
soak:
	@scripts/bootstrap.sh requirements-dev.txt
	@$(PYTHON_IN_VENV) -m tests.faults.soak --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

# make fuzz     random requests to the running service, on both engines: MINUTES=10, SEED=7 repeats a run
fuzz:
	@scripts/bootstrap.sh requirements-dev.txt
	@$(PYTHON_IN_VENV) -m tests.fuzz --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

# make costs    what a completion, a stream and a player cost (two minutes; needs the machine alone)
costs:
	@scripts/bootstrap.sh requirements-dev.txt
	@$(PYTHON_IN_VENV) -m bench.costs

# make bench    this service and its peers side by side, an hour: ONLY=fanout,writing,reading,size,eye ROUNDS=3
bench:
	@scripts/bootstrap.sh requirements-bench.txt
	@$(PYTHON_IN_VENV) -m bench $(if $(ONLY),--only $(ONLY)) $(if $(ROUNDS),--rounds $(ROUNDS))

# make bench-quick  ratios to peers that a lost mechanism would break, in two minutes (needs gcc)
bench-quick:
	@scripts/bootstrap.sh requirements-dev.txt
	@$(PYTHON_IN_VENV) -m bench.quick

# make test-platform  TLS and poolers, with Debian's PostgreSQL, Redis and pgbouncer
test-platform:
	@scripts/bootstrap.sh requirements-dev.txt
	@scripts/platform.sh
	$(PYTHON_IN_VENV) -m pytest tests/platform

# make test-days  on other dates, in other zones, at half speed: an hour; ONLY=2028 (needs gcc)
test-days:
	@scripts/bootstrap.sh requirements-dev.txt
	@$(PYTHON_IN_VENV) -m tests.days $(if $(ONLY),--only "$(ONLY)")

# make pins     choose the newest versions that pyproject.toml allows, for every Python from 3.11 on
pins:
	@scripts/bootstrap.sh requirements-dev.txt
	$(PYTHON_IN_VENV) -m pip install --quiet uv
	scripts/pin.sh

# make clean    remove what the other targets made, but not the database
clean:
	rm -rf .venv .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache dist \
		bench/contestants/node_modules
