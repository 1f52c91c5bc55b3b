# Opening a file before its size is known: what is read comes along with the fetch.
load helper

PYTHON=${PYTHON:-python3}

setup_file() {
    server_start -c autovacuum=off
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
-- 9.6 kB a row, and a pause every 200 rows: some 6 row groups of 4 MiB in more than a second.
CREATE FUNCTION pause(g int, s float) RETURNS int LANGUAGE plpgsql VOLATILE AS
    'BEGIN IF g % 200 = 0 THEN PERFORM pg_sleep(s); END IF; RETURN g; END';
CREATE VIEW slow AS SELECT pause(g, 0.1) AS id, repeat(md5(g::text), 300) AS t FROM generate_series(1, 2600) g;
-- The same rows at once, to compare with.
CREATE VIEW quick AS SELECT g AS id, repeat(md5(g::text), 300) AS t FROM generate_series(1, 2600) g;
-- The first row group at once, the second after a minute.
CREATE VIEW stuck AS SELECT pause(g / 3 * 200, CASE WHEN g >= 900 THEN 60 ELSE 0 END) AS id, repeat(md5(g::text), 300) AS t
    FROM generate_series(1, 1000) g;
CREATE VIEW failing AS SELECT pause(g, 0.1) / CASE WHEN g = 1900 THEN 0 ELSE 1 END AS id, repeat(md5(g::text), 300) AS t
    FROM generate_series(1, 2600) g;
CREATE TABLE big AS SELECT g AS id, repeat(md5(g::text), 20) AS t FROM generate_series(1, 300000) g;
SQL
}

teardown_file() { teardown_all; }

setup() {
    test_begin
    mount_start
}

teardown() { test_end; }

