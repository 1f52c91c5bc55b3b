# The rules of docs/architecture.md, by number.
load helper

setup_file() {
    server_start -c autovacuum=off # it uses transaction ids
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE steady (id int PRIMARY KEY, v text);
INSERT INTO steady SELECT i, 'value ' || i FROM generate_series(1, 2000) i;
CREATE TABLE moving (id int PRIMARY KEY, v text);
INSERT INTO moving SELECT i, 'value ' || i FROM generate_series(1, 50000) i;
CREATE TABLE locked (id int);
INSERT INTO locked SELECT generate_series(1, 1000);
-- 300 MB: 75,000 rows of 4 KB
CREATE TABLE big (id int, v vector(1000));
ALTER TABLE big ALTER v SET STORAGE EXTERNAL;
INSERT INTO big SELECT i, array_fill((i % 1000)::real, ARRAY[1000])::vector FROM generate_series(1, 75000) i;
SQL
    # The interpreter itself: a shim would get the signals.
    PYTHON=$(python3 -c 'import sys; print(sys.executable)')
    export PYTHON
    mount_start -o lease=0.5
}

teardown_file() { teardown_all; }

setup() {
    T=$MNT/public
    OUT=$E2E/out/$BATS_TEST_NUMBER
    mkdir -p "$OUT"
    PIDS=()
}

# Ends what the test has started, also where it has failed.
teardown() {
    for pid in "${PIDS[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    lock_stop
    [ -n "${E2E_KEEP:-}" ] || rm -rf "$OUT"
}

metric() {
    sleep 1.1 # its text is kept for a second
    sed -n "s/^pgvecfs_$1 //p" "$MNT/.pgvecfs/metrics"
}

change() { psql -X -q -v ON_ERROR_STOP=1 -c "UPDATE $1 SET v = v || '.' WHERE id = 7"; }

# Locks a table against readers, in a session of its own, until `lock_stop`; comes back behind the lease.
lock() {
    lock_start "$1"
    # Where nothing at all has happened since, no lock is needed to know that nothing has changed.
    psql -X -q -At -c "SELECT pg_current_xact_id()" >/dev/null
    sleep 0.8
}

# Whether a fetch waits for table $1's lock.
fetch_waits() {
    [ "$(psql -X -At -c "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE a.application_name = 'pgvecfs' AND NOT l.granted AND l.relation = '$1'::regclass")" -gt 0 ]
}

still_runs() { ! process_gone "$1"; }

milliseconds() { echo $(($(date +%s%N) / 1000000)); }

@test "1, 2: an open and mapped file keeps its bytes and size over an update; the path leads to a new inode with a later mtime" {
    reference_csv public.moving >"$OUT/before"
    "$PYTHON" - "$T/moving/moving.csv" "$OUT/before" <<'PYTHON'
import mmap, os, subprocess, sys, time
path, right = sys.argv[1], open(sys.argv[2], "rb").read()
os.stat(path)                                # or a slow machine opens it without a size, and then it cannot be mapped
with open(path, "rb") as f:
    old = os.fstat(f.fileno())
    m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
    assert m[:1000] == right[:1000]          # the rest is not in the page cache yet
    subprocess.run(["psql", "-X", "-q", "-c", "UPDATE moving SET v = 'other ' || id"], check=True)
    time.sleep(1.2)
    new = os.stat(path)
    assert new.st_ino != old.st_ino and new.st_mtime >= old.st_mtime + 1 and new.st_ctime >= old.st_ctime + 1
    again = os.fstat(f.fileno())
    assert again == old, (again, old)
    with open(path, "rb") as g:
        assert os.fstat(g.fileno()).st_ino == new.st_ino
        assert g.read() != right
    assert m[:] == right
    assert f.read() == right
    os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    assert os.pread(f.fileno(), len(right) + 10, 0) == right
    m.close()
PYTHON
    reference_csv public.moving >"$OUT/after"
    assert_same_bytes "$T/moving/moving.csv" "$OUT/after"
}

