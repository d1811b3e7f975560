/* Opens Server-Sent-Events streams and says, for each frame, when how many of them had read it whole.

   Two lists go to stdout, a line of JSON each: what is asked for on stdin (`stats`, `close`) and what
   happens (`opened`, then a `frame` as soon as all have read it, or when nobody
   else did for the seconds of --overdue, 5 unless told). Times
   are those of CLOCK_MONOTONIC, taken after each recv, so that they compare with the times of
   another process on this machine.

   Events are read as WHATWG HTML, 9.2.6, has it, but for lines that end in a bare CR, which nobody
   sends. An event is known by its id, or by its data if it has none. */

#include "load.h"

#include <getopt.h>
#include <sys/epoll.h>

#define PER_ADDRESS 4000             /* streams from one source address: the kernel looks longer for a
                                        free port the more of the 28,000 are taken */
#define OPENING 256                  /* on the way at once: fewer than any server's backlog */
#define STALLED_WINDOW 4096          /* bytes: what a reader who does not read still takes in */
#define EVENTS 512                   /* sockets looked at between two epoll_wait */
#define FRAMES_KEPT 4096             /* that not all streams have read yet: 80 s at 50 a second */
#define SAMPLES 100                  /* arrivals that stand for all, so that frames can be put together */
#define LOOK_MS 250                  /* between two looks for frames that are overdue */
#define EVENT_MAX (1024 * 1024)      /* bytes */
#define COMMANDS UINT32_MAX          /* stands for stdin where others have their stream's number */

enum phase { CONNECTING, HEAD, SIZE_LINE, CHUNK, CHUNK_END, RAW, STALLED, ENDED };

/* One of tens of thousands, so it is small. */
struct stream {
    int fd;
    uint8_t phase;
    uint32_t partial_size;
    uint32_t frames;
    uint32_t remaining; /* of the chunk, or what its size line says so far */
    char *partial;      /* the start of a head or of an event; allocated only while there is one */
};

struct text {
    const char *start;
    size_t size;
};

struct frame {
    uint64_t hash;
    char *key; /* the id, or the data */
    size_t key_size;
    bool has_id;
    char shown[SHOWN];
    size_t shown_size;
    uint64_t *arrivals; /* in order, since there is one reader and one clock */
    uint64_t *seen;     /* a bit a stream */
    uint32_t count;
};

static struct sockaddr_in server;
static const char *path;
static char *request;
static size_t request_size;
static struct stream *streams;
static uint32_t wanted, stalled, begun, on_the_way, opened, failed, lost;
static uint32_t stalled_opened, stalled_failed;
static uint32_t opening = OPENING;
static uint64_t overdue = 5 * SECOND; /* nobody new reads a frame: those who lack it skipped it */
static uint64_t frames_read, bytes_read, longest_gap;
static int watched;

static struct frame *frames[FRAMES_KEPT]; /* the oldest first */
static uint64_t hashes[FRAMES_KEPT];      /* theirs, side by side to be looked through */
static uint32_t frame_count;
static struct frame *latest; /* the one that arrived last: mostly the one that comes next */

static char received[READ_SIZE];

static uint64_t hash_of(struct text text)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < text.size; i++)
        hash = (hash ^ (unsigned char)text.start[i]) * UINT64_C(1099511628211);
    return hash;
}

static bool is_frame(const struct frame *frame, struct text key)
{
    return frame->key_size == key.size && memcmp(frame->key, key.start, key.size) == 0;
}

static void report(const struct frame *frame)
{
    printf("{\"frame\": {\"id\": ");
    if (frame->has_id)
        print_text(frame->key, frame->key_size);
    else
        printf("null");
    printf(", \"data\": ");
    print_text(frame->shown, frame->shown_size);
    printf(", \"count\": %" PRIu32 ", \"first\": %" PRIu64 ", \"p50\": %" PRIu64
           ", \"p99\": %" PRIu64 ", \"last\": %" PRIu64 ", \"samples\": [",
           frame->count, frame->arrivals[0], frame->arrivals[place_of(0.5, frame->count)],
           frame->arrivals[place_of(0.99, frame->count)], frame->arrivals[frame->count - 1]);
    for (int i = 0; i < SAMPLES; i++) {
        size_t place = place_of((i + 0.5) / SAMPLES, frame->count);
        printf("%s%" PRIu64, i ? ", " : "", frame->arrivals[place]);
    }
    puts("]}}");
    fflush(stdout);
}

