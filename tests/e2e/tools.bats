# The programs people copy, search and back up files with, on a mount.
load helper

BYTES="csv bin jsonl"

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE docs (id int PRIMARY KEY, title text, embedding vector(48));
SELECT setseed(0.5);
INSERT INTO docs SELECT i, 'document ' || i,
    (SELECT array_agg(random() * 2 - 1)::vector FROM generate_series(1, 48) WHERE i > 0) FROM generate_series(1, 20000) i;
CREATE TABLE people (id int PRIMARY KEY, name text, note text, born date);
INSERT INTO people SELECT i, 'name, ' || i, CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN 'a "quoted"' || E'\n' || 'line' ELSE '' END,
    date '1970-01-01' + i FROM generate_series(1, 1000) i;
CREATE TABLE empty (id int, v vector(3));
CREATE TABLE other (id int, v int);
INSERT INTO other SELECT i, i FROM generate_series(1, 100) i;
SQL
    # References of all but "other", which is the one that changes.
    for table in docs people empty; do
        mkdir -p "$E2E/ref/$table"
        for format in $BYTES; do "reference_$format" "public.$table" >"$E2E/ref/$table/$table.$format"; done
    done
    mount_start -o lease=2
    # Where the programs keep what they keep.
    mkdir -p "$E2E/home"
}

teardown_file() { teardown_all; }

setup() {
    T=$MNT/public
    OUT=$E2E/out/$BATS_TEST_NUMBER
    mkdir -p "$OUT"
    export HOME=$E2E/home XDG_CACHE_HOME=$E2E/home/cache BORG_BASE_DIR=$E2E/home RESTIC_PASSWORD=test
    export BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes BORG_RELOCATED_REPO_ACCESS_IS_OK=yes
}

teardown() { [ -n "${E2E_KEEP:-}" ] || rm -rf "$OUT"; }

# A folder of copies has the same bytes as the references.
assert_copies() {
    local table format
    for table in docs people empty; do
        for format in $BYTES; do assert_same_bytes "$1/$table/$table.$format" "$E2E/ref/$table/$table.$format" || return; done
    done
}

# A table that nobody has read yet, with the rows of docs.
new_table() { psql -X -q -v ON_ERROR_STOP=1 -c "CREATE TABLE $1 AS SELECT * FROM docs ORDER BY id"; }

# Its text is kept for a second.
metric() {
    sleep 1.1
    sed -n "s/^pgvecfs_$1 //p" "$MNT/.pgvecfs/metrics"
}

change_other() { psql -X -q -c "UPDATE other SET v = v + 1"; }

remount() { mount_stop && mount_start -o lease=2; }

@test "cp gives the bytes of COPY, in each format" {
    for table in docs people empty; do
        for format in $BYTES; do
            cp "$T/$table/$table.$format" "$OUT/copy"
            assert_same_bytes "$OUT/copy" "$E2E/ref/$table/$table.$format"
        done
    done
}

@test "cp -r of the whole mount is complete and says nothing" {
    cp -r "$MNT" "$OUT/all" 2>"$OUT/err"
    [ ! -s "$OUT/err" ]
    assert_copies "$OUT/all/public"
    for table in docs people empty other; do
        [ -s "$OUT/all/public/$table/schema.sql" ]
        python3 -m json.tool "$OUT/all/public/$table/manifest.json" >/dev/null
    done
    diff -r "$MNT" "$OUT/all"
}

@test "cp --sparse=always, cp -a and install keep bytes and times" {
    cp --sparse=always "$T/docs/docs.bin" "$OUT/sparse"
    assert_same_bytes "$OUT/sparse" "$E2E/ref/docs/docs.bin"
    cp -a "$T/docs/docs.csv" "$OUT/archive"
    assert_same_bytes "$OUT/archive" "$E2E/ref/docs/docs.csv"
    [ "$(stat -c %Y "$OUT/archive")" = "$(stat -c %Y "$T/docs/docs.csv")" ]
    install -m 600 "$T/people/people.jsonl" "$OUT/installed"
    assert_same_bytes "$OUT/installed" "$E2E/ref/people/people.jsonl"
}

@test "cp -u and a second cp find nothing newer" {
    cp -p "$T/people/people.csv" "$OUT/people.csv"
    run cp -uv "$T/people/people.csv" "$OUT/people.csv"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
}

