# shellcheck shell=bash
# schema.sql of many relations: each from a pg_dump of its own, and all from one. Needs a server with log_connections=on.

# Prints how many runs of pg_dump there were until now; a probe's connection has another name.
dumps() { grep -c 'connection authorized.*application_name=pgvecfs pg_dump [0-9]*-[0-9]*$' "$E2E/pg/log" || true; }
# Prints how often this mount has read the schemas of all relations at once.
at_once() { grep -c 'was read at once' "$MNT/.pgvecfs/log" || true; }

# Prints for how long the mount runs one pg_dump for each relation after that, in seconds, and a moment more.
pause() { echo $(($(sed -n 's/.* was read at once, in \([0-9]*\) ms.*/\1/p' "$MNT/.pgvecfs/log" | tail -n 1) * 5 / 1000 + 1)); }

# Prints the paths of the schema.sql of all relations in schema $1, and of their partitions.
schema_files() {
    psql -X -At <<END
SELECT format('%s/%s/schema.sql', n.nspname, coalesce(p.relname || '/partitions/', '') || c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_inherits i ON c.relispartition AND i.inhrelid = c.oid
LEFT JOIN pg_class p ON p.oid = i.inhparent
WHERE n.nspname = '$1' AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT coalesce(p.relispartition, false)
ORDER BY c.relname
END
}

# Makes another state of the DDL, in which every text is as before.
other_state() { psql -X -q -c "COMMENT ON SCHEMA public IS '$RANDOM $RANDOM'"; }

# Reads each file of stdin into $1, each in a state of its own, and so from a pg_dump of its own.
read_alone() {
    local path
    while IFS= read -r path; do
        mkdir -p "$1/$path" || return
        cat "$MNT/$path" >"$1/$path/text" </dev/null || return
        [ -s "$1/$path/text" ] || return
        stat -c '%i %Y %s' "$MNT/$path" >"$1/$path/file" || return
        other_state </dev/null || return
    done
}

# Fails unless each file of stdin is what was read into $1, byte for byte, and still the same file.
same_as_alone() {
    local path bad=0
    while IFS= read -r path; do
        cat "$MNT/$path" >"$1/$path/now" </dev/null
        diff "$1/$path/text" "$1/$path/now" || { echo "$path has another text" >&2; bad=1; }
        [ "$(stat -c '%i %Y %s' "$MNT/$path")" = "$(cat "$1/$path/file")" ] || { echo "$path is another file" >&2; bad=1; }
    done
    return $bad
}

# Reads the first three files of schema $1: with the third of them the mount reads all relations at once.
read_three() {
    local path
    while IFS= read -r path; do cat "$MNT/$path" </dev/null >/dev/null || return; done < <(schema_files "$1" | sed -n 1,3p)
}
