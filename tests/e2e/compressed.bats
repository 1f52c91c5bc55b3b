#!/usr/bin/env bats
# TABLE.csv.gz, .csv.zst and the like: the plain files, compressed by row group.

load helper

FORMATS=(csv.gz csv.zst jsonl.gz jsonl.zst bin.gz bin.zst tsv.gz tsv.zst)

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
-- Some row groups of 4 MiB, which do not compress away.
CREATE TABLE large AS SELECT i AS id, (SELECT string_agg(md5((i * 1000 + k)::text), '') FROM generate_series(1, 60) k) AS t
    FROM generate_series(1, 8000) i;
CREATE TABLE words (id int PRIMARY KEY, word text, v vector(3));
INSERT INTO words SELECT i, 'w "' || i || '", é', ARRAY[i, 0.5, -1]::vector FROM generate_series(1, 3000) i;
CREATE TABLE nothing (id int, t text);
CREATE TABLE no_columns ();
INSERT INTO no_columns SELECT FROM generate_series(1, 3);
CREATE VIEW seen AS SELECT id, word FROM words WHERE id % 2 = 0;
CREATE TABLE parts (id int, region text) PARTITION BY LIST (region);
CREATE TABLE parts_n PARTITION OF parts FOR VALUES IN ('n');
CREATE TABLE parts_s PARTITION OF parts FOR VALUES IN ('s');
INSERT INTO parts SELECT i, (ARRAY['n', 's'])[1 + i % 2] FROM generate_series(1, 2000) i;
SQL
    mount_start -o lease=0
    T=$MNT/public
    export T
}

teardown_file() { teardown_all; }

setup() {
    OUT=$E2E/out/$BATS_TEST_NUMBER
    mkdir -p "$OUT"
}

unpack() { # FILE
    case $1 in
        *.gz) gzip -dc <"$1" ;;
        *.zst) zstd -dcq <"$1" ;;
    esac
}

identity() { stat -c '%n %i %s %Y' "$@"; }

# The places in file $1 at which its members or frames begin, and its end.
pieces() {
    python3 - "$1" <<'PYTHON'
import struct, sys, zlib
data = open(sys.argv[1], "rb").read()
at, places = 0, []
if sys.argv[1].endswith(".zst"):
    frames, flags, magic = struct.unpack("<IBI", data[-9:])
    assert magic == 0x8F92EAB1 and flags == 0, (magic, flags)
    table = data[-9 - 8 * frames - 8:]
    assert struct.unpack("<II", table[:8]) == (0x184D2A5E, len(table) - 8)
    for size, raw in struct.iter_unpack("<II", table[8:-9]):
        places.append(at)
        at += size
    assert at == len(data) - len(table)
else:
    while at < len(data):
        places.append(at)
        member = zlib.decompressobj(31)
        member.decompress(data[at:])
        assert member.eof
        at = len(data) - len(member.unused_data)
print(*places, at)
PYTHON
}

