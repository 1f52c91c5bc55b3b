# Copies taken while other clients write: each is one committed state, and none fails.
load helper

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
-- Every transaction sets all rows to the same number.
CREATE TABLE tick (id int PRIMARY KEY, v int, pad text);
INSERT INTO tick SELECT i, 0, repeat('x', 50) FROM generate_series(1, 3000) i;
-- Every transaction moves money: the sum stays.
CREATE TABLE account (id int PRIMARY KEY, money int, pad text);
INSERT INTO account SELECT i, 100, repeat('y', 200) FROM generate_series(1, 6000) i;
-- Every transaction adds rows 10 at a time and takes away others.
CREATE TABLE queue (id int, batch int);
INSERT INTO queue SELECT i, i / 10 FROM generate_series(10, 1009) i;
SQL
    mkdir -p "$E2E"
    cat >"$E2E/check.py" <<'PYTHON'
"""check.py KIND FILE...: whether each file is one committed state of its table; the format is the name's end."""
import collections, csv, ctypes, json, os, struct, sys

def rows(path):
    if path.endswith(".csv"):
        with open(path, newline="") as f:
            return [(int(r[0]), int(r[1])) for r in list(csv.reader(f))[1:]]
    if path.endswith(".jsonl"):
        with open(path) as f:
            return [tuple(json.loads(l).values())[:2] for l in f]
    data = open(path, "rb").read()
    assert data[:19] == b"PGCOPY\n\377\r\n\0" + bytes(8), path
    out, at = [], 19
    while True:
        count = struct.unpack_from(">h", data, at)[0]
        at += 2
        if count == -1:
            assert at == len(data), path
            return out
        fields = []
        for i in range(count):
            size = struct.unpack_from(">i", data, at)[0]
            fields.append(data[at + 4:at + 4 + size])
            at += 4 + size
        out.append(tuple(struct.unpack(">i", f)[0] for f in fields[:2]))

def check(kind, path):
    r = rows(path)
    if kind == "tick":
        assert len(r) == 3000 and len({v for _, v in r}) == 1, (path, len(r), len({v for _, v in r}))
        assert {i for i, _ in r} == set(range(1, 3001)), path
    elif kind == "account":
        assert len(r) == 6000 and sum(v for _, v in r) == 600000, (path, len(r), sum(v for _, v in r))
        assert {i for i, _ in r} == set(range(1, 6001)), path
    else:
        assert len(r) == 1000 and len({i for i, _ in r}) == 1000, (path, len(r))
        batches = collections.Counter(b for _, b in r)
        assert set(batches.values()) == {10}, path
    return r

class Hash(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]

xxhash = ctypes.CDLL("libxxhash.so.0")
xxhash.XXH3_128bits.restype = Hash
xxhash.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]

def check_manifest(folder):
    table = os.path.basename(folder)
    with open(folder + "/manifest.json") as f:
        manifest = json.load(f)
    for format, view in manifest["views"].items():
        data = open("%s/%s.%s" % (folder, table, format), "rb").read()
        h = xxhash.XXH3_128bits(data, len(data))
        assert view["bytes"] == len(data), (folder, format)
        assert view["xxh3_128"] == "%016x%016x" % (h.high, h.low), (folder, format)

if __name__ == "__main__":
    for path in sys.argv[2:]:
        if sys.argv[1] == "manifest":
            check_manifest(path)
        else:
            check(sys.argv[1], path)
PYTHON
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
    psql -X -q -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'writer'" >/dev/null || true
    mount_stop || true
    [ -n "${E2E_KEEP:-}" ] || rm -rf "$OUT"
}

# Runs the statement over and over, in a session of its own, until the test ends.
writer() {
    while :; do echo "$1"; done | PGAPPNAME=writer psql -X -q >/dev/null 2>"$OUT/writer.err" 3>&- &
    PIDS+=($!)
}

write_tick() { writer "UPDATE tick SET v = v + 1;"; }
write_account() {
    writer "WITH moved AS (SELECT (random() * 5999)::int + 1 AS a, (random() * 5999)::int + 1 AS b, (random() * 50)::int AS m)
        UPDATE account SET money = money + CASE WHEN id = a THEN m ELSE 0 END - CASE WHEN id = b THEN m ELSE 0 END FROM moved WHERE id IN (a, b);"
}
write_queue() {
    writer "BEGIN; WITH top AS (SELECT max(batch) AS b FROM queue) INSERT INTO queue SELECT (b + 1) * 10 + i, b + 1 FROM top, generate_series(0, 9) i;
        DELETE FROM queue WHERE batch = (SELECT min(batch) FROM queue); COMMIT;"
}

writers_ran() { [ ! -s "$OUT/writer.err" ] || { cat "$OUT/writer.err"; return 1; }; }

copies() { # copies TABLE COUNT: in turns of the formats
    local formats=(csv bin jsonl) i
    for ((i = 0; i < $2; i++)); do
        cp "$T/$1/$1.${formats[$((i % 3))]}" "$OUT/$1-$i.${formats[$((i % 3))]}" || return
    done
}

