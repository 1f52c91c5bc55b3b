#include "pgclient/ddl_whole.h"

#include "pgclient/ddl_facts.h"
#include "pgclient/ddl_pieces.h"
#include "pgclient/ddl_run.h"
#include "pgclient/ddl_server.h"
#include "pgclient/ddl_text.h"
#include "pgclient/name_pattern.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    PORTIONS_MOST = 16,
    LEFT_OUT_MOST = 2000,   /* if more are left out, the others are named instead */
    NAMES_IN_PATTERN = 250, /* an argument of a program has at most 128 KiB */
    CATALOG_LOCKS = 100     /* the catalogs' locks that pg_dump takes in any case */
};

struct ddl_whole {
    const struct ddl_way *way;
    struct ddl_facts facts;
    struct ddl_pieces *portions[PORTIONS_MOST]; /* the first one has the extensions */
    size_t count;
};

/* ---- which relations, and which of them at once ---- */

static int by_schema(const void *a, const void *b)
{
    const struct ddl_relation *left = *(const struct ddl_relation *const *)a;
    const struct ddl_relation *right = *(const struct ddl_relation *const *)b;
    int order = strcmp(left->schema, right->schema);
    return order != 0 ? order : strcmp(left->name, right->name);
}

struct chosen {
    const struct ddl_relation **relations; /* by schema and name */
    size_t count;
};

/* Chooses the relations that are left out, or the others. Of the others, `single` chooses only
 * those that have no children, which pg_dump would lock with them, and belong to no extension. */
static int choose(const struct ddl_facts *facts, bool left_out, bool single, struct chosen *out)
{
    struct chosen chosen = {calloc(facts->relation_count + 1, sizeof *chosen.relations), 0};
    if (chosen.relations == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < facts->relation_count; i++) {
        const struct ddl_relation *relation = &facts->relations[i];
        bool fits = !single || (!relation->has_children && !relation->member);
        if (relation->left_out == left_out && fits)
            chosen.relations[chosen.count++] = relation;
    }
    qsort(chosen.relations, chosen.count, sizeof *chosen.relations, by_schema);
    *out = chosen;
    return 0;
}

/* `count` is at most NAMES_IN_PATTERN. */
static int select_pattern(struct dump *dump, const char *option,
                          const struct ddl_relation *const *relations, size_t count)
{
    const char *names[NAMES_IN_PATTERN];
    for (size_t i = 0; i < count; i++)
        names[i] = relations[i]->name;
    struct buffer pattern = {0};
    int rc = name_pattern_put(&pattern, relations[0]->schema, names, count);
    if (rc == 0)
        rc = buffer_append(&pattern, "", 1);
    if (rc == 0)
        rc = dump_select(dump, option, (const char *)pattern.data);
    buffer_clear(&pattern);
    return rc;
}

static int select_relations(struct dump *dump, const char *option,
                            const struct ddl_relation *const *relations, size_t count)
{
    int rc = 0;
    for (size_t first = 0, next; rc == 0 && first < count; first = next) {
        const char *schema = relations[first]->schema;
        for (next = first + 1; next < count && next - first < NAMES_IN_PATTERN; next++)
            if (strcmp(relations[next]->schema, schema) != 0)
                break;
        rc = select_pattern(dump, option, relations + first, next - first);
    }
    return rc;
}

/* ---- one dump ---- */

struct making {
    struct ddl_whole *whole;
    const struct ddl_way *way;
    const atomic_bool *stop;
    const struct cluster *there;
    struct dump dump;
    struct lock_room room; /* for one lock: how much room there is */
    char archive[4096];    /* its path */
    size_t text_size;      /* of all portions */
};

struct listening {
    const struct making *making;
    const struct buffer *out;
};

static int look_at_size(void *context)
{
    const struct listening *listening = context;
    const struct making *making = listening->making;
    if (making->stop != NULL && atomic_load(making->stop))
        return -EINTR;
    return making->text_size + listening->out->size > making->way->text_most ? -EFBIG : 0;
}

static int print_archive(struct making *making, const char *const *options, struct buffer *out,
                         struct error *error)
{
    struct listening listening = {making, out};
    return dump_restore(&making->dump, making->archive, options, look_at_size, &listening, out,
                        error);
}

static int cut_archive(struct making *making, struct ddl_pieces **out, struct error *error)
{
    static const char *const as_text[] = {"--verbose", "--file=-", NULL};
    static const char *const as_list[] = {"--list", NULL};
    struct buffer text = {0}, list = {0};
    struct ddl_cut *cut = NULL;
    int rc = print_archive(making, as_text, &text, error);
    if (rc == 0)
        rc = print_archive(making, as_list, &list, error);
    if (rc == 0) {
        making->text_size += text.size;
        rc = ddl_cut_new(&text, &list, &cut);
        if (rc == 0)
            rc = ddl_pieces_new(cut, &making->whole->facts, out);
        if (rc == -ESTALE)
            rc = error_set(error, -EAGAIN, "there is DDL that has come meanwhile");
        else if (rc == -EBADMSG)
            rc = error_set(error, -EIO, "pg_restore does not print what it lists");
        else if (rc < 0)
            error_set(error, rc, "out of memory");
    }
    buffer_clear(&text);
    buffer_clear(&list);
    return rc;
}

