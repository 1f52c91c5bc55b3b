# How a mount begins, is asked about, and ends; and what must not leak on the way.
load helper

setup_file() {
    server_start
    psql -X -q -v ON_ERROR_STOP=1 -c "CREATE TABLE t (id int, v text)" -c "INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 1000) i"
    psql -X -q -v ON_ERROR_STOP=1 -c "CREATE ROLE secretive LOGIN PASSWORD 's3cret-hunter2'" -c "GRANT SELECT ON t TO secretive"
    # That role alone has to give its password.
    data=$(realpath "$E2E/pg/data")
    sed -i '1i local all secretive scram-sha-256' "$data/pg_hba.conf"
    psql -X -q -At -c "SELECT pg_reload_conf()" >/dev/null
    PYTHON=$(python3 -c "import sys; print(sys.executable)") # a shim would get the signals
    export PYTHON
    mkdir -p "$MNT" "$E2E/bin"
    ln -s "$PGVECFS" "$E2E/bin/pgvecfs"
}

teardown_file() { teardown_all; }

setup() {
    OUT=$E2E/out/$BATS_TEST_NUMBER
    mkdir -p "$OUT" "$CACHE"
    SERVER="host=$PGHOST port=$PGPORT"
    PIDS=()
    # Nobody's own settings decide.
    export HOME=$OUT XDG_CACHE_HOME=$OUT/cache
    sleep 0.2
}

teardown() {
    for pid in "${PIDS[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    lock_stop || true
    while read -r path; do fusermount3 -uz "$path" || umount -l "$path" || true; done < <(mounts_below) 2>/dev/null
    [ -n "${E2E_KEEP:-}" ] || rm -rf "$OUT"
}

# The program as a user calls it, without the descriptors of bats: the daemon must not get them.
pgvecfs() {
    (
        for fd in /proc/self/fd/*; do
            fd=${fd##*/}
            if [ "$fd" -gt 2 ] && [ "$fd" -lt 255 ]; then eval "exec $fd>&-"; fi
        done
        exec "$PGVECFS" "$@"
    ) </dev/null
}

not_mounted() { ! grep -qF " $1 " /proc/self/mountinfo; }

assert_works() { [ "$(tail -n 1 "$1/public/t/t.csv")" = "1000,v1000" ]; }

# Refuses to mount: one line that begins with our name and holds $1, exit code not 0, nothing mounted.
refuses() {
    local word=$1
    shift
    run pgvecfs -o cache_dir="$CACHE" "$@"
    echo "$* -> $status: $output"
    [ "$status" -ne 0 ]
    [ "${#lines[@]}" -eq 1 ]
    [[ $output == pgvecfs:* ]]
    [[ $output == *"$word"* ]]
    not_mounted "$MNT"
}

@test "it returns once the mount works, and the daemon stands in / without a terminal" {
    pgvecfs -o cache_dir="$CACHE" "$SERVER user=postgres dbname=test" "$MNT"
    assert_works "$MNT"
    pid=$(daemon_pid)
    [ "$(readlink "/proc/$pid/cwd")" = / ]
    [ "$(ps -o tty= -p "$pid" | tr -d ' ')" = '?' ]
    for fd in 0 1 2; do [ "$(readlink "/proc/$pid/fd/$fd")" = /dev/null ]; done
    fusermount3 -u "$MNT"
    wait_gone "$pid" 10
}

@test "what is wrong with the server is said in one line, and nothing is mounted" {
    refuses "/nowhere" "host=/nowhere port=1 user=postgres dbname=test" "$MNT"
    refuses "nobody-here" "$SERVER user=nobody-here dbname=test" "$MNT"
    refuses "no-such-db" "$SERVER user=postgres dbname=no-such-db" "$MNT"
    refuses "connection string" "$SERVER nonsense=1" "$MNT"
    PGPASSWORD=wrong-one refuses "password" "$SERVER user=secretive dbname=test" "$MNT"
    run pgvecfs -o cache_dir="$CACHE" "$SERVER user=secretive dbname=test password=wrong-one" "$MNT"
    [ "$status" -ne 0 ]
    [ "${#lines[@]}" -eq 2 ] # and the advice
    [[ $output != *wrong-one* ]]
    refuses "" "not a connection string" "$MNT"
}

