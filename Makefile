# make            build (needs no network once the packages are there)
# make demo       install what is missing, build, start a server on high ports, send a mail through it
# make test       install what is missing, build with sanitizers, run every test
# make bench      measure beside Postfix and Dovecot;  make bench-server   the instance that is measured
# make fuzz       ten minutes a parser;  make lint, make format, make install

PYTHON = /usr/bin/python3
CARTEIRO = build/release/cli/carteiro
FUZZ_SECONDS ?= 600
QUEUE_COUNT ?= 1000000
LARGE_COUNT ?= 100000

.PHONY: all demo test test-thunderbird bench bench-large bench-out bench-queue bench-server fuzz lint format install docs packages packages-test

all: build/release/build.ninja
	@ninja -C build/release

build/release/build.ninja:
	meson setup build/release --buildtype=debugoptimized

build/test/build.ninja:
	meson setup build/test --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false

build/fuzz/build.ninja:
	CC=clang meson setup build/fuzz --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false -Dfuzz=true

build/clang/build.ninja:
	CC=clang meson setup build/clang --buildtype=debugoptimized

packages:
	@tools/install-packages tools/packages-build

packages-test:
	@tools/install-packages tools/packages-build tools/packages-test
	@tools/unpack-packages build/peers tools/packages-peers

demo: packages
	@$(MAKE) --no-print-directory all
	@exec $(PYTHON) tools/demo.py $(CARTEIRO)

test: packages-test all build/test/build.ninja build/fuzz/build.ninja
	@ninja -C build/test
	@ninja -C build/fuzz fuzzers
	@$(PYTHON) tests/run.py

# A large client that now and then does not look for new mail in time: not among the tests that must pass each time.
test-thunderbird: packages-test build/test/build.ninja
	@tools/install-packages tools/packages-thunderbird
	@ninja -C build/test
	@$(PYTHON) -m pytest -q -p no:cacheprovider tests/thunderbird_test.py

bench: packages-test all
	@$(PYTHON) bench/bench.py $(CARTEIRO)

bench-server: all
	@$(PYTHON) bench/server.py $(CARTEIRO) $(if $(CONF),--conf '$(CONF)') $(if $(IMPORT),--import '$(IMPORT)')

# A large mailbox, beside Dovecot.
bench-large: packages-test all
	@$(PYTHON) bench/large.py $(CARTEIRO) --count $(LARGE_COUNT)

# What leaves, beside Postfix.
bench-out: packages-test all
	@$(PYTHON) bench/out.py $(CARTEIRO)

# A million queued messages, and a restart.
bench-queue: packages-test all
	@$(PYTHON) bench/queue.py $(CARTEIRO) --count $(QUEUE_COUNT)

fuzz: packages-test build/fuzz/build.ninja
	@ninja -C build/fuzz fuzzers
	@$(PYTHON) fuzz/run.py build/fuzz $(FUZZ_SECONDS)

# No warning with gcc and clang, and who includes whom.
lint: build/clang/build.ninja all
	@ninja -C build/clang
	@$(PYTHON) tools/check-house.py
	@cppcheck --quiet --enable=warning,portability --suppress=missingInclude --suppress=nullPointerRedundantCheck \
	   --inline-suppr --error-exitcode=1 -I. base wire config ipc auth store edge filter relay pipe resolve vault master cli

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

docs: all
	$(CARTEIRO) settings > docs/configuration.md
	$(CARTEIRO) settings man > docs/carteiro.conf.5

install: all
	@DESTDIR='$(DESTDIR)' meson install -C build/release --no-rebuild
