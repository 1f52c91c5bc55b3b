/* What an answer must look like to be taken: a server, or what stands in between, may give another.
 * So no row and no column is asked for that is not there, and no value taken for another.
 */
#ifndef PGCLIENT_SHAPE_H
#define PGCLIENT_SHAPE_H

#include "codec/error.h"

#include <libpq-fe.h>

/* `rows` ANY: whatever number. `columns` has a letter for each, n a whole number, b a boolean, t any
 * text, and N, B, T the same or NULL; NULL: whatever there are. */
struct shape {
    int rows;
    const char *columns;
};
enum { ANY = -1 };
#define ANYTHING ((struct shape){ANY, NULL})
#define ROWS_OF(columns) ((struct shape){ANY, columns}) /* none as well */
#define ONE_ROW_OF(columns) ((struct shape){1, columns})

/* -EIO, with what there is instead: the result is no rows of this shape. */
MUST_CHECK int shape_check(const PGresult *rows, struct shape shape, struct error *error);

#endif