@test "unpacked they are the plain files, and sizes are exact" {
    for table in large words nothing no_columns seen parts; do
        for format in "${FORMATS[@]}"; do
            file=$T/$table/$table.$format
            size=$(stat -c %s "$file")
            cat "$file" >"$OUT/packed.${format##*.}"
            [ "$size" -eq "$(stat -c %s "$OUT/packed.${format##*.}")" ]
            unpack "$OUT/packed.${format##*.}" >"$OUT/got"
            assert_same_bytes "$OUT/got" "$T/$table/$table.${format%.*}"
        done
        reference_csv "public.$table" >"$OUT/right"
        unpack "$T/$table/$table.csv.zst" >"$OUT/got"
        assert_same_bytes "$OUT/got" "$OUT/right"
    done
}

@test "the tools say that they are whole: gzip -t, zstd -t, zcat" {
    for table in large nothing; do
        gzip -t <"$T/$table/$table.csv.gz"
        gzip -t <"$T/$table/$table.jsonl.gz"
        zstd -tq "$T/$table/$table.csv.zst" "$T/$table/$table.jsonl.zst"
        zcat "$T/$table/$table.tsv.gz" | cmp - "$T/$table/$table.tsv"
        zstdcat "$T/$table/$table.bin.zst" | cmp - "$T/$table/$table.bin"
    done
    [ "$(zstd -dcq "$T/nothing/nothing.jsonl.zst" | wc -c)" -eq 0 ]
    [ "$(stat -c %s "$T/nothing/nothing.jsonl.gz")" -gt 0 ]
}

@test "head, row groups and tail are members or frames of their own" {
    for format in csv.gz csv.zst bin.gz bin.zst jsonl.zst; do
        read -r -a places <<<"$(pieces "$T/large/large.$format")"
        [ "${#places[@]}" -ge 5 ]
        # The first piece is the head alone.
        case $format in
            csv.*) head -c "${places[1]}" "$T/large/large.$format" >"$OUT/first.${format##*.}" ;;
            *) continue ;;
        esac
        [ "$(unpack "$OUT/first.${format##*.}")" = id,t ]
    done
    # Each group can be unpacked without the others.
    read -r -a places <<<"$(pieces "$T/large/large.csv.zst")"
    tail -c "+$((places[2] + 1))" "$T/large/large.csv.zst" | head -c $((places[3] - places[2])) | zstd -dcq >"$OUT/group"
    grep -c . "$OUT/group"
    grep -qxF -f <(head -n 1 "$OUT/group") "$T/large/large.csv"
}

@test "any place can be read, in any way" {
    python3 - "$T/large/large" <<'PYTHON'
import mmap, os, random, sys
random.seed(7)
for format in ("csv.gz", "csv.zst", "bin.zst"):
    path = sys.argv[1] + "." + format
    whole = open(path, "rb").read()
    fd = os.open(path, os.O_RDONLY)
    assert os.fstat(fd).st_size == len(whole)
    for _ in range(200):
        at = random.randrange(len(whole) + 10)
        size = random.choice((1, 100, 4096, 100000, 3000000))
        assert os.pread(fd, size, at) == whole[at:at + size], (format, at, size)
    with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:] == whole
    os.close(fd)
PYTHON
}

@test "they are not listed, unless formats= names them" {
    [ "$(ls "$T/words" | tr '\n' ' ')" = "manifest.json query schema.sql words.bin words.csv words.jsonl " ]
    MNT=$E2E/mnt2 CACHE=$E2E/cache2 mount_start -o formats=csv.zst+jsonl.gz
    [ "$(ls "$E2E/mnt2/public/words" | tr '\n' ' ')" = "manifest.json query schema.sql words.csv.zst words.jsonl.gz " ]
    python3 - "$E2E/mnt2/public/words" <<'PYTHON'
import json, os, sys
views = json.load(open(sys.argv[1] + "/manifest.json"))["views"]
assert list(views) == ["csv.zst", "jsonl.gz"], views
for name, view in views.items():
    assert view["bytes"] == os.path.getsize(sys.argv[1] + "/words." + name)
PYTHON
    MNT=$E2E/mnt2 CACHE=$E2E/cache2 mount_stop
}

@test "some columns: select/COL,COL.csv.zst" {
    for format in "${FORMATS[@]}"; do
        unpack "$T/words/select/word,id.$format" | cmp - "$T/words/select/word,id.${format%.*}"
    done
    [ ! -e "$T/words/select/id.gz" ]
    [ ! -e "$T/words/select/none.csv.gz" ]
}

@test "a row that has changed changes its own group, and what stands behind it moves" {
    for format in csv.gz csv.zst; do cp "$T/large/large.$format" "$OUT/before.$format"; done
    psql -X -q -c "UPDATE large SET t = 'changed' WHERE id = 8000"
    for format in csv.gz csv.zst; do
        read -r -a before <<<"$(pieces "$OUT/before.$format")"
        read -r -a after <<<"$(pieces "$T/large/large.$format")"
        [ "${#after[@]}" -ge 5 ]
        # All pieces but the last two are the same bytes at the same places.
        same=${before[-3]}
        [ "$same" -gt 1000000 ]
        cmp -n "$same" "$OUT/before.$format" "$T/large/large.$format"
        ! cmp -s "$OUT/before.$format" "$T/large/large.$format"
        unpack "$T/large/large.$format" | cmp - "$T/large/large.csv"
    done
}

@test "a second rsync moves nothing, also after a remount" {
    MNT=$E2E/mnt2 CACHE=$E2E/cache2
    export MNT CACHE
    mount_start -o formats=csv.gz+csv.zst+bin.zst+jsonl.zst,lease=0
    rsync -a "$MNT/public/" "$OUT/copy/"
    run rsync -ai "$MNT/public/" "$OUT/copy/"
    [ "$status" -eq 0 ] && [ -z "$output" ]
    identity "$MNT"/public/*/*.* >"$OUT/files"
    mount_stop
    mount_start -o formats=csv.gz+csv.zst+bin.zst+jsonl.zst,lease=0
    run rsync -aic "$MNT/public/" "$OUT/copy/"
    [ "$status" -eq 0 ] && [ -z "$output" ]
    identity "$MNT"/public/*/*.* | diff "$OUT/files" -
    mount_stop
}

@test "after an upgrade of zstd its files, and only those, are others and later" {
    [ -z "${SANITIZED:-}" ] || skip "a sanitizer wants to be the first library"
    local with=csv+csv.gz+csv.zst+jsonl.zst
    MNT=$E2E/mnt3 CACHE=$E2E/cache3
    export MNT CACHE
    names() { (cd "$MNT/public" && identity "$@"); }
    plain=(words/words.csv words/words.csv.gz words/schema.sql words/select/id.csv large/large.csv)
    zst=(words/words.csv.zst words/words.jsonl.zst words/select/id.csv.zst words/manifest.json large/large.csv.zst)
    mount_start -o formats=$with,lease=0
    names "${plain[@]}" >"$OUT/plain"
    names "${zst[@]}" >"$OUT/zst"
    rsync -a "$MNT/public/" "$OUT/copy/"
    mount_stop

    PRELOAD=$(dirname "$PGVECFS")/tests/tools/other_zstd.so
    LD_PRELOAD=$PRELOAD mount_start -o formats=$with,lease=0
    names "${plain[@]}" | diff "$OUT/plain" -
    names "${zst[@]}" >"$OUT/now"
    python3 - "$OUT/zst" "$OUT/now" <<'PYTHON'
import sys
for before, now in zip(*(open(name) for name in sys.argv[1:])):
    before, now = before.split(), now.split()
    assert before[0] == now[0]
    assert before[1] != now[1], now                # the inode
    assert int(before[3]) < int(now[3]), now       # the time
PYTHON
    unpack "$MNT/public/large/large.csv.zst" | cmp - "$MNT/public/large/large.csv"
    ! cmp -s "$MNT/public/large/large.csv.zst" "$OUT/copy/large/large.csv.zst"
    run rsync -ai "$MNT/public/" "$OUT/copy/"
    [ "$status" -eq 0 ]
    [ -n "$output" ]
    # Of what is not zst only manifests, which tell of it, are copied.
    [ "$(grep '^>f' <<<"$output" | grep -cv '\.zst$\|manifest.json$')" -eq 0 ]
    mount_stop

    # So it stays, also for the next mount, until the library changes again.
    LD_PRELOAD=$PRELOAD mount_start -o formats=$with,lease=0
    names "${zst[@]}" | diff "$OUT/now" -
    run rsync -aic "$MNT/public/" "$OUT/copy/"
    [ "$status" -eq 0 ] && [ -z "$output" ]
    psql -X -q -c "UPDATE words SET word = 'changed' WHERE id = 7"
    names words/words.csv words/words.csv.zst >"$OUT/changed"
    [ "$(sed -n '1s/.* //p' "$OUT/changed")" -gt "$(sed -n '1s/.* //p' "$OUT/now")" ]
    unpack "$MNT/public/words/words.csv.zst" | cmp - "$MNT/public/words/words.csv"
    mount_stop
    mount_start -o formats=$with,lease=0
    names large/large.csv | diff <(sed -n 5p "$OUT/plain") -
    unpack "$MNT/public/words/words.csv.zst" | cmp - "$MNT/public/words/words.csv"
    mount_stop
}
