/* Runs a fuzz target over files, and over all files of directories (not of theirs), instead of a
 * fuzzer's inputs. */
#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replayed;

static int replay_file(const char *path)
{
    uint8_t *data = NULL;
    FILE *file = fopen(path, "rb");
    struct stat st;
    int rc = -1;
    if (file == NULL || fstat(fileno(file), &st) != 0)
        goto out;
    /* A block of exactly the input's size, so that a sanitizer sees any read behind it. */
    size_t size = (size_t)st.st_size;
    data = malloc(size > 0 ? size : 1);
    if (data == NULL || fread(data, 1, size, file) != size)
        goto out;
    LLVMFuzzerTestOneInput(data, size);
    replayed++;
    rc = 0;
out:
    if (rc != 0)
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
    if (file != NULL)
        fclose(file);
    free(data);
    return rc;
}

static int replay_directory(const char *path, DIR *directory)
{
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(directory)) != NULL;) {
        char file[4096];
        struct stat st;
        int n = snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (n < 0 || (size_t)n >= sizeof file)
            rc = -1;
        else if (stat(file, &st) == 0 && S_ISREG(st.st_mode))
            rc = replay_file(file);
    }
    return rc;
}

static int replay(const char *path)
{
    DIR *directory = opendir(path);
    int rc = directory != NULL ? replay_directory(path, directory) : replay_file(path);
    if (directory != NULL)
        closedir(directory);
    return rc;
}

int main(int argc, char **argv)
{
    int rc = argc > 1 ? 0 : replay(CORPUS);
    for (int i = 1; rc == 0 && i < argc; i++)
        rc = replay(argv[i]);
    printf("replayed %zu inputs\n", replayed);
    return rc == 0 && replayed > 0 ? 0 : 1;
}
