# Whichever way a file is read: all its bytes, or an error; never fewer bytes and success.
load helper

WAYS="read pread mmap sendfile splice copy_file_range"
READ_WAYS=${READ_WAYS:-$(dirname "$PGVECFS")/tests/tools/read_ways}

setup_file() {
    server_start -c autovacuum=off
    # A table for each way of reading it, with and without a stat before, and for busybox.
    for way in $WAYS busybox; do
        for asks in plain stat; do
            psql -X -q -v ON_ERROR_STOP=1 -c "CREATE TABLE ${way}_$asks AS
                SELECT g AS id, repeat(md5(g::text || '$way$asks'), 60) AS t FROM generate_series(1, 600) g"
        done
    done
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE items (id int PRIMARY KEY, note text, v vector(3));
INSERT INTO items SELECT g, repeat('n', g % 90), format('[%s,0,0]', g)::vector FROM generate_series(1, 1000) g;
CREATE TABLE nothing ();
CREATE TABLE no_rows (id int, t text);
-- Of files whose last byte is the last or the first of a page, or the one behind it.
CREATE TABLE csv_0 AS SELECT repeat('x', 4093) AS t;
CREATE TABLE csv_1 AS SELECT repeat('x', 4094) AS t;
CREATE TABLE csv_2 AS SELECT repeat('x', 4095) AS t;
CREATE TABLE bin_0 AS SELECT repeat('x', 8165) AS t;
CREATE TABLE bin_1 AS SELECT repeat('x', 8166) AS t;
CREATE TABLE bin_2 AS SELECT repeat('x', 8167) AS t;
CREATE TABLE jsonl_0 AS SELECT repeat('x', 4087) AS t;
CREATE TABLE jsonl_1 AS SELECT repeat('x', 4088) AS t;
CREATE TABLE jsonl_2 AS SELECT repeat('x', 4089) AS t;
CREATE FUNCTION pause(g int) RETURNS int LANGUAGE plpgsql VOLATILE AS
    'BEGIN IF g % 200 = 0 THEN PERFORM pg_sleep(0.1); END IF; RETURN g; END';
-- Some 3 row groups of 4 MiB, in longer than an open waits for the size; and the same rows at once.
CREATE VIEW slow AS SELECT pause(g) AS id, repeat(md5(g::text), 300) AS t FROM generate_series(1, 1400) g;
CREATE VIEW quick AS SELECT g AS id, repeat(md5(g::text), 300) AS t FROM generate_series(1, 1400) g;
CREATE VIEW failing AS SELECT pause(g) / CASE WHEN g = 1300 THEN 0 ELSE 1 END AS id, repeat(md5(g::text), 300) AS t
    FROM generate_series(1, 1400) g;
SQL
}

teardown_file() { teardown_all; }

setup() {
    test_begin
    Q=$T/items/query
    mount_start
}

teardown() { test_end; }

remount() { # OPTIONS…
    mount_stop
    mount_start "$@"
}

# By WAY (busybox: its cat), asking for the size first or not: plain, stat.
copy_by() { # WAY ASKS FILE
    local ask=()
    [ "$2" = plain ] || ask=(--stat)
    if [ "$1" = busybox ]; then
        [ "$2" = plain ] || stat "$3" >/dev/null || return
        busybox cat "$3"
    else
        "$READ_WAYS" "$1" "${ask[@]}" "$3"
    fi
}

# The whole file, or an error: then what has come is its beginning. Sets $failed.
copies_or_fails() { # WAY ASKS FILE RIGHT
    failed=
    copy_by "$@" >"$OUT/got" 2>"$OUT/err" || failed=yes
    if [ -z "$failed" ]; then
        assert_same_bytes "$OUT/got" "$4" || { echo "by $1, $2, with success: $3" >&2; return 1; }
    else
        head -c "$(stat -c %s "$OUT/got")" "$4" | cmp - "$OUT/got"
    fi
}

