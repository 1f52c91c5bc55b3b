#include "pgclient/shape.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static bool is_number(const char *text)
{
    enum { DIGITS_MOST = 20 };
    text += *text == '-';
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= DIGITS_MOST && text[digits] == '\0';
}

static bool is_boolean(const char *text)
{
    return (text[0] == 't' || text[0] == 'f') && text[1] == '\0';
}

/* Whether the value is of the kind that `letter` stands for (struct shape). */
static bool is_of_kind(const PGresult *rows, int row, int column, char letter)
{
    const char *text = PQgetvalue(rows, row, column);
    if (PQgetisnull(rows, row, column))
        return letter == 'N' || letter == 'B' || letter == 'T';
    return letter == 'n' || letter == 'N'   ? is_number(text)
           : letter == 'b' || letter == 'B' ? is_boolean(text)
                                            : true;
}

int shape_check(const PGresult *rows, struct shape shape, struct error *error)
{
    int count = PQntuples(rows), columns = PQnfields(rows);
    int wanted = shape.columns != NULL ? (int)strlen(shape.columns) : columns;
    if (PQresultStatus(rows) != PGRES_TUPLES_OK || columns != wanted ||
        (shape.rows != ANY && count != shape.rows))
        return error_set(error, -EIO,
                         "unexpected answer of the server: %s of %d rows and %d columns",
                         PQresStatus(PQresultStatus(rows)), count, columns);
    for (int row = 0; shape.columns != NULL && row < count; row++)
        for (int column = 0; column < columns; column++)
            if (!is_of_kind(rows, row, column, shape.columns[column]))
                return error_set(error, -EIO,
                                 "unexpected answer of the server: of another kind in column %d",
                                 column + 1);
    return 0;
}
