#!/usr/bin/env bats
# TABLE.arrow: every type as the server says it, and tables that have a value without a form there. arrow.py reads the files.

load helper

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TYPE mood AS ENUM ('sad', 'ok', 'a "happy", one');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN small AS int CHECK (VALUE < 1000000);
CREATE DOMAIN price AS numeric(10,2);
CREATE DOMAIN spot AS vector(2);
CREATE TABLE kinds (b bool, i2 int2, i4 int4, i8 int8, o oid, f4 float4, f8 float8, d date, ts timestamp, tz timestamptz(3), ti time,
    ttz timetz, iv interval, t text, vc varchar(20), c char(5), "char" "char", na name, by bytea, u uuid, js json, jb jsonb, m mood,
    n numeric, dec numeric(12,3), big numeric(38,0), huge numeric(60,2), neg numeric(5,-2), b3 bit(11), vb varbit, a int[], ta text[],
    p pair, r int4range, mr money, net inet, sm small, pr price, sp spot, v vector(3), va vector, h halfvec(2), ha halfvec, s sparsevec(5));
INSERT INTO kinds SELECT i % 2 = 0, i - 1000, i * -7, i * 10000000000, 4294967295 - i, i / 7.0, i / 3.0, DATE '0044-03-15 BC' + i * 500,
    '1969-12-31 23:59:59.999999'::timestamp + i * interval '17 days 1.5 sec', '0001-02-03 04:05:06+00 BC'::timestamptz + i * interval '300 days 0.001 sec',
    '00:00'::time + i * interval '1 min 0.000001 sec', '12:34:56+05:30', i * interval '90 min', 'row "' || i || E'", é\n😀', 'v' || i, 'c' || i % 100, chr(65 + i % 26)::"char",
    'name' || i, decode(md5(i::text), 'hex'), md5(i::text)::uuid, json_build_object('k', i), jsonb_build_object('k', i, 'l', '[1, 2]'::jsonb),
    (enum_range(NULL::mood))[1 + i % 3], i / 7.0, (i - 1000) / 7.0, i * 1e33::numeric, i * 1e40::numeric, i * 100, (i % 2048)::bit(11), (i % 16)::bit(4)::varbit,
    ARRAY[i, NULL], ARRAY['x', 'a,b'], ROW(i, 'b')::pair, int4range(i, i + 5), i, '10.0.0.1'::inet + i, i, i / 3.0, ARRAY[i, 1]::vector,
    ARRAY[i, 0.5, -1]::vector, array_fill(i / 3.0, ARRAY[1 + i % 4])::vector, ARRAY[1, i % 9]::halfvec, array_fill(0.25, ARRAY[1 + i % 3])::halfvec, ('{1:1,' || 2 + i % 4 || ':2.5}/5')::sparsevec
    FROM generate_series(1, 3000) i;
INSERT INTO kinds (i4) VALUES (-1), (-2);
INSERT INTO kinds (f4, f8, d, ts, by, t, vb, dec, s) VALUES ('NaN', 'Infinity', '5874897-12-31', '4714-11-24 BC', '', '', '', '-999999999.999', '{}/5'),
    ('-0', '-Infinity', '4714-11-24 BC', '294246-12-31 23:59:59.999999', '\x00', ' ', '1', '0', '{}/5');
