# Unmounted and mounted again at once, and mounts side by side: which slot of the cache a mount gets.
load helper

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE small AS SELECT i AS id, 'v' || i AS v FROM generate_series(1, 1000) i;
CREATE TABLE large AS SELECT i AS id, repeat('l', 1500) AS v FROM generate_series(1, 60000) i;
-- It is fetched as long as a test needs it to be.
CREATE VIEW slow AS SELECT i AS id, repeat('x', 9000) AS pad, pg_sleep(0.01)::text AS s FROM generate_series(1, 100000) i;
SQL
}

teardown_file() { teardown_all; }

setup() {
    OUT=$E2E/out/$BATS_TEST_NUMBER
    mkdir -p "$OUT"
    MNT2=$E2E/mnt2 MNT3=$E2E/mnt3
    PIDS=()
}

teardown() {
    local mount pid
    for pid in "${PIDS[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    for mount in "$MNT" "$MNT2" "$MNT3"; do
        [ ! -e "$E2E/$(basename "$mount").pid" ] || MNT=$mount mount_stop || true
    done
    rm -rf "$CACHE" "$OUT"
}

slots() { (cd "$CACHE" && echo *); }

# The number of the slot that mount $1 has.
slot_of() { sed -n 's/.*"cache_slot" *: *\([0-9]*\).*/\1/p' "$1/.pgvecfs/status.json"; }

# Unmounts $1 without waiting for its daemon.
leave() {
    fusermount3 -u "$1"
    rm -f "$E2E/$(basename "$1").pid"
}