copies() { # WAY ASKS FILE RIGHT
    copies_or_fails "$@" || return
    # On a slow machine a fetch takes so long that the open reads along: which is tested below.
    if [ -n "$failed" ] && [[ $3 != */query/* ]] && grep -qE 'sendfile: Inv|splice: Inv|mmap: No such dev' "$OUT/err"; then
        stat "$3" >/dev/null
        copies_or_fails "$@" || return
    fi
    # From one filesystem to another: the kernel has no such thing.
    [ "$1" = copy_file_range ] && grep -q 'cross-device' "$OUT/err" && failed=
    [ -z "$failed" ] || { echo "by $1, $2: $3" >&2; cat "$OUT/err" >&2; return 1; }
}

# Each way has a file of its own, so that each finds the state that the test has made: $1 says which,
# given the way, and $2 writes what it must hold.
each_way() { # PATH_OF REFERENCE_OF
    local way asks right
    for way in $WAYS busybox; do
        for asks in plain stat; do
            right=$OUT/right.$format.$way.$asks
            [ -e "$right" ] || "$2" "$way" "$asks" >"$right"
            copies "$way" "$asks" "$("$1" "$way" "$asks")" "$right"
        done
    done
}

table_file() { printf '%s' "$T/${1}_$2/${1}_$2.$format"; }
table_reference() { "reference_$format" "public.${1}_$2"; }

@test "a table: cold, after a remount, after a change, in each format" {
    for format in csv bin jsonl; do each_way table_file table_reference; done
    remount
    for format in csv bin; do each_way table_file table_reference; done
    remount -o lease=0
    for way in $WAYS busybox; do
        for asks in plain stat; do echo "UPDATE ${way}_$asks SET t = t || 'changed' WHERE id % 250 = 0;"; done
    done | psql -X -q -v ON_ERROR_STOP=1
    rm "$OUT"/right.*
    for format in csv jsonl; do each_way table_file table_reference; done
}

@test "a table of which another format has been read, and one that somebody has had open" {
    for way in $WAYS busybox; do
        for asks in plain stat; do stat "$T/${way}_$asks/${way}_$asks.bin" >/dev/null; done
    done
    for format in csv jsonl; do each_way table_file table_reference; done
    # The lease is over, and the node that somebody has open is not the one that others get.
    remount -o lease=0.2
    format=csv
    for way in $WAYS busybox; do
        exec 4<"$(table_file $way plain)"
        sleep 0.3
        copies $way plain "$(table_file $way plain)" "$OUT/right.csv.$way.plain"
        exec 4<&-
    done
}

@test "files that end where a page does, and empty ones" {
    tables="csv_0 csv_1 csv_2 bin_0 bin_1 bin_2 jsonl_0 jsonl_1 jsonl_2 nothing no_rows"
    for table in $tables; do
        for format in csv bin jsonl; do
            [[ $table == "$format"_* ]] || [[ $table == no* ]] || continue
            reference_$format public.$table >"$OUT/$table.$format"
            if [[ $table != no* ]]; then [ $(($(stat -c %s "$OUT/$table.$format") % 4096)) -eq "${table##*_}" ]; fi
            cat "$T/$table/$table.$format" | cmp - "$OUT/$table.$format"
        done
    done
    for way in $WAYS busybox; do
        remount
        for right in "$OUT"/*.csv "$OUT"/*.bin "$OUT"/*.jsonl; do
            file=${right##*/}
            file=$T/${file%.*}/$file
            copies $way plain "$file" "$right"
            # And its last page, which may have been made of the one byte that told the size.
            tail -c 5000 "$file" | cmp - <(tail -c 5000 "$right")
        done
    done
}

@test "other formats, single columns, pieces and rows: cold, and after a change" {
    local file change files="items.tsv items.arrow items.parquet items.csv.zst items.jsonl.gz columns/v.npy columns/note.arrow
        columns/id.null.npy select/note,id.csv parts/csv/00-00000000.csv rows/7.json rows/7.csv"
    # What they hold another mount says.
    mkdir -p "$E2E/mnt2"
    MNT=$E2E/mnt2 CACHE=$E2E/cache2 mount_start -o lease=0
    for way in $WAYS busybox; do
        for asks in plain stat; do
            [ "$asks" = plain ] || [[ $way == sendfile ]] || [ -n "$(often "" all)" ] || continue
            mount_stop
            rm -rf "$CACHE"
            mount_start -o lease=0
            for change in no yes; do
                [ $change = no ] || psql -X -q -c "UPDATE items SET note = note || '?' WHERE id < 20"
                for file in $files; do
                    cat "$E2E/mnt2/public/items/$file" >"$OUT/right"
                    copies $way $asks "$T/items/$file" "$OUT/right"
                done
            done
            cat "$T/items/VDF_META.json" >"$OUT/right"
            copies $way $asks "$T/items/VDF_META.json" "$OUT/right"
        done
    done
    MNT=$E2E/mnt2 mount_stop
}

@test "manifest.json, schema.sql, README and the control files" {
    for file in csv_0/manifest.json csv_0/schema.sql items/query/README; do
        cat "$T/$file" >"$OUT/${file##*/}"
        [ -s "$OUT/${file##*/}" ]
    done
    for way in $WAYS busybox; do
        for asks in plain stat; do
            remount
            for file in csv_0/manifest.json csv_0/schema.sql items/query/README; do
                copies $way $asks "$T/$file" "$OUT/${file##*/}"
            done
        done
    done
    for way in $WAYS busybox; do
        [ $way != copy_file_range ] || continue
        for asks in plain stat; do
            copy_by $way $asks "$MNT/.pgvecfs/version" | grep -q '^pgvecfs '
            copy_by $way $asks "$MNT/.pgvecfs/status.json" | tail -n 1 | grep -qx '}'
            copy_by $way $asks "$MNT/.pgvecfs/metrics" | tail -n 1 | grep -q '^pgvecfs_resident_bytes [0-9]'
            copy_by $way $asks "$MNT/.pgvecfs/log" | tail -c 1 | od -A n -c | grep -qF '\n'
        done
    done
}

key_of() { # WAY ASKS: a number that no other has
    local n=100 way asks
    for way in $WAYS busybox; do
        for asks in plain stat; do
            n=$((n + 1))
            [ "$way $asks" != "$1 $2" ] || printf %s $n
        done
    done
}
answer_file() { printf %s "$Q/near/v/l2/50/$(key_of "$1" "$2").$format"; }
# Between whole numbers distances are exact.
answer_reference() {
    local key sql
    key=$(key_of "$1" "$2")
    sql="SELECT id, note, (v OPERATOR(public.<->) '[$key,0,0]')::float8 AS distance FROM public.items WHERE id <> $key ORDER BY distance, id LIMIT 50"
    if [ "$format" = csv ]; then
        psql_pinned -c "COPY ($sql) TO STDOUT (FORMAT csv, HEADER)"
    else
        psql_pinned -c "SELECT row_to_json(r) FROM ($sql) r"
    fi
}

@test "answers below near/, first asked by open, and again after a change" {
    for format in csv jsonl; do each_way answer_file answer_reference; done
    remount -o lease=0
    for format in csv jsonl; do
        psql -X -q -c "UPDATE items SET note = note || '!' WHERE id % 5 = 0"
        rm -f "$OUT"/right.*
        each_way answer_file answer_reference
    done
    # Where there is nothing to tell of.
    stat "$(answer_file read plain)" >/dev/null
    each_way answer_file answer_reference
}

@test "a session: its results, its plan, its values; and the state of an index" {
    mkdir "$Q/mine"
    echo l2 >"$Q/mine/metric"
    for way in $WAYS busybox; do
        for asks in plain stat; do
            key=$(key_of $way $asks)
            echo "[$key.5,0,0]" >"$Q/mine/vector"
            echo "[$key.5,0,0]" >"$OUT/right"
            copies_or_fails $way $asks "$Q/mine/vector" "$OUT/right"
            echo $((key - 90)) >"$Q/mine/k"
            psql_pinned -c "COPY (SELECT id, note, (v OPERATOR(public.<->) '[$key.5,0,0]')::float8 AS distance FROM public.items
                ORDER BY distance, id LIMIT $((key - 90))) TO STDOUT (FORMAT csv, HEADER)" >"$OUT/right"
            copies $way $asks "$Q/mine/results.csv" "$OUT/right"
            cat "$Q/mine/plan.json" >"$OUT/right"
            [ -s "$OUT/right" ]
            copies $way $asks "$Q/mine/plan.json" "$OUT/right"
        done
    done
    remount
    for way in $WAYS busybox; do
        [ $way != copy_file_range ] || continue
        for asks in plain stat; do
            copy_by $way $asks "$Q/index/v.cosine.json" >"$OUT/got"
            grep -q '"state"' "$OUT/got" && tail -c 2 "$OUT/got" | grep -q '}'
        done
        remount
    done
}

