#!/usr/bin/env bats
# TABLE/select/COL,COL.FORMAT: some columns of a table, in the order named.

load helper

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TYPE mood AS ENUM ('sad', 'ok', 'a "happy", one');
CREATE TABLE kinds (id int, b bool, t text, n numeric, f float8, d date, ts timestamptz, i interval, u uuid, j json, jb jsonb,
    a int[], ta text[], m mood, by bytea, net inet, r int4range, v vector(3), h halfvec(2), s sparsevec(5), bits bit(4));
INSERT INTO kinds SELECT i, i % 2 = 0, 'row "' || i || '", é', i / 7.0, i / 3.0::float8, DATE '2000-01-01' + i,
    '2020-02-03 04:05:06+00'::timestamptz + i * interval '1 hour', i * interval '90 min', md5(i::text)::uuid, json_build_object('k', i),
    jsonb_build_object('k', i, 'l', '[1, 2]'::jsonb), ARRAY[i, NULL], ARRAY['x', 'a,b'], (enum_range(NULL::mood))[1 + i % 3], decode(md5(i::text), 'hex'),
    '10.0.0.1'::inet + i, int4range(i, i + 5), ARRAY[i, 0.5, -1]::vector, ARRAY[1, i % 9]::halfvec, '{1:1,3:2}/5', (i % 16)::bit(4)
    FROM generate_series(1, 3000) i;
INSERT INTO kinds (id) VALUES (-1), (-2);
CREATE TABLE odd ("a,b" int, "Say ""it""" text, "x/y" text, ".dot" text, "per%cent" text, "é" text);
INSERT INTO odd SELECT i, 's' || i, 'y', 'd', 'p', 'acute' FROM generate_series(1, 500) i;
CREATE TABLE generated (a int, double int GENERATED ALWAYS AS (a * 2) STORED, t text);
INSERT INTO generated (a, t) SELECT i, 't' || i FROM generate_series(1, 1000) i;
CREATE TABLE parts (id int, region text, pad text) PARTITION BY LIST (region);
CREATE TABLE parts_n PARTITION OF parts FOR VALUES IN ('n');
CREATE TABLE parts_s (pad text, region text, id int);
ALTER TABLE parts ATTACH PARTITION parts_s FOR VALUES IN ('s');
INSERT INTO parts SELECT i, (ARRAY['n', 's'])[1 + i % 2], 'p' || i FROM generate_series(1, 2000) i;
CREATE VIEW seen AS SELECT id, t, v FROM kinds WHERE id > 10;
CREATE TABLE wide AS SELECT i AS id, 'text ' || i AS t, (SELECT string_agg(md5((i * 100 + k)::text), '') FROM generate_series(1, 60) k) AS pad
    FROM generate_series(1, 10000) i;
CREATE TABLE partly (id int, acl aclitem, t text);
INSERT INTO partly VALUES (1, 'postgres=r/postgres', 'x');
SQL
    mount_start -o lease=0
    T=$MNT/public
    export T
}

teardown_file() { teardown_all; }

setup() {
    OUT=$E2E/out/$BATS_TEST_NUMBER
    mkdir -p "$OUT"
}

# The file $2.FORMAT of relation $1 is what the server says of the columns $3, which are written as in SQL; $4: as JSON.
assert_selected() {
    local file=$T/$1/select/$2 from=public.$1 format
    psql_pinned -c "COPY (SELECT $3 FROM $from) TO STDOUT (FORMAT csv, HEADER)" >"$OUT/csv"
    psql_pinned -c "COPY (SELECT $3 FROM $from) TO STDOUT (FORMAT csv, HEADER, DELIMITER E'\t')" >"$OUT/tsv"
    psql_pinned -c "COPY (SELECT $3 FROM $from) TO STDOUT (FORMAT binary)" >"$OUT/bin"
    psql_pinned -c "SELECT row_to_json(\"whole row\") FROM (SELECT ${4:-$3} FROM $from) \"whole row\"" >"$OUT/jsonl"
    for format in csv tsv bin jsonl; do
        [ "$(stat -c %s "$file.$format")" -eq "$(stat -c %s "$OUT/$format")" ] || { stat "$file.$format"; return 1; }
        assert_same_bytes "$file.$format" "$OUT/$format" || return
    done
}

# What the refreshes of columns $2 of relation $1 have moved, in bytes.
moved() {
    python3 - "$MNT/.pgvecfs/status.json" "$1" "$2" <<'PYTHON'
import json, sys
status = json.load(open(sys.argv[1]))
print(sum(r["bytes"] for r in status["refreshes"] if r["name"] == sys.argv[2] and r.get("columns", "") == sys.argv[3]))
PYTHON
}

identity() { stat -c '%i %s %Y' "$@"; }

