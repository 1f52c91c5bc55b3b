/* What has values that users write, one a file (value_file.h): a session of query/, or a statement.
 * Each embeds a struct value_holder.
 *
 * Lifetime: as its class says; open files have references. Threads: guarded by mount->lock, but for
 * what says otherwise.
 */
#ifndef FS_TREE_VALUE_HOLDER_H
#define FS_TREE_VALUE_HOLDER_H

#include "fs/base/shared_text.h"
#include "fs/base/wait.h"
#include "fs/tables/promise.h"
#include "fs/tree/permit.h"

#include <stdatomic.h>
#include <time.h>

struct value_holder;

/* A value that only the server can judge, while it does so. The holder of such values embeds this.
 *
 * Lifetime: reference-counted. */
struct value_check {
    void (*free)(struct value_check *check);
    void (*stop)(struct value_check *check); /* no call waits for it any more */
    atomic_uint refs;
    bool making;
    int rc;              /* once it is over: 0, it is the value; else why not, for the user */
    struct wait waiting; /* calls that wait for its end */
};
static inline struct value_check *value_check_ref(struct value_check *check)
{
    atomic_fetch_add(&check->refs, 1);
    return check;
}
static inline void value_check_unref(struct value_check *check) /* NULL is fine */
{
    if (check != NULL && atomic_fetch_sub(&check->refs, 1) == 1)
        check->free(check);
}

/* What a value is like. */
struct value_field {
    const char *name; /* of its file */
    uint64_t most;    /* bytes */
    bool told;        /* it is told, not written */
    bool one_line;    /* a further line replaces the one before; else it comes behind it */
    bool by_lines;   /* a write that ends with a line break makes it the value; else only a flush */
    bool with_break; /* its file shows a line break behind its text */
};

/* A value that has a shared text. */
struct value_text {
    char *text;  /* NULL: there is none */
    size_t size; /* so much of it is the value */
    bool lines;  /* it is lines of text */
};

struct value_holder_class {
    struct value_holder *(*ref)(struct value_holder *holder);
    void (*unref)(struct value_holder *holder);
    struct value_field (*field)(int field); /* any thread */
    /* The text of the value, borrowed; NULL: it has none, and `show` appends what its file shows. */
    struct value_text (*text)(const struct value_holder *holder, int field);
    int (*show)(const struct value_holder *holder, int field, struct buffer *out);
    uint64_t (*size)(const struct value_holder *holder, int field); /* of what its file shows */
    /* Makes the bytes the value; called without the lock. -EAGAIN: that has begun, and *check is a
     * new reference. Not if there are no bytes: that needs no server. Else the errno is for the
     * user. *now, which is zero: the value's text with a reference of its own, if it may grow. */
    int (*set)(struct value_holder *holder, int field, const struct buffer *bytes,
               struct value_check **check, struct value_text *now);
    /* The same with `more` behind what is the value's text, without a look at all of it. 1: it is
     * not the text any more, or does not grow so; nothing has changed, and `set` does it. NULL: so
     * it is always. */
    int (*extend)(struct value_holder *holder, int field, const struct value_text *text,
                  const struct buffer *more, struct value_text *now);
    /* Sets what `error` says: that nothing is wrong, or this. */
    void (*answered)(struct value_holder *holder, int rc, const struct error *error);
};

struct value_holder {
    const struct value_holder_class *class;
    struct mount *mount;
    /* never changes; the files have the same owner, and the mode as far as files can be read or
     * written */
    struct owner owner;
    time_t changed_at;
    /* (without versions) callers that were told ESTALE: each must get a file of its own */
    struct promises promises;
};

static inline struct value_field value_field(const struct value_holder *holder, int field)
{
    return holder->class->field(field);
}
/* The size of a value's text as its file shows it. */
static inline uint64_t value_text_size(const struct value_text *text,
                                       const struct value_field *field)
{
    return text->size + field->with_break;
}

#endif
