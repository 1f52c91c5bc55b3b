#include "codec/column_list.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* In quotes as it is, else also in lower case, as in SQL; -1: there is none. */
static int number_named(const struct schema *schema, const char *name, bool quoted)
{
    for (int i = 0; i < schema->column_count; i++)
        if (strcmp(schema->columns[i].name, name) == 0)
            return i;
    for (int i = 0; !quoted && i < schema->column_count; i++) {
        const char *other = schema->columns[i].name, *at = name;
        while (*at != '\0' && tolower((unsigned char)*at) == (unsigned char)*other)
            at++, other++;
        if (*at == '\0' && *other == '\0')
            return i;
    }
    return -1;
}

/* Takes one name off the list; returns what follows it, or NULL: it is not written as one. */
static const char *take_name(const char *at, char *name, bool *quoted)
{
    while (isspace((unsigned char)*at))
        at++;
    *quoted = *at == '"';
    if (*quoted) {
        for (at++; *at != '\0' && (*at != '"' || at[1] == '"'); at++) {
            at += *at == '"';
            *name++ = *at;
        }
        if (*at++ != '"')
            return NULL;
        while (isspace((unsigned char)*at))
            at++;
    } else {
        char *start = name;
        while (*at != '\0' && *at != ',')
            *name++ = *at++;
        while (name > start && isspace((unsigned char)name[-1]))
            name--;
    }
    *name = '\0';
    return *at == ',' || *at == '\0' ? at : NULL;
}

static bool has_number(const int *numbers, int count, int number)
{
    for (int i = 0; i < count; i++)
        if (numbers[i] == number)
            return true;
    return false;
}

/* `name`: room for any of the list's names; `numbers`: for all columns of the schema. */
static int read_names(const char *list, const struct schema *schema, char *name, int *numbers,
                      int *count, struct error *error)
{
    *count = 0;
    for (const char *at = list; at != NULL; at = *at == ',' ? at + 1 : NULL) {
        bool quoted;
        at = take_name(at, name, &quoted);
        if (at == NULL)
            return error_set(error, -EINVAL,
                             "columns: names are separated by commas, odd ones are in quotes");
        int number = number_named(schema, name, quoted);
        if (number < 0)
            return error_set(error, -EINVAL, "columns: there is no column \"%s\"", name);
        if (has_number(numbers, *count, number))
            return error_set(error, -EINVAL, "columns: \"%s\" is named twice", name);
        numbers[(*count)++] = number;
    }
    return 0;
}

int column_list_numbers(const char *list, const struct schema *schema, int **numbers, int *count,
                        struct error *error)
{
    char *name = malloc(strlen(list) + 1);
    int *found = malloc(((size_t)schema->column_count + 1) * sizeof *found), found_count = 0;
    int rc = name == NULL || found == NULL
                 ? error_set(error, -ENOMEM, "no memory for a list of columns")
                 : read_names(list, schema, name, found, &found_count, error);
    free(name);
    if (rc < 0) {
        free(found);
        return rc;
    }
    *numbers = found;
    *count = found_count;
    return 0;
}
