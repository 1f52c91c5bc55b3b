# A server that is not the one it was: copies of clusters, servers that were set back, others behind the same address,
# and what stands in between and loses rows.
load helper

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE plain (id int PRIMARY KEY, t text, v vector(2));
INSERT INTO plain SELECT g, 'row ' || g, format('[%s,1]', g)::vector FROM generate_series(1, 2000) g;
CREATE VIEW seen AS SELECT * FROM plain ORDER BY id;
SQL
}

teardown_file() { teardown_all; }

setup() {
    T=$MNT/public
    OUT=$E2E/out/$BATS_TEST_NUMBER
    mkdir -p "$OUT"
    rm -rf "$CACHE"
}

teardown() {
    lock_stop || true
    mount_stop >/dev/null 2>&1 || fusermount3 -uz "$MNT" 2>/dev/null || true
    proxy_stop
    server_env
    [ -n "${E2E_KEEP:-}" ] || rm -rf "$OUT"
}

# Whoever connects from now on meets the proxy, under the words of tests/e2e/proxy.py that are given.
proxy_start() {
    PROXY=$(mktemp -d /tmp/pgvecfs-proxy.XXXXXX)
    proxy_says "$@"
    python3 "$ROOT/tests/e2e/proxy.py" "$PROXY/.s.PGSQL.5432" "$PROXY/control" </dev/null >"$OUT/proxy" 2>&1 3>&- 4>&- &
    PROXY_PID=$!
    for _ in $(seq 200); do
        [ ! -S "$PROXY/.s.PGSQL.5432" ] || break
        sleep 0.05
    done
    export PGHOST=$PROXY PGPORT=5432
}

proxy_says() {
    printf '%s ' "$@" >"$PROXY/control.next"
    mv "$PROXY/control.next" "$PROXY/control"
}

proxy_stop() {
    [ -n "${PROXY:-}" ] || return 0
    kill "$PROXY_PID" 2>/dev/null || true
    wait "$PROXY_PID" 2>/dev/null || true
    rm -rf "$PROXY"
    PROXY=
}

# The socket of the server in folder $1.
socket_of() { echo "$(cat "$1/socket")/.s.PGSQL.$(cat "$1/port")"; }

reason() { getfattr --only-values --absolute-names -n user.pgvecfs.error "$1" 2>/dev/null; }

