#!/usr/bin/env bats
# TABLE/parts/FORMAT/: the rows in pieces, each loadable by itself.

load helper

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE big (id int, note text, v vector(3));
INSERT INTO big SELECT i, CASE WHEN i % 50 = 0 THEN E'"a",\r\nline\n\n' || i ELSE 'n' END || repeat(md5(i::text), 30), ARRAY[i, 0.5, -1]::vector
    FROM generate_series(1, 40000) i;
CREATE TABLE parted (id int, pad text) PARTITION BY RANGE (id);
CREATE TABLE parted_a PARTITION OF parted FOR VALUES FROM (0) TO (10000);
CREATE TABLE parted_b PARTITION OF parted FOR VALUES FROM (10000) TO (15000);
CREATE TABLE parted_c PARTITION OF parted FOR VALUES FROM (15000) TO (20000);
CREATE TABLE parted_d PARTITION OF parted FOR VALUES FROM (20000) TO (30000);
INSERT INTO parted SELECT i, repeat(md5(i::text), 30) FROM generate_series(0, 29999) i WHERE i NOT BETWEEN 10000 AND 14999;
CREATE VIEW seen AS SELECT id, note FROM big WHERE id <= 20000 ORDER BY id;
CREATE TABLE empty (id int, "a ""b"" c" text);
CREATE TABLE small (id int, t text);
INSERT INTO small VALUES (1, 'x'), (2, E'two\nlines');
CREATE TABLE partly (id int, acl aclitem);
INSERT INTO partly VALUES (1, 'postgres=r/postgres');
SQL
    mount_start -o lease=0,part_size=6M
    T=$MNT/public
    export T
}

teardown_file() { teardown_all; }

setup() {
    OUT=$E2E/out/$BATS_TEST_NUMBER
    mkdir -p "$OUT"
}

teardown() { [ -n "${E2E_KEEP:-}" ] || rm -rf "$OUT"; }

identity() { (cd "$1" && stat -c '%n %i %Y %s' -- *); }

