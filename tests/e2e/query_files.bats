# query/ as directories and files: names, sessions, values, conversations. Whether the answers are the right ones is
# another file's matter.
load helper

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE words (id int PRIMARY KEY, word text, e vector(3));
INSERT INTO words SELECT i, 'w' || i, format('[%s,%s,%s]', i % 17, i % 5, i)::vector FROM generate_series(1, 3000) i;
CREATE TABLE moving (id int PRIMARY KEY, e vector(2));
INSERT INTO moving SELECT i, format('[%s,0]', i)::vector FROM generate_series(1, 100) i;
CREATE TABLE keyed ("k.1" text PRIMARY KEY, "odd/col" vector(2));
INSERT INTO keyed VALUES ('a/b', '[1,1]'), ('.dot', '[2,2]'), ('plain', '[3,3]'), ('%', '[4,4]'), ('x.csv', '[5,5]');
CREATE TABLE locked (id int PRIMARY KEY, e vector(2));
INSERT INTO locked SELECT i, format('[%s,1]', i)::vector FROM generate_series(1, 100) i;
CREATE TABLE plain (id int, t text, b bool, v real[]);
CREATE DOMAIN d AS vector(2);
CREATE DOMAIN dd AS d;
CREATE TABLE of_domain (id int, v dd);
CREATE TABLE of_bits (id int, b bit(8));
CREATE TABLE of_varbits (id int, b bit varying(8));
CREATE TABLE of_halfvec (id int, h halfvec(2));
CREATE TABLE of_sparsevec (id int, s sparsevec(9));
CREATE TABLE of_arrays (id int, a vector[]);
CREATE TABLE had (id int, v vector(2));
ALTER TABLE had DROP v;
CREATE VIEW seen AS SELECT id, e FROM words;
CREATE TABLE parts (id int, e vector(2)) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (9);
CREATE TYPE vector_like AS (a int);
CREATE SCHEMA other;
CREATE DOMAIN other.vector AS text;
CREATE TABLE fake (id int, v other.vector);
SQL
    PYTHON=$(python3 -c 'import sys; print(sys.executable)')
    export PYTHON
    mount_start -o lease=1
}

teardown_file() { teardown_all; }

setup() {
    T=$MNT/public
    Q=$T/words/query
    OUT=$E2E/out/$BATS_TEST_NUMBER
    mkdir -p "$OUT"
    PIDS=()
}

teardown() {
    for pid in "${PIDS[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    lock_stop
    for session in "$T"/*/query/*/; do rmdir "$session" 2>/dev/null || true; done
    [ -n "${E2E_KEEP:-}" ] || rm -rf "$OUT"
}

metric() {
    sleep 0.2 # the text is kept for so long
    sed -n "s/^pgvecfs_$1 //p" "$MNT/.pgvecfs/metrics"
}

lock() {
    lock_start "$1"
    psql -X -q -At -c "SELECT pg_current_xact_id()" >/dev/null
    sleep 1.5
}

# The ids of an answer in CSV, in one line.
ids() { awk -F, 'NR > 1 { printf "%s ", $1 }' "$@"; }

nearest() { # VECTOR K [FILTER]: what the server says
    psql -X -At -c "SELECT id FROM words WHERE ${3:-true} ORDER BY e <-> '$1', id LIMIT $2" | tr '\n' ' '
}

@test "query/ is where a column is a vector or a bit string, or a domain over one, and nowhere else" {
    for table in words keyed of_domain of_bits of_varbits of_halfvec of_sparsevec seen parts parts/partitions/part; do
        echo "$table"
        find "$T/$table" -maxdepth 1 -name query | grep -q .
        [ "$(ls -A "$T/$table/query")" = README ]
        [ "$(stat -c '%A %h' "$T/$table/query")" = "drwxr-xr-x 1" ]
    done
    for table in plain of_arrays had fake; do
        echo "$table"
        [ -z "$(find "$T/$table" -maxdepth 1 -name query)" ]
        run ls "$T/$table/query"
        [ "$status" -ne 0 ]
        [[ $output == *"No such file"* ]]
        run mkdir "$T/$table/query"
        [[ $output == *"Read-only"* ]]
    done
    # One that comes to have a vector.
    psql -X -q -c "ALTER TABLE plain ADD e vector(1)"
    sleep 1.2
    stat "$T/plain" >/dev/null
    ls "$T/plain/query/near" >/dev/null
    [ -n "$(find "$T/plain" -maxdepth 1 -name query)" ]
    psql -X -q -c "ALTER TABLE plain DROP e"
    sleep 1.2
    ls "$T" >/dev/null
    [ -z "$(find "$T/plain" -maxdepth 1 -name query)" ]
}

@test "README is listed and exact; ask, near and index open by name; a copy of the table holds the README and asks nothing" {
    [ "$(stat -c %s "$Q/README")" -eq "$(cat "$Q/README" | wc -c)" ]
    [ "$(wc -l <"$Q/README")" -ge 15 ]
    [ "$(wc -l <"$Q/README")" -le 25 ]
    for word in near ask vector results.jsonl plan.json filter recall; do grep -q "$word" "$Q/README"; done
    [ -f "$Q/ask" ]
    [ -d "$Q/near" ] && [ -d "$Q/index" ]
    [ -z "$(ls -A "$Q/near")" ]
    before=$(metric queries_total)
    cp -r "$T/words" "$OUT/copy"
    [ "$(ls -A "$OUT/copy/query")" = README ]
    tar -cf "$OUT/t.tar" -C "$T" words
    tar -df "$OUT/t.tar" -C "$T"
    rsync -a "$T/words/" "$OUT/sync/"
    run rsync -ai "$T/words/" "$OUT/sync/"
    [ -z "$output" ]
    find "$T/words" -type f >"$OUT/found"
    [ "$(grep -c /query/ "$OUT/found")" -eq 1 ]
    [ "$(metric queries_total)" -eq "$before" ]
}

@test "near: stat, cat, cp and cat of both formats agree, and show what the server finds" {
    file=$Q/near/e/l2/5/42.csv
    size=$(stat -c %s "$file")
    [ "$(stat -c %A "$file")" = "-r--r--r--" ]
    [ "$(cat "$file" | wc -c)" -eq "$size" ]
    cp "$file" "$OUT/copy"
    assert_same_bytes "$file" "$OUT/copy"
    [ "$(head -n 1 "$file")" = id,word,distance ]
    [ "$(ids "$file")" = "$(nearest "$(psql -X -At -c "SELECT e FROM words WHERE id = 42")" 5 'id <> 42')" ]
    "$PYTHON" - "$file" "${file%.csv}.jsonl" <<'PYTHON'
import csv, json, sys
rows = list(csv.DictReader(open(sys.argv[1])))
lines = [json.loads(l) for l in open(sys.argv[2])]
assert len(rows) == len(lines) == 5
for row, line in zip(rows, lines):
    assert list(line) == ["id", "word", "distance"], line
    assert [str(line["id"]), line["word"], float(row["distance"])] == [row["id"], row["word"], line["distance"]]
PYTHON
    # An unchanged table gives the same file, after its lease too.
    before=$(stat -c '%i %s %Y' "$file")
    sleep 1.5
    [ "$(stat -c '%i %s %Y' "$file")" = "$before" ]
    # Only part of it.
    [ "$(dd if="$file" bs=1 skip=3 count=4 2>/dev/null)" = word ] || [ "$(tail -c +4 "$file" | head -c 4)" = word ]
    echo x 2>/dev/null >"$file" && false
    [ "$(ls -A "$Q/near/e/l2/5")" = "" ]
}

