/* A client that has a lock that another waits for, and how long we wait for a lock. Threads: pure.
 */
#ifndef PGCLIENT_LOCK_PARTY_H
#define PGCLIENT_LOCK_PARTY_H

#include "codec/error.h"

#include <stddef.h>

/* Each statement waits no longer than this for a lock: -EBUSY. So other clients' locks do not keep
 * a session, and the locks that it has, for an unlimited time. */
enum { LOCK_PATIENCE_MS = 500 };
#define LOCK_PATIENCE "500" /* in SQL */

enum { LOCK_NAME_SIZE = 160 };

struct lock_party {
    int pid; /* 0: unknown */
    char application[64];
    char relation[LOCK_NAME_SIZE]; /* schema.name of what is locked; "": no relation, or unknown */
};

/* "pid 4711 (psql)" */
void lock_party_name(const struct lock_party *party, char *out, size_t size);

#endif