/* Dumps what is selected; that takes `locks` of the server's locks meanwhile. */
static int add_portion(struct making *making, size_t locks, struct error *error)
{
    struct ddl_whole *whole = making->whole;
    struct buffer nothing = {0};
    struct ddl_run run = {.way = making->way,
                          .stop = making->stop,
                          .dump = &making->dump,
                          .room = making->room,
                          .there = making->there};
    run.room.locks = lock_room_counts(&making->room, (int64_t)locks);
    free(making->dump.snapshot);
    making->dump.snapshot = NULL;
    int rc = dump_select(&making->dump, "--format=custom", "");
    if (rc == 0)
        rc = dump_select(&making->dump, "--file=", making->archive);
    rc = rc == 0 ? ddl_run_dump(&run, &nothing, error) : error_set(error, rc, "out of memory");
    if (rc == 0 && (rc = cut_archive(making, &whole->portions[whole->count], error)) == 0)
        whole->count++;
    unlink(making->archive);
    buffer_clear(&nothing);
    return rc;
}

/* ---- all of them ---- */

static int dump_at_once(struct making *making, size_t locks, const struct chosen *left_out,
                        struct error *error)
{
    int rc =
        select_relations(&making->dump, "--exclude-table=", left_out->relations, left_out->count);
    return rc == 0 ? add_portion(making, locks, error) : error_set(error, rc, "out of memory");
}

static int dump_in_portions(struct making *making, size_t most, const struct chosen *chosen,
                            struct error *error)
{
    if (most == 0 || chosen->count / most + 2 > PORTIONS_MOST)
        return error_set(error, -EFBIG, "there are too many relations for the server's locks");
    int rc = dump_select(&making->dump, "--exclude-table=", "*.*");
    if (rc == 0)
        rc = add_portion(making, CATALOG_LOCKS, error);
    for (size_t first = 0; rc == 0 && first < chosen->count; first += most) {
        size_t count = chosen->count - first < most ? chosen->count - first : most;
        dump_select_nothing(&making->dump);
        rc = select_relations(&making->dump, "--table=", chosen->relations + first, count);
        rc = rc == 0 ? add_portion(making, count + CATALOG_LOCKS, error)
                     : error_set(error, rc, "out of memory");
    }
    return rc;
}

static int dump_all(struct making *making, struct error *error)
{
    const struct ddl_facts *facts = &making->whole->facts;
    const size_t quarter = (size_t)making->room.most / 2;
    struct chosen left_out = {0}, others = {0};
    int rc = choose(facts, true, false, &left_out);
    size_t locks = facts->relation_count - left_out.count + CATALOG_LOCKS;
    bool at_once = locks <= quarter && left_out.count <= LEFT_OUT_MOST;
    if (rc == 0)
        rc = choose(facts, false, true, &others);
    if (rc < 0)
        error_set(error, rc, "out of memory");
    else if (at_once)
        rc = dump_at_once(making, locks, &left_out, error);
    else
        rc = dump_in_portions(making, quarter > CATALOG_LOCKS ? quarter - CATALOG_LOCKS : 0,
                              &others, error);
    free(left_out.relations);
    free(others.relations);
    return rc;
}

static int ask_archive(void *context, struct connection *connection, struct session *session,
                       struct error *error)
{
    struct making *making = context;
    (void)session; /* these questions lock nothing */
    int rc = lock_room_of(connection, &making->room, error);
    if (rc == 0)
        rc = connection_begin(connection, TRANSACTION_TABLES, NULL, error);
    if (rc == 0)
        rc = ddl_facts_read(connection, &making->whole->facts, error);
    if (rc == 0)
        rc = dump_ask_any(connection, &making->dump, error);
    connection_end(connection);
    return rc;
}

static int try_once(const struct ddl_way *way, const char *signature, const atomic_bool *stop,
                    struct ddl_whole *whole, struct error *error)
{
    struct cluster ours = {0}, theirs = {0};
    struct making making = {
        .whole = whole, .way = way, .stop = stop, .there = way->direct != NULL ? &theirs : &ours};
    const struct ddl_asking asking = {way, signature, LOCK_PATIENCE_MS, stop, ask_archive, &making};
    int size = snprintf(making.archive, sizeof making.archive, "%s/schema.archive", way->folder);
    int rc = size < (int)sizeof making.archive
                 ? ddl_server_ask(&asking, &ours, &theirs, error)
                 : error_set(error, -ENAMETOOLONG, "the name of the cache's folder is too long");
    if (rc == 0)
        rc = dump_all(&making, error);
    dump_clear(&making.dump);
    cluster_clear(&ours);
    cluster_clear(&theirs);
    return rc;
}

/* A second try sees the client that was in the way, and leaves out what that has locked. */
int ddl_whole_read(const struct ddl_way *way, const char *signature, const atomic_bool *stop,
                   struct ddl_whole **out, struct error *error)
{
    enum { TRIES = 2 };
    int rc = -EAGAIN;
    for (int i = 0; i < TRIES && (rc == -EAGAIN || rc == -EBUSY); i++) {
        struct ddl_whole *whole = calloc(1, sizeof *whole);
        if (whole == NULL)
            return error_no_memory(error);
        whole->way = way;
        rc = try_once(way, signature, stop, whole, error);
        if (rc == 0)
            *out = whole;
        else
            ddl_whole_free(whole);
    }
    return rc;
}

void ddl_whole_free(struct ddl_whole *whole)
{
    if (whole == NULL)
        return;
    for (size_t i = 0; i < whole->count; i++)
        ddl_pieces_free(whole->portions[i]);
    ddl_facts_clear(&whole->facts);
    free(whole);
}

int ddl_whole_put(const struct ddl_whole *whole, uint32_t relation, struct buffer *out)
{
    struct buffer dump = {0};
    int rc = -ENOENT;
    for (size_t i = 0; rc == -ENOENT && i < whole->count; i++)
        rc = ddl_pieces_put(whole->portions[i], whole->portions[0], relation, &dump);
    if (rc == 0)
        rc = ddl_text(&dump, whole->way->secret, out);
    buffer_clear(&dump);
    return rc;
}
