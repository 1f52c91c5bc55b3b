#!/usr/bin/env bats
# A superuser's mount runs no function of somebody who is none, and says what it does not read for that; .csv and .bin need
# nobody's functions. Everything that mallory has made here would write the file $PROOF on the server, if a superuser ran it.

load helper
load exact

setup_file() {
    server_start -c autovacuum=off # it runs mallory's functions itself
    export PROOF=$E2E/proof/who
    mkdir -p "$E2E/proof"
    chmod 777 "$E2E/proof"
    sql <<END
CREATE ROLE mallory LOGIN;
CREATE ROLE reader LOGIN;
GRANT pg_read_all_data TO reader;
CREATE SCHEMA m AUTHORIZATION mallory;
CREATE EXTENSION postgres_fdw;
GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO mallory;
CREATE FUNCTION public.fine(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT \$1 + 1';
SET ROLE mallory;
SET search_path = m, public;
CREATE FUNCTION proof() RETURNS int LANGUAGE plpgsql AS \$\$
BEGIN
    IF current_setting('is_superuser') = 'on' THEN COPY (SELECT current_user) TO '$PROOF'; END IF;
    RAISE WARNING 'proof runs as %', current_user;
    RETURN 1;
END \$\$;
CREATE FUNCTION quiet(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN m.proof() + \$1 - 1; END';

-- JSON by a cast of the type's owner
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (n int, m mood);
CREATE FUNCTION mood_json(mood) RETURNS json IMMUTABLE LANGUAGE plpgsql AS \$\$ BEGIN RETURN to_json(m.proof() || \$1::text); END \$\$;
CREATE CAST (mood AS json) WITH FUNCTION mood_json(mood);
CREATE TABLE moods (id int PRIMARY KEY, m mood, t text);
INSERT INTO moods SELECT i, (ARRAY['sad', 'ok', 'happy'])[1 + i % 3]::mood, 'text ' || i FROM generate_series(1, 1000) i;
CREATE TABLE mood_arrays (id int, m mood[], p pair);
INSERT INTO mood_arrays VALUES (1, '{sad,ok}', (1, 'ok'));
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE TABLE colours (id int, c colour, n numeric);
INSERT INTO colours VALUES (1, 'red', 1.50), (2, NULL, NULL);

-- what the planner evaluates; made while the functions are harmless
CREATE TABLE by_index (a int, b text);
INSERT INTO by_index VALUES (1, 'x');
CREATE INDEX ON by_index ((quiet(1)));
CREATE TABLE by_predicate (a int);
CREATE INDEX ON by_predicate (a) WHERE quiet(1) > 0;
CREATE TABLE by_statistics (a int, b int);
CREATE STATISTICS of_a ON (a + quiet(1)), b FROM by_statistics;
CREATE TABLE by_partition (a int) PARTITION BY RANGE ((a + quiet(1)));
CREATE TABLE by_partition_1 PARTITION OF by_partition FOR VALUES FROM (0) TO (100);
INSERT INTO by_partition VALUES (1);

CREATE FUNCTION inlined(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT \$1 + m.quiet(1)';
CREATE TABLE by_inlined (a int);
CREATE INDEX ON by_inlined (inlined(a));
CREATE TABLE by_folded (a int);
CREATE INDEX ON by_folded (quiet(coalesce(1, a)));
CREATE TABLE by_both (a int);
CREATE INDEX ON by_both (quiet(quiet(1)), quiet(a));
CREATE TABLE by_column (a int, b varchar);
CREATE FUNCTION quietly(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM m.proof(); RETURN lower(\$1); END';
INSERT INTO by_column VALUES (1, 'x');
CREATE INDEX ON by_column ((quiet(a) + 1), quietly(b)) WHERE quiet(a) > -10;
CREATE TABLE by_check (a int, v vector(2)) PARTITION BY RANGE (a);
CREATE TABLE by_check_1 PARTITION OF by_check (CHECK (quiet(1) > 0)) FOR VALUES FROM (0) TO (100);
INSERT INTO by_check VALUES (1, '[1,2]'), (2, '[3,4]');
CREATE VIEW of_check AS SELECT a FROM by_check WHERE a > 1;

-- views
CREATE TABLE plain (id int, v text);
INSERT INTO plain VALUES (1, 'one'), (2, 'two');
CREATE VIEW calls AS SELECT proof() AS x;
CREATE VIEW calls_within AS SELECT x + 1 AS y FROM (SELECT x FROM calls) c;
CREATE OPERATOR @@@ (FUNCTION = quiet, RIGHTARG = int);
CREATE VIEW operates AS SELECT @@@ id AS x FROM plain;
CREATE FUNCTION add_up(int, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN m.proof(); END';
CREATE AGGREGATE adds (int) (SFUNC = add_up, STYPE = int, INITCOND = '0');
CREATE VIEW aggregates AS SELECT adds(id) FROM plain;
CREATE DOMAIN checked AS int CHECK (quiet(VALUE) >= 0);
CREATE VIEW casts AS SELECT id::checked AS x FROM plain;
CREATE VIEW makes_json AS SELECT id, to_json(m) AS j FROM moods;
CREATE VIEW aggregates_json AS SELECT json_agg(x) AS j FROM (SELECT id, m FROM moods) x;
CREATE TABLE guarded (id int);
INSERT INTO guarded VALUES (1);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON guarded USING (proof() = 1);
CREATE VIEW of_guarded AS SELECT * FROM guarded;
CREATE VIEW of_index AS SELECT * FROM by_index;
-- with the server's own functions: what mallory may not do himself, or what does more than compute
CREATE VIEW reads_file AS SELECT pg_read_file('PG_VERSION') AS x;
CREATE VIEW runs_text AS SELECT query_to_xml('SELECT m.proof()', true, true, '') AS x;
CREATE VIEW runs_table AS SELECT table_to_xml('m.calls', true, true, '') AS x;
CREATE VIEW ends_others AS SELECT pg_terminate_backend(0) AS x;
CREATE VIEW harmless AS SELECT id, upper(v) AS v, random() < 2 AS r, public.fine(id) AS f FROM plain;
CREATE VIEW shows_mood AS SELECT id, m::text AS m FROM moods;
CREATE VIEW has_mood AS SELECT id, m FROM moods;
-- his server runs his functions as whom he says
CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$PGHOST', port '$PGPORT', dbname 'test');
CREATE USER MAPPING FOR PUBLIC SERVER loop OPTIONS (user 'postgres');
CREATE FOREIGN TABLE loops (x int) SERVER loop OPTIONS (schema_name 'm', table_name 'calls');
RESET ROLE;
CREATE VIEW public.trusting AS SELECT * FROM m.calls_within;
CREATE VIEW public.trusted AS SELECT public.fine(id) AS x, to_json(v) AS j, pg_backend_pid() > 0 AS b FROM m.plain;
CREATE VIEW public.over_guarded AS SELECT * FROM m.guarded;
ALTER TABLE m.guarded NO FORCE ROW LEVEL SECURITY;
ALTER TABLE m.guarded OWNER TO postgres;
GRANT SELECT ON m.guarded TO mallory;
END
    mount_start -o lease=0
}

teardown_file() { teardown_all; }

setup() { forget_proof; }

forget_proof() {
    rm -f "$PROOF"
    LOGGED=$(stat -c %s "$E2E/pg/log")
}

# Whether one of mallory's functions has run, as anybody.
has_run() { [ -e "$PROOF" ] || tail -c +$((LOGGED + 1)) "$E2E/pg/log" | grep -q 'proof runs'; }

assert_not_run() {
    if has_run; then
        echo "a function of mallory's has run:" >&2
        tail -c +$((LOGGED + 1)) "$E2E/pg/log" >&2
        return 1
    fi
}

# Without planning anything.
copy_csv() { psql_pinned -c "COPY $1 TO STDOUT (FORMAT csv, HEADER)"; }

assert_not_allowed() {
    assert_refused "$1" "$2"
    run cat "$MNT/$1"
    [[ $output == *"Permission denied"* ]]
    assert_not_run
}

assert_listed() { diff <(ls "$MNT/$1") <(printf '%s\n' "${@:2}"); }

@test "a cast to json of somebody else's is not run for .csv and .bin, and .jsonl is refused" {
    ls -l "$MNT/m/moods" "$MNT/m/mood_arrays" >/dev/null
    assert_listed m/moods manifest.json moods.bin moods.csv schema.sql
    for table in moods mood_arrays; do
        copy_csv m.$table | cmp - "$MNT/m/$table/$table.csv"
        psql_pinned -c "COPY m.$table TO STDOUT (FORMAT binary)" | cmp - "$MNT/m/$table/$table.bin"
        assert_not_allowed m/$table/$table.jsonl 'mood_json(m.mood) of mallory'
    done
    python3 - "$MNT/m/moods/manifest.json" <<'END'
import json, sys
m = json.load(open(sys.argv[1]))
assert "mood_json" in m["views"]["jsonl"]["error"] and m["views"]["csv"]["bytes"] > 0 and m["rows"] == 1000, m
END
    grep -q 'CREATE TABLE m.moods' "$MNT/m/moods/schema.sql"
    assert_not_run
}

@test "some columns of a table run no more than they need, and are refused as the whole is" {
    psql_pinned -c "COPY (SELECT m, id FROM m.moods) TO STDOUT (FORMAT csv, HEADER)" | cmp - "$MNT/m/moods/select/m,id.csv"
    psql_pinned -c "COPY (SELECT m FROM m.moods) TO STDOUT (FORMAT binary)" | cmp - "$MNT/m/moods/select/m.bin"
    assert_not_allowed m/moods/select/m,id.jsonl 'mood_json(m.mood) of mallory'
    assert_not_allowed m/by_index/select/a.csv 'of mallory, who is no superuser'
    assert_not_allowed m/calls/select/x.csv 'function m.proof() of mallory'
    psql_pinned -c "COPY (SELECT a FROM m.by_check) TO STDOUT (FORMAT csv, HEADER)" | cmp - "$MNT/m/by_check/select/a.csv"
    assert_not_run
}

@test "a changed table is still fetched by ranges" {
    cat "$MNT/m/moods/moods.csv" >/dev/null
    sql "UPDATE m.moods SET t = 'new' WHERE id = 7"
    copy_csv m.moods | cmp - "$MNT/m/moods/moods.csv"
    assert_refused m/moods/moods.jsonl 'mood_json(m.mood) of mallory'
    assert_not_run
}

@test "a type without such a cast has its JSON, until it gets one" {
    assert_exact m colours
    ls "$MNT/m/colours" | grep -x colours.jsonl
    sql <<'END'
SET ROLE mallory;
CREATE FUNCTION m.colour_json(m.colour) RETURNS json IMMUTABLE LANGUAGE sql AS 'SELECT to_json(m.proof())';
CREATE CAST (m.colour AS json) WITH FUNCTION m.colour_json(m.colour);
END
    assert_not_allowed m/colours/colours.jsonl 'colour_json(m.colour) of mallory'
    ls "$MNT/m" >/dev/null # asks the catalog
    assert_listed m/colours colours.bin colours.csv manifest.json schema.sql
    copy_csv m.colours | cmp - "$MNT/m/colours/colours.csv"
    assert_not_run
    sql "DROP CAST (m.colour AS json)"
    assert_exact m colours
    ls "$MNT/m" >/dev/null
    ls "$MNT/m/colours" | grep -x colours.jsonl
}

@test "a table is refused whose index, statistics or partition key would run somebody's function when a query is planned" {
    for table in by_index by_predicate by_statistics by_partition by_inlined by_folded by_both; do
        ls -l "$MNT/m/$table" >/dev/null
        ! ls "$MNT/m/$table" | grep -F "$table." || false
        for format in csv bin jsonl; do
            assert_not_allowed m/$table/$table.$format 'of mallory, who is no superuser'
        done
        grep -q 'CREATE TABLE' "$MNT/m/$table/schema.sql"
    done
    copy_csv m.by_partition_1 | cmp - "$MNT/m/by_partition/partitions/by_partition_1/by_partition_1.csv"
    assert_not_run
}

@test "a superuser's foreign table is read with its children, and refused for what they would run" {
    sql <<END
CREATE SERVER own FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$PGHOST', port '$PGPORT', dbname 'test');
CREATE USER MAPPING FOR postgres SERVER own OPTIONS (user 'postgres', password_required 'false');
CREATE TABLE public.nobody (id int);
CREATE FOREIGN TABLE m.far (id int) SERVER own OPTIONS (schema_name 'public', table_name 'nobody');
CREATE TABLE m.near () INHERITS (m.far);
END
    cat "$MNT/m/far/far.csv" >/dev/null
    sql "ALTER TABLE m.near OWNER TO mallory; SET ROLE mallory; CREATE INDEX ON m.near ((m.quiet(1)))"
    forget_proof
    assert_not_allowed m/far/far.csv 'function m.quiet(integer) of mallory'
    sql "DROP TABLE m.near; DROP SERVER own CASCADE; DROP TABLE public.nobody"
}

@test "a table is not refused for a function of its columns, which planning does not run" {
    for format in csv bin jsonl; do ls "$MNT/m/by_column" | grep -x by_column.$format; done
    copy_csv m.by_column | cmp - "$MNT/m/by_column/by_column.csv"
    [ "$(cat "$MNT/m/by_column/by_column.jsonl")" = '{"a":1,"b":"x"}' ]
    assert_not_run
}

@test "the checks of a table are not evaluated" {
    for table in by_check of_check; do
        copy_csv "(SELECT * FROM m.$table)" >"$E2E/checked"
        forget_proof
        cmp "$E2E/checked" "$MNT/m/$table/$table.csv"
        assert_not_run
    done
    mkdir "$MNT/m/by_check/query/mine"
    cd "$MNT/m/by_check/query/mine"
    echo server >mode
    echo 'a > 1' >filter
    echo '[1,2]' >vector
    grep '"a":2' results.jsonl
    echo auto >mode
    echo '[1,1]' >vector
    grep '"a":2' results.jsonl
    cd "$ROOT"
    rmdir "$MNT/m/by_check/query/mine"
    assert_not_run
}

@test "a view is refused that runs somebody's function, however deep" {
    for view in m/calls m/calls_within public/trusting; do
        assert_listed $view schema.sql
        assert_not_allowed $view/${view#*/}.csv 'function m.proof() of mallory'
        assert_not_allowed $view/${view#*/}.jsonl 'function m.proof() of mallory'
    done
    assert_not_allowed m/operates/operates.csv 'function m.quiet(integer) of mallory'
    assert_not_allowed m/aggregates/aggregates.csv 'of mallory'
    assert_not_allowed m/casts/casts.csv 'function m.quiet(integer) of mallory'
    assert_not_allowed m/makes_json/makes_json.csv 'mood_json(m.mood) of mallory'
    assert_not_allowed m/aggregates_json/aggregates_json.csv 'mood_json(m.mood) of mallory'
    assert_not_allowed m/of_guarded/of_guarded.csv 'function m.proof() of mallory'
    assert_not_allowed m/of_index/of_index.csv 'function m.quiet(integer) of mallory'
}

@test "a view of somebody else's is refused what he may not do, and what does more than compute" {
    assert_not_allowed m/reads_file/reads_file.csv 'pg_read_file(text) at the will of mallory'
    assert_not_allowed m/runs_text/runs_text.csv 'query_to_xml(text,boolean,boolean,text) at the will of mallory'
    assert_not_allowed m/runs_table/runs_table.csv 'of mallory, who is no superuser'
    assert_not_allowed m/ends_others/ends_others.csv 'pg_terminate_backend'
    assert_not_allowed m/loops/loops.csv 'foreign server loop for mallory'
    assert_listed m/loops schema.sql
}

@test "a view of somebody else's does not call by hand what runs what it is told: a type's input, a text, a number" {
    local name
    sql <<'END'
SET ROLE mallory;
SET search_path = m, public;
CREATE TYPE of_told AS (a checked);
CREATE TYPE told_span AS RANGE (SUBTYPE = checked, MULTIRANGE_TYPE_NAME = told_spans);
CREATE FUNCTION told() RETURNS of_told LANGUAGE sql AS $$ SELECT '(5)'::m.of_told $$;
SELECT 'checked'::regtype::oid AS checked, 'of_told'::regtype::oid AS of_told, 'told_span'::regtype::oid AS span,
    'told_spans'::regtype::oid AS spans, 'told'::regproc::oid AS told, 'by_partition_1'::regclass::oid AS part \gset
CREATE VIEW told_domain AS SELECT domain_in('5'::cstring, :checked::oid, -1) IS NULL AS x;
CREATE VIEW told_array AS SELECT array_in('{5}'::cstring, :checked::oid, -1)::text AS x;
CREATE VIEW told_record AS SELECT record_in('(5)'::cstring, :of_told::oid, -1)::text AS x;
CREATE VIEW told_range AS SELECT range_in('[5,6)'::cstring, :span::oid, -1)::text AS x;
CREATE VIEW told_multirange AS SELECT multirange_in('{[5,6)}'::cstring, :spans::oid, -1)::text AS x;
CREATE VIEW told_deep AS SELECT x || '' AS x FROM told_array;
CREATE VIEW told_body AS SELECT fmgr_sql_validator(:told::oid)::text AS x;
CREATE VIEW told_bounds AS SELECT pg_get_partition_constraintdef(:part::oid) AS x;
CREATE VIEW told_statement AS SELECT ts_stat('SELECT m.proof()::text::tsvector')::text AS x;
CREATE VIEW told_rewrite AS SELECT ts_rewrite('a'::tsquery, 'SELECT m.proof()::text::tsquery, NULL::tsquery') AS x;
CREATE VIEW named_columns AS SELECT x.a::int AS x FROM json_to_record('{"a":5}') AS x(a checked);
CREATE VIEW named_table AS SELECT x.a::int AS x FROM xmltable('/r' PASSING ('<r><a>5</a></r>'::xml) COLUMNS a checked) AS x;
SELECT format('CREATE VIEW told_valid AS SELECT pg_input_is_valid(%L, %L) AS x', '5', 'm.checked') WHERE current_setting('server_version_num')::int >= 160000 \gexec
SELECT format('CREATE VIEW told_value AS SELECT JSON_VALUE(%L::jsonb, %L RETURNING m.checked)::int AS x', '5', '$') WHERE current_setting('server_version_num')::int >= 170000 \gexec
RESET ROLE;
CREATE VIEW public.told_too AS SELECT * FROM m.told_domain;
END
    forget_proof
    for name in $(sql "SELECT nspname || '/' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relname ~ '^told_' AND relkind = 'v'"); do
        [ "$name" != m/told_value ] || continue
        assert_not_allowed $name/${name#*/}.csv ' at the will of mallory, who is no superuser'
        assert_listed $name schema.sql
    done
    for name in named_columns named_table $(sql "SELECT relname FROM pg_class WHERE relname = 'told_value'"); do
        assert_not_allowed m/$name/$name.csv 'function m.quiet(integer) of mallory'
    done
    # A superuser's own view is his own affair, and so is a type's input where only the type is named.
    sql <<'END'
CREATE VIEW public.tells AS SELECT array_in('{5}'::cstring, 23, -1)::text AS x;
SET ROLE mallory;
CREATE DOMAIN m.unchecked AS text;
CREATE VIEW m.casts_unchecked AS SELECT v::m.unchecked AS x, ARRAY[v]::m.unchecked[] AS y FROM m.plain;
END
    [ "$(cat "$MNT/public/tells/tells.csv")" = $'x\n{5}' ]
    assert_exact m casts_unchecked
    assert_not_run
}

@test "of the server's functions no view of somebody else's may call one that takes a cstring, nor one that does more than compute" {
    local listed
    sql <<'END'
CREATE SCHEMA walk AUTHORIZATION mallory;
SET ROLE mallory;
SET client_min_messages = error;
DO $$
DECLARE
    f record;
BEGIN
    FOR f IN SELECT p.oid, p.proname, p.provolatile, (SELECT string_agg('NULL::' || CASE
            WHEN t.typname IN ('anyarray', 'anycompatiblearray') THEN 'int[]' WHEN t.typname IN ('anyrange', 'anycompatiblerange') THEN 'int4range'
            WHEN t.typname ~ '^any.*multirange$' THEN 'int4multirange' WHEN t.typname = 'anyenum' THEN 'm.mood'
            WHEN t.typname ~ '^any' THEN 'int' ELSE format_type(t.oid, NULL) END, ', ' ORDER BY i.n)
            FROM unnest(p.proargtypes) WITH ORDINALITY AS i(type, n) JOIN pg_type t ON t.oid = i.type) AS arguments
        FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.oid < 16384 AND p.prokind = 'f'
            AND ('cstring'::regtype = ANY (p.proargtypes) OR p.provolatile = 'v'
                OR p.proargtypes::oid[] && '{regtype,regproc,regprocedure,regclass}'::regtype[]::oid[]
                OR p.provolatile = 's' AND p.proargtypes::oid[] && '{oid,text,name,refcursor,anyelement,"\"any\""}'::regtype[]::oid[])
    LOOP
        BEGIN
            EXECUTE format('CREATE VIEW walk.f%s AS SELECT 1 AS x FROM (SELECT pg_catalog.%I(%s)) AS called', f.oid, f.proname, f.arguments);
        EXCEPTION WHEN OTHERS THEN -- takes or gives what nobody can write
        END;
    END LOOP;
END $$;
END
    [ "$(sql "SELECT count(*) > 300 FROM pg_class WHERE relnamespace = 'walk'::regnamespace")" = t ]
    forget_proof
    find "$MNT/walk" -name '*.csv' -printf '%f\n' >"$E2E/walked"
    listed=$(sed 's/^f\(.*\)\.csv$/\1/' "$E2E/walked" | paste -sd,)
    [ "$(sql "SELECT count(*) FROM pg_proc WHERE oid IN ($listed) AND 'cstring'::regtype = ANY (proargtypes)")" = 0 ]
    [ "$(sql "SELECT string_agg(DISTINCT proname, ' ' ORDER BY proname) FROM pg_proc WHERE oid IN ($listed) AND provolatile = 'v' AND proname !~ '_size$|^uuid|^random'")" = \
        'clock_timestamp currval gen_random_uuid lastval pg_is_in_recovery pg_partition_ancestors pg_partition_tree timeofday' ] || {
        sql "SELECT oid::regprocedure FROM pg_proc WHERE oid IN ($listed) AND provolatile = 'v'" >&2
        return 1
    }
    # What takes the number of an object, a name or a text is one of those that are known.
    sql "SELECT DISTINCT proname FROM pg_proc WHERE oid IN ($listed) AND provolatile <> 'v'" | LC_ALL=C sort >"$E2E/known"
    ! grep -E '_to_xml|valid|satisfies|partition_constraint|input|fmgr|json_to_record|_in$|_recv$' "$E2E/known" || false
    for listed in pg_get_viewdef pg_get_constraintdef to_char to_regclass format_type has_table_privilege to_json concat obj_description; do
        grep -qx $listed "$E2E/known"
    done
    assert_not_run
    sql "DROP SCHEMA walk CASCADE"
}

@test "ordinary views of somebody else's are read" {
    sql <<'END'
SET ROLE mallory;
SET search_path = m, public;
CREATE TABLE by_vector (id int, v vector(2));
INSERT INTO by_vector VALUES (1, '[1,2]');
CREATE VIEW ordinary AS SELECT id, to_char(now() - now(), 'HH24') AS c, date_trunc('day', timestamptz '2020-01-01 10:00+00') AS d,
    'm.plain'::regclass AS r, pg_get_viewdef('m.harmless'::regclass) <> '' AS def, format_type(23, -1) AS f, extract(year FROM timestamptz '2020-05-05') AS y,
    to_tsvector('english', v) @@ plainto_tsquery('english', 'one') AS t, concat(v, '-', id) AS k, format('%s', id) AS g, coalesce(v, 'x') || 'y' AS j,
    has_table_privilege('m.plain', 'SELECT') AS h, pg_typeof(id) AS ty, quote_literal(v) AS q, regexp_replace(v, 'o', 'u') AS s, row_to_json(p) AS o,
    array_to_string(ARRAY[id, 2], ',') AS a, current_setting('server_version_num') AS n, v ~ 'o' AS m, to_date('2020', 'YYYY') AS e, upper(v) AS u,
    pg_relation_size('m.plain') > 0 AS z, (now() AT TIME ZONE 'UTC') IS NOT NULL AS w, jsonb_build_object('a', id) -> 'a' AS b, md5(v) AS i,
    CASE WHEN v LIKE 'o%' THEN v::varchar(2) END AS l, convert_from(convert_to(v, 'UTF8'), 'UTF8') AS x, v::name::text AS nm
    FROM plain p;
CREATE VIEW ordinary_groups AS SELECT json_agg(id ORDER BY id) AS a, jsonb_object_agg(v, id) AS o, string_agg(v, ',' ORDER BY v) AS s, max(v) AS m, count(*) AS n,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY id) AS p, array_agg(v ORDER BY id) AS g, mode() WITHIN GROUP (ORDER BY v) AS mo, bool_or(id > 1) AS b FROM plain;
CREATE VIEW ordinary_series AS SELECT d, row_number() OVER w AS n, lag(d) OVER w AS l FROM generate_series(timestamptz '2020-01-01 00:00+00', '2020-01-03 00:00+00', '1 day') AS d WINDOW w AS (ORDER BY d);
CREATE VIEW ordinary_parts AS SELECT u.n, u.x, j.key, t.w FROM unnest(ARRAY['b', 'a']) WITH ORDINALITY AS u(x, n), jsonb_each_text('{"k": 1}') AS j, regexp_split_to_table('p q', ' ') AS t(w);
CREATE VIEW ordinary_catalog AS SELECT c.relname, obj_description(c.oid, 'pg_class') AS d, pg_get_userbyid(c.relowner) AS o, pg_table_is_visible(c.oid) AS v,
    (SELECT count(*) >= 0 FROM pg_stat_user_tables s WHERE s.relid = c.oid) AS s, (SELECT count(*) >= 0 FROM pg_locks) AS l FROM pg_class c WHERE c.relname = 'plain' AND c.relnamespace = 'm'::regnamespace;
CREATE VIEW ordinary_vectors AS SELECT id, v <-> '[1,1]' AS d, vector_dims(v) AS n FROM by_vector;
END
    for name in ordinary ordinary_groups ordinary_series ordinary_parts ordinary_catalog ordinary_vectors; do
        ls "$MNT/m/$name" | grep -qx $name.csv || { cat "$MNT/m/$name/$name.csv" || getfattr -d "$MNT/m/$name"; } >&2
        copy_csv "(SELECT * FROM m.$name)" | cmp - "$MNT/m/$name/$name.csv"
    done
    assert_not_run
}

@test "what runs nobody's functions is exact" {
    assert_exact m plain
    assert_exact m harmless
    assert_exact m shows_mood
    assert_exact public trusted
    copy_csv '(SELECT * FROM m.has_mood)' | cmp - "$MNT/m/has_mood/has_mood.csv"
    assert_not_allowed m/has_mood/has_mood.jsonl 'mood_json(m.mood) of mallory'
}

@test "a view that is replaced while a read waits for its lock is judged as it is then" {
    sql "SET ROLE mallory; CREATE VIEW m.turns AS SELECT 1 AS x"
    cat "$MNT/m/turns/turns.csv"
    exec 4> >(psql -X -q -At >"$E2E/turns.out" 2>&1)
    echo "BEGIN; SET ROLE mallory; CREATE OR REPLACE VIEW m.turns AS SELECT m.quiet(1) AS x; SELECT 'locked';" >&4
    for _ in $(seq 100); do grep -q locked "$E2E/turns.out" && break; sleep 0.1; done
    cat "$MNT/m/turns/turns.csv" >"$E2E/turns.csv" 2>"$E2E/turns.err" &
    reader=$!
    for _ in $(seq 100); do
        [ "$(sql "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'pgvecfs'")" = 0 ] || break
        sleep 0.1
    done
    echo "COMMIT;" >&4
    exec 4>&-
    ! wait $reader || false
    grep 'Permission denied' "$E2E/turns.err"
    [ ! -s "$E2E/turns.csv" ]
    assert_not_run
}

@test "what no definition names is not run either" {
    sql <<END
SET ROLE mallory;
SET search_path = m, public;
-- checks of domains that are columns of what is made from JSON, and of domains in checks
CREATE TYPE of_checked AS (a checked);
CREATE TABLE with_checked (a checked, c of_checked);
INSERT INTO with_checked VALUES (1, ROW(1));
CREATE VIEW fills_row AS SELECT jsonb_populate_record(t, '{"a":5}')::text AS x FROM with_checked t;
CREATE VIEW fills_column AS SELECT json_populate_record(c, '{"a":5}')::text AS x FROM with_checked t;
CREATE VIEW fills_set AS SELECT (jsonb_populate_recordset(t, '[{"a":5}]')).a::int AS x FROM with_checked t;
CREATE DOMAIN checks_within AS int CHECK ((VALUE::checked)::int >= 0);
CREATE VIEW casts_within AS SELECT id::checks_within AS x FROM plain;
CREATE TYPE span AS RANGE (SUBTYPE = checked, MULTIRANGE_TYPE_NAME = spans);
CREATE TABLE span_texts (v text);
INSERT INTO span_texts VALUES ('{[1,3)}');
CREATE VIEW casts_spans AS SELECT v::spans AS x FROM span_texts;
-- what the planner asks to estimate
CREATE FUNCTION apart(int, int) RETURNS float8 IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN m.proof() + \$1 - \$2; END';
CREATE TYPE far AS RANGE (SUBTYPE = int, SUBTYPE_DIFF = apart, MULTIRANGE_TYPE_NAME = fars);
CREATE TABLE ranges (r far);
INSERT INTO ranges SELECT format('[%s,%s)', i, i + 1 + i % 17)::far FROM generate_series(1, 1000) i;
CREATE VIEW estimates AS SELECT r FROM ranges WHERE r <@ '[5,50)'::far;
-- what it puts in an operator's place
CREATE TABLE digits (id int);
INSERT INTO digits SELECT i % 10 FROM generate_series(1, 1000) i;
CREATE FUNCTION quietly_same(int, int) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN m.proof() + \$1 - 1 = \$2; END';
CREATE OPERATOR !!! (FUNCTION = int4ne, LEFTARG = int, RIGHTARG = int, NEGATOR = ===, RESTRICT = neqsel);
CREATE OPERATOR === (FUNCTION = quietly_same, LEFTARG = int, RIGHTARG = int, NEGATOR = !!!, RESTRICT = eqsel);
CREATE OPERATOR <<<< (FUNCTION = int4lt, LEFTARG = int, RIGHTARG = int, COMMUTATOR = >>>>, RESTRICT = scalarltsel);
CREATE OPERATOR >>>> (FUNCTION = quietly_same, LEFTARG = int, RIGHTARG = int, COMMUTATOR = <<<<, RESTRICT = scalargtsel);
CREATE VIEW negates AS SELECT NOT (id !!! 5) AS x FROM digits;
CREATE VIEW estimates_negator AS SELECT id FROM digits WHERE id !!! 5;
CREATE VIEW estimates_commutator AS SELECT id FROM digits WHERE 5 <<<< id;
CREATE TABLE negates_index (a int);
CREATE INDEX ON negates_index ((NOT (1 !!! 5)));
-- casts that functions of any type look for
CREATE TYPE tone AS ENUM ('low', 'high');
CREATE FUNCTION tone_text(tone) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN m.proof(); END';
CREATE CAST (tone AS text) WITH FUNCTION tone_text(tone);
CREATE TABLE tones (t tone);
INSERT INTO tones VALUES ('low');
CREATE VIEW quotes AS SELECT quote_literal(t) AS x FROM tones;
CREATE VIEW joins_text AS SELECT 'x' || t AS x FROM tones;
CREATE FUNCTION tone_of(int) RETURNS tone IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN CASE m.proof() WHEN \$1 THEN ''low'' END; END';
CREATE CAST (int AS tone) WITH FUNCTION tone_of(int);
CREATE VIEW joins_number AS SELECT 'x' || id AS x FROM plain;
-- policies that FOR UPDATE brings along
CREATE TABLE guarded_writes (id int);
ALTER TABLE guarded_writes ENABLE ROW LEVEL SECURITY;
ALTER TABLE guarded_writes FORCE ROW LEVEL SECURITY;
CREATE POLICY readable ON guarded_writes FOR SELECT USING (true);
CREATE POLICY writable ON guarded_writes FOR UPDATE USING (quiet(1) > 0);
CREATE VIEW for_update AS SELECT * FROM guarded_writes FOR UPDATE;
CREATE VIEW over_guarded_writes AS SELECT * FROM guarded_writes;
ANALYZE ranges, digits;
RESET ROLE;
CREATE VIEW m.negates_too AS SELECT NOT (id OPERATOR(m.!!!) 5) AS x FROM m.digits;
CREATE VIEW m.joins_text_too AS SELECT 'x' || t AS x FROM m.tones;
CREATE SERVER ours FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$PGHOST', port '$PGPORT', dbname 'test');
CREATE USER MAPPING FOR PUBLIC SERVER ours OPTIONS (user 'postgres');
CREATE FOREIGN TABLE m.fills_foreign (id m.checked) SERVER ours OPTIONS (schema_name 'm', table_name 'plain');
END
    forget_proof
    for name in fills_row fills_column fills_set casts_within casts_spans fills_foreign for_update; do
        assert_not_allowed m/$name/$name.csv 'function m.quiet(integer) of mallory'
    done
    assert_not_allowed m/estimates/estimates.csv 'm.apart(integer,integer) of mallory, who is no superuser: type m.far'
    for name in negates estimates_negator estimates_commutator negates_index negates_too; do
        assert_not_allowed m/$name/$name.csv 'm.quietly_same(integer,integer) of mallory'
    done
    for name in quotes joins_text joins_text_too; do
        assert_not_allowed m/$name/$name.csv 'm.tone_text(m.tone) of mallory, who is no superuser: type m.tone has it as its cast to text'
    done
    for name in with_checked ranges digits tones; do
        copy_csv m.$name | cmp - "$MNT/m/$name/$name.csv"
        ls "$MNT/m/$name" | grep -x $name.jsonl
    done
    copy_csv '(SELECT * FROM m.over_guarded_writes)' | cmp - "$MNT/m/over_guarded_writes/over_guarded_writes.csv"
    copy_csv '(SELECT * FROM m.joins_number)' | cmp - "$MNT/m/joins_number/joins_number.csv"
    assert_not_run
}

@test "a question is judged as it is then, too, not only the fetch before it" {
    local name mode n=0
    sql <<'END'
SET ROLE mallory;
CREATE TABLE m.asked (id int PRIMARY KEY, v vector(2));
INSERT INTO m.asked VALUES (1, '[1,2]'), (2, '[3,4]');
CREATE TABLE m.asked_too (LIKE m.asked);
INSERT INTO m.asked_too TABLE m.asked;
CREATE VIEW m.asked_view AS SELECT id, v FROM m.asked_too;
END
    export MNT=$E2E/asked
    CACHE=$E2E/asked.cache mount_start -o lease=100
    for name in asked asked_view; do
        mkdir "$MNT/m/$name/query/mine"
        echo '[1,1]' >"$MNT/m/$name/query/mine/vector"
        echo 'id > 0' >"$MNT/m/$name/query/mine/filter"
        [ "$(wc -l <"$MNT/m/$name/query/mine/results.csv")" = 3 ]
    done
    sql <<'END'
SET ROLE mallory;
CREATE INDEX ON m.asked ((m.quiet(1)));
CREATE OR REPLACE VIEW m.asked_view AS SELECT m.quiet(1) + id - 1 AS id, v FROM m.asked_too;
END
    forget_proof
    for name in asked asked_view; do
        for mode in auto server; do
            echo $mode >"$MNT/m/$name/query/mine/mode"
            echo "[1,$((++n + 1))]" >"$MNT/m/$name/query/mine/vector"
            ! cat "$MNT/m/$name/query/mine/results.csv" || false
            grep 'm.quiet(integer) of mallory' "$MNT/m/$name/query/mine/error"
            assert_not_run
        done
    done
    # Another relation of the same name.
    sql "SET ROLE mallory; DROP TABLE m.asked; CREATE VIEW m.asked AS SELECT m.quiet(1) + id - 1 AS id, v FROM m.asked_too"
    forget_proof
    echo '[1,9]' >"$MNT/m/asked/query/mine/vector"
    ! cat "$MNT/m/asked/query/mine/results.csv" || false
    assert_not_run
    mount_stop
}

@test "the JSON of an answer of the server's is judged as it is then" {
    local session
    sql <<'END'
SET ROLE mallory;
CREATE TYPE m.late AS ENUM ('early', 'late');
CREATE TABLE m.lately (id int PRIMARY KEY, v vector(2), l m.late);
INSERT INTO m.lately VALUES (1, '[1,2]', 'early'), (2, '[3,4]', 'late');
END
    export MNT=$E2E/lately
    CACHE=$E2E/lately.cache mount_start -o lease=100
    session=$MNT/m/lately/query/mine
    mkdir "$session"
    echo server >"$session/mode"
    echo '[1,1]' >"$session/vector"
    [ "$(head -n 1 "$session/results.jsonl")" = '{"id":1,"l":"early","distance":1}' ]
    sql <<'END'
SET ROLE mallory;
CREATE FUNCTION m.late_json(m.late) RETURNS json IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN to_json(m.proof() || $1::text); END $$;
CREATE CAST (m.late AS json) WITH FUNCTION m.late_json(m.late);
END
    forget_proof
    echo '[1,0]' >"$session/vector"
    ! timeout 60 cat "$session/results.jsonl" || false
    grep 'm.late_json(m.late) of mallory' "$session/error"
    assert_not_run
    [ "$(sed -n 2p "$session/results.csv")" = '1,early,2' ] # which needs it not
    echo id >"$session/columns"
    [ "$(head -n 1 "$session/results.jsonl")" = '{"id":1,"distance":2}' ]
    assert_not_run
    mount_stop
}

# What the session $1 answers, its filter being $2: how many rows.
filtered() {
    echo "$2" >"$1/filter"
    timeout 60 tail -n +2 "$1/results.csv" | wc -l
}

# The session $1 refuses the filter $2 for the reason $3.
assert_no_filter() {
    echo "$2" >"$1/filter"
    ! timeout 60 cat "$1/results.csv" || false
    grep -F "$3" "$1/error"
    assert_not_run
}

@test "a filter runs nobody's functions, whatever fits its words better than what it means" {
    local s=$MNT/public/ours/query/mine f
    sql <<'END'
CREATE EXTENSION IF NOT EXISTS citext SCHEMA public;
SET ROLE mallory;
CREATE FUNCTION m.widely(int, int) RETURNS float8 IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN m.proof() + $1 - $2; END';
CREATE TYPE m.wide AS RANGE (SUBTYPE = int, SUBTYPE_DIFF = m.widely, MULTIRANGE_TYPE_NAME = m.wides);
RESET ROLE;
CREATE TABLE public.ours (id int PRIMARY KEY, v vector(2), name varchar(20), c public.citext, m m.mood, d m.checked, r m.wide, j jsonb);
INSERT INTO public.ours SELECT i, ARRAY[i, i]::vector, 'name ' || i, 'C' || i, 'ok', NULL, NULL, '{"a": 1}' FROM generate_series(1, 5) i;
CREATE VIEW public.ours_seen AS SELECT id FROM m.plain;
END
    forget_proof
    mkdir "$s"
    echo '[1,1]' >"$s/vector"
    for f in "name = 'name 2' AND c = 'C2'" "v <-> '[2,2]' = 0" "m = 'ok' AND id IN (SELECT max(id) FROM public.ours_seen)" \
        "j @> '{\"a\": 1}' AND d IS NULL AND EXISTS (SELECT 1 FROM m.plain p WHERE p.id = ours.id AND p.id = 1)" \
        "public.fine(id) = 2 AND name LIKE '%1'" "m::text || 'x' = 'okx' AND id = ANY ('{3}') AND (d = 1 OR name COLLATE \"C\" > 'n')"; do
        [ "$(filtered "$s" "$f")" = 1 ] || { echo "$f" >&2 && cat "$s/error" >&2 && return 1; }
    done
    echo server >"$s/mode"
    [ "$(filtered "$s" "name = 'name 2' AND c = 'C2' AND m = 'ok' AND v <-> '[2,2]' = 0")" = 1 ]
    assert_not_run
    assert_no_filter "$s" 'm.quiet(id) = 1' 'function m.quiet(integer) of mallory'
    echo auto >"$s/mode"
    assert_no_filter "$s" 'm.quiet(id) = 1' 'function m.quiet(integer) of mallory'
    assert_no_filter "$s" 'id IN (SELECT x FROM m.calls)' 'function m.proof() of mallory'
    assert_no_filter "$s" 'id::m.checked = 1' 'function m.quiet(integer) of mallory'
    assert_no_filter "$s" 'to_json(m) IS NOT NULL' 'mood_json(m.mood) of mallory'
    assert_no_filter "$s" 'row_to_json(ours) IS NOT NULL' 'of mallory'
    assert_no_filter "$s" "r <@ '[5,50)'::m.wide" 'm.widely(integer,integer) of mallory'
    assert_no_filter "$s" 'id = (SELECT m.adds(id) FROM m.plain)' 'of mallory'
    assert_no_filter "$s" "array_in('{5}'::cstring, $(sql "SELECT 'm.checked'::regtype::oid"), -1) IS NOT NULL" 'function array_in(cstring,oid,integer), which may run'
    assert_no_filter "$s" "query_to_xml('SELECT m.proof()', true, true, '') IS NOT NULL" 'function query_to_xml(text,boolean,boolean,text), which may run'
    [ "$(filtered "$s" "id = 1 AND to_regclass('m.calls') IS NOT NULL AND current_setting('is_superuser') = 'on'")" = 1 ]
    # What he puts beside the server's own.
    sql <<'END'
GRANT CREATE ON SCHEMA public TO mallory;
SET ROLE mallory;
CREATE FUNCTION m.same(varchar, varchar) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN m.proof() = 1; END';
CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = m.same);
CREATE FUNCTION public.length(varchar) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN m.proof(); END';
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM mallory;
END
    assert_no_filter "$s" "name = 'nothere'" 'function m.same(character varying,character varying) of mallory'
    assert_no_filter "$s" "name IN ('nothere', 'x')" 'm.same'
    assert_no_filter "$s" "length(name) = 6" 'public.length(character varying) of mallory'
    [ "$(filtered "$s" "name OPERATOR(pg_catalog.=) 'name 2'::text")" = 1 ]
    [ "$(filtered "$s" "name LIKE 'name 2'")" = 1 ]
    assert_not_run
    # The server's log has no tree of it.
    ! tail -c +$((LOGGED + 1)) "$E2E/pg/log" | grep -q 'parse tree' || false
    rmdir "$s"
    sql "DROP OPERATOR public.= (varchar, varchar); DROP FUNCTION public.length(varchar)"
}

@test "the mode server takes pgvector's operators, not what fits a varbit or a domain better" {
    local s name
    sql <<'END'
GRANT CREATE ON SCHEMA public TO mallory;
CREATE DOMAIN m.dv AS public.vector;
ALTER DOMAIN m.dv OWNER TO mallory;
CREATE TABLE public.signs (id int PRIMARY KEY, b varbit, v m.dv);
INSERT INTO public.signs VALUES (1, '0101', '[1,1]'), (2, '1111', '[4,5]'), (3, '01', '[7,7]');
SET ROLE mallory;
CREATE FUNCTION m.apart_bits(varbit, bit) RETURNS float8 LANGUAGE plpgsql AS 'BEGIN RETURN m.proof(); END';
CREATE OPERATOR public.<~> (LEFTARG = varbit, RIGHTARG = bit, FUNCTION = m.apart_bits);
CREATE FUNCTION m.apart_too(m.dv, vector) RETURNS float8 LANGUAGE plpgsql AS 'BEGIN RETURN m.proof(); END';
CREATE OPERATOR public.<-> (LEFTARG = m.dv, RIGHTARG = vector, FUNCTION = m.apart_too);
CREATE FUNCTION public.vector_dims(m.dv) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN m.proof() + 1; END';
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM mallory;
END
    forget_proof
    s=$MNT/public/signs/query/mine
    mkdir "$s"
    echo server >"$s/mode"
    echo b >"$s/column"
    echo hamming >"$s/metric"
    echo 0101 >"$s/vector"
    echo 'id < 3' >"$s/filter"
    [ "$(timeout 60 jq -c '[.id, .distance]' "$s/results.jsonl" | xargs)" = '[1,0] [2,2]' ]
    assert_not_run
    rmdir "$s"
    mkdir "$s"
    echo server >"$s/mode"
    echo v >"$s/column"
    echo '[1,1]' >"$s/vector"
    [ "$(timeout 60 head -n 2 "$s/results.jsonl" | jq -c '[.id, .distance]' | xargs)" = '[1,0] [2,5]' ]
    assert_not_run
    rmdir "$s"
    sql "DROP FUNCTION public.vector_dims(m.dv), m.apart_too, m.apart_bits CASCADE"
}

@test "find and cp of the whole tree run nothing" {
    find "$MNT" -ls >/dev/null
    cp -r "$MNT/m/moods" "$E2E/copy"
    [ -s "$E2E/copy/moods.csv" ]
    assert_not_run
}

@test "any other role runs what psql runs, but nothing for .csv and .bin of a table" {
    export MNT=$E2E/reader PGUSER=reader
    CACHE=$E2E/reader.cache mount_start -o lease=0
    copy_csv m.moods | cmp - "$MNT/m/moods/moods.csv"
    psql_pinned -c "COPY m.moods TO STDOUT (FORMAT binary)" | cmp - "$MNT/m/moods/moods.bin"
    stat "$MNT/m/moods/moods.csv" "$MNT/m/moods/moods.bin" >/dev/null
    assert_not_run
    before=$(stat -c '%i %Y %s' "$MNT/m/moods/moods.csv" "$MNT/m/moods/moods.bin")
    assert_listed m/moods manifest.json moods.bin moods.csv moods.jsonl schema.sql
    psql_pinned -c "SELECT row_to_json(whole) FROM m.moods whole" | cmp - "$MNT/m/moods/moods.jsonl"
    has_run
    # Its rows are the same, so it is the same file.
    [ "$(stat -c '%i %Y %s' "$MNT/m/moods/moods.csv" "$MNT/m/moods/moods.bin")" = "$before" ]
    python3 -c "
import json
m = json.load(open('$MNT/m/moods/manifest.json'))
assert m['views']['jsonl']['bytes'] > 0, m"
    # Again without, once its rows are others.
    PGUSER=postgres sql "UPDATE m.moods SET t = 'newer' WHERE id = 8"
    forget_proof
    copy_csv m.moods | cmp - "$MNT/m/moods/moods.csv"
    assert_not_run
    psql_pinned -c "SELECT row_to_json(whole) FROM m.moods whole" | cmp - "$MNT/m/moods/moods.jsonl"
    # A cast that fails takes its own format away, no other.
    PGUSER=postgres sql "CREATE OR REPLACE FUNCTION m.mood_json(m.mood) RETURNS json IMMUTABLE LANGUAGE plpgsql AS \$\$ BEGIN RAISE 'no mood'; END \$\$"
    copy_csv m.moods | cmp - "$MNT/m/moods/moods.csv"
    assert_refused m/moods/moods.jsonl 'no mood'
    copy_csv m.moods | cmp - "$MNT/m/moods/moods.csv"
    for table in by_index calls calls_within operates casts; do
        psql_pinned -c "COPY (SELECT * FROM m.$table) TO STDOUT (FORMAT csv, HEADER)" | cmp - "$MNT/m/$table/$table.csv"
    done
    ls "$MNT/m/calls" | grep -x calls.csv
    [ ! -e "$PROOF" ]
    mount_stop
}

@test "trust=all allows it, and a mount by a superuser says so in one line" {
    export MNT=$E2E/other
    CACHE=$E2E/other.cache mount_start -o lease=0,trust=all 2>"$E2E/said"
    [ "$(grep -c 'is a superuser' "$E2E/said")" = 1 ]
    [ "$(wc -l <"$E2E/said")" = 1 ]
    grep -q 'trust=all' "$E2E/said"
    cat "$MNT/m/moods/moods.csv" >/dev/null
    assert_not_run
    ls "$MNT/m/calls" | grep -x calls.csv
    cat "$MNT/m/calls/calls.csv"
    [ "$(cat "$PROOF")" = postgres ]
    mount_stop
    CACHE=$E2E/other.cache mount_start -o lease=0 2>"$E2E/said"
    [ "$(wc -l <"$E2E/said")" = 1 ]
    grep -q 'SELECT only' "$E2E/said"
    grep -q 'is a superuser' "$MNT/.pgvecfs/log"
    forget_proof
    assert_not_allowed m/calls/calls.csv 'function m.proof() of mallory'
    mount_stop
    PGUSER=reader CACHE=$E2E/other.cache mount_start -o lease=0 2>"$E2E/said"
    [ ! -s "$E2E/said" ]
    ! grep -q 'is a superuser' "$MNT/.pgvecfs/log" || false
    mount_stop
}

@test "who can become a superuser is treated as one" {
    export MNT=$E2E/climber
    sql "CREATE ROLE climber LOGIN; GRANT postgres, pg_read_all_data TO climber"
    PGUSER=climber CACHE=$E2E/climber.cache mount_start -o lease=0
    assert_listed m/calls schema.sql
    assert_refused m/calls/calls.csv 'function m.proof() of mallory'
    mkdir "$MNT/m/by_check/query/mine"
    echo '[1,2]' >"$MNT/m/by_check/query/mine/vector"
    [ "$(filtered "$MNT/m/by_check/query/mine" 'a > 1')" = 1 ]
    assert_no_filter "$MNT/m/by_check/query/mine" 'm.quiet(a) > 1' 'function m.quiet(integer) of mallory'
    mount_stop
}
