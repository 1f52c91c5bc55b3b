#!/usr/bin/env bats
# Tables whose rows are in others: hypertables and distributed tables, as the catalogs of their extensions say (imitated here),
# are read through SELECT; the children of an ordinary table are told of.

load helper
load exact

setup_file() {
    server_start
    sql <<'END'
SET allow_system_table_mods = on;
CREATE ROLE reader LOGIN;
CREATE SCHEMA _timescaledb_catalog;
CREATE SCHEMA _timescaledb_internal;
CREATE TABLE _timescaledb_catalog.hypertable (id int, schema_name name, table_name name);
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass, partmethod "char");
CREATE TABLE metrics (at timestamptz NOT NULL, value numeric, twice numeric GENERATED ALWAYS AS (value * 2) STORED);
CREATE TABLE _timescaledb_internal._hyper_1_1_chunk (CHECK (at < '2026-01-01')) INHERITS (metrics);
CREATE TABLE _timescaledb_internal._hyper_1_2_chunk (CHECK (at >= '2026-01-01')) INHERITS (metrics);
INSERT INTO _timescaledb_internal._hyper_1_1_chunk SELECT timestamptz '2025-12-01 00:00Z' + i * interval '1 min', i / 8.0 FROM generate_series(1, 20000) i;
INSERT INTO _timescaledb_internal._hyper_1_2_chunk SELECT timestamptz '2026-02-01 00:00Z' + i * interval '1 min', i / 8.0 FROM generate_series(1, 20000) i;
CREATE TABLE vectors (id int PRIMARY KEY, embedding vector(2));
CREATE TABLE vectors_1 () INHERITS (vectors);
INSERT INTO vectors_1 SELECT i, ARRAY[i, i]::vector FROM generate_series(1, 100) i;
INSERT INTO _timescaledb_catalog.hypertable VALUES (1, 'public', 'metrics'), (2, 'public', 'vectors');
CREATE TABLE orders (id int, v text);
CREATE TABLE orders_shard () INHERITS (orders);
INSERT INTO orders_shard SELECT i, 'order ' || i FROM generate_series(1, 1000) i;
INSERT INTO pg_catalog.pg_dist_partition VALUES ('orders', 'h');
CREATE TABLE parent (id int, v text);
CREATE TABLE "odd "",child" (w int) INHERITS (parent);
CREATE TABLE childless (id int);
INSERT INTO parent VALUES (1, 'one'), (2, 'two');
INSERT INTO "odd "",child" VALUES (3, 'three', 3);
INSERT INTO childless VALUES (1);
GRANT USAGE ON SCHEMA _timescaledb_catalog, _timescaledb_internal TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA public, _timescaledb_catalog, _timescaledb_internal TO reader;
GRANT SELECT ON pg_dist_partition TO PUBLIC;
END
    pretend_extension timescaledb _timescaledb_catalog.hypertable
    pretend_extension citus pg_dist_partition
    mount_start -o lease=0
}

teardown_file() { teardown_all; }

# $1's files are what SELECT gives; $2: what COPY of a table has of it.
assert_selected() {
    psql_pinned -c "COPY (SELECT ${2:-*} FROM $1) TO STDOUT (FORMAT csv, HEADER)" >"$E2E/seen"
    assert_same_bytes "$MNT/public/$1/$1.csv" "$E2E/seen" || return
    psql_pinned -c "COPY (SELECT ${2:-*} FROM $1) TO STDOUT (FORMAT binary)" >"$E2E/seen"
    assert_same_bytes "$MNT/public/$1/$1.bin" "$E2E/seen" || return
    psql_pinned -c "SELECT row_to_json(r) FROM $1 r" >"$E2E/seen"
    assert_same_bytes "$MNT/public/$1/$1.jsonl" "$E2E/seen"
}

# The manifest of $1 in Python, as m; $2 must hold.
assert_manifest() { python3 -c "import json; m = json.load(open('$MNT/public/$1/manifest.json')); assert $2, m"; }

psql_pinned() {
    PGOPTIONS="-c search_path=public -c DateStyle=ISO -c IntervalStyle=postgres -c extra_float_digits=1 \
-c bytea_output=hex -c TimeZone=UTC -c synchronize_seqscans=off -c max_parallel_workers_per_gather=0" \
        psql -X -q -At -v ON_ERROR_STOP=1 "$@"
}

