/* date, timestamp and timestamptz, in UTC and DateStyle ISO; value.h has the contract of render and
 * write functions. In JSON they are XSD strings: a T between day and time, +00:00 for +00. */
#ifndef CODEC_DATETIME_TEXT_H
#define CODEC_DATETIME_TEXT_H

#include "codec/value.h"

render_value date_render;
render_value timestamp_render;
render_value timestamptz_render;

write_value date_write, date_write_json;
write_value timestamp_write, timestamp_write_json;
write_value timestamptz_write, timestamptz_write_json;

#endif