CREATE TABLE empty (id int, v vector(3), t text);
CREATE TABLE no_columns ();
INSERT INTO no_columns SELECT FROM generate_series(1, 5);
CREATE TABLE no_rows_nor_columns ();
CREATE TABLE generated (a int, double int GENERATED ALWAYS AS (a * 2) STORED, t text);
INSERT INTO generated (a, t) SELECT i, 't' || i FROM generate_series(1, 100) i;
CREATE TABLE odd ("a,b" int, "Say ""it""" text, "x/y" text, ".dot" text, "é
" text, "v(3)" numeric);
INSERT INTO odd SELECT i, 's' || i, 'y', 'd', 'acute', i FROM generate_series(1, 50) i;
CREATE TABLE vectors (id int PRIMARY KEY, v vector(4), t text);
INSERT INTO vectors SELECT i, array_fill(i / 3.0, ARRAY[4])::vector, repeat(md5(i::text), 20) FROM generate_series(1, 30000) i;
CREATE TABLE parts (id int, region text, v vector(2)) PARTITION BY LIST (region);
CREATE TABLE parts_n PARTITION OF parts FOR VALUES IN ('n');
CREATE TABLE parts_s (v vector(2), region text, id int);
ALTER TABLE parts ATTACH PARTITION parts_s FOR VALUES IN ('s');
INSERT INTO parts SELECT i, (ARRAY['n', 's'])[1 + i % 2], ARRAY[i, 1]::vector FROM generate_series(1, 2000) i;
CREATE VIEW seen AS SELECT i4, t, v FROM kinds WHERE i4 < -100;
CREATE TABLE dates (id int PRIMARY KEY, d date);
INSERT INTO dates SELECT i, DATE '2020-01-01' + i FROM generate_series(1, 1000) i;
CREATE TABLE late (id int, "at" timestamptz);
INSERT INTO late VALUES (1, now()), (2, '294276-12-31 00:00');
CREATE TABLE decimals (id int, n numeric(5,1));
INSERT INTO decimals VALUES (1, 1.5), (2, 'NaN');
CREATE TABLE clocks (id int, ti time);
INSERT INTO clocks VALUES (1, '24:00');
SQL
    mount_start -o lease=0,formats=csv+arrow
    T=$MNT/public
    export T
}

teardown_file() { teardown_all; }

setup() {
    OUT=$E2E/out/$BATS_TEST_NUMBER
    mkdir -p "$OUT"
}

reader() { python3 "$BATS_TEST_DIRNAME/arrow.py" "$@"; }
reason() { getfattr --only-values --absolute-names -n user.pgvecfs.error "$1" 2>/dev/null; }

# TABLE.arrow of relation $1 is what the server says of the columns $2 (all, if left out).
assert_arrow() {
    local file=${3:-$T/$1/$1.arrow}
    psql_pinned -c "COPY (SELECT ${2:-*} FROM public.$1) TO STDOUT (FORMAT csv, HEADER, NULL '<NULL>')" >"$OUT/csv"
    [ "$(stat -c %s "$file")" -gt 0 ] || return
    cat "$file" >"$OUT/arrow" || return
    [ "$(stat -c %s "$file")" -eq "$(stat -c %s "$OUT/arrow")" ] || return
    cmp "$file" "$OUT/arrow" || return
    reader compare "$file" "$OUT/csv"
}

@test "every type is what the server says" {
    assert_arrow kinds
    run -0 reader types "$T/kinds/kinds.arrow"
    diff - <(printf '%s\n' "$output") <<'END'
b: Bool (boolean)
i2: Int16 (smallint)
i4: Int32 (integer)
i8: Int64 (bigint)
o: UInt32 (oid)
f4: Float (real)
f8: Double (double precision)
d: Date (date)
ts: Timestamp() (timestamp without time zone)
tz: Timestamp(UTC) (timestamp(3) with time zone)
ti: Time (time without time zone)
ttz: Utf8 (time with time zone)
iv: Utf8 (interval)
t: Utf8 (text)
vc: Utf8 (character varying(20))
c: Utf8 (character(5))
char: Utf8 ("char")
na: Utf8 (name)
by: Binary (bytea)
u: FixedSizeBinary(16) (uuid)
js: Utf8 (json)
jb: Utf8 (jsonb)
m: Utf8 (public.mood)
n: Utf8 (numeric)
dec: Decimal128(12,3) (numeric(12,3))
big: Decimal128(38,0) (numeric(38,0))
huge: Utf8 (numeric(60,2))
neg: Utf8 (numeric(5,-2))
b3: FixedSizeBinary(2) (bit(11))
vb: Utf8 (bit varying)
a: Utf8 (integer[])
ta: Utf8 (text[])
p: Utf8 (public.pair)
r: Utf8 (int4range)
mr: Utf8 (money)
net: Utf8 (inet)
sm: Int32 (public.small)
pr: Utf8 (public.price)
sp: List<Float> (public.spot)
v: FixedSizeList<Float>(3) (public.vector(3))
va: List<Float> (public.vector)
h: FixedSizeList<Half>(2) (public.halfvec(2))
ha: List<Half> (public.halfvec)
s: Struct<Int32, List<Int32>, List<Float>> (public.sparsevec(5))
END
}

