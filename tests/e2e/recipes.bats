#!/usr/bin/env bats
# docs/recipes.md, as far as the tools are Debian's.

load helper
load ../readers/recipes

setup_file() { recipes_start; }
teardown_file() { teardown_all; }

# Debian's modules are Debian's Python's, which need not be the first one in PATH.
python_with() {
    for PYTHON in python3 /usr/bin/python3; do "$PYTHON" -c "import $1" 2>/dev/null && return; done
    skip "needs python3-$1"
}

@test "NumPy" {
    python_with numpy
    recipes numpy "$PYTHON"
}

@test "pandas" {
    python_with pandas
    recipes pandas "$PYTHON"
}

@test "zstd, gunzip and the like" { recipes sh bash -eu; }