# What the pieces of relation $1 hold, one behind another, without the heads and tails of all but the whole.
joined() {
    local format=$2 piece head=''
    case $format in
        jsonl) cat "$T/$1/parts/$format"/* ;;
        bin)
            head -c 19 "$T/$1/$1.bin"
            for piece in "$T/$1/parts/$format"/*; do tail -c +20 "$piece" | head -c -2; done
            printf '\377\377'
            ;;
        *)
            for piece in "$T/$1/parts/$format"/*; do
                if [ -z "$head" ]; then cat "$piece"; else tail -n +2 "$piece"; fi
                head=yes
            done
            ;;
    esac
}

assert_joined() {
    local format
    for format in csv tsv bin jsonl; do
        joined "$1" $format >"$OUT/joined"
        assert_same_bytes "$OUT/joined" "$T/$1/$1.$format" || return
    done
}

# How many lines of the first file are not in the second.
missing() { sort "$1" >"$OUT/a"; sort "$2" >"$OUT/b"; comm -23 "$OUT/a" "$OUT/b" | wc -l; }

names_of() { (cd "$T/$1/parts/$2" && printf '%s\n' *); }

pieces_of() { find "$T/$1/parts/$2" -type f | wc -l; }

@test "the pieces are the whole file, in the order of their names" {
    assert_joined big
    [ "$(pieces_of big csv)" -ge 4 ]
    run ls "$T/big/parts/csv"
    [ "${lines[0]}" = 00-00000000.csv ]
    for name in "${lines[@]}"; do [[ $name =~ ^00-[0-9a-f]{8}\.csv$ ]]; done
    # All formats have the same pieces.
    names_of big csv | sed 's/csv$//' >"$OUT/csv"
    names_of big bin | sed 's/bin$//' | diff "$OUT/csv" -
}

@test "a piece has an exact size, and its head" {
    local piece
    for piece in "$T"/big/parts/csv/* "$T"/big/parts/bin/* "$T"/big/parts/jsonl/*; do
        [ "$(stat -c %s "$piece")" -eq "$(wc -c <"$piece")" ]
        [ "$(stat -c %s "$piece")" -lt $((2 * 12 << 20)) ]
    done
    for piece in "$T"/big/parts/csv/*; do [ "$(head -n 1 "$piece")" = id,note,v ]; done
    # By itself a piece is a file without a stat before.
    piece=$(find "$T/big/parts/tsv" -type f | sed -n 2p)
    cat "$piece" >"$OUT/cat"
    [ "$(stat -c %s "$piece")" -eq "$(stat -c %s "$OUT/cat")" ]
}

@test "each piece loads by itself, and all of them at once" {
    psql -X -q -c "CREATE TABLE loaded (LIKE big); CREATE TABLE loaded_bin (LIKE big)"
    find "$T/big/parts/csv" -type f -print0 | xargs -0 -P 4 -I {} psql -X -q -v ON_ERROR_STOP=1 -c "\\copy loaded FROM '{}' (FORMAT csv, HEADER)"
    find "$T/big/parts/bin" -type f -print0 | xargs -0 -P 4 -I {} psql -X -q -v ON_ERROR_STOP=1 -c "\\copy loaded_bin FROM '{}' (FORMAT binary)"
    for table in loaded loaded_bin; do
        [ "$(psql -X -At -c "SELECT count(*) FROM $table")" -eq 40000 ]
        [ "$(psql -X -At -c "SELECT count(*) FROM (SELECT id, note, v::text FROM big EXCEPT ALL SELECT id, note, v::text FROM $table) x")" -eq 0 ]
    done
    psql -X -q -c "DROP TABLE loaded, loaded_bin"
}

@test "what has not changed keeps name, inode, times, size and bytes, also after a remount" {
    local format before
    psql -X -q -c "CREATE TABLE edited AS SELECT * FROM big ORDER BY id"
    for format in csv bin; do
        identity "$T/edited/parts/$format" >"$OUT/$format.before"
        (cd "$T/edited/parts/$format" && md5sum -- *) >"$OUT/$format.sums"
    done
    before=$(wc -l <"$OUT/csv.before")
    [ "$before" -ge 4 ]
    psql -X -q -c "UPDATE edited SET note = 'other' WHERE id = 1; DELETE FROM edited WHERE id = 2"
    psql -X -q -c "INSERT INTO edited VALUES (-1, 'new', NULL)"
    for format in csv bin; do
        identity "$T/edited/parts/$format" >"$OUT/$format.after"
        (cd "$T/edited/parts/$format" && md5sum -- *) >"$OUT/$format.sums.after"
        echo "$format: $(missing "$OUT/$format.before" "$OUT/$format.after") of $before changed"
        [ "$(missing "$OUT/$format.before" "$OUT/$format.after")" -ge 1 ] # at the front, or where the new versions are
        [ "$(missing "$OUT/$format.before" "$OUT/$format.after")" -le 3 ]
        # If the bytes differ so do inode and time, and the time is later.
        join <(sort "$OUT/$format.before") <(sort "$OUT/$format.after") | while read -r name ino time size now_ino now_time now_size; do
            if diff <(grep " $name$" "$OUT/$format.sums") <(grep " $name$" "$OUT/$format.sums.after") >/dev/null; then
                [ "$ino $time $size" = "$now_ino $now_time $now_size" ]
            else
                [ "$ino" != "$now_ino" ] && [ "$now_time" -gt "$time" ]
            fi
        done
    done
    mount_stop
    mount_start -o lease=0,part_size=6M
    for format in csv bin; do
        identity "$T/edited/parts/$format" >"$OUT/again"
        diff "$OUT/$format.after" "$OUT/again"
        (cd "$T/edited/parts/$format" && md5sum -- *) | diff "$OUT/$format.sums.after" -
    done
    # Rows that go at the end of the table are missed there.
    psql -X -q -c "DELETE FROM edited WHERE id > 39000"
    identity "$T/edited/parts/csv" >"$OUT/shorter"
    [ "$(missing "$OUT/csv.after" "$OUT/shorter")" -ge 1 ]
    joined edited csv >"$OUT/joined"
    assert_same_bytes "$OUT/joined" "$T/edited/edited.csv"
    psql -X -q -c "DROP TABLE edited"
}

@test "a second rsync moves nothing, also after a remount; after a change it moves what has changed" {
    psql -X -q -c "CREATE TABLE copied AS SELECT * FROM big ORDER BY id"
    rsync -a "$T/copied/parts/" "$OUT/copy/"
    [ -s "$OUT/copy/csv/00-00000000.csv" ]
    run rsync -ai "$T/copied/parts/" "$OUT/copy/"
    [ "$output" = "" ]
    mount_stop
    mount_start -o lease=0,part_size=6M
    run rsync -ai "$T/copied/parts/" "$OUT/copy/"
    [ "$output" = "" ]
    psql -X -q -c "UPDATE copied SET note = 'changed' WHERE id = 20000"
    run rsync -ai --delete "$T/copied/parts/csv/" "$OUT/copy/csv/"
    echo "$output"
    [ "$(grep -c '^>f' <<<"$output")" -ge 1 ]
    [ "$(grep -c '^>f' <<<"$output")" -le 4 ]
    joined copied csv >"$OUT/joined"
    for piece in "$OUT/copy/csv"/*; do if [ -n "${head:-}" ]; then tail -n +2 "$piece"; else cat "$piece"; fi; head=yes; done >"$OUT/of_copy"
    assert_same_bytes "$OUT/of_copy" "$OUT/joined"
    psql -X -q -c "DROP TABLE copied"
}

@test "of a partitioned table no piece has rows of two partitions" {
    assert_joined parted
    names_of parted csv >"$OUT/names"
    cut -d - -f 1 "$OUT/names" | sort -u >"$OUT/sources"
    printf '%s\n' 00 02 03 | diff - "$OUT/sources" # the second has no rows
    (cd "$T/parted/parts/csv" && printf '%s\n' *) | LC_ALL=C sort -c
    cp "$T"/parted/parts/csv/02-00000000.csv "$OUT/second"
    [ "$(tail -n +2 "$OUT/second" | head -n 1 | cut -d , -f 1)" = 15000 ]
    # A partition has pieces of its own.
    cmp <(head -c 100 "$T/parted/partitions/parted_c/parts/csv/00-00000000.csv") <(head -c 100 "$OUT/second")
    identity "$T/parted/parts/csv" >"$OUT/before"
    psql -X -q -c "UPDATE parted SET pad = 'x' WHERE id = 15000"
    identity "$T/parted/parts/csv" >"$OUT/after"
    # The others' files stay.
    diff <(grep -v '^02' "$OUT/before") <(grep -v '^02' "$OUT/after")
    run diff "$OUT/before" "$OUT/after"
    [ "$status" -eq 1 ]
}

@test "of a view the leading pieces stay" {
    assert_joined seen
    [ "$(pieces_of seen csv)" -ge 3 ]
    [ "$(names_of seen csv | sed -n 2p)" = 00-00000001.csv ]
    identity "$T/seen/parts/csv" >"$OUT/before"
    psql -X -q -c "UPDATE big SET note = 'shorter' WHERE id = 20000"
    identity "$T/seen/parts/csv" >"$OUT/after"
    diff <(head -n 2 "$OUT/before") <(head -n 2 "$OUT/after")
    run diff "$OUT/before" "$OUT/after"
    [ "$status" -eq 1 ]
    assert_joined seen
}

@test "an empty table has no pieces, a small one has one" {
    [ -z "$(ls "$T/empty/parts/csv")" ]
    run stat "$T/empty/parts/csv/00-00000000.csv"
    [[ $output == *"No such file"* ]]
    [ "$(ls "$T/small/parts/csv")" = 00-00000000.csv ]
    cmp "$T/small/parts/csv/00-00000000.csv" "$T/small/small.csv"
    psql -X -q -c "INSERT INTO empty VALUES (1, 'x')"
    printf 'id,"a ""b"" c"\n1,x\n' | cmp - "$T/empty/parts/csv/00-00000000.csv"
    psql -X -q -c "TRUNCATE empty"
    [ -z "$(ls "$T/empty/parts/csv")" ]
}

@test "only what is a piece's name is there" {
    local name
    for name in 00-00000001.csv 01-00000000.csv 00-0000000.csv 00-00000000.bin 00-00000000 x.csv 000-00000000.csv 00-ffffffff.csv; do
        run stat "$T/small/parts/csv/$name"
        [[ $output == *"No such file"* ]] || { echo "$name: $output"; false; }
    done
    run stat "$T/small/parts/xml"
    [[ $output == *"No such file"* ]]
    run touch "$T/small/parts/csv/new"
    [[ $output == *"Read-only"* ]]
    run ls "$T/small"
    [[ $output != *parts* ]]
    run ls "$T/small/parts"
    [ "$output" = $'bin\ncsv\njsonl' ]
}

@test "a format that the server refuses has no pieces" {
    [ "$(ls "$T/partly/parts/csv")" = 00-00000000.csv ]
    [ -z "$(ls "$T/partly/parts/bin")" ]
    run cat "$T/partly/parts/bin/00-00000000.bin"
    [ "$status" -ne 0 ]
    cmp "$T/partly/parts/csv/00-00000000.csv" "$T/partly/partly.csv"
}

@test "a piece that is open keeps its bytes while the table changes" {
    local piece
    psql -X -q -c "CREATE TABLE held AS SELECT * FROM big WHERE id <= 12000 ORDER BY id"
    piece=$T/held/parts/csv/00-00000000.csv
    cat "$piece" >"$OUT/before"
    exec 8<"$piece"
    head -c 1000 <&8 >"$OUT/got"
    psql -X -q -c "UPDATE held SET note = 'x' || id"
    [ "$(stat -c %s "$piece")" -ne "$(stat -c %s "$OUT/before")" ]
    cat <&8 >>"$OUT/got"
    [ "$(stat -L -c %s /dev/fd/8)" -eq "$(stat -c %s "$OUT/before")" ]
    exec 8<&-
    assert_same_bytes "$OUT/got" "$OUT/before"
    joined held csv >"$OUT/joined"
    assert_same_bytes "$OUT/joined" "$T/held/held.csv"
    psql -X -q -c "DROP TABLE held"
    run ls "$T/held/parts/csv"
    [ "$status" -ne 0 ]
}

@test "the cache may be taken away" {
    assert_joined big
    find "$CACHE" -name '*.rows' -delete
    assert_joined big
}

@test "pieces of any size; they are listed if that is asked for" {
    local size count last=1000
    mount_stop
    for size in 1 999 5000001 10M 1T; do
        mount_start -o lease=0,list=parts,part_size=$size
        assert_joined big
        count=$(pieces_of big csv)
        echo "part_size=$size: $count pieces"
        [ "$count" -le "$last" ]
        last=$count
        mount_stop
    done
    [ "$last" -eq 1 ]
    mount_start -o lease=0,list=parts,formats=csv+tsv
    [ -n "$(find "$T/big" -mindepth 1 -maxdepth 1 -name parts)" ]
    [ "$(ls "$T/big/parts")" = $'csv\ntsv' ]
    cp -r "$T/small" "$OUT/copy"
    cmp "$OUT/copy/parts/tsv/00-00000000.tsv" "$T/small/small.tsv"
    mount_stop
    run mount_start -o part_size=0
    [ "$status" -ne 0 ]
    [[ $output == *part_size* ]]
    run mount_start -o part_size=many
    [ "$status" -ne 0 ]
    mount_start -o lease=0,part_size=6M
}

@test "reads of pieces while the table is written to are whole" {
    local i
    psql -X -q -c "CREATE TABLE busy AS SELECT id, repeat(md5(id::text), 30) AS note FROM generate_series(1, 12000) id"
    (for i in $(seq 1 15); do psql -X -q -c "UPDATE busy SET note = note || '' WHERE id % 3000 = $i"; done) 3>&- &
    for i in $(seq 1 8); do
        for piece in "$T"/busy/parts/jsonl/*; do
            if cat "$piece" >"$OUT/got" 2>"$OUT/why"; then
                python3 -c 'import json, sys; [json.loads(line) for line in open(sys.argv[1])]' "$OUT/got"
            else
                grep -q 'No such file' "$OUT/why"
            fi
        done
    done
    wait
    joined busy jsonl >"$OUT/joined"
    assert_same_bytes "$OUT/joined" "$T/busy/busy.jsonl"
}
