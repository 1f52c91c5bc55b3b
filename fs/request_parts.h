/* A request that may wait; for fs/request*.c alone. request.c parks and answers it, request_open.c
 * opens files. */
#ifndef FS_REQUEST_PARTS_H
#define FS_REQUEST_PARTS_H

#include "fs/request.h"

struct request {
    struct call call; /* guarded by mount->lock, as all members but `interrupted` */
    fuse_req_t req;
    struct fuse_file_info file;
    pid_t thread;                /* the thread that sent it; 0: unknown */
    _Atomic int64_t interrupted; /* clock_ms(), set by libfuse's thread; 0: not interrupted */
    bool hooked;                 /* libfuse tells it of interrupts */
    struct size_news news;       /* for an OPEN that can be answered */
};

/* Answers an OPEN that has what it needs. Takes the request. Before that it tells the kernel the
 * size of the file: on this thread, if the request is new, and without the lock meanwhile; else on
 * another thread. */
void request_open(struct mount *mount, struct request *request);

void request_free(struct request *request);

#endif