@test "tables without rows, without columns, with odd names; views, partitioned tables, some columns" {
    assert_arrow empty
    [ "$(reader rows "$T/empty/empty.arrow")" = "0 0" ]
    [ "$(reader rows "$T/no_columns/no_columns.arrow")" = "5 1" ]
    [ "$(reader rows "$T/no_rows_nor_columns/no_rows_nor_columns.arrow")" = "0 0" ]
    assert_arrow odd
    assert_arrow generated "a, t"
    assert_arrow seen
    assert_arrow parts
    assert_arrow kinds "v, i4, s" "$T/kinds/select/v,i4,s.arrow"
    assert_arrow generated "double" "$T/generated/select/double.arrow"
}

@test "1,600 columns" {
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
SELECT 'CREATE TABLE wide (' || string_agg('c' || i || ' int', ', ') || ')' FROM generate_series(1, 1600) i \gexec
INSERT INTO wide (c1, c1600) VALUES (1, 1600), (NULL, 2);
SQL
    within 10 test -e "$T/wide"
    assert_arrow wide
}

@test "many row groups: of one changed row only its group is other bytes, and an unchanged file stays the same file" {
    local file=$T/vectors/vectors.arrow before after differing
    assert_arrow vectors
    [ "$(reader rows "$file" | cut -d' ' -f2)" -gt 3 ]
    before=$(stat -c '%i %s %Y' "$file")
    cp "$file" "$OUT/before"
    [ "$(stat -c '%i %s %Y' "$file")" = "$before" ]
    psql -X -q -c "INSERT INTO dates VALUES (5000, '2020-01-01')"
    [ "$(stat -c '%i %s %Y' "$file")" = "$before" ]
    mount_stop
    mount_start -o lease=0,formats=csv+arrow
    [ "$(stat -c '%i %s %Y' "$file")" = "$before" ]
    cmp "$file" "$OUT/before"
    psql -X -q -c "UPDATE vectors SET t = 'changed' WHERE id = 15000"
    after=$(stat -c '%i %s %Y' "$file")
    [ "$after" != "$before" ]
    assert_arrow vectors
    # the row groups in front of the row's are the same bytes
    differing=$(cmp "$file" "$OUT/before" | sed 's/.*byte \([0-9]*\),.*/\1/')
    [ "$differing" -gt $(($(stat -c %s "$file") / 4)) ]
    psql -X -q -c "DELETE FROM dates WHERE id = 5000"
}

@test "an open waits for the size, and what opens the file can map it" {
    psql -X -q -c "CREATE VIEW slow AS SELECT 1 AS i, pg_sleep(1.5)::text AS t"
    within 10 test -e "$T/slow"
    python3 - "$T/slow/slow.arrow" <<'PYTHON'
import mmap, os, sys
with open(sys.argv[1], "rb") as file:
    size = os.fstat(file.fileno()).st_size
    assert 64 < size < 100000, size
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        assert len(data) == size and data[:6] == b"ARROW1" and data[size - 6:] == b"ARROW1"
PYTHON
    psql -X -q -c "DROP VIEW slow"
}

