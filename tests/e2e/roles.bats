#!/usr/bin/env bats
# What a server does not let a role do, or not for long: functions refused, limits of time, a standby that wants its own isolation level.
load helper

setup_file() {
    server_start -c wal_level=replica -c max_wal_senders=4
    psql -X -q -v ON_ERROR_STOP=1 <<'END'
CREATE TABLE t (id int PRIMARY KEY, v text);
INSERT INTO t SELECT g, md5(g::text) FROM generate_series(1, 20000) g;
CREATE TABLE big (id int, v text);
INSERT INTO big SELECT g, repeat(md5(g::text), 100) FROM generate_series(1, 20000) g;
CREATE TABLE items (id int PRIMARY KEY, v vector(3));
INSERT INTO items SELECT g, ARRAY[g, g % 7, 1]::float4[]::vector FROM generate_series(1, 100) g;
CREATE VIEW slow AS SELECT 1 AS a, pg_sleep(120)::text AS b;
CREATE VIEW quick AS SELECT id FROM t WHERE id < 10;
CREATE TYPE sleepy AS ENUM ('awake', 'asleep');
CREATE FUNCTION sleepy_json(sleepy) RETURNS json IMMUTABLE LANGUAGE plpgsql AS
    $$ BEGIN IF $1 = 'asleep' THEN PERFORM pg_sleep(120); END IF; RETURN to_json($1::text); END $$;
CREATE CAST (sleepy AS json) WITH FUNCTION sleepy_json(sleepy);
CREATE TABLE casts (id int, s sleepy); INSERT INTO casts VALUES (1, 'asleep');
CREATE ROLE reader LOGIN; CREATE ROLE hasty LOGIN;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader, hasty;
ALTER ROLE hasty SET statement_timeout = '200ms';
ALTER ROLE hasty SET idle_in_transaction_session_timeout = '200ms';
VACUUM ANALYZE;
END
}

teardown_file() { teardown_all; }

teardown() {
    lock_stop
    if mountpoint -q "$MNT"; then mount_stop; fi
    rm -rf "$CACHE"
    [ ! -e "$E2E/pg_standby/port" ] || "$ROOT/scripts/private-pg" stop "$E2E/pg_standby"
}

# The table's file is right, also after a change; it keeps its identity where nothing has changed.
right_and_steady() {
    local before
    reference_csv public.t >"$BATS_TEST_TMPDIR/expected"
    before=$(stat -c '%i %Y %s' "$MNT/public/t/t.csv")
    assert_same_bytes "$MNT/public/t/t.csv" "$BATS_TEST_TMPDIR/expected"
    psql -X -q -c "CREATE TABLE IF NOT EXISTS elsewhere (a int); INSERT INTO elsewhere VALUES (1)"
    [ "$(stat -c '%i %Y %s' "$MNT/public/t/t.csv")" = "$before" ]
    psql -X -q -c "UPDATE t SET v = v || '!' WHERE id = 7"
    reference_csv public.t >"$BATS_TEST_TMPDIR/expected"
    assert_same_bytes "$MNT/public/t/t.csv" "$BATS_TEST_TMPDIR/expected"
    [ "$(stat -c '%i %Y %s' "$MNT/public/t/t.csv")" != "$before" ]
}

# How many bytes have come from the server, not older than this call.
fetched() {
    sleep 0.15
    sed -n 's/^pgvecfs_bytes_fetched_total //p' "$MNT/.pgvecfs/metrics"
}

