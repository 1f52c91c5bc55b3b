#!/usr/bin/env bats
# Every kind of relation, and after every kind of change the next read gives the new bytes.

load helper
load exact

setup_file() {
    server_start
    mount_start -o lease=0
}

teardown_file() { teardown_all; }

# The relation $2 of schema $1 has been read when the SQL $3 runs; then it reads right, and its time has moved.
changes() {
    local file before
    file=$MNT/$1/$2/$2.csv
    cat "$file" "${file%csv}bin" "${file%csv}jsonl" >"$E2E/before"
    before=$(stat -c %Y "$file")
    sql "$3"
    assert_exact "$1" "$2"
    [ "$(stat -c %Y "$file")" -gt "$before" ] || { echo "the time has not moved after: $3" >&2; return 1; }
}

@test "tables without rows, without columns, with 1,600 columns" {
    sql <<'END'
CREATE SCHEMA shape;
SET search_path = shape, public;
CREATE TABLE no_rows (a int, b text, v vector(3));
CREATE TABLE no_columns ();
CREATE TABLE no_columns_rows ();
INSERT INTO no_columns_rows SELECT FROM generate_series(1, 5000);
CREATE TABLE all_dropped (a int, b text);
INSERT INTO all_dropped SELECT i, 'x' FROM generate_series(1, 10) i;
ALTER TABLE all_dropped DROP a, DROP b;
CREATE VIEW no_columns_view AS SELECT FROM generate_series(1, 3);
DO $$ BEGIN
    EXECUTE 'CREATE TABLE wide (' || (SELECT string_agg(format('c%s %s', i, (ARRAY['int', 'bool', 'text'])[1 + i % 3]), ', ') FROM generate_series(1, 1600) i) || ')';
    EXECUTE 'CREATE TABLE wide_json (' || (SELECT string_agg(format('c%s %s', i, (ARRAY['int', 'inet', 'text'])[1 + i % 3]), ', ') FROM generate_series(1, 1600) i) || ')';
END $$;
INSERT INTO wide SELECT (json_populate_record(NULL::wide, json_object_agg('c' || i, CASE i % 3 WHEN 0 THEN '7' WHEN 1 THEN 'true' ELSE 'a,b' END))).* FROM generate_series(1, 1600) i WHERE i < 1590;
INSERT INTO wide DEFAULT VALUES;
INSERT INTO wide_json VALUES ('1.2.3.4', 'x'), ('::1', 'a"b');
CREATE TABLE one_null (a text);
INSERT INTO one_null VALUES (NULL), (''), (NULL);
CREATE TABLE dropped (a int, b text, c vector(2), d text);
INSERT INTO dropped SELECT i, 'b' || i, ARRAY[i, 1]::vector, 'd' FROM generate_series(1, 3000) i;
ALTER TABLE dropped DROP b;
INSERT INTO dropped VALUES (-1, '[0,1]', 'new');
CREATE TABLE generated (a int, double int GENERATED ALWAYS AS (a * 2) STORED, t inet, u text GENERATED ALWAYS AS (upper(host(t))) STORED, id int GENERATED ALWAYS AS IDENTITY);
INSERT INTO generated (a, t) VALUES (1, '1.2.3.4'), (NULL, NULL);
CREATE TABLE only_generated (a int GENERATED ALWAYS AS (7) STORED);
INSERT INTO only_generated DEFAULT VALUES;
CREATE TABLE defaults (a int);
INSERT INTO defaults SELECT generate_series(1, 1000);
ALTER TABLE defaults ADD b text DEFAULT 'fast "default"', ADD v vector(2) DEFAULT '[1,2]', ADD i inet DEFAULT '1.2.3.4';
INSERT INTO defaults VALUES (0, NULL, NULL, NULL);
CREATE UNLOGGED TABLE unlogged AS SELECT generate_series(1, 10) AS x;
CREATE TABLE system_names (a int, "ctid2" int, r int, t int, id int);
INSERT INTO system_names VALUES (1, 2, 3, 4, 5);
CREATE TABLE clash ("*" int, "SELECT" int, "a.b" int, array_agg int, "CASE" inet);
INSERT INTO clash VALUES (1, 2, 3, 4, '1.1.1.1');
CREATE TYPE row_type AS (a int, b text);
CREATE TABLE typed OF row_type;
END
    assert_schema_exact shape
}