@test "a hypertable has the rows of its chunks" {
    assert_selected metrics 'at, value'
    [ "$(wc -l <"$MNT/public/metrics/metrics.csv")" = 40001 ]
    assert_manifest metrics 'm["kind"] == "table" and m["rows"] == 40000 and "inherited_by" not in m'
    psql_pinned -c "COPY _timescaledb_internal._hyper_1_1_chunk TO STDOUT (FORMAT csv, HEADER)" |
        cmp - "$MNT/_timescaledb_internal/_hyper_1_1_chunk/_hyper_1_1_chunk.csv"
}

@test "a distributed table has the rows of its shards" {
    assert_selected orders
    [ "$(wc -l <"$MNT/public/orders/orders.csv")" = 1001 ]
}

@test "its contents say whether it has changed" {
    assert_selected orders
    before=$(stat -c '%i %Y %s' "$MNT/public/orders/orders.csv")
    sql "INSERT INTO childless VALUES (2)"
    [ "$(stat -c '%i %Y %s' "$MNT/public/orders/orders.csv")" = "$before" ]
    sql "UPDATE orders_shard SET v = 'changed' WHERE id = 17"
    assert_selected orders
    [ "$(stat -c '%i %Y' "$MNT/public/orders/orders.csv")" != "${before% *}" ]
    sql "INSERT INTO _timescaledb_internal._hyper_1_2_chunk VALUES ('2026-03-01', 1)"
    assert_selected metrics 'at, value'
}

@test "the server's own search finds them, too" {
    session=$MNT/public/vectors/query/mine
    mkdir "$session"
    echo server >"$session/mode"
    echo 3 >"$session/k"
    echo l2 >"$session/metric"
    echo '[50,50]' >"$session/vector"
    [ "$(jq -r .id "$session/results.jsonl" | head -n 1)" = 50 ]
    [ "$(wc -l <"$session/results.jsonl")" = 3 ]
    rmdir "$session"
}

