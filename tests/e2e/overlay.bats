# The mount below an overlay: the kernel keeps the file that it has found below a name, and says ESTALE as soon as the name
# leads to another one.
load helper

setup_file() { server_start; }
teardown_file() { teardown_all; }
setup() { test_begin; }
teardown() { test_end; }

# Runs $1 with an overlay over $MNT at $OV, both of which go with it.
through_overlay() {
    [ "$(id -u)" -eq 0 ] && unshare -m true || skip "only root can mount an overlay"
    write_visitor
    export ROOT OUT MNT T E2E OV=$OUT/over
    # What is above must be of a filesystem that can be: not of an overlay, as a container's root is.
    "$ROOT/tests/e2e/own-mounts" "$E2E" bash -euc '
        mkdir -p "$OV" "$OUT/above"
        mount -t tmpfs tmpfs "$OUT/above"
        mkdir "$OUT/above/upper" "$OUT/above/work"
        mount -t overlay overlay -o "lowerdir=$MNT,upperdir=$OUT/above/upper,workdir=$OUT/above/work" "$OV" || exit 77
        . "$ROOT/tests/e2e/helper.bash"
        requests_wait() { [ "$(sed -n "s/.*\"waiting_requests\": \([0-9]*\),/\1/p" "$MNT/.pgvecfs/status.json")" = "$1" ]; }
        visit() { python3 "$E2E/visit.py" "$@"; }
        '"$1" </dev/null 3>&- && return
    [ $? -eq 77 ] && skip "this kernel mounts no overlay here"
    return 1
}

# visit.py TIMES FILE RIGHT...: looks at each file in every way, so often, while it has it open, and while somebody else has.
write_visitor() {
    cat >"$E2E/visit.py" <<'PYTHON'
import mmap, os, subprocess, sys
def look(path, right):
    assert os.stat(path).st_size == len(right), path
    with open(path, "rb") as file:
        assert file.read() == right, path
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert mapped[:] == right, path
    assert os.access(path, os.R_OK)
    os.close(os.open(path, os.O_PATH))
    assert subprocess.run(["cat", path], stdout=subprocess.PIPE, check=True).stdout == right, path
    assert os.path.basename(path) in os.listdir(os.path.dirname(path))
times, files = int(sys.argv[1]), sys.argv[2:]
files = [(path, open(right, "rb").read()) for path, right in zip(files[::2], files[1::2])]
for path, right in files:
    with open(path, "rb") as file:
        opened = os.fstat(file.fileno())
        for _ in range(times):
            look(path, right)
            assert os.fstat(file.fileno()) == opened
        assert file.read() == right
PYTHON
}

@test "through overlayfs a table that does not change is there after its lease, whoever has it open" {
    psql -X -q -c "DROP TABLE IF EXISTS still" -c "CREATE TABLE still (i int PRIMARY KEY)" \
        -c "INSERT INTO still SELECT generate_series(1, 100)" \
        -c "DROP TABLE IF EXISTS other" -c "CREATE TABLE other (i int)"
    mount_start -o lease=0
    export FILES="still.csv still.bin still.jsonl schema.sql manifest.json rows/5.json rows/7.csv parts/csv/00-00000000.csv"
    for file in $FILES; do cp "$T/still/$file" "$OUT/${file##*/}"; done
    through_overlay '
        set --
        for file in $FILES; do set -- "$@" "$OV/public/still/$file" "$OUT/${file##*/}"; done
        exec 4<"$OV/public/still/still.csv" 5<"$OV/public/still/still.bin" 6<"$T/still/still.jsonl"
        visit 5 "$@"
        psql -X -q -c "INSERT INTO other VALUES (1)" # so that it is asked whether this one has changed
        visit 2 "$@"
        cmp "$OUT/still.csv" <&4
        cmp "$OUT/still.bin" <&5'
}

@test "through overlayfs a table whose rows were only written anew is there" {
    psql -X -q -c "DROP TABLE IF EXISTS still" -c "CREATE TABLE still AS SELECT generate_series(1, 100) AS i"
    mount_start -o lease=0
    for file in still.csv still.bin still.jsonl; do cp "$T/still/$file" "$OUT/$file"; done
    through_overlay '
        set --
        for file in still.csv still.bin still.jsonl; do set -- "$@" "$OV/public/still/$file" "$OUT/$file"; done
        visit 1 "$@"
        for sql in "UPDATE still SET i = i" "VACUUM FULL still" "UPDATE still SET i = i WHERE i = 100"; do
            psql -X -q -c "$sql"
            visit 1 "$@"
            exec 4<"$OV/public/still/still.csv"
            psql -X -q -c "$sql"
            visit 2 "$@"
            cmp "$OUT/still.csv" <&4
        done'
}

@test "through overlayfs rows that come in one stream are there after their lease, and so is a partitioned table" {
    psql -X -q -c "DROP VIEW IF EXISTS seen" -c "CREATE VIEW seen AS SELECT i, pg_sleep(0.01) IS NULL AS slow FROM generate_series(1, 70) i" \
        -c "DROP TABLE IF EXISTS parted" -c "CREATE TABLE parted (i int) PARTITION BY RANGE (i)" \
        -c "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (50)" \
        -c "CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (50) TO (101)" \
        -c "INSERT INTO parted SELECT generate_series(1, 100)"
    mount_start -o lease=0
    for name in seen parted; do cp "$T/$name/$name.csv" "$OUT/$name.csv"; done
    through_overlay '
        for name in seen parted; do
            exec 4<"$OV/public/$name/$name.csv"
            stat -c %s "$OV/public/$name/$name.csv"
            for _ in 1 2 3; do cmp "$OV/public/$name/$name.csv" "$OUT/$name.csv"; done
            cmp "$OUT/$name.csv" <&4
        done'
}

@test "through overlayfs a table is there that several look at while it is fetched for the first time" {
    psql -X -q -c "DROP TABLE IF EXISTS large" -c "CREATE TABLE large AS SELECT i, repeat('x', 100) AS x FROM generate_series(1, 20000) i"
    reference_csv public.large >"$OUT/right"
    mount_start -o lease=0
    through_overlay '
        file=$OV/public/large/large.csv
        for n in 1 2 3 4; do
            { stat -c %s "$file" && cmp "$file" "$OUT/right"; } >"$OUT/out.$n" 2>&1 &
            pids="${pids:-} $!"
        done
        for pid in $pids; do wait "$pid" || { cat "$OUT"/out.*; false; }; done'
}

@test "through overlayfs a table that was opened before its size was known is there afterwards" {
    psql -X -q -c "DROP TABLE IF EXISTS large" -c "CREATE TABLE large AS SELECT i, repeat('x', 100) AS x FROM generate_series(1, 400000) i"
    reference_csv public.large >"$OUT/right"
    mount_start
    through_overlay '
        file=$OV/public/large/large.csv
        cmp "$file" "$OUT/right"
        cat "$file" | cmp - "$OUT/right"
        for _ in 1 2 3; do visit 1 "$file" "$OUT/right"; done'
}

@test "a file that was opened before its size was known is one for others once it is known, while it is still read" {
    psql -X -q -c "DROP TABLE IF EXISTS large" -c "CREATE TABLE large AS SELECT i, repeat('x', 100) AS x FROM generate_series(1, 400000) i"
    reference_csv public.large >"$OUT/right"
    mount_start
    through_overlay '
        file=$OV/public/large/large.csv
        exec 4<"$file"
        head -c 1000 <&4 >"$OUT/got"
        [ "$(stat -c %s "$T/large/large.csv")" = "$(stat -c %s "$OUT/right")" ] # waits for the rest
        visit 1 "$file" "$OUT/right" "$T/large/large.csv" "$OUT/right"
        head -c 1000000 <&4 >>"$OUT/got"
        if busybox true 2>/dev/null; then busybox cat "$file" | cmp - "$OUT/right"; fi
        python3 -c "
import os, sys
with open(sys.argv[1], \"rb\") as file, open(sys.argv[2], \"wb\") as copy:
    while os.sendfile(copy.fileno(), file.fileno(), None, 1 << 20):
        pass" "$file" "$OUT/sent"
        cmp "$OUT/sent" "$OUT/right"
        cat <&4 >>"$OUT/got"
        cmp "$OUT/got" "$OUT/right"'
}

@test "through overlayfs a table that somebody has locked is waited for" {
    psql -X -q -c "DROP TABLE IF EXISTS still" -c "CREATE TABLE still AS SELECT generate_series(1, 100) AS i"
    reference_csv public.still >"$OUT/right"
    mount_start -o lease=0
    through_overlay '
        file=$OV/public/still/still.csv
        exec 4<"$file"
        lock_start still
        trap lock_stop EXIT
        psql -X -q -c "CREATE TABLE IF NOT EXISTS other (i int)" -c "INSERT INTO other VALUES (1)" # so that the table is asked
        { stat -c %s "$file" && cat "$file"; } >"$OUT/stat" 2>&1 &
        by_stat=$!
        cat "$file" >"$OUT/cat" 2>&1 &
        by_cat=$!
        within 20 requests_wait 2
        sleep 1.5 # longer than a look-up waits
        requests_wait 2
        lock_stop
        wait $by_stat && wait $by_cat || { cat "$OUT/stat" "$OUT/cat"; false; }
        cmp "$OUT/cat" "$OUT/right"
        cmp <(tail -n +2 "$OUT/stat") "$OUT/right"'
}

@test "through overlayfs a table is found again after its lease, while nobody has it open" {
    psql -X -q -c "DROP TABLE IF EXISTS still" -c "CREATE TABLE still AS SELECT generate_series(1, 100) AS i"
    reference_csv public.still >"$OUT/right"
    mount_start -o lease=0
    through_overlay '
        file=$OV/public/still/still.csv
        for _ in 1 2 3 4 5; do
            [ "$(stat -c %s "$file")" = "$(stat -c %s "$OUT/right")" ]
            cmp "$file" "$OUT/right"
        done'
}

# The kernel holds on to the file that it has found below, and looks no further when that is of the past.
@test "through overlayfs a table that has changed is ESTALE or new, never old, and another overlay shows it" {
    psql -X -q -c "DROP TABLE IF EXISTS still" -c "CREATE TABLE still AS SELECT generate_series(1, 100) AS i"
    mount_start -o lease=0
    cat >"$E2E/change.py" <<'PYTHON'
import errno, mmap, os, subprocess, sys
path, rows = sys.argv[1], int(sys.argv[2])
def right(rows):
    return b"i\n" + b"".join(b"%d\n" % i for i in range(1, rows + 1))
def new_or_stale(what):
    try:
        return what() in (right(rows + 1), len(right(rows + 1)))
    except OSError as e:
        return e.errno == errno.ESTALE
def read():
    with open(path, "rb") as file:
        return file.read()
def mapped():
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as m:
        return m[:]
def cat():
    run = subprocess.run(["cat", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if b"Stale file handle" in run.stderr:
        raise OSError(errno.ESTALE, "")
    assert run.returncode == 0, run
    return run.stdout
assert read() == right(rows)
with open(path, "rb") as file:
    map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    subprocess.run(["psql", "-X", "-q", "-c", "INSERT INTO still VALUES (%d)" % (rows + 1)], check=True)
    for _ in range(3):
        for what in read, mapped, cat, lambda: os.stat(path).st_size:
            assert new_or_stale(what), what
    assert os.fstat(file.fileno()).st_size == len(right(rows))
    assert map[:] == file.read() == right(rows)
PYTHON
    through_overlay '
        for rows in 100 101 102; do
            python3 "$E2E/change.py" "$OV/public/still/still.csv" $rows
            [ "$(tail -n 1 "$T/still/still.csv")" = $((rows + 1)) ]
            umount -l "$OV"
            mkdir "$OUT/above/upper$rows" "$OUT/above/work$rows"
            mount -t overlay overlay -o "lowerdir=$MNT,upperdir=$OUT/above/upper$rows,workdir=$OUT/above/work$rows" "$OV"
        done'
}