@test "2: several old versions stay readable side by side, in each format" {
    for i in 1 2 3; do
        for format in csv bin jsonl; do "reference_$format" public.steady >"$OUT/$i.$format"; done
        # Descriptors 31.. stay open over the updates.
        eval "exec 3${i}<'$T/steady/steady.csv' 4${i}<'$T/steady/steady.bin' 5${i}<'$T/steady/steady.jsonl'"
        change steady
        sleep 0.8
    done
    for i in 3 1 2; do
        cat <&"3$i" >"$OUT/got"
        assert_same_bytes "$OUT/got" "$OUT/$i.csv"
        cat <&"4$i" >"$OUT/got"
        assert_same_bytes "$OUT/got" "$OUT/$i.bin"
        cat <&"5$i" >"$OUT/got"
        assert_same_bytes "$OUT/got" "$OUT/$i.jsonl"
        eval "exec 3${i}<&- 4${i}<&- 5${i}<&-"
    done
}

@test "2: directories keep their inode and times over changes of rows and of the schema" {
    before=$(stat -c '%n %i %X %Y %Z' "$MNT" "$T" "$T/steady")
    cd "$T/steady"
    change steady
    psql -X -q -c "CREATE TABLE more (id int)" -c "ALTER TABLE steady ADD extra int DEFAULT 5"
    sleep 1.2
    head -n 1 steady.csv >"$OUT/head" # the working directory is still there
    [ "$(cat "$OUT/head")" = id,v,extra ]
    ls "$T/more" >/dev/null
    after=$(stat -c '%n %i %X %Y %Z' "$MNT" "$T" "$T/steady")
    psql -X -q -c "DROP TABLE more" -c "ALTER TABLE steady DROP extra"
    [ "$before" = "$after" ]
}

@test "3: the size is exact from the first stat on, and so is st_blocks" {
    for table in steady moving locked; do
        mount_stop
        rm -rf "$CACHE"
        mount_start -o lease=0.5
        for format in jsonl csv bin; do
            read -r size blocks <<<"$(stat -c '%s %b' "$T/$table/$table.$format")"
            "reference_$format" "public.$table" >"$OUT/right"
            [ "$size" -eq "$(wc -c <"$OUT/right")" ]
            [ "$blocks" -eq $(((size + 511) / 512)) ]
            assert_same_bytes "$T/$table/$table.$format" "$OUT/right"
        done
        for name in schema.sql manifest.json; do
            [ "$(stat -c %s "$T/$table/$name")" -eq "$(cat "$T/$table/$name" | wc -c)" ]
        done
    done
}

