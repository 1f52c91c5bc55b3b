#include "codec/format.h"

const struct format *const formats[FORMAT_COUNT] = {
    &format_csv,     &format_bin,     &format_jsonl,   &format_tsv,      &format_arrow,
    &format_parquet, &format_csv_gz,  &format_csv_zst, &format_jsonl_gz, &format_jsonl_zst,
    &format_bin_gz,  &format_bin_zst, &format_tsv_gz,  &format_tsv_zst};

int format_find(const char *name, size_t size)
{
    for (int i = 0; i < FORMAT_COUNT; i++)
        if (strlen(formats[i]->name) == size && memcmp(formats[i]->name, name, size) == 0)
            return i;
    return -1;
}

int format_of_file(const char *name, size_t *stem)
{
    for (const char *dot = strchr(name, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
        int place = dot > name ? format_find(dot + 1, strlen(dot + 1)) : -1;
        if (place < 0)
            continue;
        *stem = (size_t)(dot - name);
        return place;
    }
    return -1;
}

const char *format_encoder(const struct format *format)
{
    return format->encoder != NULL ? format->encoder() : "";
}
