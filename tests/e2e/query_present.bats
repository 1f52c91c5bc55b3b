#!/usr/bin/env bats
# Answers that the server has a part in, and what is asked of its catalog: of one state of the table, and of the present one. One
# mount with a long lease, one without, one as a role that is no superuser.

load helper

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE elsewhere (a int);
CREATE TABLE chosen (id int);
INSERT INTO chosen VALUES (1), (2);
CREATE TABLE seen (id int PRIMARY KEY, n int, v vector(2));
INSERT INTO seen SELECT i, 0, format('[%s,0]', i)::vector FROM generate_series(1, 20) i;
CREATE TABLE busy (id int PRIMARY KEY, n int, v vector(2));
INSERT INTO busy SELECT i, 0, format('[%s,0]', i)::vector FROM generate_series(1, 20) i;
CREATE TABLE others (id int PRIMARY KEY, v vector(2));
INSERT INTO others SELECT i, format('[%s,0]', i)::vector FROM generate_series(1, 9) i;
CREATE TABLE parted (id int, part int, v vector(2), PRIMARY KEY (part, id)) PARTITION BY RANGE (part);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (5);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (5) TO (100);
INSERT INTO parted SELECT i, i, format('[%s,0]', i)::vector FROM generate_series(1, 9) i;
CREATE ROLE outsider LOGIN;
GRANT SELECT ON parted, others TO outsider;
SQL
    mount_start -o lease=600
    MNT=$E2E/now CACHE=$E2E/cache2 mount_start -o lease=0
    MNT=$E2E/outside CACHE=$E2E/cache3 PGUSER=outsider mount_start -o lease=600
}
teardown_file() { teardown_all; }

setup() {
    T=$MNT/public
    NOW=$E2E/now/public
    OUTSIDE=$E2E/outside/public
}

sql() { psql -X -q -At -v ON_ERROR_STOP=1 -c "$1"; }

# ask DIRECTORY QUESTION: the answer's lines.
ask() {
    exec 5<>"$1/query/ask"
    echo "{$2}" >&5
    timeout 30 cat <&5
    exec 5<&-
}

# The numbers in the lines of an answer, or of a file, by $1.
ids() { sed -n 's/.*"id":\([0-9]*\).*/\1/p' | sort -n | paste -sd' ' -; }

# Before version 14 the server does the whole search, for what it has by then, whatever the table's leased file shows.
needs_row_ids() { [ "$(sql 'SHOW server_version_num')" -ge 140000 ] || skip "this server has no scans of ctid ranges"; }

# The filter "true" of a session finds what the table's file has at the same time.
same_as_file() {
    local found
    found=$(ask "$T/seen" '"vector":[0,0],"k":1000,"filter":"true"' | ids)
    [ "$found" = "$(ids <"$T/seen/seen.jsonl")" ]
    [ "$found" = "$(sql 'SELECT id FROM seen ORDER BY id' | paste -sd' ' -)" ]
}

@test "a filter misses no row that the table's file shows: rows that are gone, that meet it no more, that have another file" {
    needs_row_ids
    ids <"$T/seen/seen.jsonl" >/dev/null
    same_as_file
    sql 'DELETE FROM seen WHERE id = 5'
    same_as_file
    ids <"$T/seen/seen.jsonl" >/dev/null
    sql 'UPDATE seen SET n = 1 WHERE id > 15'
    [ "$(ask "$T/seen" '"vector":[0,0],"k":1000,"filter":"n = 0"' | ids)" = "1 2 3 4 6 7 8 9 10 11 12 13 14 15" ]
    [ "$(grep -c '"n":1' "$T/seen/seen.jsonl")" = 5 ]
    same_as_file
    # The same (ctid, xmin) may name other rows by then.
    sql 'DELETE FROM seen WHERE id = 1'
    same_as_file
    sql 'INSERT INTO seen SELECT i, 0, $$[1,1]$$ FROM generate_series(100, 103) i'
    psql -X -q -c 'CREATE INDEX back ON seen (n DESC, id DESC)' -c 'CLUSTER seen USING back'
    same_as_file
    psql -X -q -c 'TRUNCATE seen'
    same_as_file
}

@test "a filter while others write elsewhere makes no new version" {
    needs_row_ids
    sql "INSERT INTO seen SELECT i, 0, format('[%s,0]', i)::vector FROM generate_series(1, 20) i"
    same_as_file
    before=$(stat -c '%i %Y' "$T/seen/seen.csv")
    fetches=$(sed -n 's/^pgvecfs_fetches_total //p' "$MNT/.pgvecfs/metrics")
    for i in 1 2 3; do
        sql 'INSERT INTO elsewhere VALUES (1)'
        [ "$(ask "$T/seen" "\"vector\":[0,0],\"k\":3,\"filter\":\"id > $i\"" | ids)" = "$((i + 1)) $((i + 2)) $((i + 3))" ]
    done
    [ "$(stat -c '%i %Y' "$T/seen/seen.csv")" = "$before" ]
    sleep 0.2 # the text of metrics is kept for so long
    [ "$(sed -n 's/^pgvecfs_fetches_total //p' "$MNT/.pgvecfs/metrics")" = "$fetches" ]
}

