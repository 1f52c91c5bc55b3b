#!/usr/bin/env bats
# TABLE.parquet by readers that know nothing of pgvecfs: they find what the server has. `make test-readers` runs it.

load ../e2e/helper
load ../e2e/parquet

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE kinds (id int, s smallint, b bigint, o oid, yes bool, f4 real, f8 double precision, t text, "name.with.dots" varchar(9), n numeric,
    n2 numeric(10,2), n38 numeric(38,10), d date, ts timestamp, tz timestamptz, tm time, i interval, u uuid, j json, jb jsonb, by bytea, m mood, a int[],
    e vector(3), ev vector, h halfvec(4), bits bit(13));
INSERT INTO kinds SELECT i, i - 1500, i * 10000000000, 4294967295 - i, i % 3 = 0, i / 7.0, -i / 3.0::float8, 'row "' || i || '", é' || E'\n', 'v' || i,
    i / 7.0, i / 7.0, -i * 123456789.0123456789, DATE '1500-01-01' + i * 300, TIMESTAMP '1500-01-01' + i * interval '1 month 1 us',
    '2020-02-03 04:05:06+00'::timestamptz - i * interval '1 hour', '23:59:59.999999'::time - i * interval '1 s', i * interval '90 min', md5(i::text)::uuid,
    json_build_object('k', i), jsonb_build_object('k', i, 'l', '[1, 2]'::jsonb), decode(md5(i::text), 'hex'), (enum_range(NULL::mood))[1 + i % 2],
    ARRAY[i, NULL], ARRAY[i, 0.5, -1]::vector, (SELECT array_agg(k) FROM generate_series(1, 1 + i % 20) k)::vector,
    ARRAY[1, i % 9, -0.5, 0.0001]::halfvec, (i % 8192)::bit(13)
    FROM generate_series(1, 3000) i;
INSERT INTO kinds (id) VALUES (-1), (-2);
CREATE TABLE nothing (id int, v vector(3), t text);
CREATE TABLE sparse AS SELECT i AS id, ('{1:1,' || 2 + i % 8 || ':2.5}/9')::sparsevec(9) AS v FROM generate_series(1, 100) i;
CREATE TABLE wide AS SELECT i AS id, 'text ' || i AS t, (SELECT array_agg((i * 7 + k) % 100 / 8.0) FROM generate_series(1, 300) k)::vector AS v
    FROM generate_series(1, 12000) i;
SQL
    PARQUET_ROWS=$(dirname "$PGVECFS")/tests/tools/parquet_rows
    mount_start
    T=$MNT/public
    export T PARQUET_ROWS
}

teardown_file() { teardown_all; }

setup() {
    OUT=$E2E/out/$BATS_TEST_NUMBER
    mkdir -p "$OUT"
}

# Whether reader $1 finds in the file of relation $2 what the server has.
assert_found() {
    reference_parquet "public.$2" >"$OUT/expected"
    node "$ROOT/tests/readers/parquet_rows.mjs" "$1" "$T/$2/$2.parquet" >"$OUT/found"
    assert_same_bytes "$OUT/found" "$OUT/expected"
}

@test "hyparquet finds every value" { for relation in kinds nothing wide; do assert_found hyparquet $relation; done; }

@test "arrow-rs finds every value" {
    for relation in kinds nothing wide; do
        psql_pinned -c "COPY public.$relation TO STDOUT (FORMAT csv, HEADER, NULL '<NULL>')" >"$OUT/csv"
        node "$ROOT/tests/readers/read_arrow.mjs" "$T/$relation/$relation.parquet" "$OUT/csv"
    done
}

@test "DuckDB finds every value" { for relation in kinds nothing wide; do assert_found duckdb $relation; done; }

@test "DuckDB reads sparse vectors, and counts" {
    cat >"$OUT/ask.mjs" <<'JS'
import { createRequire } from 'node:module'
const { DuckDBInstance } = createRequire(process.env.READERS + '/')('@duckdb/node-api')
const connection = await (await DuckDBInstance.create(':memory:')).connect()
for (const question of process.argv.slice(2))
    for (const row of (await connection.runAndReadAll(question)).getRowsJson()) console.log(JSON.stringify(row))
process.exit(0)
JS
    run node "$OUT/ask.mjs" \
        "SELECT v FROM '$T/sparse/sparse.parquet' WHERE id = 3" \
        "SELECT count(*), sum(id), max(t), sum(v[7]) FROM '$T/wide/wide.parquet'" \
        "SELECT count(*) FROM '$T/kinds/kinds.parquet' WHERE n2 > 100 AND tz < TIMESTAMPTZ '2020-01-01 00:00:00+00' AND yes"
    echo "$output"
    [ "${lines[0]}" = '[{"dim":9,"indices":[1,5],"values":[1,2.5]}]' ]
    [ "${lines[1]}" = "$(psql -X -At -c "SELECT format('[\"%s\",\"%s\",\"%s\",%s]', count(*), sum(id), max(t COLLATE \"C\"), sum((v::real[])[7]::float8)) FROM wide")" ]
    [ "${lines[2]}" = "[\"$(psql -X -At -c "SELECT count(*) FROM kinds WHERE n2 > 100 AND tz < '2020-01-01 00:00:00+00' AND yes")\"]" ]
}
