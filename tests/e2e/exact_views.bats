#!/usr/bin/env bats
# Views are read as psql reads them: under the role's own search_path. Tables, materialized views among them, are not.

load helper
load exact

setup_file() {
    server_start
    sql <<'END'
CREATE SCHEMA home;
CREATE SCHEMA away;
CREATE ROLE reader LOGIN;
ALTER ROLE reader SET search_path = away, home;
CREATE TABLE home.pslot (slotname text PRIMARY KEY, slotlink text);
INSERT INTO home.pslot SELECT 'PS.' || i, 'WS.' || i % 7 FROM generate_series(1, 3000) i;
CREATE TABLE home.wslot (slotname text PRIMARY KEY, room text);
INSERT INTO home.wslot SELECT 'WS.' || i, 'room ' || i FROM generate_series(0, 6) i;
CREATE FUNCTION home.link_view(slot text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE link text; room text;
BEGIN
    SELECT slotlink INTO link FROM pslot WHERE slotname = slot;
    SELECT wslot.room INTO room FROM wslot WHERE slotname = link;
    RETURN link || ' in ' || room;
END $$;
CREATE FUNCTION home.rooms() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM home.wslot';
CREATE VIEW home.fields AS SELECT slotname, home.link_view(slotname) AS backside, 1.5 AS n FROM home.pslot;
CREATE VIEW home.of_fields AS SELECT backside FROM home.fields WHERE slotname LIKE 'PS.1%';
CREATE VIEW home.names AS SELECT 'home.pslot'::regclass AS c, 'home.rooms()'::regprocedure AS p, 'pg_class'::regclass AS s, home.rooms() AS n;
CREATE VIEW home.paths AS SELECT current_setting('search_path') AS path, current_schemas(false) AS schemas, now() < 'infinity' AS t;
CREATE VIEW home.printed AS SELECT timestamptz '2026-01-02 03:04:05+00' AS at, interval '1 day 2 h' AS long, '\x00ff'::bytea AS b, 0.1::float8 AS f;
CREATE MATERIALIZED VIEW home.kept AS SELECT c, s FROM home.names;
CREATE TABLE home.named AS SELECT c FROM home.names;
CREATE TABLE away.wslot (slotname text, room text);
INSERT INTO away.wslot SELECT 'WS.' || i, 'away ' || i FROM generate_series(0, 6) i;
GRANT USAGE ON SCHEMA home, away TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA home, away TO reader;
ALTER ROLE postgres SET search_path = home;
ALTER ROLE postgres SET DateStyle = German;
ALTER ROLE postgres SET IntervalStyle = iso_8601;
ALTER ROLE postgres SET TimeZone = 'Asia/Tokyo';
ALTER ROLE postgres SET extra_float_digits = -3;
ALTER ROLE postgres SET bytea_output = escape;
END
    mount_start -o lease=0
    MNT=$E2E/reader PGUSER=reader CACHE=$E2E/reader.cache mount_start -o lease=0
}

teardown_file() { teardown_all; }

# Under the role's own search_path; what decides how values print is as in the mount.
psql_own() {
    PGOPTIONS="-c DateStyle=ISO -c IntervalStyle=postgres -c extra_float_digits=1 -c bytea_output=hex -c TimeZone=UTC" \
        psql -X -q -At -v ON_ERROR_STOP=1 "$@"
}

assert_as_psql() {
    psql_own -c "COPY (SELECT * FROM home.$1) TO STDOUT (FORMAT csv, HEADER)" >"$E2E/own"
    assert_same_bytes "$MNT/home/$1/$1.csv" "$E2E/own" || return
    psql_own -c "COPY (SELECT * FROM home.$1) TO STDOUT (FORMAT binary)" >"$E2E/own"
    assert_same_bytes "$MNT/home/$1/$1.bin" "$E2E/own" || return
    psql_own -c "SELECT row_to_json(r) FROM home.$1 r" >"$E2E/own"
    assert_same_bytes "$MNT/home/$1/$1.jsonl" "$E2E/own"
}

@test "a function that uses unqualified names finds what it finds in psql" {
    assert_as_psql fields
    grep -q 'PS.1,WS.1 in room 1,' "$MNT/home/fields/fields.csv"
    assert_as_psql of_fields
}

@test "another role's path leads to other tables" {
    export MNT=$E2E/reader PGUSER=reader
    assert_as_psql fields
    grep -q 'PS.1,WS.1 in away 1,' "$MNT/home/fields/fields.csv"
}

@test "the path is the role's, the settings of output are not" {
    assert_as_psql paths
    [ "$(sed -n 2p "$MNT/home/paths/paths.csv")" = 'home,{home},t' ]
    assert_as_psql printed
    [ "$(sed -n 2p "$MNT/home/printed/printed.csv")" = '2026-01-02 03:04:05+00,1 day 02:00:00,\x00ff,0.1' ]
}

@test "a name that a column holds prints by that path in a view, and in full in a table" {
    assert_as_psql names
    [ "$(sed -n 2p "$MNT/home/names/names.csv")" = 'pslot,rooms(),pg_class,7' ]
    assert_exact home kept
    assert_exact home named
    [ "$(sed -n 2p "$MNT/home/kept/kept.csv")" = home.pslot,pg_class ]
}

@test "a view is the same file as long as its rows are, whatever the path" {
    before=$(stat -c '%i %Y %s' "$MNT/home/of_fields/of_fields.csv")
    mount_stop
    sql "ALTER ROLE postgres SET search_path = public, home"
    mount_start -o lease=0
    [ "$(stat -c '%i %Y %s' "$MNT/home/of_fields/of_fields.csv")" = "$before" ]
    sql "ALTER ROLE postgres SET search_path = away, home"
    mount_stop
    mount_start -o lease=0
    grep -q 'WS.1 in away 1' "$MNT/home/of_fields/of_fields.csv"
    [ "$(stat -c '%i %Y' "$MNT/home/of_fields/of_fields.csv")" != "${before% *}" ]
}