# Functions $2… of pg_catalog, with their result types behind a colon, fail with SQLSTATE $1 in this database.
refuse() {
    local state=$1 function
    shift
    for function in "$@"; do
        # What is built in is found by its number, whatever the catalog says of it: it gets another name.
        psql -X -q -v ON_ERROR_STOP=1 -c "SET allow_system_table_mods = on; ALTER FUNCTION pg_catalog.${function%%:*}() RENAME TO hidden_${function%%:*};
            CREATE FUNCTION pg_catalog.${function%%:*}() RETURNS ${function##*:}
            LANGUAGE plpgsql AS 'BEGIN RAISE ''not here'' USING ERRCODE = ''$state''; END'"
    done
}

# A database of its own, since the functions stay as they are made.
other_database() {
    PGDATABASE=postgres psql -X -q -c "CREATE DATABASE $1 TEMPLATE test"
    export PGDATABASE=$1
}

@test "without the functions of WAL it mounts, and compares contents: 55000, as on some managed servers" {
    other_database without_wal
    refuse 55000 pg_current_wal_lsn:pg_lsn pg_current_wal_insert_lsn:pg_lsn pg_current_wal_flush_lsn:pg_lsn
    PGUSER=reader mount_start -o lease=0
    right_and_steady
}

@test "without the functions of WAL and of the control file: 0A000" {
    other_database without_both
    refuse 0A000 pg_current_wal_lsn:pg_lsn pg_current_wal_insert_lsn:pg_lsn
    psql -X -q -c "REVOKE EXECUTE ON FUNCTION pg_control_system(), pg_control_checkpoint(), pg_control_recovery() FROM public"
    PGUSER=reader mount_start -o lease=0
    right_and_steady
}

@test "functions that the role may not call: 42501" {
    other_database forbidden
    psql -X -q -c "REVOKE EXECUTE ON FUNCTION pg_current_wal_lsn(), pg_current_wal_insert_lsn(), pg_walfile_name(pg_lsn), pg_control_system(),
        pg_control_checkpoint(), pg_control_recovery(), pg_last_wal_replay_lsn() FROM public"
    PGUSER=reader mount_start -o lease=0
    right_and_steady
}

answers_a_filter() {
    local s=$MNT/public/items/query/$1
    mkdir "$s"
    echo '[1,1,1]' >"$s/vector"
    echo 'id < 5' >"$s/filter"
    [ "$(timeout 30 cat "$s/results.csv" | wc -l)" = 5 ]
}

@test "functions that tell one run of the server from another, that it is no standby, or that export a snapshot: 42501" {
    other_database unknown
    psql -X -q -c "REVOKE EXECUTE ON FUNCTION pg_postmaster_start_time(), pg_stat_get_bgwriter_stat_reset_time(), pg_is_in_recovery(),
        pg_export_snapshot() FROM public"
    PGUSER=reader mount_start -o lease=0
    right_and_steady
    answers_a_filter first
    mount_stop
    # With the run known what is unchanged is not read again.
    psql -X -q -c "GRANT EXECUTE ON FUNCTION pg_postmaster_start_time(), pg_stat_get_bgwriter_stat_reset_time(), pg_is_in_recovery() TO public"
    PGUSER=reader mount_start -o lease=0
    right_and_steady
    local before
    before=$(fetched)
    stat "$MNT/public/t/t.csv" >/dev/null
    [ "$(fetched)" = "$before" ]
    answers_a_filter second
    grep -q 'CREATE TABLE' "$MNT/public/t/schema.sql"
}

@test "where a server does not tell its run, schema.sql is compared by its text" {
    other_database runless
    psql -X -q -c "REVOKE EXECUTE ON FUNCTION pg_postmaster_start_time(), pg_stat_get_bgwriter_stat_reset_time() FROM public"
    PGUSER=reader mount_start -o lease=0
    local ddl=$MNT/public/t/schema.sql file
    grep -q 'CREATE TABLE' "$ddl"
    file=$(stat -c '%i %Y %s' "$ddl")
    psql -X -q -c 'CREATE TABLE unrelated ()'
    [ "$(stat -c '%i %Y %s' "$ddl")" = "$file" ]
    psql -X -q -c 'ALTER TABLE t ADD COLUMN later int'
    grep -q 'later integer' "$ddl"
}

@test "a role that may not read pg_settings: its own limits and path hold all the same" {
    other_database unset
    psql -X -q -v ON_ERROR_STOP=1 <<'END'
REVOKE SELECT ON pg_settings FROM public;
CREATE SCHEMA home; GRANT USAGE ON SCHEMA home TO hasty;
CREATE VIEW home.limits AS SELECT current_setting('search_path') AS path, current_setting('statement_timeout') AS t, current_setting('lock_timeout') AS l;
GRANT SELECT ON home.limits TO hasty;
ALTER ROLE hasty IN DATABASE unset SET search_path = home, public;
ALTER ROLE hasty IN DATABASE unset SET lock_timeout = '100ms';
END
    PGUSER=hasty mount_start -o lease=0
    right_and_steady
    [ "$(sed -n 2p "$MNT/home/limits/limits.csv")" = '"home, public",200ms,100ms' ]
    psql -X -q -c "REVOKE SELECT ON pg_db_role_setting FROM public; GRANT SELECT ON pg_settings TO public; REVOKE EXECUTE ON FUNCTION pg_show_all_settings() FROM public"
    mount_stop
    PGUSER=hasty mount_start -o lease=0
    [ "$(sed -n 2p "$MNT/home/limits/limits.csv")" = '"home, public",200ms,100ms' ]
}

# Each of the mount's connections is a new one from now on.
renew_connections() {
    psql -X -q -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgvecfs'" >/dev/null
}

@test "a filter is the first thing that a new connection is asked, where functions are refused; a row that an old one is" {
    other_database afresh
    PGUSER=reader mount_start -o lease=600
    grep '"id":1,' "$MNT/public/t/rows/1.json"
    psql -X -q -c "REVOKE EXECUTE ON FUNCTION pg_control_system(), pg_current_wal_insert_lsn() FROM public"
    grep '"id":2,' "$MNT/public/t/rows/2.json" # its transaction finds out that they are refused now
    stat "$MNT/public/items/items.bin" >/dev/null
    renew_connections
    answers_a_filter afresh
}

# What each way of reading says now: names, contents, inode and time.
everything() {
    local P=$MNT/public
    ls "$P" && md5sum "$P"/{t/t,quick/quick}.{csv,jsonl} "$P/t/schema.sql" "$P/t/rows/7.json" "$P/items/query/near/v/l2/3/7.csv" &&
        stat -c '%n %i %Y %s' "$P"/t/t.{csv,bin} "$P/t/schema.sql" "$P/quick/quick.csv" && answers_a_filter "$1"
}

@test "functions that tell which cluster it is, revoked and granted while it is mounted: files stay the same" {
    local functions="pg_control_system(), pg_control_checkpoint(), pg_control_recovery()" round
    other_database revoked
    PGUSER=reader mount_start -o lease=0
    everything first >"$BATS_TEST_TMPDIR/first"
    for round in "REVOKE EXECUTE ON FUNCTION $functions FROM public" "GRANT EXECUTE ON FUNCTION $functions TO public"; do
        psql -X -q -c "$round"
        [ "${round%% *}" = REVOKE ] || renew_connections
        everything "${round%% *}" >"$BATS_TEST_TMPDIR/now"
        diff "$BATS_TEST_TMPDIR/first" "$BATS_TEST_TMPDIR/now"
    done
    mount_stop
    # Mounted while it may not be asked: another cache.
    psql -X -q -c "REVOKE EXECUTE ON FUNCTION $functions FROM public"
    PGUSER=reader mount_start -o lease=0
    everything first >"$BATS_TEST_TMPDIR/first"
    psql -X -q -c "GRANT EXECUTE ON FUNCTION $functions TO public"
    renew_connections
    everything GRANT >"$BATS_TEST_TMPDIR/now"
    diff "$BATS_TEST_TMPDIR/first" "$BATS_TEST_TMPDIR/now"
    right_and_steady
}

@test "a table whose partitions the role may not read: as long as nothing is written, nothing is fetched again" {
    psql -X -q -v ON_ERROR_STOP=1 <<'END'
CREATE TABLE whole (id int, v text) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF whole FOR VALUES FROM (0) TO (100);
CREATE TABLE part2 PARTITION OF whole FOR VALUES FROM (100) TO (200);
INSERT INTO whole SELECT g, g::text FROM generate_series(0, 199) g;
GRANT SELECT ON whole TO reader;
END
    PGUSER=reader mount_start -o lease=0
    local file=$MNT/public/whole/whole.csv before fetched=none
    before=$(stat -c '%i %Y %s' "$file")
    # What the server does by itself may be a change between two looks, but not each time.
    for _ in 1 2 3 4 5 6; do
        [ "$(fetched)" != "$fetched" ] || break
        fetched=$(fetched)
        [ "$(stat -c '%i %Y %s' "$file")" = "$before" ]
    done
    [ "$(fetched)" = "$fetched" ]
    psql -X -q -c "UPDATE part2 SET v = 'other' WHERE id = 150"
    reference_csv public.whole >"$BATS_TEST_TMPDIR/expected"
    assert_same_bytes "$file" "$BATS_TEST_TMPDIR/expected"
}

# How many statements have come to a limit of time.
limits_struck() { grep -c 'ERROR:  canceling statement due to statement timeout' "$E2E/pg/log" || true; }

@test "the role's limits of time are for what users wrote, with the server's words" {
    PGUSER=hasty mount_start -o lease=0
    reference_csv public.big >"$BATS_TEST_TMPDIR/expected"
    cat "$MNT/public/big/big.csv" >"$BATS_TEST_TMPDIR/got"
    assert_same_bytes "$BATS_TEST_TMPDIR/got" "$BATS_TEST_TMPDIR/expected"
    local asked
    asked=$(limits_struck)
    run timeout 30 cat "$MNT/public/slow/slow.csv"
    [ "$status" = 1 ]
    [[ $(getfattr --absolute-names --only-values -n user.pgvecfs.error "$MNT/public/slow") == *"statement timeout"* ]]
    # It is not the format that was refused: no other one is tried.
    [ "$(limits_struck)" = $((asked + 1)) ]
    # Nor is the table's, whose cast is what users wrote.
    asked=$(limits_struck)
    run timeout 60 cat "$MNT/public/casts/casts.jsonl"
    [ "$status" = 1 ]
    [[ $(getfattr --absolute-names --only-values -n user.pgvecfs.error "$MNT/public/casts") == *"statement timeout"* ]]
    [ "$(limits_struck)" = $((asked + 1)) ]
    [ "$(timeout 60 cat "$MNT/public/casts/casts.csv")" = $'id,s\n1,asleep' ]
    psql -X -q -c "UPDATE casts SET s = 'awake'"
    [ "$(timeout 60 cat "$MNT/public/casts/casts.jsonl")" = '{"id":1,"s":"awake"}' ]
    s=$MNT/public/items/query/q
    mkdir "$s"
    echo '[1,1,1]' >"$s/vector"
    echo 'pg_sleep(20) IS NOT NULL' >"$s/filter"
    run timeout 30 cat "$s/results.csv"
    [[ $output == *"Invalid argument"* ]]
    python3 -c 'import os, sys; print(os.getxattr(sys.argv[1], "user.pgvecfs.error").decode())' "$s/results.csv" |
        grep "filter: canceling statement due to statement timeout"
    echo 'id < 5' >"$s/filter"
    [ "$(timeout 30 cat "$s/results.csv" | wc -l)" = 5 ]
}

@test "the role's limits of time bound the whole wait for a lock, however often what users wrote is tried" {
    psql -X -q -c "CREATE ROLE waiting LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO waiting;
        ALTER ROLE waiting SET lock_timeout = '3s'; ALTER ROLE waiting SET statement_timeout = '1s'"
    PGUSER=waiting mount_start -o lease=600
    local s=$MNT/public/items/query/q
    stat "$MNT/public/items/items.bin" >/dev/null
    mkdir "$s"
    echo '[1,1,1]' >"$s/vector"
    echo 'id < 5' >"$s/filter"
    lock_start t items
    run timeout 20 cat "$MNT/public/quick/quick.csv"
    [ "$status" = 1 ]
    [[ $(getfattr --absolute-names --only-values -n user.pgvecfs.error "$MNT/public/quick") == *"statement timeout"* ]]
    run timeout 20 cat "$s/results.csv"
    [ "$status" = 1 ]
    grep "statement timeout" "$s/error"
    # The reading of a table has no limit.
    run timeout 3 cat "$MNT/public/t/t.csv"
    [ "$status" = 124 ]
    lock_stop
    [ "$(timeout 20 wc -l <"$MNT/public/quick/quick.csv")" = 10 ]
}

backends() { psql -X -At -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgvecfs' AND state = 'active'"; }
one_at_work() { [ "$(backends)" = 1 ]; }
none_at_work() { [ "$(backends)" = 0 ]; }

@test "a statement ends soon after the mount that has asked for it was killed" {
    PGUSER=reader mount_start
    cat "$MNT/public/slow/slow.csv" >/dev/null 2>&1 3>&- &
    reader=$!
    within 20 one_at_work
    kill -KILL "$(daemon_pid)"
    wait $reader || true
    fusermount3 -uz "$MNT"
    rm -f "$E2E/mnt.pid"
    within 40 none_at_work # the view itself would sleep for two minutes
}

@test "a standby whose role asks for SERIALIZABLE" {
    local standby=$E2E/pg_standby bin user as
    bin=$(find /usr/lib/postgresql/*/bin/pg_basebackup -maxdepth 0 | sort -t/ -k5n | tail -n 1)
    psql -X -q -c "ALTER ROLE reader SET default_transaction_isolation = 'serializable'"
    mkdir -p "$standby"
    user=$(stat -L -c %U "$E2E/pg/data")
    as=()
    [ "$user" = "$(id -un)" ] || as=(setpriv --reuid "$user" --regid "$user" --clear-groups)
    chown "$user" "$standby"
    PGDATABASE='' "${as[@]}" "$bin" -D "$standby/data" -R -c fast -d "host=$PGHOST port=$PGPORT user=postgres"
    touch "$standby/initialised"
    "$ROOT/scripts/private-pg" start "$standby" --port 6644 -c hot_standby=on
    PGHOST=$(cat "$standby/socket") PGPORT=6644 PGUSER=reader mount_start -o lease=0
    reference_csv public.t >"$BATS_TEST_TMPDIR/expected"
    assert_same_bytes "$MNT/public/t/t.csv" "$BATS_TEST_TMPDIR/expected"
    s=$MNT/public/items/query/q
    mkdir "$s"
    echo '[1,1,1]' >"$s/vector"
    echo 'id < 5' >"$s/filter"
    [ "$(cat "$s/results.csv" | wc -l)" = 5 ]
    echo server >"$s/mode"
    [ "$(cat "$s/results.csv" | wc -l)" = 5 ]
    psql -X -q -c "ALTER ROLE reader RESET default_transaction_isolation"
}
