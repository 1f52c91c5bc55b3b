#!/usr/bin/env bats
# Settings and encodings of the database change what they should, and nothing else.

load helper
load exact

setup_file() {
    # A locale with another money than C's, whatever the machine has, and where the server's user can read it.
    export LOCALES
    LOCALES=$(mktemp -d "${TMPDIR:-/tmp}/pgvecfs-locales.XXXXXX")
    chmod 755 "$LOCALES"
    localedef -c -i de_DE -f UTF-8 "$LOCALES/de_DE.utf8" >/dev/null 2>&1 || true
    LOCPATH=$LOCALES:/usr/lib/locale server_start
    sql <<'END'
CREATE SCHEMA s;
CREATE TYPE s.odd AS ENUM ('a');
CREATE TABLE s.t (d date, ts timestamp, tz timestamptz, i interval, f4 float4, f8 float8, b bytea, x xml, m money, c regclass, n numeric, e s.odd, v vector(2), "Quoted" regtype,
    j json, tr tstzrange, a timestamptz[], q regproc);
INSERT INTO s.t VALUES ('2024-02-03', '2024-02-03 04:05:06.7', '2024-02-03 04:05:06.7+08', '1 year 2 mons -3 days 04:05:06', 0.1, 1/3.0, '\xdeadbeef5c', '<a>é</a>', 1234.5,
    's.t', 1.50, 'a', '[0.1,1e-7]', 's.odd', '{"é": 1}', '[2024-02-03 04:05:06+08,)', ARRAY['2024-02-03 04:05:06+08'::timestamptz], 'vector_in');
CREATE TABLE s.large AS SELECT i, repeat('x', 100) AS t FROM generate_series(1, 30000) i;
END
}

teardown_file() {
    teardown_all
    rm -rf "$LOCALES"
}

teardown() {
    PGOPTIONS='-c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0' psql -X -q -c 'ALTER DATABASE test RESET ALL' -c 'ALTER ROLE postgres RESET ALL' || true
    local path
    while read -r path; do MNT=$path mount_stop || true; done < <(mounts_below)
}

