#include "fs/base/written.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>

void written_init(struct written *written, uint64_t memory)
{
    enum { LEAST = 16 << 20 };
    written->most = memory / 2 > LEAST ? memory / 2 : LEAST;
    written->bytes = 0;
}

int written_change(struct written *written, uint64_t *bytes, uint64_t now, struct error *error)
{
    if (written == NULL)
        return 0;
    uint64_t all = written->bytes;
    do {
        if (now > *bytes && all - *bytes + now > written->most)
            return error_set(error, -ENOBUFS,
                             "what has been written below query/ would take more than %" PRIu64
                             " MiB, half of memory=: let go of sessions, large vectors and "
                             "conversations, or mount with more memory",
                             written->most >> 20);
    } while (!atomic_compare_exchange_weak(&written->bytes, &all, all - *bytes + now));
    *bytes = now;
    return 0;
}

void written_note(struct written *written, uint64_t *bytes, uint64_t now)
{
    if (written == NULL)
        return;
    atomic_fetch_add(&written->bytes, now - *bytes);
    *bytes = now;
}
