/* Sends requests over kept-alive connections, one outstanding on each, and times every answer.

   Without --rate each connection sends its next request as soon as it has its answer (closed loop,
   saturation). With --rate R request k is due at k/R seconds, whatever became of those before it, and
   its latency counts from when it was due: a server that stands still for a second is charged with
   all that was due in it. Gil Tene named the mistake of not doing so coordinated omission; wrk2 is
   where this way of counting comes from.

   SIGTERM ends it early, and what it prints is what was measured until then.

   Connection i of N goes round the templates i, i+N, i+2N, …: with as many templates as connections
   or more, no two connections ever send the same one at the same time. */

#include "load.h"

#include <getopt.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#define KEY_SIZE 16                /* hex digits of a counter, and characters of its place */
#define DRAIN (5 * SECOND)         /* how long answers under way at the end are waited for */
#define CONNECT_SECONDS 10         /* for one connect: a full backlog is tried again after 1, 3, 7 s */
#define EVENTS 64                  /* looked at between two epoll_wait: small, so that sends stay on time */
#define TIMER UINT32_MAX           /* stands for the timer where others have their connection's number */
#define LATENCY_UNIT UINT64_C(100) /* nanoseconds: 32 bits of it are seven minutes */

enum phase { IDLE, HEAD, LENGTH, SIZE_LINE, CHUNK, CHUNK_END, TRAILER, UNTIL_CLOSE, GONE };

struct template {
    const char *text;
    size_t size;
    const char *place; /* where the counter goes, or NULL */
};

struct connection {
    int fd;
    enum phase phase;
    uint32_t turn; /* its next template */
    bool keyed;
    bool closes;
    int status;
    uint64_t key;
    uint64_t from;       /* when the request was due, or sent */
    uint64_t idle_since; /* with --rate */
    uint64_t remaining;  /* of the body, or of the chunk */
    uint64_t body_size;
    char *held; /* the start of a line, or of a head, whose end has not come */
    size_t held_size;
    char *unsent; /* the rest of a request that the kernel did not take */
    size_t unsent_size;
    char shown[SHOWN];
};

struct series {
    uint32_t *values; /* in LATENCY_UNIT */
    size_t count;
    size_t room;
};

static volatile sig_atomic_t is_told_to_stop;
static struct sockaddr_in server;
static struct template *templates;
static uint32_t template_count;
static struct connection *connections;
static uint32_t connection_count;
static uint32_t usable; /* connections that are not GONE */
static int watched;     /* the epoll descriptor */
static FILE *answers;
static double rate; /* requests a second, or 0 */

static uint64_t started, window_begins, window_ends; /* sending ends with the window */
static uint64_t next_key;

static uint64_t turn_of_schedule; /* with --rate: the request that is due next, and when */
static uint64_t next_due;
static uint32_t *idle; /* a ring: the connection that waited longest goes first, so all are used */
static uint32_t idle_first, idle_count;

static uint64_t answered, sent, outstanding, broken, unanswered, bytes_in;
static uint64_t statuses[1000];
static struct series latencies, lags;
static char body[SHOWN];
static uint64_t body_size, body_min = UINT64_MAX, body_max;

static char received[HEAD_MAX + READ_SIZE];
static char *composed; /* as large as the largest template */

static void note(struct series *series, uint64_t nanoseconds)
{
    if (series->count == series->room) {
        series->room = series->room ? series->room * 2 : 1 << 16;
        series->values = grown(series->values, series->room * sizeof *series->values);
    }
    series->values[series->count++] = (uint32_t)(nanoseconds / LATENCY_UNIT);
}

static bool in_window(uint64_t when)
{
    return when >= window_begins && when < window_ends;
}

static void watch(int operation, uint32_t which, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = which};
    if (epoll_ctl(watched, operation, connections[which].fd, &event) != 0)
        die("epoll_ctl: %s", strerror(errno));
}

/* Connects; the connection is GONE if that fails. It blocks: on loopback that is for microseconds,
   and a server that closes after a thousand answers makes it rare. */
