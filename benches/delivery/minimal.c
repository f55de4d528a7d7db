/* The least that a delivery to an mbox has to do, to measure others by: reads the message into memory, takes the dotlock, then the
 * fcntl lock, waits for neither while it holds the other, looks again that the path is the file that it locked, appends separator
 * line, message and empty line, syncs. It judges, quotes and mends nothing.
 *
 * minimal MAILBOX SENDER < message; ends with 0, or with 75. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static char lock[PATH_MAX], own[PATH_MAX];
static int holds;

static void fail(const char *what)
{
    fprintf(stderr, "minimal: cannot %s: %s\n", what, strerror(errno));
    if (holds)
        unlink(lock);
    exit(75);
}

/* Takes the dotlock: link(2) is what decides. */
static int dotlock(void)
{
    int fd = open(own, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        fail("make a dotlock");
    dprintf(fd, "%ld\n", (long)getpid());
    close(fd);
    holds = link(own, lock) == 0;
    int error = errno;
    unlink(own);
    errno = error;
    if (!holds && errno != EEXIST)
        fail("take the dotlock");
    return holds;
}

static int same(int fd, const char *path)
{
    struct stat opened, named;
    if (fstat(fd, &opened) < 0 || lstat(path, &named) < 0)
        return 0;
    return S_ISREG(named.st_mode) && named.st_nlink == 1 && opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/* All locks or none. */
static int attempt(const char *mailbox)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (!dotlock())
        return -1;
    int fd = open(mailbox, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        fail("open the mailbox");
    if (fcntl(fd, F_SETLK, &whole) == 0 && same(fd, mailbox))
        return fd;
    close(fd);
    unlink(lock);
    holds = 0;
    return -1;
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
    char from[512], date[32];
    size_t bytes;
    if (argc != 3 || strlen(argv[1]) > PATH_MAX - 32) {
        fputs("usage: minimal MAILBOX SENDER\n", stderr);
        return 75;
    }
    const char *mailbox = argv[1];
    char *text = slurp(&bytes);
    snprintf(lock, sizeof lock, "%s.lock", mailbox);
    snprintf(own, sizeof own, "%s.%ld", mailbox, (long)getpid());

    int fd;
    struct timespec pause = {.tv_nsec = 2000000};
    while ((fd = attempt(mailbox)) < 0) {
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < 32000000)
            pause.tv_nsec *= 2;
    }

    time_t now = time(NULL);
    struct tm utc;
    strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", gmtime_r(&now, &utc));
    int length = snprintf(from, sizeof from, "From %s %s\n", argv[2], date);
    struct iovec parts[] = {{from, (size_t)length}, {text, bytes}, {"\n", 1}};
    off_t before = lseek(fd, 0, SEEK_END);
    size_t left = (size_t)length + bytes + 1;
    for (struct iovec *part = parts; left > 0;) {
        ssize_t wrote = writev(fd, part, (int)(parts + 3 - part));
        if (wrote < 0) {
            if (ftruncate(fd, before) < 0)
                perror("minimal: cannot cut the mailbox back");
            fail("append");
        }
        left -= (size_t)wrote;
        while (part < parts + 3 && (size_t)wrote >= part->iov_len)
            wrote -= (ssize_t)(part++)->iov_len;
        if (part < parts + 3) {
            part->iov_base = (char *)part->iov_base + wrote;
            part->iov_len -= (size_t)wrote;
        }
    }
    if (fdatasync(fd) < 0)
        fail("sync");
    close(fd);
    unlink(lock);
    return 0;
}
