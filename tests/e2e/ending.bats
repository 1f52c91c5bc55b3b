# The end of the mount: within five seconds of SIGTERM, whatever the server does, whoever waits for it.
load helper

PYTHON=${PYTHON:-python3}
LIMIT=$((${SANITIZED:-0} * 15 + 7)) # the promise is five seconds; the rest is the machine's

setup_file() {
    server_start -c autovacuum=off
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE FUNCTION pause(g int) RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN IF g >= 900 THEN PERFORM pg_sleep(600); END IF; RETURN g; END';
CREATE VIEW stuck AS SELECT pause(g) AS id, repeat(md5(g::text), 300) AS t FROM generate_series(1, 1000) g;
CREATE TABLE t AS SELECT g AS id, 'v' || g AS v FROM generate_series(1, 1000) g;
CREATE TABLE items (id int PRIMARY KEY, name text, v vector(8));
INSERT INTO items SELECT i, 'n' || i, ARRAY(SELECT sin(i * d) FROM generate_series(1, 8) d)::vector FROM generate_series(1, 2000) i;
CREATE TABLE large (id int PRIMARY KEY, v vector(64));
INSERT INTO large SELECT i, ARRAY(SELECT sin(i * d) FROM generate_series(1, 64) d)::vector FROM generate_series(1, 60000) i;
SQL
}

teardown_file() { teardown_all; }

setup() { test_begin; }

