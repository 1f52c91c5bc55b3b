/* .tsv: as COPY … (FORMAT csv, HEADER, DELIMITER E'\t') prints it. */
#include "codec/csv_text.h"
#include "codec/separated.h"

static const struct separated tabs = {'\t', tsv_text};

static int tsv_head(const struct format_view *view, struct buffer *out)
{
    return separated_head(&tabs, view->schema, out);
}

static int tsv_body(const struct schema *schema, const struct rowgroup *group, struct buffer *note,
                    struct buffer *out)
{
    (void)note;
    return separated_body(&tabs, schema, group, out);
}

const struct format format_tsv = {.name = "tsv",
                                  .number = 5,
                                  .parts = 1 << PART_TEXT,
                                  .last = '\n',
                                  .possible = separated_possible,
                                  .head = tsv_head,
                                  .body = tsv_body};
