/* pgvecfs: parses the command line, connects, mounts, and runs until it is unmounted. All that can
 * fail is tried before the mount is there, and a failure is reported in one line. */
#include "codec/clock.h"
#include "codec/text.h"
#include "fs/base/deadline.h"
#include "fs/base/inherited.h"
#include "fs/base/log.h"
#include "fs/base/version.h"
#include "fs/fuse_kernel.h"
#include "fs/ops.h"
#include "fs/options.h"
#include "fs/read.h"
#include "fs/request.h"
#include "fs/rows/lock_watch.h"
#include "fs/search/corpus_cache.h"
#include "fs/search/vector_index.h"
#include "fs/status.h"
#include "fs/tables/job_wanted.h"
#include "fs/tables/listing.h"
#include "fs/tables/schema_file.h"
#include "fs/tables/table.h"
#include "fs/tree/ask.h"
#include "fs/tree/leftovers.h"
#include "fs/tree/piece_measure.h"
#include "fs/tree/query_dir.h"
#include "fs/tree/root_dir.h"
#include "fs/tree/row.h"
#include "fs/tree/sql_dir.h"
#include "fs/tree/table_users.h"
#include "fs/tree/user_statement_task.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { JOBS_AT_ONCE = 8, TICK_MS = 100, REQUEST_THREADS = 16 };
enum { WAITERS = 256, ENDERS = 64 }; /* threads at most */
enum { END_MS = 3500, HELPERS_MS = 500 };
enum { SLOT_BYTES = 16 << 20 }; /* what a running COPY needs: rows, their file, their text */

enum { ASKERS = 8 };

struct program {
    struct options options;
    struct fuse_args fuse_args;
    struct mount mount;
    struct tree tree;
    struct fuse_session *session;
    struct lock_watch *watch;
    pthread_t ticker, raiser;
    bool ticking, raising;
    atomic_bool tidying;
};

static int say(const struct error *error, int rc)
{
    fprintf(stderr, "pgvecfs: %s\n", error->text[0] != '\0' ? error->text : strerror(-rc));
    return 1;
}

/* ---- before the mount ---- */

static int prepare_ddl(struct program *program, struct error *error)
{
    struct mount *mount = &program->mount;
    mount->ddl =
        (struct ddl_way){.pool = mount->pool, .server = mount->server, .direct = mount->direct};
    return mount->direct != NULL ? ddl_check_direct(&mount->ddl, NULL, error) : 0;
}

/* Called when a thread waits for a connection, or for locks: a held read point may have them for
 * rows that no process asks for. */
static void make_room(void *context, enum session_lack lack)
{
    struct mount *mount = context;
    held_give_way(&mount->held, lack);
}

static int connect_server(struct program *program, struct error *error)
{
    struct mount *mount = &program->mount;
    const struct options *options = &program->options;
    int rc = server_parse(options->conninfo, &mount->server, error);
    if (rc == 0 && options->direct != NULL &&
        (rc = server_parse(options->direct, &mount->direct, error)) < 0)
        error_prefix(error, "direct");
    if (rc < 0)
        return rc;
    if (server_has_password(mount->server) ||
        (mount->direct != NULL && server_has_password(mount->direct)))
        fputs("pgvecfs: the password in the connection string could be seen by others while the "
              "program started; "
              "a service file, a passfile (~/.pgpass) or PGPASSWORD keeps it to yourself\n",
              stderr);
    rc = session_pool_new(mount->server, options->connections, &mount->pool);
    if (rc < 0)
        return error_set(error, rc, "no memory for sessions");
    server_let_read(mount->server, (struct reading){.filter_rows = options->rls_filter,
                                                    .trust_all = options->trust_all});
    lock_waits_init(&mount->lock_waits, options->lock_wait_ms);
    lock_line_init(&mount->lock_line, &mount->lock_waits, options->connections);
    held_init(&mount->held, options->connections);
    written_init(&mount->written, options->memory);
    mount->search.memory = options->memory;
    answer_room_init(&mount->search.room);
    session_pool_when_short(mount->pool, make_room, mount);
    mount->scope = (struct catalog_scope){.schemas = options->schemas, .system = options->system};
    rc = listing_start(mount, error);
    return rc == 0 ? prepare_ddl(program, error) : rc;
}