@test "a table that is written to all the time gets its answers, each of one state" {
    yes 'UPDATE busy SET n = n + 1;' | head -n 1000000 | psql -X -q >/dev/null 2>&1 3>&- &
    writer=$! readers=
    mkdir "$T/busy/query/s"
    echo '[0,0]' >"$T/busy/query/s/vector"
    echo 1000 >"$T/busy/query/s/k"
    for i in $(seq "$(often 1 3)"); do
        ask "$T/busy" "\"vector\":[0,0],\"k\":1000,\"filter\":\"n >= $i - $i\"" >"$BATS_TEST_TMPDIR/answer"
        [ "$(jq -s 'map(.n) | unique | length' "$BATS_TEST_TMPDIR/answer")" = 1 ]
        [ "$(ids <"$BATS_TEST_TMPDIR/answer")" = "$(seq 20 | paste -sd' ' -)" ]
        ask "$NOW/busy" "\"key\":7,\"k\":1000,\"filter\":\"n >= $i - $i\"" >"$BATS_TEST_TMPDIR/answer"
        [ "$(ids <"$BATS_TEST_TMPDIR/answer")" = "$(seq 20 | grep -vx 7 | paste -sd' ' -)" ]
        echo "n >= $i - $i" >"$T/busy/query/s/filter"
        [ "$(sed 1d "$T/busy/query/s/results.csv" | cut -d, -f1 | sort -n | paste -sd' ' -)" = "$(seq 20 | paste -sd' ' -)" ]
    done
    # Several readers of one answer: whoever joins what another has begun does not share its failure.
    mkdir "$NOW/busy/query/s"
    echo '[0,0]' >"$NOW/busy/query/s/vector"
    echo 'n >= 0' >"$NOW/busy/query/s/filter"
    for reader in 1 2 3 4; do
        for i in $(seq "$(often 3 8)"); do
            timeout 60 cat "$NOW/busy/query/s/results.csv" >/dev/null || echo "reader $reader"
        done >"$BATS_TEST_TMPDIR/failed.$reader" 2>&1 3>&- &
        readers="$readers $!"
    done
    wait $readers
    [ -z "$(cat "$BATS_TEST_TMPDIR"/failed.*)" ]
    kill "$writer"
    wait "$writer" || true
    rmdir "$T/busy/query/s" "$NOW/busy/query/s"
}

@test "an answer with a filter is made anew: what other tables and the clock say is no part of the table" {
    S=$NOW/others/query/s
    mkdir "$S"
    echo '[0,0]' >"$S/vector"
    echo 'id IN (SELECT id FROM chosen)' >"$S/filter"
    [ "$(sed 1d "$S/results.csv" | cut -d, -f1 | paste -sd' ' -)" = '1 2' ]
    before=$(stat -c '%i %Y %s' "$S/results.csv")
    [ "$(stat -c '%i %Y %s' "$S/results.csv")" = "$before" ]
    exec 6<"$S/results.csv"
    sql 'INSERT INTO chosen VALUES (7)'
    [ "$(sed 1d "$S/results.csv" | cut -d, -f1 | paste -sd' ' -)" = '1 2 7' ]
    [ "$(sed 1d <&6 | cut -d, -f1 | paste -sd' ' -)" = '1 2' ]
    exec 6<&-
    after=$(stat -c '%i %Y %s' "$S/results.csv")
    [ "${after%% *}" != "${before%% *}" ]
    [ "$(cut -d' ' -f2 <<<"$after")" -gt "$(cut -d' ' -f2 <<<"$before")" ]
    sql 'DELETE FROM chosen WHERE id = 7'
    [ "$(sed 1d "$S/results.csv" | cut -d, -f1 | paste -sd' ' -)" = '1 2' ]
    [ "$(stat -c %Y "$S/results.csv")" -gt "$(cut -d' ' -f2 <<<"$after")" ]
    echo server >"$S/mode"
    sql 'INSERT INTO chosen VALUES (8)'
    [ "$(sed 1d "$S/results.csv" | cut -d, -f1 | paste -sd' ' -)" = '1 2 8' ]
    sql 'DELETE FROM chosen WHERE id = 8'
    [ "$(sed 1d "$S/results.csv" | cut -d, -f1 | paste -sd' ' -)" = '1 2' ]
    echo auto >"$S/mode"
    # Also while nothing at all is written in the cluster; what its own processes write now and then is no such while.
    for _ in $(seq 5); do
        position=$(sql 'SELECT pg_current_wal_insert_lsn()')
        echo "clock_timestamp() > '$(sql "SELECT clock_timestamp() + interval '1s'")'" >"$S/filter"
        [ "$(wc -l <"$S/results.csv")" = 1 ]
        within 3 sh -c "[ \$(wc -l <'$S/results.csv') = 10 ]"
        [ "$(sql 'SELECT pg_current_wal_insert_lsn()')" != "$position" ] || break
    done
    rmdir "$S"
}

