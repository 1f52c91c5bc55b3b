#!/usr/bin/env bats
# TABLE/columns/: single columns as arrays.

load helper

# What columns.py is to be told of a row of kinds.
KINDS="json_build_object('b', b, 'i2', i2, 'i4', i4, 'i8', i8, 'o', o::bigint, 'f4', f4, 'f8', f8,
    'd', d - DATE '1970-01-01', 'ts', (extract(epoch FROM ts) * 1000000)::bigint, 'tz', (extract(epoch FROM tz) * 1000000)::bigint,
    'u', u, 'v', v::text::json, 'h', h::text::json, 's', s::text, 'bits', bits, 'one', one, 'dom', dom::text::json,
    't', t, 'n', n, 'vb', vb, 'i', i, 'a', a, 'm', m, 'gt', gt, 'g', g, 'w', w::text::json)"

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN three AS vector(3);
CREATE TABLE kinds (b bool, i2 int2, i4 int4, i8 int8, o oid, f4 float4, f8 float8, d date, ts timestamp, tz timestamptz, u uuid,
    v vector(3), h halfvec(2), s sparsevec(5), bits bit(11), one bit, dom three NOT NULL, t text, n numeric, vb varbit, i interval,
    a int[], m mood, w vector NOT NULL, g int4 GENERATED ALWAYS AS (i4 + 1) STORED, gt text GENERATED ALWAYS AS ('g' || t) STORED);
INSERT INTO kinds SELECT i % 2 = 0, i - 2000, i * 700001 - 1000000000, i * 1000000000039, i, i / 3.0, -i / 7.0, DATE '1996-03-01' + i,
    TIMESTAMP '1969-12-31 23:59:59.999999' + i * interval '17 hours 1 us', '2020-02-03 04:05:06+00'::timestamptz - i * interval '1 hour',
    md5(i::text)::uuid, ARRAY[i, 0.1, -1]::vector, ARRAY[1, i % 9]::halfvec,
    (CASE i % 3 WHEN 0 THEN '{}/5' WHEN 1 THEN '{1:1.5,3:-2}/5' ELSE '{5:' || i || '}/5' END)::sparsevec, (i % 2048)::bit(11), (i % 2)::bit,
    ARRAY[i, i, i]::vector, 'row ' || i, i / 7.0, '101', i * interval '90 min', ARRAY[i, NULL], (enum_range(NULL::mood))[1 + i % 2],
    ARRAY[i, -i]::vector
    FROM generate_series(1, 3000) i;
INSERT INTO kinds (dom, w) SELECT '[1,2,3]', '[4,5]' FROM generate_series(1, 10);
INSERT INTO kinds (f4, f8, d, ts, tz, dom, w) VALUES
    ('NaN', 'Infinity', '4713-01-01 BC', '4713-01-01 BC', '4713-01-01 00:00:00+00 BC', '[0,0,1]', '[0,1]'),
    ('-Infinity', 'NaN', '5874897-12-31', '294246-12-31', '1970-01-01 00:00:00+00', '[0,0,1]', '[0,1]');
CREATE TABLE empty (i int, v vector(3), w vector, s sparsevec(4), t text);
CREATE TABLE odd ("a.b" int, ".dot" int, "x/y" int, "per%cent" int, "é" int, "npy" int, "v.null" int, v int);
INSERT INTO odd SELECT i, i + 1, i + 2, i + 3, i + 4, i + 5, CASE WHEN i > 1 THEN i END, i + 6 FROM generate_series(1, 100) i;
CREATE TABLE formless (d date, ts timestamp, w vector, z vector, ok int, n numeric(4,1));
INSERT INTO formless VALUES ('2000-01-01', '2000-01-01', '[1,2]', '[1]', 1, 1.5), ('infinity', '2000-01-01', '[1,2]', '[1]', 2, 'NaN'),
    ('2000-01-01', '-infinity', '[1]', NULL, 3, NULL);
