#!/usr/bin/env bats
# Answers of query/ against the server's own ORDER BY … LIMIT: every type and metric, filters, batches, columns, odd tables,
# and tables that change. The lease is 0, so that each answer is for the rows of now.

load helper

# Vectors with NULLs (every 13th), zeroes (every 37th) and doubles (rows of 5 by 5); ids are not in the order of the heap.
fill() {
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
SELECT setseed(0.25);
CREATE FUNCTION number(i int, d int) RETURNS float8 LANGUAGE sql IMMUTABLE AS
    $$ SELECT round(sin(i * 12.9898 + d * 78.233)::numeric, 3)::float8 $$;
CREATE TABLE items (
    id int PRIMARY KEY, name text, price numeric, tags text[], made timestamptz,
    twice int GENERATED ALWAYS AS (id * 2) STORED,
    v vector(24), h halfvec(24), s sparsevec(60), b bit(70), distance int);
INSERT INTO items (id, name, price, tags, made, v, h, s, b, distance)
    SELECT (i * 7919) % 1000, 'item, "' || i || '"', i * 1.25, ARRAY['a', i::text], 'epoch'::timestamptz + i * interval '1 hour',
        CASE WHEN i % 13 = 0 THEN NULL WHEN i % 37 = 0 THEN array_fill(0, ARRAY[24])::vector ELSE
            (SELECT array_agg(number(i / 5, d) ORDER BY d) FROM generate_series(1, 24) d)::vector END,
        CASE WHEN i % 13 = 1 THEN NULL WHEN i % 37 = 1 THEN array_fill(0, ARRAY[24])::halfvec ELSE
            (SELECT array_agg(number(i / 5, d) ORDER BY d) FROM generate_series(1, 24) d)::halfvec END,
        CASE WHEN i % 13 = 2 THEN NULL WHEN i % 37 = 2 THEN '{}/60' ELSE
            (SELECT array_agg(CASE WHEN (i / 5 * d) % 7 = 0 THEN number(i / 5, d) ELSE 0 END ORDER BY d)
             FROM generate_series(1, 60) d)::vector::sparsevec END,
        CASE WHEN i % 13 = 3 THEN NULL WHEN i % 37 = 3 THEN repeat('0', 70)::bit(70) ELSE
            (SELECT string_agg(CASE WHEN number(i / 5, d) > 0.3 THEN '1' ELSE '0' END, '' ORDER BY d)
             FROM generate_series(1, 70) d)::bit(70) END,
        i % 9
    FROM generate_series(1, 1000) i;
CREATE TABLE keyless AS SELECT id, v FROM items;
CREATE VIEW seen AS SELECT id, v, name FROM items WHERE id % 2 = 0;
CREATE MATERIALIZED VIEW kept AS SELECT id, v, name FROM items WHERE id % 3 = 0;
CREATE TABLE parted (id int, part int, v vector(24), PRIMARY KEY (id, part)) PARTITION BY LIST (part);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2, 3);
INSERT INTO parted SELECT id, id % 3 + 1, v FROM items;
CREATE TABLE "odd, ""name" (id int PRIMARY KEY, "the, ""v" vector(24), "Mixed Case" text);
INSERT INTO "odd, ""name" SELECT id, v, 'x' || id FROM items;
CREATE TABLE words (word text PRIMARY KEY, id int, v vector(24));
INSERT INTO words SELECT 'w' || id, id, v FROM items;
CREATE TABLE empty (id int PRIMARY KEY, v vector(24));
CREATE TABLE plain (id int PRIMARY KEY, title text);
CREATE TABLE loose (id int PRIMARY KEY, v vector, h halfvec, s sparsevec, b varbit);
INSERT INTO loose (id, v) VALUES (1, '[1,2]'), (2, '[1,2,3]'), (3, '[2,2]'), (4, NULL);
UPDATE loose SET h = v::halfvec, s = v::sparsevec, b = CASE id WHEN 1 THEN B'01' WHEN 2 THEN B'010' ELSE B'11' END WHERE id < 4;
SQL
}

setup_file() {
    server_start && fill && mount_start -o lease=0
}
teardown_file() { teardown_all; }

