#!/usr/bin/env bats
# TABLE/rows/KEY.json and .csv, COL=VALUE.json and .csv: single rows, by key.

load helper

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TYPE mood AS ENUM ('sad', 'ok', 'a "happy", one');
CREATE DOMAIN code AS text CHECK (VALUE ~ '^[A-Z]+$');
CREATE DOMAIN nested AS code CHECK (length(VALUE) < 9);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE by_int (id int PRIMARY KEY, t text, n numeric, v vector(3), m mood, j json, a int[], z text,
    g int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO by_int (id, t, n, v, m, j, a)
    SELECT i, 'row "' || i || '", é', i / 7.0, ARRAY[i, 0.5, -1]::vector, 'sad', '{"k": [1, 2]}', ARRAY[i, NULL] FROM generate_series(-5, 3000) i;
INSERT INTO by_int (id) VALUES (5001);
CREATE TABLE by_text (id text PRIMARY KEY, n int);
INSERT INTO by_text SELECT t, row_number() OVER () FROM unnest(ARRAY['plain', '', '.', '..', '.dot', 'a/b', 'per%cent', 'é', 'a=b', '=', 'a,b',
    'new
line', 'quote '' " ;', '''; DROP TABLE by_text; --', '$1', 'x.json', E'\u202e', E'tab\t', ' lead', 'trail ', '655', '%2F', 'A', 'a', repeat('l', 250),
    repeat('m', 251), repeat('é', 125), E'back\\slash']) t;
CREATE TABLE by_bigint (k bigint PRIMARY KEY, t text);
INSERT INTO by_bigint VALUES (9223372036854775807, 'most'), (-9223372036854775808, 'least'), (0, NULL);
CREATE TABLE by_uuid (k uuid PRIMARY KEY, t text);
INSERT INTO by_uuid VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'x');
CREATE TABLE by_date (k date PRIMARY KEY, t text);
INSERT INTO by_date VALUES ('2024-02-29', 'leap'), ('infinity', 'inf'), (current_date, 'today');
CREATE TABLE by_stamp (k timestamptz PRIMARY KEY);
INSERT INTO by_stamp VALUES ('2020-02-03 04:05:06.7+00');
CREATE TABLE by_numeric (k numeric PRIMARY KEY, t text);
INSERT INTO by_numeric VALUES (1.50, 'x'), ('NaN', 'nan'), (1e30, 'big');
CREATE TABLE by_float (k float8 PRIMARY KEY, t text);
INSERT INTO by_float VALUES (0.1, 'x'), ('NaN', 'nan'), (1e300, 'big');
CREATE TABLE by_bool (k bool PRIMARY KEY, t text);
INSERT INTO by_bool VALUES (true, 'yes'), (false, 'no');
CREATE TABLE by_mood (k mood PRIMARY KEY, t text);
INSERT INTO by_mood VALUES ('sad', 's'), ('a "happy", one', 'h');
CREATE TABLE by_domain (k nested PRIMARY KEY, t text);
INSERT INTO by_domain VALUES ('ABC', 'x');
CREATE TABLE by_char (k char(5) PRIMARY KEY, t varchar(3) UNIQUE);
INSERT INTO by_char VALUES ('ab', 'x');
CREATE TABLE by_bytea (k bytea PRIMARY KEY, t text);
INSERT INTO by_bytea VALUES ('\x00ff', 'x');
CREATE TABLE by_array (k int[] PRIMARY KEY, t text);
INSERT INTO by_array VALUES ('{1,2}', 'x');
CREATE TABLE by_pair (k pair PRIMARY KEY, t text);
INSERT INTO by_pair VALUES ((1, 'b'), 'x');
CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE by_ci (k text COLLATE ci PRIMARY KEY, t text);
INSERT INTO by_ci VALUES ('Mixed', 'x');
CREATE TABLE by_two (a text, b int, c text, PRIMARY KEY (a, b));
INSERT INTO by_two VALUES ('x', 1, 'one'), ('a,b', 2, 'comma'), ('', 3, 'empty'), ('a=b', 4, 'equals'), ('.', 5, 'dot');
CREATE TABLE odd_columns ("a.b" int UNIQUE, "c=d" text UNIQUE, ".e" text UNIQUE, "Say ""it""" text UNIQUE, plain int, partly int, lowered text,
    late int UNIQUE DEFERRABLE, two int, other int, UNIQUE (two, other));
