/* What an answer must look like to be accepted: a server, or what stands in between, may give
 * another. The check keeps us from reading a row or a column that is not there, and from mistaking
 * one value for another. */
#ifndef PGCLIENT_SHAPE_H
#define PGCLIENT_SHAPE_H

#include "codec/error.h"

#include <libpq-fe.h>

/* `rows` ANY: any number. `columns` has a letter for each column: n a whole number, b a boolean, t
 * any text; N, B, T the same or NULL. NULL: any columns. */
struct shape {
    int rows;
    const char *columns;
};
enum { ANY = -1 };
#define ANYTHING ((struct shape){ANY, NULL})
#define ROWS_OF(columns) ((struct shape){ANY, columns}) /* none as well */
#define ONE_ROW_OF(columns) ((struct shape){1, columns})

/* -EIO, with what came instead: the result does not have this shape. */
MUST_CHECK int shape_check(const PGresult *rows, struct shape shape, struct error *error);

#endif
