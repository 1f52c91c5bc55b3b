#!/usr/bin/env bats
# query/ where it gets hard: keys that are odd, tools that walk the whole mount, questions that the server is slow with, a
# server that is gone, little room.

load helper

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE items (id int PRIMARY KEY, name text, v vector(8));
INSERT INTO items SELECT i, 'n' || i, ARRAY(SELECT sin(i * d) FROM generate_series(1, 8) d)::vector FROM generate_series(1, 2000) i;
CREATE TABLE texts (k text PRIMARY KEY, v vector(2));
INSERT INTO texts VALUES ('', '[1,1]'), (E'new\nline', '[1,2]'), ('ünï☃', '[1,3]'), (' ', '[1,4]'), ('..', '[1,5]'), ('"q",', '[1,6]'),
    ('%2F', '[1,7]'), ('NULL', '[1,8]'), (E'\x7f', '[1,9]'), ('none', NULL);
CREATE TABLE pairs (a text, b text, v vector(2), PRIMARY KEY (a, b));
INSERT INTO pairs VALUES ('a,b', 'c', '[1,1]'), ('a', 'b,c', '[5,5]'), ('x', 'y', '[2,2]'), ('p,q', 'r', '[3,3]');
SQL
    mount_start -o lease=0
}
teardown_file() { teardown_all; }

setup() {
    T=$MNT/public
    PIDS=()
}