@test "near: what is no metric, number, key or format is not there" {
    for path in e/l3/5/42.csv e/L2/5/42.csv e/l2/0/42.csv e/l2/05/42.csv e/l2/5x/42.csv e/l2/100001/42.csv e/l2/-1/42.csv \
        e/l2/5/42.bin e/l2/5/42 e/l2/5/99999.csv e/l2/5/.csv %zz/l2/5/42.csv; do
        run cat "$Q/near/$path"
        echo "$path: $output"
        [ "$status" -ne 0 ]
        [[ $output == *"No such file"* ]]
    done
    cat "$Q/near/e/l2/100000/42.csv" | wc -l | grep -qx 3000
    # What cannot be answered has its reason.
    for path in word/l2/5/42.csv nope/l2/5/42.csv e/hamming/5/42.csv; do
        run cat "$Q/near/$path"
        echo "$path: $output"
        [[ $output == *"Invalid argument"* ]]
        for file in "$T/words" "$Q" "$Q/near/$path"; do
            reason=$("$PYTHON" -c 'import os, sys; print(os.getxattr(sys.argv[1], "user.pgvecfs.error").decode())' "$file")
            echo "$reason"
            [[ $reason == *"${path%%/*}"* ]]
        done
    done
    run stat "$Q/near/e/l2/5/99999.csv"
    [[ $output == *"No such file"* ]]
}

@test "near: columns and keys of any name" {
    K=$T/keyed/query/near/odd%2Fcol/l2/1
    [ "$(tail -n +2 "$K/plain.csv" | cut -d, -f1)" = .dot ] || [ "$(tail -n +2 "$K/plain.csv" | cut -d, -f1)" = % ]
    [ "$(tail -n +2 "$K/a%2Fb.csv" | cut -d, -f1)" = .dot ]
    [ "$(tail -n +2 "$K/%2Edot.csv" | cut -d, -f1)" != .dot ]
    [ "$(tail -n +2 "$K/x.csv.csv" | cut -d, -f1)" = % ]
    [ "$(tail -n +2 "$K/%25.csv" | wc -l)" -eq 1 ]
    [[ $(cat "$K/%25.jsonl") == '{"k.1":'* ]]
}

@test "near: an open file keeps its answer over an update; the path leads to a new file with a later time" {
    file=$T/moving/query/near/e/l2/3/50.csv
    exec 4<"$file"
    old=$(stat -c '%i' "$file") time=$(stat -c %Y "$file")
    cat "$file" >"$OUT/before"
    psql -X -q -c "INSERT INTO moving VALUES (1000, '[50,0.1]')"
    sleep 1.5
    [ "$(stat -c %i "$file")" != "$old" ]
    [ "$(stat -c %Y "$file")" -gt "$time" ]
    [[ $(ids "$file") == "1000 "* ]]
    cat <&4 >"$OUT/after"
    exec 4<&-
    assert_same_bytes "$OUT/before" "$OUT/after"
    psql -X -q -c "DELETE FROM moving WHERE id = 1000"
}

@test "a session is made by mkdir and ended by rmdir; other names are refused" {
    mkdir "$Q/mine"
    [ "$(ls -A "$Q" | tr '\n' ' ')" = "README mine " ]
    [ "$(stat -c '%A %h' "$Q/mine")" = "drwxr-xr-x 1" ]
    [ "$(ls -A "$Q/mine" | LC_ALL=C sort | tr '\n' ' ')" = "column columns ef_search error filter k metric mode recall vector " ]
    [ "$(stat -c %A "$Q/mine/k" "$Q/mine/error" | tr '\n' ' ')" = "-rw-r--r-- -r--r--r-- " ]
    run mkdir "$Q/mine"
    [[ $output == *"File exists"* ]]
    for name in README ask near index; do
        run mkdir "$Q/$name"
        [[ $output == *"File exists"* ]]
    done
    run mkdir "$Q/.hidden"
    [[ $output == *"Invalid argument"* ]]
    [ -z "$(ls -A "$T/of_bits/query" | grep mine)" ]
    "$PYTHON" - "$Q" <<'PYTHON'
import errno, os, sys
q = sys.argv[1]
def refused(what, call, number):
    try:
        call()
    except OSError as e:
        assert e.errno == number, (what, e)
    else:
        raise AssertionError(what + " was allowed")
for place in q, q + "/mine":
    refused("create in " + place, lambda: os.open(place + "/new", os.O_WRONLY | os.O_CREAT), errno.EPERM)
    refused("symlink in " + place, lambda: os.symlink("x", place + "/new"), errno.EPERM)
    refused("mkfifo in " + place, lambda: os.mkfifo(place + "/new"), errno.EPERM)
    refused("chmod of " + place, lambda: os.chmod(place, 0o700), errno.EPERM)
refused("mkdir in a session", lambda: os.mkdir(q + "/mine/new"), errno.EPERM)
refused("unlink of nothing", lambda: os.unlink(q + "/mine/nothing"), errno.ENOENT)
refused("unlink of an answer", lambda: os.unlink(q + "/mine/results.csv"), errno.EPERM)
refused("rename of a session", lambda: os.rename(q + "/mine", q + "/yours"), errno.EPERM)
refused("rename of a value", lambda: os.rename(q + "/mine/k", q + "/mine/new"), errno.EPERM)
refused("link", lambda: os.link(q + "/mine/k", q + "/mine/new"), errno.EPERM)
refused("chmod of a value", lambda: os.chmod(q + "/mine/k", 0o600), errno.EPERM)
refused("rmdir of near", lambda: os.rmdir(q + "/near"), errno.EPERM)
refused("rmdir of nothing", lambda: os.rmdir(q + "/nothing"), errno.ENOENT)
refused("rmdir of README", lambda: os.rmdir(q + "/README"), errno.ENOTDIR)
refused("rmdir of query", lambda: os.rmdir(q), errno.EROFS)
refused("unlink of a table's file", lambda: os.unlink(q + "/../words.csv"), errno.EROFS)
refused("unlink of README", lambda: os.unlink(q + "/README"), errno.EPERM)
for name in "mine/error", "mine/results.csv", "mine/plan.json", "README", "near/e/l2/3/1.csv":
    refused("writing " + name, lambda: os.open(q + "/" + name, os.O_WRONLY), errno.EROFS)
    refused("truncating " + name, lambda: os.truncate(q + "/" + name, 0), errno.EROFS)
for place in "/near/e", "/near/e/l2", "/near/e/l2/3", "/index":
    refused("mkdir in " + place, lambda: os.mkdir(q + place + "/new"), errno.EROFS)
    refused("create in " + place, lambda: os.open(q + place + "/new", os.O_WRONLY | os.O_CREAT), errno.EROFS)
PYTHON
    exec 4<"$Q/mine/k"
    rmdir "$Q/mine"
    [ "$(cat <&4)" = 10 ] # what is open goes on
    exec 4<&-
    [ "$(ls -A "$Q")" = README ]
    ! [ -e "$Q/mine" ] || false
    ! [ -e "$Q/mine/k" ] || false
    # A new one of the name knows nothing of the old one.
    mkdir "$Q/mine"
    echo 3 >"$Q/mine/k"
    rmdir "$Q/mine"
    mkdir "$Q/mine"
    [ "$(cat "$Q/mine/k")" = 10 ]
}