static void forget(uint32_t place)
{
    struct frame *frame = frames[place];
    frame_count--;
    memmove(frames + place, frames + place + 1, (frame_count - place) * sizeof *frames);
    memmove(hashes + place, hashes + place + 1, (frame_count - place) * sizeof *hashes);
    if (latest == frame)
        latest = NULL;
    free(frame->key);
    free(frame->arrivals);
    free(frame->seen);
    free(frame);
}

static struct frame *remember(struct text key, uint64_t hash, bool has_id, struct text data)
{
    if (frame_count == FRAMES_KEPT) {
        report(frames[0]);
        forget(0);
    }
    struct frame *frame = zeroed(1, sizeof *frame);
    frame->hash = hash;
    frame->key = grown(NULL, key.size + 1);
    memcpy(frame->key, key.start, key.size);
    frame->key_size = key.size;
    frame->has_id = has_id;
    frame->shown_size = data.size < SHOWN ? data.size : SHOWN;
    memcpy(frame->shown, data.start, frame->shown_size);
    frame->arrivals = grown(NULL, wanted * sizeof *frame->arrivals);
    frame->seen = zeroed((wanted + 63) / 64, sizeof *frame->seen);
    frames[frame_count] = frame;
    hashes[frame_count++] = hash;
    return frame;
}

static struct frame *find(struct text key, bool has_id, struct text data)
{
    if (latest && is_frame(latest, key))
        return latest;
    uint64_t hash = hash_of(key);
    for (uint32_t place = frame_count; place-- > 0;)
        if (hashes[place] == hash && is_frame(frames[place], key))
            return frames[place];
    return remember(key, hash, has_id, data);
}

static void report_if_complete(struct frame *frame)
{
    /* While streams are still being opened, `wanted` of them may yet come. */
    if (frame->count < wanted - failed)
        return;
    report(frame);
    for (uint32_t place = 0; place < frame_count; place++)
        if (frames[place] == frame) {
            forget(place);
            return;
        }
}

/* A stream has read an event that has data. `span` is all of its data lines. */
static void arrived(struct stream *s, struct text id, struct text span, struct text data,
                    uint64_t now)
{
    uint32_t which = (uint32_t)(s - streams);
    s->frames++;
    frames_read++;
    struct frame *frame = find(id.start ? id : span, id.start != NULL, data);
    latest = frame;
    uint64_t bit = UINT64_C(1) << (which % 64);
    if (frame->seen[which / 64] & bit)
        return;
    frame->seen[which / 64] |= bit;
    frame->arrivals[frame->count++] = now;
    report_if_complete(frame);
}

static bool is_field(const char *line, const char *end, const char *name, size_t size)
{
    return (size_t)(end - line) >= size && memcmp(line, name, size) == 0 &&
           (line + size == end || line[size] == ':');
}

static struct text value_of(const char *line, const char *end, size_t name)
{
    const char *start = line + name + (line + name < end);
    start += start < end && *start == ' ';
    return (struct text){start, (size_t)(end - start)};
}

/* Takes in text of a stream of events; gives how much of it was whole events. */
static size_t take_events(struct stream *s, const char *text, size_t size, uint64_t now)
{
    static char joined[SHOWN];
    const char *end_of_text = text + size, *event = text, *line = text, *stop;
    struct text id = {0}, data = {0}, span = {0};
    while ((stop = memchr(line, '\n', (size_t)(end_of_text - line)))) {
        const char *end = stop > line && stop[-1] == '\r' ? stop - 1 : stop;
        if (end == line) {
            if (data.start)
                arrived(s, id, span, data, now);
            id = data = span = (struct text){0};
            event = stop + 1;
        } else if (is_field(line, end, "data", 4)) {
            struct text value = value_of(line, end, 4);
            if (!data.start) {
                data = span = value;
            } else { /* lines of data are joined by a line break */
                if (data.start != joined) {
                    data.size = data.size < SHOWN ? data.size : SHOWN;
                    data.start = memcpy(joined, data.start, data.size);
                }
                if (data.size < SHOWN)
                    joined[data.size++] = '\n';
                size_t room = SHOWN - data.size;
                room = value.size < room ? value.size : room;
                memcpy(joined + data.size, value.start, room);
                data.size += room;
                span.size = (size_t)(end - span.start);
            }
        } else if (is_field(line, end, "id", 2)) {
            id = value_of(line, end, 2);
        }
        line = stop + 1;
    }
    return (size_t)(event - text);
}

