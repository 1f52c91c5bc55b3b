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