@test "rm -r and rmtree end a session, whatever is open in it; rm of a value sets its default" {
    mkdir "$Q/mine"
    cd "$Q/mine"
    echo 3 >k
    echo 'id < 100' >filter
    echo '[1,1,1]' >vector
    ! echo nonsense >metric || false
    [ -s error ]
    exec 4<k 5<filter
    rm k error
    [ "$(cat k)" = 10 ]
    [ ! -s error ]
    [ "$(stat -c %h k)" -eq 1 ]
    [ "$(cat <&4) $(cat <&5)" = "3 id < 100" ] # what is open goes on
    echo 4 >k
    [ "$(cat k)" = 4 ]
    rm filter
    [ "$(cat filter)" = "" ]
    [ "$(ids results.csv)" = "$(nearest '[1,1,1]' 4)" ]
    exec 4<results.csv 5<vector 6>>k
    cd "$E2E"
    rm -r "$Q/mine" </dev/null
    [ "$(ls -A "$Q")" = README ]
    [ "$(ids <&4)" = "$(nearest '[1,1,1]' 4)" ]
    [ "$(cat <&5)" = "[1,1,1]" ]
    exec 4<&- 5<&- 6>&-
    for way in 'rm -rf "$1"' '"$PYTHON" -c "import shutil, sys; shutil.rmtree(sys.argv[1])" "$1"' \
        '"$PYTHON" -c "import os, sys; os.rmdir(sys.argv[1])" "$1"' 'cd "$1" && rm -r "$1"'; do
        mkdir "$Q/mine"
        echo 3 >"$Q/mine/k"
        timeout 20 bash -c "$way" - "$Q/mine" </dev/null
        [ "$(ls -A "$Q")" = README ]
    done
    mkdir "$Q/mine"
    [ "$(cat "$Q/mine/k")" = 10 ]
    rm -r "$Q/mine"
    [ "$(metric query_sessions)" -eq 0 ]
}

@test "access(2) says what open would: nobody executes files or writes tables, root neither; values are writable" {
    local others=()
    [ "$(id -u)" -ne 0 ] || others=(-o allow_other)
    MNT=$E2E/mnt2 CACHE=$E2E/cache2 mount_start "${others[@]}"
    local q=$E2E/mnt2/public/words/query
    (umask 022 && mkdir "$q/mine" && mkdir -m 700 "$q/private")
    cat >"$OUT/access.py" <<'PYTHON'
import ctypes, errno, os, sys
me, root, q = sys.argv[1], sys.argv[2], sys.argv[2] + "/public/words/query/"
libc = ctypes.CDLL(None, use_errno=True)
if me == "other":
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
def access(path, mode):
    return 0 if libc.access(path.encode(), mode) == 0 else ctypes.get_errno()
def opened(path, flags):
    try:
        os.close(os.open(path, flags))
    except OSError as e:
        return e.errno
    return 0
no, ro, mine = errno.EACCES, errno.EROFS, 0 if me == "owner" else errno.EACCES
t = q + "../"
for path, expected in {
    # R_OK, W_OK, X_OK
    root: (0, ro, 0), root + "/public": (0, ro, 0), t: (0, ro, 0), t + "words.csv": (0, ro, no), t + "words.bin": (0, ro, no),
    t + "schema.sql": (0, ro, no), t + "manifest.json": (0, ro, no), root + "/.pgvecfs": (0, ro, 0), root + "/.pgvecfs/log": (0, ro, no),
    q + "README": (0, ro, no), q + "near": (0, ro, 0), q + "near/e/l2/3/7.csv": (0, ro, no), q + "index": (0, ro, 0),
    q: (0, 0, 0), q + "ask": (0, 0, no), q + "mine": (0, mine, 0), q + "mine/k": (0, mine, no), q + "mine/vector": (0, mine, no),
    q + "mine/error": (0, no, no), q + "mine/plan.json": (0, ro, no), q + "private": (mine, mine, mine), q + "private/k": (mine, mine, no),
}.items():
    for mode, name, want in zip((os.R_OK, os.W_OK, os.X_OK), "RWX", expected):
        got = access(path, mode)
        assert got == want, (me, path, name, errno.errorcode.get(got), errno.errorcode.get(want))
    if os.path.isdir(path) or path.endswith("error") or expected[0] != 0:
        continue
    assert (opened(path, os.O_WRONLY) == 0) == (expected[1] == 0), (me, path)
assert access(root + "/no_schema", os.F_OK) == errno.ENOENT
assert access(root + "/public/no_table/no_table.csv", os.F_OK) == errno.ENOENT
assert access(t + "words.csv", os.F_OK) == 0
PYTHON
    timeout 60 "$PYTHON" "$OUT/access.py" owner "$E2E/mnt2"
    if [ "$(id -u)" -eq 0 ] && setpriv --reuid=65534 --regid=65534 --clear-groups ls "$E2E" >/dev/null; then
        timeout 60 "$PYTHON" "$OUT/access.py" other "$E2E/mnt2"
    fi
    MNT=$E2E/mnt2 mount_stop
    # Without allow_other it is the same for the owner.
    (umask 022 && mkdir "$Q/mine" && mkdir -m 700 "$Q/private")
    timeout 60 "$PYTHON" "$OUT/access.py" owner "$MNT"
    rm -r "$Q/mine" "$Q/private"
}

