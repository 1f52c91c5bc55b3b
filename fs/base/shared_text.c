#include "fs/base/shared_text.h"

#include <stdlib.h>
#include <string.h>

struct shared_text {
    atomic_uint refs;
    size_t size;
    struct written *written; /* the budget that counts it; NULL: none */
    uint64_t counted;
    char bytes[];
};

static struct shared_text *whole(const char *text)
{
    return (struct shared_text *)(void *)((char *)(uintptr_t)text -
                                          offsetof(struct shared_text, bytes));
}

char *shared_text_new(const void *bytes, size_t size)
{
    struct shared_text *text = malloc(sizeof *text + size + 1);
    if (text == NULL)
        return NULL;
    *text = (struct shared_text){.refs = 1, .size = size};
    if (size > 0)
        memcpy(text->bytes, bytes, size);
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

bool shared_text_is_alone(const char *text) { return text != NULL && whole(text)->refs == 1; }

void shared_text_count(char *text, struct written *written)
{
    if (text == NULL)
        return;
    whole(text)->written = written;
    written_note(written, &whole(text)->counted, whole(text)->size);
}
