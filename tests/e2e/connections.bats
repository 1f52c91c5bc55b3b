#!/usr/bin/env bats
# How many connections to the server a mount has, and that it gets on with few, or with none to spare.
load helper

setup_file() {
    server_start -c max_connections=24 -c max_parallel_workers=0
    psql -X -q -v ON_ERROR_STOP=1 <<'END'
DO $$ BEGIN
  FOR i IN 1..12 LOOP
    EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, v text)', i);
    EXECUTE format('INSERT INTO t%s SELECT g, repeat(md5((g * %s)::text), 30) FROM generate_series(1, 6000) g', i, i);
  END LOOP;
END $$;
CREATE TABLE items (id int PRIMARY KEY, price int, v vector(3));
INSERT INTO items SELECT g, g % 100, ARRAY[g, g % 7, 1]::float4[]::vector FROM generate_series(1, 500) g;
CREATE VIEW cheap AS SELECT id, price FROM items WHERE price < 50 ORDER BY id;
CREATE ROLE app LOGIN; CREATE ROLE other LOGIN; CREATE ROLE lonely LOGIN CONNECTION LIMIT 1;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO app, lonely;
VACUUM ANALYZE;
END
}

teardown_file() { teardown_all; }

setup() { export EXPECTED=$BATS_TEST_TMPDIR/expected; }

teardown() {
    [ ! -e "$BATS_TEST_TMPDIR/others" ] || end_others
    if mountpoint -q "$MNT"; then mount_stop; fi
    rm -rf "$CACHE"
}

# Mounts as role $1; more options behind it.
mount_as() {
    local role=$1
    shift
    PGUSER=$role mount_start -o lease=0 "$@"
}