@test "with allow_other everybody asks and has sessions of his own, which others may read, unless they are private" {
    [ "$(id -u)" -eq 0 ] || skip "only root can become another user"
    as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups timeout 60 "$@"; }
    as_nobody ls "$E2E" >/dev/null || skip "user nobody cannot reach $E2E"
    MNT=$E2E/mnt2 CACHE=$E2E/cache2 mount_start -o allow_other
    local q=$E2E/mnt2/public/words/query
    (umask 022 && mkdir "$q/roots")
    echo 2 >"$q/roots/k"
    as_nobody bash -euc '
        umask 022
        cd "$1"
        exec 3<>ask
        echo "{\"key\":7,\"k\":1,\"columns\":[\"id\"]}" >&3
        cat <&3
        mkdir mine
        mkdir -m 700 private
        mkdir -m 777 everybodys
        for session in mine private everybodys; do
            echo "[1,1,1]" >$session/vector
            echo 2 >$session/k
            [ -s $session/results.csv ]
            [ "$(stat -c %U $session $session/k $session/results.csv | sort -u)" = nobody ]
        done
        rm -r everybodys/k
        [ "$(cat everybodys/k)" = 10 ]
        # Of others they are to be read only.
        [ "$(cat roots/k)" = 2 ]
        ! echo 5 >roots/k
        ! truncate -s 0 roots/k
        ! rm roots/k </dev/null
        ! rmdir roots
        ! rm -r roots </dev/null
        [ "$(cat roots/k)" = 2 ]
        ' - "$q" >"$OUT/answer"
    [[ $(cat "$OUT/answer") == '{"id":'* ]]
    as_daemon() { setpriv --reuid=1 --regid=1 --clear-groups timeout 60 "$@"; }
    [ "$(as_daemon cat "$q/mine/results.csv" | ids)" = "$(nearest '[1,1,1]' 2)" ]
    as_daemon bash -euc 'echo 3 >"$1/everybodys/k"' - "$q"
    for what in 'cat private/k' 'ls private' 'cd private' 'cat private/results.csv' 'echo 1 >private/k' 'echo 1 >mine/k' 'rmdir mine' 'rmdir private' 'rmdir everybodys'; do
        ! as_daemon bash -euc "cd \"\$1\"; $what" - "$q" 2>/dev/null || { echo "$what"; false; }
    done
    as_nobody rm -r "$q/mine" "$q/private" "$q/everybodys"
    rm -r "$q/roots"
    [ "$(ls -A "$q")" = README ]
    MNT=$E2E/mnt2 mount_stop
}

@test "a mount has 64 sessions at most" {
    for i in $(seq 64); do mkdir "$Q/s$i"; done
    run mkdir "$Q/one-more"
    [[ $output == *"No space left"* ]]
    [ "$(metric query_sessions)" -eq 64 ]
    rmdir "$Q/s7"
    mkdir "$Q/one-more"
    rmdir "$Q"/s* "$Q/one-more"
    [ "$(metric query_sessions)" -eq 0 ]
}

@test "values are set by echo, cat, cp, tee, dd, printf, >>, truncate and python" {
    mkdir "$Q/v"
    cd "$Q/v"
    echo 5 >k
    [ "$(cat k)" = 5 ]
    printf 6 >k
    [ "$(cat k)" = 6 ]
    echo 7 | tee k >/dev/null
    [ "$(cat k)" = 7 ]
    echo 8 | cat >k
    [ "$(cat k)" = 8 ]
    echo 9 >"$OUT/nine"
    cp "$OUT/nine" k
    [ "$(cat k)" = 9 ]
    dd if="$OUT/nine" of=ef_search 2>/dev/null
    [ "$(cat ef_search)" = 9 ]
    echo 11 >>k
    [ "$(cat k)" = 11 ]
    install -m 644 "$OUT/nine" "$OUT/x" && cat "$OUT/x" >k
    : >k
    within 2 eval '[ "$(cat k)" = 10 ]'
    echo 5 >k
    truncate -s 0 k
    [ "$(cat k)" = 10 ]
    echo 'id > 5' >filter
    printf 'AND id < 9\n' >>filter
    [ "$(cat filter)" = $'id > 5\nAND id < 9' ]
    [ "$(stat -c %s filter)" -eq 18 ]
    echo '[1,2,3]' >vector
    echo '[4,5,6]' >>vector
    [ "$(cat vector)" = $'[1,2,3]\n[4,5,6]' ]
    touch k
    { sleep 0.1; echo 12; } >k
    [ "$(cat k)" = 12 ]
    "$PYTHON" - <<'PYTHON'
import os, struct
with open("metric", "w") as f:
    f.write("cosine")
assert open("metric").read() == "cosine\n"
with open("k", "r+") as f:
    assert f.read() == "12\n"
    f.seek(0)
    f.write("345\n")
    f.truncate()
assert open("k").read() == "345\n"
f = os.open("k", os.O_WRONLY)
os.write(f, b"77")                      # the last figure is still the old one's
os.fsync(f)
assert open("k").read() == "775\n", open("k").read()
os.close(f)
with open("vector", "wb") as f:
    f.write(struct.pack("<3f", 1, 2, 3))
assert open("vector", "rb").read() == struct.pack("<3f", 1, 2, 3)
assert os.stat("vector").st_size == 12
# Bytes that look like the end of a line do not end the value.
long = struct.pack("<I", 0x0A0A0A0A) * 3000
f = os.open("vector", os.O_WRONLY | os.O_TRUNC)
os.write(f, b"\x01\x02\x03\n")
os.write(f, long)
assert open("vector", "rb").read() == struct.pack("<3f", 1, 2, 3)
os.close(f)
assert open("vector", "rb").read() == b"\x01\x02\x03\n" + long
# One handle, several values.
f = open("k", "w", buffering=1)
for k in 100, 2, 30:
    f.write("%d\n" % k)
    assert open("k").read() == "%d\n" % k
f.close()
# Too large.
before = open("vector", "rb").read()
try:
    os.truncate("vector", (64 << 20) + 1)
    raise AssertionError
except OSError as e:
    assert e.errno == 27, e
f = os.open("vector", os.O_WRONLY | os.O_TRUNC)
piece = b"\0" * (1 << 20)
try:
    for _ in range(65):
        os.write(f, piece)
    raise AssertionError
except OSError as e:
    assert e.errno == 27, e
assert open("vector", "rb").read() == before
os.close(f)
assert open("vector", "rb").read() == before
assert "64 MiB" in open("error").read()
PYTHON
    cd /
}