@test "rows that are lost or doubled on the way are an error, whichever way they are read" {
    proxy_start "to=$(socket_of "$E2E/pg")"
    mount_start -o lease=0
    for lie in drop double; do
        for table in plain seen; do
            for format in csv bin jsonl; do
                proxy_says "to=$(socket_of "$E2E/pg")" "copy=$lie"
                rm -rf "$CACHE"/*/[0-9]*
                run timeout 60 cat "$T/$table/$table.$format"
                echo "$lie $table.$format: $status, $(reason "$T/$table")"
                [ "$status" -eq 1 ]
                [[ $(reason "$T/$table") == *"rows came from the server"* ]]
                proxy_says "to=$(socket_of "$E2E/pg")"
                reference_$format "public.$table" >"$OUT/right"
                cat "$T/$table/$table.$format" >"$OUT/got"
                assert_same_bytes "$OUT/got" "$OUT/right"
                psql -X -q -c "UPDATE plain SET t = t || '.' WHERE id = 1" # the next one has to ask again
            done
        done
        mkdir "$T/plain/query/$lie"
        echo '[1,1]' >"$T/plain/query/$lie/vector"
        echo 'id > 0' >"$T/plain/query/$lie/filter"
        echo 9 >"$T/plain/query/$lie/k"
        cat "$T/plain/plain.bin" >/dev/null
        for mode in auto server; do
            echo $mode >"$T/plain/query/$lie/mode"
            proxy_says "to=$(socket_of "$E2E/pg")" "copy=$lie"
            run cat "$T/plain/query/$lie/results.jsonl"
            echo "$lie, mode $mode: $status, $(cat "$T/plain/query/$lie/error")"
            [ "$status" -eq 1 ]
            [[ $(cat "$T/plain/query/$lie/error") == *"rows came from the server"* ]]
            proxy_says "to=$(socket_of "$E2E/pg")"
            [ "$(wc -l <"$T/plain/query/$lie/results.jsonl")" -eq 9 ]
        done
    done
}

# ---- copies of clusters ------------------------------------------------------------------------

# Starts server $1 (a folder below the file's), with options of private-pg. Its data begins as that of the other files' servers does
# (helper.bash), unless it is to be another cluster; or, with MADE_ANEW set, to have the oids that another one gives, too.
server_at() {
    local from=()
    case ${MADE_ANEW:-$1} in
        pg_two | pg_anew | yes) ;;
        *) if [ -e "$TEMPLATE/data/PG_VERSION" ]; then from=(--from "$TEMPLATE"); fi ;;
    esac
    "$ROOT/scripts/private-pg" start "$E2E/$1" "${from[@]}" "${@:2}"
}

# What runs in server $1 is asked by psql and mounts from now on.
use() {
    local lines
    lines=$("$ROOT/scripts/private-pg" env "$E2E/$1") || return
    eval "$lines"
    export PGDATABASE=test
}

server_gone() {
    "$ROOT/scripts/private-pg" stop "$E2E/$1"
    rm -rf "${E2E:?}/$1"
}

# The data of server $1, which is down, as that of server $2, as a snapshot of the disk would have it.
copy_server() {
    mkdir -p "$E2E/$2"
    rm -rf "$E2E/$2/data"
    cp -a "$(realpath "$E2E/$1/data")" "$E2E/$2/data"
    touch "$E2E/$2/initialised"
}

# Every row version is old, all of WAL is written out, and nothing is left to do for a read.
settle_down() {
    psql -X -q -c "VACUUM (FREEZE)" -c CHECKPOINT
    psql -X -q -At -c "SELECT count(*) FROM pg_class, pg_attribute WHERE attrelid = pg_class.oid" >/dev/null
    sleep 0.5
}

metric() {
    sleep 0.15
    sed -n "s/^pgvecfs_$1 //p" "$MNT/.pgvecfs/metrics"
}

# Inode, times and size of the files of table $1.
identity() {
    local format
    for format in csv bin jsonl; do stat -c '%n %i %Y %Z %s' "$T/$1/$1.$format"; done
    stat -c '%n %i %Y %s' "$T/$1/manifest.json" "$T/$1/schema.sql"
    cat "$T/$1/manifest.json"
}

assert_right() {
    local format
    for format in csv bin jsonl; do
        reference_$format "public.$1" >"$OUT/right"
        cat "$T/$1/$1.$format" >"$OUT/got"
        assert_same_bytes "$OUT/got" "$OUT/right" || return
    done
}

make_test_database() {
    PGDATABASE=postgres psql -X -q -v ON_ERROR_STOP=1 -c "DROP DATABASE IF EXISTS test" -c "CREATE DATABASE test"
    psql -X -q -v ON_ERROR_STOP=1 "$@"
}

@test "a copy of a cluster and the cluster itself are told apart, with one cache for both" {
    server_at pg_prod
    use pg_prod
    make_test_database <<'SQL'
CREATE TABLE users AS SELECT i AS id, 'user' || i AS email FROM generate_series(1, 1000) i;
CREATE TABLE mixed (id int, email text) WITH (fillfactor = 50);
INSERT INTO mixed SELECT i, repeat('user' || i, 40) FROM generate_series(1, 60000) i;
CREATE TABLE same AS SELECT i AS id FROM generate_series(1, 1000) i;
SQL
    settle_down
    "$ROOT/scripts/private-pg" stop "$E2E/pg_prod"
    copy_server pg_prod pg_stag
    server_at pg_stag
    server_at pg_prod
    for server in prod stag; do
        use pg_$server
        psql -X -q -c "UPDATE users SET email = '$server' || id WHERE id % 2 = 0"
        psql -X -q -c "UPDATE mixed SET email = '$server' WHERE id <= 100"
    done
    psql -X -q -c "UPDATE mixed SET email = 'stag' WHERE id BETWEEN 50001 AND 50100"
    for server in prod stag; do
        use pg_$server
        settle_down
    done
    for server in prod stag prod stag; do
        use pg_$server
        mount_start
        for table in users mixed same; do
            assert_right $table
        done
        [ "$(grep -c prod "$T/mixed/mixed.csv")" -eq "$([ $server = prod ] && echo 100 || echo 0)" ]
        identity same >"$OUT/$server.now"
        [ -e "$OUT/first" ] || cp "$OUT/$server.now" "$OUT/first"
        diff "$OUT/first" "$OUT/$server.now"
        mount_stop
    done
    server_gone pg_prod
    server_gone pg_stag
}

@test "a server that was set back does not show its future" {
    server_at pg_back
    use pg_back
    make_test_database -c "CREATE TABLE t (id int, v text); INSERT INTO t SELECT i, 'old ' || i FROM generate_series(1, 1000) i"
    settle_down
    "$ROOT/scripts/private-pg" kill "$E2E/pg_back"
    copy_server pg_back pg_kept
    server_at pg_back
    psql -X -q -c "UPDATE t SET v = 'one' WHERE id = 5"
    settle_down
    mount_start -o lease=0
    assert_right t
    "$ROOT/scripts/private-pg" kill "$E2E/pg_back"
    copy_server pg_kept pg_back
    server_at pg_back
    psql -X -q -c "UPDATE t SET v = 'two' WHERE id = 5"
    settle_down
    assert_right t # while it is mounted
    mount_stop
    "$ROOT/scripts/private-pg" kill "$E2E/pg_back"
    copy_server pg_kept pg_back
    server_at pg_back
    psql -X -q -c "UPDATE t SET v = 'six' WHERE id = 5"
    settle_down
    mount_start -o lease=0
    assert_right t # after a remount
    mount_stop
    server_gone pg_back
    server_gone pg_kept
}

@test "a server that is made anew by the same script is not the old one, for a role that may not ask which it is" {
    for value in AAAA BBBB; do
        server_at pg_anew --port 6599
        use pg_anew
        for database in postgres template1; do
            PGDATABASE=$database psql -X -q -c "REVOKE EXECUTE ON FUNCTION pg_control_system(), pg_control_checkpoint(), pg_control_recovery() FROM public"
        done
        psql -X -q -d postgres -c "CREATE ROLE rd LOGIN"
        make_test_database -c "CREATE TABLE t AS SELECT i AS id, '$value' || i AS v FROM generate_series(1, 1000) i; GRANT SELECT ON t TO rd"
        settle_down
        # The address decides which cache it is: it has to be the same one.
        mkdir -p "$E2E/socket"
        chmod 777 "$E2E/socket"
        ln -sf "$(socket_of "$E2E/pg_anew")" "$E2E/socket/.s.PGSQL.6599"
        PGHOST=$E2E/socket PGUSER=rd mount_start -o lease=0
        assert_right t
        mount_stop
        server_gone pg_anew
    done
}

@test "a list of hosts, for a role that may not ask which cluster it is: after a failover files are the same, for one comparison each" {
    local server hosts ports
    for server in here there; do
        server_at pg_$server
        use pg_$server
        make_test_database -c "CREATE ROLE rd LOGIN" \
            -c "REVOKE EXECUTE ON FUNCTION pg_control_system(), pg_control_checkpoint(), pg_control_recovery() FROM public" \
            -c "CREATE TABLE t AS SELECT i AS id, 'row ' || i AS v FROM generate_series(1, 1000) i; GRANT SELECT ON t TO rd"
    done
    hosts=$(cat "$E2E/pg_here/socket"),$(cat "$E2E/pg_there/socket")
    ports=$(cat "$E2E/pg_here/port"),$(cat "$E2E/pg_there/port")
    # A mount of the first host alone has the same cache.
    use pg_here
    PGUSER=rd mount_start -o lease=0
    assert_right t
    identity t >"$OUT/first"
    mount_stop
    PGHOST=$hosts PGPORT=$ports PGUSER=rd mount_start -o lease=0
    identity t >"$OUT/now"
    diff "$OUT/first" "$OUT/now"
    [ "$(metric rows_fetched_total)" -eq 0 ]
    "$ROOT/scripts/private-pg" kill "$E2E/pg_here"
    sleep 0.1
    identity t >"$OUT/now"
    diff "$OUT/first" "$OUT/now"
    [ "$(metric rows_fetched_total)" -eq 1000 ]
    use pg_there
    psql -X -q -c "UPDATE t SET v = 'other' WHERE id = 7"
    assert_right t
    mount_stop
    PGHOST=$hosts PGPORT=$ports PGUSER=rd mount_start -o lease=0
    identity t >"$OUT/first"
    assert_right t
    mount_stop
    server_gone pg_here
    server_gone pg_there
}

@test "after a restart, a crash and a recovery files are the same, for one comparison each" {
    server_at pg_again
    use pg_again
    make_test_database <<'SQL'
CREATE TABLE t (id int PRIMARY KEY, pad text);
ALTER TABLE t ALTER pad SET STORAGE external;
INSERT INTO t SELECT g, repeat(md5(g::text), 500) FROM generate_series(1, 1500) g;
CREATE UNLOGGED TABLE u AS SELECT g AS id FROM generate_series(1, 1000) g;
CREATE TABLE e (id int);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE refuses (id int, p line, c aclitem);
INSERT INTO refuses VALUES (1, '{1,2,3}', 'postgres=r/postgres');
CREATE VIEW v AS SELECT * FROM t ORDER BY id;
SQL
    mount_start -o lease=0
    for table in t u v; do assert_right $table; done
    # Row groups that a refresh has cut somewhere else than a first fetch does.
    for id in 3 700 701 1400; do
        psql -X -q -c "UPDATE t SET pad = repeat('x', 20000 + $id) WHERE id = $id"
        assert_right t
    done
    psql -X -q -c "INSERT INTO t SELECT g, 'more' FROM generate_series(2001, 2010) g"
    assert_right t
    cat "$T/refuses/refuses.csv" "$T/e/e.bin" >/dev/null
    for table in t u e v; do identity $table; done >"$OUT/first"
    stat -c '%n %i %Y %s' "$T/refuses/refuses.csv" >"$OUT/first.refuses"
    for round in restart kill remount; do
        rows=$(metric rows_fetched_total)
        case $round in
            restart) "$ROOT/scripts/private-pg" restart "$E2E/pg_again" ;;
            kill)
                psql -X -q -c CHECKPOINT
                "$ROOT/scripts/private-pg" kill "$E2E/pg_again"
                server_at pg_again
                psql -X -q -c "INSERT INTO u SELECT g FROM generate_series(1, 1000) g" # a crash has emptied it
                ;;
            remount)
                mount_stop
                "$ROOT/scripts/private-pg" restart "$E2E/pg_again"
                mount_start -o lease=0
                rows=0
                ;;
        esac
        for table in t u e v; do identity $table; done >"$OUT/now"
        diff "$OUT/first" "$OUT/now"
        stat -c '%n %i %Y %s' "$T/refuses/refuses.csv" >"$OUT/now"
        diff "$OUT/first.refuses" "$OUT/now"
        assert_right t
        after=$(metric rows_fetched_total)
        echo "$round: $((after - rows)) rows compared"
        [ $((after - rows)) -ge 3510 ]
        # The view is compared each time, by its nature; the tables are not compared again.
        for table in t u e; do identity $table >/dev/null; done
        [ "$(metric rows_fetched_total)" -eq "$after" ]
        mount_stop
        mount_start -o lease=0
        for table in t u e; do identity $table >/dev/null; done
        [ "$(metric rows_fetched_total)" -eq 0 ]
    done
    mount_stop
    server_gone pg_again
}

@test "another cluster behind the same address is an error for all that asks it, until the own one is back" {
    for server in one two; do
        server_at pg_$server
        use pg_$server
        make_test_database -c "CREATE TABLE t AS SELECT i AS id, '$server' || i AS v FROM generate_series(1, 1000) i"
        [ $server = two ] || psql -X -q -c "CREATE EXTENSION vector" -c "CREATE TABLE w (id int PRIMARY KEY, v vector(2)); INSERT INTO w VALUES (1, '[1,2]'), (2, '[2,2]')"
    done
    proxy_start "to=$(socket_of "$E2E/pg_one")"
    mount_start -o lease=0
    assert_right t
    cat "$T/w/w.csv" >/dev/null
    mkdir "$T/w/query/q"
    echo '[1,1]' >"$T/w/query/q/vector"
    echo 'id > 0' >"$T/w/query/q/filter"
    [ "$(wc -l <"$T/w/query/q/results.jsonl")" -eq 2 ]
    for round in 1 2; do
        proxy_says "to=$(socket_of "$E2E/pg_two")" cut
        sleep 0.3
        for file in t/t.csv t/t.bin t/schema.sql w/query/q/results.jsonl; do
            run timeout 60 cat "$T/$file"
            echo "$file: $status: $output"
            [ "$status" -eq 1 ]
            [[ $output == *"Input/output error"* ]]
        done
        [[ $(reason "$T/t") == *"another one than was mounted"* ]]
        run ls "$T"
        [ "$status" -ne 0 ]
        proxy_says "to=$(socket_of "$E2E/pg_one")" cut
        sleep 0.3
        assert_right t
        [ "$(wc -l <"$T/w/query/q/results.jsonl")" -eq 2 ]
    done
    # pg_dump alone meets the other one.
    PGHOST=$(cat "$E2E/pg_one/socket") PGPORT=$(cat "$E2E/pg_one/port") psql -X -q -c "ALTER TABLE t ADD COLUMN later int"
    proxy_says "to=$(socket_of "$E2E/pg_one")" "dump=$(socket_of "$E2E/pg_two")"
    run timeout 60 cat "$T/t/schema.sql"
    echo "schema.sql: $status: $output"
    [ "$status" -eq 1 ]
    proxy_says "to=$(socket_of "$E2E/pg_one")"
    grep later "$T/t/schema.sql"
    mount_stop
    server_gone pg_one
    server_gone pg_two
}

@test "pg_dump that alone meets another cluster is no schema.sql, whichever number of connections there is" {
    for server in one two; do
        server_at pg_$server
        use pg_$server
        make_test_database -c "CREATE TABLE t (id int, of_$server text)"
    done
    for options in direct $(often "" "connections=1 connections=2 connections=8"); do
        rm -rf "$CACHE"
        use pg_one
        psql -X -q -c "DROP TABLE IF EXISTS more" -c "CREATE TABLE more (of_one int)"
        proxy_start "to=$(socket_of "$E2E/pg_one")"
        [ "$options" != direct ] || options=connections=1,$(direct)
        mount_start -o "lease=0,$options"
        grep of_one "$T/t/schema.sql"
        PGHOST=$(cat "$E2E/pg_one/socket") PGPORT=$(cat "$E2E/pg_one/port") psql -X -q -c "ALTER TABLE more ADD COLUMN later int"
        proxy_says "to=$(socket_of "$E2E/pg_one")" "dump=$(socket_of "$E2E/pg_two")"
        run timeout 120 cat "$T/t/schema.sql"
        echo "$options: $status: $output, $(reason "$T/t")"
        [ "$status" -eq 1 ]
        [[ $output == *"Input/output error"* ]]
        proxy_says "to=$(socket_of "$E2E/pg_one")"
        grep of_one "$T/t/schema.sql"
        grep later "$T/more/schema.sql"
        mount_stop
        proxy_stop
    done
    server_gone pg_one
    server_gone pg_two
}

@test "the key that another cluster behind the same address has is not taken for the table's own" {
    local server
    for server in one two; do
        MADE_ANEW=yes server_at pg_$server # the table is to have the same oid in both
        use pg_$server
        make_test_database -c "CREATE EXTENSION vector" -c "CREATE TABLE w (a int, b int, v vector(2)); INSERT INTO w VALUES (1, 20, '[1,2]'), (2, 1, '[2,2]')" \
            -c "ALTER TABLE w ADD PRIMARY KEY ($([ $server = one ] && echo a || echo b))"
    done
    [ "$(psql -X -At -c "SELECT 'w'::regclass::oid")" = "$(use pg_one && psql -X -At -c "SELECT 'w'::regclass::oid")" ]
    use pg_one
    proxy_start "to=$(socket_of "$E2E/pg_one")"
    mount_start -o lease=60
    cat "$T/w/w.csv" >/dev/null
    proxy_says "to=$(socket_of "$E2E/pg_two")" cut
    sleep 0.3
    run timeout 60 cat "$T/w/query/near/v/l2/1/1.csv"
    echo "$status: $output"
    [ "$status" -eq 1 ]
    [[ $output == *"Input/output error"* ]]
    proxy_says "to=$(socket_of "$E2E/pg_one")" cut
    sleep 0.3
    # The nearest of the row whose a is 1 is the one whose a is 2.
    [[ $(sed -n 2p "$T/w/query/near/v/l2/1/1.csv") == 2,* ]]
    cat "$T/w/query/near/v/l2/2/1.csv" >/dev/null
    mount_stop
    server_gone pg_one
    server_gone pg_two
}

direct() { echo "direct=host=$PGHOST port=$PGPORT user=$PGUSER dbname=test"; }

# Replicas $2… of server $1.
replicas() {
    local server=$1 bin
    shift
    bin=$(find /usr/lib/postgresql/*/bin/pg_basebackup -maxdepth 0 | sort -t/ -k5n | tail -n 1)
    for replica in "$@"; do
        mkdir -p "$E2E/$replica"
        rm -rf "$E2E/$replica/data"
        "$bin" -R -c fast -X stream -D "$E2E/$replica/data" \
            -d "host=$(cat "$E2E/$server/socket") port=$(cat "$E2E/$server/port") user=postgres"
        if [ "$(id -u)" = 0 ]; then chown -R postgres: "$E2E/$replica/data"; fi
        touch "$E2E/$replica/initialised"
        server_at "$replica" -c hot_standby=on
    done
}