CREATE UNIQUE INDEX ON odd_columns (partly) WHERE partly > 5;
CREATE UNIQUE INDEX ON odd_columns (lower(lowered));
CREATE INDEX ON odd_columns (plain);
INSERT INTO odd_columns VALUES (1, 'x=y', 'e', 's', 1, 6, 'Low', 1, 1, 1), (2, NULL, NULL, NULL, 2, 7, 'b', 2, 2, 2);
CREATE TABLE no_key (a int, u int UNIQUE);
INSERT INTO no_key VALUES (1, 10), (2, NULL);
CREATE TABLE parts (id int, region text, t text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
CREATE TABLE parts_n PARTITION OF parts FOR VALUES IN ('n');
CREATE TABLE parts_s (t text, region text NOT NULL, id int NOT NULL);
ALTER TABLE parts ATTACH PARTITION parts_s FOR VALUES IN ('s');
INSERT INTO parts SELECT i, (ARRAY['n', 's'])[1 + i % 2], 'p' || i FROM generate_series(1, 50) i;
CREATE VIEW seen AS SELECT * FROM by_int;
CREATE MATERIALIZED VIEW kept AS SELECT id, t FROM by_int WHERE id < 10;
CREATE UNIQUE INDEX ON kept (id);
CREATE TABLE changing (id int PRIMARY KEY, t text);
INSERT INTO changing SELECT i, 'old' FROM generate_series(1, 100) i;
CREATE TABLE locked (id int PRIMARY KEY, t text);
INSERT INTO locked VALUES (1, 'x');
CREATE TABLE many AS SELECT i AS id, 'row ' || i AS t FROM generate_series(1, 700) i;
ALTER TABLE many ADD PRIMARY KEY (id);
CREATE TABLE million AS SELECT i AS id FROM generate_series(1, 1000000) i;
ALTER TABLE million ADD PRIMARY KEY (id);
CREATE ROLE reader LOGIN;
CREATE TABLE hidden (id int PRIMARY KEY, owner text);
INSERT INTO hidden VALUES (1, 'reader'), (2, 'other');
ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON hidden USING (owner = current_user);
CREATE TABLE by_columns (id int PRIMARY KEY, t text);
INSERT INTO by_columns VALUES (1, 'x');
GRANT USAGE ON SCHEMA public TO reader;
GRANT SELECT ON hidden, changing, by_int TO reader;
GRANT SELECT (id, t) ON by_columns TO reader;
SQL
    mount_start -o lease=0
    T=$MNT/public
    export T
}

teardown_file() { teardown_all; }

setup() {
    OUT=$E2E/out/$BATS_TEST_NUMBER
    mkdir -p "$OUT"
    PIDS=()
}

teardown() {
    local pid
    for pid in "${PIDS[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    lock_stop || true
    if mountpoint -q "$E2E/mnt2"; then MNT=$E2E/mnt2 mount_stop || fusermount3 -uz "$E2E/mnt2" || true; fi
}

second_mount() { MNT=$E2E/mnt2 CACHE=$E2E/cache2 mount_start "$@"; }