@test "a batch grows line by line, in one open file or by >>; whoever reads sees what there was when he opened it" {
    mkdir "$Q/lines"
    cd "$Q/lines"
    "$PYTHON" - <<'PYTHON'
import os
def now():
    return open("vector", "rb").read()
def line(i):
    return b"[%d,0.5,-%d]\n" % (i, i)
f = os.open("vector", os.O_RDWR | os.O_TRUNC)
whole, readers = b"", []
for i in range(1500):
    os.write(f, line(i))
    whole += line(i)
    if i % 100 == 0:
        assert now() == whole and os.stat("vector").st_size == len(whole), i
        readers.append((open("vector", "rb", buffering=0), whole))
for reader, seen in readers:
    assert os.pread(reader.fileno(), len(whole), 0) == seen
    reader.close()
assert os.pread(f, len(whole), 0) == whole
# Another one sets it in between: the next line makes the value what this file is.
with open("vector", "wb") as other:
    other.write(b"[7,7,7]\n")
assert now() == b"[7,7,7]\n" and os.pread(f, len(whole), 0) == whole
os.write(f, line(-1))
whole += line(-1)
assert now() == whole
# A line written over another, a shorter file, half a line and its rest.
os.pwrite(f, b"[9,9.0,9]\n\n"[: len(line(0))], 0)
whole = b"[9,9.0,9]\n\n"[: len(line(0))] + whole[len(line(0)):]
os.fsync(f)
assert now() == whole
os.ftruncate(f, len(line(0)))
os.fsync(f)
assert now() == whole[: len(line(0))], now()
os.lseek(f, 0, os.SEEK_END)
os.write(f, b"[4,")
assert now() == whole[: len(line(0))]
os.write(f, b"5,6]\n[7,8,9]\n")
whole = whole[: len(line(0))] + b"[4,5,6]\n[7,8,9]\n"
assert now() == whole
# A bad line is refused, and the value stays.
try:
    os.write(f, b"no vector\n")
    raise AssertionError
except OSError as e:
    assert e.errno == 22, e
assert now() == whole and "line 5:" in open("error").read(), open("error").read()
os.close(f)
assert now() == whole
with open("vector", "ab", buffering=0) as a, open("vector", "ab", buffering=0) as b:
    a.write(b"[1,1,1]\n")
    b.write(b"[2,2,2]\n") # has not seen the other's
    assert now() == whole + b"[2,2,2]\n", now()
# Bytes behind lines are judged with them: this is no whole number of float32.
try:
    with open("vector", "ab", buffering=0) as f:
        f.write(b"\x01" * (5 - len(now()) % 4))
    raise AssertionError
except OSError as e:
    assert e.errno == 22, e
PYTHON
    echo '[1,2,3]' >vector
    for i in {1..20}; do echo "[$i,2,3]" >>vector; done
    [ "$(cat vector)" = "$(echo '[1,2,3]' && for i in {1..20}; do echo "[$i,2,3]"; done)" ]
    echo 1 >k
    [ "$(wc -l <results.jsonl)" -eq 21 ]
    cd /
}

@test "a bad value is refused at once, stays what it was, and error says why until something goes well" {
    mkdir "$Q/bad"
    cd "$Q/bad"
    [ ! -s error ]
    echo 5 >k
    for value in 0 x 5.5 100001 -3; do
        run bash -c "echo $value >k"
        [ "$status" -ne 0 ]
        [[ $output == *"Invalid argument"* ]]
        [ "$(cat k)" = 5 ]
        [[ $(cat error) == k\ is\ * ]]
        [ "$(stat -c %s error)" -eq "$(cat error | wc -c)" ]
    done
    # Without the line break it is the close that says so.
    "$PYTHON" - <<'PYTHON'
import os
f = os.open("mode", os.O_WRONLY | os.O_TRUNC)
assert os.write(f, b"fast") == 4
try:
    os.close(f)
    raise AssertionError
except OSError as e:
    assert e.errno == 22, e
PYTHON
    [ "$(cat mode)" = auto ]
    [[ $(cat error) == mode\ is\ * ]]
    echo exact >mode
    [ ! -s error ]
    for field in metric recall ef_search vector; do
        run bash -c "echo nonsense >$field"
        [ "$status" -ne 0 ]
        [[ $(cat error) == *$field* ]]
    done
    # What only the table knows is said when the results are read.
    echo '[1,2]' >vector
    [ ! -s error ]
    run cat results.csv
    [[ $output == *"Invalid argument"* ]]
    [[ $(cat error) == *dimensions* ]]
    echo '[1,2,3]' >vector
    [ ! -s error ]
    echo nope >column
    run cat results.jsonl
    [[ $output == *"Invalid argument"* ]]
    [[ $(cat error) == *nope* ]]
    : >column
    within 2 cat results.jsonl >/dev/null
    [ ! -s error ]
    cd /
}

@test "results and plan.json follow the values and the table; stat gives their size" {
    mkdir "$Q/r"
    cd "$Q/r"
    run cat results.csv
    [[ $output == *"Invalid argument"* ]] # nothing is asked yet
    echo '[1,2,3]' >vector
    [ "$(ls | grep -c 'results\|plan')" -eq 0 ] # a copy of the mount does not hold them
    for k in 3 1 20; do
        echo $k >k
        [ "$(ids results.csv)" = "$(nearest '[1,2,3]' $k)" ]
        [ "$(stat -c %s results.csv)" -eq "$(cat results.csv | wc -c)" ]
        [ "$(wc -l <results.jsonl)" -eq $k ]
        [ "$(stat -c %s plan.json)" -eq "$(cat plan.json | wc -c)" ]
        [ "$("$PYTHON" -c 'import json; print(json.load(open("plan.json"))["k"])')" -eq $k ]
    done
    # plan.json asks where nobody has.
    echo '[9,9,9]' >vector
    "$PYTHON" -c 'import json; assert json.load(open("plan.json"))["k"] == 20'
    before=$(metric queries_total)
    cat plan.json plan.json >/dev/null
    cat results.jsonl >"$OUT/1"
    cat results.jsonl >"$OUT/2"
    cp results.jsonl "$OUT/3"
    assert_same_bytes "$OUT/1" "$OUT/3"
    [ $(($(metric queries_total) - before)) -le 2 ] # what is known is not asked again
    # What is open stays.
    exec 4<results.csv
    cat results.csv >"$OUT/old"
    echo 4 >k
    cat <&4 >"$OUT/new"
    exec 4<&-
    assert_same_bytes "$OUT/old" "$OUT/new"
    [ "$(wc -l <results.csv)" -eq 5 ]
    printf '[1,2,3]\n[4,5,6]\n' >vector # a batch
    [ "$(head -n 1 results.csv)" = query,id,word,distance ]
    [ "$(wc -l <results.csv)" -eq 9 ]
    cd /
}