@test "a value of a session: all of it or an error, also where it was empty when its name was looked up" {
    mkdir "$Q/mine"
    for way in $WAYS busybox; do
        for asks in plain stat; do
            printf '' >"$Q/mine/filter"
            exec 4<"$Q/mine"
            "$(command -v python3)" - "$Q/mine/filter" <<'PYTHON' # a node that was empty is still known
import os, sys
path = sys.argv[1]
os.stat(path)
fd = os.open(path, os.O_PATH)
with open(path, "w") as file:
    file.write("id < 100\n")
again = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
a, b = os.pipe()
try:
    n = os.splice(again, b, 4096)
    assert n == 9, n
except OSError as error:
    print(error)
assert os.pread(again, 100, 0) == b"id < 100\n"
PYTHON
            echo 'id < 100' >"$OUT/right"
            copies_or_fails $way $asks "$Q/mine/filter" "$OUT/right"
            [[ $way != *read ]] || [ -z "$failed" ]
            # A value that replaces it is not mixed with it.
            seq 100 300 | sed 's/.*/id <> & AND/' | tr '\n' ' ' | sed 's/$/true\n/' >"$OUT/right"
            cat "$OUT/right" >"$Q/mine/filter"
            copies_or_fails $way $asks "$Q/mine/filter" "$OUT/right"
            copies busybox $asks "$Q/mine/filter" "$OUT/right"
            echo 'true' >>"$Q/mine/filter" || true
            exec 4<&-
        done
    done
}

