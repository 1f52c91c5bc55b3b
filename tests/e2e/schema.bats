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

# What a test that fails has left.
teardown() {
    lock_stop
    pooler_stop
    if mountpoint -q "$MNT"; then
        mount_stop || fusermount3 -uz "$MNT"
    fi
}

needs_restrict() {
    pg_dump --help | grep -q -- --restrict-key || skip "this pg_dump knows no \\restrict"
}

file_of() { stat -c '%i %Y %s' "$1"; }

# Fails where grep finds something: bats does not see a "!" that is not the last line.
absent() { if grep -q -- "$@"; then return 1; fi; }

record_of() { echo "$CACHE"/*-0/"$(psql -X -At -c "SELECT '$1'::regclass::oid")"/ddl.record; }

# Changes the text of a record, of file $1, by the Python in $2, which makes a new `body` of the old one.
change_record() {
    python3 - "$1" "$2" <<'PYTHON'
import ctypes, re, sys
hash64 = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
hash64.restype, hash64.argtypes = ctypes.c_uint64, [ctypes.c_char_p, ctypes.c_size_t]
with open(sys.argv[1], "rb") as file:
    record = file.read()
body = record[16:]
assert int.from_bytes(record[8:16], "little") == hash64(body, len(body))
exec(sys.argv[2])
with open(sys.argv[1], "wb") as file:
    file.write(record[:8] + hash64(body, len(body)).to_bytes(8, "little") + body)
PYTHON
}

# What a cache held before the lines of \restrict were kept.
strip_record() {
    change_record "$1" '
body, lines = re.subn(rb"(?m)^\\(un)?restrict [0-9a-f]{64}\n\n", b"", body)
assert lines == 2'
}

# What a cache of the future of this very run would hold: another text, proven at a later position.
forge_record() {
    change_record "$1" '
body, positions = re.subn(rb"(?<= )([0-9:]+)@([0-9]+)", lambda m: m[1] + b"@" + b"9" * len(m[2]), body)
body, texts = re.subn(rb"a integer NOT NULL", b"b integer NOT NULL", body)
assert (positions, texts) == (1, 1)'
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

# ---- who may have it ----

# DDL of which no catalog of tables knows.
says() { [ "$(grep -c -- "$2" "$T/$1/schema.sql")" = 1 ]; }

@test "what pg_dump prints of other catalogs is followed: a text search configuration, an index that depends on an extension" {
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TEXT SEARCH CONFIGURATION public.first (COPY = simple);
CREATE TEXT SEARCH DICTIONARY public.words (TEMPLATE = simple);
CREATE TABLE searched (t text, s tsvector GENERATED ALWAYS AS (to_tsvector('public.first', t)) STORED);
CREATE INDEX searched_t ON searched (t);
CREATE VIEW named AS SELECT 'public.words'::regdictionary AS d;
SQL
    mount_start -o lease=0
    says searched "'public.first'"
    says named "'public.words'"
    absent 'DEPENDS ON EXTENSION' "$T/searched/schema.sql"
    psql -X -q -c 'ALTER TEXT SEARCH CONFIGURATION public.first RENAME TO second'
    says searched "'public.second'"
    psql -X -q -c 'ALTER TEXT SEARCH DICTIONARY public.words RENAME TO others'
    says named "'public.others'"
    psql -X -q -c 'ALTER INDEX searched_t DEPENDS ON EXTENSION vector'
    says searched 'DEPENDS ON EXTENSION'
    mount_stop
}

@test "each catalog is one that tells of DDL, or is known to say nothing of what pg_dump prints of a relation" {
    # Of roles the names are looked at; the others are of databases, of objects that no name in a relation's DDL leads to, or
    # of numbers that are no DDL.
    local others=' pg_authid pg_auth_members pg_database pg_db_role_setting pg_shdepend pg_shdescription pg_shseclabel
        pg_parameter_acl pg_replication_origin pg_subscription pg_subscription_rel pg_aggregate pg_amop pg_amproc pg_cast
        pg_conversion pg_event_trigger pg_language pg_transform pg_ts_config_map pg_ts_parser pg_ts_template pg_user_mapping
        pg_largeobject pg_largeobject_metadata pg_statistic pg_statistic_ext_data '
    for catalog in $(psql -X -At -c "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'pg_catalog'::regnamespace"); do
        [[ $others == *[[:space:]]$catalog[[:space:]]* ]] || grep -q "\"$catalog\"" "$ROOT/pgclient/ddl_signature.c" ||
            { echo "of $catalog nothing is known"; false; }
    done
}

@test "the record of another table in its place is not believed" {
    psql -X -q -c 'CREATE TABLE one (a int); CREATE TABLE two (b int)'
    mount_start -o lease=0
    grep -q 'TABLE public.one' "$MNT/public/one/schema.sql"
    grep -q 'TABLE public.two' "$MNT/public/two/schema.sql"
    mount_stop
    local one two
    one=$(record_of one) two=$(record_of two)
    mv "$one" "$E2E/record"
    mv "$two" "$one"
    mv "$E2E/record" "$two"
    mount_start -o lease=0
    grep -q 'TABLE public.one' "$MNT/public/one/schema.sql"
    grep -q 'TABLE public.two' "$MNT/public/two/schema.sql"
    mount_stop
    psql -X -q -c 'DROP TABLE one, two'
}

@test "a server whose WAL has gone back is asked again for its DDL" {
    mount_start
    cat "$T/plain/schema.sql" >"$BATS_TEST_TMPDIR/plain"
    mount_stop
    forge_record "$(record_of plain)"
    mount_start
    assert_same_bytes "$T/plain/schema.sql" "$BATS_TEST_TMPDIR/plain"
    mount_stop
}

@test "privileges on columns alone do not list schema.sql, and a copy of the tree works" {
    psql -X -q -c 'CREATE ROLE columnist LOGIN' -c 'GRANT SELECT (a) ON other TO columnist' -c 'GRANT SELECT ON trap TO columnist'
    PGUSER=columnist mount_start
    [ "$(ls "$T/other")" = $'manifest.json\nother.bin\nother.csv\nother.jsonl' ]
    [[ $(ls "$T/trap") == *schema.sql* ]]
    cp -r "$MNT" "$BATS_TEST_TMPDIR/copy"
    run cat "$T/other/schema.sql"
    [[ $output == *"Permission denied"* ]]
    [[ $(getfattr -n user.pgvecfs.error --only-values "$T/other") == *"privilege on the whole"*"permission denied"* ]]
    psql -X -q -c 'GRANT SELECT ON other TO columnist'
    within 10 lists_schema other
    grep -q 'CREATE TABLE public.other' "$T/other/schema.sql"
    mount_stop
    psql -X -q -c 'DROP OWNED BY columnist' -c 'DROP ROLE columnist'
}

lists_schema() { [[ $(ls "$T/$1") == *schema.sql* ]]; }

# ---- connections ----

# The most backends of role $1 that there were at once while go is there; one that has been left may be seen a moment longer.
count_backends() {
    local most=0 n
    while [ -e "$BATS_TEST_TMPDIR/go" ]; do
        n=$(psql -X -At -c "SELECT count(*) FROM pg_stat_activity WHERE usename = '$1'") && [ "$n" -le "$most" ] || most=$n
    done
    echo "$most" >"$BATS_TEST_TMPDIR/most"
}

read_many() {
    local pids=() pid i
    for i in 1 2 3 4 5 6 7 8 9 10; do
        timeout 120 grep -q "CREATE TABLE public.many$i " "$T/many$i/schema.sql" 3>&- &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid"; done
}

@test "pg_dump is one of the connections, and gets on with one or two of them" {
    psql -X -q -c "CREATE ROLE counted LOGIN" -c "CREATE ROLE single LOGIN CONNECTION LIMIT 1"
    for i in 1 2 3 4 5 6 7 8 9 10; do psql -X -q -c "CREATE TABLE many$i (a int)" -c "GRANT SELECT ON many$i TO counted, single"; done
    for limit in 1 2 4; do
        touch "$BATS_TEST_TMPDIR/go"
        CACHE=$E2E/limit$limit PGUSER=counted mount_start -o connections=$limit
        count_backends counted 3>&- &
        counter=$!
        read_many
        rm "$BATS_TEST_TMPDIR/go"
        wait $counter
        mount_stop
        [ "$(cat "$BATS_TEST_TMPDIR/most")" -le $((limit + 1)) ]
    done
    CACHE=$E2E/limit_direct PGUSER=counted mount_start -o "connections=1,direct=host=$PGHOST port=$PGPORT user=counted dbname=test"
    read_many
    mount_stop
    PGUSER=single mount_start
    read_many
    mount_stop
    psql -X -q -c "DROP OWNED BY counted, single" -c "DROP ROLE counted, single"
}

# ---- locks ----

@test "the schema.sql of a locked table waits, with nobody else, and comes when the lock goes" {
    psql -X -q -c 'ALTER TABLE other ADD COLUMN b int'
    mount_start -o connections=1
    lock_start other
    cat "$T/other/schema.sql" >"$BATS_TEST_TMPDIR/locked" 3>&- &
    waiter=$!
    timeout 20 cat "$T/plain/schema.sql" "$T/slashed/slashed.csv" >/dev/null
    [ ! -s "$BATS_TEST_TMPDIR/locked" ]
    within 20 status_names_locker
    # It does not stand in the queue, either: who comes behind it would wait for the one before.
    within 5 queue_is_seen_empty
    lock_stop
    wait $waiter
    grep -q 'CREATE TABLE public.other' "$BATS_TEST_TMPDIR/locked"
    mount_stop
}

status_names_locker() {
    grep -q '"what": "schema.sql".*"waits_for": {"relation": "public.other", "pid": [0-9]*, "application": "locker"' "$MNT/.pgvecfs/status.json"
}

queue_is_seen_empty() {
    [ "$(psql -X -At -c "SELECT count(*) FROM pg_locks WHERE NOT granted")" = 0 ]
}

@test "lock_wait gives up the wait for a locked table's schema.sql" {
    psql -X -q -c 'ALTER TABLE other ADD COLUMN c int'
    mount_start -o lock_wait=1
    lock_start other
    run timeout 60 cat "$T/other/schema.sql"
    [[ $output == *"Device or resource busy"* ]]
    [[ $(getfattr -n user.pgvecfs.error --only-values "$T/other") == *"public.other is locked by pid "*" (locker)"* ]]
    lock_stop
    grep -q 'CREATE TABLE public.other' "$T/other/schema.sql"
    mount_stop
}

@test "a pg_dump that hangs for one lock lets go of the others that somebody wants" {
    psql -X -q -c 'CREATE TABLE one (a int)' -c 'CREATE TABLE two (a int)' \
        -c 'CREATE VIEW both_of_them AS SELECT one.a FROM one JOIN two USING (a)'
    mount_start
    lock_start two
    cat "$T/both_of_them/schema.sql" >"$BATS_TEST_TMPDIR/both" 3>&- &
    waiter=$!
    within 20 waits_for_two
    timeout 20 psql -X -q -c 'ALTER TABLE one ADD COLUMN b int'
    lock_stop
    wait $waiter
    grep -q 'CREATE VIEW public.both_of_them' "$BATS_TEST_TMPDIR/both"
    mount_stop
}

waits_for_two() {
    [ "$(psql -X -At -c "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'two'::regclass")" = 1 ]
}

@test "a pg_dump that always holds what somebody wants is given up after five times" {
    psql -X -q -c 'CREATE DATABASE slow'
    PGDATABASE=slow psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE t (a int);
CREATE VIEW v AS SELECT a FROM t;
CREATE FUNCTION slowly() RETURNS text LANGUAGE plpgsql
    AS $$ BEGIN LOCK TABLE public.t IN ACCESS SHARE MODE; PERFORM pg_sleep(600); RETURN ''; END $$;
-- The server has its own function at hand, but puts what one of SQL says into the statement.
CREATE OR REPLACE FUNCTION pg_catalog.pg_get_viewdef(oid) RETURNS text LANGUAGE sql AS 'SELECT public.slowly()';
SQL
    CACHE=$E2E/slow PGDATABASE=slow mount_start
    (while [ ! -e "$BATS_TEST_TMPDIR/enough" ]; do
        PGDATABASE=slow psql -X -q -c 'BEGIN; LOCK TABLE t; COMMIT' || true
        sleep 0.2
    done) >/dev/null 2>&1 3>&- &
    locker=$!
    run timeout 120 cat "$T/v/schema.sql"
    touch "$BATS_TEST_TMPDIR/enough"
    [[ $output == *"Device or resource busy"* ]]
    [[ $(getfattr -n user.pgvecfs.error --only-values "$T/v") == *"pg_dump held a lock that pid "*"waits for"* ]]
    [ "$(grep -c 'pg_dump held a lock' "$MNT/.pgvecfs/log")" -ge 5 ]
    wait $locker
    mount_stop
    psql -X -q -c 'DROP DATABASE slow'
}

# ---- behind a pooler ----

pooled_settings() {
    pooled -c "SELECT name, setting FROM pg_settings WHERE name !~ '[.]' ORDER BY 1" # an extension brings its own
}

@test "behind a pooler schema.sql is not listed, and opening it says why" {
    pooler_start 1
    pooled_settings >"$BATS_TEST_TMPDIR/before"
    pooled_mount
    [ "$(ls "$T/plain")" = $'manifest.json\nplain.bin\nplain.csv\nplain.jsonl\nquery' ]
    cp -r "$T/plain" "$BATS_TEST_TMPDIR/copy"
    run cat "$T/plain/schema.sql"
    [ "$status" -ne 0 ]
    [[ $output == *"Operation not supported"* ]]
    [[ $(getfattr -n user.pgvecfs.error --only-values "$T/plain") == *"pooler"*"-o direct=CONNINFO"* ]]
    grep -q 'public.plain: no schema.sql: .*pooler' "$MNT/.pgvecfs/log"
    diff "$BATS_TEST_TMPDIR/before" <(pooled_settings)
    mount_stop
    pooler_stop
}

@test "direct leads pg_dump around the pooler, whose other clients see nothing of it" {
    mount_start
    cp "$T/plain/schema.sql" "$BATS_TEST_TMPDIR/expected"
    file_of "$T/plain/schema.sql" >"$BATS_TEST_TMPDIR/file"
    mount_stop
    psql -X -q -c 'CREATE TABLE added_for_direct ()'
    pooler_start 1
    pooled_settings >"$BATS_TEST_TMPDIR/before"
    pooled_mount -o "direct=host=$PGHOST port=$PGPORT user=postgres dbname=test password=hunter2"
    [[ $(ls "$T/plain") == *schema.sql* ]]
    assert_same_bytes "$T/plain/schema.sql" "$BATS_TEST_TMPDIR/expected"
    [ "$(file_of "$T/plain/schema.sql")" = "$(cat "$BATS_TEST_TMPDIR/file")" ]
    cat "$T/other/schema.sql" "$T/trap/schema.sql" >/dev/null
    diff "$BATS_TEST_TMPDIR/before" <(pooled_settings)
    if grep -l hunter2 "$MNT/.pgvecfs/log" "$MNT/.pgvecfs/status.json" /proc/self/mounts "/proc/$(daemon_pid)/cmdline"; then return 1; fi
    mount_stop
    pooler_stop
}

@test "direct that leads elsewhere is refused at once" {
    pooler_start 1
    psql -X -q -c 'CREATE DATABASE elsewhere'
    run pooled_mount -o "direct=host=$PGHOST port=$PGPORT user=postgres dbname=elsewhere"
    [ "$status" -ne 0 ]
    [[ $output == *"leads to another server or database"* ]]
    run pooled_mount -o "direct=host=$POOLER port=6432 user=postgres dbname=test"
    [ "$status" -ne 0 ]
    [[ $output == *"leads to a pooler, too"* ]]
    run pooled_mount -o "direct=host=$PGHOST port=$PGPORT user=nobody_such dbname=test"
    [ "$status" -ne 0 ]
    [[ $output == *direct*nobody_such* ]]
    psql -X -q -c 'DROP DATABASE elsewhere'
    pooler_stop
}

@test "direct works without a pooler, too" {
    psql -X -q -c 'CREATE TABLE added_without ()'
    mount_start -o "direct=host=$PGHOST port=$PGPORT user=postgres dbname=test"
    grep -q 'CREATE TABLE public.other' "$T/other/schema.sql"
    mount_stop
}
