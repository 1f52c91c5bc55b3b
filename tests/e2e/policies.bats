#!/usr/bin/env bats
# Row-level security: an error where it would hide rows from the mount's own role, unless -o rls=filter wants the rows that
# the role may see. A view shows what its owner may see, as in psql.

load helper
load exact

setup_file() {
    server_start
    sql <<'END'
CREATE ROLE reader LOGIN;
CREATE ROLE viewer;
CREATE ROLE keeper;
ALTER ROLE reader SET app.tenant = '1';
ALTER ROLE reader SET search_path = tools, public;
CREATE SCHEMA tools;
CREATE SCHEMA p;
GRANT USAGE ON SCHEMA p, tools TO reader, viewer, keeper;
GRANT CREATE ON SCHEMA p TO reader, viewer, keeper;
CREATE FUNCTION tools.tenant() RETURNS int STABLE LANGUAGE sql AS 'SELECT current_setting(''app.tenant'')::int';
CREATE FUNCTION tools.my_tenant() RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN tenant(); END';

CREATE TABLE p.docs (id int PRIMARY KEY, owner text, n numeric, body text);
INSERT INTO p.docs SELECT i, CASE WHEN i % 3 = 0 THEN 'reader' WHEN i % 3 = 1 THEN 'viewer' ELSE 'else' END, i / 4.0, repeat('x', i % 100)
FROM generate_series(1, 20000) i;
CREATE INDEX ON p.docs (owner, body);
ANALYZE p.docs;
CREATE POLICY own ON p.docs USING (owner = current_user);
ALTER TABLE p.docs ENABLE ROW LEVEL SECURITY;

CREATE TABLE p.tenants (id int, tenant int, body text);
INSERT INTO p.tenants SELECT i, i % 3, 'row ' || i FROM generate_series(1, 1000) i;
CREATE POLICY own ON p.tenants USING (tenant = tools.my_tenant());
ALTER TABLE p.tenants ENABLE ROW LEVEL SECURITY;

CREATE TABLE p.parts (id int, tenant int) PARTITION BY LIST (tenant);
CREATE TABLE p.parts_0 PARTITION OF p.parts FOR VALUES IN (0);
CREATE TABLE p.parts_1 PARTITION OF p.parts FOR VALUES IN (1, 2);
INSERT INTO p.parts SELECT i, i % 3 FROM generate_series(1, 900) i;
CREATE POLICY even ON p.parts USING (id % 2 = 0);
ALTER TABLE p.parts ENABLE ROW LEVEL SECURITY;

CREATE TABLE p.open (id int);
INSERT INTO p.open VALUES (1);
GRANT SELECT ON ALL TABLES IN SCHEMA p TO reader, viewer, keeper;

SET ROLE viewer;
CREATE VIEW p.viewers WITH (security_barrier) AS SELECT * FROM p.docs;
SET ROLE reader;
CREATE VIEW p.readers AS SELECT * FROM p.docs;
RESET ROLE;
ALTER TABLE p.tenants OWNER TO keeper;
SET ROLE keeper;
CREATE VIEW p.all_tenants AS SELECT * FROM p.tenants;
CREATE VIEW p.of_viewers AS SELECT id FROM p.viewers;
RESET ROLE;
GRANT SELECT ON p.viewers TO keeper;
CREATE VIEW p.counts AS SELECT count(*) AS n FROM p.docs;
DO $$ BEGIN
    IF current_setting('server_version_num')::int >= 150000 THEN
        CREATE VIEW p.invoker WITH (security_invoker) AS SELECT * FROM p.docs;
        CREATE VIEW p.of_invoker AS SELECT id FROM p.invoker;
        CREATE VIEW p.invoker_of_open WITH (security_invoker = on) AS SELECT * FROM p.open;
    END IF;
END $$;
-- Views of somebody whom the policy binds, with something in it that might read a table as whoever reads the view.
CREATE TABLE p.few (id int, owner text, v vector(2));
INSERT INTO p.few VALUES (1, 'reader', '[1,0]'), (2, 'viewer', '[0,1]'), (3, 'else', NULL);
CREATE POLICY own ON p.few USING (id < 3);
ALTER TABLE p.few ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION p.few_rows() RETURNS SETOF p.few STABLE LANGUAGE sql AS 'SELECT * FROM p.few';
CREATE FUNCTION p.few_count(a int, b int DEFAULT 0) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM p.few) = 3; END';
CREATE FUNCTION p.few_next(a int, b int) RETURNS int STABLE LANGUAGE sql AS 'SELECT max(id) FROM p.few';
CREATE OPERATOR p.<?> (LEFTARG = int, RIGHTARG = int, FUNCTION = p.few_count);
CREATE AGGREGATE p.few_last(int) (SFUNC = p.few_next, STYPE = int, INITCOND = '0');
GRANT SELECT ON p.few TO reader, viewer;
CREATE VIEW p.by_function AS SELECT id FROM p.few_rows();
SET ROLE viewer;
CREATE VIEW p.by_call AS SELECT id FROM p.few UNION ALL SELECT id FROM p.few_rows();
CREATE VIEW p.by_operator AS SELECT id, id OPERATOR(p.<?>) 1 AS b FROM p.few;
CREATE VIEW p.by_aggregate AS SELECT p.few_last(id) AS n FROM p.few;
CREATE VIEW p.by_text AS SELECT id, query_to_xml('SELECT count(*) FROM p.few', true, true, '')::text AS b FROM p.few;
CREATE VIEW p.vectors AS SELECT id, owner, v FROM p.few;
CREATE VIEW p.by_nothing AS SELECT id, v <-> '[1,1]' AS d, lower(owner) AS o FROM p.few;
RESET ROLE;
CREATE ROLE guest LOGIN;
GRANT USAGE ON SCHEMA p TO guest;
GRANT SELECT ON ALL TABLES IN SCHEMA p TO reader;
GRANT SELECT ON p.by_operator TO guest;
END
    export PGUSER=reader
    mount_start -o lease=0
    MNT=$E2E/filter CACHE=$E2E/filter.cache mount_start -o lease=0,rls=filter
}

