#!/usr/bin/env bats
# The server's table of locks is everybody's: what takes many of them goes one after another.
load helper

setup_file() {
    server_start -c max_locks_per_transaction=10 -c max_connections=20
    psql -X -q -v ON_ERROR_STOP=1 <<'END'
CREATE TABLE items (id int, price int, v vector(3)) PARTITION BY RANGE (id);
SELECT format('CREATE TABLE items_%s PARTITION OF items FOR VALUES FROM (%s) TO (%s)', i, 10 * i, 10 * (i + 1)) FROM generate_series(0, 29) i \gexec
CREATE INDEX ON items (id);
CREATE INDEX ON items (price);
INSERT INTO items SELECT g, g % 100, ARRAY[g, g % 7, 1]::float4[]::vector FROM generate_series(0, 299) g;
CREATE VIEW cheap AS SELECT id, v FROM items WHERE price < 50;
CREATE TABLE few (id int PRIMARY KEY, v vector(3));
INSERT INTO few SELECT g, ARRAY[g, 1, 1]::float4[]::vector FROM generate_series(1, 9) g;
-- It goes on once nobody has lock 7 for himself.
CREATE FUNCTION gate() RETURNS bool STABLE LANGUAGE plpgsql AS $$ BEGIN
    WHILE NOT pg_try_advisory_xact_lock_shared(7) LOOP PERFORM pg_sleep(0.05); END LOOP; RETURN true; END $$;
CREATE FUNCTION fails(state text, words text) RETURNS bool STABLE LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'it fails' USING ERRCODE = state, HINT = words; END $$;
-- two that look like hypertables, and an ordinary parent
SET allow_system_table_mods = on;
CREATE SCHEMA _timescaledb_catalog;
CREATE TABLE _timescaledb_catalog.hypertable (schema_name name, table_name name);
CREATE TABLE metrics (id int, v vector(3));
CREATE TABLE others (id int, v vector(3));
CREATE TABLE parent (id int);
SELECT format('CREATE TABLE %s_%s () INHERITS (%1$s)', t, i) FROM unnest(ARRAY['metrics', 'others', 'parent']) t, generate_series(1, 50) i \gexec
INSERT INTO metrics_7 SELECT g, ARRAY[g, g % 7, 1]::float4[]::vector FROM generate_series(0, 299) g;
INSERT INTO others_7 SELECT * FROM metrics_7;
INSERT INTO _timescaledb_catalog.hypertable VALUES ('public', 'metrics'), ('public', 'others');
VACUUM ANALYZE;
END
    pretend_extension timescaledb _timescaledb_catalog.hypertable
    mount_start -o lease=0,lock_wait=2
}

teardown_file() { teardown_all; }

# How many sessions of the mount have more locks than those of a few tables.
large() {
    psql -X -At -c "SELECT count(*) FROM (SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
        WHERE a.application_name = 'pgvecfs' AND l.locktype = 'relation' GROUP BY l.pid HAVING count(*) > 40) s"
}
are_large() { [ "$(large)" = "$1" ]; }
# Those $1 that wait do so for longer than lock_wait says, and what for is true.
have_waited_for_each_other() {
    [ "$(jq '[.lock_waits[].waits_for | select(.seconds > 4 and .application == "other reads of this mount")] | length' "$MNT/.pgvecfs/status.json")" = "$1" ]
}
wait_in_line() { [ "$(jq '.lock_waits | length' "$MNT/.pgvecfs/status.json")" = "$1" ]; }

# The gate of ask_behind_the_gate: closed, and open.
close_gate() {
    coproc GATE { psql -X -q -At; }
    echo 'SELECT pg_advisory_lock(7);' >&"${GATE[1]}"
    read -r -u "${GATE[0]}" _
    ASKING=()
}
open_gate() {
    local pid
    echo 'SELECT pg_advisory_unlock(7);' >&"${GATE[1]}"
    for pid in "${ASKING[@]}"; do wait "$pid"; done
    echo '\q' >&"${GATE[1]}"
}

# A session of relation $1, called $2, in mode $3, whose answer waits for the gate.
ask_behind_the_gate() {
    local s=$MNT/public/$1/query/$2
    mkdir "$s"
    echo '[5,5,1]' >"$s/vector"
    echo "$3" >"$s/mode"
    echo 'id < 20 AND (SELECT gate())' >"$s/filter"
    timeout 100 cat "$s/results.csv" >"$BATS_TEST_TMPDIR/$2" 3>&- &
    ASKING+=($!)
}

@test "filters, the server's own search and views of many partitions have their locks one after another" {
    local s
    cat "$MNT/public/items/items.csv" "$MNT/public/cheap/cheap.csv" "$MNT/public/few/few.csv" >/dev/null
    close_gate
    ask_behind_the_gate items a auto
    ask_behind_the_gate items b auto
    ask_behind_the_gate items c server
    ask_behind_the_gate cheap d auto
    within 30 are_large 1
    within 30 wait_in_line 3
    within 30 have_waited_for_each_other 3
    are_large 1
    # What needs few goes ahead.
    [ "$(timeout 30 wc -l <"$MNT/public/few/few.csv")" = 10 ]
    psql -X -q -c 'UPDATE few SET v = v WHERE id = 1'
    [ "$(timeout 30 wc -l <"$MNT/public/few/few.csv")" = 10 ]
    are_large 1
    open_gate
    for s in a b c d; do [ "$(wc -l <"$BATS_TEST_TMPDIR/$s")" = 11 ]; done
    within 10 wait_in_line 0
    rmdir "$MNT/public/items/query/"[abc] "$MNT/public/cheap/query/d"
}