@test "two processes in one session: a reader sees the old value or the new one, never a mixture" {
    mkdir "$Q/two"
    export OUT
    timeout 60 "$PYTHON" - "$Q/two/vector" <<'PYTHON'
import os, subprocess, sys
path = sys.argv[1]
# About a megabyte, so that it is written and read in several pieces.
values = [("[" + ",".join([str(d)] * 400000) + "]\n").encode() for d in (1, 2, 3)] + [b"[4]\n"]
def put(value):
    f = os.open(path, os.O_WRONLY | os.O_TRUNC)
    at = 0
    while at < len(value):
        at += os.write(f, value[at:at + 300000])
    os.close(f)
put(values[0])
writer = os.fork()
if writer == 0:
    for i in range(40):
        put(values[i % len(values)])
    os._exit(0)
seen = set()
reads = 0
while True:
    ended = os.waitpid(writer, os.WNOHANG)
    got = open(path, "rb").read()
    assert got in values, (len(got), got[:10], got[-10:])
    seen.add(values.index(got))
    reads += 1
    if ended[0]:
        assert ended[1] == 0
        break
assert reads > 10 and len(seen) > 1, (reads, seen)
# A shell opens the file, and closes a copy of it, before it runs what writes.
for i in range(2):
    open(os.environ["OUT"] + "/v%d" % i, "wb").write(values[i])
put(values[0])
writer = subprocess.Popen(["bash", "-c", 'for i in $(seq 60); do cat "$OUT/v$((i % 2))" >"$1"; done', "-", path])
while writer.poll() is None:
    got = open(path, "rb").read()
    assert got in values[:2], (len(got), got[:10], got[-10:])
assert writer.returncode == 0
# Two writers of two values lose nothing of each other.
session = os.path.dirname(path)
children = []
for name, value in ("k", "%d\n"), ("ef_search", "%d\n"):
    pid = os.fork()
    if pid == 0:
        for i in range(1, 201):
            with open(session + "/" + name, "w") as f:
                f.write(value % i)
        os._exit(0)
    children.append(pid)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
assert open(session + "/k").read() == "200\n" and open(session + "/ef_search").read() == "200\n"
PYTHON
}

@test "a writer is not refused by readers that open the value all the time" {
    mkdir "$Q/many"
    timeout 60 "$PYTHON" - "$Q/many/k" <<'PYTHON'
import os, signal, sys
path = sys.argv[1]
def put(value):
    f = os.open(path, os.O_WRONLY | os.O_TRUNC)
    os.write(f, value)
    os.close(f)
put(b"7\n")
readers = []
for i in range(4):
    pid = os.fork()
    if pid == 0:
        while True:
            f = os.open(path, os.O_RDONLY)
            assert os.read(f, 100).strip().isdigit()
            os.close(f)
    readers.append(pid)
try:
    for i in range(3000):
        put(b"%d\n" % (i % 50 + 1))
    assert open(path).read() == "50\n"
finally:
    for pid in readers:
        assert os.waitpid(pid, os.WNOHANG) == (0, 0), "a reader has failed"
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
PYTHON
}

@test "ask: from a shell" {
    exec 5<>"$Q/ask"
    echo '{"vector":[1,2,3],"k":3,"metric":"l2"}' >&5
    cat <&5 >"$OUT/1"
    [ "$(sed -n 's/^{"id":\([0-9]*\),.*/\1/p' "$OUT/1" | tr '\n' ' ')" = "$(nearest '[1,2,3]' 3)" ]
    [ -z "$(cat <&5)" ] # nothing is outstanding
    printf '{"vector":[1,2,3],"k":1}\n{"vector":[4,5,6],"k":2}\n\n{"ve' >&5
    cat <&5 >"$OUT/2"
    [ "$(wc -l <"$OUT/2")" -eq 3 ]
    echo 'ctor":[7,8,9],"k":4}' >&5
    cat <&5 >"$OUT/3"
    [ "$(wc -l <"$OUT/3")" -eq 4 ]
    for bad in 'nonsense' '{"k":0}' '{"vector":[1],"k":2}' '{"vector":[1,2,3],"column":"nope"}' '{}'; do
        echo "$bad" >&5
        cat <&5 >"$OUT/error"
        [ "$(wc -l <"$OUT/error")" -eq 1 ]
        "$PYTHON" -c 'import json, sys; assert len(json.load(open(sys.argv[1]))["error"]) > 10' "$OUT/error"
    done
    echo '{"vector":[1,2,3],"k":1}' >&5 # it goes on
    [ "$(cat <&5 | wc -l)" -eq 1 ]
    exec 5<&-
    # The file itself is empty, whatever size it says, and cannot be sought in.
    [ "$(stat -c '%s %A' "$Q/ask")" = "4096 -rw-r--r--" ]
    [ -z "$(cat "$Q/ask")" ]
    echo '{"vector":[1,2,3]}' >"$Q/ask"
}

@test "ask: from python, in pieces, in bulk, and in several conversations at once" {
    timeout 120 "$PYTHON" - "$Q/ask" <<'PYTHON'
import json, os, sys, threading
path = sys.argv[1]
def read_all(f):
    parts = []
    while True:
        part = os.read(f, 1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)
def line(i, k):
    return json.dumps({"vector": [i % 17, i % 5, i], "k": k}).encode() + b"\n"
f = os.open(path, os.O_RDWR)
# One byte at a time, and answers read so.
for c in line(100, 2):
    os.write(f, bytes([c]))
one = b""
while (c := os.read(f, 1)):
    one += c
rows = [json.loads(l) for l in one.splitlines()]
assert len(rows) == 2 and rows[0]["id"] == 100 and rows[0]["distance"] == 0, rows
# Many questions, then their answers in order.
os.write(f, b"".join(line(i, 1) for i in range(1, 501)))
rows = [json.loads(l) for l in read_all(f).splitlines()]
assert [r["id"] for r in rows] == list(range(1, 501)), rows[:3]
# Batches and keys.
os.write(f, b'{"vector":[[1,1,1],[2,2,2]],"k":2}\n{"key":7,"k":1}\n')
rows = [json.loads(l) for l in read_all(f).splitlines()]
assert [r.get("query") for r in rows] == [0, 0, 1, 1, None], rows
# A value of 1 MB in one line, which is wrong, and the next question is answered all the same.
os.write(f, b'{"vector":[' + b",".join([b"1"] * 500000) + b']}\n')
answer = read_all(f)
assert b"error" in answer and answer.count(b"\n") == 1, answer
os.write(f, line(5, 1))
assert json.loads(read_all(f))["id"] == 5
try:
    os.lseek(f, 0, os.SEEK_SET)
    raise AssertionError
except OSError as e:
    assert e.errno == 29, e
# Conversations do not hear each other.
failures = []
def talk(number):
    try:
        g = os.open(path, os.O_RDWR)
        for i in range(50):
            n = number * 50 + i + 1
            os.write(g, line(n, 1))
            got = json.loads(read_all(g))
            assert got["id"] == n, (n, got)
        os.close(g)
    except Exception as e:
        failures.append(e)
threads = [threading.Thread(target=talk, args=(n,)) for n in range(20)]
[t.start() for t in threads]
[t.join() for t in threads]
assert not failures, failures
# One that closes with questions outstanding leaves nothing behind.
for _ in range(20):
    g = os.open(path, os.O_RDWR)
    os.write(g, b"".join(line(i, 100) for i in range(1, 201)))
    os.close(g)
os.write(f, line(6, 1))
assert json.loads(read_all(f))["id"] == 6
# More than is kept unread: it waits for the reader.
os.write(f, b"".join(line(i, 3000) for i in range(1, 161)))
rows = read_all(f).count(b"\n")
assert rows == 160 * 3000, rows
PYTHON
    [ "$(psql -X -At -c "SELECT count(*) FROM words")" -eq 3000 ]
}