static void connect_one(struct connection *c)
{
    const int on = 1;
    const struct timeval patience = {.tv_sec = CONNECT_SECONDS}, none = {0};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) != 0) {
        close(c->fd);
        c->phase = GONE;
        usable--;
        return;
    }
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none);
    c->phase = IDLE;
    watch(EPOLL_CTL_ADD, (uint32_t)(c - connections), EPOLLIN);
}

static void compose(struct connection *c, const struct template *t)
{
    static const char digits[] = "0123456789abcdef";
    memcpy(composed, t->text, t->size);
    c->keyed = t->place != NULL;
    if (!c->keyed)
        return;
    c->key = next_key++;
    char *place = composed + (t->place - t->text);
    for (int i = 0; i < KEY_SIZE; i++)
        place[i] = digits[c->key >> (4 * (KEY_SIZE - 1 - i)) & 15];
}

/* Sends the next request of a connection. `due` is 0 without --rate. */
static void send_next(struct connection *c, uint64_t due)
{
    const struct template *t = &templates[c->turn % template_count];
    c->turn += connection_count;
    if (c->turn >= template_count)
        c->turn = (uint32_t)(c - connections);
    compose(c, t);
    c->phase = HEAD;
    c->body_size = 0;
    sent++;
    outstanding++;
    uint64_t now = now_ns();
    c->from = due ? due : now;
    if (due && c->idle_since <= due && in_window(due))
        note(&lags, now - due);
    ssize_t size = send(c->fd, composed, t->size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size < 0 && errno != EAGAIN)
        return; /* the next look at it says that it has ended */
    size_t taken = size < 0 ? 0 : (size_t)size;
    if (taken < t->size) {
        c->unsent_size = t->size - taken;
        c->unsent = grown(c->unsent, c->unsent_size);
        memcpy(c->unsent, composed + taken, c->unsent_size);
        watch(EPOLL_CTL_MOD, (uint32_t)(c - connections), EPOLLIN | EPOLLOUT);
    }
}

static void send_rest(struct connection *c)
{
    ssize_t size = send(c->fd, c->unsent, c->unsent_size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size <= 0)
        return;
    c->unsent_size -= (size_t)size;
    memmove(c->unsent, c->unsent + size, c->unsent_size);
    if (!c->unsent_size)
        watch(EPOLL_CTL_MOD, (uint32_t)(c - connections), EPOLLIN);
}

static uint64_t due_at(uint64_t turn)
{
    return started + (uint64_t)((double)turn * ((double)SECOND / rate));
}

/* Sends what is due, as long as a connection is idle. After the end that is only what this program is
   late with, and not what has waited for a connection. */
static void send_due(uint64_t now)
{
    while (next_due <= now && next_due < window_ends && idle_count) {
        struct connection *c = &connections[idle[idle_first]];
        if (now >= window_ends && c->idle_since > next_due)
            return;
        idle_first = (idle_first + 1) % connection_count;
        idle_count--;
        if (c->phase == GONE)
            continue;
        send_next(c, next_due);
        next_due = due_at(++turn_of_schedule);
    }
}

/* A connection is free for its next request. */
static void rest(struct connection *c, uint64_t now)
{
    if (c->phase == GONE)
        return;
    c->phase = IDLE;
    if (rate > 0) {
        c->idle_since = now;
        idle[(idle_first + idle_count++) % connection_count] = (uint32_t)(c - connections);
    } else if (now < window_ends) {
        send_next(c, 0);
    }
}

static void reconnect(struct connection *c)
{
    close(c->fd);
    c->held_size = c->unsent_size = 0;
    c->closes = false;
    connect_one(c);
    if (!usable)
        die("the server does not take connections any more");
}

static void finish(struct connection *c, uint64_t now)
{
    outstanding--;
    statuses[c->status]++;
    answered += in_window(now);
    if (in_window(rate > 0 ? c->from : now))
        note(&latencies, now - c->from);
    if (c->status == 200) {
        body_size = c->body_size;
        memcpy(body, c->shown, body_size < SHOWN ? body_size : SHOWN);
        body_min = body_size < body_min ? body_size : body_min;
        body_max = body_size > body_max ? body_size : body_max;
    }
    if (answers && c->keyed && (c->status == 200 || c->status == 201)) {
        uint8_t bytes[8];
        for (int i = 0; i < 8; i++)
            bytes[i] = (uint8_t)(c->key >> (8 * i));
        fwrite(bytes, 1, sizeof bytes, answers);
    }
    if (c->closes || c->unsent_size) /* or it answered before it had read the request */
        reconnect(c);
    rest(c, now);
}

