# .pgvecfs/status.json, metrics and `pgvecfs --status`: what runs, how far it is, and what refreshes moved.
load helper

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE t (id int, v text);
INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 1000) i;
-- Its rows come one after another, more than 4 seconds long; a row of this size is sent at once.
CREATE VIEW slow AS SELECT i AS id, repeat('x', 9000) AS pad, pg_sleep(0.006)::text AS s FROM generate_series(1, 700) i;
CREATE TABLE updated (id int, v text);
INSERT INTO updated SELECT i, repeat('u', 1500) FROM generate_series(1, 20000) i;
CREATE TABLE large (id int, v text);
INSERT INTO large SELECT i, repeat('l', 1500) FROM generate_series(1, 80000) i;
CREATE TABLE "a""b\c
d" (id int);
INSERT INTO "a""b\c
d" VALUES (1);
CREATE VIEW broken AS SELECT 1 / (id - 1000) AS x FROM t;
SQL
    psql -X -q -v ON_ERROR_STOP=1 -c "CREATE TABLE \"$(printf 'esc\033[31mape')\" (id int)" -c 'CREATE TABLE "漢字" (id int)'
    PYTHON=$(python3 -c "import sys; print(sys.executable)") # a shim would get the signals
    export PYTHON
    cat >"$E2E/status.py" <<'PYTHON'
"""What the tests ask of a status."""
import json, os, time

def status(mount):
    with open(mount + "/.pgvecfs/status.json", encoding="utf-8", errors="strict") as f:
        return json.load(f)

def metrics(mount):
    with open(mount + "/.pgvecfs/metrics") as f:
        return {l.split()[0]: int(l.split()[1]) for l in f if not l.startswith("#")}

def jobs(mount, name):
    return [j for j in status(mount)["jobs"] if j["name"] == name]

def refreshes(mount, name):
    return [r for r in status(mount)["refreshes"] if r["name"] == name]

