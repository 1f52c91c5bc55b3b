#include "fs/options.h"

#include "codec/format.h"

#include <errno.h>
#include <fuse_opt.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const char options_help[] =
    "usage: pgvecfs [OPTIONS] CONNINFO MOUNTPOINT\n"
    "       pgvecfs --status MOUNTPOINT\n"
    "\n"
    "Mounts a PostgreSQL database: every table is a directory with .csv, .bin and .jsonl files.\n"
    "CONNINFO is a libpq connection string or URI, or \"\" for PGHOST, PGSERVICE, the passfile and "
    "so on.\n"
    "\n"
    "    -h  --help              this text\n"
    "    -V  --version           print version\n"
    "        --status            what a mount is doing, and what it last fetched\n"
    "    -f                      stay in the foreground, log to stderr\n"
    "    -d                      the same with debug output\n"
    "    -s                      one thread for requests\n"
    "    -o cache_dir=DIR        where row groups are kept ($XDG_CACHE_HOME/pgvecfs, "
    "~/.cache/pgvecfs)\n"
    "    -o cache_size=SIZE      at most so much of them on disk (10G)\n"
    "    -o memory=SIZE          resident memory, about at most (256M)\n"
    "    -o jobs=N               COPYs at once for one table (number of CPUs, 2 to 8)\n"
    "    -o connections=N        connections to the server at once, pg_dump's included (8)\n"
    "    -o lock_wait=SECONDS    give up with EBUSY when a table has been locked by others for so "
    "long (never)\n"
    "    -o direct=CONNINFO      how pg_dump reaches the server when CONNINFO leads to a pooler\n"
    "    -o rls=filter           serve the rows that row-level security lets the role see\n"
    "    -o trust=all            a superuser's mount may run functions that other roles own\n"
    "    -o sql=all, sql=off     all users, or none, may make statements in .sql/ (the mount's "
    "owner "
    "may)\n"
    "    -o lease=SECONDS        how long a path keeps pointing at the version it was resolved to "
    "(5)\n"
    "    -o formats=LIST         formats listed in a table's directory, with + between them "
    "(csv+bin+jsonl)\n"
    "    -o list=LIST            list these too: columns, partitions, parts, rows, .pgvecfs, .sql\n"
    "    -o part_size=SIZE       the pieces of a table below parts/ have about so many bytes "
    "(64M)\n"
    "    -o max_stat=SIZE        stat of a file that is not fetched yet fails with EFBIG if its "
    "table is "
    "larger\n"
    "    -o schemas=LIST         show only these schemas, with + between them\n"
    "    -o system               show pg_catalog and information_schema too\n"
    "    -o uid=N, gid=N         the owner and the group that files show (those of the daemon)\n"
    "    -o umask=OCTAL          permissions that are taken away from all of them (0)\n"
    "    -o allow_other, allow_root, default_permissions, auto_unmount, …   as every libfuse "
    "filesystem\n"
    "\n"
    "SIZE is in bytes, or with K, M, G or T behind it. LISTs take + or : between their words.\n";

/* The options as libfuse gives them: strings, which are checked afterwards. */
struct raw {
    struct options *options;
    char *cache_dir, *cache_size, *memory, *jobs, *lease, *formats, *list, *schemas, *part_size,
        *max_stat;
    char *connections, *lock_wait, *direct, *rls, *trust, *sql;
    char *uid, *gid, *umask;
    int system, foreground, debug, single, help, version, status;
    int positional;
    struct error *error;
};

#define RAW(field) offsetof(struct raw, field), 1