@test "what is wrong with the mount point or the options is said in one line" {
    refuses "$OUT/missing" "$SERVER dbname=test" "$OUT/missing"
    touch "$OUT/file"
    refuses "$OUT/file" "$SERVER dbname=test" "$OUT/file"
    refuses "nonsense" -o nonsense "$SERVER dbname=test" "$MNT"
    refuses "--nonsense" --nonsense "$SERVER dbname=test" "$MNT"
    for size in 12X x '' -5 10GG 99999999999999999999 1.5M; do refuses "cache_size" -o cache_size=$size "$SERVER dbname=test" "$MNT"; done
    refuses "memory" -o memory=5 "$SERVER dbname=test" "$MNT"
    refuses "jobs" -o jobs=0 "$SERVER dbname=test" "$MNT"
    refuses "lease" -o lease=-1 "$SERVER dbname=test" "$MNT"
    refuses "lease" -o lease=nan "$SERVER dbname=test" "$MNT"
    refuses "formats" -o formats=csv+xml "$SERVER dbname=test" "$MNT"
    refuses "list" -o list=everything "$SERVER dbname=test" "$MNT"
    refuses "mount point" "$SERVER dbname=test"
    refuses "mount point"
    refuses "more than" "$SERVER dbname=test" "$MNT" "$MNT"
}

@test "-h, -V, and a mount point that is in use" {
    run pgvecfs -h
    [ "$status" -eq 0 ]
    [[ $output == *CONNINFO*MOUNTPOINT* && $output == *cache_size* && $output == *lease* ]]
    run pgvecfs --help
    [ "$status" -eq 0 ]
    run pgvecfs -V
    [ "$status" -eq 0 ]
    [[ $output == "pgvecfs "* ]]
    run pgvecfs --version
    [ "$status" -eq 0 ]
}

@test "-f stays in the foreground and logs to stderr; SIGTERM, SIGINT and SIGHUP end it with code 0" {
    for signal in TERM INT HUP; do
        "$PYTHON" -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$PGVECFS" -f -o cache_dir="$CACHE" "$SERVER user=postgres dbname=test" "$MNT" 2>"$OUT/err" 3>&- &
        pid=$!
        PIDS+=("$pid")
        within 10 eval '[ -e "$MNT/.pgvecfs/status.json" ]'
        assert_works "$MNT"
        [ "$(daemon_pid)" = "$pid" ]
        grep -q 'is mounted on' "$OUT/err"
        kill -s $signal "$pid"
        status=0
        wait "$pid" || status=$?
        echo "$signal: $status"
        [ "$status" -eq 0 ]
        not_mounted "$MNT"
    done
}

@test "in the foreground it works though nobody reads what it says, and ends" {
    mkfifo "$OUT/said"
    exec 7<>"$OUT/said"
    "$PYTHON" - <<'PYTHON'
import fcntl, os
flags = fcntl.fcntl(7, fcntl.F_GETFL)
fcntl.fcntl(7, fcntl.F_SETFL, flags | os.O_NONBLOCK)
for size in 4096, 1:
    try:
        while True:
            os.write(7, b"x" * size)
    except BlockingIOError:
        pass
fcntl.fcntl(7, fcntl.F_SETFL, flags)
PYTHON
    "$PGVECFS" -f -d -o cache_dir="$CACHE" "$SERVER user=postgres dbname=test" "$MNT" 2>"$OUT/said" >/dev/null 3>&- 7>&- &
    pid=$!
    PIDS+=("$pid")
    within 20 timeout 5 grep -q "is mounted" "$MNT/.pgvecfs/log"
    for _ in 1 2 3; do
        psql -X -q -c "UPDATE t SET v = v WHERE id = 1000"
        [ "$(timeout 20 tail -n 1 "$MNT/public/t/t.csv")" = "1000,v1000" ]
        ! timeout 20 cat "$MNT/public/none/none.csv" 2>/dev/null || false
        timeout 20 ls -l "$MNT/public" "$MNT/public/t" >/dev/null
    done
    fusermount3 -u "$MNT"
    wait_gone "$pid" 15
    exec 7<&-
}