teardown_file() { teardown_all; }

# psql under the role's own search_path, in the settings that make output.
psql_reader() {
    PGOPTIONS="-c DateStyle=ISO -c IntervalStyle=postgres -c extra_float_digits=1 -c bytea_output=hex -c TimeZone=UTC \
-c synchronize_seqscans=off -c max_parallel_workers_per_gather=0" psql -X -q -At -v ON_ERROR_STOP=1 "$@"
}

# All three files of relation $1 of schema p are what the role sees.
assert_seen() {
    psql_reader -c "COPY (SELECT * FROM p.$1) TO STDOUT (FORMAT csv, HEADER)" >"$E2E/seen"
    assert_same_bytes "$MNT/p/$1/$1.csv" "$E2E/seen" || return
    psql_reader -c "COPY (SELECT * FROM p.$1) TO STDOUT (FORMAT binary)" >"$E2E/seen"
    assert_same_bytes "$MNT/p/$1/$1.bin" "$E2E/seen" || return
    psql_reader -c "SELECT row_to_json(r) FROM p.$1 r" >"$E2E/seen"
    assert_same_bytes "$MNT/p/$1/$1.jsonl" "$E2E/seen"
}

assert_would_hide() {
    assert_refused "p/$1/$1.csv" "$2"
    run cat "$MNT/p/$1/$1.csv"
    [[ $output == *"Permission denied"* ]]
}

@test "an error, not a shorter file, where the role's own rows would be hidden" {
    assert_would_hide docs 'row-level security policy for table "docs"'
    assert_would_hide tenants 'row-level security policy for table "tenants"'
    assert_would_hide parts 'row-level security policy for table "parts"'
    assert_would_hide readers 'row-level security policy for table "docs"'
    assert_seen open
    grep -q 'CREATE POLICY own' "$MNT/p/docs/schema.sql"
}

