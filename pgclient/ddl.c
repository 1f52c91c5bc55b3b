#include "pgclient/ddl.h"

#include "pgclient/ddl_run.h"
#include "pgclient/ddl_server.h"
#include "pgclient/ddl_text.h"

#include <errno.h>

/* pg_dump's LOCK TABLE, and ours before it, locks a table and all that inherits from it. The locks
 * that the connection will take are reserved for `session`; the connection may be another than the
 * session's. */
static int take_room(struct connection *connection, struct session *session,
                     const struct relation *relation, struct lock_room *room, struct error *error)
{
    if (relation->kind != RELATION_TABLE && relation->kind != RELATION_PARTITIONED)
        return 0;
    int rc = lock_room_ask(connection, relation, room, error);
    return rc < 0 ? rc : ddl_run_reserve(session, room, error);
}

struct asked {
    const struct relation *relation;
    struct dump dump;
    struct lock_room room;
};

static int ask_text(void *context, struct connection *connection, struct session *session,
                    struct error *error)
{
    struct asked *asked = context;
    int rc = take_room(connection, session, asked->relation, &asked->room, error);
    return rc == 0 ? dump_ask(connection, asked->relation, &asked->dump, error) : rc;
}

int ddl_read(const struct ddl_way *way, const struct relation *relation, const char *signature,
             int lock_ms, const atomic_bool *stop, struct buffer *out, struct error *error)
{
    struct asked asked = {.relation = relation};
    const struct ddl_asking asking = {way, signature, lock_ms, stop, ask_text, &asked};
    struct cluster ours = {0}, theirs = {0};
    struct buffer bytes = {0};
    int rc = ddl_server_ask(&asking, &ours, &theirs, error);
    if (rc == 0) {
        struct ddl_run run = {.way = way,
                              .stop = stop,
                              .dump = &asked.dump,
                              .room = asked.room,
                              .there = way->direct != NULL ? &theirs : &ours};
        rc = ddl_run_dump(&run, &bytes, error);
    }
    if (rc == 0 && (rc = ddl_text(&bytes, way->secret, out)) < 0)
        error_set(error, rc, "the DDL cannot be kept: %s", strerror(-rc));
    buffer_clear(&bytes);
    cluster_clear(&ours);
    cluster_clear(&theirs);
    dump_clear(&asked.dump);
    return rc;
}
