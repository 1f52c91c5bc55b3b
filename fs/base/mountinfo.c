#include "fs/base/mountinfo.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The kernel writes a space, tab, newline or backslash as \NNN, octal. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *at = text; *at != '\0'; at++) {
        unsigned code;
        if (at[0] == '\\' && at[1] != '\0' && at[2] != '\0' && at[3] != '\0' &&
            sscanf(at + 1, "%3o", &code) == 1) {
            *to++ = (char)code;
            at += 3;
        } else {
            *to++ = *at;
        }
    }
    *to = '\0';
}

/* A line is ID PARENT DEVICE ROOT PATH OPTIONS [TAG...] - TYPE SOURCE OPTIONS. Cuts it into
 * pieces. */
static bool parse(char *line, char **device, char **path)
{
    char *fields[5], *rest = strstr(line, " - ");
    if (rest == NULL || (strncmp(rest + 3, "fuse ", 5) != 0 && strncmp(rest + 3, "fuse.", 5) != 0))
        return false;
    for (size_t i = 0; i < 5; i++)
        if ((fields[i] = strsep(&line, " ")) == NULL)
            return false;
    *device = fields[2];
    *path = fields[4];
    unescape(*path);
    return strlen(*device) < MOUNT_DEVICE && strcmp(fields[3], "/") == 0;
}

/* `device` NULL: any. The one found last goes to `out`, unless that is NULL. */
static int search(const char *table, const char *path, const char *device, char *out)
{
    FILE *file = fopen(table != NULL ? table : "/proc/self/mountinfo", "re");
    if (file == NULL)
        return -errno;
    char *line = NULL, *its_device, *its_path;
    size_t room = 0;
    int rc = -ENOENT;
    errno = 0;
    while (getline(&line, &room, file) > 0) {
        if (!parse(line, &its_device, &its_path) || strcmp(its_path, path) != 0 ||
            (device != NULL && strcmp(its_device, device) != 0))
            continue;
        rc = 0;
        if (out != NULL)
            strcpy(out, its_device);
    }
    if (!feof(file)) /* or there is no memory for a line */
        rc = errno != 0 ? -errno : -EIO;
    free(line);
    fclose(file);
    return rc;
}

int mountinfo_device(const char *table, const char *path, char out[MOUNT_DEVICE])
{
    return search(table, path, NULL, out);
}

int mountinfo_find(const char *table, const char *path, const char *device)
{
    return search(table, path, device, NULL);
}