copies() { psql -X -At -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgvecfs' AND query LIKE 'COPY%' AND state = 'active'"; }

no_copies() { [ "$(copies)" = 0 ]; }

@test "head answers long before the fetch could end, and ends it" {
    reference_csv public.quick | head -n 5 >"$OUT/right" || true
    head -n 5 "$T/slow/slow.csv" >"$OUT/got"
    assert_same_bytes "$OUT/got" "$OUT/right"
    within 3 no_copies
    sleep 0.3
    [ "$(sed -n 's/^pgvecfs_fetches_total //p' "$MNT/.pgvecfs/metrics")" -eq 0 ] # none has come to its end
    grep -q '"jobs": \[\]' "$MNT/.pgvecfs/status.json"
    head -c 100 "$T/slow/slow.jsonl" >"$OUT/got"
    reference_jsonl public.quick | head -c 100 >"$OUT/right" || true
    assert_same_bytes "$OUT/got" "$OUT/right"
}

@test "all that is read along is right to the last byte, in each format, and it is one fetch" {
    for format in csv bin jsonl; do
        reference_$format public.quick >"$OUT/right"
        mount_stop
        rm -rf "$CACHE"
        mount_start
        dd if="$T/slow/slow.$format" bs=100000 status=none >"$OUT/got"
        assert_same_bytes "$OUT/got" "$OUT/right"
        [ "$(stat -c %s "$T/slow/slow.$format")" -eq "$(stat -c %s "$OUT/right")" ]
        cat "$T/slow/slow.$format" >"$OUT/got"
        assert_same_bytes "$OUT/got" "$OUT/right"
        sleep 0.3
        [ "$(sed -n 's/^pgvecfs_fetches_total //p' "$MNT/.pgvecfs/metrics")" -eq 1 ]
    done
}

@test "seeks, and a stat in the middle, which alone waits" {
    reference_csv public.quick >"$OUT/right"
    "$PYTHON" - "$T/slow/slow.csv" "$OUT/right" "$MNT/.pgvecfs/status.json" <<'PYTHON'
import json, os, random, sys
right = open(sys.argv[2], "rb").read()
random.seed(1)
fd = os.open(sys.argv[1], os.O_RDONLY)
assert os.pread(fd, 1000, 0) == right[:1000]
assert os.pread(fd, 1000, 5_000_000) == right[5_000_000:5_001_000]
assert os.pread(fd, 1000, 10) == right[10:1010]
assert json.load(open(sys.argv[3]))["jobs"], "that must not wait for the end"
assert os.fstat(fd).st_size == len(right)
assert os.pread(fd, 10, len(right)) == b""
assert os.pread(fd, 10, len(right) - 5) == right[-5:]
for i in range(100):
    at = random.randrange(len(right))
    assert os.pread(fd, 5000, at) == right[at:at + 5000], at
PYTHON
    # Beyond the end, before the size is known.
    mount_stop
    rm -rf "$CACHE"
    mount_start
    "$PYTHON" - "$T/slow/slow.csv" "$OUT/right" <<'PYTHON'
import os, sys
size = os.stat(sys.argv[2]).st_size
fd = os.open(sys.argv[1], os.O_RDONLY)
assert os.pread(fd, 10, size + 5) == b""
assert len(os.pread(fd, 10, size - 3)) == 3
PYTHON
}

@test "several read along side by side, more than may: each gets it all" {
    reference_csv public.quick >"$OUT/right"
    for i in $(seq 11); do
        dd if="$T/slow/slow.csv" bs=1M status=none >"$OUT/got.$i" 3>&- &
        PIDS+=($!)
    done
    for i in $(seq 11); do wait "${PIDS[$((i - 1))]}"; done
    for i in $(seq 11); do assert_same_bytes "$OUT/got.$i" "$OUT/right"; done
}

@test "an open that might read along by now is tried again, and nothing else that waits" {
    local alone beside
    lock_start big slow
    tries() { sed -n 's/^pgvecfs_tries_total //p' "$MNT/.pgvecfs/metrics"; }
    tries_in_a_while() {
        local before
        before=$(tries)
        sleep 1.5
        echo $(($(tries) - before))
    }
    waiting() { [ "$(sed -n 's/^pgvecfs_waiting_requests //p' "$MNT/.pgvecfs/metrics")" -ge "$1" ]; }
    "$PYTHON" -c '
import os, sys, threading
for i in range(200):
    threading.Thread(target=os.stat, args=[sys.argv[1]]).start()' "$T/slow/slow.csv" 3>&- &
    PIDS+=($!)
    within 20 waiting 200
    alone=$(tries_in_a_while) # some: now and then all are tried, and whenever the lock has been asked for in vain
    cat "$T/big/big.csv" >/dev/null 3>&- &
    PIDS+=($!)
    within 20 waiting 201
    sleep 0.5 # from now on it may
    beside=$(tries_in_a_while)
    echo "$alone tries, with the open $beside"
    [ "$beside" -lt $((alone + 1500)) ]
    lock_stop
    wait "${PIDS[@]}"
}

@test "a fetch that fails in the middle: an error, not an end of file" {
    for format in csv bin; do
        run dd if="$T/failing/failing.$format" bs=1M of="$OUT/got" status=none
        echo "$output"
        [ "$status" -ne 0 ]
        [[ $output == *"Input/output error"* ]]
    done
    [[ $(getfattr --only-values --absolute-names -n user.pgvecfs.error "$T/failing") == *"division by zero"* ]]
}

@test "a view is dropped, renamed, made anew while somebody reads along and waits for its size" {
    local body="SELECT pause(g / 3 * 200, CASE WHEN g >= 900 THEN 60 ELSE 0 END) AS id, repeat(md5(g::text), 300) AS t
        FROM generate_series(1, 1000) g"
    for way in drop rename anew; do
        psql -X -q -c "CREATE VIEW lost_$way AS $body"
        case $way in
            drop) sql="DROP VIEW lost_drop" ;;
            rename) sql="ALTER VIEW lost_rename RENAME TO found" ;;
            anew) sql="BEGIN; DROP VIEW lost_anew; CREATE VIEW lost_anew AS SELECT 7 AS a; COMMIT" ;;
        esac
        stat "$T" >/dev/null
        timeout 60 "$PYTHON" - "$T/lost_$way/lost_$way.csv" "$sql" <<'PYTHON'