@test "the bytes are COPY's, for each type alone, and for all of them backwards" {
    local column backwards=''
    for column in id b t n f d ts i u j jb a ta m by net r bits; do
        assert_selected kinds "$column" "$column"
        backwards=$column${backwards:+,$backwards}
    done
    assert_selected kinds "$backwards" "$backwards"
    assert_selected kinds v,id,h v,id,h 'v::text::json AS v, id, h::text::json AS h'
}

@test "the order is the one that is named" {
    assert_selected kinds t,id t,id
    assert_selected kinds id,t id,t
    run head -n 1 "$T/kinds/select/t,id,b.csv"
    [ "$output" = t,id,b ]
}

@test "odd names are in quotes, and written as file names are" {
    assert_selected odd '"a,b","Say ""it"""' '"a,b","Say ""it"""'
    assert_selected odd 'x%2Fy' '"x/y"'
    assert_selected odd '%2Edot,per%25cent' '".dot","per%cent"'
    assert_selected odd 'é, "a,b"' '"é","a,b"'
    assert_selected kinds 'ID,"t"' 'id,t'
    [ ! -e "$T/odd/select/x%2fy.csv" ] # another way of writing it
    [ ! -e "$T/odd/select/.dot.csv" ]
}

@test "generated columns are there by name" { assert_selected generated double,a double,a; }

@test "of partitioned tables, partitions and views" {
    assert_selected parts id,region id,region
    psql_pinned -c "COPY (SELECT id FROM public.parts_s) TO STDOUT (FORMAT csv, HEADER)" >"$OUT/right"
    assert_same_bytes "$T/parts/partitions/parts_s/select/id.csv" "$OUT/right"
    assert_selected seen t,id t,id
}

@test "nothing of it is listed" {
    cat "$T/kinds/select/id.csv" >/dev/null
    [ -z "$(ls -A "$T/kinds/select")" ]
    run ls "$T/kinds"
    [[ $output != *select* ]]
}

@test "only the columns that are asked for leave the server" {
    cat "$T/wide/select/id,t.csv" >/dev/null
    run moved wide id,t
    echo "$output bytes"
    [ "$output" -gt 0 ]
    [ "$output" -lt 700000 ] # the whole has 20 MB
    [ "$(moved wide '')" -eq 0 ]
}

@test "if the whole table is at hand only what has changed since leaves the server" {
    psql -X -q -c "CREATE TABLE held AS SELECT id, t, pad FROM wide"
    within 10 cat "$T/held/held.csv" >/dev/null
    assert_selected held t,id t,id
    [ "$(moved held t,id)" -eq 0 ]
    psql -X -q -c "INSERT INTO held VALUES (-1, 'new', '')"
    assert_selected held id id
    assert_selected held t,id t,id
    echo "$(moved held id), $(moved held t,id) of $(moved held '')"
    [ "$(moved held id)" -lt 100000 ]
    [ "$(moved held t,id)" -lt 300000 ]
    identity "$T"/held/select/{id,t\,id}.csv >"$OUT/before"
    psql -X -q -c "ALTER TABLE held DROP COLUMN pad"
    identity "$T"/held/select/{id,t\,id}.csv >"$OUT/after"
    diff "$OUT/before" "$OUT/after"
    mount_stop
    mount_start -o lease=0
    identity "$T"/held/select/{id,t\,id}.csv >"$OUT/after"
    diff "$OUT/before" "$OUT/after"
    assert_selected held t,id t,id
}

@test "what is no selection is not there, and says why" {
    run cat "$T/kinds/select/nosuch.csv"
    [[ $output == *"No such file"* ]]
    run getfattr --only-values -n user.pgvecfs.error "$T/kinds/select"
    echo "$output"
    [[ $output == *'nosuch: columns: there is no column "nosuch"'* ]]
    run cat "$T/kinds/select/id,t,ID.csv"
    [[ $output == *"No such file"* ]]
    run getfattr --only-values -n user.pgvecfs.error "$T/kinds"
    echo "$output"
    [[ $output == *'select: '*'"ID" is named twice'* ]]
    run cat "$T/kinds/select/id.xml" "$T/kinds/select/.csv" "$T/kinds/select/csv"
    [ "$(grep -c "No such file" <<<"$output")" -eq 3 ]
    # It hurts no other file.
    assert_selected kinds id,t id,t
}

@test "a format that the server refuses is refused only where its column is named" {
    run cat "$T/partly/partly.bin"
    [ "$status" -ne 0 ]
    run cat "$T/partly/select/acl.bin"
    [ "$status" -ne 0 ]
    run getfattr --only-values -n user.pgvecfs.error "$T/partly/select/acl.csv"
    psql_pinned -c "COPY (SELECT id, t FROM public.partly) TO STDOUT (FORMAT binary)" >"$OUT/right"
    assert_same_bytes "$T/partly/select/id,t.bin" "$OUT/right"
}

