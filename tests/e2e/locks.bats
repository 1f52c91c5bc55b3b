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
CREATE FUNCTION others() RETURNS SETOF int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT id FROM other; END';
CREATE VIEW seen_late AS SELECT * FROM others() AS id;
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
    test_begin
    holder_start
}

teardown() {
    holder_stop
    test_end
}

# A psql that is told what to do, and has an application name of its own.
holder_start() {
    coproc HOLDER { PGAPPNAME=holder exec psql -X -q -At -v ON_ERROR_STOP=1 3>&-; }
    HOLDER_OS_PID=$HOLDER_PID
    exec {HOLDER_IN}>&"${HOLDER[1]}" {HOLDER_OUT}<&"${HOLDER[0]}"
    eval "exec ${HOLDER[1]}>&- ${HOLDER[0]}<&-"
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

@test "lock_wait counts for a lock that only the rows' own functions want, too" {
    mount_start -o lease=0,lock_wait=2
    holder "BEGIN; LOCK TABLE other IN ACCESS EXCLUSIVE MODE;"
    run timeout 60 cat "$T/seen_late/seen_late.csv"
    echo "$output"
    [ "$status" -eq 1 ]
    [[ $output == *"Device or resource busy"* ]]
    holder "COMMIT;"
    [ "$(cat "$T/seen_late/seen_late.csv")" = $'id\n7' ]
    within 5 status_json "sys.exit(0 if not s['lock_waits'] and not s['jobs'] else 1)"
}

@test "a question, and a read of what the cache has no room for, give up after lock_wait, too" {
    make_big
    mount_start -o lease=60,lock_wait=1,cache_size=2M
    stat "$T/big/big.bin" "$T/vectors/vectors.csv" >/dev/null
    exec 5<"$T/big/big.bin"
    holder "BEGIN; LOCK TABLE big, vectors IN ACCESS EXCLUSIVE MODE;"
    mkdir "$T/vectors/query/q"
    echo "id > 0" >"$T/vectors/query/q/filter"
    echo '[1,0]' >"$T/vectors/query/q/vector"
    run timeout 60 cat "$T/vectors/query/q/results.csv"
    echo "$output"
    [ "$status" -eq 1 ]
    [[ $output == *"Device or resource busy"* ]]
    timeout 60 "$PYTHON" - <<'PYTHON'
import errno, os
os.posix_fadvise(5, 0, 0, os.POSIX_FADV_DONTNEED)
try:
    while os.read(5, 1 << 20):
        pass
except OSError as error:
    print(error)
    assert error.errno == errno.EBUSY
else:
    assert False, "all has been read"
PYTHON
    grep "public.big is locked by pid $HOLDER_BACKEND (holder)" "$MNT/.pgvecfs/log"
    grep "public.vectors: waiting for a lock on public.vectors that pid $HOLDER_BACKEND (holder) has" "$MNT/.pgvecfs/log"
    [[ $(getfattr --only-values --absolute-names -n user.pgvecfs.error "$T/vectors/query") == *"public.vectors is locked by pid $HOLDER_BACKEND (holder)"* ]]
    holder "COMMIT;"
    exec 5<&-
    assert_same_bytes "$T/big/big.csv" "$OUT/big"
    [ "$(wc -l <"$T/vectors/query/q/results.csv")" -eq 3 ]
}

# Whether $1 (catalog, schema.sql) waits for a lock on a catalog of the holder's.
catalog_waits() {
    status_json "sys.exit(0 if any(w['what'] == '$1' and w['waits_for']['pid'] == $HOLDER_BACKEND and w['waits_for']['application'] == 'holder' \
and w['waits_for']['relation'] == 'pg_catalog.pg_inherits' and w['waits_for']['seconds'] > 0.5 for w in s['lock_waits']) else 1)"
}

@test "a lock on a catalog is waited for, too: status says so; lock_wait bounds it" {
    mount_start -o lease=0
    holder "BEGIN; LOCK TABLE pg_catalog.pg_inherits IN ACCESS EXCLUSIVE MODE;"
    psql -X -q -c "COMMENT ON TABLE small IS 'so that the catalog is read again'"
    ls "$T" >"$OUT/got" 3>&- &
    PIDS+=($!)
    within 20 catalog_waits catalog
    "$PGVECFS" --status "$MNT" | tee "$OUT/status"
    grep -q "waits for a lock on pg_catalog.pg_inherits of pid $HOLDER_BACKEND (holder)" "$OUT/status"
    # What our question has locked meanwhile keeps nobody waiting.
    for i in 1 2 3; do
        timeout 5 psql -X -q -v ON_ERROR_STOP=1 -c "BEGIN; LOCK TABLE pg_catalog.pg_extension, pg_catalog.pg_namespace IN ACCESS EXCLUSIVE MODE; COMMIT"
    done
    process_gone "${PIDS[0]}" && false || true
    holder "COMMIT;"
    wait "${PIDS[0]}"
    grep -q '^small$' "$OUT/got"
    within 5 status_json "sys.exit(0 if not s['lock_waits'] else 1)"
    mount_stop
    mount_start -o lease=0 -o lock_wait=1
    holder "BEGIN; LOCK TABLE pg_catalog.pg_inherits IN ACCESS EXCLUSIVE MODE;"
    psql -X -q -c "COMMENT ON TABLE small IS 'so that the catalog is read once more'"
    run timeout 20 ls "$T"
    [ "$status" -eq 2 ]
    [[ $output == *"Device or resource busy"* ]]
    holder "COMMIT;"
    timeout 20 ls "$T" | grep -q '^small$'
}

# Whether somebody of ours waits for a lock on the catalog $1 of the holder's.
waits_for_catalog() {
    status_json "sys.exit(0 if any(w['waits_for']['pid'] == $HOLDER_BACKEND and w['waits_for']['application'] == 'holder' \
and w['waits_for']['relation'] == 'pg_catalog.$1' for w in s['lock_waits']) else 1)"
}

# A new connection would wait in the server itself for some of them: so there is one, which is there.
@test "whichever catalog is locked, who waits for it is seen, and whoever has it" {
    psql -X -q -c "CREATE TABLE often AS TABLE small"
    mount_start -o lease=0,connections=1
    s=$T/vectors/query/q
    mkdir "$s"
    echo "id > 0" >"$s/filter"
    echo '[1,0]' >"$s/vector"
    cat "$T/often/often.csv" "$T/seen/seen.csv" "$s/results.csv" >/dev/null
    for catalog in pg_class pg_proc pg_inherits pg_database $(often "" "pg_attribute pg_type pg_namespace pg_index pg_policy pg_rewrite"); do
        psql -X -q -c "UPDATE often SET t = t || '.'" -c "UPDATE vectors SET id = id" -c "COMMENT ON TABLE often IS '$catalog'"
        reference_csv public.often >"$OUT/often"
        holder "BEGIN; LOCK TABLE pg_catalog.$catalog IN ACCESS EXCLUSIVE MODE;"
        readers=()
        for path in often/often.csv seen/seen.csv vectors/query/q/results.csv; do
            timeout 60 cat "$T/$path" >"$OUT/${path##*/}" 3>&- &
            readers+=($!)
        done
        PIDS+=("${readers[@]}")
        within 20 waits_for_catalog $catalog
        holder "COMMIT;"
        for reader in "${readers[@]}"; do wait "$reader"; done
        assert_same_bytes "$OUT/often.csv" "$OUT/often"
        [ "$(wc -l <"$OUT/results.csv")" -eq 3 ]
        within 5 status_json "sys.exit(0 if not s['lock_waits'] else 1)"
    done
    rmdir "$s"
    psql -X -q -c "DROP TABLE often"
}

@test "a read that waits for a catalog keeps nobody from others, or from its table; lock_wait bounds it" {
    psql -X -q -c "CREATE TABLE often AS TABLE small"
    for options in lease=0 lease=0,lock_wait=2; do
        mount_start -o $options,connections=1
        cat "$T/often/often.csv" >/dev/null
        psql -X -q -c "UPDATE often SET t = t || '.'"
        holder "BEGIN; LOCK TABLE pg_catalog.pg_policy IN ACCESS EXCLUSIVE MODE;"
        timeout 60 cat "$T/often/often.csv" >"$OUT/got" 2>"$OUT/words" 3>&- &
        reader=$!
        PIDS+=($reader)
        within 20 waits_for_catalog pg_policy
        if [ $options = lease=0 ]; then
            for i in 1 2 3; do
                timeout 5 psql -X -q -v ON_ERROR_STOP=1 -c "BEGIN; LOCK TABLE often, pg_catalog.pg_inherits, pg_catalog.pg_constraint IN ACCESS EXCLUSIVE MODE; COMMIT"
            done
            process_gone $reader && false || true
            holder "COMMIT;"
            wait $reader
        else
            status=0
            wait $reader || status=$?
            [ $status -eq 1 ]
            grep -q "Device or resource busy" "$OUT/words"
            [[ $(getfattr --only-values --absolute-names -n user.pgvecfs.error "$T/often") == *"pg_catalog.pg_policy is locked by pid $HOLDER_BACKEND (holder)"* ]]
            holder "COMMIT;"
        fi
        mount_stop
    done
    psql -X -q -c "DROP TABLE often"
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

@test "who has to wait for another session on the way stands in the server's line no longer than in his turn" {
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE ROLE reader LOGIN;
CREATE TABLE guarded (id int);
INSERT INTO guarded VALUES (3);
CREATE POLICY all_rows ON guarded USING (id > 0);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION gate() RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN
    WHILE NOT pg_try_advisory_xact_lock_shared(7) LOOP PERFORM pg_sleep(0.05); END LOOP; RETURN 1; END';
CREATE VIEW gated AS SELECT gate();
GRANT SELECT ON guarded, gated, small, other, vectors TO reader;
ALTER ROLE reader SET log_statement = 'all';
SQL
    PGUSER=reader mount_start -o lease=0,connections=3,rls=filter
    holder "SELECT pg_advisory_lock(7); BEGIN; LOCK TABLE small, other, vectors IN ACCESS EXCLUSIVE MODE;"
    # The only session for what users wrote is taken; of three that wait for locks one stands, so that others come to take what is free.
    for table in small other vectors gated; do
        timeout 120 cat "$T/$table/$table.csv" >/dev/null 3>&- &
        PIDS+=($!)
    done
    for table in small other vectors; do within 20 waits_for public.$table; done
    within 20 at_least 1 "usename = 'reader' AND wait_event = 'PgSleep'"
    timeout 120 cat "$T/guarded/guarded.csv" >"$OUT/guarded" 3>&- &
    PIDS+=($!)
    within 20 grep -q 'SELECT \* FROM ONLY "public"."guarded"' "$E2E/pg/log"
    within 20 exactly 0 "usename = 'reader' AND query LIKE '%guarded%'"
    holder "SELECT pg_advisory_unlock(7);"
    wait "${PIDS[4]}"
    [ "$(cat "$OUT/guarded")" = $'id\n3' ]
    grep -q 'TO DEFAULT;SET LOCAL lock_timeout = 1;.*"guarded"' "$E2E/pg/log"
    ! grep -o 'TO DEFAULT;SET LOCAL lock_timeout = 500;.*"guarded"' "$E2E/pg/log" || false
    holder "COMMIT;"
    wait "${PIDS[@]}"
    psql -X -q -c "DROP VIEW gated" -c "DROP FUNCTION gate" -c "DROP TABLE guarded" -c "DROP OWNED BY reader" -c "DROP ROLE reader"
}

# ---- others wait for us -----------------------------------------------------------------------

# A table that takes a while: some 25 row groups, of which each range of a fetch brings a few. The
# server is slowed down by a proxy.
make_big() {
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
DROP TABLE IF EXISTS big;
CREATE TABLE big (id int, t text);
ALTER TABLE big ALTER t SET STORAGE external;
INSERT INTO big SELECT g, repeat(md5(g::text), 100) FROM generate_series(1, 30000) g;
SQL
    reference_csv public.big >"$OUT/big"
}

@test "a stopped reader of a table that the cache cannot hold keeps nobody from it" {
    make_big
    mount_start -o cache_size=2M,lease=0.5
    "$PYTHON" - "$T/big/big.csv" "$OUT/big" "$MNT/.pgvecfs/log" <<'PYTHON'
import os, re, subprocess, sys
path, right, log = sys.argv[1], open(sys.argv[2], "rb").read(), sys.argv[3]
def psql(*sql):
    arguments = [argument for s in sql for argument in ("-c", s)]
    return subprocess.run(["timeout", "20", "psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1"] + arguments,
                          check=True, stdout=subprocess.PIPE, text=True).stdout.split()
def held():
    return psql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgvecfs' AND state LIKE '%in transaction%'") != ["0"]
os.stat(path)
fd = os.open(path, os.O_RDONLY)
assert os.pread(fd, 100000, 0) == right[:100000]
assert held(), "the cache has room for all"
# It asks for the lock, and lets go of it, with nothing changed: what is read then is what it was.
psql("BEGIN; LOCK TABLE big IN ACCESS EXCLUSIVE MODE; COMMIT")
assert re.search("a read point that was held for open files has ended: pid .* waits for a lock on public.big", open(log).read())
at = len(right) // 2
assert os.pread(fd, 100000, at) == right[at:at + 100000]
# Now it changes: what is read fails, and never is of another version.
psql("ALTER TABLE big ADD zz int", "SELECT count(*) FROM big WHERE id < 10")
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
at = len(right) // 4
try:
    got = os.pread(fd, 100000, at)
except OSError as error:
    print(error)
else:
    assert got == right[at:at + 100000]
PYTHON
    reference_csv public.big >"$OUT/right"
    sleep 0.5 # longer than the lease, within which the file of before is right, too
    assert_same_bytes "$T/big/big.csv" "$OUT/right"
}

@test "an open file, somebody who alters the table, and a refresh of it do not lock each other out" {
    make_big
    for options in cache_size=0,lease=1 cache_size=0,lease=1,connections=1 cache_size=0,lease=1,connections=2; do
        mount_start -o "$options"
        stat "$T/big/big.bin" >/dev/null
        exec 5<"$T/big/big.bin"
        psql -X -q -c "UPDATE small SET t = t"
        psql -X -q -c "ALTER TABLE big ADD x int" 3>&- 5<&- &
        alter=$!
        PIDS+=("$alter")
        sleep 0.3
        stat "$T/big/big.bin" >/dev/null 3>&- 5<&- &
        PIDS+=($!)
        wait_gone "$alter" 15
        [ "$(timeout 15 psql -X -At -c "SELECT count(*) FROM big")" -eq 30000 ]
        wait "$!"
        exec 5<&-
        psql -X -q -c "ALTER TABLE big DROP x"
        mount_stop
        rm -rf "$CACHE"
    done
}

# Mounts through a gate that lets 10 MB a second through, until it gets a SIGHUP.
mount_slowly() {
    gate_start 10000000
    PGHOST=$E2E/gate mount_start "$@"
}

@test "a fetch lets go, and goes on where it was; who reads along gets all, if the rows are the same" {
    make_big
    for options in jobs=2 $(often "" "jobs=2,connections=1 jobs=1"); do
        mount_slowly -o "$options"
        "$PYTHON" - "$T/big/big.csv" "$OUT/big" "$MNT/.pgvecfs/status.json" "$GATE" <<'PYTHON'
import json, os, signal, subprocess, sys, threading
path, right, status, gate = sys.argv[1], open(sys.argv[2], "rb").read(), sys.argv[3], int(sys.argv[4])
def look():
    return json.load(open(status))
def read():
    global got
    fd = os.open(path, os.O_RDONLY)
    got = b""
    while more := os.pread(fd, 1 << 20, len(got)):
        got += more
reader = threading.Thread(target=read)
reader.start()
while not any(job["groups_copied"] > 5 for job in look()["jobs"]):
    assert reader.is_alive(), "it was over too soon"
subprocess.run(["timeout", "30", "psql", "-X", "-q", "-c", "BEGIN; LOCK TABLE big IN ACCESS EXCLUSIVE MODE; COMMIT"], check=True)
print(look()["jobs"])
assert reader.is_alive(), "it was over too soon"
os.kill(gate, signal.SIGHUP)
reader.join()
assert got == right, (len(got), len(right))
refresh = [r for r in look()["refreshes"] if r["name"] == "big"][-1]
print(refresh)
assert refresh["result"] == "new" and refresh["groups_kept"] >= 3
PYTHON
        grep -q "public.big: the fetch lets go of its locks, since pid .* waits for a lock on public.big; it goes on later" "$MNT/.pgvecfs/log"
        assert_same_bytes "$T/big/big.csv" "$OUT/big"
        mount_stop
        rm -rf "$CACHE"
        kill "$GATE"
    done
}

# Whether the fetch holds its lock anew, or has ended for good.
holds_big_or_is_over() {
    [ -e "$OUT/over" ] ||
        [ "$(psql -X -At -c "SELECT count(*) FROM pg_locks WHERE relation = 'big'::regclass AND mode = 'AccessShareLock' AND granted")" -gt 0 ]
}

@test "five times in a row are enough: EBUSY, with the reason" {
    make_big
    mount_slowly -o jobs=1
    for i in 1 2 3 4 5 6; do
        within 60 holds_big_or_is_over || exit 1
        [ ! -e "$OUT/over" ] || exit 0
        timeout 30 psql -X -q -c "BEGIN; LOCK TABLE big IN ACCESS EXCLUSIVE MODE; COMMIT" || exit 1
    done 3>&- >"$OUT/locker" 2>&1 &
    PIDS+=($!)
    run timeout 120 stat "$T/big/big.csv"
    touch "$OUT/over"
    echo "$output"
    cat "$OUT/locker" "$MNT/.pgvecfs/log"
    [ "$status" -eq 1 ]
    [[ $output == *"Device or resource busy"* ]]
    [[ $(getfattr --only-values --absolute-names -n user.pgvecfs.error "$T/big") == *"5 times in a row"*" waits for a lock on public.big"* ]]
    kill -HUP "$GATE"
    wait "${PIDS[-1]}"
    assert_same_bytes "$T/big/big.csv" "$OUT/big"
}

@test "a slow view, a filter and the server's own search let go, if there is a session to look with" {
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE OR REPLACE FUNCTION pause(s float) RETURNS bool LANGUAGE plpgsql VOLATILE AS 'BEGIN PERFORM pg_sleep(s); RETURN true; END';
CREATE OR REPLACE VIEW slow AS SELECT id, t, pause((SELECT CASE WHEN id > 1000 THEN 0 ELSE 6 END FROM other)) FROM small WHERE id = 1;
SQL
    mount_start -o lease=0
    cat "$T/slow/slow.csv" >"$OUT/got" 3>&- &
    PIDS+=($!)
    within 10 eval '[ "$(psql -X -At -c "SELECT count(*) FROM pg_stat_activity WHERE wait_event = '"'PgSleep'"'")" = 1 ]'
    timeout 5 psql -X -q -v ON_ERROR_STOP=1 -c "BEGIN; LOCK TABLE other IN ACCESS EXCLUSIVE MODE; COMMIT"
    process_gone "${PIDS[0]}" && false || true
    psql -X -q -c "UPDATE other SET id = 2000"
    wait "${PIDS[0]}"
    [ "$(cat "$OUT/got")" = $'id,t,pause\n1,one,t' ]
    grep -q "public.slow: the fetch lets go of its locks, since pid .* waits for a lock on public.other" "$MNT/.pgvecfs/log"
    for mode in exact server; do
        psql -X -q -c "UPDATE other SET id = 7"
        mkdir "$T/vectors/query/$mode"
        echo "pause((SELECT CASE WHEN id > 1000 THEN 0 ELSE 6 END FROM other))" >"$T/vectors/query/$mode/filter"
        echo "$mode" >"$T/vectors/query/$mode/mode"
        echo '[1,0]' >"$T/vectors/query/$mode/vector"
        cat "$T/vectors/query/$mode/results.csv" >"$OUT/got" 3>&- &
        PIDS+=($!)
        within 10 eval '[ "$(psql -X -At -c "SELECT count(*) FROM pg_stat_activity WHERE wait_event = '"'PgSleep'"'")" = 1 ]'
        timeout 5 psql -X -q -v ON_ERROR_STOP=1 -c "BEGIN; LOCK TABLE other IN ACCESS EXCLUSIVE MODE; COMMIT"
        process_gone "${PIDS[-1]}" && false || true
        psql -X -q -c "UPDATE other SET id = 2000"
        wait "${PIDS[-1]}"
        [ "$(wc -l <"$OUT/got")" -eq 3 ]
    done
    [ "$(grep -c "public.vectors: a question lets go of its locks, since pid .* waits for a lock on public.other" "$MNT/.pgvecfs/log")" -ge 2 ]
    psql -X -q -c "UPDATE other SET id = 7"
}

@test "a long statement without a session to look with is left to run" {
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE OR REPLACE FUNCTION pause(s float) RETURNS bool LANGUAGE plpgsql VOLATILE AS 'BEGIN PERFORM pg_sleep(s); RETURN true; END';
CREATE OR REPLACE VIEW slow AS SELECT id, t, pause((SELECT CASE WHEN id > 1000 THEN 0 ELSE 6 END FROM other)) FROM small WHERE id = 1;
SQL
    mount_start -o lease=0,connections=1
    cat "$T/slow/slow.csv" >"$OUT/got" 3>&- &
    pid=$!
    PIDS+=("$pid")
    within 10 eval '[ "$(psql -X -At -c "SELECT count(*) FROM pg_stat_activity WHERE wait_event = '"'PgSleep'"'")" = 1 ]'
    timeout 30 psql -X -q -v ON_ERROR_STOP=1 -c "BEGIN; LOCK TABLE other IN ACCESS EXCLUSIVE MODE; COMMIT"
    wait "$pid"
    [ "$(cat "$OUT/got")" = $'id,t,pause\n1,one,t' ]
    ! grep "lets go" "$MNT/.pgvecfs/log" || false
}

@test "a partition that is detached, and an index that is built without locking, do not wait for an open file" {
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
DROP TABLE IF EXISTS wide;
CREATE TABLE wide (id int, t text) PARTITION BY RANGE (id);
CREATE TABLE wide_1 PARTITION OF wide FOR VALUES FROM (0) TO (10000);
CREATE TABLE wide_2 PARTITION OF wide FOR VALUES FROM (10000) TO (20000);
ALTER TABLE wide_1 ALTER t SET STORAGE external;
ALTER TABLE wide_2 ALTER t SET STORAGE external;
INSERT INTO wide SELECT g, repeat(md5(g::text), 100) FROM generate_series(1, 19999) g;
SQL
    mount_start -o cache_size=2M,lease=1
    stat "$T/wide/wide.csv" >/dev/null
    exec 5<"$T/wide/wide.csv"
    timeout 20 psql -X -q -v ON_ERROR_STOP=1 -c "CREATE INDEX CONCURRENTLY ON other (id)"
    head -c 1000000 <&5 >/dev/null
    timeout 20 psql -X -q -v ON_ERROR_STOP=1 -c "ALTER TABLE wide DETACH PARTITION wide_2"
    exec 5<&-
    reference_csv public.wide >"$OUT/right"
    within 10 cmp -s "$T/wide/wide.csv" "$OUT/right" || true # what was before may be shown until its lease is over
    assert_same_bytes "$T/wide/wide.csv" "$OUT/right"
}