setup() { session items; }
teardown() { rmdir "$MNT"/public/*/query/mine 2>/dev/null || true; }

# A fresh session of table $1, in $S.
session() {
    rmdir "$MNT"/public/*/query/mine 2>/dev/null || true
    S=$MNT/public/$1/query/mine
    mkdir "$S"
}

# Writes NAME VALUE pairs to the session; the vector is written from the file $Q.
ask() {
    while [ $# -gt 0 ]; do
        printf '%s\n' "$2" >"$S/$1" || return
        shift 2
    done
    cat "$Q" >"$S/vector"
}

sql() { PGTZ=UTC psql -X -q -At -v ON_ERROR_STOP=1 -c "$1"; }

# Query vectors of column $1 into the file $Q: one a line, of the first rows from the ids that follow on which have one that is
# not zero. $ID is the last one's id.
queries() {
    local column=$1 from row
    shift
    Q=$BATS_TEST_TMPDIR/queries
    for from in "$@"; do
        row=$(sql "SELECT id, $column FROM items WHERE id >= $from AND $column IS NOT NULL AND $column::text <> ALL
            (ARRAY['{}/60', repeat('0', 70), '[' || repeat('0,', 23) || '0]']) ORDER BY id LIMIT 1")
        ID=${row%%|*}
        printf '%s\n' "${row#*|}"
    done >"$Q"
    [ "$(grep -c . "$Q")" = $# ]
}

# Whether both forms of the answer are what the server says: nearest TABLE COLUMN METRIC K [CONDITION].
nearest() {
    local format
    for format in csv jsonl; do
        cp "$S/results.$format" "$BATS_TEST_TMPDIR/results.$format" || { cat "$S/error" >&2; return 1; }
    done
    python3 "$BATS_TEST_DIRNAME/nearest.py" "$BATS_TEST_TMPDIR/results.csv:$BATS_TEST_TMPDIR/results.jsonl" "$1" "$2" "$3" "$4" "$Q" "${@:5}"
}

plan() { sed -n "s/^  \"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$S/plan.json"; }

# The answer fails with EINVAL (or $2), and `error` says $1.
refused() {
    run cat "$S/results.csv"
    [ "$status" != 0 ]
    [[ $output == *"${2:-Invalid argument}"* ]]
    run cat "$S/error"
    [[ $output == *"$1"* ]] || { echo "error is: $output" >&2; return 1; }
}

@test "every type and metric, exactly" {
    for column in v h s; do
        for metric in l2 ip cosine l1; do
            queries $column 8 501
            ask column $column metric $metric mode exact k 30
            nearest items $column $metric 30
        done
    done
    for metric in hamming jaccard; do
        queries b 8 501
        ask column b metric $metric mode exact k 30
        nearest items b $metric 30
    done
    [ "$(plan method)" = exact ]
}

@test "every type and metric, by the server" {
    for pair in "v l2" "v ip" "v cosine" "v l1" "h l2" "s cosine" "b hamming" "b jaccard"; do
        read -r column metric <<<"$pair"
        queries "$column" 8
        ask column "$column" metric "$metric" mode server k 10
        cp "$S/results.csv" "$BATS_TEST_TMPDIR/server.csv"
        [ "$(plan method)" = server ]
        ask mode exact
        cp "$S/results.csv" "$BATS_TEST_TMPDIR/exact.csv"
        # The same rows but for the order among equals, the same columns, the same distances but for the last digits.
        diff <(cut -d, -f1 "$BATS_TEST_TMPDIR/server.csv" | head -1) <(cut -d, -f1 "$BATS_TEST_TMPDIR/exact.csv" | head -1)
        diff <(wc -l <"$BATS_TEST_TMPDIR/server.csv") <(wc -l <"$BATS_TEST_TMPDIR/exact.csv")
        paste -d' ' <(awk -F, 'NR > 1 { print $NF }' "$BATS_TEST_TMPDIR/server.csv") \
            <(awk -F, 'NR > 1 { print $NF }' "$BATS_TEST_TMPDIR/exact.csv") |
            awk '{ d = $1 - $2; m = $1 < 0 ? -$1 : $1; if (d < 0) d = -d; if (d > 1e-5 * m + 2e-7) exit 1 }'
    done
    queries v 8 501
    ask column v metric l2 mode server k 5
    cut -d, -f1 "$S/results.csv" | sort | uniq -c | awk '$2 == "0" || $2 == "1" { if ($1 != 5) exit 1; n++ } END { exit n != 2 }'
}

@test "by default: the first column of vectors, l2, ten rows; bits by hamming" {
    queries v 17
    ask
    nearest items v l2 10
    queries b 17
    ask column b
    nearest items b hamming 10
}

@test "k beyond all rows, and an empty table" {
    queries v 17
    ask k 100000
    nearest items v l2 100000
    ask metric cosine
    nearest items v cosine 100000
    session empty
    ask k 5
    [ "$(cat "$S/results.csv")" = id,distance ]
    [ ! -s "$S/results.jsonl" ]
}

@test "a filter at any selectivity" {
    queries v 17
    for condition in 'id < 500' 'id % 100 = 7' 'id = 33' 'false' 'name LIKE $$%9%$$ AND price > 100' \
        'id < (SELECT avg(id) FROM public.items)' 'true -- (' 'id < 40 /* ) */'; do
        ask filter "$condition" k 20 mode exact
        nearest items v l2 20 "${condition% --*}"
        ask mode server
        ANY_TIES=1 nearest items v l2 20 "${condition% --*}"
    done
}

@test "a filter over rows of several transactions, in the order of pages or of an index" {
    psql -X -q -c 'CREATE TABLE mixed (id int PRIMARY KEY, k int, v vector(24))' \
        -c "INSERT INTO mixed SELECT id, id * 7919 % 3001, v FROM items WHERE id <= 3000" -c 'CREATE INDEX ON mixed (k)' \
        -c 'UPDATE mixed SET k = k WHERE id % 5 = 0' -c 'DELETE FROM mixed WHERE id % 11 = 0' \
        -c 'UPDATE mixed SET k = k WHERE id BETWEEN 100 AND 200' -c 'ANALYZE mixed'
    session mixed
    queries v 17
    for condition in true 'id % 3 <> 0' 'k BETWEEN 5 AND 30' 'k < 100 OR id % 10 = 5' 'id % 5 > 0 AND id > 2000'; do
        ask filter "$condition" k 5000 mode exact
        nearest mixed v l2 5000 "$condition"
    done
    psql -X -q -c 'DROP TABLE mixed'
}

@test "a filter that is no condition is refused in the server's words" {
    queries v 17
    ask filter 'id <'
    refused 'syntax error'
    ask filter 'nothing = 1'
    refused 'column "nothing" does not exist'
    ask filter 'id'
    refused 'must be type boolean'
    ask filter 'id = 1 / 0'
    refused 'division by zero'
    ask filter 'true; DROP TABLE plain'
    refused 'syntax error'
    # What leaves the parentheses around it, or a string, makes sense in some places, but not in all.
    for text in 'true) OR (true' 'true] || ARRAY[true' 'true, true' '(true' 'true /*' 'true $$' "true '" 'SELECT true'; do
        ask filter "$text"
        refused 'filter: '
    done
    ask filter "(id, ARRAY[id]) = (id, '{}') IS NOT NULL -- a comment"
    nearest items v l2 10
    ask filter 'true) UNION SELECT tableoid, ctid, xmin FROM plain WHERE (true'
    refused 'filter: each UNION query'
    ask filter 'true) UNION SELECT FROM plain WHERE (true'
    refused 'syntax error'
    ask filter 'true) THEN true END FROM items WHERE CASE WHEN (true'
    refused 'syntax error'
    ask filter 'true)) TO PROGRAM $$false$$ --'
    refused 'syntax error'
    ask filter '/* '
    refused 'unterminated'
    psql -X -q -c 'SELECT FROM plain'
}

@test "a filter cannot write, nor change what comes after it" {
    psql -X -q -c "CREATE FUNCTION spoil() RETURNS boolean LANGUAGE plpgsql AS \$\$ BEGIN
        DELETE FROM public.plain; RETURN true; END \$\$"
    queries v 17
    ask filter 'spoil()'
    refused 'read-only transaction'
    ask filter "set_config('bytea_output', 'escape', false) <> '' AND set_config('DateStyle', 'German', false) <> ''"
    nearest items v l2 10
    ask filter 'pg_advisory_lock(42) IS NOT NULL'
    nearest items v l2 10
    [ "$(sql "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")" = 0 ]
    psql -X -q -c 'UPDATE items SET distance = distance WHERE id = 17'
    reference_csv public.items >"$BATS_TEST_TMPDIR/expected"
    cp "$MNT/public/items/items.csv" "$BATS_TEST_TMPDIR/got"
    assert_same_bytes "$BATS_TEST_TMPDIR/got" "$BATS_TEST_TMPDIR/expected"
}

@test "a batch" {
    queries v 17 500 17 600 23
    ask k 7 mode exact
    nearest items v l2 7
    [ "$(sed -n 1p "$S/results.csv" | cut -d, -f1)" = query ]
    ask mode server
    ANY_TIES=1 nearest items v l2 7
}

@test "a batch of one is numbered, too; a key and a vector are one too many" {
    [ "$(near_loose '"vector":[[1,2]],"filter":"id <> 2","k":1')" = '{"query":0,"id":1,"distance":0}' ]
    [ "$(near_loose '"vector":[1,2],"filter":"id <> 2","k":1')" = '{"id":1,"distance":0}' ]
    [ "$(near_loose '"vector":["01"],"column":"b","filter":"id <> 2","k":1')" = '{"query":0,"id":1,"distance":0}' ]
    [[ $(near_loose '"key":1,"vector":[1,2],"k":1') == '{"error":'*key*vector* ]]
}

@test "a batch with a blank element or line, which would change the numbers, is refused" {
    [[ $(near_loose '"vector":["[1,2]","","[2,2]"],"filter":"id <> 2"') == '{"error":'*"element 1 of the array"* ]]
    [[ $(near_loose '"vector":["[1,2]\n[2,2]","[2,2]"],"filter":"id <> 2"') == '{"error":'*"element 0 of the array"* ]]
    session loose
    echo 'id <> 2' >"$S/filter"
    printf '[1,2]\n\n[2,2]\n' >"$S/vector"
    run cat "$S/results.csv"
    [ "$status" -ne 0 ]
    grep -q 'line 2 is blank' "$S/error"
    printf '[1,2]\n[2,2]\n\n' >"$S/vector"
    [ "$(cut -d, -f1,2 "$S/results.csv" | paste -sd' ' -)" = 'query,id 0,1 0,3 1,3 1,1' ]
    rmdir "$S"
}

@test "vectors as .npy and as float32" {
    command -v python3 >/dev/null
    queries v 17 500
    python3 - "$Q" "$BATS_TEST_TMPDIR/raw" "$BATS_TEST_TMPDIR/npy" <<'PY'
import json, struct, sys
rows = [json.loads(line) for line in open(sys.argv[1]) if line.strip()]
raw = b"".join(struct.pack("<%df" % len(row), *row) for row in rows)
open(sys.argv[2], "wb").write(raw)
header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }" % (len(rows), len(rows[0]))
header += " " * (63 - (10 + len(header)) % 64) + "\n"
open(sys.argv[3], "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + raw)
PY
    ask k 5
    cp "$S/results.csv" "$BATS_TEST_TMPDIR/text.csv"
    for form in raw npy; do
        cat "$BATS_TEST_TMPDIR/$form" >"$S/vector"
        cp "$S/results.csv" "$BATS_TEST_TMPDIR/$form.csv"
        assert_same_bytes "$BATS_TEST_TMPDIR/$form.csv" "$BATS_TEST_TMPDIR/text.csv"
    done
}

@test "which columns are told" {
    queries v 17
    ask k 1
    [ "$(sed -n 1p "$S/results.csv")" = id,name,price,tags,made,distance,distance_ ]
    [ "$(cat "$S/results.jsonl")" = "$(sql "SELECT row_to_json(r) FROM (
        SELECT id, name, price, tags, made, twice, distance FROM items WHERE id = (
            SELECT id FROM items ORDER BY v <-> (SELECT v FROM items WHERE id = $ID), id LIMIT 1)) r" |
        sed 's/}$/,"distance_":0}/')" ]
    ask columns 'made, ID,twice,"distance"'
    [ "$(sed -n 1p "$S/results.csv")" = made,id,twice,distance,distance_ ]
    ask columns '*'
    [ "$(sed -n 1p "$S/results.csv")" = id,name,price,tags,made,v,h,s,b,distance,distance_ ]
    [ "$(cut -d'"' -f4,5 <"$S/results.jsonl" | wc -l)" = 1 ]
    ask columns 'id,nme'
    refused 'there is no column "nme"'
    ask columns 'id,"na'
    refused 'names are separated by commas'
    ask columns 'id,name,ID'
    refused '"ID" is named twice'
}

@test "columns that are called as ours are" {
    psql -X -q -c 'CREATE TABLE named (query int PRIMARY KEY, distance text, "distance_" text, v vector(2));
        INSERT INTO named VALUES (1, $$far$$, $$off$$, $$[3,4]$$), (2, $$near$$, $$by$$, $$[0,1]$$)'
    session named
    Q=$BATS_TEST_TMPDIR/queries
    printf '[0,0]\n[3,3]\n' >"$Q"
    for mode in exact server; do
        ask mode $mode
        [ "$(cat "$S/results.csv")" = "$(printf '%s\n' query_,query,distance,distance_,distance__ 0,2,near,by,1 0,1,far,off,5 \
            1,1,far,off,1 1,2,near,by,3.605551275463989)" ]
        [ "$(sed -n 2p "$S/results.jsonl")" = '{"query_":0,"query":1,"distance":"far","distance_":"off","distance__":5}' ]
    done
    ask columns v
    [ "$(sed -n 1p "$S/results.csv")" = query_,v,distance__ ]
    exec 5<>"$S/../ask"
    echo '{"key":1,"k":1}' >&5
    [ "$(cat <&5)" = '{"query":2,"distance":"near","distance_":"by","distance__":4.242640687119285}' ]
    exec 5<&-
    rmdir "$S"
    [ "$(cat "$MNT/public/named/query/near/v/l2/1/2.csv")" = "$(printf 'query,distance,distance_,distance__\n1,far,off,4.242640687119285')" ]
    psql -X -q -c 'DROP TABLE named'
}

@test "what does not fit is refused" {
    queries v 17
    ask column name
    refused 'which is no vector'
    ask column nothing
    refused 'no column "nothing"'
    ask column h metric hamming
    refused 'use l2, ip, cosine or l1'
    ask column b metric l2
    refused 'use hamming or jaccard'
    ask column '' metric ''
    printf '[1,2]' >"$S/vector"
    refused 'the column has 24'
    printf '[%s]' "$(seq -s, 1 23),1e99" >"$S/vector"
    refused 'line 1, position 62: out of range'
    printf '[%s]' "$(printf '0,%.0s' {1..23})0" >"$S/vector"
    echo cosine >"$S/metric"
    refused 'zero'
    echo server >"$S/mode"
    refused 'zero'
    [ ! -e "$MNT/public/plain/query" ]
}

@test "views, materialized views, partitions, tables without a key" {
    queries v 17 500
    for relation in seen kept parted keyless; do
        session $relation
        export ANY_TIES=1 # some have no key
        ask k 12 mode exact columns id
        nearest $relation v l2 12
        ask filter 'id % 4 = 0' mode auto
        nearest $relation v l2 12 'id % 4 = 0'
        ask mode server
        nearest $relation v l2 12 'id % 4 = 0'
        ask filter ''
    done
}

@test "odd names" {
    queries v 17
    S=$MNT/public/'odd, "name'/query/mine
    mkdir "$S"
    ask column 'the, "v' k 5 columns 'id,"Mixed Case"'
    nearest '"odd, ""name"' '"the, ""v"' l2 5
    [ "$(sed -n 1p "$S/results.csv")" = 'id,Mixed Case,distance' ]
    ask mode server filter '"Mixed Case" > $$x5$$'
    ANY_TIES=1 nearest '"odd, ""name"' '"the, ""v"' l2 5 '"Mixed Case" > $$x5$$'
    rmdir "$S"
}

# What a question compares with: `[1,2]`, or "key" of a row.
near_loose() {
    exec 5<>"$MNT/public/loose/query/ask"
    echo "{$1}" >&5
    cat <&5
    exec 5<&-
}

@test "vectors of several dimensions in one column" {
    local mode column
    session loose
    Q=$BATS_TEST_TMPDIR/queries
    echo '[1,2]' >"$Q"
    ask
    refused 'different dimensions'
    ask filter 'vector_dims(v) = 3'
    refused 'dimensions'
    ask filter 'vector_dims(v) = 2'
    [ "$(cat "$S/results.csv")" = "$(printf 'id,distance\n1,0\n3,1')" ]
    echo '[1,2,5]' >"$Q"
    for mode in auto exact hnsw server; do
        ask filter 'vector_dims(v) = 3' mode $mode
        [ "$(cat "$S/results.csv")" = "$(printf 'id,distance\n2,2')" ]
        [ "$(near_loose '"key":1,"mode":"'$mode'"')" = '{"id":3,"distance":1}' ]
        [ "$(near_loose '"key":2,"mode":"'$mode'"')" = '' ]
        [ "$(near_loose '"key":1,"filter":"id <> 3","mode":"'$mode'"')" = '' ]
        [ "$(near_loose '"vector":[1,2],"filter":"id <> 2","k":1,"mode":"'$mode'"')" = '{"id":1,"distance":0}' ]
        [[ $(near_loose '"vector":[1,2],"mode":"'$mode'"') == *"different"*dimensions* ]]
        for column in h s b; do
            [ "$(near_loose "\"column\":\"$column\",\"key\":1,\"mode\":\"$mode\"")" = '{"id":3,"distance":1}' ]
        done
    done
    [ "$(cat "$MNT/public/loose/query/near/v/l2/9/1.csv")" = "$(printf 'id,distance\n3,1')" ]
    [ "$(cat "$MNT/public/loose/query/near/v/cosine/9/2.csv")" = id,distance ]
    psql -X -q -c "INSERT INTO loose (id, b) VALUES (7, B'')"
    for mode in exact server; do
        [[ $(near_loose '"column":"b","key":7,"mode":"'$mode'"') == *"the row's \\\"b\\\" is empty: nothing can be compared with it"* ]]
        [ "$(near_loose '"column":"b","key":1,"mode":"'$mode'"')" = '{"id":3,"distance":1}' ]
    done
}

@test "near/: rows nearest to a row, itself left out" {
    queries v 17
    near=$MNT/public/items/query/near
    cp "$near/v/l2/9/$ID.csv" "$BATS_TEST_TMPDIR/near.csv"
    python3 "$BATS_TEST_DIRNAME/nearest.py" "$BATS_TEST_TMPDIR/near.csv" items v l2 9 "$Q" "id <> $ID"
    cp "$near/v/cosine/100000/$ID.jsonl" "$BATS_TEST_TMPDIR/near.jsonl"
    python3 "$BATS_TEST_DIRNAME/nearest.py" "$BATS_TEST_TMPDIR/near.jsonl" items v cosine 100000 "$Q" "id <> $ID"
    run cat "$near/v/l2/9/1000000.csv"
    [ "$status" != 0 ]
    [[ $output == *"No such file"* ]]
    cp "$MNT/public/words/query/near/v/l2/3/w$ID.csv" "$BATS_TEST_TMPDIR/near.csv"
    python3 "$BATS_TEST_DIRNAME/nearest.py" "$BATS_TEST_TMPDIR/near.csv" words v l2 3 "$Q" "id <> $ID"
    cp "$MNT/public/parted/query/near/v/l2/3/$ID,$((ID % 3 + 1)).csv" "$BATS_TEST_TMPDIR/near.csv"
    python3 "$BATS_TEST_DIRNAME/nearest.py" "$BATS_TEST_TMPDIR/near.csv" parted v l2 3 "$Q" "id <> $ID"
    run cat "$MNT/public/keyless/query/near/v/l2/3/17.csv"
    [ "$status" != 0 ]
}

@test "a table that changes" {
    psql -X -q -c 'CREATE TABLE moving AS SELECT id, v FROM items; ALTER TABLE moving ADD PRIMARY KEY (id)'
    session moving
    queries v 17
    ask k 15
    nearest moving v l2 15
    psql -X -q -c 'INSERT INTO moving SELECT 5000 + id, v FROM items WHERE id % 50 = 17'
    nearest moving v l2 15
    [ "$(sed -n 2p "$S/results.csv" | cut -d, -f1)" = "$(sql "SELECT id FROM moving ORDER BY
        v <-> (SELECT v FROM items WHERE id = $ID), id LIMIT 1")" ]
    psql -X -q -c 'DELETE FROM moving WHERE id % 10 = 7'
    nearest moving v l2 15
    psql -X -q -c "UPDATE moving SET v = (SELECT v FROM items WHERE id = $ID) WHERE id % 100 = 3"
    nearest moving v l2 15
    ask filter 'id % 3 = 0'
    for _ in 1 2 3; do
        psql -X -q -c 'UPDATE moving SET id = id'
        nearest moving v l2 15 'id % 3 = 0'
    done
    psql -X -q -c 'TRUNCATE moving'
    [ "$(cat "$S/results.csv")" = id,distance ]
    psql -X -q -c 'DROP TABLE moving'
}

# Until the index of the session's column and metric is ready.
wait_for_index() {
    cat "$S/results.csv" >/dev/null
    within 30 grep -q '"state": "ready"' "$S/../index/$1.json" || { cat "$S/../index/$1.json" >&2; return 1; }
}

# With an effort that looks at nearly everything an index misses nothing, so that it can be compared.
@test "from an index: filters, batches, near/, and a table that changes under it" {
    psql -X -q -c 'CREATE TABLE indexed AS SELECT id, v, h, b FROM items; ALTER TABLE indexed ADD PRIMARY KEY (id)'
    session indexed
    for pair in 'v l2' 'v ip' 'h cosine' 'b jaccard'; do
        read -r column metric <<<"$pair"
        queries "$column" 17 500
        ask column "$column" metric "$metric" mode hnsw ef_search 1000 k 10
        wait_for_index "$column.$metric"
        nearest indexed "$column" "$metric" 10
        [ "$(plan method)" = hnsw ]
    done
    queries v 17
    ask column v metric l2
    for condition in 'id % 2 = 0' 'id < 100' 'id IN (3, 500, 777)' 'false'; do
        ask filter "$condition" k 20
        nearest indexed v l2 20 "$condition"
    done
    ask filter ''
    psql -X -q -c 'DELETE FROM indexed WHERE id % 10 = 7'
    nearest indexed v l2 20
    psql -X -q -c 'INSERT INTO indexed SELECT 5000 + id, v FROM items WHERE id % 10 = 7'
    nearest indexed v l2 20
    ask filter 'id > 4000'
    nearest indexed v l2 20 'id > 4000'
    psql -X -q -c 'UPDATE indexed SET v = NULL WHERE id % 10 = 3'
    ask filter ''
    nearest indexed v l2 20
    ask ef_search '' k 3 recall 0.5
    [ "$(sed 1d "$S/results.csv" | wc -l)" = 3 ]
    psql -X -q -c 'DROP TABLE indexed'
}

@test "vectors that fit neither into the cache nor into memory: the server does it" {
    psql -X -q -c 'CREATE TABLE large (id int PRIMARY KEY, v vector(1536));
        INSERT INTO large SELECT i, array_fill(i::float4, ARRAY[1536])::vector FROM generate_series(1, 3000) i'
    # For two mounts at once: the second has its own place in this subshell.
    (
        export MNT=$E2E/mnt2 CACHE=$E2E/cache2
        mount_start -o cache_size=1M,memory=32M
        session large
        Q=$BATS_TEST_TMPDIR/queries
        psql -X -At -c 'SELECT v FROM large WHERE id = 17' >"$Q"
        ask k 9 columns id
        ANY_TIES=1 nearest large v l2 9
        [ "$(plan method)" = server ]
        ask mode exact
        refused 'larger cache_size' 'No space left'
        mount_stop
    )
    psql -X -q -c 'DROP TABLE large'
}

@test "the plan" {
    queries v 17
    ask mode exact k 4
    [ "$(plan method)" = exact ]
    [ "$(plan column)" = v ]
    [ "$(plan metric)" = l2 ]
    [ "$(plan k)" = 4 ]
    [ "$(plan returned)" = 4 ]
    [ "$(plan rows)" = 1000 ]
    [ "$(plan recall_expected)" = 1 ]
    python3 -m json.tool <"$S/plan.json" >/dev/null
    ask filter 'id < 100'
    [ "$(plan rows_matching)" = 100 ]
    ask filter '' mode server
    [ "$(plan method)" = server ]
}