/* The connection ended. Only a request that had no answer counts as broken. */
static void end(struct connection *c, uint64_t now, bool in_order)
{
    if (c->phase == UNTIL_CLOSE && in_order) {
        c->closes = true;
        finish(c, now);
        return;
    }
    bool was_idle = c->phase == IDLE; /* with --rate it stands in the ring already */
    if (!was_idle) {
        outstanding--;
        broken++;
    }
    reconnect(c);
    if (!was_idle)
        rest(c, now);
}

static void take_body(struct connection *c, const char *text, size_t size)
{
    if (c->body_size < SHOWN) {
        size_t room = SHOWN - c->body_size;
        memcpy(c->shown + c->body_size, text, size < room ? size : room);
    }
    c->body_size += size;
}

/* Takes in what came; gives how much of it was understood: the rest is a line without its end.
   `is_whole` says that the answer has ended. */
static size_t take(struct connection *c, const char *text, size_t size, bool *is_whole)
{
    const char *at = text, *end_of_text = text + size;
    while (at < end_of_text) {
        size_t left = (size_t)(end_of_text - at);
        if (c->phase == HEAD) {
            struct head head;
            size_t head_size = read_head(at, left, &head);
            if (!head_size)
                break;
            at += head_size;
            if (head.status < 200)
                continue; /* 100 and 103 come before the answer */
            c->status = head.status < 1000 ? head.status : 999;
            c->closes = head.closes;
            c->remaining = head.length;
            if (head.status == 204 || head.status == 304)
                *is_whole = true;
            else if (head.chunked)
                c->phase = SIZE_LINE;
            else if (!head.has_length)
                c->phase = UNTIL_CLOSE;
            else if (head.length)
                c->phase = LENGTH;
            else
                *is_whole = true;
        } else if (c->phase == LENGTH || c->phase == CHUNK) {
            size_t taken = left < c->remaining ? left : (size_t)c->remaining;
            take_body(c, at, taken);
            at += taken;
            c->remaining -= taken;
            if (!c->remaining && c->phase == LENGTH)
                *is_whole = true;
            else if (!c->remaining)
                c->phase = CHUNK_END;
        } else if (c->phase == UNTIL_CLOSE) {
            take_body(c, at, left);
            at += left;
        } else { /* a line */
            const char *line = at, *stop = memchr(at, '\n', left);
            if (!stop)
                break;
            at = stop + 1;
            if (c->phase == CHUNK_END) {
                c->phase = SIZE_LINE;
            } else if (c->phase == SIZE_LINE) {
                c->remaining = chunk_size(line);
                c->phase = c->remaining ? CHUNK : TRAILER;
            } else if (stop - line <= 1) { /* the empty line after the trailer */
                *is_whole = true;
            }
        }
        if (*is_whole)
            break;
    }
    return (size_t)(at - text);
}

static uint64_t look(struct connection *c)
{
    if (c->held_size)
        memcpy(received, c->held, c->held_size);
    ssize_t size = recv(c->fd, received + c->held_size, READ_SIZE, MSG_DONTWAIT);
    uint64_t now = now_ns();
    if (size <= 0) {
        if (size == 0 || (errno != EAGAIN && errno != EINTR))
            end(c, now, size == 0);
        return now;
    }
    bytes_in += (uint64_t)size;
    if (c->phase == IDLE)
        die("an answer that nobody asked for: '%.*s'", (int)size, received);
    bool is_whole = false;
    size_t held = c->held_size + (size_t)size;
    size_t taken = take(c, received, held, &is_whole);
    held -= taken;
    if (is_whole && held)
        die("more than one answer to a request: '%.*s'", (int)held, received + taken);
    if (held) {
        if (held > HEAD_MAX)
            die("a line of more than %d bytes in an answer", HEAD_MAX);
        c->held = grown(c->held, held);
        memcpy(c->held, received + taken, held);
    }
    c->held_size = held;
    if (is_whole)
        finish(c, now);
    return now;
}