@test "hypertables have the locks of their chunks one after another" {
    local s
    cat "$MNT/public/metrics/metrics.csv" "$MNT/public/others/others.csv" >/dev/null
    close_gate
    ask_behind_the_gate metrics a server
    within 30 are_large 1
    psql -X -q -c 'UPDATE others_7 SET v = v WHERE id = 1'
    timeout 100 cat "$MNT/public/others/others.csv" >"$BATS_TEST_TMPDIR/fetched" 3>&- &
    ASKING+=($!)
    within 30 wait_in_line 1
    within 30 have_waited_for_each_other 1
    are_large 1
    [ "$(timeout 30 wc -l <"$MNT/public/few/few.csv")" = 10 ]
    open_gate
    [ "$(wc -l <"$BATS_TEST_TMPDIR/a")" = 11 ]
    [ "$(wc -l <"$BATS_TEST_TMPDIR/fetched")" = 301 ]
    rmdir "$MNT/public/metrics/query/a"
    # Questions about versions that are not looked after.
    local MNT=$E2E/mnt2 CACHE=$E2E/cache2
    mount_start -o lease=60
    cat "$MNT/public/metrics/metrics.csv" "$MNT/public/others/others.csv" >/dev/null
    close_gate
    ask_behind_the_gate metrics a server
    within 30 are_large 1
    ask_behind_the_gate others b server
    within 30 wait_in_line 1
    within 30 have_waited_for_each_other 1
    are_large 1
    open_gate
    for s in a b; do [ "$(wc -l <"$BATS_TEST_TMPDIR/$s")" = 11 ]; done
    mount_stop
    rm -rf "$CACHE"
}

@test "pg_dump, which locks all that a table is made of, waits for its turn, too" {
    local name
    cat "$MNT/public/items/items.csv" >/dev/null
    close_gate
    ask_behind_the_gate items a server
    within 30 are_large 1
    for name in items parent; do
        timeout 100 cat "$MNT/public/$name/schema.sql" >"$BATS_TEST_TMPDIR/$name" 3>&- &
        ASKING+=($!)
    done
    within 30 wait_in_line 2
    within 30 have_waited_for_each_other 2
    grep -q 'CREATE TABLE public.few' "$MNT/public/few/schema.sql"
    open_gate
    for name in items parent; do grep -q "CREATE TABLE public.$name" "$BATS_TEST_TMPDIR/$name"; done
    rmdir "$MNT/public/items/query/a"
}

# How many pg_dumps have more locks than those of a few tables.
large_dumps() {
    psql -X -At -c "SELECT count(*) FROM (SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
        WHERE a.application_name LIKE 'pgvecfs pg_dump %' AND l.locktype = 'relation' GROUP BY l.pid HAVING count(*) > 200) s"
}

@test "pg_dumps of many partitions have their locks one after another" {
    local i now most=0 pid reading=()
    for i in 1 2 3 4; do
        psql -X -q -c "CREATE TABLE wide_$i (id int) PARTITION BY LIST (id)"
        psql -X -q -At -c "SELECT format('CREATE TABLE wide_${i}_%s PARTITION OF wide_$i FOR VALUES IN (%1\$s);', n) FROM generate_series(1, 250) n" | psql -X -q
    done
    for i in 1 2 3 4; do
        timeout 100 cat "$MNT/public/wide_$i/schema.sql" >"$BATS_TEST_TMPDIR/wide_$i" 3>&- &
        reading+=($!)
    done
    while kill -0 "${reading[@]}" 2>/dev/null; do
        now=$(large_dumps)
        most=$((now > most ? now : most))
    done
    echo "$most at once"
    for pid in "${reading[@]}"; do wait "$pid"; done
    for i in 1 2 3 4; do grep -q "CREATE TABLE public.wide_$i" "$BATS_TEST_TMPDIR/wide_$i"; done
    [ "$most" -eq 1 ]
}

exports() { grep -c pg_export_snapshot "$E2E/pg/log"; }

@test "row groups of many partitions that the cache has lost are read again under one read point" {
    local options before MNT=$E2E/mnt2 CACHE=$E2E/cache2
    psql -X -q -c "ALTER DATABASE test SET log_statement = 'all'"
    for options in jobs=4 jobs=4,connections=1; do
        mount_start -o lease=60,$options
        cat "$MNT/public/items/items.csv" >/dev/null
        before=$(exports)
        find "$CACHE" -name '*.rows' -delete
        timeout 60 stat "$MNT/public/items/items.jsonl" >/dev/null
        [ "$(wc -l <"$MNT/public/items/items.jsonl")" = 300 ]
        [ "$(exports)" = $((before + 1)) ]
        ! grep -E 'held has ended|waiting for other reads' "$MNT/.pgvecfs/log" || false
        mount_stop
        rm -rf "$CACHE"
    done
    psql -X -q -c 'ALTER DATABASE test RESET log_statement'
}

@test "what the server lacks is no fault of who has asked" {
    local s=$MNT/public/few/query/q
    mkdir "$s"
    echo '[5,5,1]' >"$s/vector"
    echo "fails('53100', '')" >"$s/filter"
    run timeout 60 cat "$s/results.csv"
    [[ $output == *"Input/output error"* ]]
    grep -q 'it fails' "$s/error"
    # A table of locks that is full is tried again, for a while.
    echo "fails('53200', 'increase max_locks_per_transaction')" >"$s/filter"
    run timeout 60 cat "$s/results.csv"
    [[ $output == *"Input/output error"* ]]
    grep -q 'it fails' "$s/error"
    [ "$(grep -c 'no room for a question.s locks; it is asked again' "$MNT/.pgvecfs/log")" = 2 ]
    echo "fails('22012', '')" >"$s/filter"
    run timeout 60 cat "$s/results.csv"
    [[ $output == *"Invalid argument"* ]]
    rmdir "$s"
}