# Until replica $1 has replayed all that server $2 has written.
caught_up() {
    local position
    use "$2"
    position=$(psql -X -q -At -c "SELECT pg_create_restore_point('$1')") # a record, and all before it, on its way
    use "$1"
    for _ in $(seq 600); do
        [ "$(psql -X -q -At -c "SELECT pg_last_wal_replay_lsn() >= '$position'")" != t ] || return 0
        sleep 0.05
    done
    return 1
}

@test "two standbys behind one name, and a failover: files are the same, for one comparison each" {
    server_at pg_first -c wal_level=replica
    use pg_first
    make_test_database <<'SQL'
CREATE TABLE t (id int PRIMARY KEY, pad text);
ALTER TABLE t ALTER pad SET STORAGE external;
INSERT INTO t SELECT g, repeat(md5(g::text), 500) FROM generate_series(1, 1500) g;
SQL
    replicas pg_first pg_left pg_right
    caught_up pg_left pg_first
    caught_up pg_right pg_first
    proxy_start "to=$(socket_of "$E2E/pg_left")"
    mount_start -o lease=0
    assert_right t
    identity t >"$OUT/first"
    rows=$(metric rows_fetched_total)
    for server in $(often "right left" "right left right left"); do
        proxy_says "to=$(socket_of "$E2E/pg_$server")" cut
        sleep 0.3
        identity t >"$OUT/now"
        diff "$OUT/first" "$OUT/now"
    done
    [ $(($(metric rows_fetched_total) - rows)) -eq 1500 ] # the other one, once
    # A change is copied from the one that is asked first; from the other only what that copied is compared.
    use pg_first
    psql -X -q -c "UPDATE t SET pad = 'changed' WHERE id = 700"
    caught_up pg_left pg_first
    caught_up pg_right pg_first
    PGHOST=$PROXY PGPORT=5432
    identity t >"$OUT/first"
    rows=$(metric rows_fetched_total)
    for server in $(often "right left" "right left right left"); do
        proxy_says "to=$(socket_of "$E2E/pg_$server")" cut
        sleep 0.3
        identity t >"$OUT/now"
        diff "$OUT/first" "$OUT/now"
    done
    fetched=$(($(metric rows_fetched_total) - rows))
    echo "$fetched rows for a change on the other standby"
    [ "$fetched" -gt 0 ]
    [ "$fetched" -le 500 ]
    assert_right t
    # The right one takes over; the left one follows it no more.
    use pg_right
    psql -X -q -c "SELECT pg_promote()" >/dev/null
    PGHOST=$PROXY PGPORT=5432
    proxy_says "to=$(socket_of "$E2E/pg_right")" cut
    sleep 0.3
    identity t >"$OUT/now"
    diff "$OUT/first" "$OUT/now"
    # From here on the two have other rows under the same ids.
    for server in right first; do
        use pg_$server
        psql -X -q -c "UPDATE t SET pad = '$server' WHERE id = 1"
    done
    caught_up pg_left pg_first
    PGHOST=$PROXY PGPORT=5432
    for server in $(often "right left" "right left right left"); do
        proxy_says "to=$(socket_of "$E2E/pg_$server")" cut
        sleep 0.3
        assert_right t
        grep -q "^1,$(echo $server | sed s/left/first/)" "$T/t/t.csv"
    done
    mount_stop
    for server in left right first; do server_gone pg_$server; done
}