@test "cp again and again of tables that change all the time: none fails, each is one committed state (lease=0)" {
    mount_start -o lease=0
    write_tick
    write_account
    write_queue
    copies tick "$(often 12 48)"
    copies account "$(often 3 24)"
    copies queue "$(often 12 48)"
    writers_ran
    for table in tick account queue; do python3 "$E2E/check.py" $table "$OUT/$table"-*; done
    # They were indeed changing.
    [ "$(sha256sum "$OUT"/tick-*.csv | cut -d' ' -f1 | sort -u | wc -l)" -gt 2 ]
}

@test "cp again and again with the default lease" {
    mount_start
    write_tick
    write_account
    write_queue
    for i in $(seq "$(often 2 4)"); do
        mkdir -p "$OUT/$i"
        OUT=$OUT/$i copies tick "$(often 9 20)"
        OUT=$OUT/$i copies account "$(often 3 10)"
        OUT=$OUT/$i copies queue "$(often 9 20)"
        sleep 1.5
    done
    writers_ran
    for table in tick account queue; do python3 "$E2E/check.py" $table "$OUT"/?/$table-*; done
}

@test "readers side by side of a table that changes all the time (lease=0)" {
    mount_start -o lease=0
    write_tick
    write_queue
    readers=()
    for i in 1 2 3 4; do
        mkdir "$OUT/$i"
        (OUT=$OUT/$i; copies tick "$(often 6 25)" && copies queue "$(often 6 25)") 2>"$OUT/$i.err" 3>&- &
        readers+=($!)
    done
    failed=0
    for pid in "${readers[@]}"; do wait "$pid" || failed=$((failed + 1)); done
    cat "$OUT"/?.err
    [ "$failed" -eq 0 ]
    for table in tick queue; do python3 "$E2E/check.py" $table "$OUT"/?/$table-*; done
}

