# However many wait for the server, those who need nothing of it, or something else, go on.
load helper

PYTHON=${PYTHON:-python3}
SOON=$((${SANITIZED:-0} * 15 + 6)) # less than the ten seconds after which a connection attempt fails

setup_file() {
    server_start -c autovacuum=off -c max_connections=200
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE words AS SELECT g AS id, 'word ' || g AS word FROM generate_series(1, 1000) g;
CREATE TABLE other AS SELECT g AS id, 'other ' || g AS word FROM generate_series(1, 1000) g;
CREATE TABLE items (id int PRIMARY KEY, name text, v vector(8));
INSERT INTO items SELECT i, 'n' || i, ARRAY(SELECT sin(i * d) FROM generate_series(1, 8) d)::vector FROM generate_series(1, 2000) i;
CREATE TABLE near (id int PRIMARY KEY, v vector(8));
INSERT INTO near SELECT id, v FROM items;
-- Some 12 row groups.
CREATE TABLE big AS SELECT g AS id, repeat(md5(g::text), 20) AS t FROM generate_series(1, 80000) g;
SELECT format('CREATE TABLE lk%s AS SELECT %1$s AS id', i) FROM generate_series(1, 10) i \gexec
SELECT format('CREATE VIEW slow%s AS SELECT %1$s AS id FROM pg_sleep(600)', i) FROM generate_series(1, 8) i \gexec
SQL
}

teardown_file() { teardown_all; }

setup() { test_begin; }

