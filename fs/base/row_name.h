/* Names of rows, without the format: what stands below rows/.
 *
 *   KEY          the values of the primary key's columns, each as COPY writes it, in the key's order,
 *                with `,` in between
 *   COL=VALUE    a column, and its value
 *
 * They are written as all names are (fs/base/name.h), and a `=` within a column or a value is %3D; a
 * `,` within a value of a key of several columns is %2C. So each row has one name of each kind, and a
 * name that is written in any other way names nothing.
 *
 * The name does not tell whether a key is of several columns: a `,` may be part of the value of a key
 * of one column. So a name is read as both.
 *
 * Lifetime: row_name_read, row_name_clear. Threads: none of its own.
 */
#ifndef FS_BASE_ROW_NAME_H
#define FS_BASE_ROW_NAME_H

#include "codec/buffer.h"

#include <stdbool.h>

enum { ROW_NAME_VALUES = 32 }; /* PostgreSQL's indexes have no more columns */

struct row_name {
    char *column; /* NULL: the primary key */
    char *whole;  /* the value of the one column; NULL: it is none */
    /* the values of several columns; 0: they are none */
    char *values[ROW_NAME_VALUES];
    int count;
};

/* -ENOENT: it is no name of a row. */
MUST_CHECK int row_name_read(const char *text, size_t size, struct row_name *out);
void row_name_clear(struct row_name *name);

/* Appends the name of the row with these values of its primary key. */
MUST_CHECK int row_name_write(const char *const *values, int count, struct buffer *out);

#endif