@test "after an insert the next query finds the new row: near, a session, an open conversation; with and without a lease" {
    for lease in 0 0.2; do
        mount_stop
        mount_start -o lease=$lease
        N=$T/moving/query
        mkdir "$N/s"
        echo '[0.4,0]' >"$N/s/vector"
        echo 1 >"$N/s/k"
        exec 5<>"$N/ask"
        for id in 2000 2001 2002; do
            # Each of them is the first to ask after a change, in turn; the lease is then over.
            psql -X -q -c "INSERT INTO moving VALUES ($id, '[0.4,0]')" -c "DELETE FROM moving WHERE id = $id - 1"
            if [ $lease != 0 ]; then sleep 0.3; fi
            for turn in 0 1 2; do
                case $(((id + turn) % 3)) in
                    0) [ "$(ids "$N/s/results.csv")" = "$id " ] ;;
                    1)
                        echo '{"vector":[0.4,0],"k":1}' >&5
                        [[ $(cat <&5) == "{\"id\":$id,"* ]]
                        ;;
                    2) [[ " $(ids "$N/near/e/l2/2/1.csv")" == *" $id "* ]] ;;
                esac
            done
        done
        exec 5<&-
        psql -X -q -c "DELETE FROM moving WHERE id >= 2000"
    done
}

@test "under a table that changes all the time, cp and stat never fail" {
    (while sleep 0.02; do psql -X -q -c "UPDATE moving SET e = e WHERE id = 7"; done) >/dev/null 2>&1 3>&- &
    PIDS+=($!)
    mount_stop
    mount_start -o lease=0
    N=$T/moving/query
    mkdir "$N/s"
    echo '[3,0]' >"$N/s/vector"
    for i in $(seq 15); do
        cp "$N/near/e/l2/5/$i.csv" "$OUT/copy"
        [ "$(wc -l <"$OUT/copy")" -eq 6 ]
        cp "$N/s/results.jsonl" "$OUT/copy"
        [ "$(wc -l <"$OUT/copy")" -eq 10 ]
        stat "$N/near/e/l2/5/$i.csv" "$N/s/results.csv" >/dev/null
    done
    kill -KILL "${PIDS[0]}"
    mount_stop
    mount_start -o lease=1
}