@test "a primary key that is made, dropped, and made of another column is seen with the next refresh" {
    sql "CREATE TABLE keyed (a int NOT NULL, b int NOT NULL, v vector(2));
         INSERT INTO keyed SELECT i, 10 - i, format('[%s,0]', i)::vector FROM generate_series(1, 9) i"
    [[ $(ask "$NOW/keyed" '"key":3,"k":1') == *"no primary key"* ]]
    [ ! -e "$NOW/keyed/query/near/v/l2/1/1.csv" ]
    sql 'ALTER TABLE keyed ADD PRIMARY KEY (a)'
    [ "$(ask "$NOW/keyed" '"key":3,"k":1,"columns":["a"]')" = '{"a":2,"distance":1}' ]
    [ "$(sed -n 2p "$NOW/keyed/query/near/v/l2/1/1.csv")" = 2,8,1 ]
    before=$(stat -c '%i %Y' "$NOW/keyed/query/near/v/l2/1/1.csv")
    sql 'INSERT INTO elsewhere VALUES (1)'
    [ "$(stat -c '%i %Y' "$NOW/keyed/query/near/v/l2/1/1.csv")" = "$before" ]
    # Not a row changes.
    sql 'ALTER TABLE keyed DROP CONSTRAINT keyed_pkey, ADD PRIMARY KEY (b)'
    [ "$(sed -n 2p "$NOW/keyed/query/near/v/l2/1/1.csv")" = 8,2,1 ]
    [ "$(stat -c %Y "$NOW/keyed/query/near/v/l2/1/1.csv")" -gt "${before##* }" ]
    sql 'ALTER TABLE keyed DROP CONSTRAINT keyed_pkey; UPDATE keyed SET a = 1 WHERE a < 4'
    [[ $(ask "$NOW/keyed" '"key":1,"k":1') == *"no primary key"* ]]
    sql 'ALTER TABLE keyed ADD PRIMARY KEY (b)'
    [ "$(ask "$NOW/keyed" '"key":9,"k":1,"columns":["b"]')" = '{"b":8,"distance":1}' ]
    [ "$(ask "$NOW/keyed" '"key":9,"k":3,"columns":["b"],"filter":"b <> 8"')" = "$(printf '{"b":7,"distance":2}\n{"b":6,"distance":3}\n{"b":5,"distance":4}')" ]
    # Equally far: in the order of the key as it is now.
    [ "$(ask "$NOW/keyed" '"vector":[4.5,0],"k":2,"columns":["b"]')" = "$(printf '{"b":5,"distance":0.5}\n{"b":6,"distance":0.5}')" ]
}

# ordered TYPE VALUE...: of rows that are equally far the first that are found are those that are first by the server's order.
ordered() {
    local type=$1 found wanted
    shift
    sql "DROP TABLE IF EXISTS by_type" 2>/dev/null
    sql "CREATE TABLE by_type (k $type PRIMARY KEY, t text, v vector(2));
         INSERT INTO by_type SELECT k::$type, k, '[1,1]' FROM unnest(ARRAY[$(printf "\$\$%s\$\$," "$@" | sed 's/,$//')]) k"
    for count in 2 $#; do
        wanted=$(sql "SELECT t FROM by_type ORDER BY v <-> '[1,1]', k LIMIT $count")
        found=$(ask "$NOW/by_type" "\"vector\":[1,1],\"k\":$count,\"columns\":[\"t\"]" | jq -r .t)
        [ "$found" = "$wanted" ] || { printf '%s:\n%s\nnot:\n%s\n' "$type" "$found" "$wanted" >&2; return 1; }
    done
}

