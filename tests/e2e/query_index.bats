#!/usr/bin/env bats
# Indexes of query/: built in the background, kept in the cache, brought up to date, never wrong.

load helper

fill() {
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE FUNCTION number(i int, d int) RETURNS float4 LANGUAGE sql IMMUTABLE AS
    $$ SELECT (sin(i % 60 * 12.9898 + d * 78.233) + 0.4 * sin(i * 3.7 + d * d))::float4 $$;
CREATE TABLE big (id int PRIMARY KEY, v vector(300));
ALTER TABLE big ALTER v SET STORAGE EXTERNAL;
INSERT INTO big SELECT i, (SELECT array_agg(number(i, d) ORDER BY d) FROM generate_series(1, 300) d)::vector FROM generate_series(1, 9000) i;
CREATE TABLE small (id int PRIMARY KEY, v vector(16), b bit(64));
INSERT INTO small SELECT i, (SELECT array_agg(number(i, d) ORDER BY d) FROM generate_series(1, 16) d)::vector,
    (i::bigint * 7919 * 104729)::bit(64) FROM generate_series(1, 3000) i;
CREATE VIEW seen AS SELECT id, v FROM small;
CREATE TABLE loose (id int PRIMARY KEY, v vector);
INSERT INTO loose SELECT i, CASE WHEN i = 70 THEN '[1,2]' ELSE '[1,2,' || i || ']' END::vector FROM generate_series(1, 100) i;
SQL
}

setup_file() { server_start && fill; }
teardown_file() { teardown_all; }

setup() { rm -rf "$CACHE"; }
teardown() { mount_stop >/dev/null 2>&1 || fusermount3 -uz "$MNT" 2>/dev/null || true; }

sql() { psql -X -q -At -v ON_ERROR_STOP=1 -c "$1"; }

# state TABLE COLUMN.METRIC FIELD
state() { jq -r ".$3" "$MNT/public/$1/query/index/$2.json"; }
is_begun() { [[ $(state "$1" "$2" state) =~ ^(building|ready)$ ]]; } # its text may be a moment old
is_ready() { [ "$(state "$1" "$2" state)" = ready ]; }
is_settled() { [ "$(state "$1" "$2" state)" = ready ] && [ "$(state "$1" "$2" progress)" = null ]; }
has_rows() { is_settled "$1" "$2" && [ "$(state "$1" "$2" rows)" = "$3" ]; }
index_files() { find "$CACHE" -name '*.hnsw' | sort; }
log_has() { grep -qF -- "$1" "$MNT/.pgvecfs/log"; }
log_lacks() { if log_has "$1"; then return 1; fi; }

