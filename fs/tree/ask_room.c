#include "fs/tree/ask_parts.h"

#include "codec/clock.h"

#include <errno.h>
#include <inttypes.h>

enum {
    /* bytes of answers; beyond that the next question waits until they are read */
    UNREAD_AT_MOST = 16 << 20,
    /* there is no room if for this long nothing is read of the answers that take it */
    STUCK_MS = 5000
};

void ask_note_read(struct mount *mount, uint64_t bytes)
{
    mount->tree->unread -= bytes;
    if (bytes > 0)
        mount->tree->unread_ms = clock_ms();
}

bool ask_is_full(const struct ask *ask)
{
    uint64_t unread = ask->out.size - ask->read, all = ask->mount->tree->unread;
    bool is_read = unread == 0 && ask->waiting.first != NULL;
    return unread > UNREAD_AT_MOST || (!is_read && all > ask->mount->options->memory / 4);
}

static uint64_t unread_most(const struct mount *mount)
{
    enum { LEAST = 32 << 20 };
    uint64_t half = mount->options->memory / 2;
    return half > LEAST ? half : LEAST;
}

bool ask_has_room(const struct ask *ask, size_t size)
{
    uint64_t all = ask->mount->tree->unread;
    bool begins = all <= ask->mount->options->memory / 4 || ask->waiting.first != NULL;
    return all == 0 || (begins && all + size <= unread_most(ask->mount)) ||
           (ask->out.size == ask->read && size <= ASK_SMALL_AT_MOST);
}

int ask_no_room(const struct ask *ask, struct error *error)
{
    return error_set(error, -ENOBUFS,
                     "with the answers of other conversations, which nobody goes on reading, this "
                     "one would take more than %" PRIu64
                     " MiB, half of memory=: read or close them, and ask again",
                     unread_most(ask->mount) >> 20);
}

struct ask *ask_first_in_line(const struct mount *mount)
{
    struct ask *first = NULL;
    for (struct ask *ask = mount->tree->asks; ask != NULL; ask = ask->next)
        if (ask->lacks > 0 && ask->waiting.first != NULL && ask_has_stopped(ask) &&
            (first == NULL || ask->lacks_since < first->lacks_since))
            first = ask;
    return first;
}

void ask_put_off_large(struct ask *ask, size_t size)
{
    ask_put_off(ask);
    ask->lacks = size;
    ask->lacks_since = ask->waiting.first != NULL ? clock_ms() : 0;
}

void ask_serve_line(struct mount *mount)
{
    int64_t now = clock_ms();
    struct ask *ask;
    while ((ask = ask_first_in_line(mount)) != NULL) {
        int64_t since =
            mount->tree->unread_ms > ask->lacks_since ? mount->tree->unread_ms : ask->lacks_since;
        bool room = ask_has_room(ask, ask->lacks);
        if (!room && now - since < STUCK_MS)
            break;
        ask->refused = !room;
        if (!room)
            ask->lacks = 0;
        if (ask_go_on(ask) < 0)
            break;
    }
}