@test "rows that are equally far are in the server's order of the primary key, whatever its type" {
    export PGTZ=UTC
    sql 'CREATE DOMAIN price AS numeric; CREATE DOMAIN bargain AS price; CREATE DOMAIN pause AS interval; CREATE DOMAIN count AS int'
    for type in int2 int4 int8 money numeric 'numeric(6,2)' price bargain count; do ordered "$type" 9 100 10 -1 -10 0; done
    for type in oid xid8; do ordered "$type" 9 100 10 0 4294967295; done
    for type in float4 float8 numeric; do ordered "$type" NaN 9 10 -1 0 1e-5 100000; done
    ordered bool t f
    ordered '"char"' b A a
    ordered bytea '\xff' '\x00ff' '\x' '\x61' '\x00'
    ordered uuid ffffffff-0000-0000-0000-000000000000 10000000-0000-0000-0000-000000000000 90000000-0000-0000-0000-000000000000
    ordered pg_lsn 9/0 10/0 A/0
    ordered tid '(9,1)' '(10,1)' '(10,10)' '(10,9)'
    ordered date infinity 2000-01-01 10000-01-01 1999-12-31 '0044-03-15 BC' -infinity
    ordered time 9:00 24:00 10:00 00:00:00.000001
    ordered timetz 09:00+00 10:00+02 08:00+00 09:00-12 10:00+01 23:00+15
    for type in timestamp timestamptz; do ordered $type infinity '10000-01-01 00:00' '2000-01-01 00:00' '1999-12-31 23:00' '0044-03-15 00:00 BC' -infinity; done
    for type in interval pause; do ordered $type '9 days' '10 days' '1 mon' '29 days 25:00' '-1 year' '25:00' '1 mon -00:01'; done
    ordered inet 9.0.0.1 10.0.0.1 10.0.0.1/8 10.0.0.2/8 10.0.0.0/24 10.0.0.5/24 ::1 ffff::/16
    ordered cidr 9.0.0.0/8 10.0.0.0/8 10.0.0.0/24 10.0.0.1/32 ::/0 ff00::/8
    ordered macaddr 08:00:2b:01:02:03 80:00:00:00:00:00 00:00:00:00:00:09
    ordered macaddr8 08:00:2b:01:02:03:04:05 80:00:00:00:00:00:00:00
    ordered 'bit(3)' 100 001 111 000
    ordered varbit 1 01 '' 10 0 11111111 111111110 0001 0000000000
    ordered 'text COLLATE "C"' b Z a aa ä
}

@test "rows that are equally far are in the order of the primary key as it is now, in a session's answer too" {
    sql "CREATE TABLE ties (a int NOT NULL, b int NOT NULL, v vector(2));
         INSERT INTO ties SELECT i, 21 - i, '[1,1]' FROM generate_series(1, 20) i"
    S=$NOW/ties/query/s
    mkdir "$S"
    echo '[1,1]' >"$S/vector"
    echo 3 >"$S/k"
    first() { sed 1d "$S/results.csv" | cut -d, -f1 | paste -sd' ' -; }
    [ "$(first)" = '1 2 3' ]
    sql 'ALTER TABLE ties ADD PRIMARY KEY (a)'
    [ "$(first)" = '1 2 3' ]
    before=$(stat -c '%i %Y %s' "$S/results.csv")
    sql 'INSERT INTO elsewhere VALUES (1)'
    [ "$(stat -c '%i %Y %s' "$S/results.csv")" = "$before" ]
    # Not a row changes.
    sql 'ALTER TABLE ties DROP CONSTRAINT ties_pkey, ADD PRIMARY KEY (b)'
    [ "$(first)" = '20 19 18' ]
    after=$(stat -c '%i %Y' "$S/results.csv")
    [ "${after%% *}" != "${before%% *}" ]
    [ "${after##* }" -gt "$(cut -d' ' -f2 <<<"$before")" ]
    rmdir "$S"
}

@test "rows that are equally far, whose keys are lost, are an error and not in another order" {
    sql "CREATE TABLE level (id int PRIMARY KEY, v vector(3))"
    sql "INSERT INTO level SELECT 61 - i, ARRAY[i, 1, 1]::float4[]::vector FROM generate_series(1, 60) i"
    CACHE=$E2E/level.cache MNT=$E2E/level mount_start -o lease=100
    local table=$E2E/level/public/level
    [ "$(ask "$table" '"vector":[0,1,1],"k":1,"columns":["id","v"],"mode":"exact"' | ids)" = 60 ]
    [ "$(ask "$table" '"vector":[0,1,0],"metric":"ip","k":3,"columns":["id"],"mode":"exact"' | ids)" = "1 2 3" ]
    CACHE=$E2E/level.cache MNT=$E2E/level mount_stop
    CACHE=$E2E/level.cache MNT=$E2E/level mount_start -o lease=100
    ask "$table" '"vector":[0,1,1],"k":1,"columns":["v"],"mode":"exact"' >/dev/null # the vectors are in memory now, the keys are not
    find "$E2E/level.cache" -path "*/$(sql "SELECT 'level'::regclass::oid")/*.rows" -exec python3 -c '
import struct, sys
with open(sys.argv[1], "r+b") as file:
    file.seek(file.read().index(struct.pack(">HHfff", 3, 0, 1, 1, 1)) - 64) # in front of the vectors there are the keys
    file.write(bytes(64))' {} \;
    sql "UPDATE level SET v = v"
    ask "$table" '"vector":[0,1,0],"metric":"ip","k":3,"columns":["v"],"mode":"exact"' | tee "$E2E/level.answer"
    grep '"error"' "$E2E/level.answer"
    [ "$(wc -l <"$E2E/level.answer")" -le 2 ]
    CACHE=$E2E/level.cache MNT=$E2E/level mount_stop
    sql "DROP TABLE level"
}

