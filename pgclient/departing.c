#include "pgclient/departing.h"

#include "pgclient/helper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct departing {
    atomic_int references, count;
    _Atomic int64_t last;
};

struct departing *departing_new(void)
{
    struct departing *departing = calloc(1, sizeof *departing);
    if (departing != NULL)
        departing->references = 1;
    return departing;
}

struct departing *departing_ref(struct departing *departing)
{
    departing->references++;
    return departing;
}

void departing_unref(struct departing *departing)
{
    if (departing != NULL && --departing->references == 0)
        free(departing);
}

void departing_begin(struct departing *departing)
{
    if (departing != NULL)
        departing->count++;
}

void departing_end(struct departing *departing)
{
    if (departing == NULL)
        return;
    departing->last = helper_now_ms();
    departing->count--;
}

int departing_count(const struct departing *departing) { return departing->count; }

int64_t departing_last(const struct departing *departing) { return departing->last; }

/* ---- the end of a socket ---- */

struct watched {
    struct departing *departing;
    int fd;
};

/* It sees that its client has gone, as if the socket were closed. A backend that finds no room for what it sends looks at nothing else: so all is taken, but no
 * more than what may have been under way. Then the socket is closed, which ends the backend as well. */
static void await_end(int fd)
{
    enum { PATIENCE_MS = 5000, BYTES_MOST = 4 << 20 };
    int64_t deadline = helper_now_ms() + PATIENCE_MS, left;
    char bytes[1 << 14];
    (void)shutdown(fd, SHUT_WR);
    for (long taken = 0; taken < BYTES_MOST && (left = deadline - helper_now_ms()) > 0;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, (int)left) <= 0)
            continue;
        ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return;
        taken += n > 0 ? n : 0;
    }
}

static void *watch(void *argument)
{
    struct watched watched = *(struct watched *)argument;
    free(argument);
    await_end(watched.fd);
    close(watched.fd);
    departing_end(watched.departing);
    departing_unref(watched.departing);
    return NULL;
}

static int start(struct watched *watched)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;
    int rc = pthread_attr_init(&attributes);
    if (rc != 0)
        return -rc;
    sigfillset(&all);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread, &attributes, watch, watched);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return -rc;
}

void departing_watch(struct departing *departing, int fd)
{
    struct watched *watched = malloc(sizeof *watched);
    departing_begin(departing);
    if (watched != NULL)
        *watched = (struct watched){.departing = departing_ref(departing), .fd = fd};
    if (watched != NULL && start(watched) == 0)
        return;
    if (watched != NULL)
        departing_unref(departing);
    free(watched);
    close(fd);
    departing_end(departing);
}
