/* Who has a lock that somebody waits for, and how long we wait for one. Threads: pure. */
#ifndef PGCLIENT_LOCK_PARTY_H
#define PGCLIENT_LOCK_PARTY_H

#include "codec/error.h"

#include <stddef.h>

/* A lock is waited for no longer than this, by each statement: -EBUSY. So nobody keeps a session,
 * and other locks, for as long as somebody else likes. */
enum { LOCK_PATIENCE_MS = 500 };
#define LOCK_PATIENCE "500" /* in SQL */

enum { LOCK_NAME_SIZE = 160 };

struct lock_party {
    int pid; /* 0: none that is known */
    char application[64];
    char relation[LOCK_NAME_SIZE]; /* schema.name of what is locked; "": no relation, or unknown */
};

/* "pid 4711 (psql)" */
void lock_party_name(const struct lock_party *party, char *out, size_t size);

#endif