@test "mounted again at once it has the same inodes, times and cache, nothing else going on" {
    for round in 1 2 3 4 5 6 7 8; do
        mount_start
        stat -c '%n %i %s %y %z' "$MNT"/public/{small,large}/*.* >>"$OUT/stats.$round"
        PIDS+=("$(daemon_pid)")
        leave "$MNT"
    done
    for round in 2 3 4 5 6 7 8; do assert_same_bytes "$OUT/stats.1" "$OUT/stats.$round"; done
    slots
    [ "$(slots | wc -w)" -eq 1 ]
}

@test "mounted again at once it has the same cache while the old one was fetching" {
    for round in 1 2 3 4 5 6 7 8; do
        mount_start
        stat -c '%n %i %s %y %z' "$MNT"/public/{small,large}/*.* >>"$OUT/stats.$round"
        PIDS+=("$(daemon_pid)")
        # Whoever waited is gone, the fetch goes on.
        stat "$MNT/public/slow/slow.csv" >/dev/null 2>&1 3>&- &
        waiter=$!
        within 30 grep -q '"name": "slow"' "$MNT/.pgvecfs/status.json"
        kill -KILL "$waiter"
        wait "$waiter" || true
        leave "$MNT"
    done
    for round in 2 3 4 5 6 7 8; do assert_same_bytes "$OUT/stats.1" "$OUT/stats.$round"; done
    slots
    [ "$(slots | wc -w)" -eq 1 ]
}

@test "a mount beside another has the next slot, and says so" {
    run mount_start
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output != *slot* ]]
    run env MNT="$MNT2" bash -c '. tests/e2e/helper.bash; mount_start'
    echo "$output"
    [ "$status" -eq 0 ]
    grep "^pgvecfs: cache slot 1: .*$MNT$" <<<"$output"
    [ "$(slot_of "$MNT")" = 0 ]
    [ "$(slot_of "$MNT2")" = 1 ]
    grep -F 'slot 1' "$MNT2/.pgvecfs/log"
    ! grep -F 'slot' "$MNT/.pgvecfs/log" || false
    "$PGVECFS" --status "$MNT2" | grep -E '^cache .*-1 \(slot 1\)$'
    ! "$PGVECFS" --status "$MNT" | grep -F slot || false
}

@test "mounts side by side have their own slots again, in whatever order" {
    for mount in "$MNT" "$MNT2" "$MNT3"; do MNT=$mount mount_start; done
    for mount in "$MNT" "$MNT2" "$MNT3"; do stat -c '%i %y' "$mount/public/large/large.bin" >"$OUT/$(basename "$mount")"; done
    # The two others are slots of their own: with other serials, and so other inodes.
    for mount in "$MNT3" "$MNT" "$MNT2"; do leave "$mount"; done
    for mount in "$MNT2" "$MNT3" "$MNT"; do MNT=$mount mount_start; done
    [ "$(slot_of "$MNT") $(slot_of "$MNT2") $(slot_of "$MNT3")" = "0 1 2" ]
    for mount in "$MNT" "$MNT2" "$MNT3"; do
        stat -c '%i %y' "$mount/public/large/large.bin" | cmp - "$OUT/$(basename "$mount")"
    done
    [ "$(slots | wc -w)" -eq 3 ]
}

@test "at another mount point it has the cache that was just left" {
    mount_start
    before=$(stat -c '%i %y' "$MNT/public/large/large.bin")
    PIDS+=("$(daemon_pid)")
    leave "$MNT"
    MNT=$MNT2 mount_start
    [ "$(stat -c '%i %y' "$MNT2/public/large/large.bin")" = "$before" ]
    [ "$(slots | wc -w)" -eq 1 ]
}

# The folders of relations in the cache, and what metrics counts of tables and nodes.
kept() {
    sleep 0.2 # the text is kept for so long
    echo "folders $(find "$CACHE" -mindepth 2 -maxdepth 2 -name '[1-9]*' 2>/dev/null | wc -l)" \
        "$(sed -n 's/^pgvecfs_\(tables\) /\1 /p' "$MNT/.pgvecfs/metrics")" \
        "nodes below $1: $([ "$(sed -n 's/^pgvecfs_nodes //p' "$MNT/.pgvecfs/metrics")" -lt "$1" ] && echo yes || echo no)"
}

@test "nothing is left of dropped tables, once they are closed: in memory, in the kernel, in the cache" {
    local i n
    n=$(often 20 60)
    mount_start -o lease=0.5
    wc -c "$MNT/public/small/small.bin" >/dev/null
    for i in $(seq "$n"); do echo "CREATE TABLE daily_$i AS SELECT $i AS id;"; done | psql -X -q
    for i in $(seq "$n"); do [ "$(cat "$MNT/public/daily_$i/daily_$i.csv")" = "id"$'\n'"$i" ]; done
    [ "$(kept "$(often 40 100)")" = "folders $((n + 1)) tables $((n + 1)) nodes below $(often 40 100): no" ]
    exec 4<"$MNT/public/daily_7/daily_7.csv"
    for i in $(seq "$n"); do echo "DROP TABLE daily_$i;"; done | psql -X -q
    [ "$(ls "$MNT/public" | tr '\n' ' ')" = "large slow small " ]
    within 60 eval '[ "$(kept 30)" = "folders 2 tables 2 nodes below 30: yes" ]'
    [ "$(cat <&4)" = "id"$'\n'7 ]
    exec 4<&-
    within 60 eval '[ "$(kept 20)" = "folders 1 tables 1 nodes below 20: yes" ]'
    [ "$(find "$CACHE" -name '*.rows' | wc -l)" -gt 0 ] # of the table that is there
    # What goes while nothing is mounted goes from the cache at the next mount; what is only not shown stays.
    psql -X -q -c "CREATE SCHEMA other" -c "CREATE TABLE other.there AS SELECT 1 AS id" -c "CREATE TABLE gone AS SELECT 1 AS id"
    ls "$MNT" >/dev/null
    cat "$MNT/other/there/there.csv" "$MNT/public/gone/gone.csv" >/dev/null
    [[ $(kept 100) == "folders 3 "* ]]
    mount_stop
    psql -X -q -c "DROP TABLE gone"
    mount_start -o schemas=public
    within 60 eval '[[ $(kept 100) == "folders 2 "* ]]'
    mount_stop
    psql -X -q -c "DROP SCHEMA other CASCADE"
}

@test "nothing is left of names that are no more: of tables renamed or moved, of schemas, of query/" {
    local i before
    few() { [ "$(sed -n 's/^pgvecfs_nodes //p' "$MNT/.pgvecfs/metrics")" -lt "$1" ]; }
    psql -X -q -c "CREATE SCHEMA hollow" -c "CREATE SCHEMA elsewhere"
    for i in $(seq 60); do echo "CREATE TABLE early_$i AS SELECT $i AS id;"; done | psql -X -q
    mount_start -o lease=0.5
    ls "$MNT/hollow"
    for i in $(seq 60); do cat "$MNT/public/early_$i/early_$i.csv" >/dev/null; done
    sleep 0.2 # the text is kept for so long
    ! few 120 || false
    exec 4<"$MNT/public/early_7/early_7.csv"
    {
        echo "DROP SCHEMA hollow;"
        for i in $(seq 30); do echo "ALTER TABLE early_$i RENAME TO late_$i;"; done
        for i in $(seq 31 60); do echo "ALTER TABLE early_$i SET SCHEMA elsewhere;"; done
    } | psql -X -q
    ls "$MNT/public" "$MNT" >/dev/null
    within 60 few 20
    [ "$(cat <&4)" = "id"$'\n'7 ]
    [ "$(cat "$MNT/public/late_7/late_7.csv" "$MNT/elsewhere/early_60/early_60.csv" | tr '\n' ' ')" = "id 7 id 60 " ]
    sleep 0.2
    before=$(sed -n 's/^pgvecfs_nodes //p' "$MNT/.pgvecfs/metrics")
    exec 4<&-
    within 60 few $((before - 1)) # the file, and the directory it was in
    mount_stop
    psql -X -q -c "DROP SCHEMA elsewhere CASCADE"
    for i in $(seq 30); do echo "DROP TABLE late_$i;"; done | psql -X -q
}

@test "a server that may never have had a table does not make its cache go" {
    psql -X -q -c "CREATE TABLE seen AS SELECT 1 AS id" -c "CREATE TABLE unseen AS SELECT 1 AS id"
    seen=$(psql -X -At -c "SELECT 'seen'::regclass::oid") unseen=$(psql -X -At -c "SELECT 'unseen'::regclass::oid")
    mount_start
    cat "$MNT/public/seen/seen.csv" "$MNT/public/unseen/unseen.csv" >/dev/null
    mount_stop
    # As a copy of the cluster would be, and a standby that lags: another run.
    "$ROOT/scripts/private-pg" restart "$E2E/pg"
    mount_start
    cat "$MNT/public/seen/seen.csv" >/dev/null
    mount_stop
    psql -X -q -c "DROP TABLE seen, unseen"
    mount_start
    ls "$MNT/public" >/dev/null
    within 60 eval '[ -z "$(find "$CACHE" -type d -name "$seen")" ]'
    [ -n "$(find "$CACHE" -type d -name "$unseen")" ]
    mount_stop
}
