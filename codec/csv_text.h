/* A text as a value of CSV (separated.h has the rule), with commas or with tabs between the values,
 * quoted if it must be; value.h has the contract of write functions. A NUL byte, which no text
 * holds, is refused. */
#ifndef CODEC_CSV_TEXT_H
#define CODEC_CSV_TEXT_H

#include "codec/value.h"

write_value csv_text, tsv_text;

#endif