@test "inheritance: a parent's file holds the rows of the parent alone" {
    sql <<'END'
CREATE SCHEMA heirs;
SET search_path = heirs;
CREATE TABLE parent (a int, b text);
CREATE TABLE child (c int) INHERITS (parent);
CREATE TABLE grandchild () INHERITS (child);
INSERT INTO parent VALUES (1, 'p');
INSERT INTO child VALUES (2, 'c', 3);
INSERT INTO grandchild VALUES (4, 'g', 5);
CREATE VIEW all_of_them AS SELECT * FROM parent;
END
    assert_schema_exact heirs
    [ "$(wc -l <"$MNT/heirs/parent/parent.jsonl")" -eq 1 ]
    [ "$(ls "$MNT/heirs")" = "$(printf '%s\n' all_of_them child grandchild parent)" ]
    changes heirs parent "DELETE FROM ONLY heirs.parent"
}

@test "partitions" {
    sql <<'END'
CREATE SCHEMA parts;
CREATE SCHEMA elsewhere;
SET search_path = parts, public;
CREATE TABLE ranges (id int, at date, v vector(2), t text) PARTITION BY RANGE (id);
CREATE TABLE ranges_2 PARTITION OF ranges FOR VALUES FROM (100) TO (200);
CREATE TABLE ranges_1 (t text, x int, v vector(2), at date, id int);
ALTER TABLE ranges_1 DROP x;
INSERT INTO ranges_1 SELECT 'old', '[1,2]', '2000-01-01', i FROM generate_series(0, 50) i;
ALTER TABLE ranges ATTACH PARTITION ranges_1 FOR VALUES FROM (0) TO (100);
CREATE TABLE ranges_rest PARTITION OF ranges DEFAULT;
INSERT INTO ranges SELECT i, '2020-01-01'::date + i, ARRAY[i, 0]::vector, 'text ' || i FROM generate_series(51, 3000) i;
CREATE TABLE lists (k text, n int) PARTITION BY LIST (k);
CREATE TABLE lists_b PARTITION OF lists FOR VALUES IN ('b') PARTITION BY HASH (n);
CREATE TABLE lists_b_0 PARTITION OF lists_b FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE elsewhere.lists_b_1 PARTITION OF lists_b FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE lists_b_2 PARTITION OF lists_b FOR VALUES WITH (MODULUS 3, REMAINDER 2);
CREATE TABLE lists_a PARTITION OF lists FOR VALUES IN ('a', NULL);
CREATE TABLE elsewhere.lists_a PARTITION OF lists FOR VALUES IN ('c');
INSERT INTO lists SELECT (ARRAY['a', 'b', NULL, 'c'])[1 + i % 4], i FROM generate_series(1, 1000) i;
CREATE TABLE empty_parent (a int) PARTITION BY RANGE (a);
CREATE TABLE generated (a int, b int GENERATED ALWAYS AS (a + 1) STORED) PARTITION BY RANGE (a);
CREATE TABLE generated_1 PARTITION OF generated FOR VALUES FROM (0) TO (10);
INSERT INTO generated SELECT generate_series(0, 9);
CREATE TABLE one (a int) PARTITION BY RANGE (a);
CREATE TABLE one_1 PARTITION OF one DEFAULT;
INSERT INTO one VALUES (1);
END
    assert_schema_exact parts
    assert_schema_exact elsewhere
    [ "$(ls "$MNT/parts")" = "$(printf '%s\n' empty_parent generated lists one ranges)" ]
    [ -z "$(ls "$MNT/elsewhere")" ]
    [ "$(ls "$MNT/parts/lists/partitions")" = "$(printf '%s\n' elsewhere%2Elists_a lists_a lists_b)" ]
    [ "$(ls "$MNT/parts/lists/partitions/lists_b/partitions" | tr '\n' ' ')" = "elsewhere%2Elists_b_1 lists_b_0 lists_b_2 " ]
    ! stat "$MNT/parts/ranges_1" || false
    ! ls "$MNT/parts/ranges" | grep -q partitions || false
    changes parts ranges "ALTER TABLE parts.ranges DETACH PARTITION parts.ranges_1"
    assert_exact parts ranges_1
    stat "$MNT/parts/ranges_1" >/dev/null
    ! stat "$MNT/parts/ranges/partitions/ranges_1" || false
    changes parts ranges "ALTER TABLE parts.ranges ATTACH PARTITION parts.ranges_1 FOR VALUES FROM (0) TO (100)"
    assert_exact parts ranges_1
    changes parts ranges "TRUNCATE parts.ranges_2"
    changes parts ranges "UPDATE parts.ranges_rest SET t = 'changed' WHERE id = 3000"
    changes parts lists "CREATE TABLE parts.lists_d PARTITION OF parts.lists FOR VALUES IN ('d'); INSERT INTO parts.lists VALUES ('d', 1)"
    changes parts lists "DROP TABLE elsewhere.lists_a"
}

