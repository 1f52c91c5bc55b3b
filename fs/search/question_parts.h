/* What question.c and question_json.c share. */
#ifndef FS_SEARCH_QUESTION_PARTS_H
#define FS_SEARCH_QUESTION_PARTS_H

#include "fs/search/question.h"

/* The values, by their places in question_fields; the key is not one of a session's. */
enum { COLUMN, METRIC, K, RECALL, EF_SEARCH, FILTER, MODE, COLUMNS, VECTOR, KEY };

/* Sets the key. `there`: it is set even if its text is empty. */
MUST_CHECK int question_set_key(struct question *question, const char *bytes, size_t size,
                                bool there, struct error *error);

/* Keeps the bytes, whatever they are: the vector's own parser looks at them later. */
MUST_CHECK int question_keep_vector(struct question *question, const uint8_t *bytes, size_t size,
                                    bool batch, struct error *error);

/* Whether all bytes are printable or blanks, as those of vectors' text are. */
bool question_is_text(const uint8_t *bytes, size_t size);

/* Skips bytes that are all among `these`; gives their end. */
const char *question_skip(const char *at, const char *end, const char *these);

#endif
