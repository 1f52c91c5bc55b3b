#include "fs/status_line.h"

#include "fs/base/name.h"

#include <inttypes.h>
#include <stdio.h>
#include <wchar.h>

/* ---- numbers ---- */

char *status_size(uint64_t bytes, char out[STATUS_TEXT])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1023.5; unit++)
        value /= 1024;
    snprintf(out, STATUS_TEXT, "%.*f %s", unit > 0 && value < 9.95 ? 1 : 0, value, units[unit]);
    return out;
}

char *status_count(uint64_t n, char out[STATUS_TEXT])
{
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%" PRIu64, n);
    char *at = out;
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            *at++ = ',';
        *at++ = digits[i];
    }
    *at = '\0';
    return out;
}

char *status_time(double seconds, char out[STATUS_TEXT])
{
    enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };
    const double longest = 1e6 * DAY;
    double least = seconds > 0 ? seconds : 0;
    long long s = (long long)((least < longest ? least : longest) + 0.5);
    if (s < MINUTE)
        snprintf(out, STATUS_TEXT, "%lld s", s);
    else if (s < HOUR)
        snprintf(out, STATUS_TEXT, "%lld min %lld s", s / MINUTE, s % MINUTE);
    else if (s < DAY)
        snprintf(out, STATUS_TEXT, "%lld h %lld min", s / HOUR, s % HOUR / MINUTE);
    else
        snprintf(out, STATUS_TEXT, "%lld d %lld h", s / DAY, s % DAY / HOUR);
    return out;
}

/* ---- text of a width ---- */

/* The next character and its columns; -1: it is no character, or would move the cursor. */
static size_t next_character(const char *at, size_t size, int *columns)
{
    wchar_t wide;
    mbstate_t state = {0};
    size_t n = mbrtowc(&wide, at, size, &state);
    if (n == 0 || n > size) {
        *columns = -1;
        return 1;
    }
    *columns = wcwidth(wide);
    return n;
}

size_t status_columns(const char *text, size_t size)
{
    size_t sum = 0;
    for (size_t i = 0; i < size;) {
        int columns;
        i += next_character(text + i, size - i, &columns);
        sum += columns < 0 ? 1 : (size_t)columns;
    }
    return sum;
}

void status_put(struct text *out, const char *text, size_t columns, bool pad)
{
    size_t size = strlen(text), used = 0;
    bool whole = status_columns(text, size) <= columns;
    size_t room = whole || columns == 0 ? columns : columns - 1;
    for (size_t i = 0; i < size;) {
        int wide;
        size_t n = next_character(text + i, size - i, &wide);
        size_t takes = wide < 0 ? 1 : (size_t)wide;
        if (used + takes > room)
            break;
        text_put_bytes(out, wide < 0 ? "?" : text + i, wide < 0 ? 1 : n);
        used += takes;
        i += n;
    }
    if (!whole && columns > 0) {
        text_put(out, "…");
        used++;
    }
    for (; pad && used < columns; used++)
        text_put_byte(out, ' ');
}

void status_put_name(struct text *out, const char *schema, const char *name)
{
    text_fail(out, name_encode(schema, &out->bytes));
    text_put_byte(out, '.');
    text_fail(out, name_encode(name, &out->bytes));
}

/* ---- a job ---- */

/* Whole per cents that have been reached: 100 is shown at the end only. */
static int whole_percent(double percent) { return percent < 100 ? (int)percent : 100; }

/* What stands on both sides of the bar. It depends on the width alone, so that bars do not move. */
struct layout {
    size_t name, bar; /* columns; bar 0: none */
    bool stage, rows, bytes, time;
};

enum {
    NARROW = 40,
    WITH_TIME = 60,
    WITH_BYTES = 70,
    WITH_ROWS = 100,
    NAME_LEAST = 10,
    NAME_MOST = 32,
    BAR_MOST = 30,
    STAGE_COLUMNS = 9,
    PERCENT_COLUMNS = 5,
    /* with the two spaces in front */
    ROWS_COLUMNS = 20,
    BYTES_COLUMNS = 10,
    TIME_COLUMNS = 18
};

static struct layout layout_of(size_t columns)
{
    struct layout layout = {.stage = columns >= NARROW,
                            .rows = columns >= WITH_ROWS,
                            .bytes = columns >= WITH_BYTES,
                            .time = columns >= WITH_TIME};
    if (!layout.stage) {
        layout.name = columns > PERCENT_COLUMNS + 2 ? columns - PERCENT_COLUMNS - 2 : columns;
        return layout;
    }
    layout.name = columns / 5;
    layout.name = layout.name < NAME_LEAST  ? NAME_LEAST
                  : layout.name > NAME_MOST ? NAME_MOST
                                            : layout.name;
    size_t others = layout.name + 2 + STAGE_COLUMNS + 2 + 2 + 1 + PERCENT_COLUMNS +
                    (layout.rows ? ROWS_COLUMNS : 0) + (layout.bytes ? BYTES_COLUMNS : 0) +
                    (layout.time ? TIME_COLUMNS : 0);
    size_t bar = columns > others ? columns - others : 0;
    layout.bar = bar > BAR_MOST ? BAR_MOST : bar;
    return layout;
}

