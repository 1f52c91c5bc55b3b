# A changed table: only the row groups that changed are fetched again, and the whole is right all the same.
load helper

PYTHON=${PYTHON:-python3}

setup_file() {
    server_start -c autovacuum=off
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
-- About 20 row groups.
CREATE TABLE wide (id int PRIMARY KEY, pad text, v vector(3));
ALTER TABLE wide ALTER pad SET STORAGE external;
INSERT INTO wide SELECT g, repeat(md5(g::text), 1000), format('[%s,0.5,-1]', g)::vector FROM generate_series(1, 2500) g;
-- Rows within pages.
CREATE TABLE narrow (id int PRIMARY KEY, n bigint, t text);
INSERT INTO narrow SELECT g, g * 7, 'row ' || g FROM generate_series(1, 400000) g;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE parted (id int, pad text, m mood) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (100) TO (200);
CREATE TABLE parted_3 PARTITION OF parted FOR VALUES FROM (200) TO (300);
ALTER TABLE parted ALTER pad SET STORAGE external;
ALTER TABLE parted_1 ALTER pad SET STORAGE external;
ALTER TABLE parted_2 ALTER pad SET STORAGE external;
INSERT INTO parted SELECT g % 200, repeat('x', 100000), 'good' FROM generate_series(1, 400) g;
VACUUM ANALYZE;
SQL
}

teardown_file() { teardown_all; }

setup() {
    T=$MNT/public
    OUT=$E2E/out/$BATS_TEST_NUMBER
    mkdir -p "$OUT"
    mount_start -o lease=0
}

teardown() {
    mount_stop || true
    [ -n "${E2E_KEEP:-}" ] || rm -rf "$OUT"
}

# The number that .pgvecfs/metrics gives for $1, not older than this call.
metric() {
    sleep 0.15
    sed -n "s/^pgvecfs_$1 //p" "$MNT/.pgvecfs/metrics"
}

# Table $1 in the given formats is what the server says.
assert_right() {
    local table=$1 format
    shift
    for format in "$@"; do
        "reference_$format" "public.$table" >"$OUT/right"
        cp "$T/$table/$table.$format" "$OUT/got"
        assert_same_bytes "$OUT/got" "$OUT/right"
        rm -f "$OUT/got"
    done
}

# After statement $2, table $1 is right, and at most $3 groups have been fetched for it.
assert_moves() {
    local before after kept
    before=$(metric groups_fetched_total)
    kept=$(metric groups_kept_total)
    psql -X -q -v ON_ERROR_STOP=1 -c "$2"
    assert_right "$1" bin
    after=$(metric groups_fetched_total)
    echo "$2: $((after - before)) groups fetched, $(($(metric groups_kept_total) - kept)) kept"
    [ $((after - before)) -le "$3" ]
    [ "$(metric groups_kept_total)" -gt "$kept" ]
    [ -z "$(often "" all)" ] || assert_right "$1" csv jsonl
}

@test "an update in one place, appended rows, deleted rows: a few row groups are fetched, the rest is kept" {
    assert_right wide bin csv
    [ "$(metric groups_fetched_total)" -ge 15 ]
    assert_moves wide "UPDATE wide SET v = '[1,2,3]' WHERE id BETWEEN 1000 AND 1049" 8
    assert_moves wide "INSERT INTO wide SELECT g, repeat('y', 32000), '[0,0,1]' FROM generate_series(10001, 10050) g" 5
    assert_moves wide "DELETE FROM wide WHERE id BETWEEN 1500 AND 1550" 6
    psql -X -q -c "VACUUM wide"
    assert_right wide bin
    # Into the room that the vacuum has made, in the middle of the heap.
    assert_moves wide "INSERT INTO wide SELECT g, repeat('z', 32000), NULL FROM generate_series(20001, 20030) g" 8
    assert_moves wide "UPDATE wide SET v = NULL WHERE id = 1" 6
    assert_right wide csv jsonl
    assert_right narrow bin
    assert_moves narrow "UPDATE narrow SET n = 0 WHERE id BETWEEN 100000 AND 100100" 6
}

@test "the end of the heap is cut off and grows again; everything goes and comes back" {
    assert_right wide bin
    psql -X -q -c "DELETE FROM wide WHERE ctid > (SELECT ('(' || (max((ctid::text::point)[0]) * 2 / 3)::int || ',0)')::tid FROM wide)"
    assert_right wide bin
    psql -X -q -c "VACUUM wide"
    assert_right wide bin csv
    psql -X -q -c "INSERT INTO wide SELECT g, repeat('w', 32000), '[1,1,1]' FROM generate_series(30001, 30500) g"
    assert_right wide bin csv jsonl
    psql -X -q -c "DELETE FROM wide"
    assert_right wide bin csv jsonl
    psql -X -q -c "INSERT INTO wide SELECT g, repeat('w', 32000), '[1,1,1]' FROM generate_series(1, 3) g"
    assert_right wide bin csv jsonl
    psql -X -q -c "VACUUM wide"
    psql -X -q -c "INSERT INTO wide SELECT g, repeat(md5(g::text), 1000), format('[%s,0.5,-1]', g)::vector FROM generate_series(11, 2500) g"
    assert_right wide bin csv jsonl
}