@test "the error of a session that is cleared while it is open: who has it open gets all of it, or an error" {
    mkdir "$Q/mine"
    "$(command -v python3)" - "$Q/mine" <<'PYTHON'
import os, sys
folder = sys.argv[1]

def set_k(value):
    try:
        with open(folder + "/k", "w") as file:
            file.write(value)
    except OSError:
        pass

set_k("-5\n")
fd = os.open(folder + "/error", os.O_RDONLY)
set_k("7\n")
assert os.stat(folder + "/error").st_size == 0
text = os.pread(fd, 4096, 0)
a, b = os.pipe()
try:
    assert os.splice(fd, b, 4096) == len(text), "splice ended short, with success"
except OSError as error:
    print(error)
assert b"k" in text and os.fstat(fd).st_size == len(text), (text, os.fstat(fd))
with open(folder + "/error") as file:
    assert file.read() == ""
PYTHON
}

@test "a value of a session that is emptied or shortened while it is open: who has it open gets all of it, or an error" {
    mkdir "$Q/mine"
    "$(command -v python3)" - "$Q/mine" <<'PYTHON'
import os, sys, time
folder = sys.argv[1]
long = {"vector": "[1.25,2.5,3.75]\n", "filter": "id < 100 AND id > 5\n", "k": "12345\n", "columns": "id, note\n"}
short = {"vector": "[1,2,3]\n", "filter": "true\n", "k": "7\n", "columns": "id\n"}

def put(path, text):
    with open(path, "w") as file:
        file.write(text)

def by_splice(fd, into):
    return os.splice(fd, into, 4096)

def by_sendfile(fd, into):
    return os.sendfile(into, fd, None, 4096)

changes = {
    "emptied": lambda path, name: put(path, ""),
    "shortened": lambda path, name: put(path, short[name]),
    "truncated": lambda path, name: os.truncate(path, 0),
    "cut as it is opened": lambda path, name: os.close(os.open(path, os.O_RDWR | os.O_TRUNC)),
}
for name in long:
    path = folder + "/" + name
    for change in changes:
        for way in by_splice, by_sendfile:
            for flags in os.O_RDONLY, os.O_RDWR:
                for begun in 0, 3:
                    case = (name, change, way.__name__, flags, begun)
                    put(path, long[name])
                    text = open(path).read().encode()
                    assert len(text) > len(short[name]), case
                    fd = os.open(path, flags)
                    assert os.read(fd, begun) == text[:begun], case
                    os.stat(path)
                    try:
                        changes[change](path, name)
                    except OSError as error: # not every value may be empty
                        assert change != "shortened", (case, error)
                    os.stat(path)
                    assert os.fstat(fd).st_size == len(text), (case, os.fstat(fd))
                    a, b = os.pipe()
                    try:
                        n = way(fd, b)
                        assert n == len(text) - begun, (case, n)
                        assert os.read(a, 4096) == text[begun:], case
                    except OSError as error:
                        assert error.errno == 22, (case, error)
                    assert os.pread(fd, 4096, 0) == text, case
                    for end in a, b, fd:
                        os.close(end)

# Who has it open to write is shown what he has written.
path = folder + "/filter"
put(path, long["filter"])
fd = os.open(path, os.O_RDWR)
text = b"id < 10 AND id > 2 AND id <> 7 AND id <> 8\n"
os.write(fd, text)
put(path, "")
for _ in range(100): # what is only cut is the value once the kernel has said that the file is closed
    if os.stat(path).st_size == 1:
        break
    time.sleep(0.1)
assert os.fstat(fd).st_size == len(text) and os.pread(fd, 4096, 0) == text
# The same node once more.
again = os.open("/proc/self/fd/%d" % fd, os.O_RDONLY)
assert os.pread(again, 4096, 0) == b"\n" and os.pread(fd, 4096, 0) == text
try:
    os.open("/proc/self/fd/%d" % fd, os.O_WRONLY | os.O_TRUNC)
    assert False
except OSError as error:
    print(error)
PYTHON
}