# The row of relation $1 for which the condition $3 holds is rows/$2.json and .csv, as jsonl and csv have it.
assert_row() {
    local file=$T/$1/rows/$2 columns
    columns=$(psql_pinned -c "SELECT string_agg(CASE WHEN t.typname IN ('vector', 'halfvec') THEN format('%1\$I::text::json AS %1\$I', a.attname)
        ELSE quote_ident(a.attname) END, ', ' ORDER BY a.attnum) FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = 'public.$1'::regclass AND a.attnum > 0 AND NOT a.attisdropped")
    psql_pinned -c "SELECT row_to_json(r) FROM (SELECT $columns FROM public.$1 WHERE $3) r" >"$OUT/json"
    columns=$(psql_pinned -c "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = 'public.$1'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''")
    psql_pinned -c "COPY (SELECT $columns FROM public.$1 WHERE $3) TO STDOUT (FORMAT csv, HEADER)" >"$OUT/csv"
    local ending
    for ending in json csv; do
        [ -s "$OUT/$ending" ]
        [ "$(stat -c %s "$file.$ending")" -eq "$(stat -c %s "$OUT/$ending")" ] || { stat "$file.$ending"; return 1; }
        assert_same_bytes "$file.$ending" "$OUT/$ending" || return
    done
}

# Opening rows/$2 of relation $1 says $3.
assert_errno() {
    run python3 -c 'import sys
try:
    open(sys.argv[1], "rb").read()
except OSError as e:
    import errno; print(errno.errorcode[e.errno]); sys.exit()
print("opened")' "$T/$1/rows/$2"
    [ "$output" = "$3" ] || { echo "$1/rows/$2: $output, not $3"; return 1; }
}

identity() { stat -c '%i %s %Y' "$@"; }
metric() { sed -n "s/^pgvecfs_$1 //p" "$MNT/.pgvecfs/metrics"; }

@test "a row is the line of .jsonl, and header and row of .csv" {
    assert_row by_int 7 'id = 7'
    assert_row by_int -5 'id = -5'
    assert_row by_int 5001 'id = 5001' # nothing but NULL
    assert_same_bytes <(grep '"id":12,' "$T/by_int/by_int.jsonl") "$T/by_int/rows/12.json"
    assert_same_bytes <(sed -n '1p;/^12,/p' "$T/by_int/by_int.csv") "$T/by_int/rows/12.csv"
}

@test "keys of each type" {
    assert_row by_bigint 9223372036854775807 'k > 0'
    assert_row by_bigint -9223372036854775808 'k < 0'
    assert_row by_uuid a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 true
    assert_row by_date 2024-02-29 "k = '2024-02-29'"
    assert_row by_date infinity "k = 'infinity'"
    assert_row by_stamp '2020-02-03 04:05:06.7+00' true
    assert_row by_numeric 1.50 'k = 1.5'
    assert_row by_numeric NaN "k = 'NaN'"
    assert_row by_float 0.1 'k = 0.1'
    assert_row by_float 1e+300 'k = 1e300'
    assert_row by_bool t k
    assert_row by_mood 'a "happy", one' "k <> 'sad'"
    assert_row by_domain ABC true
    assert_row by_char 'ab   ' true
    assert_row by_char t=x true
    assert_row by_bytea '\x00ff' true
    assert_row by_array '{1,2}' true
    assert_row by_pair '(1,b)' true
    assert_row by_ci Mixed true
}

@test "text with odd bytes is written as names are, and = as %3D" {
    assert_row by_text plain "id = 'plain'"
    assert_row by_text '' "id = ''"
    assert_row by_text %2E "id = '.'"
    assert_row by_text %2E. "id = '..'"
    assert_row by_text %2Edot "id = '.dot'"
    assert_row by_text a%2Fb "id = 'a/b'"
    assert_row by_text per%25cent "id = 'per%cent'"
    assert_row by_text é "id = 'é'"
    assert_row by_text a%3Db "id = 'a=b'"
    assert_row by_text a,b "id = 'a,b'"
    assert_row by_text new%0Aline "id LIKE 'new%'"
    assert_row by_text "quote ' \" ;" "id LIKE 'quote%'"
    assert_row by_text "'; DROP TABLE by_text; --" "id LIKE '%DROP%'"
    assert_row by_text '$1' "id = '\$1'"
    assert_row by_text x.json "id = 'x.json'"
    assert_row by_text %E2%80%AE "id = E'\\u202e'"
    assert_row by_text 'trail ' "id = 'trail '"
    assert_row by_text %252F "id = '%2F'"
    assert_row by_text 'back\slash' "id LIKE 'back%'"
    assert_row by_text "id=a%3Db" "id = 'a=b'"
    assert_row by_text "id=.dot" "id = '.dot'"
    assert_row by_text "$(printf 'l%.0s' {1..250})" "id LIKE 'll%'"
    assert_row by_text "$(printf 'm%.0s' {1..251})" "id LIKE 'mm%'" # not listed, but it opens
}