ours() { psql -X -At -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgvecfs'"; }

# Whether process $1, a psql, is connected, and says so by its name there.
is_connected() { [ "$(psql -X -At -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'other-$1'")" = 1 ]; }

has_come_to_it() { is_connected "$1" || process_gone "$1"; }

# One connection of role $1 until end_others. The server may refuse it for a while: it counts a connection until its process has ended.
take_one() {
    local tries=100 pid
    [ -e "$BATS_TEST_TMPDIR/fifo" ] || mkfifo "$BATS_TEST_TMPDIR/fifo"
    exec 8<>"$BATS_TEST_TMPDIR/fifo"
    while [ $((tries -= 1)) -gt 0 ]; do
        PGUSER=$1 bash -c 'PGAPPNAME=other-$$ exec psql -X -q -f "$0"' "$BATS_TEST_TMPDIR/fifo" 3>&- 8>&- &
        pid=$!
        echo $pid >>"$BATS_TEST_TMPDIR/others"
        within 20 has_come_to_it $pid || break
        process_gone $pid || return 0
        sleep 0.1
    done
    echo "role $1 got no connection" >&2
    return 1
}

# $1 connections of somebody else, until end_others.
take_others() {
    local i
    for ((i = 0; i < $1; i++)); do take_one other || return; done
}

nobody_else() { [ "$(psql -X -At -c "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'other-%'")" = 0 ]; }

end_others() {
    local pid
    exec 8>&-
    while read -r pid; do kill "$pid" 2>/dev/null || true; done <"$BATS_TEST_TMPDIR/others"
    rm -f "$BATS_TEST_TMPDIR/others" "$BATS_TEST_TMPDIR/fifo"
    within 30 nobody_else
}

# Reads the tables given, all at once; each must be whole.
read_at_once() {
    local t pids=() pid
    for t in "$@"; do
        reference_csv "public.$t" >"$EXPECTED.$t"
    done
    for t in "$@"; do
        timeout 120 cat "$MNT/public/$t/$t.csv" >"$BATS_TEST_TMPDIR/$t.csv" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid"; done
    for t in "$@"; do assert_same_bytes "$BATS_TEST_TMPDIR/$t.csv" "$EXPECTED.$t"; done
}

everything() {
    local s=$MNT/public/items/query/q
    timeout 60 ls -l "$MNT/public" "$MNT/public/items/items.csv" "$MNT/public/cheap/cheap.jsonl" "$MNT/public/items/manifest.json" >/dev/null
    timeout 60 ls -lR "$MNT/public/items" "$MNT/public/cheap" >/dev/null
    grep -q "CREATE VIEW public.cheap" "$MNT/public/cheap/schema.sql"
    read_at_once t1 t2 t3 t4 t5
    for t in items cheap; do
        for format in csv bin jsonl; do
            "reference_$format" "public.$t" >"$EXPECTED"
            timeout 60 cat "$MNT/public/$t/$t.$format" >"$BATS_TEST_TMPDIR/got"
            assert_same_bytes "$BATS_TEST_TMPDIR/got" "$EXPECTED"
        done
    done
    mkdir "$s"
    echo '[5,5,1]' >"$s/vector"
    echo 'price < 3' >"$s/filter"
    timeout 60 cat "$s/results.csv" >"$BATS_TEST_TMPDIR/ours.csv"
    [ "$(wc -l <"$BATS_TEST_TMPDIR/ours.csv")" = 11 ]
    echo server >"$s/mode"
    timeout 60 cat "$s/results.csv" >"$BATS_TEST_TMPDIR/server.csv"
    diff <(cut -d, -f1 "$BATS_TEST_TMPDIR/ours.csv" | sort) <(cut -d, -f1 "$BATS_TEST_TMPDIR/server.csv" | sort)
    rmdir "$s"
    [ "$(timeout 60 cat "$MNT/public/items/query/near/v/l2/5/7.csv" | wc -l)" = 6 ]
    [ "$(timeout 60 head -n 3 "$MNT/public/t6/t6.csv" | wc -l)" = 3 ]
    psql -X -q -c "UPDATE t7 SET v = 'changed' WHERE id = 5000"
    read_at_once t7 t8
}

@test "no more than were given, and others can always log in" {
    mount_as app -o jobs=8,connections=6
    take_others 9
    touch "$BATS_TEST_TMPDIR/go"
    (
        most=0
        while [ -e "$BATS_TEST_TMPDIR/go" ]; do
            n=$(ours) && [ "$n" -le "$most" ] || most=$n
            PGUSER=other psql -X -q -c 'SELECT 1' >/dev/null || echo refused >>"$BATS_TEST_TMPDIR/refused"
        done
        echo "$most" >"$BATS_TEST_TMPDIR/most"
    ) 3>&- &
    watcher=$!
    read_at_once t1 t2 t3 t4 t5 t6 t7 t8 t9 t10 t11 t12
    psql -X -q -c "UPDATE t3 SET v = v || 'x' WHERE id % 100 = 0"
    read_at_once t1 t3 t5
    rm "$BATS_TEST_TMPDIR/go"
    wait $watcher
    [ ! -e "$BATS_TEST_TMPDIR/refused" ]
    [ "$(cat "$BATS_TEST_TMPDIR/most")" -ge 1 ]
    [ "$(cat "$BATS_TEST_TMPDIR/most")" -le 6 ]
}

@test "one connection does for everything" {
    mount_as app -o jobs=4,connections=1
    everything
    [ "$(ours)" -le 1 ]
}

@test "two connections do for everything" {
    mount_as app -o jobs=4,connections=2
    everything
    [ "$(ours)" -le 2 ]
}

@test "a role that may have one connection" {
    mount_as lonely -o jobs=4
    everything
    [ "$(ours)" -le 1 ]
}

# Asks for what takes for ever, and is killed; the backend goes on for $1 seconds. $2: the row that is looked at.
kill_stubborn() {
    local asker
    echo "id = $2 AND public.stubborn($1)" >"$MNT/public/items/query/q/filter"
    timeout 60 cat "$MNT/public/items/query/q/results.csv" >/dev/null 3>&- &
    asker=$!
    within 30 is_at_work "$2"
    kill "$asker"
    wait "$asker" || true
}

is_at_work() { [ "$(psql -X -At -c "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%id = $1 AND public.stubborn%' AND wait_event = 'PgSleep'")" = 1 ]; }

stubborn_start() {
    psql -X -q -v ON_ERROR_STOP=1 <<'END'
CREATE OR REPLACE FUNCTION stubborn(seconds float8) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(60); RETURN true; EXCEPTION WHEN query_canceled THEN PERFORM pg_sleep(seconds); RETURN true; END $$;
END
    mount_as "$@"
    mkdir "$MNT/public/items/query/q"
    echo '[5,5,1]' >"$MNT/public/items/query/q/vector"
}

@test "a question that was killed keeps the only connection until its backend has ended, and others wait for it" {
    stubborn_start lonely
    kill_stubborn 7 1
    read_at_once t1 t2
    [ "$(ours)" -le 1 ]
    rmdir "$MNT/public/items/query/q"
}

@test "no more than were given, however many are killed" {
    stubborn_start app -o connections=2
    for i in 1 2 3 4; do
        kill_stubborn 3 $i
        [ "$(ours)" -le 2 ]
    done
    read_at_once t1 t2
    rmdir "$MNT/public/items/query/q"
}

@test "tables that the cache cannot hold, over one connection" {
    mount_as app -o connections=1,cache_size=1M,jobs=4
    read_at_once t1 t2
    exec 7<"$MNT/public/t3/t3.csv"
    dd bs=4096 count=1 status=none <&7 >"$BATS_TEST_TMPDIR/begin"
    # What is open has a transaction, which gives way to whoever needs its connection.
    timeout 60 ls -l "$MNT/public/items" >/dev/null
    read_at_once t4
    reference_csv public.t3 >"$EXPECTED"
    cat <&7 >>"$BATS_TEST_TMPDIR/begin"
    exec 7<&-
    assert_same_bytes "$BATS_TEST_TMPDIR/begin" "$EXPECTED"
}

@test "views that the cache cannot hold, while one of them is open, over few connections" {
    psql -X -q -v ON_ERROR_STOP=1 <<'END'
CREATE TABLE noise AS SELECT g AS id, (SELECT string_agg(md5(g || '/' || k), '') FROM generate_series(1, 60) k) AS v FROM generate_series(1, 3000) g;
CREATE VIEW noise_1 AS SELECT id, v FROM noise;
CREATE VIEW noise_2 AS SELECT id, v FROM noise;
GRANT SELECT ON noise, noise_1, noise_2 TO app;
END
    reference_csv public.noise_1 >"$EXPECTED"
    for connections in 1 2 3; do
        mount_as app -o connections=$connections,cache_size=1M,jobs=4
        exec 7<"$MNT/public/noise_1/noise_1.csv"
        dd bs=4096 count=1 status=none <&7 >"$BATS_TEST_TMPDIR/begin"
        grep -q '^pgvecfs_held_read_points 1$' "$MNT/.pgvecfs/metrics"
        timeout 60 cat "$MNT/public/noise_2/noise_2.csv" | cmp - "$EXPECTED"
        timeout 60 cat "$MNT/public/noise_1/noise_1.csv" | cmp - "$EXPECTED"
        cat <&7 >>"$BATS_TEST_TMPDIR/begin"
        exec 7<&-
        assert_same_bytes "$BATS_TEST_TMPDIR/begin" "$EXPECTED"
        mount_stop
        rm -rf "$CACHE"
    done
    psql -X -q -c "DROP TABLE noise CASCADE"
}

@test "a filter whose rows the cache has lost, over one connection" {
    mount_as app -o connections=1,cache_size=64K
    s=$MNT/public/items/query/q
    mkdir "$s"
    echo '[5,5,1]' >"$s/vector"
    echo 'price < 3' >"$s/filter"
    [ "$(timeout 60 cat "$s/results.csv" | wc -l)" = 11 ]
}

@test "where the server refuses more, those at hand are waited for" {
    mount_as app -o jobs=8
    timeout 30 ls "$MNT/public" >/dev/null
    n=$(ours)
    take_others $((21 - (n > 1 ? n : 1))) # of 24; three are kept for the superuser
    read_at_once t1 t2 t3 t4 t5 t6 t7 t8
}

@test "no connection at all is an error that says so" {
    mount_as lonely
    cat "$MNT/public/t1/t1.csv" >/dev/null
    psql -X -q -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'lonely'" >/dev/null
    take_one lonely
    run timeout 30 cat "$MNT/public/t1/t1.csv"
    end_others
    [ "$status" = 1 ]
    [[ $output == *"Input/output error"* ]]
    grep "none of its own to wait for" "$MNT/.pgvecfs/log"
}

# Does $@ while all of the mount's connections have been ended by a server that has not said so yet.
with_ended_connections() {
    local pids
    mapfile -t pids < <(psql -X -At -c "SELECT pid FROM pg_stat_activity WHERE application_name = 'pgvecfs'")
    [ "${#pids[@]}" -gt 0 ]
    kill -STOP "${pids[@]}"
    psql -X -q -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgvecfs'" >/dev/null
    timeout 60 "$@" >"$BATS_TEST_TMPDIR/got" 3>&- &
    sleep 0.2
    kill -CONT "${pids[@]}"
    wait $!
}

@test "connections that the server has just ended are not the error of what is asked next" {
    mount_as app -o connections=3
    local t=$MNT/public/items s=$MNT/public/items/query/q i=0 path
    mkdir "$s"
    echo '[5,5,1]' >"$s/vector"
    echo 'price < 3' >"$s/filter"
    cat "$s/results.csv" >"$BATS_TEST_TMPDIR/answer"
    [ "$(wc -l <"$BATS_TEST_TMPDIR/answer")" = 11 ]
    for path in public t1/t1.csv items/schema.sql items/rows/7.json items/rows/8.csv; do
        [ "$path" != public ] || path=
        ls "$MNT/public" >/dev/null
        with_ended_connections ls -d "$MNT/public/$path"
        [ "$(cat "$BATS_TEST_TMPDIR/got")" = "$MNT/public/$path" ]
    done
    for i in 1 2 3; do
        ls "$MNT/public" >/dev/null
        with_ended_connections cat "$t/rows/1$i.json"
        grep -q "\"id\":1$i," "$BATS_TEST_TMPDIR/got"
    done
    for i in 4 5; do
        ls "$MNT/public" >/dev/null
        echo "price < $i" >"$s/filter"
        with_ended_connections cat "$s/results.csv"
        [ "$(wc -l <"$BATS_TEST_TMPDIR/got")" = 11 ]
    done
}
