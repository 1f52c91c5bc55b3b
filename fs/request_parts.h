/* A request that may wait, for fs/request*.c alone: request.c parks and answers it, request_try.c
 * finds out whether it can be answered, and asks for what it lacks, request_open.c opens files.
 */
#ifndef FS_REQUEST_PARTS_H
#define FS_REQUEST_PARTS_H

#include "fs/request.h"
#include "fs/tree/lookup.h"

/* What the kernel is told of a file's size (kernel_size.h). */
struct size_news {
    uint64_t size;
    uint8_t last;
    bool raise; /* it is no more than a size that the file may have */
};

struct request {
    struct waiting waiting;     /* its list is that of what it waits for */
    struct request *next, **at; /* among all that are parked; at NULL: it is not */
    struct mount *mount;
    fuse_req_t req;
    struct node *node;
    enum request_kind kind;
    struct fuse_file_info file;
    pid_t thread; /* that sent it; 0: unknown */
    caller_id caller;
    _Atomic int64_t interrupted; /* clock_ms(), set by libfuse's thread; all else is guarded by
                                    mount->lock. 0: it was not */
    int64_t arrived;
    bool hooked;  /* told of interrupts */
    bool by_path; /* its caller has just looked up the name: the kernel looks again where the answer
                     is ESTALE */
    bool asks;    /* what it was shown was in doubt */
    bool changed; /* of LOOKUP: what is in doubt is of the past */
    bool waited;  /* for a refresh, since this count of them: */
    unsigned refreshes_seen, failures_seen;
    uint32_t counted;      /* the relation whose counts these are; 0: none */
    unsigned listing_seen; /* listing_now() when it came: what it must know has been committed */
    bool keeps;            /* it has come while its caller went by the node's version (table.h) */
    bool listing_asked;
    unsigned listing_failures_seen;
    struct size_news news; /* of an open that can be answered */
    struct stream *stream; /* of an open that need not wait for the size */
    uint32_t gone; /* the relation that its name stood for last, and does not any more; 0: none */
    char *name;    /* of MKDIR */
    struct owner owner;           /* the same */
    size_t size;                  /* of READ */
    struct buffer bytes;          /* its answer */
    const struct result *awaited; /* what it waits for, or has: good, whatever version it is of */
    struct result *work;          /* to be made by this thread; a reference */
    int tries;
    bool parked; /* it has been tried before, by its own thread */
};

/* Answers an OPEN that has what it needs. Takes the request. The kernel is told the size of the
 * file before: by this thread, if the request is new, which gives up the lock meanwhile, else by
 * another one. */
void request_open(struct mount *mount, struct request *request);

void request_free(struct request *request);

/* What a LOOKUP looks for, with what it knows by now. */
struct lookup request_lookup(const struct request *request);

/* Each returns 0: it can be answered, -EAGAIN: it must wait for what is now under way, or the errno
 * to answer. */
MUST_CHECK int request_try_directory(struct mount *mount, struct request *request);
MUST_CHECK int request_try_lookup(struct mount *mount, struct request *request);
MUST_CHECK int request_try_file(struct mount *mount, struct request *request);
MUST_CHECK int request_try_answer(struct mount *mount, struct request *request);

/* Whether it has waited so long that it may read along with the fetch. */
bool request_may_read_along(const struct request *request);
/* Whether it is a LOOKUP that has waited for long enough. */
bool request_looks_no_longer(const struct request *request);

#endif