@test "a key of several columns has commas in between, and its own as %2C" {
    assert_row by_two x,1 "a = 'x'"
    assert_row by_two a%2Cb,2 "b = 2"
    assert_row by_two ,3 "b = 3"
    assert_row by_two a%3Db,4 "b = 4"
    assert_row by_two %2E,5 "b = 5"
    assert_errno by_two a,b,2.json ENOENT
    assert_errno by_two x.json ENOENT
    assert_errno by_two x,1,1.json ENOENT
    assert_errno by_two a=x.json ENOENT # not unique by itself
    assert_errno by_text a%2Cb.json ENOENT
}

@test "a unique column leads to its row: the index must be of that column alone, immediate, not partial, no expression" {
    assert_row odd_columns a.b=1 '"a.b" = 1'
    assert_row odd_columns c%3Dd=x%3Dy '"a.b" = 1'
    assert_row odd_columns %2Ee=e '"a.b" = 1'
    assert_row odd_columns 'Say "it"=s' '"a.b" = 1'
    assert_row no_key u=10 'a = 1'
    assert_row by_int id=7 'id = 7'
    assert_row kept id=3 'id = 3'
    local name
    for name in plain=1 partly=6 lowered=Low late=1 two=1 nothing=1 a.b=3 a.b= a.b=1=1 c=d=x%3Dy; do
        assert_errno odd_columns "$name.json" ENOENT
    done
}

@test "what is no row, or no key, is ENOENT, and does no harm" {
    local name
    for name in 999999 x '' 1x 99999999999999999999 1.0 ' 7' 07 +7 7%20 '7;' "7' OR '1'='1" 'é' $'\xff' NULL 7.txt 7.jsonl .json.json %37; do
        assert_errno by_int "$name.json" ENOENT
    done
    assert_errno by_int 7 ENOENT
    assert_errno by_date today.json ENOENT # a value, but not as COPY writes it
    assert_errno by_date 2024-02-30.json ENOENT
    assert_errno by_numeric 1.5.json ENOENT
    assert_errno by_mood glad.json ENOENT
    assert_errno by_domain abc.json ENOENT
    assert_errno by_domain id=ABC.json ENOENT
    assert_errno by_ci mixed.json ENOENT
    assert_errno by_text a%3db.json ENOENT
    assert_errno by_text "$(printf 'x%.0s' {1..250}).json" ENOENT
    assert_errno by_text "$(printf 'x%.0s' {1..260}).json" ENOENT
    assert_errno by_text "$(printf 'x%.0s' {1..5000}).json" ENAMETOOLONG
    assert_errno no_key 1.json ENOENT
    run ls "$T/seen/rows"
    [ "$status" -ne 0 ]
    [ "$(psql -X -At -c 'SELECT count(*) FROM by_text')" = 28 ]
    run grep -i 'by_int/rows' "$MNT/.pgvecfs/log"
    [ "$status" -eq 1 ]
}

@test "a partitioned table has its parent's keys, and each partition its own" {
    assert_row parts n,2 'id = 2'
    assert_row parts s,3 'id = 3'
    assert_errno parts n,3.json ENOENT
    assert_errno parts x,3.json ENOENT
    [ "$(ls "$T/parts/rows" | wc -l)" -eq 100 ]
    [ "$(ls "$T/parts/partitions/parts_s/rows" | grep -c json)" -eq 25 ]
    [ "$(cat "$T/parts/partitions/parts_s/rows/s,3.json")" = '{"t":"p3","region":"s","id":3}' ]
}

