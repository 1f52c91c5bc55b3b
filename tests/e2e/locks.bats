# Locks: whoever has one that we want is waited for, and named; whoever wants one of ours gets it soon.
load helper

PYTHON=${PYTHON:-python3}

setup_file() {
    server_start -c autovacuum=off
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE small (id int PRIMARY KEY, t text);
INSERT INTO small VALUES (1, 'one'), (2, 'two');
CREATE TABLE other (id int);
INSERT INTO other VALUES (7);
CREATE VIEW seen AS SELECT s.id, o.id AS other FROM small s, other o;
CREATE VIEW seen_through AS SELECT * FROM seen;
CREATE TABLE parted (id int) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
INSERT INTO parted VALUES (1), (11);
CREATE TABLE vectors (id int PRIMARY KEY, e vector(2));
INSERT INTO vectors VALUES (1, '[1,0]'), (2, '[0,1]');
SQL
}

teardown_file() { teardown_all; }

setup() {
    T=$MNT/public
    OUT=$E2E/out/$BATS_TEST_NUMBER
    mkdir -p "$OUT"
    PIDS=()
    rm -rf "$CACHE"
    holder_start
}

teardown() {
    for pid in "${PIDS[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    holder_stop
    mount_stop || true
    [ -n "${E2E_KEEP:-}" ] || rm -rf "$OUT"
}

within() { # SECONDS COMMAND…
    local tenths=$(($1 * 10))
    shift
    until "$@"; do
        [ $((tenths -= 1)) -ge 0 ] || return 1
        sleep 0.1
    done
}

# A psql that is told what to do, and has an application name of its own.
holder_start() {
    coproc HOLDER { PGAPPNAME=holder exec psql -X -q -At -v ON_ERROR_STOP=1 3>&-; }
    HOLDER_OS_PID=$HOLDER_PID
    exec {HOLDER_IN}>&"${HOLDER[1]}" {HOLDER_OUT}<&"${HOLDER[0]}"
    HOLDER_BACKEND=$(holder "SELECT pg_backend_pid();")
}

# Runs one statement in it, and prints the answer's last line.
holder() {
    local line last=
    printf '%s\n\\echo done\n' "$1" >&"$HOLDER_IN"
    while IFS= read -r -t 60 line <&"$HOLDER_OUT"; do
        [ "$line" != "done" ] || break
        last=$line
    done
    [ -z "$last" ] || printf '%s\n' "$last"
}

holder_stop() {
    exec {HOLDER_IN}>&- {HOLDER_OUT}<&- || true
    wait_gone "$HOLDER_OS_PID" 10 || kill -KILL "$HOLDER_OS_PID" 2>/dev/null || true
}

status_json() { "$PYTHON" -c "import json, sys; s = json.load(open(sys.argv[1])); $1" "$MNT/.pgvecfs/status.json"; }

# Whether a job waits for a lock on $1 of the holder's.
waits_for() {
    status_json "sys.exit(0 if any(j['waits_for'] and j['waits_for']['relation'] == '$1' and j['waits_for']['pid'] == $HOLDER_BACKEND \
and j['waits_for']['application'] == 'holder' for j in s['jobs']) else 1)"
}

# Sessions of ours that are in a transaction, or wait for a lock.
busy() { psql -X -At -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgvecfs' AND (wait_event_type = 'Lock' OR state LIKE '%in transaction%')"; }

# ---- we wait ----------------------------------------------------------------------------------

@test "a locked table is waited for without a session; status says who has the lock, and on what" {
    mount_start -o lease=0
    holder "BEGIN; LOCK TABLE small IN ACCESS EXCLUSIVE MODE;"
    cat "$T/small/small.csv" >"$OUT/got" 3>&- &
    PIDS+=($!)
    within 10 waits_for public.small
    "$PGVECFS" --status "$MNT" | tee "$OUT/status"
    grep -q "public.small  waits for a lock on public.small of pid $HOLDER_BACKEND (holder)" "$OUT/status"
    grep -q "waiting for a lock on public.small that pid $HOLDER_BACKEND (holder) has" "$MNT/.pgvecfs/log"
    # Most of the time no session of ours stands in line, and others are served.
    within 20 eval '[ "$(busy)" = 0 ]'
    [ "$(timeout 10 cat "$T/other/other.csv")" = $'id\n7' ]
    holder "COMMIT;"
    wait "${PIDS[0]}"
    [ "$(cat "$OUT/got")" = $'id,t\n1,one\n2,two' ]
    within 5 status_json "sys.exit(0 if not s['lock_waits'] and not s['jobs'] else 1)"
}

@test "what a view is made of, a partition and an index may be locked just as well" {
    psql -X -q -c "CREATE INDEX small_t ON small (t)"
    mount_start -o lease=0
    while read -r locked path; do
        holder "BEGIN; LOCK TABLE $locked;"
        cat "$T/$path" >"$OUT/got" 3>&- &
        pid=$!
        PIDS+=("$pid")
        within 10 waits_for "public.$locked"
        holder "COMMIT;"
        wait "$pid"
        [ "$(wc -l <"$OUT/got")" -eq 3 ]
    done <<'CASES'
other seen/seen.csv
other seen_through/seen_through.csv
parted_2 parted/parted.csv
CASES
    holder "BEGIN; REINDEX INDEX small_t;"
    cat "$T/small/small.csv" >"$OUT/got" 3>&- &
    pid=$!
    PIDS+=("$pid")
    within 10 waits_for public.small_t
    holder "COMMIT;"
    wait "$pid"
    [ "$(wc -l <"$OUT/got")" -eq 3 ]
}

@test "lock_wait gives up with EBUSY, and the reason names the holder" {
    mount_start -o lease=0,lock_wait=2
    holder "BEGIN; LOCK TABLE small, vectors IN ACCESS EXCLUSIVE MODE;"
    run timeout 60 cat "$T/small/small.csv"
    echo "$output"
    [ "$status" -eq 1 ]
    [[ $output == *"Device or resource busy"* ]]
    [[ $(getfattr --only-values --absolute-names -n user.pgvecfs.error "$T/small") == *"public.small is locked by pid $HOLDER_BACKEND (holder)"* ]]
    holder "COMMIT;"
    [ "$(cat "$T/small/small.csv")" = $'id,t\n1,one\n2,two' ]
}

@test "who waits for a lock ends at once when he is interrupted, and the mount ends too" {
    mount_start -o lease=0
    holder "BEGIN; LOCK TABLE small IN ACCESS EXCLUSIVE MODE;"
    cat "$T/small/small.csv" >"$OUT/got" 3>&- &
    PIDS+=($!)
    within 10 waits_for public.small
    kill -TERM "${PIDS[0]}"
    wait_gone "${PIDS[0]}" 3
    cat "$T/small/small.csv" >"$OUT/got" 2>/dev/null 3>&- &
    PIDS+=($!)
    within 10 waits_for public.small
    daemon=$(daemon_pid)
    kill -TERM "$daemon"
    wait_gone "$daemon" 10
}
