# What breaks: backends, servers, the daemon, the disk, the cache's bytes. Always the right bytes or a clear error, and it recovers by itself.
load helper

setup_file() {
    server_start
    make_tables
    mkdir -p "$E2E/ref"
    for format in csv bin jsonl; do
        reference_$format public.small >"$E2E/ref/small.$format"
        reference_$format public.big >"$E2E/ref/big.$format"
    done
}

teardown_file() {
    umount -l "$E2E/full" 2>/dev/null || true
    teardown_all
}

make_tables() {
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE small (id int PRIMARY KEY, v text, e vector(3));
INSERT INTO small SELECT i, 'value ' || i, ('[' || i || ',0.5,-1]')::vector FROM generate_series(1, 3000) i;
-- About 60 MB, incompressible: some seconds of rendering, several row groups.
CREATE TABLE big (id int, e vector(400));
ALTER TABLE big ALTER e SET STORAGE EXTERNAL;
INSERT INTO big SELECT i, (SELECT array_agg(sin(i * 1000 + k))::vector FROM generate_series(1, 400) k) FROM generate_series(1, 30000) i;
SQL
}

setup() {
    T=$MNT/public
    OUT=$E2E/out/$BATS_TEST_NUMBER
    mkdir -p "$OUT"
    PIDS=()
    chmod -R u+rwX "$CACHE" 2>/dev/null || true
    rm -rf "$CACHE"
    "$ROOT/scripts/private-pg" start "$E2E/pg" >/dev/null # where a test has left it down
}

teardown() {
    for pid in "${PIDS[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    mount_stop >/dev/null 2>&1 || fusermount3 -uz "$MNT" 2>/dev/null || true
    [ -n "${E2E_KEEP:-}" ] || rm -rf "$OUT"
    # One test that fails is not to take others with it.
    [ -z "${BIG_CHANGES:-}" ] || for format in csv bin jsonl; do reference_$format public.big >"$E2E/ref/big.$format"; done
}

assert_all_right() { # of the tables named
    local table format
    for table in "$@"; do
        for format in csv bin jsonl; do
            assert_same_bytes "$T/$table/$table.$format" "$E2E/ref/$table.$format" || return
        done
    done
}