# inherits PYTHON-STATEMENT: a mount by a process of which that is so works, cache and all, and ends by SIGTERM.
inherits() {
    rm -rf "$CACHE"
    mkdir -p "$CACHE"
    "$PYTHON" -c "import os, resource, signal, sys
$1
os.closerange(3, 255)
os.execv(sys.argv[1], sys.argv[1:])" "$PGVECFS" -o cache_dir="$CACHE" "$SERVER user=postgres dbname=test" "$MNT"
    assert_works "$MNT"
    [ "$(wc -l <"$MNT/public/wide/wide.csv")" -eq 20001 ]
    grep -q 'CREATE TABLE' "$MNT/public/t/schema.sql"
    pid=$(daemon_pid)
    echo "$1 -> $pid: $(cat "$MNT/.pgvecfs/log")"
    kill -TERM "$pid"
    wait_gone "$pid" 10
    not_mounted "$MNT"
}

@test "whatever it has from who starts it: closed descriptors, signals ignored or blocked, small files only" {
    psql -X -q -v ON_ERROR_STOP=1 -c "CREATE TABLE wide AS SELECT i, repeat(md5(i::text), 8) AS v FROM generate_series(1, 20000) i"
    inherits "for fd in 0, 1, 2: os.close(fd)"
    # The rows are in the cache, and nothing that was opened has been lost.
    [ -n "$(find "$CACHE" -name '*.rows' -size +1k)" ]
    inherits "signal.signal(signal.SIGCHLD, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    inherits "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())"
    inherits "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))"
    psql -X -q -v ON_ERROR_STOP=1 -c "DROP TABLE wide"
}

@test "fusermount3 -u, umount, SIGTERM and SIGINT end the daemon, and leave neither a mount nor sessions" {
    for how in fusermount umount TERM INT; do
        mount_start
        assert_works "$MNT"
        pid=$(daemon_pid)
        case $how in
            fusermount) fusermount3 -u "$MNT" ;;
            umount) umount "$MNT" ;;
            *) kill -s $how "$pid" ;;
        esac
        wait_gone "$pid" 10
        not_mounted "$MNT"
        ls "$MNT" >/dev/null # not "transport endpoint is not connected"
        within 5 eval '[ "$(psql -X -At -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = '"'pgvecfs'"'")" = 0 ]'
    done
}

@test "it ends while a fetch is blocked, too" {
    mount_start
    lock_start t
    cat "$MNT/public/t/t.csv" >/dev/null 2>"$OUT/err" 3>&- &
    reader=$!
    PIDS+=("$reader")
    sleep 0.5
    pid=$(daemon_pid)
    kill -TERM "$pid"
    wait_gone "$pid" 10
    wait_gone "$reader" 5
    not_mounted "$MNT"
    lock_stop
}

@test "umount while a file is open says busy, and the mount goes on" {
    mount_start
    {
        run umount "$MNT"
        [ "$status" -ne 0 ]
        [[ $output == *busy* ]]
        run fusermount3 -u "$MNT"
        [ "$status" -ne 0 ]
        assert_works "$MNT"
    } 4<"$MNT/public/t/t.csv"
    mount_stop
}

# mount(8) clears PATH, and mount.fuse3 looks for pgvecfs in the usual places: so in a mount namespace of its own, where
# it stands in /usr/local/bin. Runs $1 there.
in_namespace() {
    "$ROOT/tests/e2e/own-mounts" "$E2E" bash -c '
        set -e
        mount --bind "$E2E/bin" /usr/local/bin
        works() { [ "$(tail -n 1 "$MNT/public/t/t.csv")" = "1000,v1000" ]; }
        unmount() {
            local pid tries=100
            pid=$(sed -n "s/.*\"pid\": \([0-9]*\).*/\1/p" "$MNT/.pgvecfs/status.json")
            echo "$pid" >"$E2E/namespace.pid" # for teardown_all
            umount "$MNT"
            while [ -e "/proc/$pid/stat" ] && ! grep -q ") Z " "/proc/$pid/stat"; do sleep 0.1; [ $((tries -= 1)) -gt 0 ]; done
        }
        '"$1" </dev/null 3>&-
}

