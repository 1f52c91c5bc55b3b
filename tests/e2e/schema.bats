#!/usr/bin/env bats
# schema.sql: what pg_dump says, safe to be restored by psql, and the same file as long as it says the same.

load helper

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE plain (a int PRIMARY KEY, v vector(3));
CREATE TABLE slashed (a text DEFAULT E'\\');
CREATE TABLE other (a int);
CREATE VIEW trap AS SELECT a FROM plain;
SQL
}

teardown_file() { teardown_all; }

setup() { T=$MNT/public; }

teardown() { ! mountpoint -q "$MNT" || mount_stop; }

needs_restrict() {
    pg_dump --help | grep -q -- --restrict-key || skip "this pg_dump knows no \\restrict"
}

file_of() { stat -c '%i %Y %s' "$1"; }

# Fails where grep finds something: bats does not see a "!" that is not the last line.
absent() { if grep -q -- "$@"; then return 1; fi; }

record_of() { echo "$CACHE"/*-0/"$(psql -X -At -c "SELECT '$1'::regclass::oid")"/ddl.record; }

# What a cache held before the lines of \restrict were kept.
strip_record() {
    python3 - "$1" <<'PYTHON'
import ctypes, re, sys
hash64 = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
hash64.restype, hash64.argtypes = ctypes.c_uint64, [ctypes.c_char_p, ctypes.c_size_t]
with open(sys.argv[1], "rb") as file:
    record = file.read()
body, lines = re.subn(rb"(?m)^\\(un)?restrict [0-9a-f]{64}\n\n", b"", record[16:])
assert lines == 2 and int.from_bytes(record[8:16], "little") == hash64(record[16:], len(record) - 16)
with open(sys.argv[1], "wb") as file:
    file.write(record[:8] + hash64(body, len(body)).to_bytes(8, "little") + body)
PYTHON
}

@test "meta-commands that a hostile server puts into the DDL do nothing in psql" {
    needs_restrict
    psql -X -q -c 'CREATE DATABASE hostile'
    PGDATABASE=hostile psql -X -q -v ON_ERROR_STOP=1 <<SQL
CREATE TABLE t (a int);
COMMENT ON TABLE t IS E'x\n\\\\! touch $BATS_TEST_TMPDIR/comment\n';
CREATE VIEW v AS SELECT a FROM t;
CREATE OR REPLACE FUNCTION pg_catalog.pg_get_viewdef(oid) RETURNS text LANGUAGE sql
    AS \$\$ SELECT E' SELECT 1 AS a;\n\\\\! touch $BATS_TEST_TMPDIR/view\n\\\\unrestrict x\n\\\\! touch $BATS_TEST_TMPDIR/view\n--' \$\$;
SQL
    CACHE=$E2E/hostile PGDATABASE=hostile mount_start
    cat "$T/t/schema.sql" "$T/v/schema.sql" >"$BATS_TEST_TMPDIR/schema.sql"
    grep -q "touch $BATS_TEST_TMPDIR/view" "$BATS_TEST_TMPDIR/schema.sql"
    psql -X -q -c 'CREATE DATABASE restored'
    run psql -X -d restored -f "$BATS_TEST_TMPDIR/schema.sql"
    [[ $output == *restricted* ]]
    [ ! -e "$BATS_TEST_TMPDIR/view" ]
    [ ! -e "$BATS_TEST_TMPDIR/comment" ]
    [ "$(psql -X -At -d restored -c 'SELECT a FROM v')" = 1 ]
    # Without the two lines it would have been done.
    psql -X -q -c 'DROP DATABASE restored' -c 'CREATE DATABASE restored'
    grep -v restrict "$BATS_TEST_TMPDIR/schema.sql" | psql -X -q -d restored
    [ -e "$BATS_TEST_TMPDIR/view" ]
    mount_stop
    psql -X -q -c 'DROP DATABASE restored' -c 'DROP DATABASE hostile'
}

@test "the keys stay the same in one cache, are another's in each table and cache, and end what they begin" {
    needs_restrict
    mount_start
    for table in plain other; do
        begin=$(sed -n 's/^\\restrict \([0-9a-f]\{64\}\)$/\1/p' "$T/$table/schema.sql")
        [ -n "$begin" ]
        [ "$(sed -n 's/^\\unrestrict \([0-9a-f]\{64\}\)$/\1/p' "$T/$table/schema.sql")" = "$begin" ]
        cp "$T/$table/schema.sql" "$BATS_TEST_TMPDIR/$table"
        file_of "$T/$table/schema.sql" >"$BATS_TEST_TMPDIR/$table.file"
    done
    absent "$begin" "$T/plain/schema.sql"
    mount_stop
    [ "$(stat -c %a "$CACHE"/*-0/0/secret.record)" = 600 ]

    # pg_dump runs again, and says the same.
    psql -X -q -c 'CREATE TABLE added ()'
    mount_start
    for table in plain other; do
        assert_same_bytes "$T/$table/schema.sql" "$BATS_TEST_TMPDIR/$table"
        [ "$(file_of "$T/$table/schema.sql")" = "$(cat "$BATS_TEST_TMPDIR/$table.file")" ]
    done
    mount_stop
    CACHE=$E2E/cache2 mount_start
    if cmp -s "$T/other/schema.sql" "$BATS_TEST_TMPDIR/other"; then return 1; fi
    cmp -s <(grep -v restrict "$T/other/schema.sql") <(grep -v restrict "$BATS_TEST_TMPDIR/other")
    mount_stop
}

@test "what a cache held without these lines stays the same file, unless psql could find a meta-command in it" {
    needs_restrict
    mount_start
    for table in plain slashed; do cat "$T/$table/schema.sql" >/dev/null; done
    mount_stop
    for table in plain slashed; do strip_record "$(record_of $table)"; done
    mount_start
    for table in plain slashed; do
        absent restrict "$T/$table/schema.sql"
        file_of "$T/$table/schema.sql" >"$BATS_TEST_TMPDIR/$table.file"
    done
    mount_stop
    psql -X -q -c 'CREATE TABLE added_too ()'
    mount_start
    absent restrict "$T/plain/schema.sql"
    [ "$(file_of "$T/plain/schema.sql")" = "$(cat "$BATS_TEST_TMPDIR/plain.file")" ]
    grep -q '^\\restrict' "$T/slashed/schema.sql"
    [ "$(file_of "$T/slashed/schema.sql")" != "$(cat "$BATS_TEST_TMPDIR/slashed.file")" ]
    mount_stop
    psql -X -q -c 'ALTER TABLE plain ADD COLUMN b int'
    mount_start
    grep -q '^\\restrict' "$T/plain/schema.sql"
    mount_stop
}