@test "a view shows what its owner may see" {
    assert_seen viewers
    [ "$(wc -l <"$MNT/p/viewers/viewers.csv")" = 6667 ]
    assert_seen all_tenants
    [ "$(wc -l <"$MNT/p/all_tenants/all_tenants.csv")" = 1001 ]
    assert_seen of_viewers
    assert_seen counts
    [ "$(tail -n 1 "$MNT/p/counts/counts.csv")" = 20000 ]
}

@test "and so it does where the server answers what is asked of it" {
    local s=$MNT/p/vectors/query/q
    mkdir "$s"
    echo '[1,0]' >"$s/vector"
    cut -d , -f 1-2 "$s/results.csv" >"$E2E/plain"
    [ "$(wc -l <"$E2E/plain")" = 3 ]
    echo server >"$s/mode"
    cut -d , -f 1-2 "$s/results.csv" | diff - "$E2E/plain"
    echo auto >"$s/mode"
    echo "owner <> 'nobody'" >"$s/filter"
    cut -d , -f 1-2 "$s/results.csv" | diff - "$E2E/plain"
    echo 'id = 2' >"$s/filter"
    [ "$(cut -d , -f 1 "$s/results.csv")" = $'id\n2' ]
    # Several queries are of one transaction.
    printf '[1,0]\n[0,1]\n' >"$s/vector"
    [ "$(wc -l <"$s/results.csv")" = 3 ]
    rmdir "$s"
    # Not where they would hide rows from the role.
    s=$MNT/p/few/query/q
    run mkdir "$s"
    [ "$status" -ne 0 ] || ! cat "$s/results.csv" || false
}

@test "but not a view that may read a table as the role itself, by a function" {
    for view in function call operator aggregate text; do
        assert_would_hide by_$view 'row-level security policy for table "few"'
        MNT=$E2E/filter assert_seen by_$view
    done
    assert_seen by_nothing
    [ "$(wc -l <"$MNT/p/by_nothing/by_nothing.csv")" = 3 ]
    # Nor where a check or a cast, which nothing names, may do so.
    PGUSER=postgres sql "CREATE DOMAIN p.checked AS int CHECK (p.few_count(VALUE))"
    assert_would_hide by_nothing 'row-level security policy for table "few"'
    PGUSER=postgres sql "DROP DOMAIN p.checked"
    assert_seen by_nothing
}

@test "whom no policy of what he may read binds is shown what the owner may see, whatever it calls" {
    export MNT=$E2E/guest
    PGUSER=postgres sql "ALTER FUNCTION p.few_count SECURITY DEFINER"
    PGUSER=guest CACHE=$E2E/guest.cache mount_start
    [ "$(cat "$MNT/p/by_operator/by_operator.csv")" = $'id,b\n1,t\n2,t' ]
    mount_stop
}

@test "but not a view that checks policies as the role itself" {
    [ "$(sql 'SHOW server_version_num')" -ge 150000 ] || skip "no security_invoker"
    assert_would_hide invoker 'row-level security policy for table "docs"'
    assert_would_hide of_invoker 'row-level security policy for table "docs"'
    assert_seen invoker_of_open
    MNT=$E2E/filter assert_seen invoker
    MNT=$E2E/filter assert_seen of_invoker
}

@test "rls=filter serves what the role may see" {
    export MNT=$E2E/filter
    assert_seen docs
    [ "$(wc -l <"$MNT/p/docs/docs.csv")" = 6667 ]
    assert_seen readers
    assert_seen viewers
    assert_seen open
    assert_seen parts
    [ "$(wc -l <"$MNT/p/parts/parts.csv")" = 451 ]
    grep -q 'CREATE POLICY own' "$MNT/p/docs/schema.sql"
}