import os, subprocess, sys, threading
fd = os.open(sys.argv[1], os.O_RDONLY)
assert os.pread(fd, 1000, 0)[:5] == b"id,t\n"
told = []
def ask():
    try:
        told.append(os.fstat(fd).st_size)
    except OSError as error:
        told.append(error)
waits = threading.Thread(target=ask)
waits.start()
waits.join(0.3)
assert waits.is_alive(), told
subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", sys.argv[2]], check=True)
waits.join()
assert isinstance(told[0], OSError), told
os.close(fd)
PYTHON
        timeout 10 test -s "$MNT/.pgvecfs/status.json"
    done
    run cat "$T/lost_drop/lost_drop.csv"
    [[ $output == *"No such file"* ]]
    [ "$(cat "$T/lost_anew/lost_anew.csv")" = $'a\n7' ]
    psql -X -q -c 'DROP VIEW found, lost_anew'
}

@test "a fetch of which the connection is lost is made again: who reads along goes on, if its rows are the same" {
    reference_csv public.quick >"$OUT/right"
    dd if="$T/slow/slow.csv" bs=1M of="$OUT/got" status=none 3>&- &
    pid=$!
    PIDS+=("$pid")
    within 10 test -s "$OUT/got"
    psql -X -At -q -c "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'pgvecfs'" >/dev/null
    wait "$pid"
    assert_same_bytes "$OUT/got" "$OUT/right"
    grep -q 'trying again' "$MNT/.pgvecfs/log"
    cat "$T/slow/slow.csv" >"$OUT/got"
    assert_same_bytes "$OUT/got" "$OUT/right"
}

@test "a reader that waits for rows ends within a second of SIGINT, SIGTERM and SIGKILL, and outlives SIGWINCH" {
    for signal in INT TERM KILL; do
        "$PYTHON" -c '
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.signal(signal.SIGWINCH, lambda *_: None)
with open(sys.argv[2], "wb", buffering=0) as out:
    import os
    fd = os.open(sys.argv[1], os.O_RDONLY)
    while True:
        data = os.read(fd, 1 << 20)
        if not data: break
        out.write(data)
' "$T/stuck/stuck.csv" "$OUT/got" 3>&- &
        pid=$!
        PIDS+=("$pid")
        within 15 eval '[ "$(stat -c %s "$OUT/got" 2>/dev/null || echo 0)" -ge 4000000 ]'
        sleep 0.3
        kill -WINCH "$pid"
        sleep 0.5
        process_gone "$pid" && false || true
        kill -$signal "$pid"
        wait_gone "$pid" 2
        rm "$OUT/got"
        within 5 no_copies
    done
}

@test "the size of a format that nobody has measured yet need not be waited for, either" {
    stat "$T/big/big.bin" >/dev/null
    reference_csv public.big >"$OUT/right"
    head -n 5 "$T/big/big.csv" >"$OUT/got"
    head -n 5 "$OUT/right" | cmp - "$OUT/got"
    for format in csv jsonl; do
        reference_$format public.big >"$OUT/right"
        dd if="$T/big/big.$format" bs=1M status=none >"$OUT/got"
        assert_same_bytes "$OUT/got" "$OUT/right"
    done
}

@test "unmounting while somebody reads along" {
    dd if="$T/stuck/stuck.csv" bs=1M status=none of="$OUT/got" 2>"$OUT/err" 3>&- &
    pid=$!
    PIDS+=("$pid")
    within 15 eval '[ "$(stat -c %s "$OUT/got" 2>/dev/null || echo 0)" -ge 3000000 ]'
    daemon=$(daemon_pid)
    kill -TERM "$daemon"
    wait_gone "$daemon" 10
    wait_gone "$pid" 5
    fusermount3 -uz "$MNT" 2>/dev/null || true
    mount_start
}