@test "rsync -a copies all; again it transfers nothing, also after a remount" {
    rsync -a "$MNT/" "$OUT/all/"
    assert_copies "$OUT/all/public"
    run rsync -ai "$MNT/" "$OUT/all/"
    [ "$status" -eq 0 ]
    [ -z "$output" ] || { echo "$output"; false; }
    remount
    run rsync -ai "$MNT/" "$OUT/all/"
    [ "$status" -eq 0 ]
    [ -z "$output" ] || { echo "$output"; false; }
}

@test "rsync transfers only the table that changed" {
    rsync -a "$MNT/" "$OUT/all/"
    change_other
    sleep 2.5 # the lease
    run rsync -ai "$MNT/" "$OUT/all/"
    [ "$status" -eq 0 ]
    echo "$output"
    [ "$(grep -c '^>f' <<<"$output")" -eq 4 ] # csv, bin, jsonl, manifest
    [ "$(grep -c 'public/other/' <<<"$output")" -eq "$(grep -c . <<<"$output")" ]
    reference_csv public.other >"$OUT/other.csv"
    assert_same_bytes "$OUT/all/public/other/other.csv" "$OUT/other.csv"
    run rsync -ai --checksum "$MNT/" "$OUT/all/"
    [ -z "$output" ] || { echo "$output"; false; }
}

@test "tar archives and compares, and no file changed as it read it" {
    run tar -cf "$OUT/all.tar" -C "$MNT" .
    [ "$status" -eq 0 ]
    [ -z "$output" ] || { echo "$output"; false; }
    run tar -df "$OUT/all.tar" -C "$MNT"
    [ "$status" -eq 0 ]
    [ -z "$output" ] || { echo "$output"; false; }
    mkdir "$OUT/out"
    tar -xf "$OUT/all.tar" -C "$OUT/out"
    assert_copies "$OUT/out/public"
    tar -cSf "$OUT/sparse.tar" -C "$T" docs
    mkdir "$OUT/out2"
    tar -xf "$OUT/sparse.tar" -C "$OUT/out2"
    assert_same_bytes "$OUT/out2/docs/docs.bin" "$E2E/ref/docs/docs.bin"
}

@test "tar's incremental dump is empty the second time, also after a remount" {
    tar -cf "$OUT/1.tar" -g "$OUT/snar" --no-check-device -C "$T" docs people
    tar -cf "$OUT/2.tar" -g "$OUT/snar" --no-check-device -C "$T" docs people
    run tar -tf "$OUT/2.tar"
    [ -z "$(grep -v '/$' <<<"$output")" ] || { echo "$output"; false; }
    remount
    tar -cf "$OUT/3.tar" -g "$OUT/snar" --no-check-device -C "$T" docs people
    run tar -tf "$OUT/3.tar"
    [ -z "$(grep -v '/$' <<<"$output")" ] || { echo "$output"; false; }
}

# "NEW CHANGED UNMODIFIED" of a backup of the mount.
restic_backup() {
    restic -q -r "$OUT/restic" backup --json "$MNT" |
        python3 -c 'import json, sys
s = [json.loads(l) for l in sys.stdin if "\"summary\"" in l][-1]
print(s["files_new"], s["files_changed"], s["files_unmodified"])'
}

@test "restic: the second backup finds 0 new and 0 changed, also after a remount; then only the table that changed" {
    restic -q -r "$OUT/restic" init
    read -r new changed _ <<<"$(restic_backup)"
    [ "$new" -ge 16 ]
    read -r new changed unmodified <<<"$(restic_backup)"
    echo "second: $new $changed $unmodified"
    [ "$new $changed" = "0 0" ]
    remount
    read -r new changed unmodified <<<"$(restic_backup)"
    echo "remounted: $new $changed $unmodified"
    [ "$new $changed" = "0 0" ]
    change_other
    sleep 2.5 # the lease
    read -r new changed unmodified <<<"$(restic_backup)"
    echo "another table: $new $changed $unmodified"
    [ "$new $changed" = "0 4" ]
    restic -q -r "$OUT/restic" restore latest --target "$OUT/restored"
    assert_copies "$OUT/restored/$MNT/public"
    restic -q -r "$OUT/restic" check --read-data
}

