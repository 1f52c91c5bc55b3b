#!/usr/bin/env bats
# .sql/NAME/query.sql: a SELECT as a table.

load helper

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE kinds (id int PRIMARY KEY, b bool, t text, n numeric, f float8, ts timestamptz, j jsonb, a int[], m mood, v vector(3), h halfvec(2));
INSERT INTO kinds SELECT i, i % 2 = 0, 'row "' || i || '", é', i / 7.0, i / 3.0::float8,
    '2020-02-03 04:05:06+00'::timestamptz + i * interval '1 hour', jsonb_build_object('k', i), ARRAY[i, NULL],
    (enum_range(NULL::mood))[1 + i % 2], ARRAY[i, 0.5, -1]::vector, ARRAY[1, i % 9]::halfvec FROM generate_series(1, 3000) i;
CREATE TABLE moving (id int, t text);
INSERT INTO moving SELECT i, 't' || i FROM generate_series(1, 100) i;
CREATE TABLE locked (id int);
INSERT INTO locked VALUES (1), (2);
CREATE FUNCTION slow(seconds float8) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(seconds); RETURN 1; END';
SQL
    mount_start -o lease=1
}

teardown_file() { teardown_all; }

setup() {
    S=$MNT/.sql
    OUT=$E2E/out/$BATS_TEST_NUMBER
    mkdir -p "$OUT"
    PIDS=()
}