# ask TABLE VECTOR [NAME VALUE]...: the ids nearest to it into $IDS, and how into $METHOD and $WHY.
ask() {
    local session=$MNT/public/$1/query/mine vector=$2 rc=0
    shift 2
    mkdir "$session" || return
    while [ $# -gt 0 ]; do
        printf '%s\n' "$2" >"$session/$1" || rc=1
        shift 2
    done
    printf '%s\n' "$vector" >"$session/vector" || rc=1
    IDS=$(jq -r .id "$session/results.jsonl" | paste -sd' ') || { cat "$session/error" >&2; rc=1; }
    METHOD=$(jq -r .method "$session/plan.json")
    WHY=$(jq -r .because "$session/plan.json")
    FRESH=$(jq -r .index.rows_not_in_it "$session/plan.json")
    rmdir "$session"
    return $rc
}

vector_of() { sql "SELECT v FROM $1 WHERE id = $2"; }

# Has the index of a table built, by asking for it.
build() {
    ask "$1" "$(vector_of "$1" 5)" mode hnsw
    within 60 is_settled "$1" "${2:-v.l2}"
}

# assert_near TABLE VECTOR: asked for all that is near, an index finds nearly what the server does.
assert_near() {
    local expected hits
    expected=$(sql "SELECT id FROM $1 ORDER BY v <-> '$2', id LIMIT 20")
    ask "$1" "$2" mode hnsw k 20 ef_search 400
    [ "$METHOD" = hnsw ] || { echo "method is $METHOD" >&2; return 1; }
    hits=$(comm -12 <(sort <<<"$expected") <(tr ' ' '\n' <<<"$IDS" | sort) | grep -c .)
    [ "$hits" -ge 19 ] || { echo "$hits of 20: $IDS" >&2; return 1; }
}

@test "built in the background by the first question that it would help, exact until then" {
    mount_start -o lease=0
    [ "$(state big v.l2 state)" = absent ]
    [ "$(state big v.l2 version)" = null ]
    vector=$(vector_of big 77)
    ask big "$vector" k 5 recall 0.9
    [ "$METHOD" = exact ]
    [ "$WHY" = "no index is ready" ]
    exact=$IDS
    [ "${exact%% *}" = 77 ]
    within 10 is_begun big v.l2
    [ "$(state big v.cosine state)" = absent ]
    within 60 is_settled big v.l2
    [ "$(state big v.l2 rows)" = 9000 ]
    [ "$(state big v.l2 saved)" = true ]
    [ "$(state big v.l2 error)" = null ]
    [ "$(state big v.l2 'recall[-1].recall > .9')" = true ]
    [ "$(state big v.l2 version.serial)" -gt 0 ]
    ask big "$vector" k 5 recall 0.9
    [ "$METHOD" = hnsw ]
    [ "${IDS%% *}" = 77 ]
    [ "$FRESH" = 0 ]
    assert_near big "$vector"
    log_has 'public.big.v: its l2 index of 9000 rows is built'
}

@test "a small table gets none, unless it is asked for" {
    mount_start -o lease=0
    vector=$(vector_of small 7)
    ask small "$vector"
    [ "$METHOD" = exact ]
    [ "$WHY" = "the table is small" ]
    sleep 0.5
    [ "$(state small v.l2 state)" = absent ]
    [ -z "$(index_files)" ]
    ask small "$vector" mode hnsw metric cosine
    within 60 is_ready small v.cosine
    ask small "$vector" mode hnsw metric cosine
    [ "$METHOD" = hnsw ]
    [ "$(state small v.l2 state)" = absent ]
    ask small "$(sql "SELECT b FROM small WHERE id = 9")" column b mode hnsw
    within 60 is_ready small b.hamming
}

@test "a remount takes it from the cache" {
    mount_start -o lease=0
    build small
    file=$(index_files)
    inode=$(stat -c %i "$file")
    recall=$(state small v.l2 recall)
    mount_stop
    mount_start -o lease=0
    [ "$(state small v.l2 state)" = ready ]
    [ "$(state small v.l2 recall)" = "$recall" ]
    assert_near small "$(vector_of small 1234)"
    [ "$(stat -c %i "$(index_files)")" = "$inode" ]
    log_has 'its l2 index of 3000 rows is opened'
    log_lacks 'is built'
}

@test "a damaged, a truncated and an empty file are built anew" {
    for damage in flip cut empty; do
        mount_start -o lease=0
        build small
        mount_stop
        file=$(index_files)
        size=$(stat -c %s "$file")
        case $damage in
            flip) printf 'X' | dd of="$file" bs=1 seek=$((size / 2)) conv=notrunc status=none
                  printf 'Y' | dd of="$file" bs=1 seek=$((size / 3)) conv=notrunc status=none ;;
            cut) truncate -s $((size / 2)) "$file" ;;
            empty) : >"$file" ;;
        esac
        mount_start -o lease=0
        ask small "$(vector_of small 5)" mode hnsw
        [ "$METHOD" = exact ]
        log_has 'index in the cache cannot be used'
        within 60 is_settled small v.l2
        assert_near small "$(vector_of small 5)"
        [ "$(stat -c %s "$(index_files)")" = "$size" ]
        mount_stop
    done
}