@test "5: an unchanged table keeps inode, times and size over leases and remounts; a changed one gets a later mtime" {
    stat -c '%n %i %s %X %Y %Z' "$T"/steady/* "$T"/moving/* >"$OUT/1"
    sleep 1.2
    stat -c '%n %i %s %X %Y %Z' "$T"/steady/* "$T"/moving/* >"$OUT/2"
    diff "$OUT/1" "$OUT/2"
    psql -X -q -c "VACUUM ANALYZE steady" -c "CREATE TABLE unrelated ()" -c "DROP TABLE unrelated"
    sleep 1.2
    stat -c '%n %i %s %X %Y %Z' "$T"/steady/* "$T"/moving/* >"$OUT/2"
    diff "$OUT/1" "$OUT/2"
    mount_stop
    mount_start -o lease=0.5
    stat -c '%n %i %s %X %Y %Z' "$T"/steady/* "$T"/moving/* >"$OUT/2"
    diff "$OUT/1" "$OUT/2"
    # Three changes in quick succession, one of them while it is not mounted.
    old=$(stat -c %Y "$T/steady/steady.csv")
    for i in 1 2 3; do
        if [ $i = 2 ]; then mount_stop; fi
        change steady
        if [ $i = 2 ]; then mount_start -o lease=0.5; else sleep 0.8; fi
        now=$(stat -c %Y "$T/steady/steady.csv")
        [ "$now" -ge $((old + 1)) ]
        [ "$(stat -c %Z "$T/steady/steady.csv")" -ge $((old + 1)) ]
        old=$now
    done
    stat -c '%n %i %s %X %Y %Z' "$T"/moving/* >"$OUT/2"
    grep moving/ "$OUT/1" >"$OUT/3"
    diff "$OUT/2" "$OUT/3"
}

@test "5: a table dropped and made anew under its name has a later time, though its last one ran ahead of the clock" {
    psql -X -q -c "CREATE TABLE again (i int)"
    for _ in 1 2 3; do # each version is a second later than the one before
        psql -X -q -c "INSERT INTO again VALUES (1)"
        sleep 1.1
        old=$(stat -c %Y "$T/again/again.csv")
    done
    psql -X -q -c "DROP TABLE again" -c "CREATE TABLE again (i int)"
    sleep 0.8
    new=$(stat -c %Y "$T/again/again.csv")
    [ "$new" -gt "$old" ]
    psql -X -q -c "DROP TABLE again" -c "CREATE TABLE again (i int)"
    mount_stop
    mount_start -o lease=0.5
    [ "$(stat -c %Y "$T/again/again.csv")" -gt "$new" ]
    psql -X -q -c "DROP TABLE again"
}

@test "5: schema.sql stays the same file while rows and temporary tables come and go, and is another one after DDL" {
    old=$(stat -c '%i %Y %s' "$T/moving/schema.sql")
    change moving
    psql -X -q -c "CREATE TEMPORARY TABLE passing (i int PRIMARY KEY)" -c "ANALYZE moving"
    sleep 0.8
    [ "$(stat -c '%i %Y %s' "$T/moving/schema.sql")" = "$old" ]
    psql -X -q -c "COMMENT ON COLUMN moving.v IS 'what moves'"
    sleep 0.8
    [ "$(stat -c '%i %Y %s' "$T/moving/schema.sql")" != "$old" ]
    grep -q 'what moves' "$T/moving/schema.sql"
}

@test "5: rows that only moved, and a same-sized change, are a new version" {
    first=$(stat -c '%i %Y' "$T/locked/locked.csv")
    psql -X -q -c "UPDATE locked SET id = 1001 - id"
    sleep 0.8
    second=$(stat -c '%i %Y' "$T/locked/locked.csv")
    [ "$first" != "$second" ]
    reference_csv public.locked >"$OUT/right"
    assert_same_bytes "$T/locked/locked.csv" "$OUT/right"
    psql -X -q -c "CREATE INDEX locked_id ON locked (id)" -c "CLUSTER locked USING locked_id" -c "DROP INDEX locked_id"
    sleep 0.8
    reference_csv public.locked >"$OUT/right"
    assert_same_bytes "$T/locked/locked.csv" "$OUT/right"
    [ "$second" != "$(stat -c '%i %Y' "$T/locked/locked.csv")" ]
}

@test "6: SIGINT, SIGTERM, SIGHUP and SIGKILL free a blocked stat, cat and ls -l within a second" {
    lock locked
    for signal in INT TERM HUP KILL; do
        for what in "stat $T/locked/locked.csv" "cat $T/locked/locked.bin" "ls -l $T/locked"; do
            # A background job of a shell ignores SIGINT; Python gives it back.
            "$PYTHON" -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL); signal.signal(signal.SIGQUIT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' $what >/dev/null 2>&1 3>&- &
            pid=$!
            PIDS+=("$pid")
            within 10 fetch_waits locked
            sleep 0.3
            still_runs "$pid"
            from=$(milliseconds)
            kill -s $signal "$pid"
            status=0
            wait "$pid" || status=$?
            took=$(($(milliseconds) - from))
            echo "$signal, $what: $took ms, status $status"
            [ "$took" -lt 2500 ]
            [ "$status" -eq $((128 + $(kill -l $signal))) ]
        done
    done
    lock_stop
    [ "$(wc -l <"$T/locked/locked.csv")" -eq 1001 ]
}

@test "6: a blocked request outlives SIGWINCH, SIGALRM and SIGURG, and gets its answer" {
    lock locked
    "$PYTHON" - "$T/locked/locked.jsonl" >"$OUT/answer" 2>&1 3>&- <<'PYTHON' &
import os, signal, sys
count = 0
def handler(number, frame):
    global count
    count += 1
for s in signal.SIGWINCH, signal.SIGALRM, signal.SIGURG, signal.SIGUSR1:
    signal.signal(s, handler)
print(os.stat(sys.argv[1]).st_size, len(open(sys.argv[1], "rb").read()), count, flush=True)
PYTHON
    pid=$!
    PIDS+=("$pid")
    within 10 fetch_waits locked
    for signal in WINCH ALRM URG USR1 WINCH ALRM; do
        kill -s $signal "$pid"
        sleep 0.4
    done
    still_runs "$pid"
    lock_stop
    wait "$pid"
    reference_jsonl public.locked >"$OUT/right"
    read -r size bytes signals <"$OUT/answer"
    [ "$size" -eq "$(wc -c <"$OUT/right")" ]
    [ "$bytes" -eq "$size" ]
    [ "$signals" -ge 1 ] # the handler did run
}

@test "6: while one table is locked, ls and every other table answer; its waiters are answered together" {
    lock locked
    for i in $(seq 30); do # more than there are threads
        stat -c %s "$T/locked/locked.csv" >"$OUT/$i" 2>&1 3>&- &
        PIDS+=($!)
    done
    waiting=("${PIDS[@]: -30}")
    within 10 fetch_waits locked
    timeout 5 ls "$MNT" "$T" "$T/locked" >/dev/null
    timeout 5 cat "$T/steady/steady.csv" >/dev/null
    change steady
    sleep 0.8
    reference_csv public.steady >"$OUT/right"
    timeout 5 cat "$T/steady/steady.csv" >"$OUT/steady"
    assert_same_bytes "$OUT/steady" "$OUT/right"
    timeout 5 cat "$MNT/.pgvecfs/status.json" >"$OUT/status"
    "$PYTHON" -c 'import json, sys; s = json.load(open(sys.argv[1])); assert s["waiting_requests"] >= 30, s' "$OUT/status"
    lock_stop
    for pid in "${waiting[@]}"; do wait "$pid"; done
    size=$(reference_csv public.locked | wc -c)
    for i in $(seq 30); do [ "$(cat "$OUT/$i")" = "$size" ]; done
}

@test "6: a fetch goes on for about ten seconds after its last waiter, then it ends" {
    lock locked
    stat "$T/locked/locked.csv" >/dev/null 2>&1 3>&- &
    pid=$!
    PIDS+=("$pid")
    within 10 fetch_waits locked
    kill -KILL "$pid"
    wait "$pid" || true
    sleep 4
    within 4 fetch_waits locked # between two attempts it stands in no line
    within 15 eval '! fetch_waits locked'
    lock_stop
    [ "$(wc -l <"$T/locked/locked.csv")" -eq 1001 ]
}

@test "7: memory is bounded by options: a 300 MB table, read in every format, stays below 200 MB" {
    [ -z "${SANITIZED:-}" ] || skip "a sanitizer takes memory of its own"
    mount_stop
    mount_start -o lease=0.5 -o memory=16M
    for format in bin csv jsonl; do cat "$T/big/big.$format" >/dev/null; done
    "$PYTHON" - "$T/big/big.csv" <<'PYTHON'
import os, random, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
size = os.fstat(fd).st_size
for i in range(200):
    assert len(os.pread(fd, 4096, random.randrange(size - 4096))) == 4096
PYTHON
    peak=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$(daemon_pid)/status")
    resident=$(sed -n 's/.*"resident_bytes": \([0-9]*\).*/\1/p' "$MNT/.pgvecfs/status.json")
    echo "peak $((peak / 1024)) MB, now $((resident >> 20)) MB"
    mount_stop
    mount_start -o lease=0.5
    [ "$peak" -lt $((200 * 1024)) ]
    [ "$resident" -lt $((200 << 20)) ]
}