@test "a superuser's mount runs no function of somebody's chunk, in whatever schema it is" {
    local proof=$E2E/proof/who table
    mkdir -p "$E2E/proof"
    chmod 777 "$E2E/proof"
    sql <<END
CREATE ROLE mallory LOGIN;
CREATE SCHEMA evil AUTHORIZATION mallory;
SET ROLE mallory;
CREATE FUNCTION evil.proof() RETURNS int LANGUAGE plpgsql AS \$\$
BEGIN
    IF current_setting('is_superuser') = 'on' THEN COPY (SELECT current_user) TO '$proof'; END IF;
    RETURN 1;
END \$\$;
CREATE FUNCTION evil.quiet(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN evil.proof() + \$1; END';
CREATE TABLE evil.spread (id int);
CREATE TABLE evil.shared (id int);
CREATE TABLE evil.chunk () INHERITS (evil.spread);
CREATE TABLE evil.shard () INHERITS (evil.shared);
INSERT INTO evil.chunk VALUES (1);
INSERT INTO evil.shard VALUES (1);
CREATE INDEX ON evil.chunk ((evil.quiet(1)));
CREATE INDEX ON evil.shard ((evil.quiet(1)));
RESET ROLE;
INSERT INTO _timescaledb_catalog.hypertable VALUES (3, 'evil', 'spread');
INSERT INTO pg_catalog.pg_dist_partition VALUES ('evil.shared', 'h');
END
    for table in spread shared; do
        run timeout 60 cat "$MNT/evil/$table/$table.csv"
        echo "$table: $status: $output"
        [ ! -e "$proof" ] # $table
        [ "$status" -eq 1 ]
        [[ $output == *"Permission denied"* ]]
        [[ $(getfattr --only-values --absolute-names -n user.pgvecfs.error "$MNT/evil/$table") == *"evil.quiet(integer) of mallory"* ]]
    done
    sql "DROP SCHEMA evil CASCADE; DROP OWNED BY mallory; DROP ROLE mallory; DELETE FROM _timescaledb_catalog.hypertable WHERE id = 3"
    sql "DELETE FROM pg_catalog.pg_dist_partition WHERE logicalrelid::oid NOT IN (SELECT oid FROM pg_class)"
}

# Trigger function $2 of extension $1, which table $3 has.
pretend_trigger() {
    sql <<END
CREATE FUNCTION $2() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER of_extension BEFORE TRUNCATE ON $3 EXECUTE FUNCTION $2();
INSERT INTO pg_depend (classid, objid, objsubid, refclassid, refobjid, refobjsubid, deptype)
    SELECT 'pg_proc'::regclass, '$2'::regproc, 0, 'pg_extension'::regclass, oid, 0, 'e' FROM pg_extension WHERE extname = '$1';
END
}

# Nobody is told a part of the rows of public.$1.
assert_untold() {
    local format
    for format in csv bin jsonl; do
        run timeout 60 cat "$MNT/public/$1/$1.$format"
        echo "$1.$format: $status: $output"
        [ "$status" -eq 1 ] || return
        [[ $output == *"Permission denied"* ]] || return
    done
    [[ $(getfattr --only-values --absolute-names -n user.pgvecfs.error "$MNT/public/$1") == *"only the catalog of extension timescaledb tells"* ]]
}

@test "who may not ask the extension's catalog reads all rows, or is refused" {
    export MNT=$E2E/reader PGUSER=reader
    CACHE=$E2E/reader.cache mount_start -o lease=0
    assert_selected metrics 'at, value'
    PGUSER=postgres sql "REVOKE SELECT ON _timescaledb_catalog.hypertable FROM reader"
    assert_untold metrics
    PGUSER=postgres sql "GRANT SELECT ON _timescaledb_catalog.hypertable TO reader; REVOKE USAGE ON SCHEMA _timescaledb_catalog FROM PUBLIC"
    assert_untold metrics
    assert_untold parent
    assert_selected childless
    assert_selected orders
    PGUSER=postgres pretend_trigger timescaledb insert_blocker metrics
    assert_selected metrics 'at, value'
    PGUSER=postgres sql "GRANT USAGE ON SCHEMA _timescaledb_catalog TO PUBLIC"
    assert_selected metrics 'at, value'
    [ "$(wc -l <"$MNT/public/parent/parent.csv")" = 3 ]
    PGUSER=postgres pretend_trigger citus citus_truncate_trigger orders
    PGUSER=postgres sql "REVOKE SELECT ON pg_dist_partition FROM PUBLIC"
    assert_selected orders
    PGUSER=postgres sql "GRANT SELECT ON pg_dist_partition TO PUBLIC"
    mount_stop
}

@test "a catalog that the extension has not made is not asked" {
    PGDATABASE=postgres sql <<'END'
CREATE SCHEMA _timescaledb_catalog;
CREATE TABLE t (id int);
CREATE TABLE c () INHERITS (t);
INSERT INTO c VALUES (1);
CREATE VIEW _timescaledb_catalog.hypertable AS SELECT 1 / 0 AS id, 'public'::name AS schema_name, 't'::name AS table_name;
END
    PGDATABASE=postgres pretend_extension timescaledb t
    export MNT=$E2E/other
    PGDATABASE=postgres CACHE=$E2E/other.cache mount_start -o lease=0
    [ "$(cat "$MNT/public/t/t.csv")" = id ]
    mount_stop
}

@test "a parent has its own rows, and its manifest and the log tell of its children" {
    assert_exact public parent
    [ "$(wc -l <"$MNT/public/parent/parent.csv")" = 3 ]
    assert_manifest parent 'm["rows"] == 2 and m["inherited_by"] == ["public.\"odd \"\",child\""]'
    assert_manifest childless '"inherited_by" not in m'
    sleep 1.1
    grep -F 'public.parent: tables that inherit from it have rows of their own' "$MNT/.pgvecfs/log"
    ! grep -F 'public.childless: tables' "$MNT/.pgvecfs/log" || false
}

@test "a new child is a new version; without one, it stays" {
    before=$(stat -c '%i %Y' "$MNT/public/parent/parent.csv" "$MNT/public/parent/manifest.json")
    sql "INSERT INTO childless VALUES (3)"
    [ "$(stat -c '%i %Y' "$MNT/public/parent/parent.csv" "$MNT/public/parent/manifest.json")" = "$before" ]
    sql "CREATE TABLE a_second () INHERITS (parent)"
    [ "$(stat -c '%i %Y' "$MNT/public/parent/parent.csv" "$MNT/public/parent/manifest.json")" != "$before" ]
    assert_manifest parent 'm["inherited_by"] == ["public.a_second", "public.\"odd \"\",child\""] and m["rows"] == 2'
    assert_exact public parent
    before=$(stat -c '%i %Y %s' "$MNT/public/parent/parent.csv" "$MNT/public/parent/manifest.json")
    mount_stop
    mount_start -o lease=0
    [ "$(stat -c '%i %Y %s' "$MNT/public/parent/parent.csv" "$MNT/public/parent/manifest.json")" = "$before" ]
    sql 'DROP TABLE a_second, "odd "",child"'
    assert_manifest parent '"inherited_by" not in m'
    assert_exact public parent
}