@test "a value without a form: EIO at stat by column and row, not listed, in the manifest; the other files stay" {
    local table
    while IFS='|' read -r table why; do
        run stat "$T/$table/$table.arrow"
        [ "$status" -ne 0 ]
        [[ $output == *"Input/output error"* ]]
        [ "$(reason "$T/$table")" = "$table.arrow: $why" ] || { reason "$T/$table"; return 1; }
        ls "$T/$table" >"$OUT/listed"
        ! grep -q arrow "$OUT/listed" || false
        grep -q "$table.csv" "$OUT/listed"
        cmp "$T/$table/$table.csv" <(reference_csv "public.$table")
        python3 - "$T/$table/manifest.json" "$why" <<'PYTHON'
import json, sys
views = json.load(open(sys.argv[1]))["views"]
assert views["arrow"] == {"error": sys.argv[2]}, views
assert "bytes" in views["csv"], views
PYTHON
        cp -r "$T/$table" "$OUT/$table"
    done <<'END'
late|column at, row 2: a time of so late a year has no form in arrow
decimals|column n, row 2: NaN has no form in arrow
clocks|column ti, row 1: 24:00:00 has no form in arrow
END
}

@test "a refresh finds such a value, and that it has gone; also after a remount" {
    local file=$T/dates/dates.arrow csv
    assert_arrow dates
    psql -X -q -c "UPDATE dates SET d = 'infinity' WHERE id = 700"
    ! stat "$file" || false
    [ "$(reason "$T/dates")" = "dates.arrow: column d, row 1000: infinity has no form in arrow" ] || { reason "$T/dates"; return 1; }
    ! ls "$T/dates" | grep arrow || false
    csv=$(stat -c '%i %Y' "$T/dates/dates.csv")
    # an equal look is the same version, and refuses the same
    ! stat "$file" || false
    [ "$(stat -c '%i %Y' "$T/dates/dates.csv")" = "$csv" ]
    mount_stop
    mount_start -o lease=0,formats=csv+arrow
    [ "$(stat -c '%i %Y' "$T/dates/dates.csv")" = "$csv" ]
    ! ls "$T/dates" | grep arrow || false
    # the reason is in this mount's log, too, once
    ! grep 'no arrow' "$MNT/.pgvecfs/log" || false
    for _ in 1 2; do ! stat "$file" || false; done
    sleep 0.15 # what the log's file shows may be a tenth of a second old
    [ "$(grep -c 'public.dates: no arrow: column d, row 1000: infinity has no form in arrow' "$MNT/.pgvecfs/log")" -eq 1 ]
    # another row: it is looked for on the way, so that the directory does not list it in between
    psql -X -q -c "UPDATE dates SET d = '2021-01-01' WHERE id = 5"
    stat "$T/dates/dates.csv"
    ! ls "$T/dates" | grep arrow || false
    psql -X -q -c "UPDATE dates SET d = '2021-01-01' WHERE id = 700"
    stat "$T/dates/dates.csv"
    ls "$T/dates" | grep arrow
    assert_arrow dates
    [ -z "$(reason "$T/dates")" ]
}

@test "a database in another encoding: text is UTF-8, or has no form" {
    psql -X -q -d postgres -c "CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
    PGDATABASE=ascii psql -X -q <<'SQL'
CREATE TABLE good (t text, c varchar(9), j json);
INSERT INTO good VALUES ('plain', NULL, '{}');
CREATE TABLE bad (id int, t text);
INSERT INTO bad VALUES (1, 'plain'), (2, convert_from('\x6772fc6e', 'SQL_ASCII'));
SQL
    PGDATABASE=ascii MNT=$E2E/mnt2 CACHE=$E2E/cache2 mount_start -o lease=0
    reader types "$E2E/mnt2/public/good/good.arrow" | grep -x "t: Utf8 (text)"
    ! stat "$E2E/mnt2/public/bad/bad.arrow" || false
    reason "$E2E/mnt2/public/bad" | grep -x "bad.arrow: column t, row 2: text that is not UTF-8 has no form in arrow"
    stat "$E2E/mnt2/public/bad/bad.csv"
    MNT=$E2E/mnt2 mount_stop
}