@test "ask: read(2) gets the answer, splice and sendfile the same or an error" {
    question='{"vector":[7,0,0],"k":3,"metric":"l2","columns":["id"]}'
    printf '{"id":%s,"distance":%s}\n' 7 0 6 1 8 1 >"$OUT/right"
    [ "$(stat -c %s "$Q/ask")" -eq 4096 ]
    for way in $WAYS busybox; do
        for asks in plain stat; do
            exec 5<>"$Q/ask"
            echo '{"vector":[7,0,0],"k":400,"metric":"l2"}' >&5
            [ "$(cat <&5 | wc -c)" -gt 4096 ] # what has been read is longer than the file says it is
            # The second time others have asked for the size of the name, or cut it, and the position is another.
            for round in 1 2; do
                echo "$question" >&5
                failed=
                if [ $way = busybox ]; then
                    [ $asks = plain ] || stat -L /dev/fd/5 >/dev/null
                    busybox cat <&5 >"$OUT/got"
                else
                    ask=()
                    [ $asks = plain ] || ask=(--stat)
                    "$READ_WAYS" $way "${ask[@]}" - <&5 >"$OUT/got" 2>"$OUT/err" || failed=yes
                fi
                if [ -n "$failed" ]; then
                    [ $way != read ]
                    [ ! -s "$OUT/got" ]
                    cat <&5 >"$OUT/got" # it is still there
                fi
                assert_same_bytes "$OUT/got" "$OUT/right"
                [ "$(stat -L -c %s /dev/fd/5)" -eq 4096 ]
                stat "$Q/ask" >/dev/null
                : >"$Q/ask"
            done
            exec 5>&-
        done
    done
}