@test "index: its files are listed as far as the columns are known, and are JSON" {
    cat "$T/words/words.csv" >/dev/null
    [ "$(ls "$Q/index" | tr '\n' ' ')" = "e.cosine.json e.ip.json e.l1.json e.l2.json " ]
    for file in "$Q"/index/*.json; do
        "$PYTHON" -c 'import json, sys; assert "state" in json.load(open(sys.argv[1]))' "$file"
    done
    [ "$(stat -c %s "$Q/index/e.l2.json")" -gt 20 ]
    cp "$Q/index/e.l2.json" "$OUT/"
    for name in e.hamming.json nope.l2.json word.l2.json e.l9.json e.json x; do
        run cat "$Q/index/$name"
        echo "$name: $output"
        [[ $output == *"No such file"* ]]
    done
}

@test "a process that waits for a locked table is killed within a second, in near, a session and a conversation" {
    mkdir "$T/locked/query/s"
    echo '[1,1]' >"$T/locked/query/s/vector"
    lock locked
    cat "$T/locked/query/near/e/l2/2/5.csv" >/dev/null 2>&1 3>&- &
    PIDS+=($!)
    cat "$T/locked/query/s/results.csv" >/dev/null 2>&1 3>&- &
    PIDS+=($!)
    bash -c 'exec 5<>"$1"; echo "{\"vector\":[1,1]}" >&5; exec cat <&5' - "$T/locked/query/ask" >/dev/null 2>&1 3>&- &
    PIDS+=($!)
    sleep 1
    for pid in "${PIDS[@]:1}"; do ! process_gone "$pid"; done
    timeout 5 ls "$T/locked/query" "$Q" >/dev/null # others go on
    timeout 5 cat "$Q/near/e/l2/2/5.csv" >/dev/null
    for pid in "${PIDS[@]:1}"; do
        kill -INT "$pid" 2>/dev/null || true
        kill -TERM "$pid"
        wait_gone "$pid" 2
    done
    # One that waits gets its answer when the lock is gone.
    cat "$T/locked/query/near/e/l2/2/5.csv" >"$OUT/answer" 3>&- &
    waiter=$!
    PIDS+=("$waiter")
    sleep 0.5
    lock_stop
    wait "$waiter"
    [ "$(wc -l <"$OUT/answer")" -eq 3 ]
}

asleep() { exactly "$1" "wait_event = 'PgSleep' AND application_name = 'pgvecfs'"; }

@test "the end of a session ends what is asked in it: the server's statement, and whoever waits" {
    local file kept before
    wait_for() { timeout 30 cat "$1" >"$OUT/answer" 2>"$OUT/error" 3>&- & PIDS+=($!); }
    is_refused() { ! wait "${PIDS[-1]}" && grep -q 'No such file' "$OUT/error" && [ ! -s "$OUT/answer" ]; }
    for file in results.csv results.jsonl plan.json; do
        mkdir "$Q/mine"
        echo '[1,2,3]' >"$Q/mine/vector"
        echo 'pg_sleep(60) IS NOT NULL' >"$Q/mine/filter"
        wait_for "$Q/mine/$file"
        within 20 asleep 1
        timeout 10 rmdir "$Q/mine"
        within 10 asleep 0
        is_refused
    done
    # Waiting for the table.
    mkdir "$T/locked/query/mine"
    echo '[1,2]' >"$T/locked/query/mine/vector"
    before=$(metric waiting_requests)
    lock locked
    wait_for "$T/locked/query/mine/results.csv"
    is_waiting() { [ "$(metric waiting_requests)" -gt "$before" ]; }
    within 20 is_waiting
    timeout 10 rmdir "$T/locked/query/mine"
    wait_gone "${PIDS[-1]}" 10
    is_refused
    lock_stop
    # The answer to a question that is another meanwhile is for whoever has asked it, and is not kept.
    kept=$(metric query_result_bytes)
    mkdir "$Q/mine"
    echo '[1,2,3]' >"$Q/mine/vector"
    echo 'id = 5 AND pg_sleep(3) IS NOT NULL' >"$Q/mine/filter"
    wait_for "$Q/mine/results.csv"
    within 20 asleep 1
    echo 'id = 6' >"$Q/mine/filter"
    wait "${PIDS[-1]}"
    [ "$(ids "$OUT/answer")" = "5 " ]
    is_kept() { [ "$(metric query_result_bytes)" -eq "$1" ]; }
    within 10 is_kept "$kept"
    [ "$(ids "$Q/mine/results.csv")" = "6 " ]
}

@test "a process that waits for a long query is killed within a second, and the query ends" {
    mkdir "$Q/long"
    echo '[1,2,3]' >"$Q/long/vector"
    echo 'pg_sleep(60) IS NOT NULL' >"$Q/long/filter"
    cat "$Q/long/results.csv" >/dev/null 2>&1 3>&- &
    PIDS+=($!)
    cat "$Q/long/results.csv" >/dev/null 2>&1 3>&- &
    PIDS+=($!)
    within 5 asleep 1 # both wait for the same one
    timeout 5 cat "$Q/near/e/l2/2/6.csv" >/dev/null
    kill -TERM "${PIDS[0]}"
    wait_gone "${PIDS[0]}" 2
    asleep 1
    kill -TERM "${PIDS[1]}"
    wait_gone "${PIDS[1]}" 2
    within 5 asleep 0
    # A conversation's question ends when nobody waits for its answer, though it goes on; whoever reads then asks it anew.
    exec 5<>"$Q/ask"
    echo '{"vector":[1,2,3],"filter":"pg_sleep(60) IS NOT NULL"}' >&5
    cat <&5 >/dev/null 3>&- &
    PIDS+=($!)
    within 5 asleep 1
    kill -TERM "${PIDS[2]}"
    wait_gone "${PIDS[2]}" 2
    within 5 asleep 0
    cat <&5 >/dev/null 3>&- &
    PIDS+=($!)
    within 5 asleep 1
    # So it ends when nobody can hear its answer.
    kill -KILL "${PIDS[3]}"
    wait_gone "${PIDS[3]}" 2
    exec 5<&-
    within 5 asleep 0
    # And what waits for one does not hold up the end of the mount.
    cat "$Q/long/results.csv" >/dev/null 2>&1 3>&- &
    PIDS+=($!)
    within 5 asleep 1
    pid=$(daemon_pid)
    kill -TERM "$pid"
    wait_gone "$pid" 10
    wait_gone "${PIDS[4]}" 5
    rm -f "$E2E/mnt.pid"
    mount_start -o lease=1
}

@test "a conversation whose reader was interrupted answers the next one, also what it was asked meanwhile" {
    psql -X -q -c 'CREATE TABLE gates (is_open bool)' -c 'INSERT INTO gates VALUES (false)' \
        -c "CREATE FUNCTION waits() RETURNS bool LANGUAGE plpgsql AS 'BEGIN IF (SELECT bool_or(is_open) FROM gates) THEN RETURN true; END IF; PERFORM pg_sleep(60); RETURN false; END'"
    asleep() { [ "$(psql -X -At -c "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND application_name = 'pgvecfs'")" -eq "$1" ]; }
    exec 5<>"$Q/ask"
    printf '%s\n' '{"vector":[1,2,3],"k":1,"columns":"id","filter":"waits()"}' '{"vector":[1,2,3],"k":2,"columns":"id"}' >&5
    cat <&5 >/dev/null 3>&- &
    PIDS+=($!)
    cat <&5 >"$OUT/other" 2>&1 3>&- &
    PIDS+=($!)
    within 10 asleep 1
    kill -TERM "${PIDS[0]}"
    wait_gone "${PIDS[0]}" 2
    asleep 1 # another one waits
    kill -TERM "${PIDS[1]}"
    wait_gone "${PIDS[1]}" 2
    within 10 asleep 0
    psql -X -q -c 'UPDATE gates SET is_open = true'
    timeout 20 cat <&5 >"$OUT/answers"
    exec 5<&-
    [ "$(wc -l <"$OUT/answers")" = 3 ]
    [ "$(grep -c error "$OUT/answers")" = 0 ]
    # One that waits for a refresh, too: the table is not fetched for nobody.
    lock locked
    exec 5<>"$MNT/public/locked/query/ask"
    echo '{"vector":[1,1],"k":1}' >&5
    cat <&5 >/dev/null 3>&- &
    PIDS+=($!)
    within 10 waits_for_lock
    kill -TERM "${PIDS[2]}"
    wait_gone "${PIDS[2]}" 2
    within 20 waits_no_more
    lock_stop
    [ "$(timeout 20 cat <&5 | wc -l)" = 1 ]
    exec 5<&-
}

waits_for_lock() { [ "$("$PYTHON" -c 'import json, sys; print(len(json.load(open(sys.argv[1]))["jobs"]))' "$MNT/.pgvecfs/status.json")" -gt 0 ]; }
waits_no_more() { [ "$("$PYTHON" -c 'import json, sys; print(len(json.load(open(sys.argv[1]))["jobs"]))' "$MNT/.pgvecfs/status.json")" = 0 ]; }

@test "unmount ends sessions and open conversations; the next mount knows none" {
    mkdir "$Q/s"
    echo 5 >"$Q/s/k"
    pid=$(daemon_pid)
    exec 5<>"$Q/ask"
    echo '{"vector":[1,2,3]}' >&5
    run fusermount3 -u "$MNT"
    [ "$status" -ne 0 ] # busy
    fusermount3 -uz "$MNT"
    exec 5<&-
    wait_gone "$pid" 10
    rm -f "$E2E/mnt.pid"
    mount_start -o lease=1
    [ "$(ls -A "$Q")" = README ]
    mkdir "$Q/s"
    [ "$(cat "$Q/s/k")" = 10 ]
    echo '[1,2,3]' >"$Q/s/vector"
    cat "$Q/s/results.csv" >/dev/null
    mount_stop
    within 5 eval '[ "$(psql -X -At -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = '"'pgvecfs'"'")" = 0 ]'
    mount_start -o lease=1
}

@test "with one thread for requests, too" {
    mount_stop
    mount_start -s -o lease=1
    [ "$(ids "$Q/near/e/l2/3/42.csv" | wc -w)" -eq 3 ]
    exec 5<>"$Q/ask"
    for i in 1 2 3; do
        echo '{"vector":[1,2,3],"k":2}' >&5
        [ "$(cat <&5 | wc -l)" -eq 2 ]
    done
    exec 5<&-
    mkdir "$Q/s"
    echo '[1,2,3]' >"$Q/s/vector"
    [ "$(wc -l <"$Q/s/results.csv")" -eq 11 ]
    mount_stop
    mount_start -o lease=1
}
