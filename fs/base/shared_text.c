#include "fs/base/shared_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SOME_ROOM = 256 };

struct shared_text {
    atomic_uint refs;
    _Atomic size_t size; /* only grows */
    size_t room;
    struct written *written; /* the budget that counts it; NULL: none */
    uint64_t counted;
    char bytes[];
};

static struct shared_text *whole(const char *text)
{
    return (struct shared_text *)(void *)((char *)(uintptr_t)text -
                                          offsetof(struct shared_text, bytes));
}

static struct shared_text *new_text(const void *bytes, size_t size, size_t room)
{
    struct shared_text *text = malloc(sizeof *text + room);
    if (text == NULL)
        return NULL;
    *text = (struct shared_text){.refs = 1, .size = size, .room = room};
    if (size > 0)
        memcpy(text->bytes, bytes, size);
    return text;
}

char *shared_text_new(const void *bytes, size_t size)
{
    struct shared_text *text = new_text(bytes, size, size + 1);
    if (text == NULL)
        return NULL;
    text->bytes[size] = '\0';
    return text->bytes;
}

char *shared_text_ref(char *text)
{
    if (text != NULL)
        atomic_fetch_add(&whole(text)->refs, 1);
    return text;
}

size_t shared_text_size(const char *text) { return text != NULL ? whole(text)->size : 0; }

void shared_text_unref(char *text)
{
    if (text == NULL || atomic_fetch_sub(&whole(text)->refs, 1) != 1)
        return;
    written_note(whole(text)->written, &whole(text)->counted, 0);
    free(whole(text));
}

int shared_text_append(char **text, size_t size, const void *bytes, size_t more)
{
    struct shared_text *old = whole(*text);
    size_t end = size, all = size + more;
    if (more == 0)
        return 0;
    /* Of several that append to the same bytes, one gets the place behind them. */
    if (all <= old->room && atomic_compare_exchange_strong(&old->size, &end, all)) {
        memcpy(old->bytes + size, bytes, more);
        return 0;
    }
    struct shared_text *copy = new_text(old->bytes, size, all + all / 4 + SOME_ROOM);
    if (copy == NULL)
        return -ENOMEM;
    memcpy(copy->bytes + size, bytes, more);
    copy->size = all;
    shared_text_unref(*text);
    *text = copy->bytes;
    return 0;
}

bool shared_text_is_ours(const char *text, unsigned refs)
{
    return text != NULL && whole(text)->refs <= refs;
}

void shared_text_count(char *text, size_t size, struct written *written)
{
    if (text == NULL)
        return;
    whole(text)->written = written;
    written_note(written, &whole(text)->counted, size);
}
