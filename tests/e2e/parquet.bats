#!/usr/bin/env bats
# TABLE.parquet: every value by the server's word, sizes, row groups that stay, and what has no form.

load helper
load exact
load parquet

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TYPE mood AS ENUM ('sad', 'ok', 'a "happy", one');
CREATE TYPE couple AS (a int, b text);
CREATE DOMAIN percent AS int CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN price AS numeric(10,2);
CREATE TABLE kinds (id int PRIMARY KEY, s smallint, b bigint, o oid, yes bool, f4 real, f8 double precision, t text, v varchar(99), c char(5),
    "name.with.dots" name, n numeric, n2 numeric(10,2), n9 numeric(9,9), n38 numeric(38,10), n50 numeric(50,5), d date, ts timestamp, tz timestamptz,
    tm time, tmz timetz, i interval, u uuid, j json, jb jsonb, by bytea, m mood, p couple, a int[], ta text[], na numeric(5,2)[], r int4range, net inet, pc percent, pr price,
    e vector(3), ev vector, h halfvec(4), hv halfvec, sv sparsevec(9), bits bit(13), one bit, vb varbit, x xml);
INSERT INTO kinds SELECT i, i - 1500, i * 10000000000, 4294967295 - i, i % 3 = 0, i / 7.0, -i / 3.0::float8, 'row "' || i || '", é' || E'\n', 'v' || i, 'c',
    'n' || i, i / 7.0, i / 7.0, 1.0 / (i + 1), -(i::numeric ^ 7) / 3, i / 7.0, DATE '1500-01-01' + i * 300, TIMESTAMP '1500-01-01' + i * interval '1 month 1 us',
    '2020-02-03 04:05:06+00'::timestamptz - i * interval '1 hour', '23:59:59.999999'::time - i * interval '1 s', '12:00:00+05:30'::timetz, i * interval '90 min',
    md5(i::text)::uuid, json_build_object('k', i), jsonb_build_object('k', i, 'l', '[1, 2]'::jsonb), decode(md5(i::text), 'hex'),
    (enum_range(NULL::mood))[1 + i % 3], ROW(i, 'x')::couple, ARRAY[i, NULL], ARRAY['x', 'a,b'], ARRAY[i / 10.0, NULL], int4range(i, i + 5), '10.0.0.1'::inet + i, i % 100, i / 8.0,
    ARRAY[i, 0.5, -1]::vector, (SELECT array_agg(k) FROM generate_series(1, 1 + i % 20) k)::vector, ARRAY[1, i % 9, -0.5, 0]::halfvec,
    (SELECT array_agg(k) FROM generate_series(1, 1 + i % 7) k)::halfvec,
    CASE WHEN i % 5 = 0 THEN '{}/9' ELSE '{1:1,' || 2 + i % 8 || ':2.5}/9' END::sparsevec, (i % 8192)::bit(13), (i % 2)::bit, (i % 16)::bit(4)::varbit, '<a/>'
    FROM generate_series(1, 3000) i;
INSERT INTO kinds (id) VALUES (-1), (-2);
INSERT INTO kinds (id, f4, f8, e) VALUES (-3, 'NaN', '-Infinity', '[0,0,-0]'), (-4, '-0', '5e-324', '[3.4028235e38,1e-45,1]');
INSERT INTO kinds (id, d, ts, tz, tm, n38, n9, s, b, o) VALUES
    (-5, '4714-11-24 BC', '4714-11-24 BC', '4714-11-24 BC', '00:00', 9999999999999999999999999999.9999999999, 0.999999999, -32768, -9223372036854775808, 0),
    (-6, '5874897-12-31', '294246-12-31', '294246-12-31', '23:59:59.999999', -9999999999999999999999999999.9999999999, -0.999999999, 32767, 9223372036854775807, 1);
CREATE TABLE nothing (id int, v vector(3), t text);
CREATE TABLE bare ();
INSERT INTO bare SELECT FROM generate_series(1, 7);
CREATE TABLE lone (t text);
INSERT INTO lone VALUES (NULL);
CREATE TABLE generated (a int, double int GENERATED ALWAYS AS (a * 2) STORED, t text);
INSERT INTO generated (a, t) SELECT i, 't' || i FROM generate_series(1, 100) i;
CREATE VIEW seen AS SELECT id, t, e FROM kinds WHERE id > 10;
CREATE TABLE parts (id int, region text) PARTITION BY LIST (region);
CREATE TABLE parts_n PARTITION OF parts FOR VALUES IN ('n');
CREATE TABLE parts_s PARTITION OF parts FOR VALUES IN ('s');
INSERT INTO parts SELECT i, (ARRAY['n', 's'])[1 + i % 2] FROM generate_series(1, 2000) i;
CREATE TABLE wide (id int, t text, v vector(300)) WITH (fillfactor = 50);
ALTER TABLE wide ALTER v SET STORAGE PLAIN;
INSERT INTO wide SELECT i, 'text ' || i, (SELECT array_agg((i * 7 + k) % 100 / 8.0) FROM generate_series(1, 300) k)::vector FROM generate_series(1, 14000) i;
SQL
    PARQUET_ROWS=$(dirname "$PGVECFS")/tests/tools/parquet_rows
    mount_start -o lease=0
    T=$MNT/public
    export T PARQUET_ROWS
}