# Copies what the mount shows to $1, but for pg_dump's keys, which are each cache's own.
keep() {
    mkdir "$1" && cp "$MNT"/s/t/*.* "$MNT"/s/large/large.* "$1" && rm "$1/manifest.json" && sed -i '/^\\\(un\)\?restrict /d' "$1/schema.sql"
}

@test "settings of the database and of the role" {
    mount_start
    assert_schema_exact s
    keep "$E2E/before"
    mount_stop
    sql <<'END'
ALTER DATABASE test SET DateStyle = 'SQL, DMY';
ALTER DATABASE test SET IntervalStyle = 'iso_8601';
ALTER DATABASE test SET search_path = s, public, pg_catalog;
ALTER DATABASE test SET bytea_output = 'escape';
ALTER DATABASE test SET extra_float_digits = -5;
ALTER DATABASE test SET TimeZone = 'Asia/Kathmandu';
ALTER DATABASE test SET xmlbinary = 'hex';
ALTER DATABASE test SET quote_all_identifiers = on;
ALTER DATABASE test SET client_encoding = 'LATIN1';
ALTER DATABASE test SET statement_timeout = '1ms';
ALTER DATABASE test SET lock_timeout = '1ms';
ALTER DATABASE test SET idle_in_transaction_session_timeout = '1ms';
ALTER DATABASE test SET default_transaction_isolation = 'serializable';
ALTER DATABASE test SET default_transaction_deferrable = on;
ALTER ROLE postgres SET synchronize_seqscans = on;
ALTER ROLE postgres SET backslash_quote = on;
ALTER ROLE postgres SET escape_string_warning = off;
ALTER ROLE postgres SET array_nulls = off;
ALTER ROLE postgres SET xmloption = 'document';
ALTER ROLE postgres SET transform_null_equals = on;
ALTER ROLE postgres SET enable_tidscan = off;
ALTER ROLE postgres SET enable_seqscan = off;
ALTER ROLE postgres SET row_security = on;
ALTER ROLE postgres SET datestyle = 'German';
ALTER ROLE postgres SET default_transaction_read_only = on;
ALTER ROLE postgres SET lc_messages = 'C';
SELECT current_setting('server_version_num')::int >= 140000 AS has_toast_compression, current_setting('server_version_num')::int < 190000 AS has_old_strings \gset
\if :has_toast_compression
ALTER ROLE postgres SET default_toast_compression = 'pglz';
\endif
\if :has_old_strings
ALTER ROLE postgres SET standard_conforming_strings = off;
\endif
END
    export MNT=$E2E/mnt2 CACHE=$E2E/cache2
    PGOPTIONS='-c intervalstyle=sql_standard -c timezone=Pacific/Apia' PGDATESTYLE='Postgres, MDY' PGTZ=Asia/Tokyo PGCLIENTENCODING=EUC_JP mount_start
    keep "$E2E/after"
    mount_stop
    # Each cache has keys of its own.
    diff -r -I '^\\\(un\)\?restrict [0-9a-f]*$' "$E2E/before" "$E2E/after"
}

@test "money is printed as the database says" {
    [ -e "$LOCALES/de_DE.utf8" ] || skip "there is nothing to make a locale from"
    sql "ALTER DATABASE test SET lc_monetary = 'de_DE.utf8'"
    [[ $(sql "SELECT m FROM s.t") == "1.234,50 €" ]]
    mount_start
    assert_exact s t
}

@test "money is printed as the server says since it has read its configuration anew, which takes no transaction" {
    [ -e "$LOCALES/de_DE.utf8" ] || skip "there is nothing to make a locale from"
    sql "CREATE TABLE s.coins AS SELECT 1234.5::money AS m"
    mount_start -o lease=0
    [ "$(tail -n 1 "$MNT/s/coins/coins.csv")" = '"$1,234.50"' ]
    sql "ALTER SYSTEM SET lc_monetary = 'de_DE.utf8'"
    sql "SELECT pg_reload_conf()"
    within 20 sh -c "psql -X -q -At -c 'SELECT m FROM s.coins' | grep -q €"
    [ "$(tail -n 1 "$MNT/s/coins/coins.csv")" = '"1.234,50 €"' ]
    sql "ALTER SYSTEM RESET lc_monetary"
    sql "SELECT pg_reload_conf()"
    within 20 sh -c "! psql -X -q -At -c 'SELECT m FROM s.coins' | grep -q €"
    [ "$(tail -n 1 "$MNT/s/coins/coins.csv")" = '"$1,234.50"' ]
    sql "DROP TABLE s.coins"
}

@test "money is printed in one way in a file, whichever way the connections have begun with" {
    [ -e "$LOCALES/de_DE.utf8" ] || skip "there is nothing to make a locale from"
    sql "CREATE TABLE s.much AS SELECT i, repeat('x', 1000) AS t, i::money AS m FROM generate_series(1, 40000) i"
    mount_start -o lease=0,jobs=4
    cat "$MNT/s/t/t.csv" >/dev/null
    sql "ALTER DATABASE test SET lc_monetary = 'de_DE.utf8'"
    local euros
    euros=$(grep -c € "$MNT/s/much/much.csv") || true
    [ "$euros" = 0 ] || [ "$euros" = 40000 ]
    [ "$(tail -n +2 "$MNT/s/much/much.csv" | wc -l)" = 40000 ]
    sql "DROP TABLE s.much"
}

# Database $1, made in encoding $2, with names and values beyond ASCII.
other_database() {
    sql "CREATE DATABASE $1 TEMPLATE template0 ENCODING '$2' LOCALE 'C'"
    PGDATABASE=$1 sql <<END
CREATE EXTENSION vector;
CREATE SCHEMA "$3";
SET search_path = "$3", public;
CREATE TYPE "e$3" AS ENUM ('$3', 'b');
CREATE TYPE "c$3" AS ("f$3" text, g "e$3");
CREATE DOMAIN "d$3" AS varchar;
CREATE TABLE "t$3" (id int, "col$3" text, v varchar(9), b char(4), n name, e "e$3", c "c$3", d "d$3", j json, jb jsonb, a text[], x xml, q "char", w vector(2), by bytea, h tsvector);
INSERT INTO "t$3" VALUES (1, '$3', '$3', '$3', '$3', '$3', ROW('$3', 'b'), '$3,', E'{"$3":\\n"$3"}', '{"$3": "$3"}', ARRAY['$3', 'a"b'], '<a>$3</a>', 'x', '[1,2]', '\\x00ff', '$3'),
    (2, '', '"$3"', '', '', 'b', ROW(NULL, NULL), '\\.', 'null', '[]', '{}', '', '', '[0,0]', '', '');
INSERT INTO "t$3" (id) VALUES (3);
CREATE VIEW "v$3" AS SELECT *, '$3' AS "$3" FROM "t$3";
CREATE TABLE "p$3" (k text, n int) PARTITION BY LIST (k);
CREATE TABLE "l$3" PARTITION OF "p$3" FOR VALUES IN ('$3');
INSERT INTO "p$3" VALUES ('$3', 1);
CREATE TABLE plain (a int, b inet);
INSERT INTO plain VALUES (1, '::1');
END
}

@test "a database in LATIN1" {
    other_database latin LATIN1 é
    export PGDATABASE=latin
    mount_start
    assert_schema_exact é
    grep -q 'é' "$MNT/é/té/té.csv"
    grep -q $'\xe9' "$MNT/é/té/té.bin"
    grep -q 'colé' "$MNT/é/té/schema.sql"
    python3 -c "import json; assert json.load(open('$MNT/é/té/manifest.json', encoding='utf-8'))['schema'] == 'é'"
}

@test "a database in EUC_JP" {
    other_database japan EUC_JP 漢字
    export PGDATABASE=japan
    mount_start
    assert_schema_exact 漢字
    [ "$(ls "$MNT" | grep -v -e restore.sql -e public)" = 漢字 ]
}

@test "a database in WIN1251" {
    other_database russian WIN1251 Ж
    export PGDATABASE=russian
    mount_start
    assert_schema_exact Ж
}

@test "a database in SQL_ASCII" {
    other_database ascii SQL_ASCII é
    PGDATABASE=ascii psql -X -q <<'END'
CREATE SCHEMA bad;
CREATE TABLE bad.t (id int, t text);
INSERT INTO bad.t VALUES (1, E'fine'), (2, E'caf\xe9');
CREATE TABLE bad.i (id int, t text, i inet);
INSERT INTO bad.i VALUES (1, E'\xff', '::1');
CREATE TABLE bad.fine (id int, t text, i inet, "é" text);
INSERT INTO bad.fine VALUES (1, 'é', '::1', 'b');
CREATE TABLE bad.near (id int PRIMARY KEY, t text, v vector(1));
INSERT INTO bad.near VALUES (1, 'é', '[1]');
DO $$ BEGIN EXECUTE E'CREATE TABLE bad.named (id int, "caf\xe9" text)'; END $$;
INSERT INTO bad.named VALUES (1, 'a');
END
    export PGDATABASE=ascii
    mount_start
    assert_schema_exact é
    assert_exact bad fine
    for t in t i; do
        diff <(PGCLIENTENCODING=SQL_ASCII reference_bin bad.$t | md5sum) <(md5sum <"$MNT/bad/$t/$t.bin")
        diff <(PGCLIENTENCODING=SQL_ASCII reference_csv bad.$t | md5sum) <(md5sum <"$MNT/bad/$t/$t.csv")
        assert_refused bad/$t/$t.jsonl 'UTF'
    done
    diff <(PGCLIENTENCODING=SQL_ASCII reference_csv bad.named | md5sum) <(md5sum <"$MNT/bad/named/named.csv")
    python3 - "$MNT/bad/named" <<'PYTHON'
import json, sys
with open(sys.argv[1] + "/manifest.json", encoding="utf-8") as file:
    assert [c["name"] for c in json.load(file)["columns"]] == ["id", "caf\ufffd"]
with open(sys.argv[1] + "/named.jsonl", encoding="utf-8") as file:
    assert json.load(file) == {"id": 1, "caf\ufffd": "a"}
PYTHON
    # An answer of the server's is as the files are, also of a row that came after them.
    local session=$MNT/bad/near/query/mine
    mkdir "$session"
    echo server >"$session/mode"
    echo '[1]' >"$session/vector"
    [ "$(cat "$session/results.jsonl")" = '{"id":1,"t":"é","distance":0}' ]
    PGDATABASE=ascii psql -X -q -c "INSERT INTO bad.near VALUES (2, E'caf\\xe9', '[1]')"
    echo 2 >"$session/k"
    ! cat "$session/results.jsonl" || false
    grep 'UTF' "$session/error"
    [ "$(sort "$session/results.csv" | sed -n '2,3p')" = $'2,caf\xe9,0\nid,t,distance' ]
    mount_stop
}