@test "a table that is renamed while it is leased is not the filter's fault" {
    sql 'CREATE TABLE first AS SELECT * FROM others; CREATE TABLE second AS SELECT id + 100 AS id, v FROM others;
         GRANT SELECT ON first, second TO outsider'
    ls "$OUTSIDE" >/dev/null
    mkdir "$OUTSIDE/first/query/s"
    echo '[0,0]' >"$OUTSIDE/first/query/s/vector"
    echo 'id % 2 = 0' >"$OUTSIDE/first/query/s/filter"
    [ "$(sed 1d "$OUTSIDE/first/query/s/results.csv" | cut -d, -f1 | paste -sd' ' -)" = '2 4 6 8' ]
    psql -X -q -c 'BEGIN; ALTER TABLE first RENAME TO third; ALTER TABLE second RENAME TO first; COMMIT'
    echo 'id % 2 = 1' >"$OUTSIDE/first/query/s/filter"
    [ "$(sed 1d "$OUTSIDE/first/query/s/results.csv" | cut -d, -f1 | paste -sd' ' -)" = '101 103 105 107 109' ]
    exec 6<>"$OUTSIDE/first/query/ask"
    echo '{"vector":[0,0],"k":1,"columns":["id"],"filter":"true"}' >&6
    [ "$(timeout 30 cat <&6)" = '{"id":101,"distance":1}' ]
    psql -X -q -c 'BEGIN; ALTER TABLE first RENAME TO second; ALTER TABLE third RENAME TO first; COMMIT'
    echo '{"vector":[0,0],"k":1,"columns":["id"],"filter":"true"}' >&6
    [ "$(timeout 30 cat <&6)" = '{"id":1,"distance":1}' ]
    psql -X -q -c 'ALTER TABLE first RENAME TO third'
    echo '{"vector":[0,0],"k":1,"columns":["id"],"filter":"true"}' >&6
    [[ $(timeout 30 cat <&6) == '{"error":'* ]]
    exec 6<&-
    # The session goes with its table, and has perhaps gone.
    run bash -c 'echo "id % 2 = 0" >"$1/filter" && cat "$1/results.csv"' - "$OUTSIDE/first/query/s"
    [[ $output == *"No such file"* ]]
    # Nor is it of what cannot be locked.
    sql 'CREATE VIEW shown AS SELECT * FROM others; GRANT SELECT ON shown TO outsider'
    ls "$OUTSIDE" >/dev/null
    mkdir "$OUTSIDE/shown/query/s"
    echo '[0,0]' >"$OUTSIDE/shown/query/s/vector"
    echo 'id % 2 = 0' >"$OUTSIDE/shown/query/s/filter"
    [ "$(sed 1d "$OUTSIDE/shown/query/s/results.csv" | cut -d, -f1 | paste -sd' ' -)" = '2 4 6 8' ]
    psql -X -q -c 'ALTER VIEW shown RENAME TO hidden'
    echo 'id % 2 = 1' >"$OUTSIDE/shown/query/s/filter"
    run cat "$OUTSIDE/shown/query/s/results.csv"
    [[ $output == *"No such file"* ]]
    sql 'DROP VIEW hidden'
    # A relation that the condition names and that is not there is.
    mkdir "$OUTSIDE/others/query/s"
    echo '[0,0]' >"$OUTSIDE/others/query/s/vector"
    echo 'id IN (SELECT id FROM nowhere)' >"$OUTSIDE/others/query/s/filter"
    run cat "$OUTSIDE/others/query/s/results.csv"
    [[ $output == *"Invalid argument"* ]]
    [[ $(cat "$OUTSIDE/others/query/s/error") == *filter*nowhere* ]]
    rmdir "$OUTSIDE/others/query/s"
}