@test "no row and no list fetches the table" {
    local before
    before=$(metric rows_fetched_total)
    cat "$T/changing/rows/1.json" "$T/changing/rows/id=2.csv" >/dev/null
    ls "$T/changing/rows" >/dev/null
    [ "$(metric rows_fetched_total)" = "$before" ]
    [ "$(metric row_failures_total)" = 0 ]
}

@test "a change is seen, with another inode and a later time; a deleted row is ENOENT" {
    local before after
    before=$(identity "$T/changing/rows/7.json")
    [ "$(identity "$T/changing/rows/7.json")" = "$before" ]
    exec 7<"$T/changing/rows/7.json"
    psql -X -q -c "UPDATE changing SET t = 'new' WHERE id = 7"
    [ "$(cat "$T/changing/rows/7.json")" = '{"id":7,"t":"new"}' ]
    after=$(identity "$T/changing/rows/7.json")
    [ "${after%% *}" != "${before%% *}" ]
    [ "${after##* }" -gt "${before##* }" ]
    [ "$(cat <&7)" = '{"id":7,"t":"old"}' ] # what is open stays what it is
    exec 7<&-
    psql -X -q -c "UPDATE changing SET t = 'old' WHERE id = 7"
    [ "$(stat -c %i "$T/changing/rows/7.json")" = "${before%% *}" ]
    [ "$(stat -c %Y "$T/changing/rows/7.json")" -gt "${after##* }" ]
    psql -X -q -c 'DELETE FROM changing WHERE id = 7'
    assert_errno changing 7.json ENOENT
    psql -X -q -c "ALTER TABLE changing ADD COLUMN more int DEFAULT 3"
    [ "$(cat "$T/changing/rows/8.json")" = '{"id":8,"t":"old","more":3}' ]
    psql -X -q -c "ALTER TABLE changing DROP COLUMN more"
    [ "$(cat "$T/changing/rows/8.csv")" = $'id,t\n8,old' ]
}

@test "a dropped key is none any more, and a new table of the name has its own rows" {
    psql -X -q -c 'CREATE TABLE again (id int PRIMARY KEY, t text)' -c "INSERT INTO again VALUES (1, 'first')"
    within 10 test -e "$T/again/rows/1.json"
    psql -X -q -c 'ALTER TABLE again DROP CONSTRAINT again_pkey'
    assert_errno again 1.json ENOENT
    [ -z "$(ls "$T/again/rows")" ]
    psql -X -q -c 'ALTER TABLE again ADD PRIMARY KEY (t)'
    [ "$(cat "$T/again/rows/first.json")" = '{"id":1,"t":"first"}' ]
    psql -X -q -c 'BEGIN' -c 'DROP TABLE again' -c 'CREATE TABLE again (t text PRIMARY KEY)' -c "INSERT INTO again VALUES ('first')" -c 'COMMIT'
    [ "$(cat "$T/again/rows/first.json")" = '{"t":"first"}' ]
    psql -X -q -c 'TRUNCATE again' -c 'DROP TABLE again'
    assert_errno again first.json ENOENT
}

@test "within a lease the server is asked once, and a change is seen after it" {
    second_mount -o lease=3
    local rows=$E2E/mnt2/public/changing/rows before
    [ "$(cat "$rows/20.json")" = '{"id":20,"t":"old"}' ]
    before=$(MNT=$E2E/mnt2 metric row_questions_total)
    psql -X -q -c "UPDATE changing SET t = 'new' WHERE id = 20"
    within 10 grep -q new "$rows/20.json"
    [ "$(MNT=$E2E/mnt2 metric row_questions_total)" -le $((before + 3)) ]
}

