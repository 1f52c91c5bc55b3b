#!/usr/bin/env bats
# Names: how they are written in the mount, what they are in headers, keys and DDL; and which relations appear at all.

load helper
load exact

setup_file() {
    server_start
    sql <<'END'
CREATE TABLE public.name (kind text, name text);
INSERT INTO name SELECT 'odd', unnest(ARRAY['a b', 'q"q', '''', '"', 'a/b', '/', '//', '%', '%2F', '%41', 'a%', '.', '..', '.hidden', '...', 'a.b', 'a.csv',
    E'back\\slash', E'new\nline', E'\n', E'tab\t', E'\x01', E'\x1f\x7f', 'é', U&'e\0301', '漢字', '😀', U&'\200B', U&'\FEFF', repeat('x', 63), repeat('é', 31), repeat('😀', 15),
    repeat(E'\x01', 63), repeat('/', 63), 'UPPER', 'Mixed', 'upper', ';drop table name', '$(touch x)', '`touch x`', '*', '?', '[a-z]', '-rf', '--', '~', '!', '#', '\.', ' ', '  ',
    'trailing ', ' leading', 'select', 'table', 'null', '1', 'a,b', 'a''b"c', '$1', '%s', '%1$I', ':x', ':"x"', '{}', '(', E'\r\n', 'manifest.json', 'schema.sql', 'partitions',
    'query', '.pgvecfs', 'ctid', 'pg_temp', U&'\009B31m', U&'\0085', U&'rtl\202Egnp', U&'\200F\200E', U&'\2066x\2069', U&'\061C', U&'.\202C']);
SET client_min_messages = warning;
-- a schema of each name, with a table t; a table of each name, with a column of each name
CREATE SCHEMA odd;
DO $$
DECLARE n record; columns text; wide text;
BEGIN
    SELECT string_agg(format('%I %s', name, (ARRAY['int', 'text', 'inet', 'vector(2)'])[1 + i % 4]), ', ' ORDER BY i) INTO wide
    FROM (SELECT name, row_number() OVER () AS i FROM name WHERE name <> 'ctid') t;
    FOR n IN SELECT name FROM name WHERE name <> 'pg_temp' LOOP
        EXECUTE format('CREATE SCHEMA %I', n.name);
        EXECUTE format('CREATE TABLE %I.t (x int)', n.name);
        EXECUTE format('INSERT INTO %I.t VALUES (1)', n.name);
        EXECUTE format('CREATE TABLE odd.%I (%s, last inet)', n.name, CASE WHEN n.name = 'ctid' THEN 'a int' ELSE format('%I int', n.name) END);
        EXECUTE format('INSERT INTO odd.%I VALUES (1, ''1.2.3.4''), (NULL, NULL)', n.name);
    END LOOP;
    CREATE SCHEMA columns;
    EXECUTE format('CREATE TABLE columns.t (%s)', wide);
    EXECUTE format('CREATE VIEW columns.v AS SELECT * FROM columns.t');
    INSERT INTO columns.t VALUES ('a,"b', '1.2.3.4', '[1,2]', 5), (NULL, NULL, NULL, NULL);
    EXECUTE format('CREATE TYPE columns.c AS (%s)', (SELECT string_agg(format('%I int', name), ', ') FROM name));
    CREATE TABLE columns.u AS SELECT NULL::columns.c AS c UNION ALL SELECT jsonb_populate_record(NULL::columns.c, '{"a b": 1, "*": 2}');
END $$;
-- partitions of odd names
CREATE SCHEMA "odd/parts";
CREATE TABLE "odd/parts"."%" (a int) PARTITION BY LIST (a);
CREATE TABLE "odd/parts".".leaf" PARTITION OF "odd/parts"."%" FOR VALUES IN (1);
CREATE TABLE "a/b"."leaf.2" PARTITION OF "odd/parts"."%" FOR VALUES IN (2);
CREATE TABLE "/"."%2F" PARTITION OF "odd/parts"."%" FOR VALUES IN (3);
INSERT INTO "odd/parts"."%" VALUES (1), (2), (3);
END
    mount_start -o lease=0
}

teardown_file() { teardown_all; }

# The names below $1, each with a NUL byte behind it.
names_in() { find "$1" -mindepth 1 -maxdepth 1 -printf '%f\0' | LC_ALL=C sort -z; }

@test "tables and columns of odd names" {
    assert_schema_exact odd
    assert_schema_exact columns
    psql_pinned -0 -c "$exact_functions" -c "SELECT pg_temp.file_name(relname) COLLATE \"C\" FROM pg_class WHERE relnamespace = 'odd'::regnamespace AND relkind = 'r' ORDER BY 1" >"$E2E/names"
    names_in "$MNT/odd" | cmp - "$E2E/names"
    [ -d "$MNT/odd/%2E." ]
    [ -d "$MNT/odd/%2Ehidden" ]
    [ -d "$MNT/odd/a%2Fb" ]
    [ -d "$MNT/odd/%252F" ]
    [ -d "$MNT/odd/new%0Aline" ]
    [ -d "$MNT/odd/%1F%7F" ]
    [ -d "$MNT/odd/%C2%9B31m" ]
    [ -d "$MNT/odd/rtl%E2%80%AEgnp" ]
    [ -f "$MNT/odd/-rf/-rf.csv" ]
    ! [ -e x ] || false
}

@test "schemas of odd names" {
    assert_exact_where "c.relname = 't' AND n.nspname NOT IN ('columns')"
    psql_pinned -0 -c "$exact_functions" -c "SELECT pg_temp.file_name(nspname) COLLATE \"C\" FROM pg_namespace WHERE NOT starts_with(nspname, 'pg_') AND nspname <> 'information_schema' UNION ALL SELECT 'restore.sql' ORDER BY 1" >"$E2E/names"
    names_in "$MNT" | grep -zvx restore.sql >"$E2E/seen"
    grep -zvx restore.sql "$E2E/names" | cmp - "$E2E/seen"
}

@test "partitions of odd names" {
    assert_schema_exact odd/parts
    assert_exact_where "c.relispartition"
    [ "$(ls "$MNT/odd%2Fparts/%25/partitions" | LC_ALL=C sort | tr '\n' ' ')" = '%2Eleaf %2F%2E%252F a%2Fb%2Eleaf.2 ' ]
}

@test "a name written in another way does not exist" {
    for name in 'a%2fb' '%2f' '%61%20b' 'a%20b' '%25%32%46' '%' '%4' '%00' '%0' '%zz' 'a%2Eb' '.hidden' '%2e' '%2E%2E' '%C3%A9' 'UPPER ' 'Upper' 'é.' 'new%0aline' '%2G' $'\xff' $'new\nline' \
        $'\u0085' $'rtl\u202Egnp' '%C2%85x' '%e2%80%8f' '%E2%80%8F' '%E2%80%8B' '%C2'; do
        run stat "$MNT/odd/$name"
        [ "$status" -ne 0 ] && [[ $output == *"No such file"* ]] || { echo "$name: $output"; return 1; }
        run stat "$MNT/$name"
        [ "$status" -ne 0 ] && [[ $output == *"No such file"* ]] || { echo "schema $name: $output"; return 1; }
    done
    for file in a%2Fb/a%2fb.csv a%2Fb/a%2Fb.CSV a%2Fb/x.csv a%2Fb/a%2Fb a%2Fb/a%2Fb. a%2Fb/a%2Fb.csv.csv a%2Fb/.csv a%2Fb/Schema.sql; do
        run stat "$MNT/odd/$file"
        [ "$status" -ne 0 ] && [[ $output == *"No such file"* ]] || { echo "$file: $output"; return 1; }
    done
}

@test "schema.sql of odd names loads into a new database" {
    local listed="SELECT encode(convert_to(relname || attname, 'UTF8'), 'base64'), attnum, atttypid::regtype FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid
        WHERE attnum > 0 AND relkind = 'r' AND relnamespace IN ('odd'::regnamespace, 'columns'::regnamespace) AND relname <> 'u' ORDER BY relname COLLATE \"C\", attnum"
    listed=${listed//base64/hex}
    sql 'CREATE DATABASE again'
    # As pg_dump -t, schema.sql has neither the schemas nor types of users.
    PGDATABASE=again sql 'CREATE SCHEMA odd; CREATE SCHEMA columns; CREATE SCHEMA "odd/parts"; CREATE SCHEMA "a/b"; CREATE SCHEMA "/"'
    for folder in "$MNT"/odd/[!a-zA-Z]*/ "$MNT/columns/t" "$MNT/odd%2Fparts/%25"; do
        cat "$folder/schema.sql"
    done >"$E2E/schema.sql"
    PGDATABASE=again psql -X -q -v ON_ERROR_STOP=0 -f "$E2E/schema.sql" >/dev/null 2>"$E2E/errors"
    if grep 'ERROR' "$E2E/errors" | grep -v 'extension "vector" already exists' >&2; then return 1; fi
    PGDATABASE=again sql "$listed" >"$E2E/again"
    [ -s "$E2E/again" ]
    # What is here, is there; and the mount's own names say so, too.
    sql "$listed" | grep -Fxf "$E2E/again" | diff "$E2E/again" -
    [ "$(PGDATABASE=again sql "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'odd'::regnamespace")" -eq "$(ls -d "$MNT"/odd/[!a-zA-Z]*/ | wc -l)" ]
}

@test "manifest.json of odd names" {
    python3 - "$MNT/odd" <<'END'
import json, os, sys
folders = sorted(os.listdir(sys.argv[1]))[::4]
for folder in folders:
    with open(f"{sys.argv[1]}/{folder}/manifest.json", encoding="utf-8") as f:
        m = json.load(f)
    turns = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    written = b"".join(b"".join(b"%%%02X" % b for b in c.encode())
                       if c in "%/" + turns or ord(c) < 32 or 127 <= ord(c) <= 159 or (c == "." and i == 0) else c.encode()
                       for i, c in enumerate(m["name"]))
    assert written == os.fsencode(folder), (written, folder)
    assert m["schema"] == "odd" and m["rows"] == 2 and m["columns"][-1] == {"name": "last", "type": "inet"}, m
assert len(folders) > 15
END
    [ "$(python3 -c "import json; print(len(json.load(open('$MNT/columns/t/manifest.json'))['columns']))")" = "$(sql "SELECT count(*) - 1 FROM name")" ]
}

@test "only what the role may read appears" {
    sql <<'END'
CREATE ROLE reader LOGIN;
CREATE SCHEMA shown;
CREATE SCHEMA closed;
GRANT USAGE ON SCHEMA shown TO reader;
CREATE TABLE shown.yes (a int, b text);
CREATE TABLE shown.no (a int);
CREATE TABLE shown.all_columns (a int, b text, gone int);
ALTER TABLE shown.all_columns DROP gone;
CREATE TABLE shown.one_column (a int, b text);
CREATE TABLE shown.later (a int);
CREATE TABLE closed.t (a int);
CREATE VIEW shown.view AS SELECT * FROM shown.no;
CREATE TABLE shown.parent (a int) PARTITION BY LIST (a);
CREATE TABLE shown.seen_leaf PARTITION OF shown.parent FOR VALUES IN (1);
CREATE TABLE shown.unseen_leaf PARTITION OF shown.parent FOR VALUES IN (2);
CREATE TABLE shown.unseen_parent (a int) PARTITION BY LIST (a);
CREATE TABLE shown.orphan PARTITION OF shown.unseen_parent FOR VALUES IN (1);
CREATE SEQUENCE shown.sequence;
CREATE TYPE shown.composite AS (a int);
CREATE INDEX some_index ON shown.yes (a);
INSERT INTO shown.yes VALUES (1, 'x');
INSERT INTO shown.all_columns VALUES (1, 'y');
INSERT INTO shown.no VALUES (7);
INSERT INTO shown.parent VALUES (1), (2);
INSERT INTO shown.unseen_parent VALUES (1);
GRANT SELECT ON shown.yes, shown.view, shown.parent, shown.seen_leaf, shown.orphan, closed.t TO reader;
GRANT SELECT (a, b) ON shown.all_columns TO reader;
GRANT SELECT (a) ON shown.one_column TO reader;
GRANT INSERT, UPDATE ON shown.no TO reader;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
END
    # Schemas that PUBLIC may not use do not appear; the extension's functions are not needed to read these.
    export MNT=$E2E/reader PGUSER=reader
    CACHE=$E2E/reader.cache mount_start -o lease=0
    [ "$(ls "$MNT" | grep -v restore.sql)" = shown ]
    [ "$(ls "$MNT/shown" | tr '\n' ' ')" = "all_columns orphan parent view yes " ]
    [ "$(ls "$MNT/shown/parent/partitions" | tr '\n' ' ')" = "seen_leaf " ]
    for absent in no one_column later parent/partitions/unseen_leaf unseen_parent sequence composite some_index; do
        ! stat "$MNT/shown/$absent" || { echo "$absent appears"; return 1; }
    done
    ! stat "$MNT/closed/t" || false
    ! stat "$MNT/public" || false
    assert_exact_where "n.nspname = 'shown' AND c.relname IN ('yes', 'view', 'parent', 'seen_leaf')"
    assert_exact shown all_columns
    diff <(printf 'a\n1\n') "$MNT/shown/orphan/orphan.csv"
    diff <(printf 'a\n1\n2\n') "$MNT/shown/parent/parent.csv"
    PGUSER=postgres sql "GRANT SELECT ON shown.later TO reader; REVOKE SELECT ON shown.yes FROM reader"
    sleep 1.1 # directories' attributes are kept for a second
    ls "$MNT/shown" | grep -x later
    ! ls "$MNT/shown" | grep -x yes || false
    ! cat "$MNT/shown/yes/yes.csv" || false
    diff <(echo a) "$MNT/shown/later/later.csv"
    PGUSER=postgres sql "REVOKE USAGE ON SCHEMA shown FROM reader"
    sleep 1.1
    [ -z "$(ls "$MNT" | grep -v restore.sql)" ]
    ! cat "$MNT/shown/later/later.csv" || false
    mount_stop
}

@test "system schemas, chosen schemas, lists and formats" {
    [ "$(ls "$MNT" | grep -c -e '^pg_' -e information_schema)" = 0 ]
    ! stat "$MNT/pg_catalog" || false
    export MNT=$E2E/other CACHE=$E2E/other.cache
    mount_start -o system -o lease=0
    ls "$MNT" | grep -x pg_catalog
    ls "$MNT" | grep -x information_schema
    ! ls "$MNT" | grep -x pg_toast || false
    diff <(psql_pinned -c 'COPY pg_catalog.pg_cast TO STDOUT (FORMAT csv, HEADER)') "$MNT/pg_catalog/pg_cast/pg_cast.csv"
    assert_exact_where "n.nspname = 'pg_catalog' AND c.relname IN ('pg_am', 'pg_class', 'pg_type', 'pg_enum', 'pg_range', 'pg_attrdef', 'pg_index', 'pg_aggregate', 'pg_description')
        OR n.nspname = 'information_schema' AND c.relname IN ('sql_features', 'schemata')"
    mount_stop
    mount_start -o schemas=odd+columns
    [ "$(ls "$MNT" | grep -v restore.sql | tr '\n' ' ')" = "columns odd " ]
    ! stat "$MNT/public" || false
    mount_stop
    mount_start -o formats=csv
    [ "$(ls "$MNT/columns/t" | grep ^t)" = t.csv ]
    diff <(reference_bin columns.t | md5sum) <(md5sum <"$MNT/columns/t/t.bin")
    diff <(reference_tsv columns.t) "$MNT/columns/t/t.tsv"
    python3 -c "import json; assert list(json.load(open('$MNT/columns/t/manifest.json'))['views']) == ['csv']"
    mount_stop
    mount_start -o formats=tsv+bin
    [ "$(ls "$MNT/columns/t" | grep ^t | tr '\n' ' ')" = "t.bin t.tsv " ]
    python3 -c "import json; assert list(json.load(open('$MNT/columns/t/manifest.json'))['views']) == ['bin', 'tsv']"
    mount_stop
    mount_start
    [ "$(ls "$MNT/columns/t" | grep ^t | tr '\n' ' ')" = "t.bin t.csv t.jsonl " ]
    mount_stop
    mount_start -o list=partitions
    ls "$MNT/odd%2Fparts/%25" | grep -x partitions
    ! ls "$MNT/columns/t" | grep -x partitions || false
    mount_stop
}