static void keep(struct stream *s, const char *text, size_t size)
{
    if (!size) {
        free(s->partial);
        s->partial = NULL;
    } else {
        if (size > EVENT_MAX)
            die("an event of more than %d bytes", EVENT_MAX);
        char *kept = grown(NULL, size); /* `text` may be within the old one */
        memcpy(kept, text, size);
        free(s->partial);
        s->partial = kept;
    }
    s->partial_size = (uint32_t)size;
}

static void append(struct stream *s, const char *text, size_t size)
{
    if (s->partial_size + size > EVENT_MAX)
        die("an event or a head of more than %d bytes", EVENT_MAX);
    s->partial = grown(s->partial, s->partial_size + size);
    memcpy(s->partial + s->partial_size, text, size);
    s->partial_size += (uint32_t)size;
}

static void take_text(struct stream *s, const char *text, size_t size, uint64_t now)
{
    if (s->partial) {
        append(s, text, size);
        size_t taken = take_events(s, s->partial, s->partial_size, now);
        if (taken)
            keep(s, s->partial + taken, s->partial_size - taken);
        return;
    }
    size_t taken = take_events(s, text, size, now);
    if (taken < size)
        keep(s, text + taken, size - taken);
}

static void watch(int operation, struct stream *s, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = (uint32_t)(s - streams)};
    if (epoll_ctl(watched, operation, s->fd, &event) != 0)
        die("epoll_ctl: %s", strerror(errno));
}

static bool is_stalled(const struct stream *s)
{
    return s >= streams + wanted;
}

/* A stream ends: before its head came it failed, afterwards it was lost. */
static void end(struct stream *s, const char *reason)
{
    static bool is_told;
    bool is_opened = s->phase > HEAD;
    if (!is_opened) {
        on_the_way--;
        if (!is_told)
            fprintf(stderr, "a stream was not opened: %s\n", reason);
        is_told = true;
    }
    if (is_stalled(s))
        stalled_failed++;
    else if (is_opened)
        lost++;
    else
        failed++;
    close(s->fd);
    free(s->partial);
    s->partial = NULL;
    s->phase = ENDED;
}

/* Takes in bytes behind the head. Gives false at the end of the stream. */
static bool take(struct stream *s, const char *at, size_t size, uint64_t now)
{
    const char *end_of_text = at + size;
    while (at < end_of_text) {
        size_t left = (size_t)(end_of_text - at);
        if (s->phase == RAW) {
            take_text(s, at, left, now);
            return true;
        }
        if (s->phase == CHUNK) {
            size_t taken = left < s->remaining ? left : s->remaining;
            take_text(s, at, taken, now);
            at += taken;
            s->remaining -= (uint32_t)taken;
            if (!s->remaining)
                s->phase = CHUNK_END;
        } else if (s->phase == CHUNK_END) {
            if (*at++ == '\n')
                s->phase = SIZE_LINE;
        } else { /* the size, digit by digit: it may be cut anywhere */
            unsigned char byte = (unsigned char)*at++;
            if (isxdigit(byte)) {
                if (s->remaining >= UINT32_MAX / 16)
                    die("a chunk of 256 MiB or more");
                s->remaining = s->remaining * 16 +
                               (byte <= '9' ? byte - '0' : (byte | 0x20) - 'a' + 10);
            } else if (byte == '\n') {
                if (!s->remaining)
                    return false;
                s->phase = CHUNK;
            } else if (byte != '\r') {
                die("not the size of a chunk: '%.*s'", (int)(left < 40 ? left : 40), at - 1);
            }
        }
    }
    return true;
}

/* Takes in bytes of the head; then the stream is open. */
static void take_head(struct stream *s, size_t size, uint64_t now)
{
    const char *text = received;
    struct head head;
    if (s->partial) {
        append(s, text, size);
        text = s->partial;
        size = s->partial_size;
    }
    size_t head_size = read_head(text, size, &head);
    if (!head_size) {
        if (!s->partial)
            keep(s, text, size);
        return;
    }
    if (head.status != 200) {
        char reason[64];
        snprintf(reason, sizeof reason, "it was answered with %d", head.status);
        end(s, reason);
        return;
    }
    on_the_way--;
    if (is_stalled(s)) {
        stalled_opened++;
        watch(EPOLL_CTL_DEL, s, 0);
        s->phase = STALLED;
        free(s->partial);
        s->partial = NULL;
        return;
    }
    opened++;
    s->phase = head.chunked ? SIZE_LINE : RAW;
    char *partial = s->partial;
    s->partial = NULL;
    s->partial_size = 0;
    if (!take(s, text + head_size, size - head_size, now))
        end(s, "");
    free(partial);
}