@test "foreign tables, and as leaves" {
    local file=$PGHOST/foreign.csv # the server can read what stands beside its socket, and it goes with it
    printf 'a,"b,c"\n1,"x\ny"\n2,\n3,""\n' >"$file"
    chmod 644 "$file"
    sql <<END
CREATE SCHEMA far;
CREATE EXTENSION file_fdw;
CREATE EXTENSION postgres_fdw;
SET search_path = far, public;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$PGHOST', port '$PGPORT', dbname 'test');
CREATE USER MAPPING FOR postgres SERVER loop OPTIONS (user 'postgres');
CREATE FOREIGN TABLE file (a int, "b,c" text) SERVER files OPTIONS (filename '$file', format 'csv', header 'true');
CREATE FOREIGN TABLE missing (a int) SERVER files OPTIONS (filename '/nonexistent/file', format 'csv');
CREATE TABLE origin (id int, v vector(2), n numeric, t timestamptz);
INSERT INTO origin SELECT i, ARRAY[i, 0.5]::vector, i / 7.0, '2000-01-01 00:00+00'::timestamptz + i * interval '1 hour' FROM generate_series(100, 2000) i;
CREATE FOREIGN TABLE remote (id int, v vector(2), n numeric, t timestamptz) SERVER loop OPTIONS (schema_name 'far', table_name 'origin');
CREATE TABLE sharded (id int, v vector(2), n numeric, t timestamptz) PARTITION BY RANGE (id);
CREATE TABLE sharded_here PARTITION OF sharded FOR VALUES FROM (0) TO (100);
INSERT INTO sharded VALUES (1, '[1,1]', 1, 'infinity');
ALTER TABLE sharded ATTACH PARTITION remote FOR VALUES FROM (100) TO (10000);
END
    assert_schema_exact far
    ls "$MNT/far/sharded/partitions/remote"
    changes far sharded "UPDATE far.origin SET n = -1 WHERE id = 500"
    assert_exact far remote
    echo '4,d' >>"$file"
    assert_exact far file
    rm "$file"
    assert_exact far file
}

