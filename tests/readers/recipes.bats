#!/usr/bin/env bats
# docs/recipes.md, with the tools that `make test-readers` puts into $READERS.

load ../e2e/helper
load recipes

setup_file() { recipes_start; }
teardown_file() { teardown_all; }

@test "DuckDB" { recipes duckdb node "$ROOT/tests/readers/recipe.mjs" duckdb; }

@test "polars" { recipes polars node "$ROOT/tests/readers/recipe.mjs" polars; }

@test "LanceDB" { recipes lancedb node "$ROOT/tests/readers/recipe.mjs" lancedb; }