static const struct fuse_opt table[] = {
    {"cache_dir=%s", RAW(cache_dir)},
    {"cache_size=%s", RAW(cache_size)},
    {"memory=%s", RAW(memory)},
    {"jobs=%s", RAW(jobs)},
    {"connections=%s", RAW(connections)},
    {"lock_wait=%s", RAW(lock_wait)},
    {"direct=%s", RAW(direct)},
    {"rls=%s", RAW(rls)},
    {"trust=%s", RAW(trust)},
    {"sql=%s", RAW(sql)},
    {"lease=%s", RAW(lease)},
    {"formats=%s", RAW(formats)},
    {"list=%s", RAW(list)},
    {"part_size=%s", RAW(part_size)},
    {"max_stat=%s", RAW(max_stat)},
    {"schemas=%s", RAW(schemas)},
    {"uid=%s", RAW(uid)},
    {"gid=%s", RAW(gid)},
    {"umask=%s", RAW(umask)},
    {"system", RAW(system)},
    {"-f", RAW(foreground)},
    {"-d", RAW(debug)},
    {"debug", RAW(debug)},
    {"-s", RAW(single)},
    {"-h", RAW(help)},
    {"--help", RAW(help)},
    {"-V", RAW(version)},
    {"--version", RAW(version)},
    {"--status", RAW(status)},
    /* Options that mount(8) and fstab may pass, and that mean nothing here. */
    FUSE_OPT_KEY("rw", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("auto", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("noauto", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("nofail", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("_netdev", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("user", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("nouser", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("users", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("user=", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("owner", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("group", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("defaults", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("comment=", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("relatime", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("norelatime", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("strictatime", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("lazytime", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("nolazytime", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("diratime", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("nodiratime", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("loud", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_KEY("silent", FUSE_OPT_KEY_DISCARD),
    FUSE_OPT_END};

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Whether libfuse or the kernel knows this option. */
static bool is_for_fuse(const char *option)
{
    static const char *const words[] = {"allow_other",
                                        "allow_root",
                                        "auto_unmount",
                                        "default_permissions",
                                        "dev",
                                        "nodev",
                                        "suid",
                                        "nosuid",
                                        "exec",
                                        "noexec",
                                        "atime",
                                        "noatime",
                                        "sync",
                                        "async",
                                        "dirsync",
                                        "ro",
                                        "max_idle_threads=",
                                        "max_threads=",
                                        "context=",
                                        "fscontext=",
                                        "defcontext=",
                                        "rootcontext=",
                                        "setuid=",
                                        "drop_privileges"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i]);
        if (strcmp(option, words[i]) == 0 || (words[i][n - 1] == '=' && begins(option, words[i])))
            return true;
    }
    return false;
}

static int on_option(void *data, const char *arg, int key, struct fuse_args *rest)
{
    struct raw *raw = data;
    (void)rest;
    if (key == FUSE_OPT_KEY_NONOPT) {
        char **place = raw->positional == 0   ? &raw->options->conninfo
                       : raw->positional == 1 ? &raw->options->mountpoint
                                              : NULL;
        raw->positional++;
        if (place == NULL)
            return error_set(raw->error, -1,
                             "more than a connection string and a mount point; see pgvecfs --help");
        *place = strdup(arg);
        return *place == NULL ? -1 : 0;
    }
    if (begins(arg, "x-") || begins(arg, "X-") || begins(arg, "comment="))
        return 0;
    raw->options->allow_other |= strcmp(arg, "allow_other") == 0;
    if (is_for_fuse(arg))
        return 1;
    return error_set(raw->error, -1, "unknown option '%.100s'; see pgvecfs --help", arg);
}

static int parse_size(const char *text, const char *name, uint64_t least, uint64_t *out,
                      struct error *error)
{
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    const char *unit = *end != '\0' ? strchr(units, *end & ~0x20) : NULL;
    int shift = unit != NULL && *unit != '\0' ? 10 * (int)(unit - units + 1) : 0;
    bool ok = text[0] >= '0' && text[0] <= '9' && errno == 0 &&
              (*end == '\0' || (shift > 0 && end[1] == '\0')) && value <= UINT64_MAX >> shift;
    if (!ok || value << shift < least)
        return error_set(
            error, -EINVAL,
            "%s=%.50s: a size is a number of bytes (at least %llu), or with K, M, G or T behind it",
            name, text, (unsigned long long)least);
    *out = value << shift;
    return 0;
}

static int parse_number(const char *text, const char *name, double least, double most, double *out,
                        struct error *error)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= least && value <= most))
        return error_set(error, -EINVAL, "%s=%.50s: a number from %g to %g is needed", name, text,
                         least, most);
    *out = value;
    return 0;
}

/* Calls `take` for each word. A comma ends a mount option, so the words of a list are separated by
 * + or : */
static int each_word(const char *list,
                     int (*take)(struct options *, const char *, size_t, struct error *),
                     struct options *options, struct error *error)
{
    int rc = 0;
    while (rc == 0) {
        size_t n = strcspn(list, "+:,");
        rc = take(options, list, n, error);
        if (list[n] == '\0')
            break;
        list += n + 1;
    }
    return rc;
}

static int take_format(struct options *options, const char *word, size_t size, struct error *error)
{
    int number = format_find(word, size);
    if (number < 0) {
        char all[512] = "";
        for (int i = 0, n = 0; i < FORMAT_COUNT && n < (int)sizeof all; i++)
            n += snprintf(all + n, sizeof all - (size_t)n, "%s%s", i > 0 ? ", " : "",
                          formats[i]->name);
        return error_set(error, -EINVAL, "formats: '%.*s' is not one of %s", (int)size, word, all);
    }
    options->listed_formats |= 1U << number;
    return 0;
}

static int take_listed(struct options *options, const char *word, size_t size, struct error *error)
{
    if (size == 10 && strncmp(word, "partitions", size) == 0)
        options->list_partitions = true;
    else if (size == 5 && strncmp(word, "parts", size) == 0)
        options->list_parts = true;
    else if (size == 4 && strncmp(word, "rows", size) == 0)
        options->list_rows = true;
    else if (size == 8 && strncmp(word, ".pgvecfs", size) == 0)
        options->list_control = true;
    else if (size == 7 && strncmp(word, "columns", size) == 0)
        options->list_columns = true;
    else if (size == 4 && strncmp(word, ".sql", size) == 0)
        options->list_sql = true;
    else
        return error_set(
            error, -EINVAL,
            "list: '%.*s' is not one of columns, partitions, parts, rows, .pgvecfs, .sql",
            (int)size, word);
    return 0;
}

static int take_schema(struct options *options, const char *word, size_t size, struct error *error)
{
    size_t n = 0;
    while (options->schemas != NULL && options->schemas[n] != NULL)
        n++;
    char **grown = realloc(options->schemas, (n + 2) * sizeof *grown);
    if (grown != NULL)
        options->schemas = grown;
    char *copy = grown != NULL ? strndup(word, size) : NULL;
    if (copy == NULL)
        return error_set(error, -ENOMEM, "no memory");
    grown[n] = copy;
    grown[n + 1] = NULL;
    return 0;
}

static int default_cache_dir(char **out)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = cache != NULL && cache[0] == '/' ? asprintf(out, "%s/pgvecfs", cache)
            : home != NULL && home[0] == '/' ? asprintf(out, "%s/.cache/pgvecfs", home)
                                             : asprintf(out, "/var/cache/pgvecfs");
    return n < 0 ? -ENOMEM : 0;
}

/* The daemon changes to `/`: paths must not depend on the directory where it was started. */
static int make_absolute(char **path)
{
    if (**path == '/')
        return 0;
    char *here = getcwd(NULL, 0), *whole = NULL;
    if (here == NULL || asprintf(&whole, "%s/%s", here, *path) < 0) {
        free(here);
        return -ENOMEM;
    }
    free(here);
    free(*path);
    *path = whole;
    return 0;
}

/* The only argument is the mount point. It is not resolved, since that might wait for the mount. */
static int check_status(const struct raw *raw, struct options *options, struct error *error)
{
    if (raw->positional != 1)
        return error_set(error, -EINVAL,
                         "--status needs a mount point and nothing else: pgvecfs --status "
                         "MOUNTPOINT; see pgvecfs --help");
    options->mountpoint = options->conninfo;
    options->conninfo = NULL;
    return 0;
}

static int parse_whole(const char *text, const char *name, int most, int *out, struct error *error)
{
    double number;
    int rc = parse_number(text, name, 1, most, &number, error);
    if (rc == 0 && number != (int)number)
        rc = error_set(error, -EINVAL, "%s=%.50s: a whole number is needed", name, text);
    if (rc == 0)
        *out = (int)number;
    return rc;
}

/* Parses an option that has one possible word. */
static int parse_word(const char *text, const char *name, const char *word, bool *out,
                      struct error *error)
{
    if (strcmp(text, word) != 0)
        return error_set(error, -EINVAL, "%s=%.50s: the only value is %s", name, text, word);
    *out = true;
    return 0;
}

static int parse_sql(const char *text, enum sql_access *out, struct error *error)
{
    static const char *const words[] = {
        [SQL_OWNER] = "owner", [SQL_ALL] = "all", [SQL_OFF] = "off"};
    for (int i = 0; i < (int)(sizeof words / sizeof *words); i++)
        if (strcmp(text, words[i]) == 0) {
            *out = (enum sql_access)i;
            return 0;
        }
    return error_set(error, -EINVAL, "sql=%.50s: the values are owner, all and off", text);
}

/* Parses the id of a user or a group; -1 is none. */
static int parse_id(const char *text, const char *name, uint32_t *out, struct error *error)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value >= UINT32_MAX)
        return error_set(error, -EINVAL, "%s=%.50s: a number from 0 to %u is needed", name, text,
                         UINT32_MAX - 1);
    *out = (uint32_t)value;
    return 0;
}

static int parse_umask(const char *text, unsigned *out, struct error *error)
{
    size_t n = strspn(text, "01234567");
    unsigned long value = strtoul(text, NULL, 8);
    if (n == 0 || n > 6 || text[n] != '\0' || value > 0777)
        return error_set(error, -EINVAL,
                         "umask=%.50s: an octal number from 0 to 777 is needed, as of umask(1)",
                         text);
    *out = (unsigned)value;
    return 0;
}

/* Checks the options about the owner that files show. */
static int check_owner(const struct raw *raw, struct options *options, struct error *error)
{
    int rc = 0;
    options->uid = geteuid();
    options->gid = getegid();
    if (raw->uid != NULL)
        rc = parse_id(raw->uid, "uid", &options->uid, error);
    if (rc == 0 && raw->gid != NULL)
        rc = parse_id(raw->gid, "gid", &options->gid, error);
    if (rc == 0 && raw->umask != NULL)
        rc = parse_umask(raw->umask, &options->umask, error);
    return rc;
}

/* Checks the options about the server and what it may be asked for. */
static int check_server_options(const struct raw *raw, struct options *options, struct error *error)
{
    double seconds;
    int rc = 0;
    if (raw->jobs != NULL)
        rc = parse_whole(raw->jobs, "jobs", 64, &options->jobs, error);
    if (rc == 0 && raw->connections != NULL)
        rc = parse_whole(raw->connections, "connections", 1000, &options->connections, error);
    if (rc == 0 && raw->lock_wait != NULL &&
        (rc = parse_number(raw->lock_wait, "lock_wait", 0, 86400, &seconds, error)) == 0)
        options->lock_wait_ms = (int64_t)(seconds * 1000);
    if (rc == 0 && raw->rls != NULL)
        rc = parse_word(raw->rls, "rls", "filter", &options->rls_filter, error);
    if (rc == 0 && raw->trust != NULL)
        rc = parse_word(raw->trust, "trust", "all", &options->trust_all, error);
    if (rc == 0 && raw->sql != NULL)
        rc = parse_sql(raw->sql, &options->sql, error);
    if (rc == 0 && raw->direct != NULL)
        rc = (options->direct = strdup(raw->direct)) == NULL ? -ENOMEM : 0;
    return rc;
}

static int check(const struct raw *raw, struct options *options, struct error *error)
{
    double number;
    int rc = 0;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    *options = (struct options){.conninfo = options->conninfo,
                                .mountpoint = options->mountpoint,
                                .cache_size = 10ULL << 30,
                                .memory = 256ULL << 20,
                                .part_size = 64ULL << 20,
                                .jobs = cpus < 2   ? 2
                                        : cpus > 8 ? 8
                                                   : (int)cpus,
                                .connections = 8,
                                .lock_wait_ms = -1,
                                .lease_ms = 5000,
                                .system = raw->system,
                                .foreground = raw->foreground || raw->debug,
                                .debug = raw->debug,
                                .single = raw->single,
                                .help = raw->help,
                                .version = raw->version,
                                .status = raw->status,
                                .allow_other = options->allow_other};
    if (options->status && !options->help && !options->version)
        return check_status(raw, options, error);
    if (raw->cache_size != NULL)
        rc = parse_size(raw->cache_size, "cache_size", 0, &options->cache_size, error);
    if (rc == 0 && raw->memory != NULL)
        rc = parse_size(raw->memory, "memory", 1 << 20, &options->memory, error);
    if (rc == 0 && raw->part_size != NULL)
        rc = parse_size(raw->part_size, "part_size", 1, &options->part_size, error);
    if (rc == 0 && raw->max_stat != NULL)
        rc = parse_size(raw->max_stat, "max_stat", 1, &options->max_stat, error);
    if (rc == 0)
        rc = check_server_options(raw, options, error);
    if (rc == 0)
        rc = check_owner(raw, options, error);
    if (rc == 0 && raw->lease != NULL &&
        (rc = parse_number(raw->lease, "lease", 0, 86400, &number, error)) == 0)
        options->lease_ms = (int64_t)(number * 1000);
    if (rc == 0)
        rc = each_word(raw->formats != NULL ? raw->formats : "csv+bin+jsonl", take_format, options,
                       error);
    if (rc == 0 && raw->list != NULL)
        rc = each_word(raw->list, take_listed, options, error);
    if (rc == 0 && raw->schemas != NULL)
        rc = each_word(raw->schemas, take_schema, options, error);
    if (rc == 0 && raw->cache_dir != NULL)
        rc = (options->cache_dir = strdup(raw->cache_dir)) == NULL ? -ENOMEM : 0;
    else if (rc == 0)
        rc = default_cache_dir(&options->cache_dir);
    if (rc == 0)
        rc = make_absolute(&options->cache_dir);
    if (rc < 0 || options->help || options->version)
        return rc;
    if (raw->positional < 2)
        return error_set(error, -EINVAL,
                         "a connection string and a mount point are needed: pgvecfs CONNINFO "
                         "MOUNTPOINT (\"\" for the environment); see pgvecfs --help");
    char *real = realpath(options->mountpoint, NULL);
    if (real == NULL)
        return error_set(error, -errno, "cannot mount on %s: %s", options->mountpoint,
                         strerror(errno));
    free(options->mountpoint);
    options->mountpoint = real;
    /* the kernel would mount a directory over a file, and then no process could enter it */
    struct stat st;
    if (stat(real, &st) == 0 && !S_ISDIR(st.st_mode))
        return error_set(error, -ENOTDIR, "cannot mount on %s: it is not a directory", real);
    return 0;
}

/* Wipes the argument, so that a list of processes shows no password. */
static void wipe_conninfo(int argc, char **argv, const char *conninfo)
{
    for (int i = 1; conninfo != NULL && i < argc; i++)
        if (strcmp(argv[i], conninfo) == 0)
            memset(argv[i], 'x', strlen(argv[i]));
}

/* Wipes the whole argument, with whatever else is in it: because of escapes its text may differ
 * from the value. */
static void wipe_direct(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *at = strstr(argv[i], "direct=");
        if (at != NULL)
            memset(at, 'x', strlen(at));
    }
}

int options_parse(int argc, char **argv, struct options *options, struct fuse_args *rest,
                  struct error *error)
{
    *options = (struct options){0};
    struct raw raw = {.options = options, .error = error};
    *rest = (struct fuse_args)FUSE_ARGS_INIT(argc, argv);
    int rc = fuse_opt_parse(rest, &raw, table, on_option) < 0 ? -EINVAL : 0;
    if (rc < 0 && error->text[0] == '\0')
        error_set(error, rc, "the options cannot be read; see pgvecfs --help");
    if (rc == 0)
        rc = check(&raw, options, error);
    wipe_conninfo(argc, argv, options->conninfo);
    wipe_direct(argc, argv);
    if (raw.direct != NULL)
        explicit_bzero(raw.direct, strlen(raw.direct));
    char *strings[] = {raw.cache_dir, raw.cache_size, raw.memory,   raw.jobs,        raw.lease,
                       raw.formats,   raw.list,       raw.schemas,  raw.connections, raw.lock_wait,
                       raw.direct,    raw.rls,        raw.trust,    raw.uid,         raw.gid,
                       raw.umask,     raw.part_size,  raw.max_stat, raw.sql};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        free(strings[i]);
    return rc;
}

void options_clear(struct options *options)
{
    if (options->conninfo != NULL)
        explicit_bzero(options->conninfo, strlen(options->conninfo));
    if (options->direct != NULL)
        explicit_bzero(options->direct, strlen(options->direct));
    free(options->conninfo);
    free(options->direct);
    free(options->mountpoint);
    free(options->cache_dir);
    for (char **schema = options->schemas; schema != NULL && *schema != NULL; schema++)
        free(*schema);
    free(options->schemas);
    *options = (struct options){0};
}
