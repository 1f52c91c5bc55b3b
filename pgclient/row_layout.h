/* What must be known of a table to read single rows of it (row.h), and the transaction in which they
 * are read. For row.c alone.
 *
 * Lifetime: a layout is reference-counted, and does not change but for its verdicts. Threads: any.
 * Errors: as row.h.
 */
#ifndef PGCLIENT_ROW_LAYOUT_H
#define PGCLIENT_ROW_LAYOUT_H

#include "codec/text.h"
#include "pgclient/connection.h"
#include "pgclient/describe.h"
#include "pgclient/row.h"

#include <pthread.h>

/* A column of the primary key, or a unique one. */
struct key_column {
    char *name;
    uint32_t type;   /* for a domain, that of its values */
    char *type_name; /* as SQL, qualified */
    char *equals;    /* OPERATOR(schema.=), that of the index */
};

struct row_layout {
    atomic_uint refs;
    char *state; /* all that it depends on */
    enum relation_kind kind;
    bool may_lock;      /* LOCK TABLE is allowed, and possible */
    bool judged;        /* it is asked first whose functions would run */
    bool filtered;      /* policies choose the rows */
    bool may_be_spread; /* an extension that spreads tables is installed */
    bool json_apart;    /* as in readpoint.h */
    struct schema *schemas[ROW_FORMS];
    struct key_column *keys; /* the primary key's columns, then the unique ones */
    int key_count, unique_count;
    atomic_bool standby;  /* the server that was asked last is one */
    pthread_mutex_t lock; /* guards: */
    /* The marks of the transactions in which rows in this form may be read; NULL: none is known. */
    char *verdicts[ROW_FORMS];
};

/* Begins the transaction. *layout, which may be NULL before, is what is true in it. After an error
 * there is no transaction. */
MUST_CHECK int row_layout_enter(struct session *session, const struct row_table *table,
                                enum row_form form, struct row_layout **layout,
                                struct error *error);
/* Begins another one by the same layout, unchecked: for statements that read no table. */
MUST_CHECK int row_layout_begin(struct session *session, const struct row_table *table,
                                const struct row_layout *layout, struct error *error);
/* What was read after row_layout_enter is what was meant. -ESTALE: it may not be. */
MUST_CHECK int row_layout_check(struct session *session, const struct row_table *table,
                                const struct row_layout *layout, struct error *error);

/* The settings under which rows are read. */
MUST_CHECK int row_layout_set(struct session *session, const struct row_layout *layout,
                              enum row_form form, struct error *error);

/* Puts FROM, and WHERE if each of the columns were equal to a parameter (from $1 on, two for each:
 * the value, and its text), or ORDER BY the primary key. */
void row_layout_put_from(struct text *sql, const struct relation *relation,
                         const struct row_layout *layout);
void row_layout_put_equal(struct text *sql, const struct key_column *columns, int count);
void row_layout_put_order(struct text *sql, const struct row_layout *layout);

#endif