@test "views and materialized views" {
    sql <<'END'
CREATE SCHEMA seen;
SET search_path = seen, public;
CREATE TABLE base (id int PRIMARY KEY, v vector(3), j json, i inet, g int GENERATED ALWAYS AS (id + 1) STORED);
INSERT INTO base SELECT i, ARRAY[i, i / 3.0, 1]::vector, json_build_object('i', i), '10.0.0.0'::inet + i FROM generate_series(1, 3000) i;
CREATE VIEW view AS SELECT * FROM base ORDER BY id DESC;
CREATE VIEW near AS SELECT id, v <-> '[1,2,3]' AS distance, v, v::halfvec(3) AS h, ROW(id, v)::text AS r FROM base ORDER BY 2, 1 LIMIT 20;
CREATE VIEW of_view AS SELECT count(*), sum(id), avg(v) FROM view;
CREATE VIEW literals AS VALUES (NULL::text, 1, '\.'), ('', 2, NULL);
CREATE VIEW secure WITH (security_barrier) AS SELECT id FROM base WHERE id < 5;
CREATE MATERIALIZED VIEW kept AS SELECT id, v, j FROM base WHERE id % 2 = 0;
CREATE MATERIALIZED VIEW never AS SELECT 1 AS x WITH NO DATA;
CREATE VIEW of_never AS SELECT * FROM never;
CREATE RECURSIVE VIEW counting (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM counting WHERE n < 5000;
END
    assert_schema_exact seen
    assert_refused seen/never/never.csv 'has not been populated'
    changes seen view "UPDATE seen.base SET j = E'[1,\n2]' WHERE id = 7"
    cp "$MNT/seen/kept/kept.jsonl" "$E2E/kept.before"
    sql "UPDATE seen.base SET j = '\"refreshed\"' WHERE id = 8"
    assert_exact seen kept
    cmp "$MNT/seen/kept/kept.jsonl" "$E2E/kept.before"
    changes seen kept "REFRESH MATERIALIZED VIEW seen.kept"
    sql "REFRESH MATERIALIZED VIEW seen.never"
    assert_exact seen never
    changes seen view "CREATE OR REPLACE VIEW seen.view AS SELECT * FROM seen.base WHERE id < 10 ORDER BY id"
    changes seen never "REFRESH MATERIALIZED VIEW seen.never WITH NO DATA" || true
    assert_exact seen never
}

@test "row level security: all rows or an error" {
    sql <<'END'
CREATE SCHEMA guarded;
CREATE ROLE limited LOGIN;
CREATE TABLE guarded.rows (id int, owner text);
INSERT INTO guarded.rows VALUES (1, 'limited'), (2, 'postgres');
ALTER TABLE guarded.rows ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON guarded.rows USING (owner = current_user);
CREATE VIEW guarded.through AS SELECT * FROM guarded.rows;
CREATE TABLE guarded.parent (id int) PARTITION BY RANGE (id);
CREATE TABLE guarded.leaf PARTITION OF guarded.parent DEFAULT;
INSERT INTO guarded.parent VALUES (1), (2);
ALTER TABLE guarded.leaf ENABLE ROW LEVEL SECURITY;
CREATE TABLE guarded.open (id int);
INSERT INTO guarded.open VALUES (1);
GRANT USAGE ON SCHEMA guarded TO limited;
GRANT SELECT ON ALL TABLES IN SCHEMA guarded TO limited;
END
    assert_schema_exact guarded # of the owner
    MNT=$E2E/limited CACHE=$E2E/limited.cache PGUSER=limited mount_start -o lease=0
    export MNT=$E2E/limited PGUSER=limited
    assert_refused guarded/rows/rows.csv 'row-level security'
    assert_refused guarded/rows/rows.bin 'row-level security'
    assert_refused guarded/rows/rows.jsonl 'row-level security'
    assert_refused guarded/parent/partitions/leaf/leaf.csv 'row-level security'
    [ "$(cat "$MNT/guarded/open/open.csv")" = "$(printf 'id\n1')" ]
    # As owner the view sees everything; and a parent's own policies count, not those of its leaves.
    diff <(printf 'id,owner\n1,limited\n2,postgres\n') "$MNT/guarded/through/through.csv"
    diff <(printf 'id\n1\n2\n') "$MNT/guarded/parent/parent.csv"
    MNT=$MNT mount_stop
}

@test "values out of line, compressed or not, and large rows" {
    sql <<'END'
CREATE SCHEMA toast;
SET search_path = toast, public;
CREATE TABLE t (id int, plain text, packed text, v vector(3000), b bytea, j jsonb);
ALTER TABLE t ALTER plain SET STORAGE EXTERNAL;
INSERT INTO t SELECT i, repeat(md5(i::text), i * 50), repeat('x', i * 1000), array_agg((i * k % 97) / 7.0)::vector, decode(repeat(md5(i::text), i * 50), 'hex'),
    jsonb_build_object('k', repeat('y', i * 100)) FROM generate_series(1, 100) i, generate_series(1, 3000) k GROUP BY i ORDER BY i;
UPDATE t SET packed = 'short' WHERE id % 3 = 0;
END
    assert_schema_exact toast
    changes toast t "UPDATE toast.t SET plain = plain || '!' WHERE id = 50"
}

@test "after every change the next read is right" {
    sql <<'END'
CREATE SCHEMA fresh;
SET search_path = fresh, public;
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN amount AS numeric;
CREATE TABLE t (id int PRIMARY KEY, n int, m mood, p pair, v vector(2), c regclass, s text, a amount, e mood[]);
CREATE INDEX t_n ON t (n);
INSERT INTO t SELECT i, -i, (ARRAY['sad', 'happy'])[1 + i % 2]::mood, ROW(i, 'x')::pair, ARRAY[i, 1]::vector, 'fresh.t', 'text', 1.5, '{sad}' FROM generate_series(1, 500) i;
END
    changes fresh t "INSERT INTO fresh.t VALUES (0)"
    changes fresh t "UPDATE fresh.t SET s = 'other' WHERE id = 400"
    changes fresh t "DELETE FROM fresh.t WHERE id = 17"
    [ "$(wc -l <"$MNT/fresh/t/t.jsonl")" -eq 500 ]
    changes fresh t "CLUSTER fresh.t USING t_n"
    sql "VACUUM FULL fresh.t" && assert_exact fresh t
    changes fresh t "ALTER TYPE fresh.mood RENAME VALUE 'sad' TO 'blue'"
    changes fresh t "ALTER TABLE fresh.t RENAME n TO \"new name\""
    changes fresh t "ALTER TABLE fresh.t ALTER \"new name\" TYPE numeric(10,2)"
    changes fresh t "ALTER TABLE fresh.t ADD d text DEFAULT 'default'"
    changes fresh t "ALTER TABLE fresh.t ADD r float DEFAULT 0.5, DROP s"
    changes fresh t "ALTER TYPE fresh.pair ADD ATTRIBUTE c int"
    changes fresh t "ALTER TYPE fresh.pair RENAME ATTRIBUTE b TO \"B\""
    changes fresh t "ALTER TABLE fresh.t ALTER v TYPE halfvec(2)"
    # t prints its own name, by which it is looked up below
    sql "CREATE TABLE fresh.other AS SELECT id, 'fresh.t'::regclass AS c FROM fresh.t WHERE id < 5"
    assert_exact fresh other
    sql "ALTER TABLE fresh.t RENAME TO t2"
    assert_exact fresh other
    sql "ALTER TABLE fresh.t2 RENAME TO t"
    changes fresh t "TRUNCATE fresh.t"
    changes fresh t "INSERT INTO fresh.t (id) VALUES (1)"
    changes fresh t "BEGIN; TRUNCATE fresh.t; INSERT INTO fresh.t (id) VALUES (2); COMMIT"
    sql "DROP TABLE fresh.t; CREATE TABLE fresh.t (id int); INSERT INTO fresh.t VALUES (2)"
    assert_exact fresh t
    sql "DROP TABLE fresh.t"
    ! stat "$MNT/fresh/t/t.csv" || false
    sql "CREATE VIEW fresh.t AS SELECT 5 AS five"
    assert_exact fresh t
    sql "ALTER TABLE fresh.other RENAME c TO id2; BEGIN; ALTER TABLE fresh.other RENAME id TO x; ALTER TABLE fresh.other RENAME id2 TO id; ALTER TABLE fresh.other RENAME x TO id2; COMMIT"
    assert_exact fresh other
    sql "ALTER TABLE fresh.other SET SCHEMA public"
    absent() { ! stat "$1" >/dev/null 2>&1; }
    within 5 absent "$MNT/fresh/other" # a directory that was there a moment ago is taken to be there
    assert_exact public other
}

@test "what is not committed is not seen" {
    sql "CREATE SCHEMA open; CREATE TABLE open.t AS SELECT 1 AS x"
    assert_exact open t
    coproc psql -X -q -At
    echo "BEGIN; INSERT INTO open.t VALUES (2); SELECT 'done';" >&"${COPROC[1]}"
    read -r said <&"${COPROC[0]}"
    [ "$said" = done ]
    [ "$(cat "$MNT/open/t/t.csv")" = "$(printf 'x\n1')" ]
    echo "COMMIT; SELECT 'done';" >&"${COPROC[1]}"
    read -r said <&"${COPROC[0]}"
    [ "$(cat "$MNT/open/t/t.csv")" = "$(printf 'x\n1\n2')" ]
    kill "$COPROC_PID"
    assert_exact open t
}
