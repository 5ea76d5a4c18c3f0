# A thin front: the build itself is CMake's (CMakeLists.txt, CMakePresets.json).

.PHONY: help deps build run test install package docs stubs soak soak-durable bench format lint clean
.NOTPARALLEL:
.SILENT:
MAKEFLAGS += --no-print-directory

# What `make test` goes through, in this order: `make test PRESETS=debug` for another choice.
PRESETS = release asan hostile tsan $(if $(shell command -v clang),fuzz)

# How long `make soak` runs, and from which seed on: `make soak SECONDS=3600 SEED=42`.
SECONDS = 600
SEED =

# Specs that `make soak` runs with MOONLET_SOAK: 10,000 children, 100,000 files, waits of seconds.
LONG_SPECS = $(patsubst %,tests/spec/%_spec.lua,process/end fs/many_files thread/call)

# Where `make install` puts things: `make install PREFIX=/usr DESTDIR=/tmp/root`.
PREFIX = /usr/local
DESTDIR =

C_FILES = git ls-files 'runtime/*.[ch]' 'tests/*.[ch]' 'bench/*.[ch]' 'examples/*.c' 'examples/*.cpp'
LUA_DIRS = $(wildcard stdlib scripts tests bench tools)

# Errors are shown, what CMake and ninja say while all is well is not.
configure = cmake --preset $(1) --log-level=WARNING $(2) >/dev/null
compile = status=0; output=$$(cmake --build --preset $(1) $(2) -- --quiet) || status=$$?; \
    printf '%s\n' "$$output" | sed '/^ninja: no work to do\.$$/d; /^-- /d; /^$$/d'; test $$status -eq 0

help:
	echo "make deps     install what the build and the tests need (Debian, Ubuntu)"
	echo "make build    build build/release/moonlet"
	echo "make run      build it and run scripts/demo.lua"
	echo "make test     build and test: $(PRESETS)"
	echo "make install  install into PREFIX=$(PREFIX): program, libraries, manual page"
	echo "make package  Debian packages, in build/packages"
	echo "make docs     the documentation and the API reference, in build/site"
	echo "make stubs    write stubs/ anew, after a change of doc comments"
	echo "make soak     random programs against a model for SECONDS=$(SECONDS)"
	echo "make soak-durable  the proofs of moonlet.durable at full length, about half an hour"
	echo "make bench    run the benchmarks, with the peers that are installed; plot in build/bench.svg"
	echo "make format   format the C files in place"
	echo "make lint     check format, clang-tidy, luacheck"
	echo "make clean    remove build/"

deps:
	sh tools/deps.sh build test

# A first build leaves the tests out, for it must not ask for cmocka; `make test` turns them on.
build:
	test -f build/release/build.ninja || $(call configure,release,-DML_TESTS=OFF)
	echo "building release"
	$(call compile,release)

run:
	sh tools/deps.sh build
	$(MAKE) build
	build/release/moonlet scripts/demo.lua

test:
	sh tools/deps.sh build test
	set -e; for preset in $(PRESETS); do \
	    echo "building $$preset"; \
	    $(call configure,$$preset,-DML_TESTS=ON); \
	    $(call compile,$$preset); \
	    echo "testing $$preset"; \
	    ctest --preset $$preset; \
	done

# Stripped; the linker's cache is brought up to date where it may be.
install: build
	DESTDIR="$(DESTDIR)" cmake --install build/release --strip --prefix "$(PREFIX)" >/dev/null
	test -n "$(DESTDIR)" || test "$$(id -u)" -ne 0 || ldconfig
	echo "installed in $(DESTDIR)$(PREFIX):"
	echo "  the program moonlet, its manual page, completion for bash, documentation and examples"
	echo "  libmoonlet.so and .a, libmoonlet_interpose.so and .a, moonlet.h, for pkg-config and CMake"

package: build
	cpack -G DEB --config build/release/CPackConfig.cmake -B build/packages >/dev/null
	echo "the program, the shared libraries, and what is needed to build hosts (install with: apt install ./FILE...):"
	ls build/packages/*.deb

docs: build
	sh tools/deps.sh docs
	build/release/moonlet tools/docs/site.lua build/site
	echo "open build/site/index.html"

stubs: build
	sh tools/deps.sh docs
	build/release/moonlet tools/docs/write_stubs.lua

soak: build
	build/release/moonlet tests/model/model.lua --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))
	MOONLET_SOAK=1 MOONLET=build/release/moonlet build/release/moonlet --slow 0 tests/run_busted.lua $(LONG_SPECS)

# Durable runs: every write, not each third; 100,000 runs, not 1,000; a thousand kills, not a few.
soak-durable: build
	sh tests/soak_durable.sh build/release/moonlet

bench: build
	$(call compile,release,--target bench_programs)
	build/release/moonlet bench/run.lua --peers

# C only: Debian has no formatter for Lua.
format:
	$(C_FILES) | xargs -r clang-format -i

lint:
	sh tools/deps.sh build lint
	$(call configure,release)
	echo "clang-format"
	$(C_FILES) | xargs -r clang-format --dry-run -Werror --ferror-limit=1
	echo "clang-tidy"
	git ls-files 'runtime/*.c' | xargs -r clang-tidy -p build/release --quiet \
	    --extra-arg=-Wno-ignored-optimization-argument 2>/dev/null
	echo "luacheck"
	luacheck -q --no-color $(LUA_DIRS)

clean:
	rm -rf build