# What borg has added or changed: status and path. It never trusts the newest file of a backup, so give it one.
borg_create() {
    sleep 1
    touch "$E2E/newest"
    (cd "$E2E" && borg create --list --filter=AME "$OUT/borg::$1" mnt newest 2>&1) | grep -v ' newest$' || true
}

@test "borg: the second archive hits the files cache, also after a remount; then only the table that changed" {
    borg init -e none "$OUT/borg"
    touch "$E2E/newest"
    run borg_create one
    [ "$(grep -c '^A ' <<<"$output")" -ge 16 ] || { echo "$output"; false; }
    run borg_create two
    [ -z "$output" ] || { echo "$output"; false; }
    remount
    run borg_create three
    [ -z "$output" ] || { echo "$output"; false; }
    change_other
    sleep 2.5 # the lease
    run borg_create four
    [ "$(grep -c '^M .*public/other/' <<<"$output")" -eq 4 ] || { echo "$output"; false; }
    [ "$(grep -c . <<<"$output")" -eq 4 ] || { echo "$output"; false; }
    (cd "$OUT" && borg extract "borg::four")
    assert_copies "$OUT/mnt/public"
}

@test "grep finds what is there, once, with its line" {
    [ "$(grep -c '' "$T/docs/docs.csv")" -eq 20001 ]
    [ "$(grep -rl 'document 19999' "$MNT" | sort)" = "$(printf '%s\n' "$T"/docs/docs.{bin,csv,jsonl})" ]
    [ "$(grep -n '^12345,' "$T/docs/docs.csv" | cut -d, -f1)" = 12346:12345 ]
    run grep -c 'no such thing' "$T/docs/docs.jsonl"
    [ "$output" = 0 ]
}