teardown() {
    local pid statement
    for pid in "${PIDS[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    lock_stop
    for statement in "$S"/*/; do rmdir "$statement" 2>/dev/null || true; done
    [ -n "${E2E_KEEP:-}" ] || rm -rf "$OUT"
}

# write NAME TEXT: the exit status is that of close(2), which a shell's own redirections hide.
write() { printf '%s\n' "$2" | cp /dev/stdin "$S/$1/query.sql"; }

make() { mkdir "$S/$1" && write "$1" "$2"; }

identity() { stat -c '%i %s %Y' "$@"; }

# The files of statement $1 are what the server says of the SELECT $2, or, as JSON, of $3.
assert_selected() {
    local file=$S/$1/$1 format
    psql_pinned -c "COPY ($2) TO STDOUT (FORMAT csv, HEADER)" >"$OUT/csv"
    psql_pinned -c "COPY ($2) TO STDOUT (FORMAT csv, HEADER, DELIMITER E'\t')" >"$OUT/tsv"
    psql_pinned -c "COPY ($2) TO STDOUT (FORMAT binary)" >"$OUT/bin"
    psql_pinned -c "SELECT row_to_json(\"whole row\") FROM (${3:-$2}) \"whole row\"" >"$OUT/jsonl"
    for format in csv tsv bin jsonl; do
        [ "$(stat -c %s "$file.$format")" -eq "$(stat -c %s "$OUT/$format")" ] || { stat "$file.$format"; return 1; }
        assert_same_bytes "$file.$format" "$OUT/$format" || return
    done
}

@test "a statement's files are COPY's bytes, in its order, with exact sizes" {
    local columns='id, b, t, n, f, ts, j, a, m, v, h' as_json='id, b, t, n, f, ts, j, a, m, v::text::json AS v, h::text::json AS h'
    mkdir "$S/some"
    [ "$(ls "$S/some")" = "$(printf 'error\nquery.sql')" ]
    [ ! -e "$S/some/some.csv" ]
    write some "SELECT $columns FROM kinds WHERE id % 3 = 0 ORDER BY id DESC"
    [ "$(ls "$S/some")" = "$(printf 'error\nmanifest.json\nquery.sql\nsome.bin\nsome.csv\nsome.jsonl')" ]
    [ -z "$(cat "$S/some/error")" ]
    assert_selected some "SELECT $columns FROM public.kinds WHERE id % 3 = 0 ORDER BY id DESC" \
        "SELECT $as_json FROM public.kinds WHERE id % 3 = 0 ORDER BY id DESC"
    [ "$(cat "$S/some/query.sql")" = "SELECT $columns FROM kinds WHERE id % 3 = 0 ORDER BY id DESC" ]
    python3 -c 'import json, sys; m = json.load(open(sys.argv[1])); assert m["kind"] == "statement" and m["rows"] == 1000, m' \
        "$S/some/manifest.json"
    zstd -dc "$S/some/some.csv.zst" >"$OUT/unpacked"
    assert_same_bytes "$OUT/unpacked" "$OUT/csv"
    [ ! -e "$S/some/schema.sql" ]
    [ ! -e "$S/some/rows" ]
    [ ! -e "$S/some/partitions" ]
}

@test "a comment and semicolons at the end, joins, no rows, names that SQL quotes" {
    make a "SELECT 1 AS one, 'x' AS \"Two, \"\"2\"\"\" -- the end"
    assert_selected a "SELECT 1 AS one, 'x' AS \"Two, \"\"2\"\"\""
    write a "SELECT k.id, m.t FROM kinds k JOIN moving m USING (id) ORDER BY k.id; ;"
    assert_selected a "SELECT k.id, m.t FROM public.kinds k JOIN public.moving m USING (id) ORDER BY k.id"
    write a "SELECT id FROM kinds WHERE false"
    assert_selected a "SELECT id FROM public.kinds WHERE false"
    write a "SELECT 'two
lines; not -- a comment' AS t"
    assert_selected a "SELECT 'two
lines; not -- a comment' AS t"
    make 'a "name" é' "SELECT 1 AS a"
    assert_selected 'a "name" é' "SELECT 1 AS a"
}

@test "unchanged rows keep inode and times; changed ones are another file with a later time" {
    local before
    make m "SELECT count(*) AS n, max(t) AS t FROM moving"
    before=$(identity "$S/m/m.csv" "$S/m/m.bin")
    sleep 1.2
    psql -X -q -c "UPDATE moving SET id = id"
    [ "$(identity "$S/m/m.csv" "$S/m/m.bin")" = "$before" ]
    psql -X -q -c "INSERT INTO moving VALUES (101, 'zzz')"
    sleep 1.2
    [ "$(tail -n 1 "$S/m/m.csv")" = 101,zzz ]
    [ "$(stat -c %i "$S/m/m.csv")" != "$(head -n 1 <<<"$before" | cut -d' ' -f1)" ]
    [ "$(stat -c %Y "$S/m/m.csv")" -gt "$(head -n 1 <<<"$before" | cut -d' ' -f3)" ]
    psql -X -q -c "DELETE FROM moving WHERE id = 101"
}

@test "what is no SELECT is refused with the server's words; the statement before stays" {
    local words text
    make r "SELECT 1 AS a"
    while IFS='|' read -r words text; do
        echo "$text"
        run write r "$text"
        [ "$status" -ne 0 ]
        [[ $output == *"Invalid argument"* ]]
        grep -q -- "$words" "$S/r/error" || { cat "$S/r/error"; return 1; }
        [ "$(cat "$S/r/query.sql")" = "SELECT 1 AS a" ]
        [ "$(cat "$S/r/r.csv")" = "$(printf 'a\n1')" ]
    done <<'BAD'
syntax error|SELEC 1
does not exist|SELECT * FROM nowhere
syntax error|SELECT 1) AS a, (SELECT 2
multiple commands|SELECT 1; DROP TABLE moving
syntax error|DELETE FROM moving
read-only|SELECT * FROM moving FOR UPDATE
top level|WITH x AS (DELETE FROM moving RETURNING id) SELECT * FROM x
two columns|SELECT 1 AS a, 2 AS a
BAD
    [ "$(getfattr --only-values -n user.pgvecfs.error "$S/r")" = "$(cat "$S/r/error")" ]
    run write r "$(printf 'SELECT \xff')"
    [[ $output == *"Invalid argument"* ]]
    run cp <(head -c 1100000 /dev/zero | tr '\0' ' ') "$S/r/query.sql"
    [[ $output == *"File too large"* ]]
    write r "SELECT 2 AS a"
    [ -z "$(cat "$S/r/error")" ]
    [ "$(cat "$S/r/r.csv")" = "$(printf 'a\n2')" ]
    [ "$(psql -X -At -c 'SELECT count(*) FROM moving')" -eq 100 ]
}

@test "fsync tells what close would tell; an empty text unsets; truncate" {
    make f "SELECT 1 AS a"
    python3 - "$S/f/query.sql" <<'PYTHON'
import errno, os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_TRUNC)
os.write(fd, b"SELECT\n")
os.write(fd, b"nothing")
try:
    os.fsync(fd)
    sys.exit("fsync took it")
except OSError as e:
    assert e.errno == errno.EINVAL, e
os.pwrite(fd, b"SELECT 2\n AS a", 0)
os.fsync(fd)
os.close(fd)
try:
    os.truncate(sys.argv[1], 5)
    sys.exit("truncate took it")
except OSError as e:
    assert e.errno == errno.EPERM, e
PYTHON
    [ "$(cat "$S/f/f.csv")" = "$(printf 'a\n2')" ]
    : >"$S/f/query.sql"
    within 5 test ! -e "$S/f/f.csv" # the file is closed for good a moment later
    [ "$(ls "$S/f")" = "$(printf 'error\nquery.sql')" ]
    write f "SELECT 3 AS a"
    [ "$(cat "$S/f/f.csv")" = "$(printf 'a\n3')" ]
    echo " ; " >"$S/f/query.sql"
    [ ! -e "$S/f/f.csv" ]
    write f "SELECT 4 AS a"
    truncate -s 0 "$S/f/query.sql"
    [ ! -e "$S/f/f.csv" ]
}

@test "rmdir and rm -r end it; another of the name is another one" {
    local before
    make e "SELECT 1 AS a"
    before=$(identity "$S/e/e.csv")
    cat "$S/e/e.csv" "$S/e/manifest.json" >/dev/null
    rmdir "$S/e"
    [ ! -e "$S/e" ]
    run cat "$S/e/e.csv"
    [ "$status" -ne 0 ]
    make e "SELECT 'another' AS a"
    [ "$(cat "$S/e/e.csv")" = "$(printf 'a\nanother')" ]
    [ "$(identity "$S/e/e.csv")" != "$before" ]
    rm "$S/e/e.csv"
    [ ! -e "$S/e/e.csv" ]
    [ "$(ls "$S/e")" = "$(printf 'e.bin\ne.jsonl\nerror\nmanifest.json\nquery.sql')" ]
    rm "$S/e/query.sql"
    [ "$(cat "$S/e/query.sql")" = "SELECT 'another' AS a" ]
    write e "SELECT 'third' AS a"
    [ "$(cat "$S/e/e.csv")" = "$(printf 'a\nthird')" ]
    rm -r "$S/e"
    [ ! -e "$S/e" ]
    run rmdir "$S/e"
    [[ $output == *"No such file"* ]]
    run mkdir "$S/.hidden"
    [[ $output == *"Invalid argument"* ]]
    run touch "$S/file"
    [[ $output == *"not permitted"* ]]
}

@test "a reader goes on with the statement that it has opened" {
    make o "SELECT id, repeat('x', 1000) AS pad FROM generate_series(1, 20000) AS id"
    cat "$S/o/o.csv" >"$OUT/whole"
    exec 5<"$S/o/o.csv"
    head -c 100000 <&5 >"$OUT/begin"
    write o "SELECT 'new' AS a"
    [ "$(cat "$S/o/o.csv")" = "$(printf 'a\nnew')" ]
    sleep 6 # what is left is cleared in the meantime
    rmdir "$S/o"
    cat <&5 >"$OUT/rest"
    exec 5<&-
    cat "$OUT/begin" "$OUT/rest" | cmp - "$OUT/whole"
}

@test "columns, select, parts, and a query about its vectors" {
    make v "SELECT id, t, v FROM kinds WHERE id > 2000 ORDER BY id"
    python3 - "$S/v/columns/id.npy" <<'PYTHON'
import ast, struct, sys
data = open(sys.argv[1], "rb").read()
assert data[:6] == b"\x93NUMPY"
start = 10 + struct.unpack("<H", data[8:10])[0]
assert ast.literal_eval(data[10:start].decode())["shape"] == (1000,)
assert struct.unpack("<1000i", data[start:]) == tuple(range(2001, 3001))
PYTHON
    [ "$(sed -n 2p "$S/v/select/t,id.csv")" = '"row ""2001"", é",2001' ]
    [ "$(cat "$S"/v/parts/csv/* | grep -c ^2)" -ge 900 ] || cat "$S"/v/parts/*/* | head
    mkdir "$S/v/query/mine"
    echo '[2500.2,0.5,-1]' >"$S/v/query/mine/vector"
    echo 2 >"$S/v/query/mine/k"
    [ "$(cut -d, -f1 "$S/v/query/mine/results.csv" | tr '\n' ' ')" = 'id 2500 2501 ' ]
    echo server >"$S/v/query/mine/mode"
    [ "$(cut -d, -f1 "$S/v/query/mine/results.csv" | tr '\n' ' ')" = 'id 2500 2501 ' ]
    echo 'id % 2 = 1' >"$S/v/query/mine/filter"
    echo auto >"$S/v/query/mine/mode"
    [ "$(cut -d, -f1 "$S/v/query/mine/results.csv" | tr '\n' ' ')" = 'id 2501 2499 ' ]
    exec 5<>"$S/v/query/ask"
    echo '{"vector":[2100,0.5,-1],"k":1}' >&5
    head -n 1 <&5 | grep -q '"id":2100'
    exec 5>&-
    [[ $(ls "$S/v") != *query$'\n'* ]]
    # A statement without vectors has no query/.
    write v "SELECT 1 AS a"
    [ ! -e "$S/v/query" ]
}

