/* What both load programs share: the clock, an end with a message, JSON text, and heads of answers. */

#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000) /* nanoseconds */
#define SHOWN 600                   /* bytes of a body that are shown: enough to see what it is */
#define READ_SIZE (64 * 1024)       /* bytes of one recv: many times an answer or an event */
#define HEAD_MAX (16 * 1024)        /* bytes; servers refuse heads of requests that are as long */

/* Ends the program with one line that says why. */
__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    exit(2);
}

/* CLOCK_MONOTONIC in nanoseconds: the clock of Python's time.monotonic_ns(). */
static inline uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/* CPU seconds that this process has used. */
struct cpu {
    double user;
    double all; /* with the kernel's on its behalf */
};

static inline struct cpu cpu_used(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double user = (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec / 1e6;
    double system = (double)used.ru_stime.tv_sec + (double)used.ru_stime.tv_usec / 1e6;
    return (struct cpu){user, user + system};
}

static inline void *grown(void *memory, size_t bytes)
{
    void *larger = realloc(memory, bytes);
    if (!larger)
        die("no memory for %zu bytes", bytes);
    return larger;
}

static inline void *zeroed(size_t count, size_t bytes)
{
    void *memory = calloc(count, bytes);
    if (!memory)
        die("no memory for %zu times %zu bytes", count, bytes);
    return memory;
}

/* Prints a JSON string. Bytes above 127 go out as they are: whoever reads it replaces what is no
   UTF-8, such as a character that was cut in two. */
static inline void print_text(const char *text, size_t size)
{
    putchar('"');
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '"' || byte == '\\')
            printf("\\%c", byte);
        else if (byte < 0x20)
            printf("\\u%04x", byte);
        else
            putchar(byte);
    }
    putchar('"');
}

/* The place of a quantile in `count` sorted values, by nearest rank. `count` is 1 or more. */
static inline size_t place_of(double quantile, size_t count)
{
    double rank = quantile * (double)count;
    size_t below = (size_t)rank;
    return below && (double)below == rank ? below - 1 : below;
}

/* The number in the value of an option. */
static inline double number(const char *option, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0))
        die("%s must be a number, not '%s'", option, text);
    return value;
}

/* The whole number in the value of an option. */
static inline uint64_t whole(const char *option, const char *text)
{
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (end == text || *end || errno || text[0] == '-')
        die("%s must be a whole number, not '%s'", option, text);
    return value;
}

/* The address in "127.0.0.1:8000". */
static inline struct sockaddr_in address_in(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[INET_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host)
        die("--address must look like 127.0.0.1:8000, not '%s'", text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    uint64_t port = whole("the port of --address", colon + 1);
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1 || port > 65535)
        die("--address must look like 127.0.0.1:8000, not '%s'", text);
    address.sin_port = htons((uint16_t)port);
    return address;
}

/* Makes room for `count` descriptors: root may raise the hard limit too. */
static inline void reserve_descriptors(uint64_t count)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < count) {
        struct rlimit higher = {count, count};
        if (setrlimit(RLIMIT_NOFILE, &higher) == 0)
            return;
        die("%" PRIu64 " file descriptors are needed and the hard limit is %" PRIu64
            " (ulimit -Hn)",
            count, (uint64_t)limit.rlim_max);
    }
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* What the head of an answer says about what follows (RFC 9112, 6). */
struct head {
    int status;
    bool chunked;
    bool closes; /* the connection ends with this answer */
    bool has_length;
    uint64_t length;
};

static inline bool is_name(const char *name, size_t size, const char *wanted)
{
    return strlen(wanted) == size && strncasecmp(name, wanted, size) == 0;
}

static inline bool holds(const char *value, const char *end, const char *word)
{
    size_t size = strlen(word);
    for (; value + size <= end; value++)
        if (strncasecmp(value, word, size) == 0)
            return true;
    return false;
}

/* Reads a head; gives its size with the empty line, or 0 while that is missing. */
static inline size_t read_head(const char *text, size_t size, struct head *head)
{
    const char *end = memmem(text, size, "\r\n\r\n", 4);
    if (!end) {
        if (size > HEAD_MAX)
            die("a head of more than %d bytes", HEAD_MAX);
        return 0;
    }
    if (end - text < 12 || memcmp(text, "HTTP/1.", 7) != 0)
        die("not an answer in HTTP/1: '%.*s'", (int)(end - text), text);
    *head = (struct head){.status = atoi(text + 9), .closes = text[7] == '0'};
    const char *line = memchr(text, '\n', size);
    while (line < end) {
        line++;
        const char *next = memchr(line, '\n', (size_t)(end + 2 - line));
        const char *colon = memchr(line, ':', (size_t)(next - line));
        if (!colon)
            die("a header without a colon: '%.*s'", (int)(next - line), line);
        size_t name = (size_t)(colon - line);
        if (is_name(line, name, "content-length")) {
            head->has_length = true;
            head->length = strtoull(colon + 1, NULL, 10);
        } else if (is_name(line, name, "transfer-encoding")) {
            head->chunked = holds(colon, next, "chunked");
        } else if (is_name(line, name, "connection")) {
            head->closes = holds(colon, next, "close") ||
                           (head->closes && !holds(colon, next, "keep-alive"));
        }
        line = next;
    }
    return (size_t)(end + 4 - text);
}

/* The number at the start of a chunk; what follows a semicolon is not looked at. */
static inline uint64_t chunk_size(const char *line)
{
    if (!isxdigit((unsigned char)line[0])) /* or strtoull would skip the end of the line */
        die("a chunk without its size: '%.20s'", line);
    return strtoull(line, NULL, 16);
}

#endif
