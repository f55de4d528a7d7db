/* The least that a client of an LMTP server has to do, to measure others by: reads the message, speaks RFC 2033 and waits for each answer. It
 * judges nothing, notes nothing for the next try of a run that is killed, and takes every answer that is not 2xx or 3xx for the end.
 *
 * minimal_lmtp SOCKET SENDER < message; ends with 0, or with 75. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int server;

static void fail(const char *what)
{
    fprintf(stderr, "minimal_lmtp: cannot %s\n", what);
    exit(75);
}

static void send_all(const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t sent = write(server, bytes, count);
        if (sent <= 0)
            fail("send");
        bytes += sent;
        count -= sent;
    }
}

static void ask(const char *command)
{
    static char answer[8192];
    size_t count = 0;
    send_all(command, strlen(command));
    for (;;) {
        ssize_t got = read(server, answer + count, sizeof answer - 1 - count);
        if (got <= 0)
            fail("read an answer");
        count += got;
        answer[count] = 0;
        if (answer[count - 1] != '\n')
            continue;
        const char *line = answer + count - 1;
        while (line > answer && line[-1] != '\n')
            line--;
        if (strlen(line) > 3 && line[3] == ' ') {
            if (*line != '2' && *line != '3')
                fail(line);
            return;
        }
    }
}

int main(int count, char **words)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char command[512];
    static char in[65536], out[2 * sizeof in];
    int at_start = 1;
    ssize_t got;
    if (count != 3 || strlen(words[1]) >= sizeof address.sun_path)
        fail("understand the command line");
    strcpy(address.sun_path, words[1]);
    server = socket(AF_UNIX, SOCK_STREAM, 0);
    if (server < 0 || connect(server, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connect");
    ask("");
    ask("LHLO a.test\r\n");
    snprintf(command, sizeof command, "MAIL FROM:<%s>\r\n", words[2]);
    ask(command);
    ask("RCPT TO:<a@a.test>\r\n");
    ask("DATA\r\n");
    while ((got = read(0, in, sizeof in)) > 0) {
        size_t filled = 0;
        for (ssize_t at = 0; at < got; at++) {
            if (at_start && in[at] == '.')
                out[filled++] = '.';
            at_start = in[at] == '\n';
            if (at_start)
                out[filled++] = '\r';
            out[filled++] = in[at];
        }
        send_all(out, filled);
    }
    ask(at_start ? ".\r\n" : "\r\n.\r\n");
    send_all("QUIT\r\n", 6);
    return 0;
}