teardown() {
    [ ${#STOPPED[@]} -eq 0 ] || kill -CONT "${STOPPED[@]}" 2>/dev/null || true
    psql -X -q -At -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgvecfs'" >/dev/null
    test_end
}

behind() { # COMMAND…: in the background
    "$@" >"$OUT/got" 2>"$OUT/err" 3>&- &
    PIDS+=($!)
}

waits_for_lock() { at_least 1 "application_name <> 'locker' AND wait_event_type = 'Lock'"; }
sleeps() { at_least 1 "application_name = 'pgvecfs' AND wait_event = 'PgSleep'"; }

stop_backends() { # CONDITION: of the mount's sessions
    local pid
    for pid in $(psql -X -At -c "SELECT pid FROM pg_stat_activity WHERE application_name = 'pgvecfs' AND $1"); do
        kill -STOP "$pid"
        STOPPED+=("$pid")
    done
    [ ${#STOPPED[@]} -gt 0 ]
}

# SIGTERM, or else the command: the daemon ends in time, all who waited have an answer, the mount is gone.
ends() {
    local pid
    pid=$(daemon_pid)
    [ -n "$pid" ]
    if [ $# = 0 ]; then kill -TERM "$pid"; else "$@"; fi
    wait_gone "$pid" "$LIMIT" || { echo "it has not ended in $LIMIT s" >&2; return 1; }
    if mountpoint -q "$MNT"; then echo "the mount is still there" >&2; return 1; fi
    ls "$MNT" >/dev/null
    rm -f "$E2E/$(basename "$MNT").pid"
}

@test "while a table is locked by somebody, and its stat, read, schema.sql and question wait" {
    for option in -olease=5 -s; do
        lock_start t
        mount_start "$option"
        behind stat "$T/t/t.bin"
        behind cat "$T/t/t.csv"
        behind cat "$T/t/schema.sql"
        within 10 waits_for_lock
        ends
        lock_stop
    done
}

@test "while a slow view is read along with; also after the reader was killed, by fusermount3 -u" {
    for how in term unmount; do
        mount_start
        behind dd if="$T/stuck/stuck.csv" bs=1M status=none
        within 15 eval '[ "$(stat -c %s "$OUT/got")" -ge 3000000 ]'
        if [ $how = term ]; then
            ends
        else
            kill -KILL "${PIDS[-1]}"
            wait_gone "${PIDS[-1]}" 2
            ends fusermount3 -u "$MNT"
        fi
        within 10 eval "! sleeps"
    done
}

@test "while backends stand still in the middle of a COPY" {
    mount_start -o jobs=2
    behind cat "$T/stuck/stuck.bin"
    within 15 sleeps
    stop_backends "state = 'active'"
    ends
}

# With no room in the cache, the rows are only to be had from sessions that stand still.
stat_without_room() {
    mount_start -o cache_size=0,lease=60,jobs=2
    stat "$T/items/items.bin" >/dev/null
    at_least 1 "application_name = 'pgvecfs' AND state = 'idle in transaction'"
    stop_backends "true"
}

@test "while a read waits for rows that the cache has lost, and the server stands still" {
    stat_without_room
    behind cat "$T/items/items.bin"
    sleep 1
    ends
}

@test "while a question waits for rows that the cache has lost, and the server stands still" {
    for options in '' -s; do
        mount_start -o cache_size=0,lease=60,jobs=2 $options
        stat "$T/items/items.bin" >/dev/null
        stop_backends "true"
        for id in 1 2 3; do behind cat "$T/items/query/near/v/l2/5/$id.csv"; done
        sleep 1
        ends
        kill -CONT "${STOPPED[@]}"
        STOPPED=()
    done
}

@test "while a format is measured whose rows the cache has lost, and the server stands still" {
    stat_without_room
    behind stat "$T/items/items.csv"
    sleep 1
    ends
}

@test "while a filter sleeps on the server, and a conversation waits for a table that is locked" {
    mount_start -o lease=0.2
    mkdir "$T/items/query/s"
    echo 1 >"$T/items/query/s/k"
    echo '[1,1,1,1,1,1,1,1]' >"$T/items/query/s/vector"
    echo '(SELECT pg_sleep(600)) IS NOT NULL' >"$T/items/query/s/filter"
    behind cat "$T/items/query/s/results.csv"
    within 10 sleeps || { cat "$OUT/err" "$T/items/query/s/error"; false; }
    lock_start large
    # shellcheck disable=SC2016
    behind bash -c 'exec 5<>"$1"; echo "{\"key\": 1, \"k\": 1}" >&5; cat <&5' - "$T/large/query/ask"
    within 10 waits_for_lock
    ends
}

@test "while the server accepts connections, and answers none" {
    gate_start
    PGHOST=$E2E/gate mount_start
    cat "$T/t/t.csv" >/dev/null
    kill -USR1 "$GATE"
    behind ls "$T"
    behind cat "$T/items/items.csv"
    behind cat "$T/items/schema.sql"
    sleep 1
    ends
}

@test "while an index is built" {
    mount_start
    stat "$T/large/large.bin" >/dev/null
    cat "$T/large/query/near/v/l2/5/1.csv" >/dev/null
    within 30 grep -q '"state": *"building"' "$T/large/query/index/v.l2.json"
    ends
}

@test "while nobody reads what it logs" {
    mkfifo "$OUT/log"
    "$PYTHON" - "$OUT/log" <<'PYTHON' 3>&- &
import os, signal, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NONBLOCK)
try:
    while True:
        os.write(fd, b"x" * 4096)
except BlockingIOError:
    open(sys.argv[1] + ".full", "w").close()
    signal.pause()
PYTHON
    PIDS+=($!)
    within 10 test -e "$OUT/log.full"
    mkdir -p "$MNT" "$CACHE"
    "$PGVECFS" -f -o cache_dir="$CACHE" "host=$PGHOST port=$PGPORT user=$PGUSER dbname=$PGDATABASE" "$MNT" 2>"$OUT/log" 3>&- &
    PIDS+=($!)
    within 10 test -e "$MNT/.pgvecfs/status.json"
    # A line for each, under the mount's lock.
    psql -X -q -c "CREATE VIEW broken AS SELECT 1 / (id - 1) AS one FROM t"
    for i in 1 2 3; do run timeout 10 cat "$T/broken/broken.csv"; [ "$status" -eq 1 ]; done
    [ "$(timeout 10 sed -n 2p "$T/t/t.csv")" = 1,v1 ]
    [ "$(grep -c 'division by zero' "$MNT/.pgvecfs/log")" -ge 3 ]
    psql -X -q -c "DROP VIEW broken"
    ends
}

# What is open the kernel will not close any more: LeakSanitizer tells if it is lost.
@test "with files, values, directories and conversations open" {
    mount_start
    mkdir "$T/items/query/s"
    # shellcheck disable=SC2016
    behind bash -c 'exec 4<"$1/stuck/stuck.csv" 5<"$1/items/items.csv" 6<"$1/items/query/s/filter" 7<>"$1/items/query/ask" 8<"$1/items"; dd bs=1M <&4; sleep 600' - "$T"
    # Directories that are being listed.
    behind "$PYTHON" -c 'import os, sys, time; d = os.scandir(sys.argv[1]); next(d); time.sleep(600)' "$T"
    within 15 sleeps
    sleep 1
    ends
}
