# The front door: `make help` lists what there is. The build itself is CMake (CMakeLists.txt, CMakePresets.json).
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := all
prefix ?= /usr/local
QUIET := 2>&1 | tools/quiet

.PHONY: all
all: deps ## build the release program: build/hone
	@[ -f build/build.ninja ] || cmake --preset release -DHONE_TESTS=OFF $(QUIET)
	@cmake --build build --target hone $(QUIET)

.PHONY: deps
deps:
	@tools/install-deps tools/packages.txt

.PHONY: demo
demo: all ## the whole story on the example project, on a real model (5 to 10 minutes)
	@tools/demo

.PHONY: test
test: ## every test, again under ASan and UBSan; does nothing where this very tree has passed
	@tools/test

.PHONY: lint
lint: ## the layer rule, banned functions, file names and sizes, format
	@tools/install-deps tools/packages-test.txt
	@python3 tools/lint

.PHONY: format
format: ## lay out the C files with clang-format
	@git ls-files 'src/*.[ch]' 'tests/*.[ch]' 'bench/*.[ch]' 'fuzz/*.[ch]' 'include/*.h' | xargs clang-format -i

.PHONY: runtime
runtime: all ## build build/hone-runtime: inference in one static file that needs nothing else
	@cmake --build build --target hone-runtime $(QUIET)
	@stat -c '%n: %s bytes' build/hone-runtime

.PHONY: bench
bench: all ## speed beside llama.cpp in one run; see bench/README.md
	@bench/run

.PHONY: fuzz
fuzz: ## run each libFuzzer target for SECONDS_EACH (default 60) seconds with clang
	@tools/fuzz $${SECONDS_EACH:-60}

.PHONY: install
install: all ## install into prefix (default /usr/local), DESTDIR respected
	@cmake --install build --prefix $(prefix) $(QUIET)

.PHONY: package
package: all ## build the Debian package: build/hone_VERSION_ARCH.deb
	@cpack -G DEB --config build/CPackConfig.cmake -B build $(QUIET)
	@ls build/*.deb

.PHONY: clean
clean: ## remove what was built
	@rm -rf build build-*

.PHONY: help
help: ## this list
	@echo "hone: scope, prompt, fine-tune, evaluate, iterate, deploy - on your own machine"; echo
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | awk -F '\t' '{printf "  make %-9s %s\n", $$1, $$2}'