teardown() {
    [ ${#PIDS[@]} = 0 ] || kill -KILL "${PIDS[@]}" 2>/dev/null || true
    rmdir "$T"/*/query/*/ 2>/dev/null || true
}

sql() { psql -X -q -At -v ON_ERROR_STOP=1 -c "$1"; }
counted() {
    sleep 0.2 # the text is kept for so long
    sed -n "s/^pgvecfs_$1 //p" "$MNT/.pgvecfs/metrics"
}

asleep() { test "$(sql "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND application_name = 'pgvecfs'")" "-$1" "$2"; }

@test "keys: empty, with line breaks, unicode, dots, quotes, what looks like an escape" {
    local number=0 name near=$T/texts/query/near/v/l2
    for name in '' 'new%0Aline' 'ünï☃' ' ' '%2E.' '"q",' '%252F' NULL '%7F'; do
        number=$((number + 1))
        # The rows stand one apart: the farthest of all is the first, or the last.
        [ "$(jq -s 'map(.distance) | max' "$near/9/$name.jsonl")" = $((number < 5 ? 9 - number : number - 1)) ]
        [ "$(jq -s length "$near/9/$name.jsonl")" = 8 ]
    done
    run cat "$near/9/none.csv"
    [[ $output == *"Invalid argument"* ]]
    run cat "$near/9/no-such.csv"
    [[ $output == *"No such file"* ]]
}

@test "a key of several columns that may mean two rows is refused, and others with commas are found" {
    near=$T/pairs/query/near/v/l2/1
    [ "$(jq -r .distance "$near/x,y.jsonl" | cut -c1-6)" = 1.4142 ]
    [ "$(jq -r .a "$near/p,q,r.jsonl")" = x ]
    run cat "$near/a,b,c.csv"
    [[ $output == *"Invalid argument"* ]]
    exec 5<>"$T/pairs/query/ask"
    echo '{"key":"a,b,c","k":1}' >&5
    [[ $(cat <&5) == *"several rows"* ]]
    exec 5<&-
}

@test "find, ls, cp, tar, rsync and grep over the whole mount work beside sessions, and ask nothing" {
    for name in good bad slow; do
        mkdir "$T/items/query/$name"
        echo '[1,2,3,4,5,6,7,8]' >"$T/items/query/$name/vector"
        echo hnsw >"$T/items/query/$name/mode"
    done
    echo '[1,2]' >"$T/items/query/bad/vector"
    echo 'pg_sleep(60) IS NULL' >"$T/items/query/slow/filter"
    before=$(counted queries_total)
    find "$MNT" >"$E2E/found"
    grep -q query/slow/vector "$E2E/found"
    [ "$(grep -c results "$E2E/found")" = 0 ]
    timeout 30 ls -lR "$MNT" >/dev/null
    timeout 30 cp -r "$MNT/public/items" "$E2E/copy"
    timeout 30 tar -cf "$E2E/all.tar" -C "$MNT" .
    timeout 30 rsync -a "$MNT/" "$E2E/sync/"
    run timeout 30 grep -r 'nowhere to be found' "$MNT/public"
    [ "$status" = 1 ]
    [ "$(counted queries_total)" = "$before" ]
    [ "$(jq -r .state "$T/items/query/index/v.l2.json")" = absent ]
    [ "$(head -n 1 "$T/items/query/good/results.csv")" = id,name,distance ]
}

@test "questions that the server is slow with do not hold up others, of whatever kind" {
    for i in $(seq 12); do
        mkdir "$T/items/query/s$i"
        echo '[1,2,3,4,5,6,7,8]' >"$T/items/query/s$i/vector"
        echo "pg_sleep(60) IS NOT NULL AND $i > 0" >"$T/items/query/s$i/filter"
        cat "$T/items/query/s$i/results.csv" >/dev/null 2>&1 3>&- &
        PIDS+=($!)
        bash -c 'exec 5<>"$1"; echo "{\"key\":1,\"filter\":\"pg_sleep(60) IS NULL\"}" >&5; exec cat <&5' - "$T/items/query/ask" >/dev/null 2>&1 3>&- &
        PIDS+=($!)
    done
    within 10 asleep ge 4
    sleep 0.5
    timeout 10 cat "$T/items/query/near/v/cosine/3/77.csv" >/dev/null
    timeout 10 cp "$T/texts/texts.csv" "$E2E/texts.csv"
    mkdir "$T/items/query/quick"
    echo '[1,2,3,4,5,6,7,8]' >"$T/items/query/quick/vector"
    [ "$(timeout 10 wc -l <"$T/items/query/quick/results.csv")" = 11 ]
    exec 6<>"$T/items/query/ask"
    echo '{"key":5,"k":1}' >&6
    [[ $(timeout 10 cat <&6) == '{"id"'* ]]
    exec 6<&-
    kill -TERM "${PIDS[@]}"
    for pid in "${PIDS[@]}"; do wait_gone "$pid" 5; done
    PIDS=()
    within 10 asleep eq 0
}

@test "a conversation that goes to the server and back keeps its order" {
    local rounds
    rounds=$(often 8 30)
    exec 5<>"$T/items/query/ask"
    for i in $(seq "$rounds"); do
        printf '{"key":%d,"k":1,"mode":"exact"}\n{"key":%d,"k":1,"filter":"true"}\n{"key":%d,"k":1,"filter":"nope"}\n{"key":%d,"k":1,"mode":"server"}\n' "$i" "$i" "$i" "$i"
    done >&5
    cat <&5 >"$E2E/answers"
    exec 5<&-
    [ "$(wc -l <"$E2E/answers")" = $((4 * rounds)) ]
    [ "$(jq -c 'has("error")' "$E2E/answers" | paste -sd' ' - | sed 's/false false true false//g' | tr -d ' ')" = "" ]
    for i in 1 $((rounds / 2)) "$rounds"; do
        [ "$(sed -n $((4 * i - 3))p "$E2E/answers" | jq .id)" = "$(sql "SELECT id FROM items WHERE id <> $i ORDER BY v <-> (SELECT v FROM items WHERE id = $i), id LIMIT 1")" ]
        [ "$(sed -n $((4 * i - 3))p "$E2E/answers")" = "$(sed -n $((4 * i - 2))p "$E2E/answers")" ]
    done
}

@test "an answer that is larger than memory= allows is refused, and the memory stays free" {
    sql "CREATE TABLE fat (id int PRIMARY KEY, t text, v vector(2)); ALTER TABLE fat ALTER t SET STORAGE external;
         INSERT INTO fat SELECT i, repeat(md5(i::text), 3000), format('[%s,1]', i)::vector FROM generate_series(1, 2500) i"
    mkdir "$E2E/small"
    MNT=$E2E/small CACHE=$E2E/cache2 mount_start -o lease=0,memory=32M
    S=$E2E/small/public/fat/query/s
    mkdir "$S"
    echo '[1,2]' >"$S/vector"
    echo 2500 >"$S/k"
    for mode in exact server; do
        echo $mode >"$S/mode"
        run cat "$S/results.csv"
        [[ $output == *"Invalid argument"* ]]
        [[ $(cat "$S/error") == *"larger than 8 MiB"*fewer* ]]
    done
    most=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$(cat "$E2E/small.pid")/status")
    echo 20 >"$S/k"
    [ "$(wc -l <"$S/results.csv")" = 21 ]
    echo id >"$S/columns"
    echo 2500 >"$S/k"
    [ "$(wc -l <"$S/results.csv")" = 2501 ]
    MNT=$E2E/small CACHE=$E2E/cache2 mount_stop
    sql "DROP TABLE fat"
    echo "at most $most kB"
    [[ $PGVECFS == *san* ]] || [ "$most" -lt 200000 ]
}

@test "a process that opens an answer again and again sees each change at once" {
    mkdir "$T/pairs/query/s"
    echo '[9,9]' >"$T/pairs/query/s/vector"
    python3 - "$T/pairs/query" <<'PYTHON'
import json, os, subprocess, sys
for i in range(6):
    subprocess.run(["psql", "-X", "-q", "-c", f"INSERT INTO pairs VALUES ('new', '{i}', '[9,{9 + (6 - i) / 10}]')"], check=True)
    for path in "s/results.jsonl", "near/v/l2/20/x,y.jsonl":
        with open(f"{sys.argv[1]}/{path}") as file: # it asks for its size, too
            keys = [row["b"] for row in map(json.loads, file) if row["a"] == "new"]
        assert sorted(keys) == [str(n) for n in range(i + 1)], (i, path, keys)
    before = os.stat(f"{sys.argv[1]}/s/results.jsonl")
    with open(f"{sys.argv[1]}/s/results.jsonl") as file:
        assert os.fstat(file.fileno()).st_ino == before.st_ino
PYTHON
    sql "DELETE FROM pairs WHERE a = 'new'"
}

@test "too many sessions: the log says what to do" {
    for i in $(seq 64); do mkdir "$T/texts/query/s$i"; done
    run mkdir "$T/texts/query/more"
    [[ $output == *"No space left"* ]]
    grep -q 'query/more.*rmdir' "$MNT/.pgvecfs/log"
}

@test "sessions end with the table that they are of, be it dropped, renamed or without vectors; what is open goes on" {
    local name
    for name in dropped renamed bare; do
        sql "CREATE TABLE $name AS SELECT * FROM items WHERE id < 100"
        within 10 ls "$T/$name/query" >/dev/null
        for i in 1 2; do mkdir "$T/$name/query/s$i"; done
        echo '[1,2,3,4,5,6,7,8]' >"$T/$name/query/s1/vector"
    done
    mkdir "$T/items/query/stays"
    exec 4<"$T/dropped/query/s1/results.csv" 5<"$T/renamed/query/s1/vector"
    [ "$(counted query_sessions)" = 7 ]
    sql "DROP TABLE dropped; ALTER TABLE renamed RENAME TO other; ALTER TABLE bare DROP COLUMN v"
    one_left() { ls "$T" >/dev/null && [ "$(counted query_sessions)" = 1 ]; }
    within 20 one_left
    [ -d "$T/items/query/stays" ]
    [ "$(wc -l <&4)" = 11 ]
    [ "$(cat <&5)" = '[1,2,3,4,5,6,7,8]' ]
    exec 4<&- 5<&-
    [ ! -e "$T/renamed/query/s1" ]
    mkdir "$T/other/query/s1" # a name like any other
    rmdir "$T/other/query/s1"
    sql "ALTER TABLE other RENAME TO renamed"
    within 10 ls "$T/renamed/query" >/dev/null
    [ ! -e "$T/renamed/query/s1" ]
    mkdir "$T/renamed/query/s1"
    [ ! -s "$T/renamed/query/s1/vector" ]
    rmdir "$T/renamed/query/s1"
    sql "DROP TABLE renamed, bare"
}

@test "a server that dies under a query: EIO, and error and the log say why; then all goes on" {
    S=$T/items/query/s
    mkdir "$S"
    echo '[1,2,3,4,5,6,7,8]' >"$S/vector"
    echo 'pg_sleep(60) IS NOT NULL' >"$S/filter"
    cat "$S/results.csv" >"$E2E/out" 2>&1 3>&- &
    PIDS+=($!)
    within 5 asleep eq 1
    "$ROOT/scripts/private-pg" kill "$E2E/pg"
    run wait "${PIDS[0]}"
    [ "$status" = 1 ]
    grep -q 'Input/output' "$E2E/out"
    [ -s "$S/error" ]
    : >"$S/filter"
    run cat "$S/results.csv"
    [[ $output == *"Input/output"* ]]
    [[ $(cat "$S/error") == *connection* ]]
    grep -q 'items.*connection' "$MNT/.pgvecfs/log"
    "$ROOT/scripts/private-pg" start "$E2E/pg"
    within 5 cat "$S/results.csv" >/dev/null
    [ "$(wc -l <"$S/results.csv")" = 11 ]
    [ ! -s "$S/error" ]
}

@test "what is written and never asked is bounded, in conversations and in values, whoever writes it" {
    mkdir "$E2E/little"
    MNT=$E2E/little CACHE=$E2E/cache3 mount_start -o lease=0,memory=32M
    python3 - "$E2E/little/public/items/query" <<'PY'
import errno, os, sys
query = sys.argv[1]
piece = b"[" + b"1" * ((1 << 20) - 1)

def fails(number, action):
    try:
        action()
    except OSError as error:
        assert error.errno == number, error
        return
    raise AssertionError("it did not fail")

def fill(path, most):
    """Writes until it is refused, or so many MiB."""
    f = os.open(path, os.O_RDWR)
    for count in range(most):
        try:
            os.write(f, piece)
        except OSError as error:
            assert error.errno == errno.ENOBUFS, error
            return f, count
    return f, most

def drop(f):
    try:
        os.close(f)
    except OSError as error: # what is there is no vector
        assert error.errno == errno.EINVAL, error

def metric():
    import time
    time.sleep(0.2)
    return int([line for line in open(query + "/../../../.pgvecfs/metrics") if line.startswith("pgvecfs_query_written_bytes ")][0].split()[1])

# memory=32M: 16 MiB for all.
first, n = fill(query + "/ask", 64)
assert n == 16 or n == 15, n
assert "half of memory=" in os.getxattr(query, "user.pgvecfs.error").decode()
second = os.open(query + "/ask", os.O_RDWR)
fails(errno.ENOBUFS, lambda: os.write(second, piece))
os.write(second, b'{"key":1,"k":1,"columns":["id"]}\n')
assert b'"id"' in os.read(second, 100)
os.mkdir(query + "/full")
f, n = fill(query + "/full/vector", 4)
assert n <= 1, n
assert "half of memory=" in open(query + "/full/error").read()
drop(f)
os.close(first)
f, n = fill(query + "/full/vector", 10)
assert n == 10, n
assert metric() >= 10 << 20
drop(f)
# A large write comes in pieces. Of one that is refused nothing is taken, though it may have been told to go on with the rest.
lines = (b"[0.25,0.5,0.75]" + b" " * 48 + b"\n") * (8 << 14)
f = os.open(query + "/full/vector", os.O_WRONLY | os.O_TRUNC)
def write_all():
    at = 0
    while at < len(lines):
        at += os.write(f, lines[at:])
first, _ = fill(query + "/ask", 4)
fails(errno.ENOBUFS, write_all)
os.close(f)
os.close(first)
assert "half of memory=" in open(query + "/full/error").read()
with open(query + "/full/vector", "w") as f:
    f.write("[1,2,3]\n")
assert open(query + "/full/vector").read() == "[1,2,3]\n" and open(query + "/full/error").read() == ""
# Text is no longer than a MiB, vectors have more.
def filter_of(size):
    with open(query + "/full/filter", "w") as f:
        f.write("true" + " " * (size - 5) + "\n")
filter_of(1 << 20)
fails(errno.EFBIG, lambda: filter_of((1 << 20) + 1))
assert "filter is longer than 1 MiB" in open(query + "/full/error").read()
os.write(second, b'{"key":1,"filter":"true' + b" " * (1 << 19))
os.write(second, b" " * (1 << 19) + b'"}\n')
assert b"filter is longer than 1 MiB" in os.read(second, 1000)
os.close(second)
# Answers to what is asked no more let go of their questions.
open(query + "/full/filter", "w").close()
with open(query + "/full/vector", "w") as f:
    f.write("[" + ",".join(["0.5"] * 8) + "]" + " " * 700000 + "\n")
for k in range(1, 30):
    with open(query + "/full/k", "w") as f:
        f.write("%d\n" % (k % 2 + 1))
    os.stat(query + "/full/results.csv")
os.rmdir(query + "/full")
PY
    within 10 grep -qx 'pgvecfs_query_written_bytes 0' "$E2E/little/.pgvecfs/metrics"
    MNT=$E2E/little mount_stop
}

@test "values that are read take no memory of their own, however many files show them, and keep nobody from writing" {
    mkdir -p "$E2E/little"
    MNT=$E2E/little CACHE=$E2E/cache3 mount_start -o lease=0,memory=32M
    python3 - "$E2E/little/public/items/query" <<'PY'
import os, sys, time
query = sys.argv[1]

def metric():
    time.sleep(0.2)
    with open(query + "/../../../.pgvecfs/metrics") as f:
        return [int(line.split()[1]) for line in f if line.startswith("pgvecfs_query_written_bytes ")][0]

def write(name, text):
    with open("%s/s/%s" % (query, name), "w") as f:
        f.write(text)

# memory=32M: 16 MiB for what is written.
os.mkdir(query + "/s")
long = {name: "1=1 or " * 149000 + "1=1\n" for name in ("filter", "columns", "column")}
long["vector"] = "[" + "0.5," * 8 + " " * (6 << 20) + "1]\n"
for name, text in long.items():
    write(name, text)
before = metric()
assert sum(map(len, long.values())) - 10 < before < 10 << 20, before
files = []
for i in range(60):
    for name, text in long.items():
        files.append((open("%s/s/%s" % (query, name), "rb", buffering=0), text))
        assert os.pread(files[-1][0].fileno(), 1, 0) == text[:1].encode()
assert metric() == before
# Another value is another question, which has the same texts; who has a file open keeps what it showed.
for k in range(1, 20):
    write("k", "%d\n" % k)
    files.append((open(query + "/s/vector", "rb", buffering=0), long["vector"]))
    files.append((open(query + "/s/k", "rb", buffering=0), "%d\n" % k))
assert metric() == before
write("filter", "true\n")
write("columns", "id\n")
assert before <= metric() < before + 100
for f, text in files[:4] + files[-2:]:
    data = text.encode()
    assert f.read(1 << 24) == data
    assert os.pread(f.fileno(), 10, len(data) - 3) == data[-3:] and os.pread(f.fileno(), 10, len(data) - 1) == b"\n"
    assert os.pread(f.fileno(), 10, len(data)) == os.pread(f.fileno(), 10, len(data) + 1) == b""
    assert os.fstat(f.fileno()).st_size >= len(data)
for f, _ in files:
    f.close()
write("column", "")
write("vector", "")
end = time.time() + 10
while metric() > 10: # "true", "id"
    assert time.time() < end
# Who writes to what he has read has bytes of his own.
write("filter", "a = 1 or ")
with open(query + "/s/filter", "a") as f:
    f.write("b = 2")
assert open(query + "/s/filter").read() == "a = 1 or \nb = 2\n"
with open(query + "/s/filter", "r+") as f:
    assert f.read() == "a = 1 or \nb = 2\n"
    f.seek(0)
    f.write("c")
assert open(query + "/s/filter").read() == "c = 1 or \nb = 2\n"
os.rmdir(query + "/s")
PY
    within 10 grep -qx 'pgvecfs_query_written_bytes 0' "$E2E/little/.pgvecfs/metrics"
    MNT=$E2E/little mount_stop
}

# A table with answers of 2 MB.
make_wide() {
    psql -X -q -v ON_ERROR_STOP=1 -c 'DROP TABLE IF EXISTS wide' -c 'CREATE TABLE wide (id int PRIMARY KEY, text text, v vector(2))' \
        -c "INSERT INTO wide SELECT i, repeat('x', 2000), format('[%s,1]', i)::vector FROM generate_series(1, 1000) i"
}

@test "answers take no more memory than they may: those that were closed, that were only looked at, and that are open" {
    make_wide
    MNT=$E2E/little CACHE=$E2E/cache3 mount_start -o lease=600,memory=32M
    python3 - "$E2E/little/public/wide/query" <<'PY'
import errno, os, sys, time
query = sys.argv[1]

def metric(name):
    time.sleep(0.2)
    with open(query + "/../../../.pgvecfs/metrics") as f:
        return [int(line.split()[1]) for line in f if line.startswith("pgvecfs_" + name + " ")][0]

def near(key):
    return "%s/near/v/l2/1000/%d.csv" % (query, key)

# memory=32M: 4 MiB for those that are kept, an answer has 2 MB.
size = os.stat(near(1)).st_size
assert size > 1 << 20, size
for key in range(1, 7):
    assert os.stat(near(key)).st_size > size // 2
for key in range(11, 17):
    with open(near(key)) as f:
        assert len(f.read(10)) == 10
assert 0 < metric("query_answer_bytes") <= 4 << 20
# What was looked at is there again, whatever has become of it meanwhile.
for key in range(1, 4):
    path = os.open(near(key), os.O_PATH)
    before = os.stat(near(key))
    os.stat(near(11))
    os.stat(near(12))
    os.stat(near(13))
    now = os.stat(near(key))
    assert (now.st_ino, now.st_size, now.st_mtime) == (before.st_ino, before.st_size, before.st_mtime)
    with open(near(key)) as f:
        assert len(f.read()) == now.st_size
    os.close(path)
# 16 MiB for those that are open; one of them is one, however often.
files = []
for key in range(1, 12):
    try:
        files.append((key, open(near(key))))
    except OSError as error:
        assert error.errno == errno.ENOBUFS, error
        break
assert 5 <= len(files) <= 8, len(files)
assert "half of memory=" in os.getxattr(query, "user.pgvecfs.error").decode()
assert 12 << 20 < metric("query_open_answer_bytes") <= 16 << 20
assert metric("query_answer_bytes") <= 20 << 20
again = [open(near(1)) for i in range(20)]
with open("%s/near/v/l2/3/1.csv" % query) as f:
    assert len(f.readlines()) == 4
files.pop()[1].close()
time.sleep(0.1)
more = open(near(40))
for key, f in files + [(40, more)]:
    rows = f.read().splitlines()
    assert len(rows) == 1000 and rows[1].split(",")[0] in (str(key - 1), str(key + 1)), key
    f.close()
for f in again:
    f.close()
end = time.time() + 10
while metric("query_open_answer_bytes") > 0:
    assert time.time() < end
assert metric("query_answer_bytes") <= 4 << 20
PY
    MNT=$E2E/little mount_stop
}

@test "answers of conversations that nobody reads take no more memory than they may, and keep nobody from others" {
    make_wide
    MNT=$E2E/little CACHE=$E2E/cache3 mount_start -o lease=600,memory=32M
    python3 - "$E2E/little/public/wide/query" <<'PY'
import json, os, sys, threading, time
query = sys.argv[1]

def metric(name):
    time.sleep(0.2)
    with open(query + "/../../../.pgvecfs/metrics") as f:
        return [int(line.split()[1]) for line in f if line.startswith("pgvecfs_" + name + " ")][0]

def ask(f, key, k=1000):
    os.write(f, b'{"key":%d,"k":%d}\n' % (key, k))

def read(f):
    parts = []
    while part := os.read(f, 1 << 20):
        parts.append(part)
    return b"".join(parts).splitlines()

def row(line):
    return json.loads(line)["id"]

def filled():
    """What is unread once it is so much that nothing further is begun."""
    end = time.time() + 30
    while metric("query_unread_bytes") < 8 << 20:
        assert time.time() < end
    time.sleep(0.5)
    return metric("query_unread_bytes")

# memory=32M: 8 MiB, and what was begun before; no more than 32 MiB.
files = [os.open(query + "/ask", os.O_RDWR) for i in range(30)]
for key, f in enumerate(files, 1):
    ask(f, key)
assert filled() <= 33 << 20
# Each has its answer all the same, in whichever order they are read.
for key, f in reversed(list(enumerate(files, 1))):
    rows = read(f)
    assert len(rows) == 999 and row(rows[0]) in (key - 1, key + 1), key
    size = sum(map(len, rows)) + len(rows)
    assert read(f) == []
assert metric("query_unread_bytes") == 0
# So do many questions of one write.
os.write(files[0], b"".join(b'{"key":%d,"k":1000}\n' % key for key in range(1, 21)))
assert filled() < 12 << 20
rows = read(files[0])
assert len(rows) == 20 * 999 and all(row(rows[999 * i]) in (i, i + 2) for i in range(20))
# Who begins to read all of them and leaves off gets no more than so much; a small answer goes by that.
begun = 0
while metric("query_unread_bytes") + size < 32 << 20:
    ask(files[begun], begun + 1)
    assert os.read(files[begun], 10).startswith(b'{"id":')
    begun += 1
assert begun >= 10
other = os.open(query + "/ask", os.O_RDWR)
ask(other, 7, 2)
assert [row(line) for line in read(other)] == [6, 8]
# Who waits for an answer then has it once others are read; where nobody reads on it is an error.
got = {}
def wait_for(number):
    ask(files[number], number + 1)
    got[number] = read(files[number])
waiting = [threading.Thread(target=wait_for, args=(number,)) for number in (begun, begun + 1, begun + 2)]
for thread in waiting:
    thread.start()
time.sleep(0.3)
for f in files[:3]:
    assert len(read(f)) == 999
for thread in waiting:
    thread.join(60)
for number in (begun, begun + 1, begun + 2):
    assert len(got[number]) == 999 and row(got[number][0]) in (number, number + 2), got[number][:1]
for number in range(3):
    ask(files[number], number + 1)
    assert os.read(files[number], 10).startswith(b'{"id":')
assert metric("query_unread_bytes") <= 32 << 20
ask(other, 7)
rest = read(other)
assert len(rest) == 1 and b"half of memory=" in rest[0], rest[:1]
ask(other, 7, 2)
assert [row(line) for line in read(other)] == [6, 8]
for f in files:
    os.close(f)
end = time.time() + 10
while metric("query_unread_bytes") > 0:
    assert time.time() < end
PY
    MNT=$E2E/little mount_stop
}

@test "however many ask for large answers at once, each has its own, and they are made within bounds" {
    psql -X -q -v ON_ERROR_STOP=1 -c 'CREATE TABLE tall (id int PRIMARY KEY, text text, v vector(2))' \
        -c "INSERT INTO tall SELECT i, repeat('x', 7000), format('[%s,1]', i)::vector FROM generate_series(1, 1000) i"
    MNT=$E2E/little CACHE=$E2E/cache3 mount_start -o lease=600,memory=32M
    timeout 600 python3 - "$E2E/little/public/tall/query" "$(cat "$E2E/little.pid")" <<'PY'
import json, os, sys, threading
query = sys.argv[1]
got = {}

def read(path):
    with open(path, "rb") as f:
        return f.read().splitlines()

def ask(key):
    f = os.open(query + "/ask", os.O_RDWR)
    os.write(f, json.dumps({"key": key, "k": 1000, **({"filter": "true"} if key % 3 else {})}).encode() + b"\n")
    got[key] = []
    while part := os.read(f, 1 << 20):
        got[key].append(part)
    got[key] = b"".join(got[key]).splitlines()
    os.close(f)

def near(key):
    got[key] = read("%s/near/v/l2/1000/%d.jsonl" % (query, key))

assert len(read(query + "/near/v/l2/2/1.jsonl")) == 2
threads = [threading.Thread(target=near if key in (6, 12) else ask, args=(key,)) for key in range(1, 25)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for key, rows in got.items():
    assert len(rows) == 999 and json.loads(rows[0])["id"] in (key - 1, key + 1), (key, rows[0][:200])

# Those that wait for room have no threads, but for a few: these are there for ten seconds more.
sizes = {}
def stat(key):
    sizes[key] = os.stat("%s/near/v/l2/1000/%d.csv" % (query, key)).st_size
threads = [threading.Thread(target=stat, args=(key,)) for key in range(1, 151)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(sizes) == 150 and min(sizes.values()) > 6900000, sizes
with open("/proc/%s/status" % sys.argv[2]) as f:
    count = [int(line.split()[1]) for line in f if line.startswith("Threads:")][0]
print(count, "threads")
assert count < 80, count
PY
    most=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$(cat "$E2E/little.pid")/status")
    echo "at most $most kB"
    MNT=$E2E/little mount_stop
    psql -X -q -c 'DROP TABLE tall'
    [[ $PGVECFS == *san* ]] || [ "$most" -lt 200000 ]
}

@test "vectors that are asked with at once, and what is found, are bounded by memory=" {
    sql "CREATE TABLE sparse (id int PRIMARY KEY, v sparsevec); INSERT INTO sparse VALUES (1, '{1:1}/4000000');
         CREATE TABLE many (id int PRIMARY KEY, v vector(2)); INSERT INTO many SELECT i, format('[%s,1]', i)::vector FROM generate_series(1, 100000) i"
    MNT=$E2E/tight CACHE=$E2E/cache4 mount_start -o lease=600,memory=32M
    S=$E2E/tight/public/sparse/query/s
    mkdir "$S"
    echo 1 >"$S/k"
    yes '{1:1}/4000000' | head -n 10000 >"$S/vector"
    run timeout 60 cat "$S/results.csv"
    [[ $output == *"Invalid argument"* ]]
    [[ $(cat "$S/error") == *"10000 vectors at once"*fewer* ]]
    yes '{1:1}/4000000' | head -n 5 >"$S/vector"
    [ "$(wc -l <"$S/results.csv")" = 6 ]
    # Few bytes of text, many rows; more conversations than may have room at once.
    timeout 600 python3 - "$E2E/tight/public/many/query" <<'PY'
import json, os, sys, threading
query = sys.argv[1]
counts = []

def ask():
    f = os.open(query + "/ask", os.O_RDWR)
    os.write(f, json.dumps({"vector": [[i, 1] for i in range(10)], "k": 80000, "columns": ["id"], "mode": "exact"}).encode() + b"\n")
    count = 0
    last = b""
    while part := os.read(f, 1 << 20):
        count += part.count(b"\n")
        last = part
    os.close(f)
    counts.append((count, last[-200:]))

threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
# Each is refused, for it is larger than a quarter of memory=; none for want of room.
assert len(counts) == 8 and all(b"larger than 8 MiB" in last for _, last in counts), counts
PY
    most=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$(cat "$E2E/tight.pid")/status")
    echo "at most $most kB"
    MNT=$E2E/tight mount_stop
    sql "DROP TABLE sparse, many"
    [[ $PGVECFS == *san* ]] || [ "$most" -lt 250000 ]
}

@test "names below near/ that nobody uses any more take no memory" {
    python3 - "$T/items/query/near" <<'PY'
import os, sys
for i in range(20000):
    os.stat("%s/no-such-column-%d" % (sys.argv[1], i))
PY
    for key in {1..300}; do cat "$T/items/query/near/v/l2/$key/1.csv"; done >/dev/null
    within 30 eval '[ "$(counted nodes)" -lt 5000 ]'
    [ "$(wc -l <"$T/items/query/near/v/l2/300/1.csv")" = 301 ]
}

@test "a mount has 256 conversations at most" {
    python3 - "$T/items/query/ask" <<'PY'
import errno, os, sys
files = [os.open(sys.argv[1], os.O_RDWR) for _ in range(256)]
try:
    os.open(sys.argv[1], os.O_RDWR)
    raise AssertionError("one more is open")
except OSError as error:
    assert error.errno == errno.ENOSPC, error
os.close(files.pop())
files.append(os.open(sys.argv[1], os.O_RDWR))
os.write(files[-1], b'{"key":1,"k":1}\n')
assert b'"id"' in os.read(files[-1], 1000)
PY
    grep -q 'query/ask cannot be opened: 256 are open' "$MNT/.pgvecfs/log"
}
