#include "pgclient/cancel.h"

#include "codec/error.h"
#include "pgclient/helper.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* After each asking the backend has so long to end, in milliseconds. */
static const int patience[] = {100, 400, 1500, 3000};
enum { PATIENCE_COUNT = sizeof patience / sizeof *patience };

struct cancelling {
    struct helper helper;
    PGcancel *what;
    int fd; /* the connection's socket, a copy; negative: it is asked once */
};

static bool has_closed(int fd, int milliseconds)
{
    struct pollfd socket = {.fd = fd, .events = POLLRDHUP};
    return poll(&socket, 1, milliseconds) > 0;
}

static void run(struct helper *helper)
{
    const struct cancelling *cancelling = (struct cancelling *)helper;
    char words[256];
    (void)PQcancel(cancelling->what, words, sizeof words);
    for (int i = 0; cancelling->fd >= 0 && i < PATIENCE_COUNT; i++) {
        if (has_closed(cancelling->fd, patience[i]))
            return;
        (void)PQcancel(cancelling->what, words, sizeof words);
    }
}

static void drop(struct helper *helper)
{
    struct cancelling *cancelling = (struct cancelling *)helper;
    if (cancelling->fd >= 0)
        close(cancelling->fd);
    PQfreeCancel(cancelling->what);
    free(cancelling);
}

static struct cancelling *start(PGconn *pg, int fd)
{
    struct cancelling *cancelling = malloc(sizeof *cancelling);
    if (cancelling == NULL) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    helper_init(&cancelling->helper, run, drop);
    cancelling->fd = fd;
    cancelling->what = PQgetCancel(pg);
    if (cancelling->what != NULL && helper_start(&cancelling->helper) == 0)
        return cancelling;
    helper_free(&cancelling->helper);
    return NULL;
}

bool cancel_once(PGconn *pg, const atomic_bool *stop, int milliseconds)
{
    struct cancelling *cancelling = start(pg, -1);
    bool told = cancelling != NULL && helper_wait(&cancelling->helper, stop, NULL, milliseconds);
    if (told)
        helper_free(&cancelling->helper);
    return told;
}

void cancel_for_good(PGconn *pg)
{
    int fd = PQsocket(pg);
    struct cancelling *cancelling = start(pg, fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1);
    if (cancelling != NULL && helper_wait(&cancelling->helper, NULL, NULL, 0))
        helper_free(&cancelling->helper);
}
