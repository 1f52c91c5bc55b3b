#!/usr/bin/env bats
# A database with 10,000 tables.

load helper
load exact

TABLES=10000

setup_file() {
    server_start -c log_statement=all -c max_locks_per_transaction=1000
    sql <<END
CREATE SCHEMA many;
CREATE SCHEMA few;
CREATE TABLE few.one AS SELECT 1 AS a;
DO \$\$ BEGIN
    FOR i IN 1..$TABLES LOOP
        EXECUTE format('CREATE TABLE many.t%s (a int)', to_char(i, 'FM00000'));
    END LOOP;
END \$\$;
ALTER TABLE many.t00042 ADD v public.vector(3);
INSERT INTO many.t00042 VALUES (42, '[1,2,3]');
END
    mount_start
}

teardown_file() { teardown_all; }

# Runs the rest, prints how long it took, and leaves the statements that the server ran in $E2E/statements.
statements_of() {
    local from begin
    from=$(($(wc -l <"$E2E/pg/log") + 1))
    begin=$(date +%s%N)
    "${@:2}" || return
    echo "# $1: $((($(date +%s%N) - begin) / 1000000)) ms" >&3
    tail -n "+$from" "$E2E/pg/log" | grep -E 'LOG:  (statement|execute)' >"$E2E/statements" || true
}

expected() { seq -f 't%05.0f' 1 $TABLES; }

list() { ls "$MNT/many" >"$E2E/listed"; }

walk() { find "$MNT/many" -type d | wc -l >"$E2E/walked"; }

walk_files() { find "$MNT/many/t00001" "$MNT/many/t00002" "$MNT/few" >"$E2E/walked"; }

@test "ls of a schema is complete, takes a handful of queries and fetches nothing" {
    local fetches
    fetches=$(metric fetches_total)
    statements_of "ls of $TABLES tables" list
    expected | diff - "$E2E/listed"
    [ "$(wc -l <"$E2E/statements")" -le 10 ] || { head -20 "$E2E/statements" >&2; return 1; }
    ! grep -q COPY "$E2E/statements" || false
    [ "$(metric fetches_total)" = "$fetches" ]
}

@test "a second ls takes less" {
    statements_of "ls once more" list
    expected | diff - "$E2E/listed"
    [ "$(wc -l <"$E2E/statements")" -le 5 ] || { cat "$E2E/statements" >&2; return 1; }
}

@test "ls -l, which asks for the attributes of every directory, fetches nothing" {
    local fetches
    fetches=$(metric fetches_total)
    statements_of 'ls -l' ls -l "$MNT/many" >"$E2E/long"
    [ "$(grep -c ^d "$E2E/long")" = $TABLES ]
    ! grep -q COPY "$E2E/statements" || false
    [ "$(metric fetches_total)" = "$fetches" ]
    # The catalog is asked again each second, but not for each directory.
    [ "$(wc -l <"$E2E/statements")" -le $((TABLES / 10)) ] || { wc -l "$E2E/statements" >&2; return 1; }
}

@test "find over all directories" {
    statements_of 'find -type d' walk
    [ "$(cat "$E2E/walked")" -ge $((TABLES + 1)) ]
    ! grep -q COPY "$E2E/statements" || false
    echo "# $(wc -l <"$E2E/statements") statements" >&3
}

@test "one table among them is read as any other, and the next ls sees what has changed" {
    assert_exact many t00042
    assert_exact few one
    walk_files
    grep -q 't00002/t00002.csv' "$E2E/walked"
    sql "DROP TABLE many.t00007; CREATE TABLE many.new (a int)"
    sleep 1.1
    list
    { echo new; expected | grep -v t00007; } | LC_ALL=C sort | diff - <(LC_ALL=C sort "$E2E/listed")
    ! stat "$MNT/many/t00007" || false
    assert_exact many new
    sql "DROP TABLE many.new; CREATE TABLE many.t00007 (a int)"
}