@test "two standbys that are taken in turn: each schema.sql comes, and is of the server that was asked" {
    server_at pg_first -c wal_level=replica
    use pg_first
    make_test_database
    for i in $(seq 10); do psql -X -q -c "CREATE TABLE many$i (a int)"; done
    replicas pg_first pg_left pg_right
    caught_up pg_left pg_first
    caught_up pg_right pg_first
    for options in connections=8 $(often "" connections=2); do
        rm -rf "$CACHE"
        use pg_left
        proxy_start "to=$(socket_of "$E2E/pg_left")" "to=$(socket_of "$E2E/pg_right")"
        mount_start -o "lease=0,$options"
        for i in $(seq "$(often 4 10)"); do
            timeout 60 cat "$T/many$i/schema.sql" >"$OUT/got" || { echo "$options many$i: $(reason "$T/many$i")" && return 1; }
            grep -q "CREATE TABLE public.many$i " "$OUT/got"
        done
        # All at once, after some DDL, so that sessions to both are in use.
        use pg_first
        psql -X -q -c "CREATE TABLE more_${options#*=} ()"
        caught_up pg_left pg_first
        caught_up pg_right pg_first
        pids=()
        for i in $(seq 10); do
            timeout 120 cat "$T/many$i/schema.sql" >"$OUT/got$i" 3>&- &
            pids+=($!)
        done
        for pid in "${pids[@]}"; do wait "$pid"; done
        for i in $(seq 10); do grep -q "CREATE TABLE public.many$i " "$OUT/got$i"; done
        grep "another than the one" "$MNT/.pgvecfs/log" | tail -n 3
        mount_stop
        proxy_stop
    done
    # One connection at a time proves nothing where the next one leads elsewhere.
    rm -rf "$CACHE"
    proxy_start "to=$(socket_of "$E2E/pg_left")" "to=$(socket_of "$E2E/pg_right")"
    mount_start -o connections=1
    run timeout 120 cat "$T/many1/schema.sql"
    echo "connections=1: $status, $(reason "$T/many1")"
    [ "$status" -eq 1 ]
    mount_stop
    for server in left right first; do server_gone pg_$server; done
}