teardown_file() { teardown_all; }

setup() {
    OUT=$E2E/out/$BATS_TEST_NUMBER
    mkdir -p "$OUT"
}

# The size that stat says, then the file's bytes as $OUT/$2.
copy() {
    local size
    size=$(stat -c %s "$1") && cat "$1" >"$OUT/$2" && [ "$(stat -c %s "$OUT/$2")" -eq "$size" ]
}

# Whether relation $1 is in its file, row by row.
assert_relation() { copy "$T/$1/$1.parquet" "$1.parquet" && assert_parquet "$OUT/$1.parquet" "public.$1"; }

@test "every type is what the server says" {
    assert_relation kinds
    "$PARQUET_ROWS" -s "$OUT/kinds.parquet" >"$OUT/schema"
    diff "$OUT/schema" - <<'END'
id	INT32
s	INT32 INTEGER(16,signed)
b	INT64
o	INT32 INTEGER(32,unsigned)
yes	BOOLEAN
f4	FLOAT
f8	DOUBLE
t	BYTE_ARRAY STRING
v	BYTE_ARRAY STRING
c	BYTE_ARRAY STRING
name.with.dots	BYTE_ARRAY STRING
n	BYTE_ARRAY STRING
n2	FIXED(5) DECIMAL(10,2)
n9	FIXED(4) DECIMAL(9,9)
n38	FIXED(16) DECIMAL(38,10)
n50	BYTE_ARRAY STRING
d	INT32 DATE
ts	INT64 TIMESTAMP(local)
tz	INT64 TIMESTAMP(UTC)
tm	INT64 TIME(local)
tmz	BYTE_ARRAY STRING
i	BYTE_ARRAY STRING
u	FIXED(16) UUID
j	BYTE_ARRAY JSON
jb	BYTE_ARRAY JSON
by	BYTE_ARRAY
m	BYTE_ARRAY STRING
p	BYTE_ARRAY STRING
a	BYTE_ARRAY STRING
ta	BYTE_ARRAY STRING
na	BYTE_ARRAY STRING
r	BYTE_ARRAY STRING
net	BYTE_ARRAY STRING
pc	INT32
pr	BYTE_ARRAY STRING
e	LIST FLOAT
ev	LIST FLOAT
h	LIST FIXED(2) FLOAT16
hv	LIST FIXED(2) FLOAT16
sv	INT32
sv	LIST INT32
sv	LIST FLOAT
bits	FIXED(2)
one	FIXED(1)
vb	BYTE_ARRAY STRING
x	BYTE_ARRAY STRING
END
}

@test "tables without rows or columns, a lone NULL, generated columns, views, partitions" {
    for relation in nothing bare lone generated seen parts; do assert_relation "$relation"; done
    [ "$("$PARQUET_ROWS" "$OUT/bare.parquet" | wc -l)" -eq 7 ]
    [ "$("$PARQUET_ROWS" -s "$OUT/generated.parquet" | wc -l)" -eq 2 ]
}

@test "it is not listed unless formats= names it, and is not in the manifest" {
    run ls "$T/kinds"
    [[ $output != *parquet* ]]
    run cat "$T/kinds/manifest.json"
    [[ $output != *parquet* ]]
    mkdir -p "$E2E/mnt2"
    MNT=$E2E/mnt2 CACHE=$E2E/cache2 mount_start -o formats=parquet
    [ "$(LC_ALL=C ls "$E2E/mnt2/public/wide" | tr '\n' ' ')" = "VDF_META.json manifest.json query schema.sql wide.parquet " ]
    python3 - "$E2E/mnt2/public/wide" <<'PYTHON'
import json, os, sys
views = json.load(open(sys.argv[1] + "/manifest.json"))["views"]
assert list(views) == ["parquet"] and views["parquet"]["bytes"] == os.stat(sys.argv[1] + "/wide.parquet").st_size
PYTHON
    MNT=$E2E/mnt2 mount_stop
}