def until(what, seconds=30):
    """The first value that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.03)
    raise AssertionError("it did not come within %d seconds" % seconds)
PYTHON
    export PYTHONPATH=$E2E PYTHONDONTWRITEBYTECODE=1
}

teardown_file() { teardown_all; }

setup() {
    T=$MNT/public
    OUT=$E2E/out/$BATS_TEST_NUMBER
    mkdir -p "$OUT"
    PIDS=()
}

teardown() {
    for pid in "${PIDS[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    lock_stop || true
    if [ -e "$E2E/mnt.pid" ]; then mount_stop || { fusermount3 -uz "$MNT" && rm -f "$E2E/mnt.pid"; } || true; fi
    rm -rf "$CACHE"
    [ -n "${E2E_KEEP:-}" ] || rm -rf "$OUT"
}

# Reads file $1 of the mount in the background.
read_slowly() {
    cat "$T/$1" >"$OUT/read" 2>"$OUT/read.err" 3>&- &
    READER=$!
    PIDS+=("$READER")
}

job_runs() { "$PYTHON" -c 'import sys, status; sys.exit(not status.jobs(*sys.argv[1:]))' "$MNT" "$1"; }

@test "status.json is valid JSON at all times, whatever tables are called" {
    mount_start -o lease=0
    read_slowly slow/slow.csv
    "$PYTHON" - "$MNT" <<'PYTHON'
import sys, status
mount = sys.argv[1]
names = {'a"b\\c\nd': 'a"b\\c%0Ad', "esc\033[31mape": "esc%1B[31mape", "漢字": "漢字"}
for name, file in names.items():
    for format in "csv", "bin", "jsonl":
        open("%s/public/%s/%s.%s" % (mount, file, file, format), "rb").read()
        status.status(mount)
    assert status.until(lambda: status.refreshes(mount, name))[0]["result"] == "new"
PYTHON
    python3 -m json.tool "$MNT/.pgvecfs/status.json" >/dev/null
    kill "$READER"
    # What a terminal would obey is not printed.
    run "$PGVECFS" --status "$MNT"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *'public.a"b\c%0Ad'* && $output == *'public.esc%1B[31mape'* && $output == *'public.漢字'* ]]
    [[ $output != *$'\033'* ]]
}

@test "status.json is valid JSON where the mount point and the cache are no UTF-8, and in an SQL_ASCII database" {
    PGDATABASE=postgres psql -X -q -v ON_ERROR_STOP=1 -c "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    PGDATABASE=ascii psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE fine (id int);
DO $$ BEGIN EXECUTE E'CREATE TABLE "caf\xe9" (id int)'; END $$;
CREATE VIEW bad AS SELECT E'caf\xe9' AS x;
SQL
    MNT=$E2E/$'m\xffnt' CACHE=$E2E/$'c\xff\xe6che'
    PGDATABASE=ascii mount_start
    cat "$MNT/public/fine/fine.csv" >/dev/null
    cat "$MNT/public/bad/bad.csv" >/dev/null 2>&1 || true
    "$PYTHON" - "$MNT" <<'PYTHON'
import sys, status
s = status.status(sys.argv[1])
assert s["mountpoint"].endswith("/m\ufffdnt"), s
assert "c\ufffd\ufffdche" in s["cache"], s
assert status.until(lambda: status.refreshes(sys.argv[1], "fine")), s
PYTHON
    "$PGVECFS" --status "$MNT" >"$OUT/printed"
    grep -q 'public.fine' "$OUT/printed"
    iconv -f UTF-8 -t UTF-8 "$OUT/printed" >/dev/null
    mount_stop
    rm -rf "$CACHE"
}

@test "a view that is fetched for seconds shows its progress, and it moves" {
    mount_start
    read_slowly slow/slow.csv
    "$PYTHON" - "$MNT" <<'PYTHON'
import sys, status
mount = sys.argv[1]
first = status.until(lambda: [j for j in status.jobs(mount, "slow") if j["bytes"] > 0])[0]
assert first["schema"] == "public" and first["what"] == "rows" and first["stage"] == "copying", first
# Nobody knows how much comes out of a view.
assert first["percent"] is None and first["seconds_left"] is None, first
assert status.metrics(mount)["pgvecfs_jobs"] == 1
later = status.until(lambda: [j for j in status.jobs(mount, "slow") if j["bytes"] > first["bytes"]])[0]
assert later["seconds"] > first["seconds"], (first, later)
# It was opened before its size was known.
assert status.until(lambda: status.metrics(mount)["pgvecfs_open_streams"]) == 1
status.until(lambda: not status.jobs(mount, "slow"))
last = status.refreshes(mount, "slow")[-1]
assert last["result"] == "new" and last["rows"] == 700 and last["bytes"] > 700 * 9000, last
assert last["seconds"] >= 4 and last["groups_copied"] >= 1 and last["groups_kept"] == 0, last
PYTHON
    wait "$READER"
    [ "$(wc -l <"$OUT/read")" -eq 701 ]
    [ "$("$PYTHON" -c 'import sys, status; print(status.until(lambda: status.metrics(sys.argv[1])["pgvecfs_jobs"] == 0))' "$MNT")" = True ]
}

@test "a table that is fetched shows per cent and the time left" {
    mount_start -o jobs=1
    # The server's process is stopped while it waits for a lock, and goes on in small steps, so that there is time to look.
    PGAPPNAME=locker "$PYTHON" - "$MNT" 3>&- <<'PYTHON'
import os, signal, subprocess, sys, time, status
mount = sys.argv[1]
def sql(text):
    return subprocess.run(["psql", "-X", "-At", "-c", text], capture_output=True, text=True, check=True).stdout.split()
locker = subprocess.Popen(["psql", "-X", "-q", "-At"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
locker.stdin.write("BEGIN; LOCK TABLE large; SELECT 'locked';\n")
assert locker.stdout.readline() == "locked\n"
reader = subprocess.Popen(["cat", mount + "/public/large/large.bin"], stdout=subprocess.DEVNULL)
backend = int(status.until(lambda: sql("SELECT pid FROM pg_locks WHERE relation = 'large'::regclass AND NOT granted"))[0])
waiting = status.until(lambda: status.jobs(mount, "large"))[0]
assert waiting["stage"] == "waiting" and waiting["percent"] is None and waiting["seconds_left"] is None, waiting
os.kill(backend, signal.SIGSTOP)
try:
    locker.stdin.close()
    locker.wait()
    for step in range(1000):
        os.kill(backend, signal.SIGCONT)
        time.sleep(0.01)
        os.kill(backend, signal.SIGSTOP)
        time.sleep(0.15)
        job = status.jobs(mount, "large")[0]
        if job["stage"] == "copying" and job["percent"] > 0:
            break
    assert job["percent"] < 100 and 0 < job["rows"] < 80000 and job["bytes"] > job["rows"] * 1500, job
    job = status.until(lambda: [j for j in status.jobs(mount, "large") if j["seconds_left"] is not None])[0]
    assert job["seconds"] >= 1 and job["seconds_left"] > 0 and job["groups_copied"] >= 1, job
finally:
    os.kill(backend, signal.SIGCONT)
assert reader.wait() == 0
status.until(lambda: not status.jobs(mount, "large"))
last = status.refreshes(mount, "large")[-1]
assert last["result"] == "new" and last["rows"] == 80000 and last["groups_copied"] > 10, last
PYTHON
}

@test "refreshes say what they moved: few row groups after an UPDATE of few rows" {
    mount_start -o lease=0
    cp "$T/updated/updated.csv" "$OUT/"
    psql -X -q -c "UPDATE updated SET v = 'changed' WHERE id BETWEEN 7 AND 9"
    cp "$T/updated/updated.csv" "$OUT/"
    psql -X -q -c "UPDATE t SET v = v WHERE id = 1"
    cp "$T/updated/updated.csv" "$OUT/"
    cp "$T/updated/updated.csv" "$OUT/" # nothing at all has happened: the mark says so, and that is no news
    "$PYTHON" - "$MNT" <<'PYTHON'
import datetime, sys, time, status
time.sleep(0.2)
r = status.refreshes(sys.argv[1], "updated")
assert [x["result"] for x in r] == ["new", "changed", "unchanged"], r
assert r[0]["groups_copied"] >= 5 and r[0]["groups_kept"] == 0 and r[0]["rows"] == 20000, r
assert r[1]["groups_kept"] >= 3 and 1 <= r[1]["groups_copied"] <= 3, r
assert r[1]["groups_copied"] < r[0]["groups_copied"] and 3 <= r[1]["rows"] < 10000, r
assert r[2]["groups_copied"] == 0 and r[2]["rows"] == 0 and r[2]["bytes"] == 0, r
for x in r:
    at = datetime.datetime.strptime(x["at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    assert abs(at.timestamp() - time.time()) < 600 and 0 <= x["seconds"] < 600, x
m = status.metrics(sys.argv[1])
assert m["pgvecfs_groups_kept_total"] >= r[1]["groups_kept"], m
PYTHON
    run "$PGVECFS" --status "$MNT"
    echo "$output"
    [[ $output == *'public.updated  changed'*'kept'* ]]
}

@test "the last 16 refreshes are kept, and a failed one is among them" {
    mount_start -o lease=0
    for i in $(seq 20); do
        psql -X -q -c "UPDATE t SET v = 'n$i' WHERE id = 1"
        cat "$T/t/t.csv" >/dev/null
    done
    run cat "$T/broken/broken.csv"
    [ "$status" -ne 0 ]
    "$PYTHON" - "$MNT" <<'PYTHON'
import sys, time, status
time.sleep(0.2)
r = status.status(sys.argv[1])["refreshes"]
assert len(r) == 16, r
assert r[-1]["name"] == "broken" and r[-1]["result"] == "failed", r
assert all(x["name"] == "t" and x["result"] == "changed" for x in r[:-1]), r
assert [x["at"] for x in r] == sorted(x["at"] for x in r), r
PYTHON
}

@test "a read point that is held is counted" {
    mount_start -o cache_size=0
    stat "$T/updated/updated.bin" >/dev/null
    {
        "$PYTHON" -c 'import sys, status; assert status.until(lambda: status.metrics(sys.argv[1])["pgvecfs_held_read_points"]) == 1' "$MNT"
    } 4<"$T/updated/updated.bin"
}

@test "what stat says of status.json is what is read then, and cp never takes it for another file" {
    mount_start
    read_slowly slow/slow.csv
    within 10 job_runs slow
    "$PYTHON" - "$MNT" <<'PYTHON'
import os, sys, time
for file in "status.json", "metrics":
    path = sys.argv[1] + "/.pgvecfs/" + file
    seen = set()
    for i in range(40):
        st = os.stat(path)
        time.sleep((0, 0.05, 0.15, 0.25)[i % 4] if i < 12 else 0.02) # longer than a text is kept
        with open(path, "rb") as f:
            assert os.fstat(f.fileno()).st_ino == st.st_ino, (file, i)
            text = f.read()
        assert len(text) == st.st_size, (file, i, len(text), st.st_size)
        seen.add(text)
    assert len(seen) > 3, (file, len(seen))
PYTHON
    for i in $(seq 30); do cp "$MNT/.pgvecfs/status.json" "$OUT/copy" && python3 -m json.tool "$OUT/copy" >/dev/null; done
}

@test "what many processes were told of status.json and metrics, each of them reads" {
    mount_start
    "$PYTHON" - "$MNT/.pgvecfs" <<'PYTHON'
import os, subprocess, sys, time
reader = """
import os, sys
path = sys.argv[1]
print("ready", flush=True)
for line in sys.stdin: # at each line its next step
    st = os.stat(path)
    print(st.st_ino, flush=True)
    sys.stdin.readline()
    with open(path, "rb") as f:
        print(os.fstat(f.fileno()).st_ino, len(f.read()) - st.st_size, flush=True)
