/* How much memory a program needs at most: peak FILE PROGRAM ARGUMENTS ... writes into FILE, in KiB, the largest of what it and the
 * programs that it starts had in memory, and ends as it did.
 *
 * ru_maxrss of getrusage(2) would do, if it did not begin with what the process had before execve(2). So each process is stopped
 * when it has ended but still has its memory, and proc(5) is read: VmHWM belongs to the image alone. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static long high_water(pid_t pid)
{
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    FILE *status = fopen(path, "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    if (status != NULL)
        fclose(status);
    return kib;
}

int main(int argc, char **argv)
{
    const long options = PTRACE_O_EXITKILL | PTRACE_O_TRACEEXIT | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                         PTRACE_O_TRACECLONE;
    if (argc < 3) {
        fputs("usage: peak FILE PROGRAM ARGUMENTS ...\n", stderr);
        return 75;
    }
    FILE *to = fopen(argv[1], "w");
    pid_t first = to == NULL ? -1 : fork();
    if (first == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
            _exit(75);
        raise(SIGSTOP);
        execvp(argv[2], argv + 2);
        _exit(75);
    }
    int status, ended = 75;
    if (first < 0 || waitpid(first, &status, 0) < 0 || !WIFSTOPPED(status) || ptrace(PTRACE_SETOPTIONS, first, 0, options) < 0) {
        perror("peak: cannot trace");
        return 75;
    }
    /* What the first process has until its execve(2) is ours. */
    long most = 0;
    int begun = 0;
    ptrace(PTRACE_CONT, first, 0, 0);
    for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0;) {
        long pass = 0;
        if (!WIFSTOPPED(status)) {
            if (pid == first)
                ended = WIFEXITED(status) ? WEXITSTATUS(status) : 75;
            continue;
        }
        int event = status >> 16;
        if (event == PTRACE_EVENT_EXEC)
            begun = 1;
        else if (event == PTRACE_EVENT_EXIT && begun) {
            long kib = high_water(pid);
            most = kib > most ? kib : most;
        } else if (event == 0 && WSTOPSIG(status) != SIGSTOP)
            pass = WSTOPSIG(status);
        ptrace(PTRACE_CONT, pid, 0, pass);
    }
    fprintf(to, "%ld\n", most);
    return fclose(to) == 0 ? ended : 75;
}
