/* The feeds of one fetch, one after another. An attempt that fails for a reason of the moment is
 * made again, with a feed of its own, to which those who read along with the one before are handed
 * over: they go on there if it begins with the groups that they have read, by contents. At the end
 * the relay knows of which feeds the rows are made, so that what was read along is of that version.
 *
 *     attempt 1     attempt 2          attempt 3
 *     feed 7 ─────► feed 8 ──────────► feed 9       made_of {9, 8, 7}; {9, 8} if the first group of
 *     fails         fails              ends, all    feed 7 is not the first one of feed 8
 *
 * It has the FEEDS_IN_A_ROW last ones. Lifetime: feed_relay_init, feed_relay_clear. Threads: any
 * may call feed_relay_now; the fetch's own does all the rest.
 */
#ifndef FS_ROWS_FEED_RELAY_H
#define FS_ROWS_FEED_RELAY_H

#include "fs/rows/feed.h"

struct feed_relay {
    struct feed
        *shelved[FEEDS_IN_A_ROW - 1]; /* feeds of attempts that failed; the latest is last */
    int shelved_count;
    struct feed_ids made_of; /* what the rows are made of; none before a copying has succeeded */
    pthread_mutex_t lock;    /* guards what follows */
    struct feed *feed;       /* of the copying under way, or NULL */
};

void feed_relay_init(struct feed_relay *relay);
void feed_relay_clear(struct feed_relay *relay);

/* The feed of the copying under way, a new reference; NULL: the copying has not begun, or is
 * over. */
struct feed *feed_relay_now(struct feed_relay *relay);

/* A copying begins. Takes its feed, in which the readers of the attempt before go on. */
void feed_relay_begin(struct feed_relay *relay, struct feed *feed);

/* The copying is over, or could not even begin. rc 0: its rows are what the fetch gives. If it will
 * be made `again` its readers wait for that; else they get the error. */
void feed_relay_end(struct feed_relay *relay, int rc, bool again, const char *reason);

/* The fetch is over. Readers of an attempt that failed get the error, or go on in `fresh` if the
 * rows were found to be there already. */
void feed_relay_settle(struct feed_relay *relay, int rc, struct snapshot *fresh,
                       const char *reason);

#endif
