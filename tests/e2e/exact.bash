# shellcheck shell=bash
# Checks whether files of the mount are, byte for byte, what the server itself says; for tests/e2e/exact_*.bats, which load it
# after helper. exact.py compares; here psql makes what it compares with, for any number of relations at once.

# Runs SQL from the arguments, or from standard input.
sql() {
    if [ $# -gt 0 ]; then
        PGCLIENTENCODING=UTF8 psql -X -q -At -v ON_ERROR_STOP=1 -c "$1" "${@:2}"
    else
        PGCLIENTENCODING=UTF8 psql -X -q -At -v ON_ERROR_STOP=1 -f -
    fi
}

# Two temporary functions: how a name is written in the mount, and where a relation's directory is.
exact_functions="
CREATE FUNCTION pg_temp.file_name(sql_name text) RETURNS text LANGUAGE sql AS \$\$
    SELECT string_agg(CASE WHEN octet_length(c) > 1 -- in some encodings such a character has no ascii()
                           THEN CASE WHEN encode(convert_to(c, 'UTF8'), 'hex') ~ '^(c2[89].|d89c|e2808[ef]|e280a[a-e]|e281a[6-9])\$'
                                     THEN regexp_replace(upper(encode(convert_to(c, 'UTF8'), 'hex')), '(..)', '%\\1', 'g') ELSE c END
                           WHEN c IN ('%', '/') OR ascii(c) < 32 OR ascii(c) = 127 OR (c = '.' AND n = 1)
                           THEN '%' || upper(lpad(to_hex(ascii(c)), 2, '0')) ELSE c END, '' ORDER BY n)
    FROM regexp_split_to_table(sql_name, '') WITH ORDINALITY AS t(c, n) \$\$;
CREATE FUNCTION pg_temp.folder(relation oid) RETURNS text LANGUAGE plpgsql AS \$\$
DECLARE r record;
BEGIN
    SELECT c.relname, n.nspname, i.inhparent, pn.nspname AS parent_schema INTO r
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND c.relispartition
    LEFT JOIN pg_class p ON p.oid = i.inhparent LEFT JOIN pg_namespace pn ON pn.oid = p.relnamespace
    WHERE c.oid = relation;
    IF r.inhparent IS NULL THEN
        RETURN pg_temp.file_name(r.nspname) || '/' || pg_temp.file_name(r.relname);
    END IF;
    RETURN pg_temp.folder(r.inhparent) || '/partitions/'
        || CASE WHEN r.nspname <> r.parent_schema THEN pg_temp.file_name(r.nspname) || '%2E' ELSE '' END
        || pg_temp.file_name(r.relname);
END \$\$;"

# The psql script that writes every relation's references. $1: a condition on pg_class c and pg_namespace n.
exact_script() {
    psql_pinned <<END
$exact_functions
CREATE TEMP TABLE wanted AS
    SELECT row_number() OVER (ORDER BY n.nspname, c.relname) AS i, c.oid,
        format('%I.%I', n.nspname, c.relname) AS name,
        CASE c.relkind WHEN 'r' THEN 'ONLY ' ELSE '' END AS scan,
        CASE c.relkind WHEN 'r' THEN format('%I.%I', n.nspname, c.relname)
                       ELSE format('(SELECT * FROM %I.%I)', n.nspname, c.relname) END AS source,
        pg_temp.folder(c.oid) AS folder
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ($1);
SELECT 'SET default_transaction_read_only = on;' || string_agg(format(\$f\$
\warn : %1\$s.csv
\o $work/%1\$s.csv
COPY %2\$s TO STDOUT (FORMAT csv, HEADER);
\warn : %1\$s.tsv
\o $work/%1\$s.tsv
COPY %2\$s TO STDOUT (FORMAT csv, HEADER, DELIMITER E'\t');
\warn : %1\$s.jsonl
\o $work/%1\$s.jsonl
SELECT row_to_json("whole row") FROM (SELECT * FROM %3\$s%4\$s) "whole row";
\o
\$f\$, i, source, scan, name), '' ORDER BY i) FROM wanted
\g $work/script
SELECT 'SET default_transaction_read_only = on;' || string_agg(format(\$f\$
\warn : %1\$s.bin
\o $work/%1\$s.bin
COPY %2\$s TO STDOUT (FORMAT binary);
\o
\$f\$, i, source), '' ORDER BY i) FROM wanted
\g $work/script.bin
\o $work/list.json
SELECT json_agg(json_build_object('i', i, 'folder', folder, 'name', name, 'lists', (
    WITH RECURSIVE base(num, col, type) AS (
        SELECT attnum, attname, atttypid FROM pg_attribute WHERE attrelid = w.oid AND attnum > 0 AND NOT attisdropped
        UNION ALL SELECT num, col, typbasetype FROM base JOIN pg_type t ON t.oid = type WHERE typtype = 'd')
    SELECT json_object_agg(col, typname) FROM base JOIN pg_type t ON t.oid = type
    WHERE typname IN ('vector', 'halfvec', 'sparsevec')))) FROM wanted w;
END
}

# Fails unless all files of every relation that condition $1 names (over pg_class c, pg_namespace n) are exact. What COPY
# refuses the mount must refuse, with the server's words. The other arguments are options of exact.py.
assert_exact_where() {
    local work=$E2E/exact.$BASHPID rc=0 encoding
    rm -rf "$work"
    mkdir -p "$work"
    PGCLIENTENCODING=UTF8 exact_script "$1" || return
    PGCLIENTENCODING=UTF8 psql_pinned -0 -v ON_ERROR_STOP=0 -f "$work/script" 2>"$work/stderr" || return
    # .bin has the database's own bytes, so the statement, with the names in it, must be in its encoding as well.
    encoding=$(sql 'SHOW server_encoding') || return
    [ "$encoding" = UTF8 ] || [ "$encoding" = SQL_ASCII ] || iconv -f UTF-8 -t "$(sed 's/^WIN/CP/; s/_/-/' <<<"$encoding")" "$work/script.bin" -o "$work/script.bin" || return
    PGCLIENTENCODING=$encoding psql_pinned -v ON_ERROR_STOP=0 -f "$work/script.bin" 2>>"$work/stderr" || return
    python3 "$ROOT/tests/e2e/exact.py" "$work" "$MNT" "${@:2}" || rc=$?
    if [ $rc -eq 0 ]; then rm -rf "$work"; fi
    return $rc
}

quote_literal() { printf "E'%s'" "$(printf %s "$1" | sed "s/\\\\/\\\\\\\\/g; s/'/''/g")"; }

# The same for all that stands in schema $1, and for relation $2 of schema $1.
assert_schema_exact() { assert_exact_where "n.nspname = $(quote_literal "$1")" "${@:2}"; }
assert_exact() { assert_exact_where "n.nspname = $(quote_literal "$1") AND c.relname = $(quote_literal "$2")" "${@:3}"; }

# Fails unless reading file $1 of the mount fails, at stat already, with a reason that holds the text $2. The file's attribute and
# its directory's must both say so: getfattr needs the directory's, since it first asks for the attributes of what it is given.
assert_refused() {
    local said
    if stat "$MNT/$1" >/dev/null 2>&1; then echo "$1 can be stat'ed" >&2; return 1; fi
    if cat "$MNT/$1" >/dev/null 2>&1; then echo "$1 can be read" >&2; return 1; fi
    said=$(python3 -c 'import os, sys; print(os.getxattr(sys.argv[1], "user.pgvecfs.error").decode())' "$MNT/$1") || return
    [[ $said == *"$2"* ]] || { echo "$1 says: $said" >&2; return 1; }
    said=$(getfattr -n user.pgvecfs.error --only-values --absolute-names "$(dirname "$MNT/$1")") || return
    [[ $said == *"$2"* ]] || { echo "the directory of $1 says: $said" >&2; return 1; }
}

# Prints a metric of the mount, by its name without pgvecfs_.
metric() {
    sleep 1.1 # control files are kept for a second
    sed -n "s/^pgvecfs_$1 //p" "$MNT/.pgvecfs/metrics"
}
