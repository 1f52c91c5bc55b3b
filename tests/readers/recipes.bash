# shellcheck shell=bash
# Runs the examples of docs/recipes.md: those that <!-- runs: TOOL --> stands before, and what they print must be the text that
# stands behind them, if one does.

recipes_start() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 -c 'CREATE TABLE words (id int PRIMARY KEY, word text UNIQUE, embedding vector(100))' \
        -c 'CREATE TEMP TABLE given (id serial, word text, embedding vector(100))' -c 'COPY given (word, embedding) FROM STDIN (FORMAT csv, HEADER)' \
        -c 'INSERT INTO words SELECT * FROM given ORDER BY id' < <(zstd -dcq "$ROOT/share/sample/words-5000.csv.zst")
    mount_start
}

# recipes TOOL RUN...: the code of each example is in the file that stands behind RUN.
recipes() {
    local tool=$1 count=0 number
    shift
    rm -rf "$E2E/recipes" && mkdir -p "$E2E/recipes"
    awk -v tool="$tool" -v folder="$E2E/recipes" -v mount="$MNT" '
        /^<!-- runs: / { wanted = $0 == "<!-- runs: " tool " -->"; number += wanted; next }
        /^```/ && file == "" { file = wanted && $0 != "```text" ? folder "/" number : $0 == "```text" && said ? folder "/" number ".says" : "-"; next }
        /^```/ { said = file == folder "/" number; if (file != "-") close(file); if (said) wanted = 0; file = ""; next }
        file != "" && file != "-" { gsub("/mnt/db", mount); print >file; next }
        file == "" && $0 != "" { said = 0 }' "$ROOT/docs/recipes.md"
    for number in $(find "$E2E/recipes" -name '*[0-9]' -printf '%f\n' | sort -n); do
        "$@" "$E2E/recipes/$number" >"$E2E/recipes/$number.got" || { cat "$E2E/recipes/$number"; return 1; }
        if [ -e "$E2E/recipes/$number.says" ]; then diff "$E2E/recipes/$number.says" "$E2E/recipes/$number.got" || return; fi
        count=$((count + 1))
    done
    [ "$count" -gt 0 ]
}
