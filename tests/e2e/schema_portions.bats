#!/usr/bin/env bats
# Where one pg_dump would take more than a quarter of the server's locks it is several.

load helper
load schemas

setup_file() {
    # 64 × 12 locks: 192 are a quarter, of which 100 are catalogs'.
    server_start -c log_connections=on -c max_connections=12 -c max_locks_per_transaction=64
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE SCHEMA first;
CREATE TABLE first.a (a int); CREATE TABLE first.b (a int); CREATE TABLE first.c (a int);
CREATE SCHEMA "some";
CREATE SCHEMA "Other ""schema";
SELECT format('CREATE TABLE %I.%I (id serial PRIMARY KEY, v vector(3)); COMMENT ON TABLE %1$I.%2$I IS %3$L', s, 'table ' || i, i)
    FROM unnest(ARRAY['some', 'Other "schema']) s, generate_series(1, 75) i \gexec
CREATE VIEW "some".seen AS SELECT a.id FROM "some"."table 1" a, "some"."table 2" b;
CREATE TABLE "some".parent (a int);
CREATE TABLE "some".child () INHERITS ("some".parent);
SQL
    # A pg_dump for each takes long: of these.
    { schema_files first; schema_files some | sed -n '1~9p'; schema_files 'Other "schema' | sed -n '1~9p'; } >"$E2E/files"
    mount_start -o lease=0,connections=4
    read_alone "$E2E/alone" <"$E2E/files"
    mount_stop
    other_state
}

teardown_file() { teardown_all; }

teardown() {
    if mountpoint -q "$MNT"; then mount_stop || fusermount3 -uz "$MNT"; fi
}

@test "each portion has what a pg_dump of one table gives, its extension included" {
    mount_start -o connections=4
    before=$(dumps)
    read_three first
    [ "$(at_once)" = 1 ]
    same_as_alone "$E2E/alone" <"$E2E/files"
    # Two by themselves; one without relations, two with them; the parent, if it is among the files.
    [ "$(dumps)" -le $((before + 6)) ]
    [ "$(dumps)" -ge $((before + 5)) ]
    grep -q 'CREATE EXTENSION' "$MNT/some/table 1/schema.sql"
}
