# shellcheck shell=bash
# cache/ was made by the last program that wrote table records of layout 3, files is what stat said of its mount then.
# The programs that came later must go on showing the same files. This is the server that they are of: system identifier,
# oids and rows are the same on every machine.
#
#   layout_3_server FOLDER      starts it (scripts/private-pg) and points psql to it
#   layout_3_changes [COMMAND]  brings its rows up to date, COMMAND after each step
#
# How the cache was made: mount with cache_dir=cache; read all files; layout_3_changes, reading all files again each time.
# What is large, or need not be there, was deleted: *.rows of pieces, lock, and schema.sql's records.

LAYOUT_3=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAYOUT_3_SYSTEM=7000000000000000003

# As the server's user.
layout_3_do() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && setpriv --reuid=postgres --regid=postgres --init-groups "$@")
    else
        (cd / && "$@")
    fi
}

layout_3_start() {
    local lines
    "$LAYOUT_3/../../scripts/private-pg" start "$1" -c autovacuum=off || return
    lines=$("$LAYOUT_3/../../scripts/private-pg" env "$1") || return
    eval "$lines"
}

# Server $1 gives out oid $2 next.
layout_3_next_oid() {
    local bin data
    "$LAYOUT_3/../../scripts/private-pg" stop "$1" || return
    data=$(realpath "$1/data")
    bin=$(find /usr/lib/postgresql/*/bin/pg_resetwal -maxdepth 0 2>/dev/null | sort -t/ -k5n | tail -n 1) || true
    layout_3_do "${bin:-pg_resetwal}" -f -o "$2" -D "$data" >/dev/null || return
    layout_3_start "$1"
}

layout_3_server() {
    layout_3_start "$1" || return
    "$LAYOUT_3/../../scripts/private-pg" stop "$1" || return
    python3 "$LAYOUT_3/../e2e/set_identity.py" "$(realpath "$1/data")/global/pg_control" $LAYOUT_3_SYSTEM || return
    layout_3_next_oid "$1" 20000 && psql -X -q -d postgres -c "CREATE DATABASE test" || return
    layout_3_next_oid "$1" 30000 && psql -X -q -d test -v ON_ERROR_STOP=1 <<'SQL' || return
CREATE TABLE pieces (id int, t text, f float8, b bytea, c "char");
ALTER TABLE pieces ALTER t SET STORAGE external;
INSERT INTO pieces SELECT g, repeat('abcdefghij', 600), g / 7.0, decode('00ff', 'hex'), NULL
    FROM generate_series(1, 1000) g;
SQL
    layout_3_next_oid "$1" 40000 && psql -X -q -d test -v ON_ERROR_STOP=1 <<'SQL' || return
CREATE VIEW "a view" AS SELECT g AS id, 'row "' || g || '"' AS t FROM generate_series(1, 3) g;
SQL
    layout_3_next_oid "$1" 50000 && psql -X -q -d test -v ON_ERROR_STOP=1 <<'SQL' || return
CREATE TABLE halves (id int, l line, n numeric) PARTITION BY RANGE (id);
CREATE TABLE halves_1 PARTITION OF halves FOR VALUES FROM (0) TO (5);
CREATE TABLE halves_2 PARTITION OF halves FOR VALUES FROM (5) TO (10);
INSERT INTO halves SELECT g, '{1,2,3}', g / 3.0 FROM generate_series(1, 9) g;
SQL
    export PGDATABASE=test
}

layout_3_changes() {
    psql -X -q -d test -c "UPDATE pieces SET f = -1 WHERE id = 500" && "${@:-true}" || return
    psql -X -q -d test -c "UPDATE pieces SET f = -2 WHERE id = 1000" && "${@:-true}"
}

# What stat says of the files of the mount $1.
layout_3_files() {
    (cd "$1/public" && stat -c '%n %i %Y %s' pieces/pieces.{csv,bin,jsonl} pieces/manifest.json \
        "a view/a view".{csv,bin,jsonl} "a view/manifest.json" halves/halves.{csv,bin,jsonl} halves/manifest.json)
}