@test "an open that reads along: read(2) gets all, splice all or an error, and all once the size is known" {
    reference_csv public.quick >"$OUT/right"
    for way in $WAYS busybox; do
        for asks in plain stat; do
            [ "$asks" = plain ] || [[ $way == s* ]] || [ -n "$(often "" all)" ] || continue
            mount_stop
            rm -rf "$CACHE"
            mount_start
            copies_or_fails $way $asks "$T/slow/slow.csv" "$OUT/right"
            case $way-$asks in
                read-* | pread-* | busybox-* | sendfile-stat | splice-stat) [ -z "$failed" ] ;;
            esac
            # The path is well: who opens it once its size is known gets all.
            stat "$T/slow/slow.csv" >/dev/null
            copies $way $asks "$T/slow/slow.csv" "$OUT/right"
        done
    done
}

@test "while somebody reads along, and behind it: others have the same file by each way" {
    reference_csv public.quick >"$OUT/right"
    for way in read mmap splice busybox; do
        mount_stop
        rm -rf "$CACHE"
        mount_start
        exec 4<"$T/slow/slow.csv" # a stream
        grep -q '^pgvecfs_open_streams 1$' "$MNT/.pgvecfs/metrics"
        stat -c %i "$T/slow/slow.csv" >"$OUT/ino" 3>&- 4<&- &
        PIDS+=($!)
        copy_by $way plain "$T/slow/slow.csv" >"$OUT/second" 2>"$OUT/second.err" 4<&- || failed=yes
        [ -s "$OUT/second.err" ] || assert_same_bytes "$OUT/second" "$OUT/right"
        wait "${PIDS[-1]}"
        [ "$(stat -L -c %i /dev/fd/4)" = "$(cat "$OUT/ino")" ]
        [ "$(stat -c %i "$T/slow/slow.csv")" = "$(cat "$OUT/ino")" ]
        copies $way plain "$T/slow/slow.csv" "$OUT/right"
        # The first one has been asked its size: the kernel has the right one.
        busybox cat <&4 | cmp - "$OUT/right"
        exec 4<&-
        copies $way plain "$T/slow/slow.csv" "$OUT/right"
    done
}

@test "an open that reads along can be mapped privately, once its size is known" {
    reference_csv public.quick >"$OUT/right"
    "$(command -v python3)" - "$T/slow/slow.csv" "$OUT/right" "$MNT/.pgvecfs/metrics" <<'PYTHON'
import mmap, os, sys
right = open(sys.argv[2], "rb").read()
fd = os.open(sys.argv[1], os.O_RDONLY)
assert "\npgvecfs_open_streams 1\n" in open(sys.argv[3]).read()
with mmap.mmap(fd, os.fstat(fd).st_size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as bytes:
    assert bytes[:] == right
PYTHON
}

@test "a fetch that fails in the middle: an error by each way" {
    for way in $WAYS busybox; do
        copy_by $way plain "$T/failing/failing.csv" >"$OUT/got" 2>"$OUT/err" && false
        [ -s "$OUT/err" ]
    done
}

@test "many at once, of one table, before and after a remount" {
    reference_csv public.splice_plain >"$OUT/right"
    for round in cold warm; do
        [ $round = cold ] || remount
        for i in $(seq 24); do
            case $((i % 4)) in
                0) busybox cat "$T/splice_plain/splice_plain.csv" ;;
                1) "$READ_WAYS" splice "$T/splice_plain/splice_plain.csv" ;;
                2) "$READ_WAYS" sendfile "$T/splice_plain/splice_plain.csv" ;;
                3) dd if="$T/splice_plain/splice_plain.csv" iflag=direct bs=64k status=none ;;
            esac >"$OUT/got.$i" 2>"$OUT/err.$i" 3>&- &
            PIDS+=($!)
        done
        for i in $(seq 24); do
            if wait "${PIDS[-$((25 - i))]}"; then
                assert_same_bytes "$OUT/got.$i" "$OUT/right"
            else # it reads along, since the machine is slow
                [ $round = cold ]
                grep -qE '(splice|sendfile): Invalid argument' "$OUT/err.$i"
            fi
        done
    done
}