static void send_request(struct stream *s)
{
    ssize_t size = send(s->fd, request, request_size, MSG_NOSIGNAL);
    if (size < 0 && errno == EAGAIN)
        return;
    if (size != (ssize_t)request_size) { /* a few hundred bytes on a new connection fit */
        end(s, size < 0 ? strerror(errno) : "the request was not taken whole");
        return;
    }
    s->phase = HEAD;
}

static void open_one(struct stream *s)
{
    const int on = 1, window = STALLED_WINDOW;
    const struct linger reset = {.l_onoff = 1}; /* no TIME_WAIT that keeps the port */
    uint32_t which = (uint32_t)(s - streams);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        die("socket: %s", strerror(errno));
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (is_stalled(s))
        setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
    if (which >= PER_ADDRESS && ntohl(server.sin_addr.s_addr) >> 24 == 127) {
        struct sockaddr_in source = {.sin_family = AF_INET};
        source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + which / PER_ADDRESS);
        setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(s->fd, (struct sockaddr *)&source, sizeof source) != 0)
            die("bind: %s", strerror(errno));
    }
    s->phase = CONNECTING;
    on_the_way++;
    if (connect(s->fd, (struct sockaddr *)&server, sizeof server) != 0 && errno != EINPROGRESS) {
        end(s, strerror(errno));
        return;
    }
    send_request(s); /* on loopback the connection is there already */
    if (s->phase != ENDED)
        watch(EPOLL_CTL_ADD, s, s->phase == HEAD ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

/* Opens more, `opening` at once: first those that read, and when all of them are open the others. */
static void open_more(void)
{
    uint32_t goal = opened + failed == wanted ? wanted + stalled : wanted;
    while (begun < goal && on_the_way < opening)
        open_one(&streams[begun++]);
}

static uint64_t look(struct stream *s, uint32_t events)
{
    if (s->phase == CONNECTING && events & EPOLLOUT) {
        send_request(s);
        if (s->phase == HEAD)
            watch(EPOLL_CTL_MOD, s, EPOLLIN);
    }
    if (s->phase == ENDED || !(events & ~(uint32_t)EPOLLOUT))
        return now_ns();
    ssize_t size = recv(s->fd, received, sizeof received, 0);
    uint64_t now = now_ns();
    if (size > 0) {
        bytes_read += (uint64_t)size;
        if (s->phase == HEAD)
            take_head(s, (size_t)size, now);
        else if (!take(s, received, (size_t)size, now))
            end(s, "");
    } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
        end(s, size ? strerror(errno) : "the server closed it");
    }
    return now;
}

static void report_overdue(uint64_t now)
{
    for (uint32_t place = 0; place < frame_count;) {
        struct frame *frame = frames[place];
        uint64_t newest = frame->arrivals[frame->count - 1];
        if (opened + failed == wanted && now > newest + overdue) {
            report(frame);
            forget(place);
        } else {
            place++;
        }
    }
}

static void print_opened(uint64_t nanoseconds)
{
    double seconds = (double)nanoseconds / 1e9;
    printf("{\"opened\": %" PRIu32 ", \"failed\": %" PRIu32 ", \"stalled\": %" PRIu32
           ", \"seconds\": %.6f, \"per_second\": %.1f, \"cpu_seconds\": %.6f}\n",
           opened, failed, stalled_opened, seconds, seconds > 0 ? opened / seconds : 0.0,
           cpu_used().all);
    fflush(stdout);
}

static void print_sums(const char *name, const char *more)
{
    struct cpu used = cpu_used();
    printf("{\"%s\": {\"frames\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"open\": %" PRIu32
           ", \"lost\": %" PRIu32 ", \"cpu_seconds\": %.6f, \"user_seconds\": %.6f, "
           "\"max_recv_gap_ms\": %.3f%s}}\n",
           name, frames_read, bytes_read, opened - lost, lost, used.all, used.user,
           (double)longest_gap / 1e6, more);
    fflush(stdout);
}