static void put_bar(struct text *out, double percent, size_t columns, unsigned frame)
{
    enum { BLOCK = 3 };
    size_t from = 0, to = (size_t)(percent / 100 * (double)columns);
    if (percent < 0) { /* the block goes there and back */
        size_t way = columns > BLOCK ? columns - BLOCK : 0;
        size_t at = way > 0 ? frame % (2 * way) : 0;
        from = at <= way ? at : 2 * way - at;
        to = from + BLOCK;
    }
    text_put_byte(out, '[');
    for (size_t i = 0; i < columns; i++)
        text_put_byte(out, i >= from && i < to ? '#' : percent < 0 ? ' ' : '-');
    text_put_byte(out, ']');
}

static void put_percent(struct text *out, double percent)
{
    if (percent < 0)
        text_put(out, "     ");
    else
        text_printf(out, "%3d %%", whole_percent(percent));
}

static void put_time(struct text *out, const struct status_job *job)
{
    char text[STATUS_TEXT];
    if (job->seconds_left >= 0)
        text_printf(out, "  %s left", status_time(job->seconds_left, text));
    else
        text_printf(out, "  %s so far", status_time(job->seconds, text));
}

static void put_tail(struct text *out, const struct status_job *job, const struct layout *layout)
{
    char text[STATUS_TEXT];
    if (layout->rows && job->rows > 0)
        text_printf(out, "  %s rows", status_count(job->rows, text));
    if (layout->bytes && job->bytes > 0)
        text_printf(out, "  %s", status_size(job->bytes, text));
    if (layout->time)
        put_time(out, job);
}

static void put_wide(struct text *out, const struct status_job *job, const char *name)
{
    const struct layout all = {.rows = true, .bytes = true, .time = true};
    status_put(out, name, strlen(name), false);
    text_printf(out, "  %s", job->stage);
    if (job->percent >= 0)
        text_printf(out, "  %d %%", whole_percent(job->percent));
    put_tail(out, job, &all);
}

static void put_columns(struct text *out, const struct status_job *job, const char *name,
                        size_t columns, unsigned frame)
{
    const struct layout layout = layout_of(columns);
    status_put(out, name, layout.name, true);
    text_put(out, "  ");
    if (layout.stage) {
        status_put(out, job->stage, STAGE_COLUMNS, true);
        text_put(out, "  ");
    }
    if (layout.bar > 0) {
        put_bar(out, job->percent, layout.bar, frame);
        text_put_byte(out, ' ');
    }
    put_percent(out, job->percent);
    put_tail(out, job, &layout);
}

/* A job that waits for a lock: its line says only which client has the lock. */
static void put_lock(struct text *out, const struct status_job *job, const char *name)
{
    const char *application = job->lock.application;
    char text[STATUS_TEXT];
    status_put(out, name, strlen(name), false);
    text_put(out, "  waits for a lock");
    if (job->lock.relation[0] != '\0')
        text_printf(out, " on %s", job->lock.relation);
    if (job->lock.pid != 0)
        text_printf(out, " of pid %d", job->lock.pid);
    if (application[0] != '\0')
        text_printf(out, job->lock.pid != 0 ? " (%s)" : " of %s", application);
    text_printf(out, "  %s so far", status_time(job->seconds, text));
}

/* Puts the relation that the job is for. */
static void put_subject(struct text *out, const struct status_job *job)
{
    status_put_name(out, job->schema, job->name);
    if (strcmp(job->what, "rows") != 0)
        text_printf(out, " (%s)", job->what);
}

void status_put_job(struct text *out, const struct status_job *job, size_t columns, unsigned frame)
{
    struct text subject = {0}, line = {0};
    put_subject(&subject, job);
    const char *name = text_string(&subject);
    if (name == NULL)
        text_fail(&line, subject.failed);
    else if (job->lock.relation != NULL)
        put_lock(&line, job, name);
    else if (columns == 0)
        put_wide(&line, job, name);
    else
        put_columns(&line, job, name, columns, frame);
    /* Cut the line: rows or bytes may have more digits than there is room for. */
    const char *text = text_string(&line);
    text_fail(out, line.failed);
    if (text != NULL)
        status_put(out, text, columns == 0 ? line.bytes.size : columns, false);
    text_clear(&subject);
    text_clear(&line);
}
