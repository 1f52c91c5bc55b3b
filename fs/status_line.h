/* What `pgvecfs --status` prints, piece by piece: sizes, times, names, and the line of a job with
 * its progress bar. Pure; text is UTF-8, and its width is counted in a terminal's columns, under
 * the locale that the caller has set. */
#ifndef FS_STATUS_LINE_H
#define FS_STATUS_LINE_H

#include "codec/text.h"

#include <stdbool.h>

struct status_job {
    const char *schema, *name; /* as SQL has them */
    const char *what, *stage;  /* as status.json has them */
    uint64_t rows, bytes;
    double percent, seconds, seconds_left; /* negative: unknown */
    struct {
        const char *relation, *application; /* NULL: it waits for no lock; else "" if unknown */
        int pid;                            /* 0: unknown */
    } lock;
};

enum { STATUS_TEXT = 32 };
char *status_size(uint64_t bytes, char out[STATUS_TEXT]); /* 1.5 MiB */
char *status_count(uint64_t n, char out[STATUS_TEXT]);    /* 1,234,567 */
char *status_time(double seconds, char out[STATUS_TEXT]); /* 3 min 20 s */

/* Columns that the text takes. */
size_t status_columns(const char *text, size_t size);

/* Appends the text, cut to at most so many columns (then it ends in …), filled up to them with
 * spaces if `pad`. What would move the cursor becomes `?`. */
void status_put(struct text *out, const char *text, size_t columns, bool pad);

/* Appends schema.name, escaped as the mount's paths are. */
void status_put_name(struct text *out, const char *schema, const char *name);

/* Appends one line without its end, at most `columns` wide, with a bar if there is room; `columns`
 * 0: as wide as it gets, without a bar. If the progress of the stage is unknown, a block in the bar
 * moves with `frame`. */
void status_put_job(struct text *out, const struct status_job *job, size_t columns, unsigned frame);

#endif