@test "some columns of select/ are a file of their own" {
    copy "$T/kinds/select/e,id.parquet" chosen
    "$PARQUET_ROWS" "$OUT/chosen" >"$OUT/rows"
    "$PARQUET_ROWS" "$T/kinds/kinds.parquet" | awk -F '\t' -v OFS='\t' '{ print $36, $1 }' >"$OUT/expected"
    assert_same_bytes "$OUT/rows" "$OUT/expected"
}

# The bytes of the row groups of a file, each one's hash on a line; and where they are.
groups() {
    python3 - "$1" "$OUT" <<'PYTHON'
import hashlib, re, subprocess, sys
data = open(sys.argv[1], "rb").read()
size = int.from_bytes(data[-8:-4], "little")
# a body is what lies between the pages of the first column, which is of integers
def varint(at):
    value = shift = 0
    while True:
        byte = data[at]; value |= (byte & 127) << shift; at += 1; shift += 7
        if byte < 128: return value, at
def zigzag(value): return value >> 1 ^ -(value & 1)
def read(kind, at):
    if kind in (1, 2): return kind == 1, at
    if kind == 3: return data[at], at + 1
    if kind in (5, 6):
        value, at = varint(at); return zigzag(value), at
    if kind == 8:
        n, at = varint(at); return data[at:at + n], at + n
    if kind == 9:
        head = data[at]; at += 1; n = head >> 4
        if n == 15: n, at = varint(at)
        out = []
        for _ in range(n):
            value, at = read(head & 15, at); out.append(value)
        return out, at
    out, last = {}, 0
    while data[at]:
        head = data[at]; at += 1
        if head >> 4: last += head >> 4
        else:
            value, at = varint(at); last = zigzag(value)
        out[last], at = read(head & 15, at)
    return out, at + 1
footer, _ = read(12, len(data) - 8 - size)
for group in footer[4]:
    first = group[1][0][3][9]
    last = group[1][-1][3]
    end = last[9] + last[7]
    print(hashlib.sha256(data[first:end]).hexdigest(), group[3], end - first)
PYTHON
}

@test "an update changes its row group and the footer alone" {
    copy "$T/wide/wide.parquet" before
    groups "$OUT/before" >"$OUT/groups.before"
    [ "$(wc -l <"$OUT/groups.before")" -ge 4 ]
    psql -X -q -c "UPDATE wide SET t = 'another' WHERE id = 9000"
    if [ -n "$(often "" all)" ]; then assert_relation wide; else copy "$T/wide/wide.parquet" wide.parquet; fi
    groups "$OUT/wide.parquet" >"$OUT/groups.after"
    [ "$(diff "$OUT/groups.before" "$OUT/groups.after" | grep -c '^<')" -eq 1 ]
    # and rows that come make new groups at the end
    psql -X -q -c "INSERT INTO wide SELECT i, 'new ' || i, (SELECT array_agg(k) FROM generate_series(1, 300) k)::vector FROM generate_series(1, 1500) i"
    assert_relation wide
    groups "$OUT/wide.parquet" >"$OUT/groups.more"
    [ "$(diff "$OUT/groups.after" "$OUT/groups.more" | grep -c '^<')" -le 2 ]
}

@test "vectors lie there uncompressed, everything else is compressed" {
    copy "$T/wide/wide.parquet" wide
    [ "$(stat -c %s "$OUT/wide")" -gt $((14000 * 300 * 4)) ]
    [ "$(stat -c %s "$OUT/wide")" -lt $((18000 * 300 * 4)) ]
    python3 - "$OUT/wide" <<'PYTHON'
import struct, sys
data = open(sys.argv[1], "rb").read()
row = struct.pack("<300f", *[(17 * 7 + k) % 100 / 8 for k in range(1, 301)])
assert row in data and b"text 17" not in data
PYTHON
}

@test "inode, time and size stay over a refresh and a mount" {
    local before file=$T/wide/wide.parquet
    before=$(stat -c '%i %s %y %z' "$file" "$T/kinds/kinds.parquet")
    cat "$file" >"$OUT/before"
    [ "$(stat -c '%i %s %y %z' "$file" "$T/kinds/kinds.parquet")" = "$before" ]
    mount_stop
    mount_start -o lease=0
    [ "$(stat -c '%i %s %y %z' "$file" "$T/kinds/kinds.parquet")" = "$before" ]
    assert_same_bytes "$file" "$OUT/before"
    rsync -a "$T/wide/wide.parquet" "$OUT/copy.parquet"
    run rsync -ai "$T/wide/wide.parquet" "$OUT/copy.parquet"
    [ -z "$output" ]
}

