# shellcheck shell=bash
# What the server says of the values in a .parquet, written as tests/tools/parquet_rows writes them; for tests/e2e/parquet.bats and
# tests/readers/parquet.bats, which load it after helper.

# Prints the expression that writes column $2 (quoted) of type $1 (its base type's name) with type modifier $3.
parquet_expression() {
    local scale
    case $1 in
        bool) echo "CASE WHEN $2 THEN 't' ELSE 'f' END" ;;
        int2 | int4 | int8 | oid) echo "$2::text" ;;
        float4 | float8) echo "encode($1send($2), 'hex')" ;;
        date) echo "(('x' || encode(date_send($2), 'hex'))::bit(32)::int + 10957)::text" ;;
        timestamp | timestamptz) echo "(('x' || encode($1_send($2), 'hex'))::bit(64)::int8 + 946684800000000)::text" ;;
        time) echo "('x' || encode(time_send($2), 'hex'))::bit(64)::int8::text" ;;
        uuid) echo "replace($2::text, '-', '')" ;;
        bytea) echo "encode($2, 'hex')" ;;
        vector) echo "(SELECT '[' || string_agg(encode(float4send(x), 'hex'), ',' ORDER BY n) || ']' FROM unnest($2::real[]) WITH ORDINALITY AS u (x, n) WHERE $2 IS NOT NULL)" ;;
        halfvec) echo "(SELECT '[' || string_agg(encode(substring(public.halfvec_send($2) FROM 5 + 2 * n FOR 2), 'hex'), ',' ORDER BY n) || ']' FROM generate_series(0, public.vector_dims($2) - 1) n WHERE $2 IS NOT NULL)" ;;
        sparsevec) # three columns there; {1:0.5,3:2}/5 is the text
            printf '%s\n' "concat_ws(E'\\t', split_part($2::text, '/', 2),
                '[' || (SELECT coalesce(string_agg(split_part(e, ':', 1), ',' ORDER BY n), '') FROM regexp_split_to_table(substring($2::text FROM '[{](.+)[}]'), ',') WITH ORDINALITY AS u (e, n)) || ']',
                '[' || (SELECT coalesce(string_agg(encode(float4send(split_part(e, ':', 2)::real), 'hex'), ',' ORDER BY n), '') FROM regexp_split_to_table(substring($2::text FROM '[{](.+)[}]'), ',') WITH ORDINALITY AS u (e, n)) || ']')" ;;
        bit) # the bits, filled with zeros up to a whole byte
            if [ "$3" -ge 0 ]; then
                echo "substring(encode(bit_send($2), 'hex') FROM 9)"
            else
                echo "encode(convert_to($2::text, 'UTF8'), 'hex')"
            fi ;;
        numeric)
            scale=$((($3 - 4) & 0x7ff))
            if [ "$3" -lt 0 ] || [ $scale -ge 1024 ] || [ $((($3 - 4) >> 16)) -gt 38 ] || [ $scale -gt $((($3 - 4) >> 16)) ]; then
                echo "encode(convert_to(format('%s', $2), 'UTF8'), 'hex')"
            else
                echo "trunc($2 * 10::numeric ^ $scale)::text"
            fi ;;
        *) echo "encode(convert_to(format('%s', $2), 'UTF8'), 'hex')" ;;
    esac
}

# Prints the rows of relation $1 (schema-qualified, quoted).
reference_parquet() {
    local name type modifier none expressions=''
    while IFS=$'\t' read -r type modifier name; do
        none='\N'
        if [ "$type" = sparsevec ]; then none='\N\t\N\t\N'; fi
        expressions+="${expressions:+ || E'\\t' || }CASE WHEN $name IS NULL THEN E'${none//\\N/\\\\N}' ELSE $(parquet_expression "$type" "$name" "$modifier") END"
    done < <(psql_pinned -F $'\t' -c "
        WITH RECURSIVE base(num, name, type, modifier) AS ( -- of a domain, the base type alone is known
            SELECT attnum, quote_ident(attname), atttypid, atttypmod FROM pg_catalog.pg_attribute
            WHERE attrelid = '${1//\'/\'\'}'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
            UNION ALL SELECT num, name, typbasetype, -1
            FROM base JOIN pg_catalog.pg_type t ON t.oid = type WHERE typtype = 'd')
        SELECT typname, modifier, name FROM base JOIN pg_catalog.pg_type t ON t.oid = type WHERE typtype <> 'd' ORDER BY num")
    psql_pinned -c "SELECT ${expressions:-''} FROM $1"
}

# Fails unless file $1 is a Parquet file of the rows of relation $2.
assert_parquet() {
    local rc=0
    reference_parquet "$2" >"$OUT/expected" || return
    "$PARQUET_ROWS" "$1" >"$OUT/rows" || return
    assert_same_bytes "$OUT/rows" "$OUT/expected" || rc=$?
    return $rc
}