nearest() { sed -n 2p "$S/far/query/mine/results.csv" | cut -d, -f1; }
nearest_is() { [ "$(nearest)" = "$1" ]; }
nearest_is_not() { ! nearest_is "$1"; }
index_is_ready() { [ "$(jq -r .state "$S/far/query/index/v.l2.json")" = ready ]; }

@test "an index of a statement's vectors: built by the first question, follows the rows, goes with the statement" {
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE far (id int, v vector(64));
ALTER TABLE far ALTER v SET STORAGE EXTERNAL;
INSERT INTO far SELECT i, (SELECT array_agg(sin(i * 12.9898 + d * d * 78.233)::float4 ORDER BY d) FROM generate_series(1, 64) d)::vector FROM generate_series(1, 6000) i;
SQL
    make far "SELECT id, v FROM far WHERE id % 2 = 0 ORDER BY id"
    local q=$S/far/query/mine vector
    vector=$(psql -X -At -c "SELECT v FROM far WHERE id = 500")
    mkdir "$q"
    echo "$vector" >"$q/vector"
    echo hnsw >"$q/mode"
    echo 3 >"$q/k"
    cat "$q/results.csv" >/dev/null
    within 60 index_is_ready
    echo 2 >"$q/k"
    [ "$(sed -n 2p "$q/results.csv" | cut -d, -f1)" = 500 ]
    [ "$(jq -r .method "$q/plan.json")" = hnsw ]
    psql -X -q -c "UPDATE far SET id = 7000 WHERE id = 500"
    within 10 nearest_is 7000
    psql -X -q -c "DELETE FROM far WHERE id = 7000"
    within 10 nearest_is_not 7000
    rm -r "$S/far"
    make far "SELECT id, v FROM far WHERE id % 2 = 1 ORDER BY id"
    [ "$(jq -r .state "$S/far/query/index/v.l2.json")" = absent ]
    psql -X -q -c "DROP TABLE far"
}