@test "it can be read in any order, and mapped" {
    cat "$T/wide/wide.parquet" >"$OUT/whole"
    python3 - "$T/wide/wide.parquet" "$OUT/whole" <<'PYTHON'
import mmap, os, random, sys
whole = open(sys.argv[2], "rb").read()
file = os.open(sys.argv[1], os.O_RDONLY)
random.seed(4)
assert os.pread(file, 8, len(whole) - 8) == whole[-8:] # as readers begin
for _ in range(200):
    at, size = random.randrange(len(whole)), random.choice([1, 100, 5000, 300000])
    assert os.pread(file, size, at) == whole[at:at + size]
assert mmap.mmap(file, 0, prot=mmap.PROT_READ)[:] == whole
PYTHON
}

@test "who reads one column group by group gets the next ones put into the page cache, with the right bytes" {
    local MNT=$E2E/mnt2 CACHE=$E2E/cache2
    psql -X -q -c "CREATE TABLE long (id int, v vector(16000))" -c "INSERT INTO long SELECT i, array_fill(i / 8.0, ARRAY[16000])::vector FROM generate_series(1, 1600) i"
    mount_start -o lease=0
    stat "$MNT/public/long/long.parquet" >/dev/null
    cat "$T/long/long.parquet" >"$OUT/whole"
    mount_stop
    mount_start -o lease=0 # the page cache has nothing of it now
    python3 - "$MNT" "$OUT/whole" <<'PYTHON'
import os, sys, time
mount, whole = sys.argv[1], open(sys.argv[2], "rb").read()
def metric(name):
    time.sleep(1.1) # they are a second old at most
    return next(int(line.split()[1]) for line in open(mount + "/.pgvecfs/metrics") if line.startswith("pgvecfs_" + name))
file = os.open(mount + "/public/long/long.parquet", os.O_RDONLY)
assert os.fstat(file).st_size == len(whole)
# The first column of a row group begins 4 bytes behind a page's begin, with the head of a data page.
pages = [at for at in range(0, len(whole), 4096) if whole[at + 4:at + 7] == b"\x15\x00\x15"]
assert len(pages) > 20, len(pages)
right = lambda group: os.pread(file, 4096, pages[group]) == whole[pages[group]:pages[group] + 4096]
assert right(1) and right(2) # of what is at the begin of a file the kernel asks for more than a page
end = time.monotonic() + 20
while metric("strips_stored_total") < 8 and time.monotonic() < end:
    pass
assert metric("strips_stored_total") >= 8
assert all(right(group) for group in range(11, 19)) # from the page cache, unless the kernel needed the memory
assert all(right(group) for group in range(len(pages)))
assert all(os.pread(file, 1 << 20, at) == whole[at:at + (1 << 20)] for at in range(0, len(whole), 1 << 20))
PYTHON
    mount_stop
    psql -X -q -c "DROP TABLE long"
}

@test "a value without a form refuses the file, by column and row" {
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE late (id int, d date, n numeric(5,2));
INSERT INTO late SELECT i, '2000-01-01', 1 FROM generate_series(1, 10) i;
INSERT INTO late VALUES (11, 'infinity', 1);
SQL
    assert_refused public/late/late.parquet 'infinity'
    cat "$T/late/late.csv" >"$OUT/csv"
    [ "$(wc -l <"$OUT/csv")" -eq 12 ]
    psql -X -q -c "DELETE FROM late WHERE id = 11"
    assert_relation late
}

@test "VDF_META.json says which columns are vectors, and stays the same file" {
    local before
    python3 - "$T/kinds/VDF_META.json" <<'PYTHON'
import json, os, sys
path = sys.argv[1]
size = os.stat(path).st_size
text = open(path).read()
assert len(text.encode()) == size, (len(text), size)
meta = json.loads(text)
assert meta["file_structure"] == ["kinds.parquet"] and meta["exported_from"] == "pgvector", meta
index = meta["indexes"]["kinds"]
assert [(i["namespace"], i["vector_columns"], i["dimensions"]) for i in index] == \
    [("e", ["e"], 3), ("ev", ["ev"], -1), ("h", ["h"], 4), ("hv", ["hv"], -1)], index
assert {i["total_vector_count"] for i in index} == {3006} and {i["data_path"] for i in index} == {"."}, index
alone = json.load(open(path.replace("kinds/", "nothing/")))["indexes"]["nothing"]
assert [(i["namespace"], i["total_vector_count"]) for i in alone] == [("", 0)], alone
PYTHON
    run cat "$T/lone/VDF_META.json"
    [[ $output == *"No such file"* ]]
    run ls "$T/kinds"
    [[ $output != *VDF_META* ]]
    before=$(stat -c '%i %s %Y' "$T/kinds/VDF_META.json")
    mount_stop
    mount_start -o formats=csv+parquet
    [ "$(stat -c '%i %s %Y' "$T/kinds/VDF_META.json")" = "$before" ]
    run ls "$T/kinds" "$T/lone"
    [ "$(grep -c VDF_META <<<"$output")" -eq 1 ]
}
