/* .csv: as COPY … (FORMAT csv, HEADER) prints it. */
#include "codec/csv_text.h"
#include "codec/separated.h"

static const struct separated commas = {',', csv_text};

static int csv_head(const struct format_view *view, struct buffer *out)
{
    return separated_head(&commas, view->schema, out);
}

static int csv_body(const struct schema *schema, const struct rowgroup *group, struct buffer *note,
                    struct buffer *out)
{
    (void)note;
    return separated_body(&commas, schema, group, out);
}

const struct format format_csv = {.name = "csv",
                                  .number = 0,
                                  .parts = 1 << PART_TEXT,
                                  .last = '\n',
                                  .possible = separated_possible,
                                  .head = csv_head,
                                  .body = csv_body};