@test "it is the same file after the whole table was fetched, after other columns have changed, and after a remount" {
    local files=("$T/wide/select/id,t.csv" "$T/wide/select/t.bin" "$T/wide/select/t,id.jsonl")
    identity "${files[@]}" >"$OUT/before"
    cat "${files[@]}" >"$OUT/bytes"
    cat "$T/wide/wide.csv" >/dev/null
    identity "${files[@]}" >"$OUT/after"
    diff "$OUT/before" "$OUT/after"
    psql -X -q -c "ALTER TABLE wide ADD COLUMN more int DEFAULT 7; ALTER TABLE wide DROP COLUMN pad"
    identity "${files[@]}" >"$OUT/after"
    diff "$OUT/before" "$OUT/after"
    mount_stop
    mount_start -o lease=0
    identity "${files[@]}" >"$OUT/after"
    diff "$OUT/before" "$OUT/after"
    cat "${files[@]}" >"$OUT/again"
    assert_same_bytes "$OUT/bytes" "$OUT/again"
    # And nothing but fingerprints has come.
    [ "$(moved wide id,t)" -lt 1000 ]
}

@test "the files of different selections are different files" {
    run bash -c "stat -c %i '$T'/kinds/select/{id,t,b}.{csv,bin} '$T'/kinds/kinds.{csv,bin} | sort -u | wc -l"
    [ "$output" -eq 8 ]
}

@test "a change of the columns is a later file with the new bytes" {
    local file=$T/kinds/select/id,t.csv before
    before=$(stat -c %Y "$file")
    psql -X -q -c "UPDATE kinds SET t = 'new' WHERE id = 5; DELETE FROM kinds WHERE id = 6; INSERT INTO kinds (id, t) VALUES (9999, 'last')"
    assert_selected kinds id,t id,t
    [ "$(stat -c %Y "$file")" -gt "$before" ]
}

@test "a column that is renamed is found by its new name" {
    psql -X -q -c "CREATE TABLE renamed AS SELECT 1 AS a, 2 AS b"
    within 10 cat "$T/renamed/select/a.csv"
    psql -X -q -c "ALTER TABLE renamed RENAME a TO c"
    run cat "$T/renamed/select/a.csv"
    [ "$status" -ne 0 ]
    assert_selected renamed c c
    psql -X -q -c "ALTER TABLE renamed RENAME c TO a"
    assert_selected renamed a a
}

@test "many selections at once" {
    local pids=() i
    for i in id b t n f d ts i u m; do
        cat "$T/kinds/select/$i.csv" >"$OUT/$i" 3>&- &
        pids+=($!)
    done
    for i in "${pids[@]}"; do wait "$i"; done
    for i in id b t n f d ts i u m; do
        psql_pinned -c "COPY (SELECT $i FROM public.kinds) TO STDOUT (FORMAT csv, HEADER)" >"$OUT/right"
        assert_same_bytes "$OUT/$i" "$OUT/right"
    done
}

@test "the cache may be taken away" {
    cat "$T/kinds/select/id,t.csv" >/dev/null
    find "$CACHE" -name '*.rows' -delete
    echo 3 >/proc/sys/vm/drop_caches 2>/dev/null || true
    assert_selected kinds id,t id,t
    assert_selected kinds id,n id,n
}

@test "there may be many lists of columns, one after another; if too many are in use the next one says so" {
    local names
    names=$(seq -s, -f 'c%g int' 0 39)
    psql -X -q -c "CREATE TABLE forty ($names)"
    within 10 ls "$T/forty" >/dev/null
    # The lists that other processes hold: their names are enough, no row is fetched.
    python3 - "$T/forty/select" "$OUT" 3>&- <<'PYTHON' &
import itertools, os, resource, sys, time
folder, out = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
names = [f"c{a},c{b}.csv" for a, b in itertools.permutations(range(40), 2)][:1024]
held = [os.open(f"{folder}/{name}", os.O_PATH) for name in names]
open(f"{out}/held", "w").close()
while not os.path.exists(f"{out}/enough") and os.path.exists(folder):
    time.sleep(0.05)
PYTHON
    within 60 test -e "$OUT/held"
    run cat "$T/forty/select/c1.csv"
    [[ $output == *"Cannot allocate memory"* ]]
    run getfattr --only-values -n user.pgvecfs.error "$T/forty/select"
    echo "$output"
    [[ $output == *"1024 lists of columns are in use, no more can be: close files, or select fewer"* ]]
    grep -F 'public.forty/select: 1024 lists of columns are in use' "$MNT/.pgvecfs/log"
    [ "$(head -n 1 "$T/forty/forty.csv")" = "$(seq -s, -f 'c%g' 0 39)" ]
    touch "$OUT/enough"
    wait $!
    within 30 cat "$T/forty/select/c1.csv"
    [ "$(cat "$T/forty/select/c1.csv")" = c1 ]
}