@test "random changes one after another, with vacuums, remounts and lost files between" {
    RANDOM=7
    assert_right wide bin
    for i in $(seq "$(often 8 20)"); do
        at=$((RANDOM % 3000)) n=$((RANDOM % 40))
        case $((RANDOM % 8)) in
            0 | 1) psql -X -q -c "UPDATE wide SET v = '[$i,0,0]' WHERE id BETWEEN $at AND $((at + n))" ;;
            2) psql -X -q -c "UPDATE wide SET pad = repeat('u', 3 * $at) WHERE id BETWEEN $at AND $((at + n))" ;;
            3) psql -X -q -c "DELETE FROM wide WHERE id BETWEEN $at AND $((at + n))" ;;
            4) psql -X -q -c "INSERT INTO wide SELECT g, repeat('i', 32000), '[1,1,$i]' FROM generate_series($((100000 + 100 * i)), $((100000 + 100 * i + n))) g" ;;
            5) psql -X -q -c "VACUUM wide" ;;
            6) mount_stop && mount_start -o lease=0 ;;
            7) find "$CACHE" -name '*.rows' | sort | sed -n "$((1 + RANDOM % 5))~5p" | xargs rm -f ;;
        esac
        echo "round $i"
        reference_bin public.wide >"$OUT/right"
        # A group that was lost, and has changed since it was fetched, is found out when it is read.
        for try in 1 2 3; do
            if cp "$T/wide/wide.bin" "$OUT/got" 2>"$OUT/err"; then break; fi
            cat "$OUT/err"
            [ $try -lt 3 ]
        done
        assert_same_bytes "$OUT/got" "$OUT/right"
    done
    assert_right wide csv jsonl
}

@test "a change while nothing is mounted moves as little" {
    assert_right wide bin
    mount_stop
    psql -X -q -c "UPDATE wide SET v = '[7,7,7]' WHERE id = 300"
    mount_start -o lease=0
    assert_right wide bin csv
    echo "$(metric groups_fetched_total) fetched, $(metric groups_kept_total) kept"
    [ "$(metric groups_fetched_total)" -le 6 ]
    [ "$(metric groups_kept_total)" -ge 10 ]
}

@test "of a partitioned table the other partitions are kept; one that was empty is noticed" {
    assert_right parted bin csv
    assert_moves parted "UPDATE parted SET pad = repeat('y', 100000) WHERE id = 7" 4
    assert_moves parted "INSERT INTO parted VALUES (250, 'the first one', 'bad')" 3
    assert_moves parted "UPDATE parted SET id = 10 WHERE id = 250" 6
}

@test "what changes every row's bytes without a new row version fetches all: enum names, a new column, CLUSTER, TRUNCATE" {
    assert_right parted csv bin
    psql -X -q -c "ALTER TYPE mood RENAME VALUE 'good' TO 'fine'"
    assert_right parted csv bin jsonl
    psql -X -q -c "ALTER TABLE parted ADD added int DEFAULT 5"
    assert_right parted csv bin jsonl
    assert_right wide bin
    psql -X -q -c "CLUSTER wide USING wide_pkey"
    assert_right wide csv bin
    psql -X -q -c "TRUNCATE parted_1"
    assert_right parted csv bin jsonl
}

@test "a fetch that is tried again goes on where it was: row groups that came are kept, if nothing has changed in them" {
    psql -X -q -c "CREATE TABLE long AS SELECT g AS id, repeat(md5(g::text), 20) AS t FROM generate_series(1, 300000) g"
    mount_stop
    mount_start -o jobs=1
    "$PYTHON" - "$T/long/long.csv" "$MNT/.pgvecfs/status.json" <<'PYTHON'
import json, os, subprocess, sys, threading
path, status = sys.argv[1:]
def sql(text):
    subprocess.run(["psql", "-X", "-q", "-c", text], check=True, stdout=subprocess.DEVNULL)
def look():
    return json.load(open(status))
size = []
reader = threading.Thread(target=lambda: size.append(os.stat(path).st_size))
reader.start()
while not any(job["bytes"] > 30_000_000 for job in look()["jobs"]):
    assert reader.is_alive(), "it was over too soon"
sql("UPDATE long SET t = 'early' WHERE id = 5; UPDATE long SET t = 'late' WHERE id = 299999")
sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgvecfs' AND state <> 'idle'")
reader.join()
refresh = [r for r in look()["refreshes"] if r["name"] == "long"][-1]
print(refresh)
assert refresh["groups_kept"] >= 3, "nothing was kept"
PYTHON
    reference_csv public.long >"$OUT/right"
    assert_same_bytes "$T/long/long.csv" "$OUT/right"
    psql -X -q -c "DROP TABLE long"
}