@test "mount -t fuse.pgvecfs, and /etc/fstab, with the options of mount(8)" {
    [ "$(id -u)" -eq 0 ] && unshare -m true || skip "only root may mount by mount(8)"
    export E2E OUT SERVER
    in_namespace '
        mount -t fuse.pgvecfs -o cache_dir="$CACHE",lease=2 "$SERVER user=postgres dbname=test" "$MNT"
        works
        [ "$(findmnt -n -o FSTYPE "$MNT")" = fuse.pgvecfs ]
        unmount'
    in_namespace '
        for generic in defaults noauto,nofail,_netdev,user,x-systemd.automount,x-systemd.idle-timeout=60 noatime,nodev,nosuid,noexec,ro,comment=x; do
            echo "host=$PGHOST\\040port=$PGPORT\\040user=postgres\\040dbname=test $MNT fuse.pgvecfs $generic,cache_dir=$CACHE 0 0" >"$OUT/fstab"
            mount -T "$OUT/fstab" "$MNT"
            works
            unmount
        done'
    run in_namespace 'mount -t fuse.pgvecfs -o cache_dir="$CACHE" "$SERVER user=postgres dbname=no-such-db" "$MNT"'
    echo "$output"
    [ "$status" -ne 0 ]
    [[ $output == *no-such-db* ]]
}

