#!/usr/bin/env bats
# What the server refuses, the mount refuses: with an errno at stat, in the server's words, and never with a short file.

load helper
load exact

setup_file() {
    server_start
    sql <<'END'
CREATE SCHEMA r;
SET search_path = r, public;
SET check_function_bodies = off;
SET client_min_messages = warning;
CREATE VIEW divides AS SELECT 1 / (i - 3) AS x FROM generate_series(1, 5) i;
CREATE VIEW late AS SELECT i, CASE WHEN i = 100000 THEN 1 / (i - 100000) ELSE i END AS x, repeat('x', 100) AS t FROM generate_series(1, 200000) i;
CREATE FUNCTION raises() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today, "quoted" and ünïcode' USING ERRCODE = '22000'; END $$;
CREATE VIEW raising AS SELECT raises() AS x;
CREATE FUNCTION body() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM r.will_go';
CREATE TABLE will_go (a int);
CREATE VIEW of_gone AS SELECT body() AS n;
CREATE TABLE secret (a int);
CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS 'INSERT INTO r.secret VALUES (1) RETURNING a';
CREATE VIEW writing AS SELECT writes() AS a;
CREATE TABLE acl (id int, a aclitem, t text);
INSERT INTO acl SELECT i, 'postgres=r/postgres', 'text ' || i FROM generate_series(1, 5000) i;
CREATE TABLE acl_arrays (a aclitem[]);
INSERT INTO acl_arrays VALUES (ARRAY['postgres=r/postgres']::aclitem[]), (NULL);
CREATE VIEW acl_view AS SELECT * FROM acl;
CREATE TABLE no_rows (a aclitem);
CREATE TYPE bad;
CREATE FUNCTION bad_in(cstring) RETURNS bad IMMUTABLE STRICT LANGUAGE internal AS 'int4in';
CREATE FUNCTION bad_out(bad) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'int4out';
CREATE TYPE bad (INPUT = bad_in, OUTPUT = bad_out, LIKE = int4);
CREATE FUNCTION bad_send(bad) RETURNS bytea IMMUTABLE STRICT LANGUAGE sql AS 'SELECT int4send(1 / (random() * 0)::int)';
ALTER TYPE bad SET (SEND = bad_send);
CREATE TABLE mute (id int, b bad);
INSERT INTO mute VALUES (1, '5'), (2, NULL);
CREATE TABLE fine (a int);
INSERT INTO fine VALUES (1);
DROP TABLE will_go;
CREATE ROLE half LOGIN;
CREATE VIEW through WITH (security_barrier) AS SELECT * FROM secret;
CREATE ROLE owner;
GRANT USAGE, CREATE ON SCHEMA r TO owner;
CREATE VIEW owned AS SELECT * FROM secret;
ALTER VIEW owned OWNER TO owner;
END
    mount_start -o lease=0
}

teardown_file() { teardown_all; }

@test "exactly what COPY refuses is refused, in its words" {
    assert_schema_exact r
}

@test "at stat, at open, in the attribute and in the log" {
    assert_refused r/divides/divides.csv 'division by zero'
    assert_refused r/divides/divides.bin 'division by zero'
    assert_refused r/divides/divides.jsonl 'division by zero'
    assert_refused r/raising/raising.csv 'not today, "quoted" and ünïcode'
    assert_refused r/raising/raising.tsv 'not today, "quoted" and ünïcode'
    assert_refused r/of_gone/of_gone.csv 'relation "r.will_go" does not exist'
    assert_refused r/owned/owned.csv 'permission denied for table secret'
    assert_refused r/writing/writing.csv 'read-only transaction'
    assert_refused r/acl/acl.bin 'no binary output function available for type aclitem'
    assert_refused r/acl_arrays/acl_arrays.bin 'no binary output function available for type aclitem'
    assert_refused r/no_rows/no_rows.bin 'no binary output function available for type aclitem'
    assert_refused r/mute/mute.bin 'division by zero'
    sleep 1.1
    for words in 'division by zero' 'not today' 'does not exist' 'permission denied for table secret' 'type aclitem'; do
        grep -q "$words" "$MNT/.pgvecfs/log" || { echo "the log does not say: $words"; return 1; }
    done
    [ "$(sql 'SELECT count(*) FROM r.secret')" = 0 ]
}

@test "an error in the middle of the rows is EIO, never a short file" {
    run cat "$MNT/r/late/late.csv"
    [ "$status" -ne 0 ]
    [[ $output == *"Input/output error"* ]]
    run cp "$MNT/r/late/late.bin" "$E2E/late.bin"
    [ "$status" -ne 0 ]
    [ ! -s "$E2E/late.bin" ]
    assert_refused r/late/late.jsonl 'division by zero'
    run stat "$MNT/r/late/late.csv"
    [[ $output == *"Input/output error"* ]]
}

@test "a refused format leaves the others alone" {
    assert_exact r acl --only csv,tsv,jsonl
    assert_exact r acl_view --only csv,tsv,jsonl
    assert_exact r mute --only csv,tsv,jsonl
    python3 - "$MNT/r/acl/manifest.json" <<'END'
import json, sys
m = json.load(open(sys.argv[1]))
assert "no binary output function" in m["views"]["bin"]["error"], m
assert m["rows"] == 5000 and m["views"]["csv"]["bytes"] > 0 and "error" not in m["views"]["jsonl"], m
END
    run cat "$MNT/r/divides/manifest.json"
    [ "$status" -ne 0 ] || python3 -c "import json; assert 'division' in json.load(open('$MNT/r/divides/manifest.json'))['views']['csv']['error']"
    assert_exact r fine
    ls "$MNT/r/acl" | grep -x acl.bin
}

@test "what is mended can be read, and what breaks cannot" {
    sql "CREATE TABLE r.mend (a int); INSERT INTO r.mend VALUES (3); CREATE VIEW r.mended AS SELECT 1 / (a - 3) AS x FROM r.mend"
    assert_exact r mended
    sql "UPDATE r.mend SET a = 4"
    assert_exact r mended
    ! getfattr -n user.pgvecfs.error "$MNT/r/mended/mended.csv" || false
    sql "UPDATE r.mend SET a = 3"
    assert_exact r mended
    sql "CREATE TABLE r.will_go (a int)"
    assert_exact r of_gone
}

@test "privileges that go while it is mounted" {
    sql "GRANT USAGE ON SCHEMA r TO half; GRANT SELECT ON r.fine, r.through TO half"
    export MNT=$E2E/half PGUSER=half
    CACHE=$E2E/half.cache mount_start -o lease=0
    assert_exact_where "c.relname IN ('fine', 'through')"
    PGUSER=postgres sql "REVOKE SELECT ON r.fine FROM half"
    run cat "$MNT/r/fine/fine.csv"
    [ "$status" -ne 0 ]
    [[ $output == *"Permission denied"* || $output == *"No such file"* || $output == *"Input/output error"* ]]
    mount_stop
}