@test "another table's file in its place is not taken" {
    mount_start -o lease=0
    build small
    sql "CREATE TABLE other AS SELECT id, v FROM small WHERE id < 2000"
    build other
    mount_stop
    own=$(find "$CACHE" -path "*/$(sql "SELECT 'small'::regclass::oid")/*.hnsw")
    cp "$(find "$CACHE" -path "*/$(sql "SELECT 'other'::regclass::oid")/*.hnsw")" "$own"
    mount_start -o lease=0
    [ "$(state small v.l2 state)" = absent ]
    build small
    assert_near small "$(vector_of small 50)"
    sql "DROP TABLE other"
}

@test "of rows with equal vectors those with the lowest keys are told, as in an exact answer" {
    mount_start -o lease=0
    sql "CREATE TABLE equal AS SELECT id, v FROM small;
        INSERT INTO equal SELECT 10000 + i * 7919 % 500, (SELECT v FROM small WHERE id = 30) FROM generate_series(1, 500) i;
        INSERT INTO equal SELECT 20000 + i * 7919 % 5003, (SELECT v FROM small WHERE id = 31) FROM generate_series(1, 5000) i;
        ALTER TABLE equal ADD PRIMARY KEY (id)"
    build equal
    for id in 30 31 32; do # a chain that goes out whole, one that is too long, none
        vector=$(vector_of equal $id)
        for k in 1 10 400 510; do
            [ "$id $k" != "32 510" ] || continue # more than what is near
            ask equal "$vector" mode exact k $k filter 'id % 2 = 0 OR id > 10100'
            [ "$METHOD" = exact ]
            exact=$IDS
            ask equal "$vector" mode hnsw k $k ef_search 800 filter 'id % 2 = 0 OR id > 10100'
            [ "$METHOD" = hnsw ]
            [ "$IDS" = "$exact" ] || { echo "$id, $k: $IDS instead of $exact" >&2; return 1; }
        done
    done
    ask equal "$(vector_of equal 30)" mode hnsw k 12
    [ "$IDS" = "30 $(seq -s' ' 10000 10010)" ]
    ask equal "$(vector_of equal 31)" mode hnsw k 3
    [ "$IDS" = "31 $(sql "SELECT id FROM equal WHERE id > 20000 ORDER BY id LIMIT 2" | paste -sd" ")" ]
    sql "DROP TABLE equal"
}

@test "rows that come, go and change are found as they are, at once" {
    mount_start -o lease=0
    build small
    vector=$(vector_of small 100)
    sql "INSERT INTO small SELECT 100000, v FROM small WHERE id = 100"
    ask small "$vector" mode hnsw k 2
    [ "$METHOD" = hnsw ]
    [ "$IDS" = "100 100000" ]
    [ "$FRESH" = 1 ]
    sql "DELETE FROM small WHERE id = 100"
    ask small "$vector" mode hnsw k 2
    [ "$METHOD" = hnsw ]
    [ "${IDS%% *}" = 100000 ]
    [[ " $IDS " != *" 100 "* ]]
    sql "UPDATE small SET v = '$vector' WHERE id = 200"
    ask small "$vector" mode hnsw k 2
    [ "$IDS" = "200 100000" ]
    sql "UPDATE small SET v = NULL WHERE id = 200"
    ask small "$vector" mode hnsw k 3000
    [ "${IDS%% *}" = 100000 ]
    [[ " $IDS " != *" 200 "* ]]
    [ "$(wc -w <<<"$IDS")" = 2999 ]
    sql "UPDATE small SET id = 200000 WHERE id = 100000" # the same vector, another row
    ask small "$vector" mode hnsw k 1
    [ "$IDS" = 200000 ]
    assert_near small "$(vector_of small 50)"
    log_lacks 'up to date'
    sql "DELETE FROM small WHERE id = 200000"
}

@test "a row of other dimensions that comes later is told of as in an exact answer" {
    sql "CREATE TABLE alike AS SELECT id, v::vector AS v FROM small; ALTER TABLE alike ALTER v TYPE vector"
    mount_start -o lease=0
    build alike
    sql "INSERT INTO alike VALUES (5000, '[1,2,3]')"
    for mode in hnsw exact; do
        exec 5<>"$MNT/public/alike/query/ask"
        printf '{"vector":%s,"mode":"%s"}\n' "$(vector_of small 5)" $mode >&5
        run cat <&5
        exec 5<&-
        echo "$mode: $output"
        [[ $output == *'has vectors of different dimensions; choose those that have 16'*': row '*' has 3 dimensions, the query has 16'* ]]
    done
    sql "DROP TABLE alike"
}

@test "after a restart of the server, and a change, it goes on" {
    mount_start -o lease=0
    build big
    inode=$(stat -c %i "$(index_files)")
    "$ROOT/scripts/private-pg" restart "$E2E/pg"
    sql "UPDATE big SET id = id + 100000 WHERE id = 77"
    vector=$(vector_of big 100077)
    ask big "$vector" mode hnsw k 1
    [ "$METHOD $IDS $FRESH" = "hnsw 100077 1" ]
    [ "$(stat -c %i "$(index_files)")" = "$inode" ]
    sql "UPDATE big SET id = id - 100000 WHERE id > 100000"
    mount_stop
    "$ROOT/scripts/private-pg" restart "$E2E/pg"
    mount_start -o lease=0
    ask big "$vector" mode hnsw k 1
    [ "$METHOD $IDS $FRESH" = "hnsw 77 1" ]
    [ "$(stat -c %i "$(index_files)")" = "$inode" ]
}

@test "after many changes it is brought up to date, meanwhile answers are right" {
    mount_start -o lease=0
    build big
    inode=$(stat -c %i "$(index_files)")
    sql "UPDATE big SET id = id + 100000 WHERE id <= 1100"
    vector=$(vector_of big 100077)
    ask big "$vector" mode hnsw k 1
    [ "$METHOD $IDS" = "hnsw 100077" ]
    within 60 log_has 'public.big.v: its l2 index of 9000 rows is brought up to date'
    ask big "$vector" mode hnsw k 1
    [ "$METHOD $IDS $FRESH" = "hnsw 100077 0" ]
    assert_near big "$vector"
    [ "$(stat -c %i "$(index_files)")" != "$inode" ]
    mount_stop
    mount_start -o lease=0
    ask big "$vector" mode hnsw k 1
    [ "$METHOD $IDS $FRESH" = "hnsw 100077 0" ]
    sql "UPDATE big SET id = id - 100000 WHERE id > 100000"
}

@test "after a rewrite nothing of the old rows is left" {
    mount_start -o lease=0
    sql "CREATE TABLE moving AS SELECT * FROM small"
    build moving
    vector=$(vector_of moving 30)
    sql "DELETE FROM moving WHERE id % 2 = 1"
    sql "VACUUM FULL moving"
    ask moving "$vector" mode hnsw k 10
    within 60 has_rows moving v.l2 "$(sql "SELECT count(v) FROM moving")"
    assert_near moving "$vector"
    sql "TRUNCATE moving; INSERT INTO moving SELECT * FROM small WHERE id < 500"
    ask moving "$vector" mode hnsw k 10
    within 60 has_rows moving v.l2 "$(sql "SELECT count(v) FROM moving")"
    assert_near moving "$vector"
    sql "DROP TABLE moving"
}

@test "a table that is dropped takes its index along" {
    mount_start -o lease=0
    sql "CREATE TABLE gone AS SELECT * FROM small"
    build gone
    [ -n "$(index_files)" ]
    sql "DROP TABLE gone"
    ls "$MNT/public" >/dev/null
    none() { ls "$MNT/public" >/dev/null && [ -z "$(index_files)" ]; }
    within 20 none
}

@test "a view has one, too, for as long as it is the same" {
    mount_start -o lease=0
    ask seen "$(vector_of small 8)" mode hnsw
    within 60 is_settled seen v.l2
    ask seen "$(vector_of small 8)" mode hnsw
    [ "$METHOD ${IDS%% *}" = "hnsw 8" ]
    sql "UPDATE small SET id = 80000 WHERE id = 8"
    ask seen "$(vector_of small 80000)" mode hnsw
    [ "${IDS%% *}" = 80000 ]
    within 60 is_settled seen v.l2
    sql "UPDATE small SET id = 8 WHERE id = 80000"
}

@test "vectors of different dimensions: the state says why there is none" {
    mount_start -o lease=0
    impossible() { [ "$(state loose v.l2 state)" = impossible ]; }
    ask loose '[1,2,3]' mode hnsw k 2 filter 'vector_dims(v) = 3'
    [ "$IDS" = "3 2" ]
    within 10 impossible
    [[ $(state loose v.l2 error) == *dimension* ]]
    log_has 'loose.v: there can be no l2 index'
    log_lacks 'cannot be built'
}

@test "with a cache too small it is in memory only" {
    mount_start -o lease=0 -o cache_size=1M
    build big
    [ "$(state big v.l2 saved)" = false ]
    [ -z "$(index_files)" ]
    assert_near big "$(vector_of big 500)"
    used=$(find "$CACHE" -name '*.rows' -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }')
    [ "$used" -le 1048576 ]
}

@test "kill -9 while it is built loses nothing but work" {
    for wait in 0 0.3 0.7; do
        mount_start -o lease=0
        ask big "$(vector_of big 5)"
        sleep $wait
        pid=$(cat "$E2E/mnt.pid")
        kill -KILL "$pid"
        wait_gone "$pid" 10
        fusermount3 -uz "$MNT"
        rm -f "$E2E/mnt.pid"
    done
    mount_start -o lease=0
    [ -z "$(find "$CACHE" -name '*.hnsw*' ! -name '*.hnsw')" ]
    build big
    assert_near big "$(vector_of big 500)"
    ask big "$(vector_of big 501)" k 1 recall 0.9
    [ "$METHOD $IDS" = "hnsw 501" ]
}

@test "an unmount does not wait for a build" {
    mount_start -o lease=0
    ask big "$(vector_of big 5)"
    mount_stop
    [ -z "$(find "$CACHE" -name '*.hnsw*' ! -name '*.hnsw')" ]
}

@test "many ask while it is built and the table changes" {
    mount_start -o lease=0
    vector=$(vector_of small 40)
    for n in 1 2 3 4; do
        (
            for i in $(seq 15); do
                mkdir "$MNT/public/small/query/s$n-$i"
                printf 'hnsw\n' >"$MNT/public/small/query/s$n-$i/mode"
                printf '%s\n' "$vector" >"$MNT/public/small/query/s$n-$i/vector"
                jq -r .id "$MNT/public/small/query/s$n-$i/results.jsonl" | sed -n 1p
                rmdir "$MNT/public/small/query/s$n-$i"
            done
        ) >"$E2E/asked-$n" 2>&1 3>&- &
    done
    for i in $(seq 20); do sql "UPDATE small SET v = v WHERE id % 20 = $i - 1 AND id <> 40"; done
    wait
    [ "$(cat "$E2E"/asked-* | sort | uniq -c | tr -s ' ')" = " 60 40" ]
}