@test "split and cat give the file again; sha256sum -c and cmp agree" {
    split -b 1M "$T/docs/docs.csv" "$OUT/piece."
    [ "$(find "$OUT" -name 'piece.*' | wc -l)" -gt 5 ]
    cat "$OUT"/piece.* >"$OUT/whole"
    assert_same_bytes "$OUT/whole" "$E2E/ref/docs/docs.csv"
    split -n l/7 "$T/docs/docs.jsonl" "$OUT/line."
    cat "$OUT"/line.* >"$OUT/whole"
    assert_same_bytes "$OUT/whole" "$E2E/ref/docs/docs.jsonl"
    (cd "$E2E/ref" && sha256sum */*) >"$OUT/sums"
    (cd "$T" && sha256sum -c --quiet "$OUT/sums")
    cmp "$T/docs/docs.bin" "$E2E/ref/docs/docs.bin"
    run cmp "$T/docs/docs.bin" "$T/docs/docs.csv"
    [ "$status" -eq 1 ]
}

@test "find -size, wc, du and stat know the exact size before anything is read" {
    for table in docs people empty; do
        for format in $BYTES; do
            size=$(wc -c <"$E2E/ref/$table/$table.$format")
            found=$(find "$T" -name "$table.$format" -size "${size}c")
            [ "$found" = "$T/$table/$table.$format" ]
            [ -z "$(find "$T" -name "$table.$format" -size "$((size + 1))c")" ]
            [ "$(stat -c %s "$found")" -eq "$size" ]
            [ "$(stat -c %b "$found")" -eq $(((size + 511) / 512)) ]
            [ "$(du -b "$found" | cut -f1)" -eq "$size" ]
            [ "$(du -k "$found" | cut -f1)" -eq $(((size + 511) / 512 / 2 + (size + 511) / 512 % 2)) ]
            [ "$(wc -c <"$found")" -eq "$size" ]
        done
    done
}

@test "dd and reads at random offsets give the right bytes" {
    python3 - "$T/docs" "$E2E/ref/docs" <<'PYTHON'
import os, random, sys
random.seed(7)
for name in sorted(os.listdir(sys.argv[2])):
    with open(os.path.join(sys.argv[2], name), "rb") as f:
        right = f.read()
    fd = os.open(os.path.join(sys.argv[1], name), os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    for i in range(400):
        offset = random.randrange(len(right) + 100)
        size = random.choice([1, 2, 511, 4096, 70000, 300000])
        got = os.pread(fd, size, offset)
        assert got == right[offset:offset + size], (name, offset, size)
    # The last byte, the end, and beyond it.
    n = len(right)
    assert os.fstat(fd).st_size == n == os.lseek(fd, 0, os.SEEK_END)
    assert os.pread(fd, 10, n - 1) == right[-1:] and os.pread(fd, 10, n) == b"" and os.pread(fd, 10, n + 12345) == b""
    os.close(fd)
PYTHON
    for skip in 0 1 77 4095 5000; do
        dd if="$T/docs/docs.csv" bs=1021 skip=$skip count=300 status=none >"$OUT/dd"
        dd if="$E2E/ref/docs/docs.csv" bs=1021 skip=$skip count=300 status=none >"$OUT/right"
        assert_same_bytes "$OUT/dd" "$OUT/right"
    done
    dd if="$T/docs/docs.bin" bs=1M iflag=direct status=none >"$OUT/dd" || dd if="$T/docs/docs.bin" bs=1M status=none >"$OUT/dd"
    assert_same_bytes "$OUT/dd" "$E2E/ref/docs/docs.bin"
}

@test "head and tail" {
    for n in 1 100 5000000; do
        head -c "$n" "$T/docs/docs.csv" >"$OUT/a"
        head -c "$n" "$E2E/ref/docs/docs.csv" >"$OUT/b"
        assert_same_bytes "$OUT/a" "$OUT/b"
        tail -c "$n" "$T/docs/docs.jsonl" >"$OUT/a"
        tail -c "$n" "$E2E/ref/docs/docs.jsonl" >"$OUT/b"
        assert_same_bytes "$OUT/a" "$OUT/b"
    done
    [ "$(tail -n 1 "$T/people/people.csv")" = "$(tail -n 1 "$E2E/ref/people/people.csv")" ]
    [ "$(head -n 1 "$T/docs/docs.csv")" = "id,title,embedding" ]
    [ "$(tail -c +5 "$T/empty/empty.csv")" = "$(tail -c +5 "$E2E/ref/empty/empty.csv")" ]
}

@test "mmap, shared and private, whole and in part" {
    python3 - "$T/docs" "$E2E/ref/docs" <<'PYTHON'
import mmap, os, sys
for name in sorted(os.listdir(sys.argv[2])):
    right = open(os.path.join(sys.argv[2], name), "rb").read()
    with open(os.path.join(sys.argv[1], name), "rb") as f:
        for flags in mmap.MAP_SHARED, mmap.MAP_PRIVATE:
            with mmap.mmap(f.fileno(), 0, flags=flags, prot=mmap.PROT_READ) as m:
                assert len(m) == len(right) and m[:] == right, name
        at = len(right) // 2 // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        with mmap.mmap(f.fileno(), 10000, prot=mmap.PROT_READ, offset=at) as m:
            assert m[:] == right[at:at + 10000]
PYTHON
}

@test "eight readers at once of a table nobody has read: right bytes, one fetch" {
    new_table cold
    before=$(metric fetches_total)
    pids=()
    for i in 1 2 3 4 5 6 7 8; do
        formats=($BYTES)
        cat "$T/cold/cold.${formats[$((i % 3))]}" >"$OUT/$i" 3>&- &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid"; done
    for i in 1 2 3 4 5 6 7 8; do
        formats=($BYTES)
        assert_same_bytes "$OUT/$i" "$E2E/ref/docs/docs.${formats[$((i % 3))]}"
    done
    [ "$(metric fetches_total)" -eq $((before + 1)) ]
    psql -X -q -c "DROP TABLE cold"
}

@test "ls -l of a table's directory is one fetch, ls none" {
    new_table cold2
    before=$(metric fetches_total)
    ls "$T" "$T/cold2" >/dev/null
    [ "$(metric fetches_total)" -eq "$before" ]
    ls -l "$T/cold2" >"$OUT/ls"
    [ "$(metric fetches_total)" -eq $((before + 1)) ]
    [ "$(awk '$9 == "cold2.csv" { print $5 }' "$OUT/ls")" -eq "$(wc -c <"$E2E/ref/docs/docs.csv")" ]
    [ "$(grep -c '^-r--r--r--' "$OUT/ls")" -eq 5 ]
    psql -X -q -c "DROP TABLE cold2"
}