@test "an open file keeps its bytes while its row groups go on into the next version" {
    reference_csv public.wide >"$OUT/before"
    exec 4<"$T/wide/wide.csv"
    psql -X -q -c "UPDATE wide SET v = '[9,9,9]' WHERE id BETWEEN 1000 AND 1050"
    assert_right wide csv bin
    psql -X -q -c "DELETE FROM wide WHERE id BETWEEN 1000 AND 1020" -c "VACUUM wide"
    assert_right wide csv bin
    cat <&4 >"$OUT/old"
    exec 4<&-
    assert_same_bytes "$OUT/old" "$OUT/before"
}

@test "an unchanged table beside others that change costs one question, and moves nothing" {
    assert_right narrow bin
    before=$(metric bytes_fetched_total)
    for i in 1 2 3; do
        psql -X -q -c "UPDATE parted SET pad = 'other $i' WHERE id = 150"
        stat "$T/narrow/narrow.bin" >/dev/null
    done
    [ "$(metric bytes_fetched_total)" -eq "$before" ]
    [ "$(metric unchanged_total)" -ge 3 ]
}

@test "a group that is in no cache any more is read again, however often the table changes" {
    mount_stop
    rm -rf "$CACHE"
    mount_start -o lease=0 -o cache_size=30M
    assert_right wide bin
    for i in 1 2 3; do
        psql -X -q -c "UPDATE wide SET v = '[$i,$i,$i]' WHERE id = ${i}00"
        assert_right wide bin csv
    done
    used=$(du -sb --exclude='*.record' "$CACHE" | cut -f1)
    [ "$used" -le $((31 << 20)) ]
}

@test "row groups of a table that was not read lately make room for another's" {
    mount_stop
    rm -rf "$CACHE"
    psql -X -q -c "CREATE TABLE other AS SELECT g, repeat(md5(g::text), 30) AS t FROM generate_series(1, 20000) g"
    mount_start -o lease=0 -o cache_size=120M
    assert_right wide bin
    files=$(find "$CACHE" -name '*.rows' | wc -l)
    assert_right other bin
    assert_right narrow bin csv
    assert_right wide bin csv
    used=$(du -sb --exclude='*.record' "$CACHE" | cut -f1)
    echo "$files files at first, $used bytes at last"
    [ "$used" -le $((121 << 20)) ]
}

@test "a slow reader keeps its version, for its next files too; everybody else sees a change within the lease" {
    mount_stop
    rm -rf "$CACHE"
    psql -X -q -c "CREATE TABLE slowly AS SELECT g AS id, repeat(md5(g::text), 20) AS t FROM generate_series(1, 60000) g"
    mount_start -o lease=2
    stat "$MNT/public/slowly/slowly.csv" "$MNT/public/slowly/slowly.bin" >/dev/null
    reference_csv public.slowly >"$E2E/slow.csv"
    reference_bin public.slowly >"$E2E/slow.bin"
    "$PYTHON" - "$MNT/public/slowly" "$E2E" <<'PYTHON'
import os, subprocess, sys, threading, time
table, out = sys.argv[1:]
fd = os.open(table + "/slowly.csv", os.O_RDONLY)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
got = bytearray()
stop = False

def read_some():
    got.extend(os.pread(fd, 128 << 10, len(got)))

def others_see():
    last = subprocess.run(["tail", "-n", "1", table + "/slowly.csv"], stdout=subprocess.PIPE, text=True, check=True)
    return last.stdout.startswith("60000,new")

read_some()
subprocess.run(["psql", "-X", "-q", "-c", "UPDATE slowly SET t = 'new' || t WHERE id = 60000"], check=True)
changed = time.monotonic()
seen = None
# In pieces, each well before a lease has passed since the one before.
while time.monotonic() < changed + 5:
    read_some()
    if seen is None and others_see():
        seen = time.monotonic() - changed
    time.sleep(0.3)
assert seen is not None, "nobody sees the change while one reads slowly"
# What this process opens next, by another of its threads, is of the version that it reads.
second = []
thread = threading.Thread(target=lambda: second.append(open(table + "/slowly.bin", "rb").read()))
thread.start()
thread.join()
assert second[0] == open(out + "/slow.bin", "rb").read(), "its next file is of another version"
while True:
    more = os.pread(fd, 1 << 20, len(got))
    if not more:
        break
    got.extend(more)
assert bytes(got) == open(out + "/slow.csv", "rb").read(), "its open file has changed"
os.close(fd)
time.sleep(2.5)
assert open(table + "/slowly.csv").readlines()[-1].startswith("60000,new"), "it never sees the change"
PYTHON
    psql -X -q -c "DROP TABLE slowly"
}
