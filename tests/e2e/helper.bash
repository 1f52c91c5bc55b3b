# shellcheck shell=bash
# What the end-to-end tests share: a private server, a mount and a cache for each bats file.
#
#   load helper
#   setup_file()    { server_start; psql -X -q -c "CREATE TABLE …"; mount_start; }
#   teardown_file() { teardown_all; }
#
# Everything that a file makes is under build/e2e/NAME; NAME is the file's own without .bats. With
# E2E_KEEP=1 in the environment teardown_all ends the mounts and servers, but leaves the files.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${E2E_NAME:=$(basename "${BATS_TEST_FILENAME:-none}" .bats)}"
E2E=$ROOT/build/e2e/$E2E_NAME
: "${MNT:=$E2E/mnt}"
: "${CACHE:=$E2E/cache}"
: "${PGVECFS:=$ROOT/build/pgvecfs}" # another build of it can be tested: PGVECFS=build/asan/pgvecfs
export E2E_NAME MNT CACHE PGVECFS

# Starts the server with database "test", and points psql to it. The options are those of private-pg start.
server_start() {
    local python psql
    teardown_all || return # what an interrupted run has left
    # The programs themselves: `python3` and `psql` in PATH may be scripts that take longer than many a test.
    python=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null) && export PATH=${python%/*}:$PATH
    psql=$(find /usr/lib/postgresql/*/bin/psql -maxdepth 0 2>/dev/null | sort -t/ -k5n | tail -n 1) || true
    if [ -n "$psql" ]; then export PATH=${psql%/*}:$PATH; fi
    mkdir -p "$E2E" || return
    template_make || return
    if [ -e "$TEMPLATE/data/PG_VERSION" ]; then
        "$ROOT/scripts/private-pg" start "$E2E/pg" --from "$TEMPLATE" "$@" && server_env
        return
    fi
    "$ROOT/scripts/private-pg" start "$E2E/pg" "$@" && server_env && database_make
}

database_make() {
    PGDATABASE=postgres psql -X -q -v ON_ERROR_STOP=1 -c 'CREATE DATABASE test' &&
        PGDATABASE='test' psql -X -q -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION vector'
}

# All files' servers begin as copies of one, which has the database: initdb takes longer than many a test. The first file makes it,
# the others wait for that. There is none if its data cannot be in this checkout (private-pg).
TEMPLATE=$ROOT/build/e2e-template
template_make() {
    mkdir -p "$TEMPLATE"
    (
        flock 9
        # another server, or another extension, needs another template
        made=$(stat -c '%n %i %Z' /usr/lib/postgresql/*/bin/postgres /usr/share/postgresql/*/extension/vector*.control 2>/dev/null) || true
        [ "$(cat "$TEMPLATE/made" 2>/dev/null)" != "$made" ] || exit 0
        trap '"$ROOT/scripts/private-pg" stop "$TEMPLATE"' EXIT
        trap 'exit 1' INT TERM HUP
        "$ROOT/scripts/private-pg" stop "$TEMPLATE" && rm -rf "$TEMPLATE"/{data,initialised,made} &&
            "$ROOT/scripts/private-pg" start "$TEMPLATE" && eval "$("$ROOT/scripts/private-pg" env "$TEMPLATE")" && database_make &&
            "$ROOT/scripts/private-pg" stop "$TEMPLATE" && printf '%s\n' "$made" >"$TEMPLATE/made"
    ) 9>"$TEMPLATE/lock"
}

# Exports PGHOST PGPORT PGUSER PGDATABASE for the server that runs in build/e2e/NAME/pg.
server_env() {
    local lines
    lines=$("$ROOT/scripts/private-pg" env "$E2E/pg") || return
    eval "$lines"
    export PGDATABASE=test
}

server_stop() { "$ROOT/scripts/private-pg" stop "$E2E/pg"; }

# Mounts database $PGDATABASE at $MNT, as a user would; the arguments are options of pgvecfs.
# A second mount beside the first: MNT=$E2E/mnt2 CACHE=$E2E/cache2 mount_start; the same for mount_stop.
mount_start() {
    mkdir -p "$MNT" "$CACHE" || return
    (
        # bats waits until no process has its descriptors open any more, so the daemon must not get them.
        for fd in /proc/self/fd/*; do
            fd=${fd##*/}
            if [ "$fd" -gt 2 ] && [ "$fd" -lt 255 ]; then eval "exec $fd>&-"; fi
        done
        exec "$PGVECFS" -o cache_dir="$CACHE" "$@" \
            "host=$PGHOST port=$PGPORT user=$PGUSER dbname=$PGDATABASE" "$MNT"
    ) </dev/null || return
    daemon_pid >"$E2E/$(basename "$MNT").pid"
}

