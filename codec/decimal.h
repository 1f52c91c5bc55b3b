/* Numbers in decimal notation as float32, rounded to the nearest as strtof does in the C locale.
 * Pure. */
#ifndef CODEC_DECIMAL_H
#define CODEC_DECIMAL_H

/* The number at `at`; returns its end, NULL: there is none. Also "nan" and "inf", and what is too
 * large becomes infinite: the caller looks. Reads nothing from `end` on. */
const char *decimal_float(const char *at, const char *end, float *out);

#endif
