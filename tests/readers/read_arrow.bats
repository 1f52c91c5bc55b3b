#!/usr/bin/env bats
# TABLE.arrow, read by apache-arrow. `make test-readers` puts that into $READERS.

load ../e2e/helper

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE kinds (b bool, i2 int2, i4 int4, i8 int8, o oid, f4 float4, f8 float8, d date, ts timestamp, tz timestamptz, ti time, t text,
    by bytea, u uuid, js json, dec numeric(12,3), big numeric(38,0), n numeric, b11 bit(11), vb varbit, a int[], v vector(3), va vector,
    h halfvec(2), ha halfvec, s sparsevec(5));
INSERT INTO kinds SELECT i % 2 = 0, i - 1000, i * -7, i * 10000000000, 4294967295 - i, i / 7.0, i / 3.0, DATE '1900-03-15' + i * 50,
    '1969-12-31 23:59:59.999999'::timestamp + i * interval '17 days 1.5 sec', '1001-02-03 04:05:06+00'::timestamptz + i * interval '300 days 0.001 sec',
    '00:00'::time + i * interval '1 min 0.000001 sec', 'row "' || i || E'", é\n😀', decode(md5(i::text), 'hex'), md5(i::text)::uuid,
    json_build_object('k', i), (i - 1000) / 7.0, i * 1e33::numeric, i / 7.0, (i % 2048)::bit(11), (i % 16)::bit(4)::varbit, ARRAY[i, NULL],
    ARRAY[i, 0.5, -1]::vector, array_fill(i / 3.0, ARRAY[1 + i % 4])::vector, ARRAY[1, i % 9]::halfvec, array_fill(0.25, ARRAY[1 + i % 3])::halfvec,
    ('{1:1,' || 2 + i % 4 || ':2.5}/5')::sparsevec
    FROM generate_series(1, 3000) i;
INSERT INTO kinds (i4) VALUES (-1), (-2);
INSERT INTO kinds (f4, f8, by, t, vb, dec, s) VALUES ('NaN', 'Infinity', '', '', '', '-999999999.999', '{}/5'), ('-0', '-Infinity', '\x00', ' ', '1', '0', '{}/5');
CREATE TABLE empty (id int, v vector(3), t text);
CREATE TABLE vectors AS SELECT i AS id, array_fill(i / 3.0, ARRAY[16])::vector(16) AS v, repeat(md5(i::text), 20) AS t FROM generate_series(1, 20000) i;
SQL
    mount_start
    T=$MNT/public
    export T
}

teardown_file() { teardown_all; }

setup() {
    OUT=$E2E/out/$BATS_TEST_NUMBER
    mkdir -p "$OUT"
}

assert_read() {
    psql_pinned -c "COPY public.$1 TO STDOUT (FORMAT csv, HEADER, NULL '<NULL>')" >"$OUT/csv"
    node "$BATS_TEST_DIRNAME/read_arrow.mjs" "$T/$1/$1.arrow" "$OUT/csv"
}

@test "apache-arrow reads every type" { assert_read kinds; }

@test "apache-arrow reads a table without rows" { assert_read empty; }

@test "apache-arrow reads vectors in many record batches" { assert_read vectors; }