@test "a URI, a service file, the environment and a passfile lead to the database" {
    socket=${PGHOST//\//%2F}
    pgvecfs -o cache_dir="$CACHE" "postgresql://postgres@$socket:$PGPORT/test" "$MNT"
    assert_works "$MNT"
    fusermount3 -u "$MNT"
    printf '[prod]\nhost=%s\nport=%s\nuser=postgres\ndbname=test\n' "$PGHOST" "$PGPORT" >"$OUT/services"
    within 5 not_mounted "$MNT"
    PGSERVICEFILE=$OUT/services PGHOST='' PGPORT='' PGDATABASE='' pgvecfs -o cache_dir="$CACHE" service=prod "$MNT"
    assert_works "$MNT"
    fusermount3 -u "$MNT"
    within 5 not_mounted "$MNT"
    PGDATABASE=test pgvecfs -o cache_dir="$CACHE" "" "$MNT" # PGHOST, PGPORT and PGUSER are set
    assert_works "$MNT"
    fusermount3 -u "$MNT"
    within 5 not_mounted "$MNT"
    printf '*:*:*:secretive:s3cret-hunter2\n' >"$OUT/pass"
    chmod 600 "$OUT/pass"
    run pgvecfs -o cache_dir="$CACHE" "$SERVER user=secretive dbname=test passfile=$OUT/pass" "$MNT"
    [ "$status" -eq 0 ]
    [ -z "$output" ] # no advice is due
    assert_works "$MNT"
    fusermount3 -u "$MNT"
    within 5 not_mounted "$MNT"
    PGPASSWORD=s3cret-hunter2 run pgvecfs -o cache_dir="$CACHE" "$SERVER user=secretive dbname=test" "$MNT"
    [ "$status" -eq 0 ]
    assert_works "$MNT"
    # A service file that is gone, and a relative cache_dir and mount point, do not matter to the daemon.
    fusermount3 -u "$MNT"
    within 5 not_mounted "$MNT"
    mkdir -p "$OUT/here/m"
    (cd "$OUT/here" && pgvecfs -o cache_dir=c "$SERVER user=postgres dbname=test" m)
    assert_works "$OUT/here/m"
    [ -d "$OUT/here/c" ]
    fusermount3 -u "$OUT/here/m"
}

@test "10: a password in the connection string works, draws one line of advice, and is found nowhere" {
    for conninfo in "$SERVER user=secretive dbname=test password=s3cret-hunter2" "postgresql://secretive:s3cret-hunter2@${PGHOST//\//%2F}:$PGPORT/test"; do
        run pgvecfs -o cache_dir="$CACHE",lease=1 "$conninfo" "$MNT"
        echo "$output"
        [ "$status" -eq 0 ]
        [ "${#lines[@]}" -eq 1 ]
        [[ $output == *"service file"* && $output == *passfile* && $output == *PGPASSWORD* ]]
        [[ $output != *hunter2* ]]
        assert_works "$MNT"
        cat "$MNT"/public/t/* >/dev/null
        pid=$(daemon_pid)
        run cat "$MNT/public/t/no-such-file"
        ! grep -a hunter2 "/proc/$pid/cmdline" || false
        ! grep -a hunter2 "/proc/$pid/environ" || false
        ! grep hunter2 /proc/mounts /proc/self/mountinfo || false
        ! grep -r hunter2 "$MNT" "$MNT/.pgvecfs" || false
        ! grep -ra hunter2 "$CACHE" "$E2E/pg/log" || false
        [ "$(ps -eo args | grep -c '[h]unter2')" -eq 0 ]
        # Nor in what the server is told, nor after a broken connection.
        [ "$(psql -X -At -c "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%hunter' || '2%'")" -eq 0 ]
        psql -X -q -At -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgvecfs'" >/dev/null
        psql -X -q -At -c "ALTER ROLE secretive PASSWORD 'another'; SELECT pg_current_xact_id()" >/dev/null
        sleep 1.5
        run cat "$MNT/public/t/t.csv"
        [ "$status" -ne 0 ]
        psql -X -q -c "ALTER ROLE secretive PASSWORD 's3cret-hunter2'"
        sleep 1.2
        ! grep hunter2 "$MNT/.pgvecfs/log" "$MNT/.pgvecfs/status.json" || false
        assert_works "$MNT"
        fusermount3 -u "$MNT"
        wait_gone "$pid" 10
    done
}

@test "databases with strange names" {
    sql() { PGDATABASE=postgres psql -X -q -v ON_ERROR_STOP=1 -v old="$previous" -v new="$name"; }
    previous='' name='plain'
    sql <<<'CREATE DATABASE :"new" TEMPLATE template0;'
    PGDATABASE=plain psql -X -q -v ON_ERROR_STOP=1 -c "CREATE TABLE t AS SELECT i AS id, 'v' || i AS v FROM generate_series(1, 1000) i"
    previous=plain
    for name in 'a,b' 'back\slash' "quote'd" 'two words' 'double"quote' 'ünï' 'x=y' 'a%2Cb' '-dash'; do
        sql <<<'ALTER DATABASE :"old" RENAME TO :"new";'
        previous=$name
        quoted=${name//\\/\\\\}
        quoted=${quoted//\'/\\\'}
        run pgvecfs -o cache_dir="$CACHE" "$SERVER user=postgres dbname='$quoted'" "$MNT"
        echo "$name: $output"
        [ "$status" -eq 0 ]
        assert_works "$MNT"
        python3 -m json.tool "$MNT/.pgvecfs/status.json" >/dev/null
        cat "$MNT/public/t/schema.sql" >/dev/null
        pid=$(daemon_pid)
        [ "$(grep -c " $MNT " /proc/self/mountinfo)" -eq 1 ]
        fusermount3 -u "$MNT"
        wait_gone "$pid" 10
        within 5 eval '[ "$(psql -X -At -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = '"'pgvecfs'"'")" = 0 ]'
    done
    sql <<<'DROP DATABASE :"old" WITH (FORCE);'
}

@test "two mounts of different databases, each with its own bytes and device" {
    PGDATABASE=postgres psql -X -q -c "DROP DATABASE IF EXISTS second" -c "CREATE DATABASE second TEMPLATE template0"
    PGDATABASE=second psql -X -q -c "CREATE TABLE t AS SELECT 5 AS five"
    mount_start
    PGDATABASE=second MNT=$E2E/mnt2 mount_start
    assert_works "$MNT"
    [ "$(tail -n 1 "$E2E/mnt2/public/t/t.csv")" = 5 ]
    [ "$(stat -c %d "$MNT/public/t/t.csv")" != "$(stat -c %d "$E2E/mnt2/public/t/t.csv")" ]
    [ "$(stat -c %d "$MNT")" = "$(stat -c %d "$MNT/public/t/t.csv")" ]
    [ "$(stat -c %d "$MNT")" != "$(stat -c %d "$E2E")" ]
    MNT=$E2E/mnt2 mount_stop
    assert_works "$MNT"
    mount_stop
}

@test "owner, modes, link counts and statfs are sane" {
    mount_start
    [ "$(stat -c '%A %u %g %h' "$MNT/public/t/t.csv")" = "-r--r--r-- $(id -u) $(id -g) 1" ]
    [ "$(stat -c '%A %u' "$MNT/public/t")" = "dr-xr-xr-x $(id -u)" ]
    [ "$(stat -f -c %T "$MNT")" = fuseblk ] || [ "$(stat -f -c %t "$MNT")" = 65735546 ]
    df "$MNT" >/dev/null
    # Inode numbers are unique, and readdir says the same as stat.
    find "$MNT" -printf '%i\n' | sort >"$OUT/inodes"
    [ -z "$(uniq -d "$OUT/inodes")" ]
    find "$MNT/public/t" -type f | while read -r file; do [ "$(ls -i "$(dirname "$file")" | awk -v n="$(basename "$file")" '$2 == n { print $1 }')" = "$(stat -c %i "$file")" ]; done
    mount_stop
}

@test "allow_other lets another user read; without it nobody else, root's sudo aside" {
    [ "$(id -u)" -eq 0 ] || skip "only root can become another user"
    as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
    as_nobody ls "$E2E" >/dev/null || skip "user nobody cannot reach $E2E"
    mount_start
    run as_nobody cat "$MNT/public/t/t.csv"
    [ "$status" -ne 0 ]
    mount_stop
    mount_start -o allow_other
    [ "$(as_nobody tail -n 1 "$MNT/public/t/t.csv")" = "1000,v1000" ]
    run as_nobody touch "$MNT/public/t/t.csv"
    [ "$status" -ne 0 ]
    mount_stop
}

@test "uid, gid and umask are shown, and hold" {
    local bad
    for bad in uid=joe uid=-1 uid= uid=4294967295 uid=1x gid=9999999999 gid=wheel umask=8 umask=1000 umask= umask=-1 umask=0x7; do
        refuses "${bad%%=*}=" -o "$bad" "$SERVER user=postgres dbname=test" "$MNT"
    done
    [[ $("$PGVECFS" --help) == *"uid=N, gid=N"*"umask=OCTAL"* ]]
    mount_start -o uid=77,gid=4294967294,umask=0
    [ "$(stat -c '%A %u %g' "$MNT" "$MNT/public/t/t.csv" "$MNT/.pgvecfs/log" | tr '\n' ' ')" = \
        "dr-xr-xr-x 77 4294967294 -r--r--r-- 77 4294967294 -r--r--r-- 77 4294967294 " ]
    mount_stop
    [ "$(id -u)" -eq 0 ] || skip "only root can become another user"
    as() { setpriv --reuid="$1" --regid="$2" "${@:3}"; }
    as 77 99 --clear-groups ls "$E2E" >/dev/null || skip "other users cannot reach $E2E"
    mount_start -o allow_other,uid=77,gid=88,umask=027
    [ "$(stat -c '%A %u %g' "$MNT" "$MNT/public" "$MNT/public/t/t.csv" | tr '\n' ' ')" = "dr-xr-x--- 77 88 dr-xr-x--- 77 88 -r--r----- 77 88 " ]
    for who in "77 99 --clear-groups" "98 88 --clear-groups" "98 99 --groups=87,88"; do
        # shellcheck disable=SC2086
        [ "$(as $who timeout 20 tail -n 1 "$MNT/public/t/t.csv")" = "1000,v1000" ]
    done
    # Whoever is neither gets nowhere, by a name that is known already and by a place that is open, either.
    for what in "cat t/t.csv" "ls ." "cd t" "stat t/t.csv" "cat <t/t.csv" "getfattr -d t" "test -r t/t.csv" "test -e t"; do
        ! as 98 99 --groups=87 timeout 20 bash -c "cd '$MNT/public' && $what" 2>/dev/null || { echo "$what"; false; }
        ! (cd "$MNT/public" && as 98 99 --groups=87 timeout 20 bash -c "$what" 2>/dev/null) || { echo "from within: $what"; false; }
    done
    mount_stop
}

# What a normal user does, in one script: as root it is run in a mount namespace of its own, in which everybody may open
# /dev/fuse, as on any desktop.
as_normal_user() {
    if [ "$(id -u)" -ne 0 ]; then
        bash -euc "$1"
        return
    fi
    mknod "$E2E/user/fuse" c 10 229
    chmod 666 "$E2E/user/fuse"
    "$ROOT/tests/e2e/own-mounts" "$E2E" bash -euc '
        mount --bind "$1/fuse" /dev/fuse
        exec setpriv --reuid=65534 --regid=65534 --clear-groups bash -euc "$2"' - "$E2E/user" "$1"
}

@test "a normal user mounts" {
    # A clone below a home that is closed to others: that user's folder must be somewhere else.
    local folder=$E2E/user
    mkdir -p "$folder/mnt"
    if [ "$(id -u)" -eq 0 ]; then
        chown -R 65534:65534 "$folder"
        if ! setpriv --reuid=65534 --regid=65534 --clear-groups ls "$folder" >/dev/null 2>&1; then
            skip "another user cannot reach $E2E"
        fi
    fi
    export HOME=$folder XDG_CACHE_HOME=$folder PGVECFS SERVER FOLDER=$folder
    as_normal_user '
        "$PGVECFS" "$SERVER user=postgres dbname=test" "$FOLDER/mnt" 3>&-
        [ "$(tail -n 1 "$FOLDER/mnt/public/t/t.csv")" = "1000,v1000" ]
        [ "$(stat -c %u "$FOLDER/mnt/public/t/t.csv")" = "$(id -u)" ]
        fusermount3 -u "$FOLDER/mnt"'
}

@test ".pgvecfs: status.json is JSON, metrics are Prometheus', version and log are readable, and none of it is listed" {
    mount_start
    assert_works "$MNT"
    [ -z "$(ls -A "$MNT" | grep pgvecfs)" ]
    [ "$(ls -A "$MNT/.pgvecfs" | tr '\n' ' ')" = "log metrics status.json version " ]
    python3 - "$MNT/.pgvecfs" <<'PYTHON'
import json, re, sys
s = json.load(open(sys.argv[1] + "/status.json"))
assert s["pid"] > 1 and s["relations"] >= 1 and s["cache_bytes"] > 0 and s["resident_bytes"] > 1 << 20, s
assert s["waiting_requests"] == 0 and s["jobs"] == [], s
types = {}
for line in open(sys.argv[1] + "/metrics"):
    if line.startswith("# TYPE"):
        types[line.split()[2]] = line.split()[3]
    elif not line.startswith("#"):
        assert re.fullmatch(r"pgvecfs_[a-z_]+ \d+\n", line), line
        assert line.split()[0] in types, line
assert types["pgvecfs_fetches_total"] == "counter"
assert re.fullmatch(r"pgvecfs \S+\n", open(sys.argv[1] + "/version").read())
log = open(sys.argv[1] + "/log").read()
assert "is mounted on" in log and log.endswith("\n"), log
PYTHON
    # Read again, it is new.
    sleep 1.2
    before=$(sed -n 's/^pgvecfs_reads_total //p' "$MNT/.pgvecfs/metrics")
    python3 -c 'import os, sys
f = os.open(sys.argv[1], os.O_RDONLY)
os.posix_fadvise(f, 0, 0, os.POSIX_FADV_DONTNEED)
os.pread(f, 5000, 0)' "$MNT/public/t/t.jsonl"
    sleep 1.2
    [ "$(sed -n 's/^pgvecfs_reads_total //p' "$MNT/.pgvecfs/metrics")" -gt "$before" ]
    [ "$(stat -c %s "$MNT/.pgvecfs/version")" -eq "$(wc -c <"$MNT/.pgvecfs/version")" ]
    run touch "$MNT/.pgvecfs/new"
    [ "$status" -ne 0 ]
    mount_stop
}

@test "max_stat: stat of a large table that has not been fetched fails and copies nothing; an open fetches it" {
    local why before
    psql -X -q -v ON_ERROR_STOP=1 -c "CREATE TABLE large AS SELECT i AS id, repeat('x', 900) AS v FROM generate_series(1, 4000) i" \
        -c "CREATE VIEW looks AS SELECT * FROM large"
    pgvecfs -o cache_dir="$CACHE" -o max_stat=1M -o lease=0 "$SERVER user=postgres dbname=test" "$MNT"
    [ "$(stat -c %s "$MNT/public/t/t.csv")" -gt 1000 ]
    [ "$(stat -c %s "$MNT/public/looks/looks.csv")" -gt 3600000 ]
    fetched() { sleep 0.2; sed -n 's/^pgvecfs_rows_fetched_total //p' "$MNT/.pgvecfs/metrics"; }
    before=$(fetched)
    for file in large.csv large.bin manifest.json columns/id.npy select/id.csv; do
        run stat "$MNT/public/large/$file"
        echo "$output"
        [[ $output == *"File too large"* ]]
    done
    run cp "$MNT/public/large/large.csv" "$OUT/copy"
    [ "$status" -ne 0 ]
    [[ $output == *"File too large"* ]]
    why=$(getfattr --only-values -n user.pgvecfs.error "$MNT/public/large")
    echo "$why"
    [[ $why == *"max_stat="* ]]
    [ "$(fetched)" -eq "$before" ]
    # One that stats and one that opens at once: both get the file.
    stat -c %s "$MNT/public/large/large.csv" >"$OUT/size" 2>/dev/null &
    cat "$MNT/public/large/large.csv" >"$OUT/copy"
    wait
    cmp "$OUT/copy" <(psql -X -q -At -c "COPY large TO STDOUT (FORMAT csv, HEADER)")
    [ "$(stat -c %s "$MNT/public/large/large.bin")" -gt 3600000 ]
    [ "$(stat -c %s "$MNT/public/large/columns/id.npy")" = 16128 ]
    # A change costs what has changed, also after a remount.
    psql -X -q -c "INSERT INTO large VALUES (0, 'new')"
    [ "$(stat -c %s "$MNT/public/large/large.csv")" = "$(psql -X -q -At -c "COPY large TO STDOUT (FORMAT csv, HEADER)" | wc -c)" ]
    fusermount3 -u "$MNT"
    within 10 not_mounted "$MNT"
    psql -X -q -c "INSERT INTO large VALUES (-1, 'newer')"
    pgvecfs -o cache_dir="$CACHE" -o max_stat=1M "$SERVER user=postgres dbname=test" "$MNT"
    [ "$(tail -n 1 "$MNT/public/large/large.csv")" = "-1,newer" ]
    # What must be copied as a whole again is large again.
    psql -X -q -c "VACUUM FULL large"
    sleep 0.1
    fusermount3 -u "$MNT"
    within 10 not_mounted "$MNT"
    pgvecfs -o cache_dir="$CACHE" -o max_stat=1M "$SERVER user=postgres dbname=test" "$MNT"
    run stat "$MNT/public/large/large.csv"
    [[ $output == *"File too large"* ]]
    cat "$MNT/public/large/large.csv" | tail -n 1 | grep -q "^-1,newer"
    fusermount3 -u "$MNT"
    psql -X -q -c "DROP TABLE large CASCADE"
}