"""
def all_do(readers, pause):
    said = []
    for r in readers:
        r.stdin.write("go\n")
        r.stdin.flush()
        said.append(r.stdout.readline().split())
        time.sleep(pause)
    return said
for file in "status.json", "metrics":
    readers = [subprocess.Popen([sys.executable, "-c", reader, sys.argv[1] + "/" + file], text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE) for i in range(5)]
    for r in readers:
        assert r.stdout.readline() == "ready\n"
    for pause in 0, 0.12: # a text is kept for less than that: all have the same one, or each his own
        for attempt in range(50):
            began = time.monotonic()
            told = all_do(readers, pause)
            time.sleep(0.15)
            found = all_do(readers, 0)
            if time.monotonic() - began < 1: # what was told holds so long
                break
        else:
            raise SystemExit("this machine is too slow")
        assert found == [[ino, "0"] for ino, in told], (file, pause, told, found)
    for r in readers:
        r.stdin.close()
        assert r.wait() == 0
PYTHON
}

@test "status.json is fresh enough for a progress bar" {
    mount_start
    read_slowly slow/slow.csv
    within 20 job_runs slow
    "$PYTHON" - "$MNT" <<'PYTHON'
import sys, time, status
def seconds(): # in tenths
    return status.jobs(sys.argv[1], "slow")[0]["seconds"]
for i in range(8):
    before = seconds()
    time.sleep(0.25)
    assert seconds() > before
PYTHON
}

@test "--status prints once where there is no terminal, also while a job waits for a lock" {
    mount_start
    run "$PGVECFS" --status "$MNT"
    echo "$output"
    [ "$status" -eq 0 ]
    for word in "server " "mountpoint  $MNT" "version " "pid $(daemon_pid)" "up " "cache " " of 10 GiB" "memory " "no job runs"; do [[ $output == *"$word"* ]]; done
    [[ $output != *$'\033'* ]]
    lock_start t
    read_slowly t/t.csv
    within 20 job_runs t
    run timeout 20 "$PGVECFS" --status "$MNT"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *"public.t  wait"*" so far"* ]]
    [[ $output == *"waiting     1 request"* ]]
    TERM=xterm run timeout 20 "$PGVECFS" --status "$MNT/"
    [ "$status" -eq 0 ]
    [[ $output != *$'\033'* ]]
    # A relative path, and one whose mount is listed.
    (cd "$E2E" && timeout 20 "$PGVECFS" --status "$(basename "$MNT")") | grep -q "public.t  wait"
    [ "$(NO_COLOR=1 timeout 20 "$PGVECFS" --status "$MNT" | grep -c "public.t  wait")" -eq 1 ]
    run bash -c '"$PGVECFS" --status "$MNT" >/dev/full'
    [ "$status" -eq 1 ]
}

@test "--status on a terminal draws a bar until no job runs" {
    mount_start
    read_slowly slow/slow.csv
    within 20 job_runs slow
    TERM=xterm timeout 60 script -qec "stty cols 80 rows 24; exec $PGVECFS --status $MNT" "$OUT/typescript" </dev/null >/dev/null 2>&1 3>&-
    run job_runs slow
    [ "$status" -ne 0 ]
    cat -v "$OUT/typescript" | tail -n 20
    grep -q 'public.slow *copying *\[ *### *\]' "$OUT/typescript"
    [ "$(grep -c 'public.slow *copying' "$OUT/typescript")" -ge 3 ]
    grep -q 'last refreshes' "$OUT/typescript"
    grep -q 'public.slow  new .* 700 rows' "$OUT/typescript"
    # A terminal that cannot move its cursor gets it once.
    psql -X -q -c "UPDATE t SET v = v WHERE id = 1"
    TERM=dumb timeout 60 script -qec "exec $PGVECFS --status $MNT" "$OUT/typescript" </dev/null >/dev/null 2>&1 3>&-
    ! grep -q $'\033' "$OUT/typescript" || false
}

@test "--status on a terminal keeps to its width, also when that changes, and Ctrl-C ends it at once" {
    mount_start
    read_slowly slow/slow.csv
    within 20 job_runs slow
    TERM=xterm "$PYTHON" - "$PGVECFS" "$MNT" 3>&- <<'PYTHON'
import fcntl, os, pty, re, select, signal, struct, sys, termios, time
import status
program, mount = sys.argv[1:]
def resize(fd, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
read_end, write_end = os.pipe()
pid, fd = pty.fork()
if pid == 0:
    os.read(read_end, 1) # until the terminal has its size
    os.execv(program, [program, "--status", mount])
resize(fd, 80)
os.write(write_end, b"x")
seen = b""
def read_frames(wanted):
    """The job's lines of so many more frames."""
    global seen
    start, end = len(seen), time.monotonic() + 30
    while seen[start:].count(b"\033[J") <= wanted:
        assert select.select([fd], [], [], max(0, end - time.monotonic()))[0], seen
        seen += os.read(fd, 65536)
    return [l.decode() for l in re.findall(rb"\033\[J([^\r\n]*)\r\n", seen[start:])]