@test "some columns of a table are no way round a policy" {
    assert_refused p/docs/select/id,body.csv 'row-level security policy for table "docs"'
    run cat "$MNT/p/docs/select/id,body.csv"
    [[ $output == *"Permission denied"* ]]
    psql_reader -c "COPY (SELECT body, id FROM p.viewers) TO STDOUT (FORMAT csv, HEADER)" >"$E2E/seen"
    assert_same_bytes "$MNT/p/viewers/select/body,id.csv" "$E2E/seen"
    export MNT=$E2E/filter
    # The column that the policy looks at need not be among them; nor do rows of the whole table, if they are at hand, count for more.
    cat "$MNT/p/tenants/tenants.csv" >/dev/null
    for table in docs tenants parts; do
        psql_reader -c "COPY (SELECT id FROM p.$table) TO STDOUT (FORMAT csv, HEADER)" >"$E2E/seen"
        assert_same_bytes "$MNT/p/$table/select/id.csv" "$E2E/seen"
        psql_reader -c "COPY (SELECT id FROM p.$table) TO STDOUT (FORMAT binary)" >"$E2E/seen"
        assert_same_bytes "$MNT/p/$table/select/id.bin" "$E2E/seen"
    done
    [ "$(wc -l <"$MNT/p/docs/select/id.csv")" = 6667 ]
}

@test "a policy is evaluated under the role's own search_path and settings" {
    export MNT=$E2E/filter
    assert_seen tenants
    [ "$(wc -l <"$MNT/p/tenants/tenants.csv")" = 335 ]
    # Nothing in the table says so.
    PGUSER=postgres sql "ALTER ROLE reader SET app.tenant = '0'"
    mount_stop
    CACHE=$E2E/filter.cache mount_start -o lease=0,rls=filter
    assert_seen tenants
    [ "$(wc -l <"$MNT/p/tenants/tenants.csv")" = 334 ]
}

@test "unchanged rows stay the same file, whatever else is written" {
    export MNT=$E2E/filter
    before=$(stat -c '%i %Y %s' "$MNT/p/docs/docs.csv")
    PGUSER=postgres sql "UPDATE p.docs SET body = 'hidden' WHERE owner = 'else' AND id < 100"
    assert_seen docs
    [ "$(stat -c '%i %Y %s' "$MNT/p/docs/docs.csv")" = "$before" ]
    PGUSER=postgres sql "UPDATE p.docs SET body = 'seen' WHERE owner = 'reader' AND id < 100"
    assert_seen docs
    [ "$(stat -c '%i %Y %s' "$MNT/p/docs/docs.csv")" != "$before" ]
}

@test "a changed policy changes the file" {
    export MNT=$E2E/filter
    before=$(stat -c '%i %Y' "$MNT/p/docs/docs.csv")
    PGUSER=postgres sql "ALTER POLICY own ON p.docs USING (owner = current_user OR owner = 'else')"
    assert_seen docs
    [ "$(stat -c '%i %Y' "$MNT/p/docs/docs.csv")" != "$before" ]
    MNT=$E2E/mnt assert_would_hide docs 'row-level security policy for table "docs"'
    PGUSER=postgres sql "ALTER TABLE p.docs DISABLE ROW LEVEL SECURITY"
    assert_seen docs
    [ "$(wc -l <"$MNT/p/docs/docs.csv")" = 20001 ]
    MNT=$E2E/mnt assert_seen docs
    PGUSER=postgres sql "ALTER TABLE p.docs ENABLE ROW LEVEL SECURITY"
    assert_seen docs
    MNT=$E2E/mnt assert_would_hide docs 'row-level security policy for table "docs"'
}

@test "another mount of the same cache decides for itself" {
    export MNT=$E2E/turns CACHE=$E2E/turns.cache
    mount_start -o lease=0,rls=filter
    assert_seen parts
    before=$(stat -c '%i %Y' "$MNT/p/parts/parts.csv")
    mount_stop
    mount_start -o lease=0
    assert_would_hide parts 'row-level security policy for table "parts"'
    mount_stop
    mount_start -o lease=0,rls=filter
    assert_seen parts
    [ "$(stat -c '%i %Y' "$MNT/p/parts/parts.csv")" = "$before" ]
    mount_stop
}

@test "whom no policy binds sees all" {
    export MNT=$E2E/all
    PGUSER=postgres CACHE=$E2E/all.cache mount_start -o lease=0
    [ "$(wc -l <"$MNT/p/docs/docs.csv")" = 20001 ]
    [ "$(wc -l <"$MNT/p/parts/parts.csv")" = 901 ]
    PGUSER=postgres assert_seen viewers
    mount_stop
}