CREATE TABLE many (id int, v vector(64), pad text);
INSERT INTO many SELECT i, array_fill(i::float4, ARRAY[64])::vector, repeat('x', i % 50) FROM generate_series(1, 60000) i;
CREATE TABLE sparse (id int, s sparsevec(1000), pad text);
INSERT INTO sparse SELECT i, ('{' || (i % 999) + 1 || ':1,1000:' || i || '}/1000')::sparsevec, repeat('y', 300) FROM generate_series(1, 40000) i;
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

# compare TABLE JSON [COLUMN...]: the columns that the JSON has; the columns that are named if there are no rows.
compare() {
    local table=$1 json=$2
    shift 2
    psql_pinned -c "SELECT $json FROM public.$table" >"$OUT/rows" || return
    python3 "$ROOT/tests/e2e/columns.py" "$T/$table/columns" "$OUT/rows" "$@"
}

# As it is, or why not.
reason() { getfattr --only-values -n user.pgvecfs.error "$1" 2>&1; }

identity() { stat -c '%n %i %s %Y' "$@"; }

# Debian's NumPy is Debian's Python's, which need not be the first one in PATH.
has_numpy() {
    for NUMPY in python3 /usr/bin/python3; do "$NUMPY" -c 'import numpy' 2>/dev/null && return; done
    skip "needs python3-numpy"
}

@test "each type is what the server has, and NULL is zeros with a mask" {
    run compare kinds "$KINDS"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *'i8: null <i8'* && $output == *'d: null <M8[D]'* && $output == *'tz: null <M8[us]'* && $output == *'h: null <f2'* ]]
    [[ $output == *'bits: null |u1'* && $output == *'s: null csr'* && $output == *'g: null <i4'* && $output == *'o: null <u4'* ]]
    [[ $output == *'w: null <f4 fvecs'* && $output == *'dom: null <f4 fvecs'* && $output == *'b: null |b1'* ]]
    # Its vectors have NULLs: there is no .fvecs.
    [[ $output == *$'v: null <f4\n'* ]]
}

@test "other types have the mask, and Arrow" {
    local column
    for column in t n vb i a m gt; do
        [ -e "$T/kinds/columns/$column.null.npy" ]
        run cat "$T/kinds/columns/$column.npy"
        [[ $output == *"No such file"* ]]
        cmp "$T/kinds/columns/$column.arrow" "$T/kinds/select/$column.arrow"
    done
    for column in i4.arrow v.arrow s.arrow bits.arrow i4.fvecs h.fvecs v.data.npy s.npy nosuch.npy nosuch.null.npy i4 i4.csv i4.npy.npy .npy; do
        run cat "$T/kinds/columns/$column"
        [[ $output == *"No such file"* ]]
    done
}

@test "an empty table has empty arrays" {
    compare empty '1' i v w s t
    python3 - "$T/empty/columns" "$ROOT/tests/e2e" <<'PYTHON'
import sys
sys.path.insert(0, sys.argv[2])
from columns import npy
shapes = [npy("%s/%s.npy" % (sys.argv[1], f))[1] for f in ("i", "v", "w", "t.null", "s.indptr", "s.data")]
assert shapes == [(0,), (0, 3), (0, 0), (0,), (1,), (0,)], shapes
PYTHON
    [ ! -s "$T/empty/columns/v.fvecs" ]
}

@test "names are written as names of files are, and dots as %2E" {
    run compare odd 'row_to_json(odd)'
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(wc -l <<<"$output")" -eq 8 ]
    [ -e "$T/odd/columns/v%2Enull.npy" ]
    run cmp -s "$T/odd/columns/v.null.npy" "$T/odd/columns/v%2Enull.null.npy"
    [ "$status" -eq 1 ]
    [ ! -e "$T/odd/columns/v%2enull.npy" ] # another way of writing it
    [ ! -e "$T/odd/columns/x%2fy.npy" ]
    [ ! -e "$T/odd/columns/%61.npy" ]
}