@test "stat and open are one question and one file" {
    second_mount -o lease=60
    local rows=$E2E/mnt2/public/by_int/rows before
    stat "$rows/1.json" >/dev/null
    before=$(MNT=$E2E/mnt2 metric row_questions_total)
    python3 - "$rows/1.json" <<'PYTHON'
import os, sys
a = os.stat(sys.argv[1])
with open(sys.argv[1], "rb") as f:
    b = os.fstat(f.fileno())
    text = f.read()
assert (a.st_ino, a.st_size, a.st_mtime) == (b.st_ino, b.st_size, b.st_mtime)
assert len(text) == a.st_size
PYTHON
    [ "$(MNT=$E2E/mnt2 metric row_questions_total)" = "$before" ]
}

@test "the list is in the key's order, of the formats that are listed, and none is listed by default" {
    run ls "$T/many"
    [[ "$output" != *rows* ]]
    ls -U "$T/many/rows" >"$OUT/list"
    for i in $(seq 1 700); do printf '%s.json\n%s.csv\n' "$i" "$i"; done >"$OUT/expected"
    assert_same_bytes "$OUT/list" "$OUT/expected"
    [ -z "$(ls "$T/no_key/rows")" ]
    ls "$T/by_text/rows" >"$OUT/texts"
    grep -qxF 'quote '"'"' " ;.json' "$OUT/texts"
    [ "$(ls -A "$T/by_text/rows" | wc -l)" -eq 54 ] # all but the one that is too long
    second_mount -o list=rows,formats=jsonl
    run ls "$E2E/mnt2/public/many"
    [[ "$output" == *rows* ]]
    [ "$(ls "$E2E/mnt2/public/many/rows" | wc -l)" -eq 700 ]
    run ls "$E2E/mnt2/public/seen"
    [[ "$output" != *rows* ]]
}

@test "each listed name opens" {
    python3 - "$T" by_text by_two by_mood by_float by_char by_bytea by_array by_pair by_stamp by_ci <<'PYTHON'
import os, sys
for relation in sys.argv[2:]:
    rows = os.path.join(sys.argv[1], relation, "rows")
    for name in os.listdir(os.fsencode(rows)):
        assert os.path.getsize(os.path.join(os.fsencode(rows), name)) > 0, name
PYTHON
}

@test "cp and tar take 700 rows, and rsync moves nothing the second time" {
    local T=$E2E/mnt2/public
    second_mount -o lease=600,formats=jsonl
    mkdir "$OUT/copy"
    cp -a "$T/many/rows" "$OUT/copy/"
    [ "$(cat "$OUT/copy/rows/"*.json | wc -l)" -eq 700 ]
    sort -t: -k2n "$T/many/many.jsonl" >"$OUT/sorted"
    cat "$OUT/copy/rows/"*.json | sort -t: -k2n | assert_same_bytes /dev/stdin "$OUT/sorted"
    tar -C "$T/many" -cf "$OUT/rows.tar" rows
    tar -C "$T/many" -df "$OUT/rows.tar"
    [ "$(tar -tf "$OUT/rows.tar" | wc -l)" -eq 701 ]
    rsync -a "$T/many/rows/" "$OUT/copy/rows/"
    [ -z "$(rsync -ai "$T/many/rows/" "$OUT/copy/rows/" | grep '^>')" ]
}

@test "a million rows are listed, in bounded memory, and nothing of it stays in the cache" {
    local before after
    before=$(metric resident_bytes)
    [ "$(find "$T/million/rows" -name '*.json' | wc -l)" -eq 1000000 ]
    after=$(metric resident_bytes)
    [ -n "${SANITIZED:-}" ] || [ $((after - before)) -lt $((64 << 20)) ] || { echo "$before $after"; return 1; }
    [ "$(metric nodes)" -lt 10000 ]
    [ -z "$(find "$CACHE" -name 'names*')" ]
    [ "$(cat "$T/million/rows/777777.json")" = '{"id":777777}' ]
}