@test "7: a cache_size below the table's size still gives the right bytes, in order and at random, and is kept" {
    reference_bin public.big >"$OUT/right"
    mount_stop
    rm -rf "$CACHE"
    mount_start -o lease=0.5 -o cache_size=4M
    assert_same_bytes "$T/big/big.bin" "$OUT/right"
    "$PYTHON" - "$T/big/big.bin" "$OUT/right" <<'PYTHON'
import os, random, sys
a, b = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_RDONLY)
os.posix_fadvise(a, 0, 0, os.POSIX_FADV_DONTNEED)
os.posix_fadvise(a, 0, 0, os.POSIX_FADV_RANDOM)
size = os.fstat(b).st_size
assert os.fstat(a).st_size == size
for i in range(40):
    at = random.randrange(size)
    assert os.pread(a, 100000, at) == os.pread(b, 100000, at), at
PYTHON
    used=$(du -sb --exclude='*.record' "$CACHE" | cut -f1)
    echo "$used bytes in the cache"
    [ "$used" -le $((5 << 20)) ] # folders are counted too
    mount_stop
    rm -rf "$CACHE"
    mount_start -o lease=0.5
}

@test "9: a fetch leaves no snapshot, no lock and no transaction behind; its sessions are called pgvecfs" {
    cat "$T/steady/steady.csv" "$T/moving/moving.jsonl" >/dev/null
    [ "$(psql -X -At -c "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'pgvecfs'")" = t ]
    held() {
        psql -X -At -c "SELECT count(*) FROM pg_stat_activity a WHERE application_name = 'pgvecfs' AND
            (backend_xmin IS NOT NULL OR state <> 'idle' OR EXISTS (SELECT 1 FROM pg_locks l WHERE l.pid = a.pid AND relation IS NOT NULL))"
    }
    within 3 eval '[ "$(held)" = 0 ]'
    # An old snapshot would keep dead rows.
    psql -X -q -c "UPDATE moving SET v = v"
    psql -X -c "VACUUM (VERBOSE) moving" 2>&1 | tee "$OUT/vacuum"
    grep -q ' 0 are dead but not yet removable' "$OUT/vacuum"
}