for columns in 80, 50, 30, 120:
    resize(fd, columns)
    frames = read_frames(3)[-2:]
    for line in frames:
        assert line.startswith("public.s") and len(line) < columns, (columns, line)
        assert ("[" in line) == (columns >= 40), (columns, line)
before = time.monotonic()
os.write(fd, b"\x03")
_, how = os.waitpid(pid, 0)
assert os.WIFSIGNALED(how) and os.WTERMSIG(how) == signal.SIGINT, how
assert time.monotonic() - before < 5
assert status.jobs(mount, "slow"), "the job went on"
try: # the cursor was never hidden, nor anything else switched
    while True:
        more = os.read(fd, 65536)
        if not more:
            break
        seen += more
except OSError:
    pass
assert not re.search(rb"\033\[[^AJ]*[^0-9AJ]", seen), seen
PYTHON
}

@test "--status says in one line why there is nothing to show" {
    complains() { # complains WORD ARGUMENT...
        local word=$1
        shift
        run timeout 20 "$PGVECFS" --status "$@"
        echo "$* -> $status: $output"
        [ "$status" -eq 1 ]
        [ "${#lines[@]}" -eq 1 ]
        [[ $output == pgvecfs:*"$word"* ]]
    }
    mkdir -p "$OUT/plain"
    touch "$OUT/file"
    complains "not a mount point of pgvecfs" "$OUT/plain"
    complains "not a mount point of pgvecfs" "$OUT/file"
    complains "no such directory" "$OUT/missing"
    complains "mount point"
    complains "mount point" "$OUT/plain" "$OUT/plain"
    mount_start
    complains "not a mount point of pgvecfs" "$T"
    complains "not a mount point of pgvecfs" "$T/t/t.csv"
    # Nor is a copy of a mount one.
    mkdir -p "$OUT/copy/.pgvecfs"
    cp "$MNT/.pgvecfs/status.json" "$OUT/copy/.pgvecfs/"
    complains "not a mount point of pgvecfs" "$OUT/copy"
    pid=$(daemon_pid)
    kill -KILL "$pid"
    wait_gone "$pid" 10
    complains "fusermount3 -u" "$MNT"
    fusermount3 -u "$MNT"
    rm -f "$E2E/mnt.pid"
    complains "not a mount point of pgvecfs" "$MNT"
}
