#include "codec/error.h"

#include "codec/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* If the sentence was cut in the middle of a UTF-8 character, it loses the character's beginning,
 * too. */
static void drop_torn_character(char *text, size_t capacity, int wanted)
{
    if (wanted >= 0 && (size_t)wanted >= capacity)
        utf8_trim(text);
}

int error_set(struct error *error, int code, const char *format, ...)
{
    if (error != NULL) {
        va_list args;
        va_start(args, format);
        int wanted = vsnprintf(error->text, sizeof error->text, format, args);
        va_end(args);
        drop_torn_character(error->text, sizeof error->text, wanted);
    }
    return code;
}

int error_no_memory(struct error *error) { return error_set(error, -ENOMEM, "out of memory"); }

void error_prefix(struct error *error, const char *format, ...)
{
    if (error == NULL)
        return;
    char said[sizeof error->text], context[256];
    memcpy(said, error->text, sizeof said);
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(context, sizeof context, format, args);
    va_end(args);
    drop_torn_character(context, sizeof context, wanted);
    wanted = snprintf(error->text, sizeof error->text, "%s: %s", context, said);
    drop_torn_character(error->text, sizeof error->text, wanted);
}