# Prints the pid of the daemon behind $MNT, as the mount itself says it.
daemon_pid() {
    timeout 10 sed -n 's/.*"pid" *: *\([0-9][0-9]*\).*/\1/p' "$MNT/.pgvecfs/status.json" 2>/dev/null | sed -n 1p
}

# Whether process $1 has ended; a zombie counts as ended, even if its parent has not reaped it yet.
process_gone() {
    local state
    state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || true
    [ -z "$state" ] || [ "$state" = Z ]
}

# Waits until process $1 has ended, at most $2 seconds.
wait_gone() { within "$2" process_gone "$1"; }

# within SECONDS COMMAND...: waits until the command succeeds, at most SECONDS.
within() {
    local end=$((SECONDS + $1 + 1)) tries=0 # SECONDS is whole ones
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        if [ $((tries += 1)) -le 10 ]; then sleep 0.02; else sleep 0.1; fi
    done
}

# How often a test does again what may fail only now and then: $1 times in `make test`, $2 times in `make soak`.
often() { if [ -n "${E2E_SOAK:-}" ]; then echo "$2"; else echo "$1"; fi; }

# Unmounts $MNT, and waits until the daemon has ended: only then are its cache and sessions closed.
mount_stop() {
    local pid
    pid=$(cat "$E2E/$(basename "$MNT").pid" 2>/dev/null) || true
    fusermount3 -u "$MNT" || return
    [ -n "$pid" ] || return 0
    wait_gone "$pid" 10 || { echo "the daemon (pid $pid) still runs 10 s after unmounting" >&2; return 1; }
    rm -f "$E2E/$(basename "$MNT").pid"
}