@test "names that nobody uses go" {
    python3 - "$T/million/rows" <<'PYTHON'
import os, sys
for i in range(1, 4301):
    os.stat(f"{sys.argv[1]}/{i}.json")
PYTHON
    few() { [ "$(metric nodes)" -lt 2000 ]; }
    within 60 few
}

@test "a locked table waits, without keeping others waiting, and a killed reader ends" {
    local pid
    second_mount -o lease=0
    cat "$E2E/mnt2/public/locked/rows/1.json" >/dev/null
    lock_start locked
    cat "$E2E/mnt2/public/locked/rows/1.json" >"$OUT/row" 2>&1 &
    pid=$!
    PIDS+=("$pid")
    waits() { grep -q '"locked"' "$E2E/mnt2/.pgvecfs/status.json"; }
    within 20 waits
    cat "$E2E/mnt2/public/locked/rows/1.csv" >/dev/null 2>&1 &
    PIDS+=("$!")
    ls "$E2E/mnt2/public/locked/rows" >/dev/null 2>&1 &
    PIDS+=("$!")
    [ "$(cat "$E2E/mnt2/public/by_bool/rows/t.csv")" = $'k,t\nt,yes' ]
    kill -TERM "${PIDS[1]}" "${PIDS[2]}"
    wait_gone "${PIDS[1]}" 5
    wait_gone "${PIDS[2]}" 5
    kill -0 "$pid"
    lock_stop
    wait "$pid"
    [ "$(cat "$OUT/row")" = '{"id":1,"t":"x"}' ]
    [ "$(cat "$E2E/mnt2/public/locked/rows/1.csv")" = $'id,t\n1,x' ]
}

@test "lock_wait ends the wait" {
    second_mount -o lease=0,lock_wait=1
    ls "$E2E/mnt2/public/locked" >/dev/null
    lock_start locked
    T=$E2E/mnt2/public assert_errno locked 1.json EBUSY
    run getfattr --only-values -n user.pgvecfs.error "$E2E/mnt2/public/locked/rows"
    [[ "$output" == *lock* ]]
}

@test "policies, and privileges on columns, are the role's" {
    PGUSER=reader second_mount -o lease=0
    T=$E2E/mnt2/public
    assert_errno hidden 1.json EACCES
    [ "$(cat "$T/by_columns/rows/1.json")" = '{"id":1,"t":"x"}' ]
    [ "$(ls "$T/by_columns/rows")" = $'1.csv\n1.json' ]
    assert_row by_int 9 'id = 9'
    MNT=$E2E/mnt2 mount_stop
    PGUSER=reader second_mount -o lease=0,rls=filter
    [ "$(cat "$T/hidden/rows/1.json")" = '{"id":1,"owner":"reader"}' ]
    assert_errno hidden 2.json ENOENT
    [ "$(ls "$T/hidden/rows")" = $'1.csv\n1.json' ]
}

@test "a superuser's mount runs no function of another user's" {
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE ROLE mallory LOGIN;
GRANT CREATE ON SCHEMA public TO mallory;
SET ROLE mallory;
CREATE TABLE caught (who text);
CREATE FUNCTION evil(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN IF current_user = 'postgres' THEN RAISE EXCEPTION 'caught'; END IF; RETURN $1; END $$;
CREATE TABLE trap (id int PRIMARY KEY, t text);
INSERT INTO trap SELECT i, 'x' FROM generate_series(1, 100) i;
CREATE INDEX ON trap (evil(1), t);
CREATE TABLE trap_later (id int PRIMARY KEY, t text);
INSERT INTO trap_later VALUES (1, 'x');
SQL
    within 10 test -d "$T/trap_later"
    assert_errno trap 1.json EACCES
    assert_row trap_later 1 true
    psql -X -q -c 'SET ROLE mallory' -c 'CREATE INDEX ON trap_later (evil(1), t)'
    assert_errno trap_later 1.json EACCES
    run ls "$T/trap_later/rows"
    [ "$status" -ne 0 ]
    psql -X -q -c 'DROP OWNED BY mallory' -c 'DROP ROLE mallory'
}