# promise.py FILE HOW: what callers were told by stat they find at their open a moment later, although the table "moves" has
# changed since. HOW: processes, all at once; opened: the same, but another one opens the file between their look-up and
# their stat; threads: stat by one, open by the other; user: one process after the other.
write_promise() {
    cat >"$E2E/promise.py" <<'PYTHON'
import os, subprocess, sys, threading, time
path, how = sys.argv[1:]
psql = subprocess.Popen(["psql", "-X", "-q", "-At"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
HOLDS = 0.9 # seconds that a promise holds for sure: what has taken longer is not judged

def change():
    psql.stdin.write("UPDATE moves SET v = v + 1; SELECT 'done';\n")
    assert psql.stdout.readline() == "done\n"

def opened():
    fd = os.open(path, os.O_RDONLY)
    st = os.fstat(fd)
    os.close(fd)
    return st

def verdict(began, told, found): # "": it is not judged
    if time.monotonic() - began > HOLDS:
        return ""
    return "same" if (told.st_ino, told.st_size) == (found.st_ino, found.st_size) else "other"

def stats(): # a generator: what it does between the look-up and the stat is up to its user
    if how != "opened":
        yield os.stat(path)
        return
    name = os.open(path, os.O_PATH) # this only looks it up
    yield
    yield os.stat(name)
    os.close(name)

def processes(count):
    opened()
    os.stat(path) # so that what they look up is not of the past, nor for one process alone, as it may be after ESTALE
    ready, said, turns = os.pipe(), os.pipe(), [os.pipe() for _ in range(2 if how == "opened" else 1)]
    def all_are_ready():
        waiting = count
        while waiting > 0:
            waiting -= len(os.read(ready[0], waiting))
    def child():
        began = time.monotonic()
        try:
            for told, turn in zip(stats(), turns):
                os.write(ready[1], b".")
                os.read(turn[0], 1)
            return verdict(began, told, opened())
        except OSError as error:
            os.write(ready[1], b"." * len(turns)) # nobody is to wait for it
            return error.strerror
    for _ in range(count):
        if os.fork() == 0:
            os.write(said[1], (child() + "\n").encode())
            os._exit(0)
    all_are_ready()
    if how == "opened":
        file = os.open(path, os.O_RDONLY)
        os.write(turns[0][1], b"." * count)
        all_are_ready()
        os.close(file)
    change()
    os.write(turns[-1][1], b"." * count)
    for _ in range(count):
        os.wait()
    return os.read(said[0], 65536).decode().split("\n")

def threads():
    began = time.monotonic()
    told = os.stat(path)
    change()
    found = []
    thread = threading.Thread(target=lambda: found.append(opened()))
    thread.start()
    thread.join()
    return [verdict(began, told, found[0])]

def user():
    return processes(1) + processes(2)

judged = 0
wanted = {"processes": 100, "opened": 8, "threads": 10, "user": 10}[how]
for _ in range(100):
    verdicts = threads() if how == "threads" else user() if how == "user" else processes(8 if how == "opened" else 64)
    assert {"same", ""}.issuperset(verdicts), verdicts
    judged += verdicts.count("same")
    if judged >= wanted:
        break
assert judged >= wanted, judged
psql.stdin.close()
psql.wait()
PYTHON
}

@test "what was told by stat is found at open: by 64 processes at once, by another thread, in another PID namespace" {
    psql -X -q -c "CREATE TABLE moves (id int PRIMARY KEY, v int, e vector(2))" \
        -c "INSERT INTO moves SELECT i, 0, format('[%s,0]', i)::vector FROM generate_series(1, 100) i"
    mount_start -o lease=0
    write_promise
    for how in processes threads; do python3 "$E2E/promise.py" "$T/moves/moves.csv" $how; done
    for file in moves.csv rows/5.json parts/csv/00-00000000.csv query/near/e/l2/3/5.csv; do
        python3 "$E2E/promise.py" "$T/moves/$file" opened
    done
    mount_stop
    unshare --pid --fork true 2>/dev/null || skip "no PID namespace can be made here"
    # To a daemon in a namespace of its own, all callers are nobody but their user.
    mkdir -p "$MNT" "$CACHE"
    unshare --pid --fork --kill-child "$PGVECFS" -f -o lease=0,cache_dir="$CACHE" "host=$PGHOST port=$PGPORT user=$PGUSER dbname=$PGDATABASE" \
        "$MNT" >"$OUT/log" 2>&1 3>&- &
    daemon=$!
    PIDS+=("$daemon")
    within 20 mountpoint -q "$MNT"
    python3 "$E2E/promise.py" "$T/moves/moves.csv" user
    # What a signal means cannot be seen: a request is given up a second later, unless it has its answer by then.
    psql -X -q >/dev/null 2>&1 3>&- <<'SQL' &
BEGIN;
LOCK TABLE queue IN ACCESS EXCLUSIVE MODE;
SELECT pg_sleep(60);
SQL
    PIDS+=($!)
    within 20 eval '[ "$(psql -X -At -c "SELECT count(*) FROM pg_locks WHERE granted AND relation = '"'queue'::regclass AND mode = 'AccessExclusiveLock'"'")" = 1 ]'
    python3 - "$T/queue/queue.csv" <<'PYTHON'
import os, signal, sys, threading, time
path = sys.argv[1]
def ask():
    try:
        os.stat(path)
        return "answered"
    except InterruptedError:
        return "interrupted"
signal.signal(signal.SIGUSR1, lambda *_: None)
signalled = []
def send():
    time.sleep(0.5)
    signalled.append(time.monotonic())
    signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
threading.Thread(target=send).start()
assert ask() == "interrupted"
assert time.monotonic() - signalled[0] > 0.7
PYTHON
    psql -X -q -c "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'" >/dev/null
    fusermount3 -u "$MNT"
    wait_gone "$daemon" 20
}

# told.py TABLE CHANGE FILE...: what a process was told by stat of such a file it finds at its open, although CHANGE has changed it
# since, and another process has been told so. A file of TABLE is looked at by the other one, too.
write_told() {
    cat >"$E2E/told.py" <<'PYTHON'
import os, subprocess, sys, time
table, change, files = sys.argv[1], sys.argv[2], sys.argv[3:]
psql = subprocess.Popen(["psql", "-X", "-q", "-At"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
other = subprocess.Popen([sys.executable, "-c", """
import os, sys
for line in sys.stdin:
    for path in line.split():
        os.stat(path)
    print(flush=True)
"""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
HOLDS = 0.9 # seconds that a promise holds for sure: what has taken longer is not judged

def same(path):
    """None: it is not judged."""
    began = time.monotonic()
    told = os.stat(path)
    psql.stdin.write(change + "; SELECT 'done';\n")
    assert psql.stdout.readline() == "done\n"
    other.stdin.write("%s %s\n" % (path, table))
    assert other.stdout.readline() == "\n"
    file = os.open(path, os.O_RDONLY)
    if time.monotonic() - began > HOLDS:
        os.close(file)
        return None
    found = os.fstat(file)
    data = b""
    while part := os.read(file, 1 << 17):
        data += part
    os.close(file)
    assert len(data) == found.st_size, (path, len(data), found.st_size)
    return (told.st_ino, told.st_size, told.st_mtime) == (found.st_ino, found.st_size, found.st_mtime)

for path in files:
    judged = 0
    for _ in range(60):
        verdict = same(path)
        assert verdict is not False, path + " is another one"
        judged += verdict is True
        if judged == 3:
            break
    assert judged == 3, (path, judged)
psql.stdin.close()
other.stdin.close()
psql.wait()
other.wait()
PYTHON
}

@test "what was told by stat is found at open, whatever file it is and whoever has seen the change (lease=0)" {
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE kinds (id int PRIMARY KEY, v int, e vector(2));
INSERT INTO kinds SELECT i, 0, format('[%s,0]', i)::vector FROM generate_series(1, 100) i;
CREATE VIEW seen AS SELECT * FROM kinds;
CREATE MATERIALIZED VIEW kept AS SELECT * FROM kinds;
CREATE TABLE parted (id int, v int) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (1000);
INSERT INTO parted SELECT i, 0 FROM generate_series(1, 100) i;
SQL
    mount_start -o lease=0
    write_told
    for of in kinds/kinds seen/seen kept/kept parted/parted parted/partitions/part/part; do
        python3 "$E2E/told.py" "$T/$of.bin" "UPDATE kinds SET v = v + 1; UPDATE parted SET v = v + 1; REFRESH MATERIALIZED VIEW kept" \
            "$T/$of".{csv,jsonl,bin} "$T/${of%/*}/manifest.json"
    done
    mkdir "$T/kinds/query/mine"
    echo '[3,0]' >"$T/kinds/query/mine/vector"
    python3 "$E2E/told.py" "$T/kinds/kinds.csv" "UPDATE kinds SET v = v + 1" \
        "$T"/kinds/query/{README,near/e/l2/3/7.csv,near/e/l2/3/7.jsonl,index/e.l2.json} "$T"/kinds/query/mine/{results.csv,results.jsonl,plan.json}
    psql -X -q -c 'CREATE SEQUENCE names'
    python3 "$E2E/told.py" "$T/kinds/kinds.csv" \
        "DO \$\$ BEGIN EXECUTE format('COMMENT ON TABLE kinds IS %L', repeat('x', nextval('names')::int)); END \$\$" "$T/kinds/schema.sql"
}

@test "what was told by stat is found at open, however long the open takes (lease=0)" {
    # Two row groups and more, the rows of a page each: a further one changes no page of the first.
    psql -X -q -v ON_ERROR_STOP=1 -c "CREATE TABLE slow (id int, pad text)" -c "ALTER TABLE slow ALTER pad SET STORAGE plain" \
        -c "INSERT INTO slow SELECT i, repeat('x', 6000) FROM generate_series(1, 1500) i"
    mount_start -o lease=0,jobs=1
    mkfifo "$OUT/go"
    stat "$T/slow/slow.csv" >/dev/null
    timeout 60 python3 - "$T/slow/manifest.json" 3>&- >"$OUT/verdict" <<PYTHON &
import os, sys
told = os.stat(sys.argv[1])
open("$OUT/go", "w").close()
open("$OUT/go").read()
file = os.open(sys.argv[1], os.O_RDONLY)
found = os.fstat(file)
print("same" if (told.st_ino, told.st_size) == (found.st_ino, found.st_size) else "other")
PYTHON
    reader=$!
    PIDS+=("$reader")
    read -r <"$OUT/go" || true
    # What the hashes are made of has to be had from the server again, where the table is locked.
    rm "$(find "$CACHE" -path "*/$(psql -X -At -c "SELECT 'slow'::regclass::oid")/*.rows" | sort | sed -n 1p)"
    psql -X -q >/dev/null 2>&1 3>&- <<SQL &
BEGIN;
LOCK TABLE slow IN ACCESS EXCLUSIVE MODE;
INSERT INTO slow VALUES (0, repeat('x', 6000));
\! touch "$OUT/locked"
SELECT pg_sleep(3); -- longer than what was told holds for a later open
COMMIT;
SQL
    locker=$!
    PIDS+=("$locker")
    within 20 test -e "$OUT/locked"
    : >"$OUT/go"
    wait "$locker" "$reader"
    [ "$(cat "$OUT/verdict")" = same ]
    [ "$(tail -n 1 "$T/slow/slow.csv" | cut -c 1-3)" = 0,x ]
}

@test "a file of the past that takes long keeps nobody from the current ones, and ends with who wants it" {
    psql -X -q -v ON_ERROR_STOP=1 -c "CREATE TABLE bygone (id int, pad text)" -c "ALTER TABLE bygone ALTER pad SET STORAGE plain" \
        -c "INSERT INTO bygone SELECT i, repeat('x', 6000) FROM generate_series(1, 1500) i"
    mount_start -o lease=1,jobs=1
    # Reads an open file until another process has seen a change, and goes on with the manifest.
    python3 - "$T/bygone" "$OUT" 3>&- <<'PYTHON' &
import os, sys
table, out = sys.argv[1:]
os.stat(table + "/bygone.csv")
file = os.open(table + "/bygone.csv", os.O_RDONLY)
open(out + "/opened", "w").close()
while not os.path.exists(out + "/locked"):
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.pread(file, 1 << 12, 0)
open(table + "/manifest.json").read()
PYTHON
    reader=$!
    PIDS+=("$reader")
    within 20 test -e "$OUT/opened"
    before=$(stat -c %i "$T/bygone/bygone.csv")
    psql -X -q -c "INSERT INTO bygone VALUES (0, 'new')"
    within 20 eval '[ "$(stat -c %i "$T/bygone/bygone.csv")" != "$before" ]'
    # Its rows have to be had from the server again, where the table is locked.
    find "$CACHE" -path "*/$(psql -X -At -c "SELECT 'bygone'::regclass::oid")/*.rows" -delete
    psql -X -q >/dev/null 2>&1 3>&- <<SQL &
SET application_name = 'bygone';
BEGIN;
LOCK TABLE bygone IN ACCESS EXCLUSIVE MODE;
\! touch "$OUT/locked"
SELECT pg_sleep(300);
SQL
    PIDS+=("$!")
    making() { grep -q '"name": "bygone", "what": "rows", "stage": "measuring"' "$MNT/.pgvecfs/status.json"; }
    within 20 making
    for ((i = 0; i < 4; i++)); do # longer than a lease
        timeout 10 stat "$T/bygone/bygone.csv" >/dev/null
        sleep 0.5
    done
    making
    kill -KILL "$reader"
    # Though others go on wanting what has not been made yet.
    has_ended() {
        timeout 1 stat "$T/bygone/bygone.jsonl" >/dev/null || true
        grep -q "public.bygone: nobody waits any more" "$MNT/.pgvecfs/log"
    }
    within 40 has_ended
    psql -X -q -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bygone'" >/dev/null
    [ "$(timeout 60 tail -n 1 "$T/bygone/bygone.csv")" = 0,new ]
}

@test "who goes on reading has its next files of the same version, which nobody had asked for while it was the current one" {
    mount_start -o lease=4
    timeout 100 python3 - "$T/tick" "$E2E" <<'PYTHON'
import json, os, subprocess, sys, time
table, folder = sys.argv[1:]
sys.path.insert(0, folder)
from check import xxhash
csv = table + "/tick.csv"

def change():
    """Another process has seen it."""
    stat = lambda: int(subprocess.run(["stat", "-c", "%i", csv], stdout=subprocess.PIPE, check=True).stdout)
    before = stat()
    subprocess.run(["psql", "-X", "-q", "-c", "UPDATE tick SET v = v + 1"], check=True)
    while stat() == before:
        time.sleep(0.1)

def judge():
    """None: it has taken too long."""
    change()
    os.stat(csv) # or the open would read along
    file = os.open(csv, os.O_RDONLY) # the first one of this version
    change()
    began = time.monotonic()
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED) # or the kernel would not ask
    data = {"csv": b""}
    while part := os.read(file, 1 << 17):
        data["csv"] += part
    os.close(file)
    for name in ("jsonl", "bin"):
        with open(table + "/tick." + name, "rb") as f:
            data[name] = f.read()
    manifest = json.load(open(table + "/manifest.json"))
    if time.monotonic() - began > 3.5:
        return None
    for name, text in data.items():
        hash = xxhash.XXH3_128bits(text, len(text))
        assert manifest["views"][name] == {"bytes": len(text), "xxh3_128": "%016x%016x" % (hash.high, hash.low)}, name
    return True

while not judge():
    pass
PYTHON
}

@test "many readings of one open file are of one state" {
    mount_start -o lease=0
    write_account
    for format in csv bin jsonl; do
        {
            head -c 100000 <&4 >"$OUT/parts.$format"
            sleep 0.5
            dd bs=65536 count=10 <&4 >>"$OUT/parts.$format" 2>/dev/null
            sleep 0.5
            cat <&4 >>"$OUT/parts.$format"
        } 4<"$T/account/account.$format"
    done
    python3 "$E2E/check.py" account "$OUT"/parts.*
}

@test "cp -r of a table's directory: its formats and its manifest belong together (default lease)" {
    mount_start
    write_tick
    write_account
    write_queue
    for i in $(seq "$(often 3 6)"); do
        mkdir "$OUT/$i"
        for table in tick account queue; do cp -r "$T/$table" "$OUT/$i/"; done
        if [ $i = 2 ]; then sleep 6; else sleep 0.7; fi # once the lease ends between two copies, else it may end within one
    done
    writers_ran
    for table in tick account queue; do
        python3 "$E2E/check.py" manifest "$OUT"/?/$table
        python3 "$E2E/check.py" $table "$OUT"/?/$table/$table.*
    done
    [ "$(sha256sum "$OUT"/?/tick/tick.csv | cut -d' ' -f1 | sort -u | wc -l)" -gt 1 ]
}

@test "rsync, tar and cat of a mount under updates" {
    mount_start
    write_tick
    write_queue
    for i in $(seq "$(often 2 3)"); do
        rsync -a --exclude=account "$MNT/" "$OUT/rsync/"
        python3 "$E2E/check.py" tick "$OUT"/rsync/public/tick/tick.*
        python3 "$E2E/check.py" queue "$OUT"/rsync/public/queue/queue.*
        run tar -cf "$OUT/$i.tar" -C "$MNT" public/tick public/queue
        [ "$status" -eq 0 ]
        [ -z "$output" ] || { echo "$output"; false; }
        mkdir "$OUT/tar$i"
        tar -xf "$OUT/$i.tar" -C "$OUT/tar$i"
        python3 "$E2E/check.py" tick "$OUT/tar$i"/public/tick/tick.*
        sleep 1
    done
}

@test "with lease=0 what was committed before a read began is in it, also while others read" {
    psql -X -q -c "DROP TABLE IF EXISTS fresh" -c "CREATE TABLE fresh (id int)"
    mount_start -o lease=0
    for k in 1 2; do
        while :; do cat "$T/fresh/fresh.csv" || :; done >/dev/null 2>&1 3>&- &
        PIDS+=($!)
    done
    for i in $(seq 40); do
        psql -X -q -c "INSERT INTO fresh VALUES ($i)"
        formats=(csv bin jsonl)
        case $((i % 3)) in
            0) [ "$(tail -n 1 "$T/fresh/fresh.csv")" = "$i" ] ;;
            1) [ "$(tail -n 1 "$T/fresh/fresh.jsonl")" = "{\"id\":$i}" ] ;;
            2) [ "$(stat -c %s "$T/fresh/fresh.bin")" -eq $((21 + 10 * i)) ] ;;
        esac
    done
}

@test "with lease=0 a process that reads or stats again and again sees each change at once" {
    psql -X -q -c "DROP TABLE IF EXISTS fresh" -c "CREATE TABLE fresh (id int)"
    mount_start -o lease=0
    python3 - "$T/fresh" <<'PYTHON'
import os, subprocess, sys
psql = subprocess.Popen(["psql", "-X", "-q", "-At"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
def insert(n):
    psql.stdin.write("INSERT INTO fresh VALUES (%d); SELECT 'done';\n" % n)
    assert psql.stdout.readline() == "done\n"
for n in range(1, 41):
    insert(n)
    if n <= 20: # open does an fstat, too
        rows = open(sys.argv[1] + "/fresh.csv").read().split()[1:]
        assert len(rows) == n, (n, rows)
    else:
        assert os.stat(sys.argv[1] + "/fresh.bin").st_size == 21 + 10 * n, n
psql.stdin.close()
psql.wait()
PYTHON
}

@test "a process that stats again and again sees a change while another has the file open" {
    for lease in 0 1; do
        psql -X -q -c "DROP TABLE IF EXISTS polled" -c "CREATE TABLE polled (id int)"
        mount_start -o lease=$lease
        timeout 60 python3 - "$T/polled/polled.bin" <<'PYTHON'
import os, subprocess, sys, time
path = sys.argv[1]
assert os.stat(path).st_size == 21
holder = subprocess.Popen([sys.executable, "-c", "import sys; f = open(sys.argv[1]); print(flush=True); sys.stdin.read()", path],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE)
holder.stdout.readline()
assert os.stat(path).st_size == 21
subprocess.run(["psql", "-X", "-q", "-c", "INSERT INTO polled VALUES (1)"], check=True)
begun = time.monotonic()
while os.stat(path).st_size == 21:
    assert time.monotonic() - begun < 15, "it is still what it was"
    time.sleep(0.1)
assert os.stat(path).st_size == 31
holder.communicate()
PYTHON
        mount_stop
    done
}

@test "with a lease a change shows after it, and not before the path has led to one version for that long" {
    psql -X -q -c "DROP TABLE IF EXISTS leased" -c "CREATE TABLE leased (id int)" -c "INSERT INTO leased VALUES (1)"
    mount_start -o lease=4
    [ "$(tail -n 1 "$T/leased/leased.csv")" = 1 ]
    psql -X -q -c "INSERT INTO leased VALUES (2)"
    [ "$(tail -n 1 "$T/leased/leased.csv")" = 1 ] # a second or less after the first
    # Somebody who reads it all the time does not hold on to it for ever.
    for _ in $(seq 120); do
        if [ "$(tail -n 1 "$T/leased/leased.csv")" = 2 ]; then break; fi
        sleep 0.1
    done
    [ "$(tail -n 1 "$T/leased/leased.csv")" = 2 ]
}

# For each format the mount's file is what the server says.
assert_current() {
    local format
    for format in csv bin jsonl; do
        "reference_$format" "public.$1" >"$OUT/right"
        cp "$T/$1/$1.$format" "$OUT/got" || return
        assert_same_bytes "$OUT/got" "$OUT/right" || return
    done
}

@test "DDL between reads: columns, types, TRUNCATE, DROP and CREATE, RENAME, SET SCHEMA" {
    psql -X -q -c "DROP TABLE IF EXISTS shape, other_name" -c "DROP SCHEMA IF EXISTS elsewhere CASCADE" -c "CREATE SCHEMA elsewhere" \
        -c "CREATE TABLE shape (id int, v text)" -c "INSERT INTO shape SELECT i, 'v' || i FROM generate_series(1, 500) i"
    mount_start -o lease=0
    assert_current shape
    for ddl in "ALTER TABLE shape ADD extra int DEFAULT 7" "ALTER TABLE shape ALTER id TYPE bigint" "ALTER TABLE shape DROP v" \
        "ALTER TABLE shape RENAME extra TO wider" "ALTER TABLE shape ADD e vector(3)" "UPDATE shape SET e = '[1,2,3]'" \
        "TRUNCATE shape" "INSERT INTO shape VALUES (1, 2, NULL)" "VACUUM FULL shape" "ALTER TABLE shape SET UNLOGGED" \
        "DROP TABLE shape; CREATE TABLE shape (other text, more date); INSERT INTO shape VALUES ('a', '2020-01-01')" \
        "DROP TABLE shape; CREATE VIEW shape AS SELECT i FROM generate_series(1, 10) i" \
        "DROP VIEW shape; CREATE MATERIALIZED VIEW shape AS SELECT 1 AS one" \
        "DROP MATERIALIZED VIEW shape; CREATE TABLE shape (id int); INSERT INTO shape VALUES (5)"; do
        echo "$ddl"
        psql -X -q -v ON_ERROR_STOP=1 -c "$ddl"
        assert_current shape
        grep -q shape "$T/shape/schema.sql"
        python3 -m json.tool "$T/shape/manifest.json" >/dev/null
    done
    psql -X -q -c "ALTER TABLE shape RENAME TO other_name"
    run cat "$T/shape/shape.csv"
    [ "$status" -ne 0 ]
    [[ $output == *"No such file"* ]] || { echo "$output"; false; }
    assert_current other_name
    [ "$(ls "$T" | grep -c -e '^shape$' -e '^other_name$')" -eq 1 ]
    psql -X -q -c "ALTER TABLE other_name SET SCHEMA elsewhere"
    run cat "$T/other_name/other_name.csv"
    [ "$status" -ne 0 ]
    [ "$(tail -n 1 "$MNT/elsewhere/other_name/other_name.csv")" = 5 ]
    # Two tables change names.
    psql -X -q -c "CREATE TABLE one AS SELECT 1 AS a" -c "CREATE TABLE two AS SELECT 2 AS a"
    [ "$(tail -n 1 "$T/one/one.csv")$(tail -n 1 "$T/two/two.csv")" = 12 ]
    psql -X -q -c "BEGIN; ALTER TABLE one RENAME TO three; ALTER TABLE two RENAME TO one; ALTER TABLE three RENAME TO two; COMMIT"
    [ "$(tail -n 1 "$T/one/one.csv")$(tail -n 1 "$T/two/two.csv")" = 21 ]
    psql -X -q -c "DROP TABLE one, two"
    sleep 1.2 # a directory that was there a second ago is taken to be there
    run ls "$T/one"
    [ "$status" -ne 0 ]
}

@test "a loop of DDL beside a loop of reads: right bytes or a clear error, and it recovers by itself" {
    local rounds
    rounds=$(often 60 150)
    psql -X -q -c "DROP TABLE IF EXISTS shape" -c "CREATE TABLE shape (id int, v int)"
    mount_start -o lease=0
    (
        export PGAPPNAME=writer
        for ((n = 0; n < rounds; n++)); do
            psql -X -q -c "BEGIN; DROP TABLE shape; CREATE TABLE shape (id int, v int); INSERT INTO shape SELECT i, $n FROM generate_series(1, 300) i; COMMIT" \
                -c "ALTER TABLE shape ADD c$n int DEFAULT $n" -c "ALTER TABLE shape RENAME TO away" -c "ALTER TABLE away RENAME TO shape" -c "TRUNCATE shape"
        done
    ) >/dev/null 2>&1 3>&- &
    changer=$!
    PIDS+=("$changer")
    : >"$OUT/errors"
    good=0
    while ! process_gone "$changer"; do
        if cp "$T/shape/shape.csv" "$OUT/copy.csv" 2>>"$OUT/errors"; then
            good=$((good + 1))
            # Of one state: all rows of one n and with as many fields as the header, or none.
            awk -F, 'NR == 1 { fields = NF } NF != fields || (NR > 1 && $2 != (v == "" ? v = $2 : v)) { print FILENAME ":" $0; bad = 1 } END { exit bad || (NR != 301 && NR != 1) }' "$OUT/copy.csv"
        fi
    done
    sed 's/.*: //' "$OUT/errors" | sort | uniq -c
    echo "$good good"
    [ "$good" -gt 0 ]
    [ -z "$(grep -v -e 'No such file or directory' -e 'Stale file handle' "$OUT/errors")" ]
    assert_current shape
}

@test "a table that is dropped and made anew again and again is there for everybody, at any time" {
    local make='CREATE TABLE phoenix (id int PRIMARY KEY, v int, e vector(2))' reader rounds
    rounds=$(often 70 200)
    psql -X -q -c "DROP TABLE IF EXISTS phoenix" -c "$make"
    cat >"$OUT/read.py" <<'PYTHON'
"""read.py TABLE END: stats, opens, lists and asks until the file END is there; each must go well."""
import json, os, sys

table, end = sys.argv[1:]
path = f"{table}/{os.path.basename(table)}.csv"

def read():
    with open(path) as file:
        return file.read()

def ask():
    with open(table + "/query/ask", "r+b", buffering=0) as file:
        file.write(b'{"vector":[1,1],"k":3}\n')
        answer = file.read(65536)
    if b"any more" in answer or b"dropped" in answer:
        raise OSError(0, answer)

went = {}
while not os.path.exists(end):
    for do in (lambda: os.stat(path), read, lambda: os.listdir(table), ask):
        try:
            do()
            went["well"] = went.get("well", 0) + 1
        except OSError as error:
            went[str(error)] = went.get(str(error), 0) + 1
print(json.dumps(went))
sys.exit(list(went) != ["well"])
PYTHON
    for ((n = 0; n < rounds; n++)); do
        echo "BEGIN; DROP TABLE phoenix; $make; INSERT INTO phoenix SELECT i, $n, '[1,2]' FROM generate_series(1, 100) i; COMMIT;"
    done >"$OUT/changes.sql"
    mount_start -o lease=0
    readers=()
    for reader in 1 2; do
        timeout 100 python3 "$OUT/read.py" "$T/phoenix" "$OUT/end" >"$OUT/went.$reader" 3>&- &
        readers+=($!)
    done
    PIDS+=("${readers[@]}")
    timeout 60 psql -X -q -v ON_ERROR_STOP=1 -f "$OUT/changes.sql"
    touch "$OUT/end"
    for reader in 1 2; do wait "${readers[reader - 1]}" || { cat "$OUT"/went.*; false; }; done
    assert_current phoenix
}

@test "a file that is open while its table is dropped stays readable" {
    psql -X -q -c "DROP TABLE IF EXISTS doomed" -c "CREATE TABLE doomed AS SELECT i, repeat('z', 500) AS z FROM generate_series(1, 20000) i"
    reference_csv public.doomed >"$OUT/right"
    mount_start -o lease=0
    {
        head -c 1000 <&4 >"$OUT/got"
        psql -X -q -c "DROP TABLE doomed"
        run cat "$T/doomed/doomed.csv"
        [ "$status" -ne 0 ]
        cat <&4 >>"$OUT/got"
    } 4<"$T/doomed/doomed.csv"
    assert_same_bytes "$OUT/got" "$OUT/right"
}

@test "a look-up with nothing behind it changes nothing for who has the file open, and waits for the server only for a moment" {
    psql -X -q -c "DROP TABLE IF EXISTS bare" -c "CREATE TABLE bare AS SELECT generate_series(1, 100) AS i"
    mount_start -o lease=0
    cat >"$E2E/bare.py" <<'PYTHON'
import os, subprocess, sys
path = sys.argv[1]
def sql(text):
    subprocess.run(["psql", "-X", "-q", "-c", text], check=True)
def bare():
    os.close(os.open(path, os.O_PATH))
    assert os.access(path, os.F_OK)
    try:
        os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        raise AssertionError
    except FileExistsError:
        pass
with open(path, "rb") as file:
    opened = os.fstat(file.fileno())
    for n in range(1, 6):
        bare()
        assert os.fstat(file.fileno()) == opened
        sql("INSERT INTO bare VALUES (%d)" % (100 + n))
        bare()
        assert os.fstat(file.fileno()) == opened
        size = os.stat(path).st_size
        assert size == opened.st_size + 4 * n, (n, size, opened.st_size)
        assert os.fstat(file.fileno()) == opened
    assert file.read().count(b"\n") == 101
with open(path, "rb") as file: # whose table nobody can ask now
    opened = os.fstat(file.fileno())
    sys.stdout.write("open\n")
    sys.stdout.flush()
    sys.stdin.readline()
    bare()
    assert os.fstat(file.fileno()) == opened
    assert file.read().count(b"\n") == 106
PYTHON
    coproc BARE { python3 "$E2E/bare.py" "$T/bare/bare.csv" 3>&- 2>"$OUT/errors"; }
    PIDS+=("$BARE_PID")
    local pid=$BARE_PID line
    read -r -t 60 line <&"${BARE[0]}" || { cat "$OUT/errors"; false; }
    lock_start bare
    echo >&"${BARE[1]}"
    wait_gone "$pid" 30
    lock_stop
    cat "$OUT/errors"
    [ ! -s "$OUT/errors" ]
}

@test "a file that is open for others, and whose table is locked and changes, is shown as it is afterwards" {
    psql -X -q -c "DROP TABLE IF EXISTS doubt" -c "CREATE TABLE doubt AS SELECT generate_series(1, 100) AS i" \
        -c "CREATE TABLE IF NOT EXISTS beside (i int)"
    mount_start -o lease=0
    exec 5<"$T/doubt/doubt.csv"
    PGAPPNAME=locker psql -X -q -v ON_ERROR_STOP=1 -c BEGIN -c "LOCK TABLE doubt IN ACCESS EXCLUSIVE MODE" \
        -c "INSERT INTO doubt VALUES (101)" -c "SELECT pg_sleep(3)" -c COMMIT >/dev/null 3>&- 5<&- & # longer than a look-up waits
    local locker=$!
    PIDS+=("$locker")
    within 20 lock_is_held doubt
    psql -X -q -c "INSERT INTO beside VALUES (1)" # so that the table is asked
    stat -c %s "$T/doubt/doubt.csv" >"$OUT/stat" 3>&- 5<&- &
    local stat=$!
    tail -n 1 "$T/doubt/doubt.csv" >"$OUT/tail" 3>&- 5<&- &
    local tail=$!
    python3 -c 'import sys; print(open(sys.argv[1]).read().split()[-1])' "$T/doubt/doubt.csv" >"$OUT/python" 3>&- 5<&-
    wait "$stat"
    wait "$tail"
    wait "$locker"
    [ "$(cat "$OUT/stat")" = "$(reference_csv public.doubt | wc -c)" ]
    [ "$(cat "$OUT/tail")" = 101 ]
    [ "$(cat "$OUT/python")" = 101 ]
    [ "$(tail -n 1 <&5)" = 100 ]
    exec 5<&-
}