static void read_templates(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        die("%s: %s", path, strerror(errno));
    size_t largest = 0;
    unsigned long long size;
    while (fscanf(file, "%llu", &size) == 1) {
        char *text = grown(NULL, size + 1);
        if (fgetc(file) != '\n' || fread(text, 1, size, file) != size)
            die("%s ends within a template", path);
        templates = grown(templates, (template_count + 1) * sizeof *templates);
        templates[template_count++] =
            (struct template){text, size, memmem(text, size, "@@@@@@@@@@@@@@@@", KEY_SIZE)};
        largest = size > largest ? size : largest;
    }
    if (!template_count || !feof(file))
        die("%s must hold templates, each behind its size and a line break", path);
    fclose(file);
    composed = grown(NULL, largest);
}

static int compare(const void *one, const void *other)
{
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static double milliseconds(const struct series *series, size_t place)
{
    return (double)series->values[place] * (double)LATENCY_UNIT / 1e6;
}

static void print_series(const char *name, struct series *series)
{
    double sum = 0;
    if (!series->count)
        note(series, 0);
    qsort(series->values, series->count, sizeof *series->values, compare);
    for (size_t i = 0; i < series->count; i++)
        sum += series->values[i];
    printf(", \"%s\": {\"p50\": %.4f, \"p95\": %.4f, \"p99\": %.4f, \"p999\": %.4f, \"max\": %.4f, "
           "\"mean\": %.4f}",
           name, milliseconds(series, place_of(0.5, series->count)),
           milliseconds(series, place_of(0.95, series->count)),
           milliseconds(series, place_of(0.99, series->count)),
           milliseconds(series, place_of(0.999, series->count)),
           milliseconds(series, series->count - 1),
           sum / (double)series->count * (double)LATENCY_UNIT / 1e6);
}

static void print_results(double seconds, struct cpu before, struct cpu after)
{
    const char *comma = "";
    printf("{\"seconds\": %.6f, \"answered\": %" PRIu64 ", \"rate\": %.3f, \"statuses\": {", seconds,
           answered, seconds > 0 ? (double)answered / seconds : 0.0);
    for (int status = 0; status < 1000; status++)
        if (statuses[status]) {
            printf("%s\"%d\": %" PRIu64, comma, status, statuses[status]);
            comma = ", ";
        }
    printf("}, \"sent\": %" PRIu64 ", \"broken\": %" PRIu64 ", \"unanswered\": %" PRIu64
           ", \"bytes_in\": %" PRIu64,
           sent, broken, unanswered, bytes_in);
    print_series("latency", &latencies);
    if (rate > 0)
        print_series("lag", &lags);
    printf(", \"cpu_seconds\": %.6f, \"user_seconds\": %.6f, \"sizes\": {\"min\": %" PRIu64
           ", \"max\": %" PRIu64 "}, \"body\": ",
           after.all - before.all, after.user - before.user, body_max ? body_min : 0, body_max);
    print_text(body, body_size < SHOWN ? body_size : SHOWN);
    puts("}");
}

/* Counts what has no answer, each with the time that it has waited so far: without that the latencies
   of a server that falls behind would look better than they are. */
static void give_up(uint64_t now)
{
    unanswered = outstanding;
    for (uint32_t i = 0; i < connection_count; i++) {
        const struct connection *c = &connections[i];
        if (c->phase != IDLE && c->phase != GONE && in_window(c->from))
            note(&latencies, now - c->from);
    }
    for (; rate > 0 && next_due < window_ends; next_due = due_at(++turn_of_schedule)) {
        unanswered++;
        if (in_window(next_due))
            note(&latencies, now - next_due);
    }
}

static void set_timer(int timer, uint64_t when)
{
    static uint64_t set;
    if (when == set)
        return;
    set = when;
    struct itimerspec wanted = {.it_value = {(time_t)(when / SECOND), (long)(when % SECOND)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &wanted, NULL);
}

static void stop(int signal)
{
    (void)signal;
    is_told_to_stop = 1;
}

static void run(struct cpu *before, struct cpu *after)
{
    /* A timer of its own, since the timeouts of epoll are late by the 50 µs of a thread's slack. */
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event events[EVENTS] = {{.events = EPOLLIN, .data.u32 = TIMER}};
    epoll_ctl(watched, EPOLL_CTL_ADD, timer, events);
    bool is_measuring = false, is_over = false;
    for (;;) {
        uint64_t now = now_ns();
        if (is_told_to_stop && now < window_ends) {
            window_ends = now;
            window_begins = now < window_begins ? now : window_begins;
        }
        if (!is_measuring && now >= window_begins) {
            is_measuring = true;
            *before = cpu_used();
        }
        if (!is_over && now >= window_ends) {
            is_over = true;
            *after = cpu_used();
        }
        if (rate > 0)
            send_due(now);
        if (is_over && (!outstanding || now >= window_ends + DRAIN))
            return;
        uint64_t wake = is_over ? window_ends + DRAIN : is_measuring ? window_ends : window_begins;
        if (rate > 0 && idle_count && next_due < wake && !is_over)
            wake = next_due;
        set_timer(timer, wake);
        int count = epoll_wait(watched, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u32 == TIMER) {
                uint64_t times;
                if (read(timer, &times, sizeof times) < 0 && errno != EAGAIN)
                    die("timerfd: %s", strerror(errno));
                continue;
            }
            struct connection *c = &connections[events[i].data.u32];
            if (c->phase == GONE)
                continue;
            if (events[i].events & EPOLLOUT)
                send_rest(c);
            if (events[i].events & ~(uint32_t)EPOLLOUT) {
                now = look(c);
                if (rate > 0)
                    send_due(now);
            }
        }
    }
}

int main(int count, char **words)
{
    static const struct option options[] = {
        {"address", 1, 0, 'a'},   {"templates", 1, 0, 't'}, {"connections", 1, 0, 'n'},
        {"seconds", 1, 0, 's'},   {"warmup", 1, 0, 'w'},    {"rate", 1, 0, 'r'},
        {"answers", 1, 0, 'k'},   {"first-key", 1, 0, 'f'}, {0, 0, 0, 0},
    };
    double seconds = 0, warmup = 0;
    const struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    for (int option; (option = getopt_long(count, words, "", options, NULL)) != -1;) {
        if (option == 'a')
            server = address_in(optarg);
        else if (option == 't')
            read_templates(optarg);
        else if (option == 'n')
            connection_count = (uint32_t)whole("--connections", optarg);
        else if (option == 's')
            seconds = number("--seconds", optarg);
        else if (option == 'w')
            warmup = number("--warmup", optarg);
        else if (option == 'r')
            rate = number("--rate", optarg);
        else if (option == 'f')
            next_key = whole("--first-key", optarg);
        else if (option == 'k' && !(answers = fopen(optarg, "wb")))
            die("%s: %s", optarg, strerror(errno));
        else if (option == '?')
            return 2;
    }
    if (!server.sin_port || !template_count || !connection_count || !(seconds > 0))
        die("--address, --templates, --connections and --seconds are needed");
    reserve_descriptors(connection_count + 16);
    watched = epoll_create1(EPOLL_CLOEXEC);
    connections = zeroed(connection_count, sizeof *connections);
    idle = zeroed(connection_count, sizeof *idle);
    usable = connection_count;
    for (uint32_t i = 0; i < connection_count; i++) {
        connections[i].turn = i;
        connect_one(&connections[i]);
        if (connections[i].phase == GONE)
            die("connection %" PRIu32 " of %" PRIu32 " was not made: %s", i + 1, connection_count,
                strerror(errno));
    }
    started = now_ns();
    window_begins = started + (uint64_t)(warmup * 1e9);
    window_ends = window_begins + (uint64_t)(seconds * 1e9);
    next_due = started;
    for (uint32_t i = 0; i < connection_count; i++)
        rest(&connections[i], started);
    struct cpu before = {0}, after = {0};
    run(&before, &after);
    give_up(now_ns());
    print_results((double)(window_ends - window_begins) / 1e9, before, after);
    if (answers && fclose(answers) != 0)
        die("the file of the answers: %s", strerror(errno));
    return 0;
}