static bool in_use(void *context, uint32_t relation)
{
    return table_needs_groups(context, relation);
}

static int open_store(struct program *program, struct error *error)
{
    struct mount *mount = &program->mount;
    struct store_name name = {mount->system_id, mount->database, mount->catalog->role,
                              program->options.mountpoint};
    int rc = store_open(program->options.cache_dir, &name, program->options.cache_size,
                        &mount->store, error);
    if (rc == 0)
        rc = schema_file_prepare(mount, error);
    if (rc < 0)
        return rc;
    const char *why;
    int slot = store_slot(mount->store, &why);
    if (slot != 0)
        fprintf(stderr, "pgvecfs: cache slot %d: %s\n", slot, why);
    mount->prefill_room.limit = program->options.memory / 4;
    uint64_t slots = program->options.memory / 4 / SLOT_BYTES;
    sem_init(&mount->slots, 0, slots < 1 ? 1 : slots > 64 ? 64 : (unsigned)slots);
    mount->place = (struct fetch_place){.pool = mount->pool,
                                        .store = mount->store,
                                        .system_id = mount->system_id,
                                        .database = mount->database,
                                        .jobs = program->options.jobs,
                                        .slots = &mount->slots,
                                        .held = &mount->held,
                                        .waits = &mount->lock_waits,
                                        .line = &mount->lock_line,
                                        .in_use = in_use,
                                        .context = mount};
    mount->search.place = &mount->place;
    rc = corpus_cache_new(&mount->place, program->options.memory / 4, &mount->search.corpora);
    return rc < 0 ? error_set(error, rc, "no memory") : 0;
}

static int prepare(struct program *program, struct error *error)
{
    struct mount *mount = &program->mount;
    mount->options = &program->options;
    mount->tree = &program->tree;
    mount->users = &tree_users;
    mount->schema_text.lock = &mount->lock;
    mount->schema_text.waits = &mount->waits;
    mount->schema_text.way = &mount->ddl;
    mount->started_ms = clock_ms();
    mount->tree->groups_matter = ((program->options.umask >> 3) ^ program->options.umask) & 07;
    pthread_mutex_init(&mount->lock, NULL);
    int rc = connect_server(program, error);
    if (rc == 0)
        rc = open_store(program, error);
    if (rc == 0 && (rc = node_start(mount, &root_dir)) < 0)
        error_set(error, rc, "no memory");
    return rc;
}

/* What /proc/mounts shows: where the database is, without any secret. A comma would end the option.
 */
static int add_mount_options(struct program *program)
{
    struct text option = {0};
    text_put(&option, "-osubtype=pgvecfs,fsname=");
    for (const char *at = server_name(program->mount.server); *at != '\0'; at++) {
        text_put(&option, *at == ',' || *at == '\\' ? "\\" : "");
        text_put_byte(&option, *at);
    }
    const char *string = text_string(&option);
    int rc = string == NULL || fuse_opt_add_arg(&program->fuse_args, string) < 0 ? -ENOMEM : 0;
    text_clear(&option);
    return rc;
}

static int mount_session(struct program *program, struct error *error)
{
    int rc = add_mount_options(program);
    if (rc < 0)
        return error_set(error, rc, "no memory");
    program->session = fuse_session_new(&program->fuse_args, &ops, sizeof ops, &program->mount);
    if (program->session == NULL)
        return error_set(error, -EINVAL, "libfuse does not take these options; see pgvecfs --help");
    program->mount.kernel = fuse_kernel(program->session);
    if (fuse_set_signal_handlers(program->session) < 0)
        return error_set(error, -EINVAL, "cannot set signal handlers");
    if (fuse_session_mount(program->session, program->options.mountpoint) < 0)
        return error_set(error, -EIO,
                         "cannot mount on %s (see the line above; it needs /dev/fuse, and the "
                         "directory must be yours)",
                         program->options.mountpoint);
    return 0;
}

/* ---- while it is mounted ---- */

