#include "pgclient/departing.h"

#include "codec/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A backend that does not read its socket ends when it checks for its client, every ten seconds. */
enum { PATIENCE_MS = 5000, WATCHED_MS = 15000, BYTES_MOST = 4 << 20 };

struct watched {
    struct watched *next;
    int fd;
    int64_t since;
    long left; /* bytes that we still accept from it */
};

struct departing {
    atomic_int references;
    pthread_mutex_t lock; /* guards what follows */
    int begun;
    struct watched *watched;
    int64_t last;
};

struct departing *departing_new(void)
{
    struct departing *departing = calloc(1, sizeof *departing);
    if (departing == NULL)
        return NULL;
    departing->references = 1;
    pthread_mutex_init(&departing->lock, NULL);
    return departing;
}

struct departing *departing_ref(struct departing *departing)
{
    departing->references++;
    return departing;
}

static void watched_free(struct watched *watched)
{
    close(watched->fd);
    free(watched);
}

void departing_unref(struct departing *departing)
{
    if (departing == NULL || --departing->references > 0)
        return;
    while (departing->watched != NULL) {
        struct watched *watched = departing->watched;
        departing->watched = watched->next;
        watched_free(watched);
    }
    pthread_mutex_destroy(&departing->lock);
    free(departing);
}

void departing_begin(struct departing *departing)
{
    if (departing == NULL)
        return;
    pthread_mutex_lock(&departing->lock);
    departing->begun++;
    pthread_mutex_unlock(&departing->lock);
}

void departing_end(struct departing *departing)
{
    if (departing == NULL)
        return;
    pthread_mutex_lock(&departing->lock);
    departing->begun--;
    departing->last = clock_ms();
    pthread_mutex_unlock(&departing->lock);
}

void departing_gone(struct departing *departing)
{
    departing_begin(departing);
    departing_end(departing);
}

/* Shuts our side down: the backend sees that its client has gone, as if the socket were closed. */
void departing_watch(struct departing *departing, int fd)
{
    struct watched *watched = malloc(sizeof *watched);
    if (watched == NULL) {
        close(fd);
        return;
    }
    (void)shutdown(fd, SHUT_WR);
    *watched = (struct watched){.fd = fd, .since = clock_ms(), .left = BYTES_MOST};
    pthread_mutex_lock(&departing->lock);
    watched->next = departing->watched;
    departing->watched = watched;
    pthread_mutex_unlock(&departing->lock);
}

/* A backend that has no room for what it sends looks at nothing else. So we read what it sends, but
 * no more than may have been under way; then we close the socket, which ends the backend as well.
 */
static bool has_gone(struct watched *watched, int64_t now)
{
    char bytes[1 << 14];
    while (watched->left > 0 && now - watched->since < WATCHED_MS) {
        ssize_t n = recv(watched->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return true;
        if (n < 0 && errno == EAGAIN)
            return false;
        watched->left -= n > 0 ? n : 0;
    }
    return true;
}

int departing_count(struct departing *departing)
{
    pthread_mutex_lock(&departing->lock);
    int count = departing->begun;
    int64_t now = departing->watched != NULL ? clock_ms() : 0;
    for (struct watched **at = &departing->watched; *at != NULL;) {
        struct watched *watched = *at;
        if (has_gone(watched, now)) {
            *at = watched->next;
            watched_free(watched);
            departing->last = now;
        } else {
            at = &watched->next;
            count += now - watched->since < PATIENCE_MS;
        }
    }
    pthread_mutex_unlock(&departing->lock);
    return count;
}

int64_t departing_last(struct departing *departing)
{
    pthread_mutex_lock(&departing->lock);
    int64_t last = departing->watched != NULL ? clock_ms() : departing->last;
    pthread_mutex_unlock(&departing->lock);
    return last;
}
