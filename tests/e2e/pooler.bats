#!/usr/bin/env bats
# Through a pooler in transaction mode, whose sessions are those of other clients a moment later.
load helper

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 <<'END'
CREATE TABLE t (id int PRIMARY KEY, v text, i interval, d timestamptz, f float8);
INSERT INTO t SELECT g, md5(g::text), g * interval '1 day 2 hours', '2026-01-01'::timestamptz + g * interval '1 hour', 1.0 / g FROM generate_series(1, 5000) g;
CREATE TABLE big (id int, v text);
INSERT INTO big SELECT g, repeat(md5(g::text), 60) FROM generate_series(1, 30000) g;
CREATE TABLE items (id int PRIMARY KEY, price int, v vector(3));
INSERT INTO items SELECT g, g % 100, ARRAY[g, g % 7, 1]::float4[]::vector FROM generate_series(1, 500) g;
CREATE VIEW cheap AS SELECT id, price FROM items WHERE price < 50 ORDER BY id;
CREATE VIEW slow AS SELECT 1 AS a, pg_sleep(120)::text AS b;
CREATE TABLE secret (id int); INSERT INTO secret VALUES (1), (2);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY first_only ON secret USING (id = 1);
CREATE TABLE parts (id int, v text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (500);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (500) TO (5000);
INSERT INTO parts SELECT g, md5(g::text) FROM generate_series(1, 4000) g;
CREATE TYPE locks AS ENUM ('a', 'b');
CREATE FUNCTION locks_json(locks) RETURNS json IMMUTABLE LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_lock(42), pg_advisory_lock_shared(-42, 1); RETURN to_json($1::text); END $$;
CREATE CAST (locks AS json) WITH FUNCTION locks_json(locks);
CREATE TABLE casts (id int, l locks);
INSERT INTO casts SELECT g, 'a' FROM generate_series(1, 100) g;
CREATE FUNCTION locked(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_lock(43); RETURN $1; END $$;
CREATE TABLE plans (id int); INSERT INTO plans VALUES (1);
CREATE INDEX ON plans ((locked(1)));
CREATE ROLE reader LOGIN;
CREATE ROLE more BYPASSRLS; CREATE ROLE less; GRANT more, less TO reader; GRANT USAGE ON SCHEMA public TO more, less;
CREATE VIEW me AS SELECT current_user AS name, current_setting('lc_time') AS locale;
GRANT SELECT ON secret, me TO more, less;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
ALTER ROLE reader SET IntervalStyle = 'iso_8601';
ALTER ROLE reader SET extra_float_digits = -3;
ALTER ROLE reader SET work_mem = '5MB';
VACUUM ANALYZE;
END
}

teardown_file() { teardown_all; }

teardown() {
    if mountpoint -q "$MNT"; then mount_stop; fi
    rm -rf "$CACHE"
    pooler_stop
}

# Everything that the sessions of the server may have been left with: $1 of them, at once.
left_behind() {
    local i
    for ((i = 0; i < $1; i++)); do
        pooled -c "BEGIN; SELECT pg_sleep(0.3) IS NULL, '[1]'::vector; SELECT name, setting FROM pg_settings WHERE name !~ '^transaction_' ORDER BY 1;
            SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
            SELECT count(*) FROM pg_prepared_statements; SELECT count(*) FROM pg_cursors; SELECT pg_my_temp_schema();
            SELECT count(*) FROM pg_listening_channels(); COMMIT" || return
    done
}

same_as_on_the_server() {
    local format
    for format in csv bin jsonl; do
        "reference_$format" "public.$1" >"$BATS_TEST_TMPDIR/expected"
        timeout 60 cat "$MNT/public/$1/$1.$format" >"$BATS_TEST_TMPDIR/got"
        assert_same_bytes "$BATS_TEST_TMPDIR/got" "$BATS_TEST_TMPDIR/expected"
    done
}

everything() {
    local t s=$MNT/public/items/query/q
    for t in t items cheap parts big; do same_as_on_the_server $t; done
    timeout 60 ls -lR "$MNT/public/t" "$MNT/public/items" "$MNT/public/cheap" >/dev/null
    # A policy that hides rows is an error, never a file with fewer of them.
    run timeout 60 cat "$MNT/public/secret/secret.csv"
    [[ $output == *"Permission denied"* ]]
    run timeout 60 cat "$MNT/public/secret/select/id.csv"
    [[ $output == *"Permission denied"* ]]
    for t in t parts; do
        psql_pinned -c "COPY (SELECT v, id FROM public.$t) TO STDOUT (FORMAT csv, HEADER)" >"$BATS_TEST_TMPDIR/expected"
        timeout 60 cat "$MNT/public/$t/select/v,id.csv" >"$BATS_TEST_TMPDIR/got"
        assert_same_bytes "$BATS_TEST_TMPDIR/got" "$BATS_TEST_TMPDIR/expected"
    done
    psql_pinned -c "SELECT row_to_json(whole) FROM (SELECT * FROM public.t WHERE id = 7) whole" >"$BATS_TEST_TMPDIR/expected"
    timeout 60 cat "$MNT/public/t/rows/7.json" >"$BATS_TEST_TMPDIR/got"
    assert_same_bytes "$BATS_TEST_TMPDIR/got" "$BATS_TEST_TMPDIR/expected"
    [ "$(timeout 60 ls "$MNT/public/t/rows" | wc -l)" -eq "$(psql -X -q -At -c "SELECT 2 * count(*) FROM t")" ]
    timeout 60 cat "$MNT/public/t/parts/csv/"* >/dev/null
    timeout 60 zstd -dc "$MNT/public/t/t.csv.zst" | cmp - "$MNT/public/t/t.csv"
    timeout 60 tail -c 6 "$MNT/public/items/items.arrow" | grep -q ARROW1
    timeout 60 head -c 6 "$MNT/public/items/columns/v.npy" | grep -q NUMPY
    mkdir "$s"
    echo '[5,5,1]' >"$s/vector"
    echo "price < 3 AND pg_catalog.set_config('work_mem', '9MB', false) IS NOT NULL" >"$s/filter"
    [ "$(timeout 60 cat "$s/results.csv" | wc -l)" = 11 ]
    echo server >"$s/mode"
    [ "$(timeout 60 cat "$s/results.csv" | wc -l)" = 11 ]
    rmdir "$s"
    [ "$(timeout 60 cat "$MNT/public/items/query/near/v/l2/5/7.csv" | wc -l)" = 6 ]
    psql -X -q -c "UPDATE t SET v = v || '!' WHERE id % 1000 = 0; UPDATE parts SET v = 'x' WHERE id = 700"
    same_as_on_the_server t
    same_as_on_the_server parts
    [ "$(timeout 60 head -n 3 "$MNT/public/big/big.csv" | wc -l)" = 3 ]
}

@test "one session of the server: all is right, and nothing is left behind" {
    pooler_start 1 reader
    left_behind 1 >"$BATS_TEST_TMPDIR/before"
    pooled_mount -o lease=0,jobs=8
    everything
    left_behind 3 | sort | uniq -c | awk '{ $1 = ""; print }' >"$BATS_TEST_TMPDIR/after"
    diff <(sort "$BATS_TEST_TMPDIR/before" | uniq -c | awk '{ $1 = ""; print }') "$BATS_TEST_TMPDIR/after"
}

@test "advisory locks that a filter takes go, and those of others stay" {
    local held="SELECT string_agg(mode || ' ' || classid || ' ' || objid || ' ' || objsubid, ', ' ORDER BY objid) FROM pg_locks WHERE locktype = 'advisory'"
    local s=$MNT/public/items/query/q
    pooler_start 1 reader
    pooled -c "SELECT pg_advisory_lock(5)" >"$BATS_TEST_TMPDIR/out"
    pooled_mount -o lease=0
    mkdir "$s"
    echo '[5,5,1]' >"$s/vector"
    echo "id < 4 AND pg_advisory_lock(7) IS NOT NULL AND pg_advisory_lock_shared(-8) IS NOT NULL
        AND pg_advisory_lock(-9, id) IS NOT NULL AND pg_advisory_lock_shared(9, -10) IS NOT NULL AND pg_advisory_xact_lock(11) IS NOT NULL" >"$s/filter"
    [ "$(timeout 60 cat "$s/results.csv" | wc -l)" = 4 ]
    [ "$(psql -X -At -c "$held")" = 'ExclusiveLock 0 5 1' ]
    echo server >"$s/mode"
    [ "$(timeout 60 cat "$s/results.csv" | wc -l)" = 4 ]
    [ "$(psql -X -At -c "$held")" = 'ExclusiveLock 0 5 1' ]
    # Those of a filter that fails, too.
    echo "pg_advisory_lock(7) IS NOT NULL AND 1 / (id - 1) > 0" >"$s/filter"
    ! timeout 60 cat "$s/results.csv" || false
    [ "$(psql -X -At -c "$held")" = 'ExclusiveLock 0 5 1' ]
    rmdir "$s"
}

@test "advisory locks that a table's casts and its planning take go, and those of others stay" {
    local held="SELECT string_agg(mode || ' ' || classid || ' ' || objid || ' ' || objsubid, ', ' ORDER BY objid) FROM pg_locks WHERE locktype = 'advisory'"
    only_others_are_held() { [ "$(psql -X -At -c "$held")" = 'ExclusiveLock 0 5 1' ]; }
    nothing_is_held() { [ "$(psql -X -At -c "$held")" = '' ]; }
    pooler_start 1 reader
    pooled -c "SELECT pg_advisory_lock(5)" >"$BATS_TEST_TMPDIR/out"
    pooled_mount -o lease=0
    [ "$(timeout 60 sed -n '$p' "$MNT/public/casts/casts.jsonl")" = '{"id":100,"l":"a"}' ]
    within 20 only_others_are_held
    [ "$(timeout 60 cat "$MNT/public/plans/plans.csv")" = $'id\n1' ]
    within 20 only_others_are_held
    mount_stop
    only_others_are_held
    pooler_stop
    within 20 nothing_is_held
    PGUSER=reader mount_start -o lease=0
    [ "$(timeout 60 sed -n '$p' "$MNT/public/casts/casts.jsonl")" = '{"id":100,"l":"a"}' ]
    [ "$(timeout 60 cat "$MNT/public/plans/plans.csv")" = $'id\n1' ]
    within 20 nothing_is_held
    [ "$(psql -X -At -c "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'pgvecfs'")" = t ]
}

@test "two sessions of the server, with workers that join" {
    pooler_start 2 reader
    left_behind 1 >"$BATS_TEST_TMPDIR/before"
    pooled_mount -o lease=0,jobs=8
    everything
    left_behind 4 | sort | uniq -c | awk '{ $1 = ""; print }' >"$BATS_TEST_TMPDIR/after"
    diff <(sort "$BATS_TEST_TMPDIR/before" | uniq -c | awk '{ $1 = ""; print }') "$BATS_TEST_TMPDIR/after"
}

@test "who another client of the pool has become, and left the session so, reads nothing for us" {
    local role other
    other=$(psql -X -At -c "SELECT CASE current_setting('lc_time') WHEN 'C' THEN 'POSIX' ELSE 'C' END")
    pooler_start 1 reader
    pooled_mount -o lease=0,rls=filter
    ls -R "$MNT" >"$BATS_TEST_TMPDIR/tree"
    cat "$MNT/public/me/me.csv" >"$BATS_TEST_TMPDIR/me"
    grep -q '^reader,' "$BATS_TEST_TMPDIR/me"
    for role in more less; do
        pooled -c "SET ROLE $role; SET lc_time = '$other'"
        psql -X -q -c "INSERT INTO secret VALUES (3); UPDATE t SET v = '$role' WHERE id = 2"
        ls -R "$MNT" | diff - "$BATS_TEST_TMPDIR/tree"
        [ "$(cat "$MNT/public/secret/secret.csv")" = $'id\n1' ]
        cat "$MNT/public/me/me.csv" | diff - "$BATS_TEST_TMPDIR/me"
        same_as_on_the_server t
        [ "$(pooled -c "SELECT current_user || ' ' || current_setting('lc_time')")" = "$role $other" ]
    done
}

@test "settings that another client of the pool has left decide nothing, and stay" {
    local s=$MNT/public/items/query/q view out=$BATS_TEST_TMPDIR
    psql -X -q -v ON_ERROR_STOP=1 <<'END'
CREATE EXTENSION pg_trgm;
CREATE SCHEMA told;
CREATE TABLE told.docs AS SELECT g AS id, 'the runner number ' || g || ' is running past houses' AS body FROM generate_series(1, 20) g;
CREATE VIEW told.words AS SELECT id, to_tsvector(body)::text AS words FROM told.docs WHERE id < 4;
CREATE VIEW told.alike AS SELECT id FROM told.docs WHERE body % 'running houses';
CREATE VIEW told.settings AS SELECT current_setting('application_name') AS name, current_setting('work_mem') AS memory,
    current_setting('statement_timeout') AS limited, current_setting('my.own', true) AS own;
GRANT USAGE ON SCHEMA told TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA told TO reader;
ALTER DATABASE test SET default_text_search_config = 'pg_catalog.english';
ALTER ROLE reader SET my.own = 'set';
ALTER ROLE reader SET statement_timeout = '50s';
END
    pooler_start 1 reader
    pooled_mount -o lease=0
    cp "$MNT"/told/*/*.csv "$out"
    [ "$(wc -l <"$out/alike.csv")" = 21 ]
    grep -q "'run':" "$out/words.csv"
    [ "$(sed -n 2p "$out/settings.csv")" = pgvecfs,5MB,50s,set ]
    mkdir "$s"
    echo '[5,5,1]' >"$s/vector"
    echo "price < 3 AND to_tsvector('running') @@ 'run' AND 'a running house' % 'running houses'" >"$s/filter"
    [ "$(cat "$s/results.csv" | wc -l)" = 11 ]
    local left="SELECT concat_ws(' ', current_setting('default_text_search_config'), current_setting('pg_trgm.similarity_threshold'), current_setting('work_mem'),
        current_setting('statement_timeout'), current_setting('my.own'), current_setting('application_name'))"
    pooled -c "SET default_text_search_config = 'pg_catalog.simple'; SET pg_trgm.similarity_threshold = 0.95; SET work_mem = '7MB'" \
        -c "SET statement_timeout = '40s'; SET my.own = 'another'; SET DateStyle = 'German'; SET enable_indexscan = off" -c "$left" >"$out/left"
    psql -X -q -c 'INSERT INTO told.docs VALUES (21, $$running houses$$); UPDATE items SET price = price; UPDATE t SET v = v WHERE id = 3; CREATE TABLE told.later (); GRANT SELECT ON told.later TO reader'
    within 5 test -d "$MNT/told/later" # the catalog is asked, too
    for view in words settings; do cmp "$MNT/told/$view/$view.csv" "$out/$view.csv"; done
    [ "$(cat "$MNT/told/alike/alike.csv" | wc -l)" = 22 ]
    [ "$(cat "$s/results.csv" | wc -l)" = 11 ]
    echo server >"$s/mode"
    [ "$(cat "$s/results.csv" | wc -l)" = 11 ]
    rmdir "$s"
    same_as_on_the_server t
    [ "$(cat "$MNT/public/t/rows/3.json" | wc -l)" = 1 ]
    pooled -c "$left" | diff "$out/left" -
    grep -q 'simple 0.95 7MB 40s another' "$out/left"
    psql -X -q -c 'DROP SCHEMA told CASCADE' -c 'DROP EXTENSION pg_trgm' -c 'ALTER DATABASE test RESET default_text_search_config' \
        -c 'ALTER ROLE reader RESET my.own' -c 'ALTER ROLE reader RESET statement_timeout'
}

@test "temporary tables of another client of the pool are not found, whatever they are called" {
    local s=$MNT/public/items/query/q
    psql -X -q -v ON_ERROR_STOP=1 <<'END'
CREATE SCHEMA own;
CREATE TABLE own.words (w text); INSERT INTO own.words VALUES ('right');
CREATE FUNCTION own.words() RETURNS SETOF text STABLE LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT w FROM words; END';
CREATE VIEW own.vw AS SELECT own.words() AS w;
CREATE TABLE own.policed (id int); INSERT INTO own.policed VALUES (1), (2);
ALTER TABLE own.policed ENABLE ROW LEVEL SECURITY;
CREATE POLICY first ON own.policed USING (id = 1 AND 'right' IN (SELECT own.words()));
GRANT USAGE ON SCHEMA own TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA own TO reader;
ALTER ROLE reader SET search_path = pg_temp, "$user", OWN, public;
END
    # Each catalog and each type of the server's.
    local shadows="DO \$\$ DECLARE n text; BEGIN
        FOR n IN SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v')
            UNION SELECT typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typname !~ '^_'
        LOOP EXECUTE format('CREATE TEMP TABLE %I (shadow pg_catalog.int4)', n); END LOOP; END \$\$"
    pooler_start 1 reader
    pooled -c "CREATE TEMP TABLE words AS SELECT 'somebody else''s' AS w; CREATE TEMP TABLE items AS SELECT 1 AS id, 2 AS price" -c "$shadows"
    pooled_mount -o lease=0,rls=filter
    [ "$(cat "$MNT/own/vw/vw.csv")" = $'w\nright' ]
    [ "$(cat "$MNT/own/vw/vw.jsonl")" = '{"w":"right"}' ]
    [ "$(cat "$MNT/own/policed/policed.csv")" = $'id\n1' ]
    same_as_on_the_server t
    same_as_on_the_server cheap
    same_as_on_the_server parts
    mkdir "$s"
    echo '[5,5,1]' >"$s/vector"
    echo "price < 3 AND EXISTS (SELECT FROM words WHERE w = 'right') AND (SELECT count(*) FROM items) = 500" >"$s/filter"
    [ "$(timeout 60 cat "$s/results.csv" | wc -l)" = 11 ]
    echo server >"$s/mode"
    [ "$(timeout 60 cat "$s/results.csv" | wc -l)" = 11 ]
    rmdir "$s"
    mount_stop
    pooler_stop
    # A superuser's mount asks more of the catalogs.
    pooler_start 1 postgres
    pooled -c "$shadows"
    pooled_mount -o lease=0
    same_as_on_the_server cheap
    same_as_on_the_server items
    mount_stop
    pooler_stop
    psql -X -q -c "ALTER ROLE reader SET search_path = ''"
    pooler_start 1 reader
    pooled_mount -o lease=0
    same_as_on_the_server cheap
    mount_stop
    psql -X -q -c 'ALTER ROLE reader RESET search_path' -c 'DROP SCHEMA own CASCADE'
}

@test "many tables at once over one session of the server" {
    local t pids=()
    pooler_start 1 reader
    pooled_mount -o lease=0,jobs=8
    for t in t items parts big cheap; do
        timeout 60 cat "$MNT/public/$t/$t.csv" >"$BATS_TEST_TMPDIR/$t.csv" &
        pids+=($!)
    done
    for t in "${pids[@]}"; do wait "$t"; done
    for t in t items parts big cheap; do
        reference_csv "public.$t" >"$BATS_TEST_TMPDIR/expected"
        assert_same_bytes "$BATS_TEST_TMPDIR/$t.csv" "$BATS_TEST_TMPDIR/expected"
    done
}

@test "what the cache cannot hold gives its session of the server to who waits for it at the pooler" {
    pooler_start 1 reader
    pooled_mount -o lease=0,jobs=4,cache_size=1M
    exec 7<"$MNT/public/big/big.csv"
    dd bs=4096 count=1 status=none <&7 >"$BATS_TEST_TMPDIR/begin"
    same_as_on_the_server t
    reference_csv public.big >"$BATS_TEST_TMPDIR/expected"
    timeout 60 cat <&7 >>"$BATS_TEST_TMPDIR/begin"
    exec 7<&-
    assert_same_bytes "$BATS_TEST_TMPDIR/begin" "$BATS_TEST_TMPDIR/expected"
}

@test "where the pooler keeps our look for who waits, a read point that is held lets go all the same" {
    local held="SELECT count(*) FROM pg_locks WHERE relation = 'big'::regclass AND granted"
    pooler_start 1 reader
    pooled_mount -o lease=60,jobs=1,cache_size=0
    reference_csv public.big >"$BATS_TEST_TMPDIR/expected"
    stat "$MNT/public/big/big.csv" >/dev/null
    exec 7<"$MNT/public/big/big.csv"
    dd bs=4096 count=1 status=none <&7 >"$BATS_TEST_TMPDIR/begin"
    [ "$(psql -X -At -c "$held")" -ge 1 ]
    PGAPPNAME=locker timeout 30 psql -X -q -v ON_ERROR_STOP=1 -c "BEGIN; LOCK TABLE big; COMMIT" 7<&-
    grep -q "has ended: pid .* (locker) waits for a lock on public.big" "$MNT/.pgvecfs/log"
    cat <&7 >>"$BATS_TEST_TMPDIR/begin"
    exec 7<&-
    assert_same_bytes "$BATS_TEST_TMPDIR/begin" "$BATS_TEST_TMPDIR/expected"
}

asleep() { [ "$(psql -X -At -c "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader' AND wait_event = 'PgSleep'")" = "$1" ]; }

@test "a statement that nobody waits for is ended through the pooler" {
    pooler_start 2 reader
    pooled_mount -o lease=0
    cat "$MNT/public/slow/slow.csv" >/dev/null 2>&1 3>&- &
    within 20 asleep 1
    kill $!
    wait $! || true
    within 30 asleep 0 # the fetch goes on for ten seconds; the view would sleep for two minutes
    same_as_on_the_server t
}