@test "9: nothing is written to the database: its sessions run read-only transactions, and no transaction id is used" {
    before=$(psql -X -At -c "SELECT pg_snapshot_xmax(pg_current_snapshot())")
    cat "$T"/steady/* "$T"/locked/* >/dev/null
    ls -lR "$T/moving" >/dev/null
    sleep 0.8
    cat "$T"/steady/* >/dev/null
    [ "$(psql -X -At -c "SELECT pg_snapshot_xmax(pg_current_snapshot())")" = "$before" ]
    # A role that may only read is enough.
    psql -X -q <<'SQL'
CREATE ROLE reader LOGIN;
GRANT SELECT ON steady TO reader;
ALTER ROLE reader SET default_transaction_read_only = on;
SQL
    mkdir -p "$E2E/mnt2"
    PGUSER=reader MNT=$E2E/mnt2 mount_start
    ls "$E2E/mnt2/public" >"$OUT/ls"
    cat "$E2E/mnt2/public/steady/steady.csv" >"$OUT/steady"
    cat "$E2E/mnt2/public/steady/schema.sql" >/dev/null
    MNT=$E2E/mnt2 mount_stop
    [ "$(cat "$OUT/ls")" = steady ]
    reference_csv public.steady >"$OUT/right"
    assert_same_bytes "$OUT/steady" "$OUT/right"
}

@test "every operation that would write is refused as read-only" {
    "$PYTHON" - "$T/steady" <<'PYTHON'
import errno, os, sys
table = sys.argv[1]
csv, new = table + "/steady.csv", table + "/new"
def is_refused(what, call, *allowed):
    try:
        call()
    except OSError as e:
        assert e.errno in (errno.EROFS,) + allowed, (what, e)
    else:
        raise AssertionError(what + " was allowed")
for flags in os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND, os.O_RDWR | os.O_CREAT:
    is_refused("open %x" % flags, lambda: os.open(csv, flags))
is_refused("create", lambda: os.open(new, os.O_WRONLY | os.O_CREAT))
is_refused("create exclusively", lambda: os.open(csv + "x", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
is_refused("truncate", lambda: os.truncate(csv, 0))
is_refused("chmod", lambda: os.chmod(csv, 0o600))
is_refused("chown", lambda: os.chown(csv, 1, 1))
is_refused("utime", lambda: os.utime(csv))
is_refused("unlink", lambda: os.unlink(csv))
is_refused("rename", lambda: os.rename(csv, new))
is_refused("link", lambda: os.link(csv, new))
is_refused("symlink", lambda: os.symlink("x", new))
is_refused("mkfifo", lambda: os.mkfifo(new))
is_refused("mkdir", lambda: os.mkdir(new))
for place in "/../../new", "/../new": # of a schema, of a table: a look-up does not know that there is none
    name = table + place
    is_refused("mkdir", lambda: os.mkdir(name), errno.EEXIST)
    is_refused("mkfifo", lambda: os.mkfifo(name), errno.EEXIST)
    is_refused("symlink", lambda: os.symlink("x", name), errno.EEXIST)
    is_refused("link", lambda: os.link(csv, name), errno.EEXIST)
    is_refused("create exclusively", lambda: os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL), errno.EEXIST)
    is_refused("create", lambda: os.open(name, os.O_WRONLY | os.O_CREAT), errno.EISDIR)
    is_refused("rename of a file", lambda: os.rename(csv, name), errno.EISDIR)
    is_refused("rename of a directory", lambda: os.rename(table, name))
    is_refused("unlink", lambda: os.unlink(name), errno.EISDIR, errno.ENOENT)
    is_refused("rmdir", lambda: os.rmdir(name), errno.ENOENT)
    is_refused("chmod", lambda: os.chmod(name, 0o700), errno.ENOENT)
    is_refused("setxattr", lambda: os.setxattr(name, "user.x", b"1"), errno.ENOENT)
    assert not os.path.exists(name)
is_refused("rmdir", lambda: os.rmdir(table))
is_refused("rename of a directory", lambda: os.rename(table, table + "2"))
is_refused("setxattr", lambda: os.setxattr(csv, "user.x", b"1"))
is_refused("removexattr", lambda: os.removexattr(csv, "user.x"))
PYTHON
    run touch "$T/steady/new"
    [[ $output == *Read-only* ]]
    run cp "$OUT/../../pg/log" "$T/steady/"
    [[ $output == *Read-only* ]]
    [ "$(psql -X -At -c "SELECT count(*) FROM steady")" -eq 2000 ]
}

@test "ls of a schema, find by name and completion fetch nothing" {
    psql -X -q -c "CREATE TABLE unread AS SELECT * FROM moving"
    sleep 0.8
    before=$(metric fetches_total) unchanged=$(metric unchanged_total)
    ls "$T" >/dev/null
    ls -l "$T" >/dev/null
    find "$MNT" -name 'unread.*' >"$OUT/found"
    echo "$T"/*/*.csv >/dev/null
    [ "$(wc -l <"$OUT/found")" -eq 3 ]
    [ "$(metric fetches_total)" -eq "$before" ]
    [ "$(metric unchanged_total)" -eq "$unchanged" ]
    psql -X -q -c "DROP TABLE unread"
}

@test "10: the cache is 0700 with files of 0600" {
    cat "$T/steady/steady.csv" >/dev/null
    [ "$(find "$CACHE" -mindepth 1 -type d ! -perm 0700 | wc -l)" -eq 0 ]
    [ "$(find "$CACHE" -type f ! -perm 0600 | wc -l)" -eq 0 ]
    [ "$(find "$CACHE" -name '*.rows' | wc -l)" -ge 1 ]
}
