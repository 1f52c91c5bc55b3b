#!/bin/sh
# Every day from the server's first one (4714-11-24 BC) to the end of 6000, and the last 1000 days that a timestamp and
# a date have, with a moment in each: the codec's text and JSON against a private server's.
#
#   datetime_all.sh PROGRAM     PROGRAM is the built datetime_all.c
set -eu

program=$1
bin=$(pg_config --bindir)
dir=$(mktemp -d)
server=

as_postgres() {
    if [ "$(id -u)" -eq 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; else "$@"; fi
}

stop() {
    if [ -n "$server" ]; then # it may be the shell around the server
        kill -INT "$(head -n 1 "$dir/data/postmaster.pid")" 2>/dev/null || kill "$server" || true
        wait "$server" || true
    fi
    rm -rf "$dir"
}
trap stop EXIT
trap 'exit 1' INT TERM

[ "$(id -u)" -ne 0 ] || chown postgres "$dir"
cd "$dir"
case $program in /*) ;; *) program=$OLDPWD/$program ;; esac
as_postgres "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C >/dev/null
as_postgres "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c fsync=off 2>"$dir/log" &
server=$!
tries=0
until "$bin/pg_isready" -q -h "$dir"; do
    tries=$((tries + 1))
    if [ "$tries" -ge 300 ] || ! kill -0 "$server"; then
        cat "$dir/log" >&2
        exit 1
    fi
    sleep 0.2
done

# FIRST LAST [date]: with a moment in each day, or (a timestamp ends long before a date does) without.
compare() {
    moment=''
    texts=''
    if [ $# -lt 3 ]; then
        moment=", day + abs(d::bigint) * 7919000003 % 86400000000 * interval '1 microsecond' AS t"
        texts=", t, to_json(t), t::timestamptz, to_json(t::timestamptz)"
    fi
    "$program" "$@" >"$dir/ours"
    PGOPTIONS='-c timezone=UTC -c datestyle=ISO' psql -XAtq -h "$dir" -U postgres -d postgres -v ON_ERROR_STOP=1 >"$dir/theirs" <<SQL
COPY (
    SELECT concat_ws('|', d, day, to_json(day) $texts)
    FROM (SELECT d, day $moment
          FROM (SELECT d, date '2000-01-01' + d AS day FROM generate_series($1, $2) d) days) moments
) TO STDOUT
SQL
    cmp "$dir/ours" "$dir/theirs"
    [ "$(wc -l <"$dir/ours")" -eq $(($2 - $1 + 1)) ]
    days=$((days + $2 - $1 + 1))
}

days=0
compare -2451545 1461335
compare 106750983 106751982
compare 2145030949 2145031948 date
echo "$days days equal"
