/* Small records for the cache's files: little-endian numbers and counted strings, one behind
 * another.
 *
 * Writing appends to a struct text, which remembers its first error. Reading never passes the end:
 * the first read that would, or that finds what cannot be, sets `bad`, and every later read returns
 * 0 or NULL. So a caller reads a whole record and looks at `bad` once, at the end.
 */
#ifndef CODEC_RECORD_H
#define CODEC_RECORD_H

#include "codec/text.h"

#include <stdbool.h>

void record_put_u8(struct text *out, uint8_t value);
void record_put_u32(struct text *out, uint32_t value);
void record_put_u64(struct text *out, uint64_t value);
void record_put_string(struct text *out, const char *text); /* u32 length, bytes */
/* The same of any bytes. */
void record_put_bytes(struct text *out, const void *bytes, size_t size);

struct record_reader {
    const uint8_t *at, *end;
    bool bad;
};

uint8_t record_get_u8(struct record_reader *in);
uint32_t record_get_u32(struct record_reader *in);
uint64_t record_get_u64(struct record_reader *in);

/* A number of at most `most`; a larger one is bad. */
uint32_t record_get_u32_to(struct record_reader *in, uint32_t most);
uint64_t record_get_u64_to(struct record_reader *in, uint64_t most);

/* Times, in seconds or microseconds since 1970. One that lies further ahead of the clock than any
 * wrong clock may have been is bad: so what is made later than a time that was read, a second or a
 * microsecond behind it, can be read again, as the clock goes on, too. None is later than the year
 * 9999. */
#define RECORD_SECONDS_AHEAD (INT64_C(100) * 366 * 86400)
#define RECORD_SECONDS_MOST INT64_C(253402300799)
#define RECORD_MICROSECONDS_MOST (RECORD_SECONDS_MOST * 1000000)
int64_t record_seconds_most(void); /* the latest that is read now */
int64_t record_get_seconds(struct record_reader *in);
int64_t record_get_microseconds(struct record_reader *in);

/* A terminated copy from malloc. NULL, and bad: the record ends, the string has a NUL byte in it,
 * or memory is short. */
char *record_get_string(struct record_reader *in);

/* Where they lie in the record; NULL (and *size 0): bad. */
const uint8_t *record_get_bytes(struct record_reader *in, size_t *size);

#endif