@test "a slow statement keeps nobody waiting; killing the writer ends it, and so does rmdir" {
    mkdir "$S/slow" "$S/quick"
    (echo "$BASHPID" >"$OUT/writer" && exec cp <(printf 'SELECT slow(600) AS a') "$S/slow/query.sql") 3>&- &
    PIDS+=("$!")
    within 20 at_least 1 "query LIKE '%slow(600)%' AND state = 'active' AND pid <> pg_backend_pid()"
    timeout 20 bash -c 'for i in {1..20}; do ls "$0/slow" >/dev/null; done' "$S"
    printf 'SELECT 1 AS a' | timeout 20 cp /dev/stdin "$S/quick/query.sql"
    [ "$(timeout 20 cat "$S/quick/quick.csv")" = "$(printf 'a\n1')" ]
    kill -KILL "$(cat "$OUT/writer")"
    within 20 exactly 0 "query LIKE '%slow(600)%' AND state = 'active' AND pid <> pg_backend_pid()"
    write slow "SELECT slow(601) AS a" 3>&- &
    PIDS+=("$!")
    within 20 at_least 1 "query LIKE '%slow(601)%' AND state = 'active' AND pid <> pg_backend_pid()"
    rmdir "$S/slow"
    within 20 exactly 0 "query LIKE '%slow(601)%' AND state = 'active' AND pid <> pg_backend_pid()"
}