@test "a value that has no form refuses that file, by column and row, and no other" {
    local file
    for file in d.npy ts.npy w.npy w.fvecs z.npy; do
        run stat "$T/formless/columns/$file"
        echo "$output"
        [[ $output == *"Input/output error"* ]]
    done
    # getfattr asks for attributes first.
    run python3 -c 'import os, sys; print(os.getxattr(sys.argv[1], "user.pgvecfs.error").decode())' "$T/formless/columns/d.npy"
    echo "$output"
    [[ $output == *'column d, row 2: infinity has no form in npy'* ]]
    [[ $(reason "$T/formless/columns") == *'column ts, row 3: infinity has no form in npy'* ]]
    [[ $(reason "$T/formless") == *'column w, row 3: a vector with another number of dimensions has no form in npy'* ]]
    [[ $(reason "$T/formless/columns") == *'column z, row 3: NULL, if the type does not say how many dimensions there are, has no form in npy'* ]]
    [ -e "$T/formless/columns/ok.npy" ] && [ -e "$T/formless/columns/d.null.npy" ]
    cat "$T/formless/formless.csv" >/dev/null
    run ls "$T/formless/columns"
    echo "$output"
    [ "$(grep -c null <<<"$output")" -eq 6 ]
    [ "$(grep -vc null <<<"$output")" -eq 1 ]
    run stat "$T/formless/columns/n.arrow"
    [[ $output == *"Input/output error"* ]]
    [[ $(reason "$T/formless/columns") == *'column n, row 2: NaN has no form in arrow'* ]]
}

@test "the directory lists what there is, and is listed only with -o list=columns" {
    run ls "$T/kinds/columns"
    [[ $output == *b.npy* && $output == *s.indptr.npy* && $output == *w.fvecs* && $output == *t.null.npy* && $output == *t.arrow* ]]
    [[ $'\n'$output != *$'\n'b.arrow* && $output != *t.npy* && $output != *v.fvecs* ]]
    run ls "$T/kinds"
    [[ $output != *columns* ]]
    mkdir -p "$E2E/mnt2"
    MNT=$E2E/mnt2 CACHE=$E2E/cache2 mount_start -o list=columns
    run ls "$E2E/mnt2/public/kinds"
    [[ $output == *columns* ]]
    cp -r "$E2E/mnt2/public/odd" "$OUT/copy"
    MNT=$E2E/mnt2 mount_stop
    diff -r "$T/odd/columns" "$OUT/copy/columns"
}

@test "all columns are of one state, in the order of the rows" {
    compare many "json_build_object('id', id, 'v', v::text::json)"
    psql -X -q -c "UPDATE many SET id = -id WHERE id % 10000 = 7"
    compare many "json_build_object('id', id, 'v', v::text::json)"
    # What one process reads slowly stays of one state, whatever happens meanwhile.
    mount_stop
    mount_start -o lease=60
    python3 - "$T/many/columns" "$ROOT/tests/e2e" <<'PYTHON'
import subprocess, sys
sys.path.insert(0, sys.argv[2])
from columns import npy
rows = npy(sys.argv[1] + "/id.npy")[1][0]
subprocess.check_call(["psql", "-X", "-q", "-c", "DELETE FROM many WHERE id < 100 AND id > 0"])
assert npy(sys.argv[1] + "/v.npy")[1] == (rows, 64)
assert npy(sys.argv[1] + "/v.null.npy")[1] == (rows,)
PYTHON
    mount_stop
    mount_start -o lease=0
}

@test "files stay the same over a remount, and change with a row" {
    local files=("$T/many/columns/v.npy" "$T/many/columns/id.npy" "$T/many/columns/id.null.npy" "$T/many/columns/v.fvecs")
    identity "${files[@]}" >"$OUT/before"
    sha256sum "${files[@]}" >"$OUT/bytes"
    identity "${files[@]}" >"$OUT/after"
    diff "$OUT/before" "$OUT/after"
    mount_stop
    mount_start -o lease=0
    sha256sum "${files[@]}" | diff - "$OUT/bytes"
    identity "${files[@]}" >"$OUT/after"
    diff "$OUT/before" "$OUT/after"
    [ "$(cut -d' ' -f2 "$OUT/after" | sort -u | wc -l)" -eq 4 ]
    rsync -a "$T/many/columns/" "$OUT/copy/"
    run rsync -a --itemize-changes "$T/many/columns/" "$OUT/copy/"
    [ -z "$output" ]
    psql -X -q -c "UPDATE many SET v = array_fill(7::float4, ARRAY[64])::vector WHERE id = 500"
    identity "${files[@]}" >"$OUT/after"
    [ "$(comm -12 <(cut -d' ' -f2 "$OUT/before" | sort) <(cut -d' ' -f2 "$OUT/after" | sort) | wc -l)" -eq 0 ]
    compare many "json_build_object('id', id, 'v', v::text::json)"
}