# A COPY of ours is under way.
copying() { [ "$(psql -X -At -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgvecfs' AND query LIKE 'COPY%' AND state = 'active'")" -gt 0 ]; }
copying_or_over() { process_gone "$1" || copying; }

rows_files() { find "$CACHE" -name '*.rows' | sort; }

# kill -9 of the daemon, and what a user does then.
crash() {
    local pid
    pid=$(cat "$E2E/mnt.pid")
    kill -KILL "$pid"
    wait_gone "$pid" 10
    fusermount3 -uz "$MNT"
    rm -f "$E2E/mnt.pid"
}

# Whatever failed said so: an errno, the log, and the xattr. getfattr wants a stat first, which may be what fails: the directory has it too.
assert_reason() {
    local reason
    reason=$(getfattr --only-values --absolute-names -n user.pgvecfs.error "$(dirname "$1")" 2>&1) || { echo "$reason"; return 1; }
    echo "reason: $reason"
    [ -n "$reason" ]
    [ "$(python3 -c 'import os, sys; print(os.getxattr(sys.argv[1], "user.pgvecfs.error").decode(), end="")' "$1")" = "$reason" ]
    sleep 1.1
    grep -qF -- "${reason:0:40}" "$MNT/.pgvecfs/log"
}

@test "a fetch that is broken off is made again after a pause, so that what lasts two seconds is no error" {
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE until (at timestamptz);
CREATE FUNCTION fail_until(n int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF clock_timestamp() < (SELECT at FROM public.until) THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
    RETURN n;
END $$;
CREATE VIEW shaken AS SELECT fail_until(n) AS n FROM generate_series(1, 10) n;
SQL
    mount_start
    stat "$T/shaken" >/dev/null
    psql -X -q -c "INSERT INTO until VALUES (clock_timestamp() + interval '2 s')"
    timeout 60 cat "$T/shaken/shaken.csv" >"$OUT/got"
    reference_csv public.shaken >"$OUT/right"
    assert_same_bytes "$OUT/got" "$OUT/right"
    grep -q 'shaken.*trying again' "$MNT/.pgvecfs/log"
    psql -X -q -c "DROP VIEW shaken" -c "DROP FUNCTION fail_until" -c "DROP TABLE until"
}

@test "a fetch that only adds the JSON of casts, and is broken off, leaves the file the same" {
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE until AS SELECT clock_timestamp() AS at;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE FUNCTION mood_json(m mood) RETURNS json LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF clock_timestamp() < (SELECT at FROM public.until) THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
    RETURN to_json(m::text);
END $$;
CREATE CAST (mood AS json) WITH FUNCTION mood_json(mood);
CREATE TABLE moods AS SELECT n, 'good'::mood AS m FROM generate_series(1, 1000) n;
SQL
    mount_start -o lease=0
    cat "$T/moods/moods.csv" "$T/moods/moods.bin" >/dev/null
    before=$(stat -c '%i %Y %s' "$T/moods/moods.csv" "$T/moods/moods.bin")
    sleep 1.1 # so that it would get another time
    psql -X -q -c "UPDATE until SET at = clock_timestamp() + interval '1 s'"
    timeout 60 cat "$T/moods/moods.jsonl" >"$OUT/got"
    grep -q 'moods.*trying again' "$MNT/.pgvecfs/log"
    psql -X -At -c "SELECT row_to_json(moods) FROM moods" >"$OUT/right"
    assert_same_bytes "$OUT/got" "$OUT/right"
    [ "$(stat -c '%i %Y %s' "$T/moods/moods.csv" "$T/moods/moods.bin")" = "$before" ]
    # Rows that change between the attempts are seen.
    psql -X -q -c "CREATE TABLE changing AS SELECT * FROM moods"
    cat "$T/changing/changing.csv" >/dev/null
    before=$(stat -c '%i' "$T/changing/changing.csv")
    psql -X -q -c "UPDATE until SET at = clock_timestamp() + interval '5 s'"
    timeout 60 cat "$T/changing/changing.jsonl" >"$OUT/got" 3>&- &
    pid=$!
    PIDS+=("$pid")
    within 20 grep -q 'changing.*trying again' "$MNT/.pgvecfs/log"
    psql -X -q -c "UPDATE changing SET m = 'bad' WHERE n = 500" -c "UPDATE until SET at = clock_timestamp()"
    wait "$pid"
    psql -X -At -c "SELECT row_to_json(changing) FROM changing" >"$OUT/right"
    assert_same_bytes "$OUT/got" "$OUT/right"
    [ "$(stat -c '%i' "$T/changing/changing.csv")" != "$before" ]
    psql -X -q -c "DROP TABLE changing, moods, until" -c "DROP TYPE mood CASCADE"
}

@test "a backend that is killed in mid-COPY is replaced: right bytes, or EIO with its reason" {
    mount_start -o lease=0
    BIG_CHANGES=yes
    for format in csv bin jsonl; do
        psql -X -q -c "UPDATE big SET id = id WHERE id < 3" # the reference changes with it
        reference_$format public.big >"$OUT/right"
        cat "$T/big/big.$format" >"$OUT/got" 2>"$OUT/err" 3>&- &
        pid=$!
        PIDS+=("$pid")
        within 10 copying_or_over "$pid" || true
        psql -X -At -c "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'pgvecfs' AND state = 'active'"
        status=0
        wait "$pid" || status=$?
        echo "status $status: $(cat "$OUT/err")"
        if [ $status -eq 0 ]; then
            assert_same_bytes "$OUT/got" "$OUT/right"
        else
            grep -q 'Input/output error' "$OUT/err"
            assert_reason "$T/big/big.$format"
        fi
        assert_same_bytes "$T/big/big.$format" "$OUT/right" # by itself
    done
}

@test "every session killed while idle: the next read is right" {
    mount_start -o lease=0
    assert_all_right small
    psql -X -q -At -c "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'pgvecfs'"
    psql -X -q -c "SELECT pg_current_xact_id()" >/dev/null
    ls "$T" >/dev/null
    assert_all_right small
    psql -X -q -At -c "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'pgvecfs'"
    psql -X -q -c "SELECT pg_current_xact_id()" >/dev/null
    ls -l "$T/small" >/dev/null
    assert_all_right small
}

@test "a server that goes away: clear errors with a reason, what is open goes on, and it recovers by itself" {
    mount_start -o lease=0
    {
        head -c 10 <&4 >"$OUT/open"
        cat "$T/big/big.csv" >"$OUT/got" 2>"$OUT/err" 3>&- 4>&- &
        pid=$!
        PIDS+=("$pid")
        within 10 copying_or_over "$pid" || true
        "$ROOT/scripts/private-pg" kill "$E2E/pg"
        status=0
        wait "$pid" || status=$?
        echo "status $status: $(cat "$OUT/err")"
        if [ $status -eq 0 ]; then assert_same_bytes "$OUT/got" "$E2E/ref/big.csv"; else [ -s "$OUT/err" ]; fi
        run timeout 20 cat "$T/small/small.bin"
        echo "$output"
        [ "$status" -eq 1 ]
        assert_reason "$T/small/small.bin"
        run timeout 20 ls "$T"
        echo "$output"
        [ "$status" -ne 124 ]
        cat <&4 >>"$OUT/open"
    } 4<"$T/small/small.csv"
    assert_same_bytes "$OUT/open" "$E2E/ref/small.csv"
    "$ROOT/scripts/private-pg" start "$E2E/pg"
    assert_all_right small big
    run getfattr --only-values --absolute-names -n user.pgvecfs.error "$T/small/small.bin"
    [ "$status" -ne 0 ] # it is well again
}

@test "commits that a crash of the server takes back are noticed, though their ids come again" {
    mount_start -o lease=0
    psql -X -q -c "ALTER SYSTEM SET synchronous_commit = off" -c "ALTER SYSTEM SET wal_writer_delay = '10s'" -c "SELECT pg_reload_conf()" >/dev/null
    psql -X -q -c "CREATE TABLE lost (id int, t text)" -c "INSERT INTO lost VALUES (1, 'one')" -c CHECKPOINT
    sleep 1
    for i in 1 2 3; do
        psql -X -q -c "INSERT INTO lost VALUES (2, 'seen $i')"
        cat "$T/lost/lost.csv" | grep -q "seen $i"
        "$ROOT/scripts/private-pg" kill "$E2E/pg"
        "$ROOT/scripts/private-pg" start "$E2E/pg"
        psql -X -q -c "INSERT INTO lost VALUES (2, 'anew $i')"
        reference_csv public.lost >"$OUT/right"
        assert_same_bytes "$T/lost/lost.csv" "$OUT/right"
    done
    psql -X -q -c "ALTER SYSTEM RESET ALL" -c "SELECT pg_reload_conf()" -c "DROP TABLE lost" >/dev/null
}

@test "kill -9 in the middle of a fetch: the next mount has the right bytes, and no leftovers stay in the cache" {
    for i in 1 2 3; do
        mount_start
        cat "$T/big/big.csv" >/dev/null 2>&1 3>&- &
        PIDS+=($!)
        within 10 eval '[ "$(rows_files | wc -l)" -ge '$((i * 2))' ]' || true
        crash
    done
    mount_start
    assert_all_right big small
    whole=$(find "$CACHE" -name '*.rows' -printf '%s\n' | awk '{ n += $1 } END { print n }')
    echo "$whole bytes of row groups"
    [ "$whole" -lt $((70 << 20)) ] # one copy of the table, not several
    sleep 1.1 # its text is kept for a second
    used=$(sed -n 's/.*"cache_bytes": \([0-9]*\).*/\1/p' "$MNT/.pgvecfs/status.json")
    [ "$used" -eq "$whole" ]
    [ "$(find "$CACHE" -name '*.new' | wc -l)" -eq 0 ]
}

@test "kill -9 at random moments, with updates between" {
    RANDOM=42
    for i in $(seq "$(often 3 10)"); do
        mount_start -o lease=0
        (while :; do cat "$T"/small/* "$T/big/big.bin" || :; done) >/dev/null 2>&1 3>&- &
        reader=$!
        PIDS+=("$reader")
        sleep "0.$((RANDOM % 9))"
        [ $((i % 3)) -ne 0 ] || psql -X -q -c "UPDATE small SET v = v || '.' WHERE id = $i"
        sleep "0.$((RANDOM % 9))"
        crash
        kill -KILL "$reader"
        mount_start
        for format in csv bin jsonl; do
            reference_$format public.small >"$E2E/ref/small.$format"
            assert_same_bytes "$T/small/small.$format" "$E2E/ref/small.$format"
        done
        assert_same_bytes "$T/big/big.bin" "$E2E/ref/big.bin"
        mount_stop
    done
}

# Damages file $1 in way $2.
damage() {
    local size
    size=$(stat -c %s "$1")
    case $2 in
        first | middle | last)
            python3 - "$1" "$2" <<'PYTHON'
import os, sys
path, where = sys.argv[1:]
with open(path, "r+b") as f:
    n = os.fstat(f.fileno()).st_size
    at = {"first": 0, "middle": n // 2, "last": n - 1}[where]
    f.seek(at)
    byte = f.read(1)[0]
    f.seek(at)
    f.write(bytes([byte ^ 0x10]))
PYTHON
            ;;
        header) printf '\377\377\377\377\377\377\377\177' | dd of="$1" bs=1 seek=16 conv=notrunc status=none ;;
        half) truncate -s $((size / 2)) "$1" ;;
        empty) : >"$1" ;;
        longer) printf 'more' >>"$1" ;;
        vast) truncate -s 200G "$1" ;;
        gone) rm "$1" ;;
        foreign) head -c "$size" /dev/urandom >"$1" ;;
        folder) rm "$1" && mkdir "$1" ;;
        link) rm "$1" && ln -s "$OUT/target" "$1" ;;
        fifo) rm "$1" && mkfifo "$1" ;;
    esac
}

@test "damaged files of the cache, of each kind and in each way, are found out and fetched again" {
    # shellcheck disable=SC2046
    ways=(middle header empty vast gone foreign fifo folder $(often "" "first last half longer link"))
    echo "not to be touched" >"$OUT/target"
    for how in "${ways[@]}"; do
        psql -X -q -v ON_ERROR_STOP=1 -c "DROP TABLE IF EXISTS t_$how" -c "CREATE TABLE t_$how AS SELECT * FROM small"
        for format in csv bin jsonl; do reference_$format public.t_$how >"$E2E/ref/t_$how.$format"; done
    done
    for kind in rows record; do
        mount_start
        for how in "${ways[@]}"; do timeout 30 cat "$T/t_$how"/*.* >/dev/null; done
        mount_stop
        for how in "${ways[@]}"; do
            oid=$(psql -X -At -c "SELECT 't_$how'::regclass::oid")
            mapfile -t files < <(find "$CACHE" -path "*/$oid/*.$kind" -type f)
            [ "${#files[@]}" -ge 1 ]
            for file in "${files[@]}"; do damage "$file" $how; done
        done
        mount_start
        for how in "${ways[@]}"; do
            echo "$kind $how"
            for format in csv bin jsonl; do
                timeout 30 cat "$T/t_$how/t_$how.$format" >"$OUT/got"
                assert_same_bytes "$OUT/got" "$E2E/ref/t_$how.$format"
            done
            timeout 10 grep -q "t_$how" "$T/t_$how/schema.sql"
            timeout 10 python3 -m json.tool "$T/t_$how/manifest.json" >/dev/null
        done
        mount_stop
        [ "$(cat "$OUT/target")" = "not to be touched" ]
        rm -rf "$CACHE"
    done
    for how in "${ways[@]}"; do psql -X -q -c "DROP TABLE t_$how"; done
}

@test "row groups that are lost while the mount runs are fetched again; after a change their old version says so" {
    mount_start -o memory=1M,lease=2
    {
        head -c 100 <&4 >/dev/null
        for file in $(rows_files); do damage "$file" middle; done
        python3 -c 'import os, sys; os.posix_fadvise(4, 0, 0, os.POSIX_FADV_DONTNEED); sys.stdout.buffer.write(os.pread(4, 1 << 20, 30000000))' >"$OUT/part"
        tail -c +30000001 "$E2E/ref/big.bin" | head -c 1048576 >"$OUT/right"
        assert_same_bytes "$OUT/part" "$OUT/right"
    } 4<"$T/big/big.bin"
    assert_all_right big
    psql -X -q -c "CREATE TABLE lost AS SELECT * FROM big WHERE id <= 10000"
    {
        head -c 100 <&4 >/dev/null
        psql -X -q -c "UPDATE lost SET id = id + 1"
        for file in $(rows_files); do rm "$file"; done
        status=0
        python3 -c 'import os, sys; os.posix_fadvise(4, 0, 0, os.POSIX_FADV_DONTNEED); sys.stdout.buffer.write(os.pread(4, 1 << 20, 12000000))' >"$OUT/part" 2>"$OUT/err" || status=$?
        cat "$OUT/err"
        if [ $status -eq 0 ]; then # it was in memory still
            [ "$(wc -c <"$OUT/part")" -eq 1048576 ]
        else
            grep -q 'Errno 5' "$OUT/err"
        fi
    } 4<"$T/lost/lost.bin"
    reference_bin public.lost >"$OUT/right"
    sleep 2.5
    assert_same_bytes "$T/lost/lost.bin" "$OUT/right"
    psql -X -q -c "DROP TABLE lost"
}

@test "a full cache disk: right bytes, a line in the log, and later the cache is used again" {
    [ "$(id -u)" -eq 0 ] || skip "only root can make a small disk"
    mkdir -p "$E2E/full"
    mount -t tmpfs -o size=4M,mode=700 tmpfs "$E2E/full" || skip "no tmpfs can be mounted here"
    CACHE=$E2E/full mount_start -o lease=0
    assert_all_right small big
    sleep 1.1
    grep -q 'no room' "$MNT/.pgvecfs/log"
    mount_stop
    # Not even one byte.
    head -c 10000000 /dev/zero >"$E2E/full/filler" || true
    CACHE=$E2E/full mount_start -o lease=0
    assert_all_right small
    mount_stop
    rm "$E2E/full/filler"
    CACHE=$E2E/full mount_start -o lease=0
    assert_all_right small
    mount_stop
    umount "$E2E/full"
}

@test "a disk that is full while rows move: right bytes, what is open stays whole, and the old rows make room for the new ones" {
    [ "$(id -u)" -eq 0 ] || skip "only root can make a small disk"
    psql -X -q -c "CREATE TABLE moving (id int, t text)" -c "ALTER TABLE moving ALTER t SET STORAGE external" \
        -c "INSERT INTO moving SELECT i, string_agg(md5(i::text || k), '') FROM generate_series(1, 1000) i, generate_series(1, 100) k GROUP BY i ORDER BY i"
    mkdir -p "$E2E/full"
    mount -t tmpfs -o size=7M,mode=700 tmpfs "$E2E/full" || skip "no tmpfs can be mounted here"
    CACHE=$E2E/full mount_start -o lease=0
    for format in csv bin jsonl; do
        reference_$format public.moving >"$E2E/ref/moving.$format"
        reference_$format public.moving >"$OUT/before.$format"
    done
    assert_all_right moving
    full_rows() { find "$E2E/full" -name '*.rows' -printf '%f\n' | sort; }
    full_rows >"$OUT/rows"
    {
        head -c 100 <&4 >"$OUT/open"
        cat /dev/zero >"$E2E/full/filler" 2>/dev/null || true
        psql -X -q -c "UPDATE moving SET t = t || 'moved'"
        for format in csv bin jsonl; do reference_$format public.moving >"$E2E/ref/moving.$format"; done
        assert_all_right moving
        sleep 1.1
        grep -q 'moving: its record finds no room' "$MNT/.pgvecfs/log"
        python3 -c 'import os; os.posix_fadvise(4, 0, 0, os.POSIX_FADV_DONTNEED)'
        cat <&4 >>"$OUT/open"
    } 4<"$T/moving/moving.csv"
    assert_same_bytes "$OUT/open" "$OUT/before.csv"
    # Nobody needs the old rows any more: now there is room for the new ones, and for their record.
    none_of_the_old() { [ -z "$(full_rows | comm -12 - "$OUT/rows")" ]; }
    within 10 none_of_the_old
    assert_all_right moving
    ls -i "$T/moving/moving.csv" >"$OUT/inode"
    mount_stop
    CACHE=$E2E/full mount_start -o lease=0
    ls -i "$T/moving/moving.csv" | diff "$OUT/inode" -
    assert_all_right moving
    within 10 eval '[ -n "$(full_rows)" ]'
    mount_stop
    umount "$E2E/full"
    psql -X -q -c "DROP TABLE moving"
}

@test "a cache that cannot be written to any more, or is taken away: right bytes all the same" {
    mount_start -o lease=0
    assert_all_right small
    # root may write anywhere: where a folder should be, put a file.
    folder=$(dirname "$(rows_files | head -n 1)")
    rm -rf "$folder"
    echo foreign >"$folder"
    psql -X -q -c "UPDATE small SET v = v || '!' WHERE id = 77"
    for format in csv bin jsonl; do reference_$format public.small >"$E2E/ref/small.$format"; done
    assert_all_right small
    rm -rf "$CACHE"
    psql -X -q -c "UPDATE small SET v = v || '!' WHERE id = 78"
    for format in csv bin jsonl; do reference_$format public.small >"$E2E/ref/small.$format"; done
    assert_all_right small
    mount_stop
    mount_start
    assert_all_right small
}

@test "a cache_dir that cannot be made is said in one line" {
    echo file >"$OUT/file"
    run "$PGVECFS" -o cache_dir="$OUT/file/x" "host=$PGHOST port=$PGPORT user=$PGUSER dbname=test" "$MNT"
    echo "$output"
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 1 ]
    [[ $output == *"$OUT/file"* ]]
    mountpoint -q "$MNT" && false || true
}

@test "two mounts of one database with one cache_dir: both right, neither's files are taken away" {
    mount_start
    MNT=$E2E/mnt2 mount_start
    assert_all_right small
    T=$E2E/mnt2/public assert_all_right small
    T=$E2E/mnt2/public assert_all_right big &
    wait $!
    assert_all_right big
    MNT=$E2E/mnt2 mount_stop
    assert_all_right small big
    [ "$(find "$CACHE" -mindepth 1 -maxdepth 1 | wc -l)" -eq 2 ]
}

@test "a symbolic link in place of the cache's folders is not followed, and a cache open to others is closed" {
    mkdir -p "$OUT/elsewhere" "$CACHE"
    chmod 755 "$CACHE"
    mount_start
    slot=$(echo "$CACHE"/*-0)
    mount_stop
    rm -rf "$slot"
    ln -s "$OUT/elsewhere" "$slot"
    run "$PGVECFS" -o cache_dir="$CACHE" "host=$PGHOST port=$PGPORT user=$PGUSER dbname=test" "$MNT"
    if [ "$status" -eq 0 ]; then mount_stop || fusermount3 -u "$MNT"; fi
    echo "$output"
    [ -z "$(ls -A "$OUT/elsewhere")" ]
    rm "$slot"
    mkdir -m 777 "$slot"
    mount_start
    cat "$T/small/small.csv" >/dev/null
    oid=$(psql -X -At -c "SELECT 'small'::regclass::oid")
    mount_stop
    [ "$(stat -c %a "$slot")" = 700 ]
    [ "$(find "$slot" -type f ! -perm 600 | wc -l)" -eq 0 ]
    # The folder of one table.
    rm -rf "${slot:?}/$oid"
    ln -s "$OUT/elsewhere" "$slot/$oid"
    mount_start
    assert_all_right small
    mount_stop
    [ -z "$(ls -A "$OUT/elsewhere")" ] || { ls -la "$OUT/elsewhere"; false; }
}