@test "a locked table is waited for" {
    lock_start locked
    mkdir "$S/l"
    (printf 'SELECT id FROM locked ORDER BY id' | cp /dev/stdin "$S/l/query.sql"; echo "$?" >"$OUT/done") 3>&- &
    PIDS+=("$!")
    sleep 2
    [ ! -e "$OUT/done" ]
    grep -q '"what": *"statement"\|statement' "$MNT/.pgvecfs/status.json"
    lock_stop
    within 20 test -s "$OUT/done"
    [ "$(cat "$OUT/done")" = 0 ]
    [ "$(cat "$S/l/l.csv")" = "$(printf 'id\n1\n2')" ]
}

@test "lock_wait is for a statement, too: its text is not taken, and its files fail" {
    local MNT=$E2E/mnt2 CACHE=$E2E/cache2 S=$E2E/mnt2/.sql
    mount_start -o lease=0,lock_wait=2
    make l "SELECT id FROM locked ORDER BY id"
    [ "$(cat "$S/l/l.csv")" = "$(printf 'id\n1\n2')" ]
    lock_start locked
    run timeout 60 cat "$S/l/l.csv"
    [ "$status" -eq 1 ]
    [[ $output == *"Device or resource busy"* ]]
    [[ $(getfattr --only-values --absolute-names -n user.pgvecfs.error "$S/l") == *"locked by somebody else; it was waited for as long as the option lock_wait says" ]]
    mkdir "$S/other"
    run timeout 60 bash -c 'printf "SELECT id + 1 AS next FROM locked" | cp /dev/stdin "$0/other/query.sql"' "$S"
    [ "$status" -ne 0 ]
    [[ $output == *"Device or resource busy"* ]]
    [ ! -e "$S/other/other.csv" ]
    lock_stop
    [ "$(cat "$S/l/l.csv")" = "$(printf 'id\n1\n2')" ]
    write other "SELECT id + 1 AS next FROM locked ORDER BY id"
    [ "$(cat "$S/other/other.csv")" = "$(printf 'next\n2\n3')" ]
    mount_stop
}

@test "a mount has 64 statements at most" {
    local i
    for i in {1..64}; do mkdir "$S/n$i"; done
    run mkdir "$S/n65"
    [[ $output == *"No space left"* ]]
    grep -q 'n65 cannot be made' "$MNT/.pgvecfs/log"
    rmdir "$S/n1"
    mkdir "$S/n65"
    for i in {2..65}; do rmdir "$S/n$i"; done
}

@test "numbers are used again: a hundred texts after another" {
    local i
    mkdir "$S/again"
    for i in {1..120}; do
        write again "SELECT $i AS a" || { cat "$S/again/error"; sleep 6; write again "SELECT $i AS a"; }
        [ $((i % 20)) -ne 0 ] || [ "$(cat "$S/again/again.csv")" = "$(printf 'a\n%s' "$i")" ]
    done
}

@test "who may make one: the owner, or with sql=all every user; with sql=off nobody; it is not listed unless asked for" {
    local other=$E2E/mnt2
    [[ "$(ls -A "$MNT")" != *.sql* ]]
    if [ "$(id -u)" -eq 0 ] && setpriv --reuid=65534 --regid=65534 --clear-groups ls "$E2E" >/dev/null; then
        MNT=$other CACHE=$E2E/cache2 mount_start -o allow_other,list=.sql
        run setpriv --reuid=65534 --regid=65534 --clear-groups mkdir "$other/.sql/theirs"
        [[ $output == *"Permission denied"* ]]
        [[ "$(ls -A "$other")" == *.sql* ]]
        MNT=$other mount_stop
        MNT=$other CACHE=$E2E/cache2 mount_start -o allow_other,sql=all
        setpriv --reuid=65534 --regid=65534 --clear-groups bash -c "cd / && mkdir '$other/.sql/theirs' && printf 'SELECT 1 AS a' >'$other/.sql/theirs/query.sql'"
        [ "$(cat "$other/.sql/theirs/theirs.csv")" = "$(printf 'a\n1')" ]
        mkdir "$other/.sql/ours"
        run setpriv --reuid=65534 --regid=65534 --clear-groups rmdir "$other/.sql/ours"
        [[ $output == *"not permitted"* ]]
        MNT=$other mount_stop
    fi
    MNT=$other CACHE=$E2E/cache2 mount_start -o sql=off
    [ ! -e "$other/.sql" ]
    run mkdir "$other/.sql/x"
    [ "$status" -ne 0 ]
    MNT=$other mount_stop
    MNT=$other CACHE=$E2E/cache2 run mount_start -o sql=some
    [ "$status" -eq 1 ]
    [[ $output == *"owner, all and off"* ]]
}