@test "a CSR matrix of many row groups" {
    compare sparse "json_build_object('s', s::text)"
    # Any range of it is the same as that of the whole.
    cp "$T/sparse/columns/s.indptr.npy" "$OUT/whole"
    python3 - "$T/sparse/columns/s.indptr.npy" "$OUT/whole" <<'PYTHON'
import os, sys
whole, file = open(sys.argv[2], "rb").read(), os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT if hasattr(os, "O_DIRECT") else os.O_RDONLY)
for offset in list(range(0, len(whole), 10007)) + [len(whole) - 3]:
    for size in (1, 7, 8, 4099):
        assert os.pread(file, size, offset) == whole[offset:offset + size], (offset, size)
PYTHON
}

@test "the first open of a file waits for its size" {
    psql -X -q -c "CREATE TABLE waits AS SELECT * FROM many"
    python3 - "$T/waits/columns/v.npy" <<'PYTHON'
import mmap, os, sys
file = os.open(sys.argv[1], os.O_RDONLY) # no stat before
whole = mmap.mmap(file, 0, access=mmap.ACCESS_READ)
assert whole[:6] == b"\x93NUMPY" and len(whole) == os.fstat(file).st_size
PYTHON
}

@test "numpy maps them" {
    has_numpy
    "$NUMPY" - "$T" <<'PYTHON'
import sys
import numpy as np
many, kinds, sparse = (sys.argv[1] + "/%s/columns/" % t for t in ("many", "kinds", "sparse"))
v, ids = np.load(many + "v.npy", mmap_mode="r"), np.load(many + "id.npy", mmap_mode="r")
assert v.dtype == np.float32 and v.shape == (len(ids), 64) and isinstance(v, np.memmap)
assert ids.dtype == np.int32 and (v.flags["ALIGNED"] and v.offset % 64 == 0)
pick = np.abs(ids) > 600
assert (v[pick, 5] == np.abs(ids[pick])).all()
f = np.fromfile(many + "v.fvecs", dtype="<i4").reshape(-1, 65)
assert (f[:, 0] == 64).all() and (f[:, 1:].copy().view(np.float32) == v).all()
d, mask = np.load(kinds + "d.npy"), np.load(kinds + "d.null.npy")
assert d.dtype == np.dtype("M8[D]") and d[0] == np.datetime64("1996-03-02") and mask.dtype == np.bool_ and mask.sum() == 10
assert np.load(kinds + "ts.npy")[0] == np.datetime64("1970-01-01T17:00:00.000000")
assert np.load(kinds + "h.npy").dtype == np.float16
bits = np.unpackbits(np.load(kinds + "bits.npy"), axis=1)[:, :11]
assert "".join(map(str, bits[4])) == format(5, "011b")
indptr, indices, data = (np.load(sparse + "s.%s.npy" % f) for f in ("indptr", "indices", "data"))
assert (np.diff(indptr) == 2).sum() + (np.diff(indptr) == 1).sum() == len(indptr) - 1
assert indices.max() == 999 and data.shape == indices.shape
PYTHON
}

@test "the cache may be taken away" {
    compare kinds "json_build_object('i4', i4, 's', s::text)"
    find "$CACHE" -name '*.rows' -delete
    echo 3 >/proc/sys/vm/drop_caches 2>/dev/null || true
    compare kinds "json_build_object('i8', i8, 'b', b, 's', s::text)"
}