teardown() {
    [ ${#STOPPED[@]} -eq 0 ] || kill -CONT "${STOPPED[@]}" 2>/dev/null || true
    psql -X -q -At -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgvecfs'" >/dev/null
    test_end
}

behind() { # COMMAND…: in the background
    "$@" >/dev/null 2>&1 3>&- &
    PIDS+=($!)
}

rows_of() { timeout $SOON cat "$T/$1/$1.csv" | wc -l; } # TABLE
answers() { timeout $SOON cat "$T/$1/query/near/v/l2/3/$2.csv" | wc -l; } # TABLE KEY
mount_says_so() { timeout $SOON cat "$MNT/.pgvecfs/status.json" >/dev/null; }
drop_pages() { "$PYTHON" -c 'import os, sys; fd = os.open(sys.argv[1], os.O_RDONLY); os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)' "$1"; }

@test "ten tables that somebody has locked" {
    mount_start
    lock_start lk{1..10}
    for i in 1 2 3 4 5 6 7 8 9 10; do behind cat "$T/lk$i/lk$i.csv"; done
    within 20 at_least 1 "application_name = 'pgvecfs' AND wait_event_type = 'Lock'"
    sleep 1
    [ "$(rows_of words)" -eq 1001 ]
    [ "$(answers items 1)" -eq 4 ]
    mount_says_so
}

# ---- many tables that somebody has locked --------------------------------------------------------

many_make() { # NUMBER: tables in a schema of their own
    psql -X -q -v ON_ERROR_STOP=1 <<SQL
DROP SCHEMA IF EXISTS many CASCADE;
CREATE SCHEMA many;
SELECT format('CREATE TABLE many.lk%s AS SELECT %1\$s AS id', i) FROM generate_series(1, $1) i \gexec
SQL
}

many_lock() { # NUMBER
    local i tables=()
    for ((i = 1; i <= $1; i++)); do tables+=("many.lk$i"); done
    lock_start "${tables[@]}"
}

many_read() { # NUMBER FILE: of each so many tables, in the background
    local i
    for ((i = 1; i <= $1; i++)); do
        cat "$MNT/many/lk$i/${2/TABLE/lk$i}" >"$OUT/$i.${2##*.}" 2>"$OUT/$i.error" 3>&- &
        PIDS+=($!)
        disown $! # bash says nothing of its end
    done
}

many_wait() { # NUMBER: so many wait for a lock, and it is known of whom
    [ "$(timeout $SOON "$PYTHON" -c "import json, sys
print(sum(w['waits_for']['application'] == 'locker' for w in json.load(open(sys.argv[1]))['lock_waits']))" "$MNT/.pgvecfs/status.json")" -eq "$1" ]
}

threads_at_most() { [ "$(sed -n 's/^Threads:[[:space:]]*//p' "/proc/$(cat "$E2E/mnt.pid")/status")" -le "$1" ]; }
lines_read() { [ "$(cat "$OUT"/* | wc -l)" -eq "$1" ]; }
has_line() { grep -qx "$1" "$2" 2>/dev/null; } # LINE FILE
all_read() { [ "$(grep -l "$2" "$OUT"/* | wc -l)" -eq "$1" ]; }

@test "hundreds of tables that somebody has locked are waited for without threads and sessions, and read in the end" {
    local many
    many=$(often 120 300)
    many_make $((many + 1))
    mount_start
    many_lock "$many"
    many_read "$many" TABLE.csv
    within 60 many_wait "$many"
    within 60 threads_at_most 80
    for i in 1 2 3 4 5 6; do
        [ "$(count "application_name = 'pgvecfs' AND wait_event_type = 'Lock'")" -le 2 ]
        [ "$(rows_of words)" -eq 1001 ]
        psql -X -q -c "UPDATE words SET word = word WHERE id = 1"
        timeout 20 stat "$T/other/other.csv" >/dev/null
        timeout 20 ls "$T" "$MNT/many" >/dev/null
        [ "$(answers items $i)" -eq 4 ]
        mount_says_so
    done
    threads_at_most 80
    # One that is free again is read, whatever becomes of the others.
    PGAPPNAME=other psql -X -q -c BEGIN -c "LOCK TABLE many.lk$((many + 1))" -c 'SELECT pg_sleep(600)' >/dev/null 2>&1 3>&- &
    PIDS+=($!)
    within 20 at_least 1 "application_name = 'other' AND wait_event = 'PgSleep'"
    behind timeout 60 cp "$MNT/many/lk$((many + 1))/lk$((many + 1)).csv" "$E2E/alone"
    within 20 eval '"$PGVECFS" --status "$MNT" | grep -q "many.lk$((many + 1)).*(other)"'
    psql -X -q -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'other'" >/dev/null
    within 20 has_line $((many + 1)) "$E2E/alone"
    lock_stop
    within 60 lines_read $((2 * many))
}

@test "who wants a lock that is taken again and again gets it, though many others wait for other locks" {
    many_make 60
    psql -X -q <<'SQL'
CREATE OR REPLACE PROCEDURE take_again() LANGUAGE plpgsql AS
$$ BEGIN LOOP LOCK TABLE other; PERFORM pg_sleep(0.2); COMMIT; END LOOP; END $$;
SQL
    mount_start
    many_lock 60
    many_read 60 TABLE.csv
    within 60 many_wait 60
    PGAPPNAME=locker psql -X -q -c 'CALL take_again()' >/dev/null 2>&1 3>&- &
    within 20 lock_is_held other
    [ "$(timeout 60 cat "$T/other/other.csv" | wc -l)" -eq 1001 ]
}

@test "with one connection, too" {
    many_make 60
    mount_start -o connections=1
    many_lock 60
    many_read 60 TABLE.csv
    within 60 many_wait 60
    [ "$(rows_of words)" -eq 1001 ]
    timeout 20 ls "$T" "$MNT/many" >/dev/null
    [ "$(answers items 1)" -eq 4 ]
    lock_stop
    within 60 lines_read 120
}

@test "schema.sql of many tables that somebody has locked" {
    local many
    many=$(often 40 100)
    many_make "$many"
    mount_start
    many_lock "$many"
    many_read "$many" schema.sql
    within 60 many_wait "$many"
    within 60 threads_at_most 80
    [ "$(rows_of words)" -eq 1001 ]
    timeout 30 grep -q 'CREATE TABLE public.words' "$T/words/schema.sql"
    lock_stop
    within 120 all_read "$many" 'CREATE TABLE many'
}

@test "many questions of tables that somebody has locked" {
    local i many
    many=$(often 25 60)
    psql -X -q -v ON_ERROR_STOP=1 -v many="$many" <<'SQL'
DROP SCHEMA IF EXISTS many CASCADE;
CREATE SCHEMA many;
SELECT format('CREATE TABLE many.lk%s (id int PRIMARY KEY, v vector(8)); INSERT INTO many.lk%1$s SELECT id, v FROM items WHERE id <= 5', i)
    FROM generate_series(1, :many) i \gexec
SQL
    mount_start -o lease=600
    for i in $(seq "$many"); do
        timeout 60 wc -c <"$MNT/many/lk$i/lk$i.csv" >/dev/null
        mkdir "$MNT/many/lk$i/query/s"
        echo '[1,1,1,1,1,1,1,1]' >"$MNT/many/lk$i/query/s/vector"
        echo 'id <= 3' >"$MNT/many/lk$i/query/s/filter"
    done
    many_lock "$many"
    many_read "$many" query/s/results.csv
    many_read "$many" query/s/results.jsonl
    within 60 many_wait $((2 * many))
    within 60 threads_at_most 80
    [ "$(rows_of words)" -eq 1001 ]
    [ "$(answers items 1)" -eq 4 ]
    lock_stop
    within 60 lines_read $((7 * many))
}

@test "lock_wait ends all that wait, and the end of the mount is not held up by them" {
    local many pid
    many=$(often 60 150)
    many_make "$many"
    mount_start -o lock_wait=5
    many_lock "$many"
    many_read "$many" TABLE.csv
    within 90 all_read "$many" 'Device or resource busy'
    getfattr --only-values --absolute-names -n user.pgvecfs.error "$MNT/many/lk$many" | grep -q "many.lk$many is locked by pid .* (locker)"
    mount_stop
    mount_start
    many_read "$many" TABLE.csv
    within 60 many_wait "$many"
    pid=$(cat "$E2E/mnt.pid")
    kill -TERM "$pid"
    wait_gone "$pid" 8
}

@test "eight slow views, and eight slow filters" {
    mount_start -o connections=32
    for i in 1 2 3 4 5 6 7 8; do behind cat "$T/slow$i/slow$i.csv"; done
    for i in 1 2 3 4 5 6 7 8; do
        mkdir "$T/items/query/s$i"
        echo '[1,1,1,1,1,1,1,1]' >"$T/items/query/s$i/vector"
        echo "pg_sleep(600) IS NOT NULL AND $i > 0" >"$T/items/query/s$i/filter"
        behind cat "$T/items/query/s$i/results.csv"
    done
    within 20 at_least 16 "application_name = 'pgvecfs' AND wait_event = 'PgSleep'"
    [ "$(rows_of words)" -eq 1001 ]
    mkdir "$T/items/query/quick"
    echo '[1,1,1,1,1,1,1,1]' >"$T/items/query/quick/vector"
    echo 3 >"$T/items/query/quick/k"
    echo 'id < 100' >"$T/items/query/quick/filter"
    [ "$(timeout 20 wc -l <"$T/items/query/quick/results.csv")" -eq 4 ]
    [ "$(answers near 1)" -eq 4 ]
    mount_says_so
}

@test "eight tables with slow policies" {
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE ROLE filtered LOGIN;
SELECT format('CREATE TABLE pol%s AS SELECT %1$s AS id; ALTER TABLE pol%1$s ENABLE ROW LEVEL SECURITY;
    CREATE POLICY slow ON pol%1$s USING (pg_sleep(600) IS NOT NULL)', i) FROM generate_series(1, 8) i \gexec
GRANT SELECT ON ALL TABLES IN SCHEMA public TO filtered;
SQL
    PGUSER=filtered mount_start -o rls=filter
    for i in 1 2 3 4 5 6 7 8; do behind cat "$T/pol$i/pol$i.csv"; done
    within 20 at_least 6 "application_name = 'pgvecfs' AND wait_event = 'PgSleep'"
    sleep 1
    [ "$(rows_of words)" -eq 1001 ]
    exactly 6 "application_name = 'pgvecfs' AND wait_event = 'PgSleep'"
    psql -X -q -c 'DROP OWNED BY filtered' -c 'DROP ROLE filtered'
}

# The whole server: it answers no more, and takes no connections.
stop_server() {
    local pid
    for pid in $(head -n 1 "$E2E/pg/data/postmaster.pid") $(psql -X -At -c "SELECT pid FROM pg_stat_activity WHERE application_name = 'pgvecfs'"); do
        kill -STOP "$pid"
        STOPPED+=("$pid")
    done
}

lose_groups() { # TABLE…: their rows are only to be had from the server
    local table
    for table; do rm -f "$CACHE"/*/"$(psql -X -At -c "SELECT '$table'::regclass::oid")"/*.rows; done
}

@test "reads, measuring and questions of rows that the cache has lost" {
    mount_start -o lease=600,jobs=2
    stat "$T/words/words.csv" "$T/other/other.csv" "$T/big/big.bin" "$T/items/items.bin" "$T/near/near.bin" >/dev/null
    exec 7<"$T/words/words.csv"
    for table in words/words.csv other/other.csv big/big.bin items/items.bin; do drop_pages "$T/$table"; done
    lose_groups big items
    stop_server
    # As many readers as there are threads that render, and more; their read-ahead, too.
    for i in 1 2 3 4 5 6; do behind dd if="$T/big/big.bin" of=/dev/null bs=1M skip=$((i * 4)) status=none; done
    for i in 1 2 3 4 5 6; do behind dd if="$T/items/items.bin" of=/dev/null bs=4k status=none; done
    behind stat "$T/big/big.csv"
    # More questions than libfuse has threads.
    for i in $(seq 1 24); do behind cat "$T/items/query/near/v/l2/5/$i.csv"; done
    # shellcheck disable=SC2016
    for i in 1 2 3 4; do behind bash -c 'exec 5<>"$1"; echo "{\"key\": 1, \"k\": 1}" >&5; cat <&5' - "$T/items/query/ask"; done
    sleep 2
    mount_says_so
    # The kernel lets nobody into query/ while a session is made there.
    timeout $SOON mkdir "$T/items/query/meanwhile"
    timeout $SOON cat "$T/items/query/README" >/dev/null
    timeout $SOON rmdir "$T/items/query/meanwhile"
    [ "$(timeout $SOON wc -l <&7)" -eq 1001 ]
    exec 7<&-
    [ "$(rows_of other)" -eq 1001 ]
    # Whoever gives up is let go at once.
    behind dd if="$T/big/big.bin" of=/dev/null bs=64k skip=200 status=none
    sleep 1
    kill -KILL "${PIDS[@]}"
    for pid in "${PIDS[@]}"; do wait_gone "$pid" 3; done
    mount_says_so
    kill -CONT "${STOPPED[@]}"
    STOPPED=()
    reference_bin public.big | cmp - "$T/big/big.bin"
    [ "$(answers items 1)" -eq 4 ]
}

@test "a question of rows at hand, while others wait for rows that the cache has lost" {
    mount_start -o lease=600,jobs=2
    stat "$T/items/items.bin" "$T/near/near.bin" >/dev/null
    [ "$(answers near 1)" -eq 4 ]
    lose_groups items
    stop_server
    for i in $(seq 1 24); do behind cat "$T/items/query/near/v/l2/5/$i.csv"; done
    sleep 2
    for i in 2 3 4 5; do [ "$(answers near $i)" -eq 4 ]; done
    mount_says_so
}

@test "the end of a transaction that the server does not answer" {
    mount_start -o cache_size=0,lease=1,jobs=1
    psql -X -q -c "CREATE VIEW unsteady AS SELECT id, repeat(t, 2) AS t FROM big WHERE id <= 20000"
    timeout 60 cat "$T/unsteady/unsteady.csv" | tail -n 1 >/dev/null
    cat "$T/words/words.csv" >/dev/null
    stop_server
    # Their leases are over, and nobody has them open: the read points end, or try to.
    for i in 1 2 3 4 5 6; do
        sleep 0.5
        mount_says_so
    done
    behind stat "$T/other/other.csv"
    for i in 1 2 3 4; do
        sleep 0.5
        mount_says_so
    done
    kill -CONT "${STOPPED[@]}"
    STOPPED=()
    psql -X -q -c "DROP VIEW unsteady"
}

metric() {
    sleep 0.3 # the text is kept for so long
    sed -n "s/^pgvecfs_$1 //p" "$MNT/.pgvecfs/metrics"
}
holds() { [ "$(metric held_read_points)" -eq "$1" ]; }

@test "a refresh that finds the rows of a view unchanged keeps its read point, where the cache has no room for them" {
    mount_start -o cache_size=0,lease=1
    psql -X -q -c "CREATE VIEW steady AS SELECT id, repeat(t, 2) AS t FROM big WHERE id <= 20000"
    inode=$(stat -c %i "$T/steady/steady.csv")
    holds 1
    within 10 holds 0 # its lease is over
    [ "$(stat -c %i "$T/steady/steady.csv")" = "$inode" ]
    holds 1
    drop_pages "$T/steady/steady.csv"
    reference_csv public.steady | cmp - "$T/steady/steady.csv"
    psql -X -q -c "DROP VIEW steady"
}

@test "a row larger than the memory is rendered once for whoever reads it piece by piece, and for two at once" {
    psql -X -q -c "CREATE TABLE fat AS SELECT g AS id, repeat(chr(96 + g), 20000000) AS t FROM generate_series(1, 3) g"
    mount_start -o memory=8M
    stat "$T/fat/fat.csv" >/dev/null
    reference_csv public.fat >"$OUT/right"
    drop_pages "$T/fat/fat.csv"
    before=$(metric bodies_rendered_total)
    "$PYTHON" - "$T/fat/fat.csv" "$OUT/right" <<'PYTHON'
import os, sys
right = open(sys.argv[2], "rb").read()
first, second = (os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT) for _ in range(2))
for fd in first, second:
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
# The second follows so far behind that no page is left for it.
for at in range(0, len(right), 1 << 20):
    assert os.pread(first, 1 << 20, at) == right[at:at + (1 << 20)]
    os.posix_fadvise(first, 0, 0, os.POSIX_FADV_DONTNEED)
    back = at - (10 << 20)
    if back >= 0:
        assert os.pread(second, 1 << 20, back) == right[back:back + (1 << 20)]
        os.posix_fadvise(second, 0, 0, os.POSIX_FADV_DONTNEED)
PYTHON
    rendered=$(($(metric bodies_rendered_total) - before))
    echo "$rendered row groups were rendered"
    [ "$rendered" -ge 3 ]
    [ "$rendered" -le 9 ] # of more than 400 READs
    psql -X -q -c "DROP TABLE fat"
}