# The mounts under build/e2e/NAME, innermost first. mountinfo writes a space as \040.
mounts_below() {
    local path
    while read -r _ _ _ _ path _; do
        path=$(printf '%b' "${path//\\/\\0}")
        [[ $path == "$E2E"/* ]] && printf '%s\n' "$path"
    done </proc/self/mountinfo | sort -r
}

# Ends and removes all that this file's tests, or an interrupted run of them, have left.
teardown_all() {
    local path pid file
    while read -r path; do fusermount3 -uz "$path" || umount -l "$path" || true; done < <(mounts_below)
    for file in "$E2E"/*.pid; do
        pid=$(cat "$file" 2>/dev/null) || true
        [ -n "$pid" ] || continue
        # The pid may be another process by now: ours has the folder on its command line.
        for signal in none TERM KILL; do
            grep -qF -- "$E2E" "/proc/$pid/cmdline" 2>/dev/null || break
            [ $signal = none ] || kill -s $signal "$pid" 2>/dev/null || true
            if wait_gone "$pid" 5; then break; fi
        done
    done
    for path in "$E2E"/pg*/; do
        if [ -e "$path/port" ]; then "$ROOT/scripts/private-pg" stop "$path" || true; fi
    done
    [ -n "${E2E_KEEP:-}" ] || rm -rf --one-file-system -- "$E2E"
}

# ---- for setup() and teardown() of a test -----------------------------------------------------

# The mount's tables are in $T, what the test writes is in $OUT; the cache is empty. At the test's end processes whose pids it has
# added to PIDS are killed, and those in STOPPED go on.
test_begin() {
    # shellcheck disable=SC2034 # the tests use it
    T=$MNT/public
    OUT=$E2E/out/$BATS_TEST_NUMBER
    mkdir -p "$OUT"
    PIDS=()
    STOPPED=()
    rm -rf "$CACHE"
}

test_end() {
    local pid
    [ ${#STOPPED[@]} -eq 0 ] || kill -CONT "${STOPPED[@]}" 2>/dev/null || true
    for pid in "${PIDS[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    lock_stop || true
    if mountpoint -q "$MNT"; then mount_stop || fusermount3 -uz "$MNT" || true; fi
    [ -n "${E2E_KEEP:-}" ] || rm -rf "$OUT"
}

# ---- what others do -----------------------------------------------------------------------------

# Prints the number of sessions for which an SQL condition on pg_stat_activity holds.
count() { psql -X -At -c "SELECT count(*) FROM pg_stat_activity WHERE $1"; }
at_least() { [ "$(count "$2")" -ge "$1" ]; } # NUMBER CONDITION
exactly() { [ "$(count "$2")" = "$1" ]; }

# lock_start TABLE...: another session, "locker", locks the tables, against readers too, until lock_stop.
lock_start() {
    local name locks=()
    for name; do locks+=(-c "LOCK TABLE $name IN ACCESS EXCLUSIVE MODE"); done
    LOCKED=yes
    PGAPPNAME=locker psql -X -q -v ON_ERROR_STOP=1 -c 'BEGIN' "${locks[@]}" -c 'SELECT pg_sleep(600)' >/dev/null 2>&1 3>&- &
    within 20 lock_is_held "$name"
}

lock_is_held() {
    [ "$(psql -X -At -c "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE relation = '$1'::regclass AND mode = 'AccessExclusiveLock' AND granted AND application_name = 'locker'")" = 1 ]
}

lock_stop() {
    [ -n "${LOCKED:-}" ] || return 0
    psql -X -q -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'locker'" >/dev/null
    within 20 exactly 0 "application_name = 'locker'" && LOCKED=
}

# Starts a pgbouncer in transaction mode with $1 sessions of the server, for database test and role $2 (postgres).
pooler_start() {
    local as_pooler=()
    POOLER=$(mktemp -d "${TMPDIR:-/tmp}/pgvecfs-pooler.XXXXXX")
    POOLED_AS=${2:-postgres}
    printf '"%s" ""\n' "$POOLED_AS" >"$POOLER/users"
    cat >"$POOLER/ini" <<INI
[databases]
test = host=$PGHOST port=$PGPORT dbname=test
[pgbouncer]
listen_port = 6432
unix_socket_dir = $POOLER
auth_type = trust
auth_file = $POOLER/users
pool_mode = transaction
default_pool_size = $1
logfile = $POOLER/log
pidfile = $POOLER/pid
INI
    if [ "$(id -u)" = 0 ]; then # pgbouncer refuses to run as root
        chown -R postgres: "$POOLER"
        as_pooler=(setpriv --reuid=postgres --regid=postgres --init-groups)
    fi
    (cd / && exec "${as_pooler[@]}" "$(PATH=$PATH:/usr/sbin command -v pgbouncer)" -q -d "$POOLER/ini") >/dev/null 2>&1 3>&-
    within 20 pooler_answers
}

pooler_answers() { [ "$(pooled -c 'SELECT 1' 2>&1)" = 1 ]; }

pooler_stop() {
    [ -n "${POOLER:-}" ] || return 0
    kill "$(cat "$POOLER/pid")" || true
    rm -rf "$POOLER"
    POOLER=
}

# psql, as another client of the pool; and a mount through it.
pooled() { PGHOST=$POOLER PGPORT=6432 PGUSER=$POOLED_AS PGDATABASE=test psql -X -q -At -v ON_ERROR_STOP=1 "$@"; }
pooled_mount() { PGHOST=$POOLER PGPORT=6432 PGUSER=$POOLED_AS PGDATABASE=test mount_start "$@"; }

# Starts tests/e2e/gate.py in front of the server, for clients that connect with PGHOST=$E2E/gate; its pid is in $GATE. $1: bytes
# a second.
gate_start() {
    mkdir -p "$E2E/gate"
    rm -f "$E2E/gate/.s.PGSQL.$PGPORT"
    python3 "$ROOT/tests/e2e/gate.py" "$PGHOST/.s.PGSQL.$PGPORT" "$E2E/gate/.s.PGSQL.$PGPORT" "$@" >/dev/null 2>&1 3>&- &
    GATE=$!
    PIDS+=("$GATE")
    within 10 test -S "$E2E/gate/.s.PGSQL.$PGPORT"
}

# ---- what a file of the mount must hold, by the server's own word -----------------------------

# psql under the session settings that pgvecfs pins. Synchronised scans and parallel plans would
# change the order of rows.
psql_pinned() {
    PGOPTIONS="-c search_path= -c DateStyle=ISO -c IntervalStyle=postgres -c extra_float_digits=1 \
-c bytea_output=hex -c TimeZone=UTC -c synchronize_seqscans=off -c max_parallel_workers_per_gather=0" \
        psql -X -q -At -v ON_ERROR_STOP=1 "$@"
}

# Prints what to COPY for relation $1 (schema-qualified, quoted as SQL wants it): for a table its name,
# which leaves generated columns out; other relations can only be copied as a query.
copy_source() {
    local kind
    kind=$(psql_pinned -c "SELECT relkind FROM pg_catalog.pg_class WHERE oid = '${1//\'/\'\'}'::regclass") || return
    case $kind in
        r) printf '%s' "$1" ;;
        *) printf '(SELECT * FROM %s)' "$1" ;;
    esac
}

reference_csv() {
    local source
    source=$(copy_source "$1") && psql_pinned -c "COPY $source TO STDOUT (FORMAT csv, HEADER)"
}

reference_tsv() {
    local source
    source=$(copy_source "$1") && psql_pinned -c "COPY $source TO STDOUT (FORMAT csv, HEADER, DELIMITER E'\t')"
}

reference_bin() {
    local source
    source=$(copy_source "$1") && psql_pinned -c "COPY $source TO STDOUT (FORMAT binary)"
}

# row_to_json of every row, vector and halfvec columns as JSON arrays.
reference_jsonl() {
    local columns
    columns=$(psql_pinned -c "
        SELECT string_agg(CASE WHEN t.typname IN ('vector', 'halfvec')
                               THEN format('%1\$I::text::json AS %1\$I', a.attname)
                               ELSE quote_ident(a.attname) END, ', ' ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = '${1//\'/\'\'}'::regclass AND a.attnum > 0 AND NOT a.attisdropped") || return
    psql_pinned -c "SELECT row_to_json(r) FROM (SELECT $columns FROM $1) r"
}

# Fails, showing the first difference, unless the two files have the same bytes.
assert_same_bytes() {
    local at
    if cmp -s -- "$1" "$2"; then return 0; fi
    {
        echo "not the same bytes:"
        echo "  $1: $(wc -c <"$1") bytes"
        echo "  $2: $(wc -c <"$2") bytes"
        at=$(LC_ALL=C cmp -- "$1" "$2" 2>/dev/null | sed -n 's/.* \(byte\|char\) \([0-9]*\),.*/\2/p')
        # The shorter file has no difference: it ends where the other one goes on.
        [ -n "$at" ] || at=$(($(stat -c %s -- "$1" "$2" | sort -n | sed -n 1p) + 1))
        echo "first difference at offset $((at - 1)); from 16 bytes before it:"
        at=$((at > 17 ? at - 17 : 0))
        for file in "$1" "$2"; do
            echo "  $file"
            od -A d -t x1z -j "$at" -N 64 -- "$file" 2>/dev/null | sed 's/^/    /'
        done
    } >&2
    return 1
}

# Writes extension $1 into the catalog, as the owner of table $2.
pretend_extension() {
    psql -X -q -v ON_ERROR_STOP=1 <<END
SET allow_system_table_mods = on;
INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
    SELECT (max(e.oid::bigint) + 100)::oid, '$1', 10, 'public'::regnamespace, false, '1' FROM (SELECT oid FROM pg_class UNION SELECT oid FROM pg_extension) e;
INSERT INTO pg_depend (classid, objid, objsubid, refclassid, refobjid, refobjsubid, deptype)
    SELECT 'pg_class'::regclass, '$2'::regclass, 0, 'pg_extension'::regclass, oid, 0, 'e' FROM pg_extension WHERE extname = '$1';
END
}
