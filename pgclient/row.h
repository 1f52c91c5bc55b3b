/* Single rows of a table, by its primary key or by a unique column, and the keys of all its rows.
 *
 * A row is one statement with bound parameters: a key is never part of the statement. Its condition
 * is the equality of the index's own operator, so that the server can use the index, and that the
 * value's text is the key's: of all texts that the type takes for the value one names the row, the
 * one that COPY writes.
 *
 * What must be known of the table for that is its layout: which columns are keys, how each column
 * comes, whose functions would run. A layout is read once; each transaction compares a text of what it
 * depends on, and reads it anew if that has changed.
 *
 * Threads: as sessions; layouts are shared. Each call begins a transaction, which it ends. Errors:
 * those of session.h; -ENOENT: there is no such row, or no such key; -ESTALE: the name belongs to
 * another relation by now, or to none, or the table has changed again and again; -EACCES: a
 * superuser's mount does not run this (trust.h); -EIO also: it is another cluster.
 */
#ifndef PGCLIENT_ROW_H
#define PGCLIENT_ROW_H

#include "codec/rowgroup.h"
#include "pgclient/catalog.h"

#include <stdatomic.h>

/* What is known of a table. Lifetime: reference-counted. */
struct row_layout;
struct row_layout *row_layout_ref(struct row_layout *layout);
void row_layout_unref(struct row_layout *layout); /* NULL is fine */

/* How the columns of a row come that are not rendered here. */
enum row_form { ROW_AS_TEXT, ROW_AS_JSON, ROW_FORMS };

/* The columns of a row that was read by this layout. */
const struct schema *row_layout_schema(const struct row_layout *layout, enum row_form form);

struct row_table {
    const struct relation *relation; /* a table, a partitioned table or a materialized view */
    uint64_t system_id;              /* of the cluster that it is in */
    uint32_t database;
    const atomic_bool *stop; /* or NULL */
};

struct row_key {
    const char *column; /* a unique column; NULL: the primary key */
    /* The value, if the key is of one column; NULL: it cannot be. */
    const char *whole;
    const char *const *values; /* the values, if it is of so many columns */
    int count;
};

/* Gets the row as a group of one row. *layout is what was known, or NULL; it gets what is known now,
 * which is what the row was read by. */
MUST_CHECK int row_read(struct session *session, const struct row_table *table,
                        const struct row_key *key, enum row_form form, struct row_layout **layout,
                        struct rowgroup **out, struct error *error);

/* Calls the sink with the texts of each row's primary key, in the key's order; not at all if there
 * is no primary key. A negative return ends the call. */
typedef int row_key_sink(void *context, const char *const *values, int count);
MUST_CHECK int row_keys(struct session *session, const struct row_table *table,
                        struct row_layout **layout, row_key_sink *sink, void *context,
                        struct error *error);

#endif