/* Does what stdin says; gives false when that is the end. */
static bool obey(void)
{
    static char line[64];
    static size_t size;
    ssize_t more = read(STDIN_FILENO, line + size, sizeof line - size);
    if (more <= 0)
        return false;
    size += (size_t)more;
    for (char *stop; (stop = memchr(line, '\n', size));) {
        size_t length = (size_t)(stop - line);
        if (length == 5 && memcmp(line, "close", 5) == 0)
            return false;
        if (length != 5 || memcmp(line, "stats", 5) != 0)
            die("there is no such command: '%.*s'", (int)length, line);
        print_sums("stats", "");
        size -= length + 1;
        memmove(line, stop + 1, size);
    }
    if (size == sizeof line)
        die("a command of more than %zu bytes", sizeof line);
    return true;
}

static void run(void)
{
    struct epoll_event events[EVENTS] = {{.events = EPOLLIN, .data.u32 = COMMANDS}};
    if (epoll_ctl(watched, EPOLL_CTL_ADD, STDIN_FILENO, events) != 0)
        die("stdin must be a pipe or a terminal: commands come that way");
    uint64_t began = now_ns(), took = 0, looked = began;
    bool is_told = false;
    for (;;) {
        if (!is_told) {
            open_more();
            if (!took && opened + failed == wanted)
                took = now_ns() - began;
            if (took && stalled_opened + stalled_failed == stalled) {
                print_opened(took);
                is_told = true;
            }
        }
        int count = epoll_wait(watched, events, EVENTS, frame_count ? LOOK_MS : -1);
        uint64_t now = now_ns();
        for (int i = 0; i < count; i++) {
            if (events[i].data.u32 == COMMANDS) {
                if (!obey())
                    return;
                continue;
            }
            uint64_t then = now;
            now = look(&streams[events[i].data.u32], events[i].events);
            longest_gap = now - then > longest_gap ? now - then : longest_gap;
        }
        if (now > looked + LOOK_MS * (SECOND / 1000)) {
            looked = now;
            report_overdue(now);
        }
    }
}

int main(int count, char **words)
{
    static const struct option options[] = {
        {"address", 1, 0, 'a'}, {"path", 1, 0, 'p'},    {"connections", 1, 0, 'n'},
        {"stalled", 1, 0, 's'}, {"opening", 1, 0, 'o'}, {"overdue", 1, 0, 'd'},
        {0, 0, 0, 0},
    };
    const char *host = "";
    for (int option; (option = getopt_long(count, words, "", options, NULL)) != -1;) {
        if (option == 'a')
            server = address_in(host = optarg);
        else if (option == 'p')
            path = optarg;
        else if (option == 'n')
            wanted = (uint32_t)whole("--connections", optarg);
        else if (option == 's')
            stalled = (uint32_t)whole("--stalled", optarg);
        else if (option == 'o')
            opening = (uint32_t)whole("--opening", optarg);
        else if (option == 'd')
            overdue = (uint64_t)(number("--overdue", optarg) * 1e9);
        else
            return 2;
    }
    if (!server.sin_port || !path || !wanted || !opening)
        die("--address, --path and --connections are needed");
    reserve_descriptors((uint64_t)wanted + stalled + 16);
    int size = asprintf(&request,
                        "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n"
                        "Cache-Control: no-cache\r\n\r\n",
                        path, host);
    if (size < 0)
        die("no memory");
    request_size = (size_t)size;
    watched = epoll_create1(EPOLL_CLOEXEC);
    streams = zeroed((size_t)wanted + stalled, sizeof *streams);
    run();
    uint32_t fewest = UINT32_MAX, most = 0;
    for (uint32_t i = 0; i < begun; i++) {
        if (streams[i].phase != ENDED)
            close(streams[i].fd);
        if (i < wanted) {
            fewest = streams[i].frames < fewest ? streams[i].frames : fewest;
            most = streams[i].frames > most ? streams[i].frames : most;
        }
    }
    char more[80];
    snprintf(more, sizeof more, ", \"frames_min\": %" PRIu32 ", \"frames_max\": %" PRIu32,
             begun < wanted ? 0 : fewest, most);
    print_sums("closed", more);
    return 0;
}