# Whether the cache has no files of statements.
keeps_nothing() { [ -z "$(find "$E2E/cache3" -regex '.*/[1-9][0-9]?/.*' -type f)" ]; }

@test "it ends with the mount, and nothing of it is in the next one, or in the cache" {
    local other=$E2E/mnt3
    MNT=$other CACHE=$E2E/cache3 mount_start
    S=$other/.sql
    make gone "SELECT id, t FROM moving"
    cat "$S/gone/gone.csv" >/dev/null
    ! keeps_nothing
    MNT=$other mount_stop
    MNT=$other CACHE=$E2E/cache3 mount_start
    [ -z "$(ls -A "$S")" ]
    within 20 keeps_nothing
    make gone "SELECT 'other' AS a"
    [ "$(cat "$S/gone/gone.csv")" = "$(printf 'a\nother')" ]
    ! grep -q 'record' "$other/.pgvecfs/log"
    MNT=$other mount_stop
}

@test "through a pooler nothing is left behind" {
    command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] || skip "no pgbouncer"
    local before other=$E2E/mnt4
    pooler_start 2
    before=$(pooled -c "SELECT name, setting FROM pg_settings WHERE name !~ '^transaction_' ORDER BY 1")
    MNT=$other CACHE=$E2E/cache4 pooled_mount
    S=$other/.sql
    make p "SELECT id, set_config('search_path', 'elsewhere', false) AS p, pg_advisory_lock(id) IS NULL AS l FROM moving ORDER BY id"
    [ "$(wc -l <"$S/p/p.csv")" -eq 101 ]
    run write p "SELECT"
    MNT=$other mount_stop
    [ "$(pooled -c "SELECT name, setting FROM pg_settings WHERE name !~ '^transaction_' ORDER BY 1")" = "$before" ]
    [ "$(psql -X -At -c "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")" -eq 0 ]
    pooler_stop
}

@test "policies hide rows from it as from a table; a cache without room; the mount ends while a text is judged" {
    local other=$E2E/mnt5 pid
    psql -X -q <<'SQL'
CREATE TABLE secret (id int);
INSERT INTO secret VALUES (1), (2);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY first_only ON secret USING (id = 1);
CREATE ROLE reader LOGIN;
GRANT SELECT ON secret TO reader;
SQL
    S=$other/.sql
    MNT=$other CACHE=$E2E/cache5 PGUSER=reader mount_start -o cache_size=2M
    mkdir "$S/p"
    run write p "SELECT id FROM secret"
    [[ $output == *"Invalid argument"* ]]
    grep -q 'row-level security' "$S/p/error"
    make big "SELECT g AS id, repeat(md5(g::text), 30) AS t FROM generate_series(1, 20000) g ORDER BY g DESC"
    psql_pinned -c "COPY (SELECT g AS id, repeat(md5(g::text), 30) AS t FROM generate_series(1, 20000) g ORDER BY g DESC) TO STDOUT (FORMAT csv, HEADER)" >"$OUT/big"
    assert_same_bytes "$S/big/big.csv" "$OUT/big"
    tail -c 100000 "$S/big/big.csv" | cmp - <(tail -c 100000 "$OUT/big")
    pid=$(MNT=$other daemon_pid)
    (write p "SELECT slow(600) AS a" || echo "$?" >"$OUT/done") 2>/dev/null 3>&- &
    within 20 at_least 1 "query LIKE '%slow(600)%' AND state = 'active' AND pid <> pg_backend_pid()"
    kill -TERM "$pid"
    wait_gone "$pid" 10
    within 20 test -s "$OUT/done"
    MNT=$other CACHE=$E2E/cache5 PGUSER=reader mount_start -o rls=filter
    make p "SELECT id FROM secret"
    [ "$(cat "$S/p/p.csv")" = "$(printf 'id\n1')" ]
    MNT=$other mount_stop
}
