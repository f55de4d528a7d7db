/* The least that a delivery to a Maildir has to do, to measure others by: reads the message into memory, writes it to tmp/ under a name of its
 * own with its sizes on disk and with CRLF, syncs, names it in new/ without replacing anything, syncs new/. It judges nothing, knows no
 * quota, and notes nothing for the next try of a run that is killed.
 *
 * minimal_maildir MAILDIR SENDER < message; ends with 0, or with 75. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static char tmp[PATH_MAX];
static int written;

static void fail(const char *what)
{
    fprintf(stderr, "minimal_maildir: cannot %s: %s\n", what, strerror(errno));
    if (written)
        unlink(tmp);
    exit(75);
}

static char *slurp(size_t *bytes)
{
    size_t room = 64 << 10;
    char *text = malloc(room);
    *bytes = 0;
    for (;;) {
        if (text == NULL)
            fail("keep the message");
        ssize_t got = read(0, text + *bytes, room - *bytes);
        if (got < 0)
            fail("read the message");
        if (got == 0)
            return text;
        *bytes += (size_t)got;
        if (*bytes == room)
            text = realloc(text, room *= 2);
    }
}

int main(int argc, char **argv)
{
    char host[256], name[512], new[PATH_MAX], place[PATH_MAX];
    size_t bytes, crlf;
    struct timeval now;
    if (argc != 3 || strlen(argv[1]) > PATH_MAX - 600) {
        fputs("usage: minimal_maildir MAILDIR SENDER\n", stderr);
        return 75;
    }
    char *text = slurp(&bytes);
    crlf = bytes;
    for (char *at = text; (at = memchr(at, '\n', bytes - (size_t)(at - text))) != NULL; at++)
        crlf += at == text || at[-1] != '\r';
    gethostname(host, sizeof host);
    gettimeofday(&now, NULL);
    snprintf(name, sizeof name, "%ld.M%ldP%ld.%s", (long)now.tv_sec, (long)now.tv_usec, (long)getpid(), host);
    snprintf(tmp, sizeof tmp, "%s/tmp/%s", argv[1], name);
    snprintf(new, sizeof new, "%s/new", argv[1]);
    snprintf(place, sizeof place, "%s/%s,S=%zu,W=%zu", new, name, bytes, crlf);

    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        fail("make a file in tmp");
    written = 1;
    for (size_t at = 0; at < bytes;) {
        ssize_t wrote = write(fd, text + at, bytes - at);
        if (wrote < 0)
            fail("write the message");
        at += (size_t)wrote;
    }
    if (fsync(fd) < 0)
        fail("sync the message");
    close(fd);
    if (renameat2(AT_FDCWD, tmp, AT_FDCWD, place, RENAME_NOREPLACE) < 0)
        fail("name the message");
    written = 0;
    int dir = open(new, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || fsync(dir) < 0)
        fail("sync new");
    close(dir);
    return 0;
}
