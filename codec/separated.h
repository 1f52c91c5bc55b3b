/* Rows as lines of values with one byte between them, as COPY … (FORMAT csv, HEADER, DELIMITER …)
 * prints them. NULL is nothing; a value is quoted iff it is empty, holds the delimiter, a quote or
 * line break, or is \. alone in its row; a quote is doubled. The header follows the same rule.
 *
 * Threads, errors: those of formats (format.h).
 */
#ifndef CODEC_SEPARATED_H
#define CODEC_SEPARATED_H

#include "codec/format.h"

struct separated {
    uint8_t delimiter;
    write_value *quoted; /* a text, quoted where this delimiter wants it (csv_text.h) */
};

bool separated_possible(const struct schema *schema);
MUST_CHECK int separated_head(const struct separated *how, const struct schema *schema,
                              struct buffer *out);
MUST_CHECK int separated_body(const struct separated *how, const struct schema *schema,
                              const struct rowgroup *group, struct buffer *out);

#endif