/* From here on nothing begins, what waits is answered, and what is under way ends soon, even if the
 * server does not answer. */
static void begin_end(struct mount *mount)
{
    pthread_mutex_lock(&mount->lock);
    mount->ending = true;
    query_dir_stop_all(mount);
    row_task_stop_all(mount);
    user_statement_task_stop_all(mount);
    request_fail_all(mount, -EIO);
    read_fail_all(mount);
    job_stop_all(mount);
    piece_measure_stop_all(mount);
    pthread_mutex_unlock(&mount->lock);
    if (mount->store != NULL)
        store_ending(mount->store);
    if (mount->pool != NULL)
        session_pool_stop(mount->pool);
    vector_indexes_stop(mount->search.indexes);
}

static size_t keep_gone(void *context, uint32_t *relations, size_t count)
{
    return listing_keep_gone(context, relations, count);
}

/* Releases what has not been used for a while. It may wait for the server and the disk. */
static void tidy(void *argument)
{
    struct program *program = argument;
    session_pool_tend(program->mount.pool);
    corpus_cache_tend(program->mount.search.corpora);
    body_cache_tend(program->mount.bodies);
    vector_indexes_tend(program->mount.search.indexes, keep_gone, &program->mount);
    leftovers_tend(&program->mount);
    program->tidying = false;
}

static void begin_tidying(struct program *program)
{
    if (!atomic_exchange(&program->tidying, true) &&
        waiters_add(program->mount.waiters, tidy, program) < 0)
        program->tidying = false;
}

/* Answers killed callers, ends what is not needed. It waits for nothing but the lock. */
static void *tick(void *argument)
{
    struct program *program = argument;
    struct mount *mount = &program->mount;
    for (unsigned n = 0; !fuse_session_exited(program->session); n++) {
        usleep(TICK_MS * 1000);
        request_tend(mount);
        session_pool_see_off(mount->pool);
        lock_line_tend(&mount->lock_line);
        answer_room_tend(&mount->search.room);
        pthread_mutex_lock(&mount->lock);
        ask_tend(mount);
        if (n % 10 == 0) {
            job_tend_all(mount);
            schema_text_tend(&mount->schema_text);
            request_retry_all(mount); /* a job that could not be started calls no waiting request */
        }
        pthread_mutex_unlock(&mount->lock);
        if (n % 50 == 0)
            begin_tidying(program);
    }
    deadline_start(END_MS, program->options.mountpoint);
    begin_end(mount); /* libfuse waits for its threads, which may be working on a query */
    return NULL;
}

/* Raises the read-ahead, for larger requests: only root is allowed to. */
static void raise_read_ahead(const char *mountpoint)
{
    char path[80];
    struct stat st;
    if (geteuid() != 0 || stat(mountpoint, &st) < 0)
        return;
    snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/read_ahead_kb", major(st.st_dev),
             minor(st.st_dev));
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (write(fd, "1024", 4) != 4)
            log_say(LOG_SAY_DEBUG, "cannot raise the read-ahead");
        close(fd);
    }
}

/* A mount answers only once its requests are served, so another thread asks it. */
static void *raise_later(void *argument)
{
    const struct program *program = argument;
    raise_read_ahead(program->options.mountpoint);
    return NULL;
}

static int start_each(struct program *program)
{
    struct mount *mount = &program->mount;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    int renderers = cpus < 4 ? 4 : (int)cpus;
    int rc = waiters_new(ENDERS, &mount->enders);
    mount->place.enders = mount->enders;
    if (rc == 0)
        rc = waiters_new(WAITERS, &mount->waiters);
    if (rc == 0)
        rc = lock_watch_start(mount->pool, &mount->held, &mount->lock_line, &program->watch);
    if (rc == 0)
        rc = workers_new(renderers, &mount->renderers);
    if (rc == 0)
        rc = workers_new(renderers, &mount->queriers);
    if (rc == 0)
        rc = body_cache_new(&mount->place, mount->renderers, renderers, mount->waiters,
                            program->options.memory / 2, &mount->bodies);
    if (rc == 0)
        rc = follow_new(mount->bodies, &mount->kernel, &mount->follow);
    if (rc == 0)
        rc = vector_indexes_new(&mount->place, mount->search.memory, &mount->search.indexes);
    if (rc == 0)
        program->raising = pthread_create(&program->raiser, NULL, raise_later, program) == 0;
    if (rc == 0)
        program->ticking = pthread_create(&program->ticker, NULL, tick, program) == 0;
    return rc < 0 ? rc : program->ticking ? 0 : -EAGAIN;
}