@test "rows without ids: a key with a filter, or in mode server, leaves its own row out; the plan says why the server does it" {
    local parted=$OUTSIDE/parted mode
    [ "$(ask "$parted" '"key":"3,3","k":2,"columns":["id"],"filter":"id > 2"')" = "$(printf '{"id":4,"distance":1}\n{"id":5,"distance":2}')" ]
    for mode in server exact auto; do
        [ "$(ask "$parted" '"key":"6,6","k":2,"columns":["id"],"mode":"'$mode'"' | ids)" = '5 7' ]
    done
    mkdir "$parted/query/s"
    echo '[0,0]' >"$parted/query/s/vector"
    echo 'id < 3' >"$parted/query/s/filter"
    echo exact >"$parted/query/s/mode"
    grep -q '"method": "server"' "$parted/query/s/plan.json"
    grep -q '"because": "the table is read as one stream, ' "$parted/query/s/plan.json"
    rmdir "$parted/query/s"
}

@test "a filter that changes how literals are read does not run what a key says" {
    sql 'CREATE TABLE victim (); CREATE TABLE literal (id text PRIMARY KEY, n int, v vector(2))'
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
INSERT INTO literal VALUES ('other', 1, '[1,0]'),
    ('\'')) AS n) TO STDOUT; COMMIT; DROP TABLE victim; COPY (SELECT 1 FROM (SELECT 1.0::float8 AS c1 FROM literal WHERE ($x$', 1, '[2,0]');
SQL
    within 20 test -d "$NOW/literal/query"
    local key filter mode encoding
    key=$(sql "SELECT to_json(id) FROM literal WHERE id <> 'other'")
    for mode in server exact auto; do
        filter="\$x\$ IS NOT NULL OR \$y\$ \$x\$ <> set_config('standard_conforming_strings','off',true) OR \$q\$ \$y\$ IS NULL --\$q\$ IS NULL"
        run ask "$NOW/literal" '"key":'"$key"',"mode":"'$mode'","k":50,"columns":["id"],"filter":"'"$filter"'"'
        sql 'SELECT FROM victim'
        [ "$output" = '{"id":"other","distance":1}' ]
    done
    # Nor how bytes are, or how values print.
    sql "INSERT INTO literal VALUES ('ключ\"''日本', 1, '[3,0]')"
    key=$(sql "SELECT to_json(id) FROM literal WHERE id LIKE 'ключ%'")
    for encoding in SJIS LATIN1 UTF8; do
        filter="id = 'other' AND set_config('client_encoding','$encoding',true) || set_config('extra_float_digits','-10',true) <> ''"
        [ "$(ask "$NOW/literal" '"key":'"$key"',"mode":"server","k":50,"columns":["id","v"],"filter":"'"$filter"'"')" = '{"id":"other","v":[1,0],"distance":2}' ]
    done
}

@test "mode server after columns have got other types, of values of the same size, too" {
    sql "CREATE TABLE retyped (id int PRIMARY KEY, n int, gone float8, v vector(2));
        INSERT INTO retyped SELECT i, i, i, format('[%s,0]', i)::vector FROM generate_series(1, 3) i"
    within 20 test -d "$T/retyped/query"
    [ "$(ask "$T/retyped" '"vector":[0,0],"k":1,"mode":"server"')" = '{"id":1,"n":1,"gone":1,"distance":1}' ]
    sql "ALTER TABLE retyped ALTER n TYPE date USING date '2000-01-01' + n"
    [ "$(ask "$T/retyped" '"vector":[0,0],"k":1,"mode":"server"')" = '{"id":1,"n":"2000-01-02","gone":1,"distance":1}' ]
    sql "ALTER TABLE retyped DROP gone, ADD gone int8 DEFAULT 7"
    [ "$(ask "$T/retyped" '"vector":[0,0],"k":1,"mode":"server"')" = '{"id":1,"n":"2000-01-02","gone":7,"distance":1}' ]
    sql "ALTER TABLE retyped ALTER v TYPE halfvec(2) USING v::halfvec(2)"
    [ "$(ask "$T/retyped" '"vector":[0,0],"k":1,"mode":"server"')" = '{"id":1,"n":"2000-01-02","gone":7,"distance":1}' ]
    sql "ALTER TABLE retyped ALTER n TYPE text USING 'day ' || n"
    [ "$(ask "$T/retyped" '"vector":[0,0],"k":1,"mode":"server","columns":["n"]')" = '{"n":"day 2000-01-02","distance":1}' ]
}

# meanwhile TABLE STATEMENT: in a transaction that has the table locked by now, and ends once somebody waits for it.
meanwhile() {
    psql -X -q -v ON_ERROR_STOP=1 >/dev/null 3>&- <<SQL &
BEGIN; $2;
DO \$\$ BEGIN FOR i IN 1..500 LOOP
    EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE relation = '$1'::regclass AND NOT granted);
    PERFORM pg_sleep(0.01);
END LOOP; END \$\$;
COMMIT;
SQL
    within 10 sh -c "psql -X -q -At -c \"SELECT 'held' FROM pg_locks WHERE relation = '$1'::regclass AND granted AND mode = 'AccessExclusiveLock'\" | grep -q held"
}

waiting_requests() { sed -n 's/.*"waiting_requests": \([0-9]*\),.*/\1/p' "$E2E/now/.pgvecfs/status.json"; }
wait_for_requests() { within 20 eval "[ \"\$(waiting_requests)\" = $1 ]"; }

# reader NAME: what it was told by stat it opens when $OUT/go is there; NAME-opens: it opens at once, and goes when $OUT/go is there.
reader() {
    timeout 60 python3 - "$1" "$OUT" "$NOW/joined/query/mine/results.csv" >"$OUT/$1" 2>&1 3>&- <<'PYTHON' &
import os, sys, time
name, folder, path = sys.argv[1:]
def go():
    open(folder + "/ready-" + name, "w").close()
    while not os.path.exists(folder + "/go"):
        time.sleep(0.01)
if name.endswith("-opens"):
    file = os.open(path, os.O_RDONLY)
    go()
else:
    told = os.stat(path)
    began = time.monotonic()
    go()
    file = os.open(path, os.O_RDONLY)
    found = os.fstat(file)
    same = (told.st_ino, told.st_size) == (found.st_ino, found.st_size)
    print("same" if same else "late" if time.monotonic() - began > 0.9 else "other")
PYTHON
    READERS+=($!)
}

@test "who asks for an answer while another's is being made has what he was told at his open, though others have it open (lease=0)" {
    OUT=$E2E/out/joined
    sql "CREATE TABLE gate (a int); CREATE TABLE joined (id int PRIMARY KEY, n int, v vector(2));
        INSERT INTO joined SELECT i, 0, format('[%s,0]', i)::vector FROM generate_series(1, 20) i"
    within 20 test -d "$NOW/joined/query"
    mkdir "$NOW/joined/query/mine"
    echo '[0,0]' >"$NOW/joined/query/mine/vector"
    echo 'NOT EXISTS (SELECT FROM gate WHERE a > joined.id)' >"$NOW/joined/query/mine/filter"
    judged=0
    for _ in $(seq 20); do
        rm -rf "$OUT" && mkdir -p "$OUT"
        READERS=()
        lock_start gate
        # Whether they are answered in the order in which they came or in the other one, somebody opens it before a stat is told.
        n=0
        for name in 1-opens 2 3 4-opens; do
            reader $name
            wait_for_requests $((n += 1))
        done
        lock_stop
        for name in 1-opens 2 3 4-opens; do within 20 test -e "$OUT/ready-$name"; done
        sql 'UPDATE joined SET n = n + 1'
        : >"$OUT/go"
        wait "${READERS[@]}"
        cat "$OUT"/[1234]*
        [ "$(cat "$OUT/2" "$OUT/3" | grep -c -v -e same -e late)" = 0 ]
        if [ "$(cat "$OUT/2" "$OUT/3" | grep -c same)" = 2 ] && [ $((judged += 1)) = 3 ]; then break; fi
    done
    [ "$judged" = 3 ]
}

@test "a table that is written anew while a question waits for its lock is asked again" {
    needs_row_ids
    sql "CREATE TABLE turned (id int PRIMARY KEY, n int, v vector(2));
        INSERT INTO turned SELECT i, 0, format('[%s,0]', i)::vector FROM generate_series(1, 20) i;
        CREATE INDEX turned_back ON turned (id DESC);
        CREATE TABLE turned_parts (id int, n int, v vector(2)) PARTITION BY RANGE (id);
        CREATE TABLE turned_part PARTITION OF turned_parts FOR VALUES FROM (0) TO (100);
        INSERT INTO turned_parts TABLE turned;
        CREATE TABLE seen_before AS TABLE turned;
        CREATE MATERIALIZED VIEW turned_view AS TABLE seen_before;
        GRANT SELECT ON turned, turned_view, turned_parts, turned_part TO outsider"
    local name
    for name in turned turned_parts turned_view; do
        for mount in "$OUTSIDE" "$T"; do
            within 20 test -d "$mount/$name/query"
            [ "$(ids <"$mount/$name/$name.jsonl")" = "$(seq 20 | paste -sd' ' -)" ]
            [ "$(ask "$mount/$name" '"vector":[0,0],"k":100,"filter":"id < 5"' | ids)" = '1 2 3 4' ]
        done
    done
    all=$(seq 20 | paste -sd' ' -)
    meanwhile turned 'CLUSTER turned USING turned_back'
    [ "$(ask "$OUTSIDE/turned" '"vector":[0,0],"k":100,"filter":"id < 5"' | ids)" = '1 2 3 4' ]
    meanwhile turned 'ALTER TABLE turned ALTER n TYPE bigint'
    [ "$(ask "$OUTSIDE/turned" '"vector":[0,0],"k":100,"mode":"server"' | ids)" = "$all" ]
    meanwhile turned_part 'ALTER TABLE turned_parts ALTER n TYPE bigint'
    [ "$(ask "$OUTSIDE/turned_parts" '"vector":[0,0],"k":100,"filter":"id < 50"' | ids)" = "$all" ]
    for mount in "$OUTSIDE" "$T"; do
        meanwhile turned_view 'REFRESH MATERIALIZED VIEW turned_view'
        [ "$(ask "$mount/turned_view" '"vector":[0,0],"k":100,"filter":"id < 50"' | ids)" = "$all" ]
    done
    meanwhile turned 'TRUNCATE turned'
    [ "$(ask "$OUTSIDE/turned" '"vector":[0,0],"k":100,"filter":"id < 50"' | ids)" = "$(ids <"$OUTSIDE/turned/turned.jsonl")" ]
    [ "$(ids <"$OUTSIDE/turned/turned.jsonl")" = '' ]
    wait
}

@test "who holds a lock is told even if it is met behind other statements of a question" {
    needs_row_ids
    sql "CREATE TABLE written (id int PRIMARY KEY, v vector(2));
        INSERT INTO written SELECT i, format('[%s,0]', i)::vector FROM generate_series(1, 5) i;
        CREATE MATERIALIZED VIEW written_view AS TABLE written;
        GRANT SELECT ON written_view TO outsider"
    within 20 test -d "$OUTSIDE/written_view/query"
    [ "$(ask "$OUTSIDE/written_view" '"vector":[0,0],"filter":"id < 3"' | ids)" = '1 2' ]
    mkfifo "$BATS_TEST_TMPDIR/holder"
    PGAPPNAME=refresher psql -X -q <"$BATS_TEST_TMPDIR/holder" >/dev/null 2>&1 3>&- &
    exec 7>"$BATS_TEST_TMPDIR/holder"
    echo 'BEGIN; REFRESH MATERIALIZED VIEW written_view;' >&7
    within 10 sh -c "psql -X -q -At -c \"SELECT 'held' FROM pg_locks WHERE relation = 'written_view'::regclass AND granted AND mode = 'AccessExclusiveLock'\" | grep -q held"
    sql 'INSERT INTO elsewhere VALUES (1)'
    ask "$OUTSIDE/written_view" '"vector":[0,0],"filter":"id < 4"' >"$BATS_TEST_TMPDIR/answer" 2>&1 3>&- 7>&- &
    within 10 grep -q 'public.written_view: waiting for a lock on public.written_view that pid [0-9]* (refresher) has' "$E2E/outside/.pgvecfs/log"
    echo 'COMMIT;' >&7
    exec 7>&-
    wait
    [ "$(ids <"$BATS_TEST_TMPDIR/answer")" = '1 2 3' ]
}

@test "the question for the primary key ends with whoever asked" {
    sql "CREATE TABLE abandoned (id int PRIMARY KEY, v vector(2));
        INSERT INTO abandoned SELECT i, format('[%s,0]', i)::vector FROM generate_series(1, 5) i"
    within 20 test -d "$T/abandoned/query"
    ids <"$T/abandoned/abandoned.jsonl" >/dev/null
    mkfifo "$BATS_TEST_TMPDIR/holder"
    psql -X -q -At -v ON_ERROR_STOP=1 <"$BATS_TEST_TMPDIR/holder" >"$BATS_TEST_TMPDIR/held" 2>&1 3>&- &
    holder=$!
    exec 7>"$BATS_TEST_TMPDIR/holder"
    echo "BEGIN; LOCK pg_index IN ACCESS EXCLUSIVE MODE; SELECT 'held';" >&7
    within 10 grep -q held "$BATS_TEST_TMPDIR/held"
    cat "$T/abandoned/query/near/v/l2/9/3.jsonl" >/dev/null 2>&1 3>&- 7>&- &
    asker=$!
    for answer in waits waits.no.more; do
        cat >&7 <<SQL
DO \$\$ BEGIN FOR i IN 1..1000 LOOP
    IF EXISTS (SELECT FROM pg_locks WHERE relation = 'pg_index'::regclass AND NOT granted) = ('$answer' = 'waits') THEN RETURN; END IF;
    PERFORM pg_sleep(0.01);
END LOOP; RAISE 'not $answer'; END \$\$; SELECT '$answer';
SQL
        within 15 grep -q "^$answer\$" "$BATS_TEST_TMPDIR/held" || { cat "$BATS_TEST_TMPDIR/held" >&2; exec 7>&-; kill "$holder"; return 1; }
        kill "$asker" 2>/dev/null || true
    done
    exec 7>&-
    wait || true
    [ "$(ids <"$T/abandoned/query/near/v/l2/9/3.jsonl" | wc -w)" = 4 ]
}
