/* A struct in Thrift's compact protocol (thrift-compact-protocol.md of Apache Thrift), which is how
 * Parquet writes its footer and the heads of its pages. Only writing, and only what those need.
 *
 *   struct   its fields in the order of their ids | u8 0
 *   field    u8 (id - the id before) << 4 | type | value, or, if the difference is above 15,
 *            u8 type | zigzag id | value
 *   list     u8 count << 4 | type of the elements, or, if there are 15 or more, u8 0xF0 | type |
 *            varint count; then the elements
 *   number   i8 is a byte; i32 and i64 are varints of the zigzag number (0, -1, 1, -2, …)
 *   bool     no value: the type says which
 *   bytes    varint size | the bytes; text, too
 *   varint   seven bits a byte, the lowest first; the highest bit is set if more follow
 *
 * It remembers its first error: its maker asks once, at the end.
 *
 * Lifetime: thrift_open … thrift_close; it borrows the buffer, to which it appends.
 * Threads: none; one owner.
 * Errors: -ENOMEM; -EINVAL: fields out of order, or more than THRIFT_DEPTH_MOST structs open.
 */
#ifndef CODEC_THRIFT_COMPACT_H
#define CODEC_THRIFT_COMPACT_H

#include "codec/buffer.h"

#include <stdbool.h>

enum thrift_type {
    THRIFT_TRUE = 1,
    THRIFT_FALSE = 2,
    THRIFT_I8 = 3,
    THRIFT_I32 = 5,
    THRIFT_I64 = 6,
    THRIFT_BYTES = 8,
    THRIFT_LIST = 9,
    THRIFT_STRUCT = 12
};

enum { THRIFT_DEPTH_MOST = 8 };

struct thrift {
    struct buffer *out;
    int failed;                  /* 0, or the first error */
    int depth;                   /* how many structs are open */
    int last[THRIFT_DEPTH_MOST]; /* the id of the last field of each */
};

/* Begins the outermost struct. */
void thrift_open(struct thrift *thrift, struct buffer *out);
/* Ends it: 0, or the first error. */
MUST_CHECK int thrift_close(struct thrift *thrift);

void thrift_bool(struct thrift *thrift, int id, bool value);
void thrift_i8(struct thrift *thrift, int id, int8_t value);
void thrift_i32(struct thrift *thrift, int id, int32_t value);
void thrift_i64(struct thrift *thrift, int id, int64_t value);
void thrift_text(struct thrift *thrift, int id, const char *text);

/* A field that is a struct, whose fields follow until thrift_close_struct. */
void thrift_open_struct(struct thrift *thrift, int id);
void thrift_close_struct(struct thrift *thrift);

/* A field that is a list; as many elements follow. */
void thrift_list(struct thrift *thrift, int id, enum thrift_type element, size_t count);
void thrift_element_i32(struct thrift *thrift, int32_t value);
void thrift_element_text(struct thrift *thrift, const char *text);
void thrift_open_element(struct thrift *thrift); /* a struct, until thrift_close_struct */

/* A varint by itself. */
enum { VARINT_BYTES_MOST = 10 };
MUST_CHECK int varint_put(struct buffer *out, uint64_t value);

#endif