@test "a pg_dump on the primary of the standby that is mounted lets go of what somebody wants there" {
    server_at pg_upper -c wal_level=replica
    use pg_upper
    make_test_database -c 'CREATE TABLE one (a int)' -c 'CREATE TABLE two (a int)' \
        -c 'CREATE VIEW both_of_them AS SELECT one.a FROM one JOIN two USING (a)'
    replicas pg_upper pg_lower
    caught_up pg_lower pg_upper
    use pg_upper
    way=$(direct)
    for connections in $(often 2 "2 8"); do
        rm -rf "$CACHE"
        use pg_lower
        mount_start -o "connections=$connections,$way"
        use pg_upper
        lock_start two
        timeout 120 cat "$T/both_of_them/schema.sql" >"$OUT/both" 3>&- &
        waiter=$!
        within 20 at_least 1 "application_name LIKE 'pgvecfs pg_dump%' AND wait_event_type = 'Lock'"
        timeout 20 psql -X -q -c "ALTER TABLE one ADD COLUMN b$connections int"
        lock_stop
        wait $waiter
        grep -q 'CREATE VIEW public.both_of_them' "$OUT/both"
        mount_stop
    done
    # A superuser's mount of it judges a view as it is once it has the lock, not as it was before it waited for that.
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE ROLE mallory LOGIN;
CREATE SCHEMA m AUTHORIZATION mallory;
SET ROLE mallory;
CREATE FUNCTION m.evil() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'mallory runs as %', current_user; RETURN 1; END $$;
CREATE VIEW m.w AS SELECT 1 AS a;
SQL
    caught_up pg_lower pg_upper
    rm -rf "$CACHE"
    mount_start -o lease=0
    cat "$MNT/m/w/w.csv"
    use pg_upper
    psql -X -q -U mallory 3>&- <<SQL &
BEGIN;
CREATE OR REPLACE VIEW m.w AS SELECT m.evil() AS a;
\! touch "$OUT/replaced"; while [ ! -e "$OUT/go" ]; do sleep 0.05; done
COMMIT;
SQL
    mallory=$!
    within 20 test -e "$OUT/replaced"
    psql -X -q -c "SELECT pg_switch_wal()" >/dev/null
    use pg_lower
    locks() { [ "$(psql -X -At -c "SELECT count(*) FROM pg_locks WHERE relation = 'm.w'::regclass AND $1")" -ge 1 ]; }
    within 20 locks "mode = 'AccessExclusiveLock'"
    ls "$MNT/m" | grep -x w # it is judged, and nothing more is replayed until it is read
    timeout 60 cat "$MNT/m/w/w.csv" >"$OUT/w" 2>"$OUT/why" 3>&- &
    reader=$!
    within 20 locks "NOT granted"
    touch "$OUT/go"
    wait $mallory
    status=0
    wait $reader || status=$?
    [ "$status" -eq 1 ]
    grep "Permission denied" "$OUT/why"
    run grep 'mallory runs' "$E2E/pg_lower/log"
    [ "$status" -ne 0 ]
    mount_stop
    for server in lower upper; do server_gone pg_$server; done
}

