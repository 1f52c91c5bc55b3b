# The mount below an overlay: the kernel keeps the file that it has found below a name, and says ESTALE as soon as the name
# leads to another one.
load helper

setup_file() { server_start; }
teardown_file() { teardown_all; }
setup() { test_begin; }
teardown() { test_end; }

# Runs $1 with an overlay over $MNT at $OV, both of which go with it.
through_overlay() {
    [ "$(id -u)" -eq 0 ] && unshare -m true || skip "only root can mount an overlay"
    export OUT MNT T OV=$OUT/over
    # What is above must be of a filesystem that can be: not of an overlay, as a container's root is.
    unshare -m --propagation private bash -euc '
        mkdir -p "$OV" "$OUT/above"
        mount -t tmpfs tmpfs "$OUT/above"
        mkdir "$OUT/above/upper" "$OUT/above/work"
        mount -t overlay overlay -o "lowerdir=$MNT,upperdir=$OUT/above/upper,workdir=$OUT/above/work" "$OV" || exit 77
        '"$1" </dev/null 3>&- && return
    [ $? -eq 77 ] && skip "this kernel mounts no overlay here"
    return 1
}

@test "through overlayfs a table is found again after its lease, while nobody has it open" {
    psql -X -q -c "DROP TABLE IF EXISTS still" -c "CREATE TABLE still AS SELECT generate_series(1, 100) AS i"
    reference_csv public.still >"$OUT/right"
    mount_start -o lease=0
    through_overlay '
        file=$OV/public/still/still.csv
        for _ in 1 2 3 4 5; do
            [ "$(stat -c %s "$file")" = "$(stat -c %s "$OUT/right")" ]
            cmp "$file" "$OUT/right"
        done'
}

# The kernel holds on to the file that it has found below, and looks no further when that is of the past.
@test "through overlayfs a table that has changed is ESTALE or new, never old, and another overlay shows it" {
    psql -X -q -c "DROP TABLE IF EXISTS still" -c "CREATE TABLE still AS SELECT generate_series(1, 100) AS i"
    mount_start -o lease=0
    through_overlay '
        file=$OV/public/still/still.csv
        exec 4<"$file"
        psql -X -q -c "INSERT INTO still VALUES (101)"
        for _ in 1 2 3; do
            if tail -n 1 "$file" >"$OUT/last" 2>"$OUT/error"; then
                [ "$(cat "$OUT/last")" = 101 ]
            else
                grep -q "Stale file handle" "$OUT/error"
            fi
        done
        [ "$(wc -l <&4)" = 101 ] # a heading and 100 rows: what was opened
        [ "$(tail -n 1 "$T/still/still.csv")" = 101 ]
        umount -l "$OV"
        mkdir "$OUT/above/upper2" "$OUT/above/work2"
        mount -t overlay overlay -o "lowerdir=$MNT,upperdir=$OUT/above/upper2,workdir=$OUT/above/work2" "$OV"
        [ "$(tail -n 1 "$file")" = 101 ]'
}