@test "an open file is of one snapshot, also when the fetch that it reads along with is tried again, or had no room" {
    psql -X -q -v ON_ERROR_STOP=1 -c "CREATE TABLE marked (id int, t text)"
    for options in jobs=1 jobs=1,cache_size=16M; do
        for kill in yes no; do
            [ "$options-$kill" != jobs=1-no ] || continue # as any other stream
            [ "$kill" = yes ] || [ -n "$(often "" all)" ] || continue
            mount_stop
            rm -rf "$CACHE"
            psql -X -q -c "TRUNCATE marked" -c "INSERT INTO marked SELECT g, 'A' || md5(g::text) || repeat(md5(random()::text), 8) FROM generate_series(1, 300000) g"
            reference_csv public.marked >"$OUT/right"
            mount_start -o lease=0.5,$options
            "$PYTHON" - "$T/marked/marked.csv" "$OUT/right" "$MNT/.pgvecfs/status.json" $kill <<'PYTHON'
import json, os, subprocess, sys, time
path, right, status, kill = sys.argv[1], open(sys.argv[2], "rb").read(), sys.argv[3], sys.argv[4] == "yes"
fd = os.open(path, os.O_RDONLY)
got = os.pread(fd, 200000, 0)
assert got == right[:200000]
sql = ["UPDATE marked SET t = 'B' || substr(t, 2)"]
if kill:
    sql += ["SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'pgvecfs' AND state <> 'idle'"]
for s in sql:
    subprocess.run(["psql", "-X", "-q", "-At", "-c", s], check=True, stdout=subprocess.DEVNULL)
while json.load(open(status))["jobs"]:
    time.sleep(0.1)
time.sleep(0.7)
failed = False
while not failed:
    try:
        more = os.pread(fd, 1 << 20, len(got))
    except OSError as error:
        print("after", len(got), "bytes:", error)
        failed = True
        break
    if not more:
        break
    got += more
assert got == right[:len(got)], "bytes of another snapshot"
assert len(got) == len(right) if not failed else kill, (len(got), len(right))
PYTHON
        done
    done
    psql -X -q -c "DROP TABLE marked"
}

@test "closing a file that was read along never waits for the server" {
    psql -X -q -c "CREATE TABLE wide AS SELECT g AS id, array_to_string(ARRAY(SELECT md5(random()::text || g || h) FROM generate_series(1, 20) h), '') AS t FROM generate_series(1, 120000) g"
    mount_stop
    rm -rf "$CACHE"
    mount_start -o jobs=1,cache_size=16M
    "$PYTHON" - "$T/wide/wide.csv" "$MNT/.pgvecfs/status.json" <<'PYTHON'
import os, signal, subprocess, sys, threading
fd = os.open(sys.argv[1], os.O_RDONLY)
at, pids = 0, []
# A reader that is as fast as the fetch needs no read point yet.
while at < 70_000_000 and not pids:
    at += len(os.pread(fd, 1 << 20, at))
    if at > 30_000_000:
        pids = subprocess.run(["psql", "-X", "-At", "-c", "SELECT pid FROM pg_stat_activity WHERE application_name = 'pgvecfs' AND state LIKE 'idle in%'"],
                              check=True, stdout=subprocess.PIPE, text=True).stdout.split()
assert pids, "no read point is held"
for pid in pids:
    os.kill(int(pid), signal.SIGSTOP)
try:
    os.close(fd)
    done = subprocess.run(["timeout", "20", "cat", sys.argv[2]], stdout=subprocess.DEVNULL)
    assert done.returncode == 0, "the mount stands still"
finally:
    for pid in pids:
        os.kill(int(pid), signal.SIGCONT)
PYTHON
    psql -X -q -c "DROP TABLE wide"
}

@test "slow relations do not keep others from being fetched" {
    mount_stop
    mount_start -o memory=32M
    psql -X -q -c "CREATE TABLE tiny AS SELECT 1 AS one" -c "CREATE VIEW stuck2 AS TABLE stuck" -c "CREATE VIEW stuck3 AS TABLE stuck"
    for view in stuck stuck2 stuck3; do
        cat "$T/$view/$view.csv" >/dev/null 2>&1 3>&- &
        PIDS+=($!)
    done
    within 15 eval '[ "$(copies)" -ge 3 ]'
    [ "$(timeout 30 cat "$T/tiny/tiny.csv")" = $'one\n1' ]
}