@test "an UPDATE that changes nothing, and a table that is written anew, are the same files, and filters go on" {
    psql -X -q -v ON_ERROR_STOP=1 <<'SQL'
CREATE TABLE few (id int PRIMARY KEY, v vector(2));
INSERT INTO few VALUES (1, '[1,0]'), (2, '[0,1]'), (3, '[1,1]');
SQL
    mount_start -o lease=0
    identity few >"$OUT/first"
    ask() {
        mkdir "$T/few/query/$1"
        echo '[1,0]' >"$T/few/query/$1/vector"
        echo "$2" >"$T/few/query/$1/filter"
        cat "$T/few/query/$1/results.jsonl" || { cat "$T/few/query/$1/error"; return 1; }
    }
    [ "$(ask before 'id > 0' | wc -l)" -eq 3 ]
    psql -X -q -c "UPDATE few SET id = id"
    [ "$(ask after 'id > 1' | wc -l)" -eq 2 ]
    identity few >"$OUT/now"
    diff "$OUT/first" "$OUT/now"
    copied=$(metric groups_fetched_total)
    identity few >/dev/null
    [ "$(metric groups_fetched_total)" -eq "$copied" ] # its row ids are known now
    psql -X -q -c "VACUUM FULL few"
    [ "$(ask again 'id <> 2' | wc -l)" -eq 2 ]
    identity few >"$OUT/now"
    diff "$OUT/first" "$OUT/now"
    mount_stop
    mount_start -o lease=0
    identity few >"$OUT/now"
    diff "$OUT/first" "$OUT/now"
    [ "$(ask remounted 'id < 3' | wc -l)" -eq 2 ]
    [ "$(metric groups_fetched_total)" -eq 0 ]
    psql -X -q -c "UPDATE few SET id = 4 WHERE id = 3"
    [ "$(ask changed 'id > 3' | wc -l)" -eq 1 ]
    identity few >"$OUT/now"
    run diff -q "$OUT/first" "$OUT/now"
    [ "$status" -eq 1 ]
}