/* Threads do not outlive a fork: they start after the daemon has. Signals wake the main thread:
 * these threads, and those that they start, block them. */
static int start_threads(struct program *program)
{
    static const int ends[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    sigset_t blocked, before;
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        sigaddset(&blocked, ends[i]);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    int rc = start_each(program);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static void warn_of_timeouts(void)
{
    static const char *const paths[] = {"/proc/sys/fs/fuse/default_request_timeout",
                                        "/proc/sys/fs/fuse/max_request_timeout"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        unsigned seconds = 0;
        FILE *file = fopen(paths[i], "re");
        if (file != NULL && fscanf(file, "%u", &seconds) == 1 && seconds > 0)
            log_say(
                LOG_SAY_ERROR,
                "%s is %u: the kernel will end this mount when a fetch takes longer; set it to 0",
                paths[i], seconds);
        if (file != NULL)
            fclose(file);
    }
}

static int serve(struct program *program)
{
    int rc;
    if (program->options.single) {
        rc = fuse_session_loop(program->session);
    } else {
        struct fuse_loop_config *config = fuse_loop_cfg_create();
        fuse_loop_cfg_set_clone_fd(config, 0);
        fuse_loop_cfg_set_max_threads(config, REQUEST_THREADS);
        rc = fuse_session_loop_mt(program->session, config);
        fuse_loop_cfg_destroy(config);
    }
    return rc < 0 ? 1 : 0;
}

/* ---- after it ---- */

/* No thread may reply once the session's descriptor is closed: its number may by then be that of
 * another file. So all threads that might reply end first; libfuse's have ended. Any of them may
 * still give work to another, which refuses it: the queues are freed later. */
static void join_threads(struct program *program)
{
    struct mount *mount = &program->mount;
    begin_end(mount);
    if (program->session != NULL)
        fuse_session_exit(program->session);
    if (program->ticking)
        pthread_join(program->ticker, NULL);
    workers_stop(mount->queriers);
    workers_stop(mount->renderers);
    waiters_stop(mount->waiters);
    vector_indexes_join(mount->search.indexes);
    workers_join(mount->queriers);
    waiters_join(mount->waiters);
    workers_join(mount->renderers);
    follow_stop(mount->follow);
}

static void unmount(struct program *program)
{
    if (program->session == NULL)
        return;
    fuse_session_unmount(program->session);
    deadline_unmounted();
    if (program->raising) /* the thread may have waited for an answer */
        pthread_join(program->raiser, NULL);
    fuse_remove_signal_handlers(program->session);
    fuse_session_destroy(program->session);
}

static void free_all(struct program *program)
{
    struct mount *mount = &program->mount;
    lock_watch_stop(program->watch);
    workers_free(mount->queriers);
    workers_free(mount->renderers);
    waiters_free(mount->waiters);
    follow_free(mount->follow);
    body_cache_free(mount->bodies);
    vector_indexes_free(mount->search.indexes);
    opened_free_all(mount);
    query_dir_free_all(mount);
    sql_dir_free_all(mount);
    row_free_all(mount);
    node_free_all(mount);
    for (int i = 0; i < TABLE_BUCKETS; i++)
        while (mount->tables[i] != NULL) {
            struct table *table = mount->tables[i];
            mount->tables[i] = table->next;
            table_free(table);
        }
    partitions_clear(&mount->partitions);
    free(mount->oids);
    catalog_free(mount->catalog);
    free(mount->catalog_mark);
    free(mount->ddl_mark);
    free(mount->ddl_signature);
    schema_text_clear(&mount->schema_text);
    refreshes_clear(&mount->refreshes);
    corpus_cache_free(mount->search.corpora);
    waiters_free(mount->enders); /* all that was freed before has given its last work to them */
    held_clear(&mount->held);
    session_pool_free(mount->pool);
    server_free(mount->server);
    server_free(mount->direct);
    store_close(mount->store);
}

/* Logs the cache slot, since other slots have other rows, and other inodes. */
static void say_slot(const struct store *store, const char *mountpoint)
{
    const char *why;
    int slot = store_slot(store, &why);
    store_mounted(store, mountpoint);
    if (slot != 0)
        log_say(LOG_SAY_INFO, "cache slot %d: %s", slot, why);
}

/* What to warn of, if the role is a superuser; NULL: it is not. */
static const char *danger_of_role(const struct program *program)
{
    if (!program->mount.catalog->superuser)
        return NULL;
    return program->options.trust_all
               ? "the role is a superuser, or can become one, and with trust=all a read may run "
                 "functions of other users with its rights; mount with a role that has SELECT only"
               : "the role is a superuser, or can become one: what cannot be read without running "
                 "functions of other users with its rights is refused; mount with a role that has "
                 "SELECT only";
}

/* Does not write to stderr, since a write there may wait for its reader. */
static void PRINTF_LIKE(2, 0)
    log_of_libfuse(enum fuse_log_level level, const char *format, va_list args)
{
    char said[512];
    vsnprintf(said, sizeof said, format, args);
    said[strcspn(said, "\n")] = '\0';
    log_say(level <= FUSE_LOG_WARNING ? LOG_SAY_ERROR : LOG_SAY_DEBUG, "%s", said);
}

static int run(struct program *program, struct error *error)
{
    int rc = prepare(program, error);
    if (rc == 0)
        rc = mount_session(program, error);
    if (rc < 0)
        return say(error, rc);
    const char *danger = danger_of_role(program);
    if (danger != NULL && !program->options.foreground)
        fprintf(stderr, "pgvecfs: %s\n", danger);
    if (fuse_daemonize(program->options.foreground) < 0)
        return say(error_set(error, -EIO, "cannot become a daemon: %s", strerror(errno)) < 0
                       ? error
                       : error,
                   -EIO);
    log_open(program->options.foreground, program->options.debug);
    fuse_set_log_func(log_of_libfuse);
    warn_of_timeouts();
    log_say(LOG_SAY_INFO, "%s is mounted on %s; cache %s", server_name(program->mount.server),
            program->options.mountpoint, store_path(program->mount.store));
    say_slot(program->mount.store, program->options.mountpoint);
    if (danger != NULL)
        log_say(LOG_SAY_INFO, "%s", danger);
    rc = start_threads(program);
    if (rc < 0) {
        log_say(LOG_SAY_ERROR, "cannot start threads: %s", strerror(-rc));
        return 1;
    }
    return serve(program);
}

int main(int argc, char **argv)
{
    static struct program program;
    struct error error = {""};
    umask(0077);
    prctl(PR_SET_DUMPABLE, 0); /* the memory holds a password */
    int rc = inherited_shed();
    if (rc == 0)
        rc = options_parse(argc, argv, &program.options, &program.fuse_args, &error);
    if (rc < 0)
        return say(&error, rc);
    if (program.options.help || program.options.version) {
        fputs(program.options.help ? options_help : "pgvecfs " VERSION "\n", stdout);
        return 0;
    }
    if (program.options.status) {
        rc = status_show(program.options.mountpoint, &error);
        options_clear(&program.options);
        fuse_opt_free_args(&program.fuse_args);
        return rc < 0 ? say(&error, rc) : 0;
    }
    /* Buffers of a few MiB come and go all the time: keep their memory, or the kernel has to clear
     * it anew each time. */
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    /* Few arenas, since each keeps what was freed in it. */
    mallopt(M_ARENA_MAX, 2);
    int status = run(&program, &error);
    join_threads(&program);
    unmount(&program);
    free_all(&program);
    log_close();
    fuse_opt_free_args(&program.fuse_args);
    options_clear(&program.options);
    /* Most helpers only tell the server that a statement is not wanted any more. */
    if (!session_helpers_ended(HELPERS_MS))
        _exit(status);
    deadline_met();
    return status;
}
