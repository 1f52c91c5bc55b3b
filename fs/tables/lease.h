/* What a caller is given of a table's file whose version may be of the past: the rule, as two
 * functions of a state. They know no table, no clock and no lock: the code that calls them gathers
 * the state, and does what the verdict says.
 *
 * A request (stat, fstat, open) for a file. The first line that fits decides:
 *
 *   its page cache holds bytes of no version     STALE; GIVE_UP if the caller reads along
 *   its page cache is being filled               WAIT
 *   shows nothing yet, and the current version
 *     cannot be given without asking, or lacks
 *     the face, and no refresh has been waited for REFRESH (an open: READ_FETCH)
 *   shows nothing yet                            BIND, and then as one that shows the current version
 *   superseded, its caller does not keep it, and
 *     looked up the name to open it, or must be
 *     told what holds now                        STALE
 *   of the current version, which may be of the
 *     past: opened by its name, or to be told
 *     what holds now                             REFRESH
 *   its face has failed                          FAIL
 *   its face is known as far as it is needed     ANSWER
 *   an older version's face was left out, or
 *     no caller keeps it or has the file open    STALE
 *   an older version's                           MEASURE
 *   the face was left out                        REFRESH; GIVE_UP after a refresh
 *   its face is not known                        MEASURE (an open: READ_ROWS)
 *
 * A caller is "to be told what holds now" if it asks for a file that no process has open, or was
 * shown the file in doubt. An open file answers all other callers for its own version: nothing
 * tells stat from fstat.
 *
 * A look-up of its name:
 *
 *   its caller was told STALE                    OWN
 *   the version is sure (promised, gone on with,
 *     leased, refreshed): it has a node, or can
 *     be given one, or no job makes one          SHOW
 *   the sure version's node is being made        WAIT, then SHOW
 *   unsure, and no process has the node open     LATER
 *   unsure, and it is open                       WAIT, then LATER; but NEW if the caller could take
 *                                                the answer to a stat for one to its fstat, or is
 *                                                many processes, or if the version turned out to
 *                                                be superseded
 *   unsure, and a node is being made             WAIT, then NEW
 *   unsure, and there is none                    NEW
 */
#ifndef FS_TABLES_LEASE_H
#define FS_TABLES_LEASE_H

#include <stdbool.h>

enum lease_shows {
    LEASE_SHOWS_NOTHING, /* the file is pending */
    LEASE_SHOWS_CURRENT,
    LEASE_SHOWS_SAME, /* an older version with the same bytes as the current one */
    LEASE_SHOWS_PAST,
};

/* Why the version may be given without asking the server; the first that fits. */
enum lease_hold {
    /* its caller was promised it, goes on with it, or was given it instead of STALE; also if it is
     * superseded */
    LEASE_KEPT,
    LEASE_LEASED, /* the current version is leased */
    LEASE_EXPIRED,
};

enum lease_asked {
    LEASE_NOT_ASKED,
    LEASE_ASKED,     /* the request waits for a refresh */
    LEASE_REFRESHED, /* the refresh is over, and there is a current version */
};

enum lease_named {
    LEASE_BY_NODE, /* its caller has not looked up the name just now */
    /* its caller has looked it up: the kernel does so again if the answer is STALE */
    LEASE_BY_NAME,
    LEASE_IN_DOUBT, /* as LEASE_BY_NAME, and what the caller was shown may be of the past */
};

enum lease_cache { LEASE_CLEAN, LEASE_FILLING, LEASE_SPOILED };

/* The face of the version that the file shows, or would show if it were bound. */
enum lease_face {
    LEASE_FACE_LACKS, /* what it is made of was not fetched */
    LEASE_FACE_UNKNOWN,
    LEASE_FACE_SIZED,
    LEASE_FACE_READABLE,
    LEASE_FACE_FAILED,
};

struct lease_state {
    enum lease_shows shows;
    enum lease_hold hold;
    enum lease_asked asked;
    enum lease_named named;
    enum lease_cache cache;
    enum lease_face face;
    bool opens;   /* the request is an open; else a stat, or fstat */
    bool is_open; /* a process has the file open */
    bool reads;   /* the request is a stat of a process that reads the file along with a fetch */
    /* the request is an open that has waited long enough, and there are rows to read along with */
    bool along;
};

enum lease_verdict {
    LEASE_ANSWER,
    LEASE_STALE,      /* -ESTALE: the kernel looks the name up again */
    LEASE_FAIL,       /* fail with the face's own errno */
    LEASE_GIVE_UP,    /* -EIO */
    LEASE_BIND,       /* bind to the current version; then decide again */
    LEASE_WAIT,       /* wait for what is under way */
    LEASE_REFRESH,    /* ask the server, with this face, and wait */
    LEASE_MEASURE,    /* make the face, and wait */
    LEASE_READ_FETCH, /* REFRESH, and read along with the one under way instead of waiting */
    LEASE_READ_ROWS,  /* MEASURE, and read along with the version's rows */
};

enum lease_verdict lease_decide(const struct lease_state *state);

/* Which version a look-up leads to; the first that fits. */
enum lease_title {
    LEASE_OWN,      /* any: the caller was told STALE, and must not be told so again */
    LEASE_PROMISED, /* the one that stat has told the caller */
    LEASE_STAYS,    /* the one that the caller goes on with */
    LEASE_HOLDS,    /* the current one, leased or refreshed for this look-up */
    LEASE_UNSURE,   /* only the server can tell */
};

/* The node that there is of that version; if unsure, of the current one. */
enum lease_found {
    LEASE_FOUND_NONE,
    LEASE_FOUND_CLOSED, /* no process has it open */
    LEASE_FOUND_OPEN,
    LEASE_FOUND_MAKING, /* its size is being computed, and its page cache filled meanwhile */
    LEASE_FOUND_READY,  /* the same, but the version is sure, and the node can be bound to it now */
};

struct lease_look {
    enum lease_title title;
    enum lease_found found;
    bool over;    /* the look-up does not wait, or no longer */
    bool waited;  /* the look-up has waited for a refresh */
    bool changed; /* the refresh has found that the current version was of the past */
    bool many;    /* its caller may be many processes */
    bool opened;  /* its caller has the node open itself */
};

enum lease_sight {
    LEASE_SIGHT_WAIT,
    LEASE_SIGHT_OWN,   /* a new node, for this caller alone */
    LEASE_SIGHT_SHOW,  /* the version's node, made if need be */
    LEASE_SIGHT_LATER, /* the current version's node: its stat or open asks whether it holds */
    LEASE_SIGHT_NEW,   /* a pending node, which asks */
};

enum lease_sight lease_look(const struct lease_look *look);

#endif
