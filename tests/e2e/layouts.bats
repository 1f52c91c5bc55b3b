# Caches that earlier programs have made: the files of an unchanged table are the same files.
load helper
load ../cache-layout-3/server

setup_file() {
    teardown_all
    mkdir -p "$E2E"
}

teardown_file() { teardown_all; }

teardown() { mount_stop >/dev/null 2>&1 || true; }

metric() {
    sleep 0.15
    sed -n "s/^pgvecfs_$1 //p" "$MNT/.pgvecfs/metrics"
}

# The tables are those of layout 3's cache, and so are the files.
same_files() { # LAYOUT
    rm -rf "$CACHE"
    cp -r "$LAYOUT_3/../cache-layout-$1/cache" "$CACHE"
    chmod -R go-rwx "$CACHE"
    mount_start -o lease=0
    layout_3_files "$MNT" >"$E2E/files"
    diff "$LAYOUT_3/files" "$E2E/files"
    for format in csv bin jsonl; do
        for table in pieces "a view" halves; do
            reference_$format "public.\"$table\"" >"$E2E/right"
            cat "$MNT/public/$table/$table.$format" >"$E2E/got"
            assert_same_bytes "$E2E/got" "$E2E/right"
        done
    done
    # A format that those programs did not have changes no file, and fetches nothing.
    compared=$(metric rows_fetched_total)
    for table in pieces halves; do
        reference_tsv "public.$table" | cmp - "$MNT/public/$table/$table.tsv"
    done
    stat "$MNT/public/pieces/pieces.csv" "$MNT/public/halves/halves.csv" >/dev/null
    [ "$(metric rows_fetched_total)" -eq "$compared" ]
    layout_3_files "$MNT" | diff "$LAYOUT_3/files" -
    mount_stop
    # They are records of this program now.
    for record in "$CACHE"/*-0/[345]0000/table.record; do
        [ "$(od -A n -t u4 -j 16 -N 4 "$record" | tr -d ' ')" -eq 7 ]
    done
    mount_start -o lease=0
    (cd "$MNT/public" && stat -c '%n %i %Y %s' pieces/pieces.{csv,bin,jsonl} pieces/manifest.json \
        halves/halves.{csv,bin,jsonl} halves/manifest.json) >"$E2E/files"
    grep -v "a view" "$LAYOUT_3/files" | diff - "$E2E/files"
    [ "$(metric rows_fetched_total)" -eq 0 ]
    mount_stop
}

@test "records of earlier layouts: inodes, times and sizes stay, after one comparison" {
    layout_3_server "$E2E/pg"
    layout_3_changes
    for layout in 3 4 5 6; do
        echo "layout $layout"
        same_files $layout
    done
    # A change is one file that has changed.
    mount_start -o lease=0
    psql -X -q -c "UPDATE pieces SET f = 3 WHERE id = 3"
    [ "$(stat -c '%i' "$MNT/public/pieces/pieces.csv")" != "$(sed -n 's/^pieces.pieces.csv \([0-9]*\).*/\1/p' "$LAYOUT_3/files")" ]
    mount_stop
}
