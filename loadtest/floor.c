/* The floor: the least a server on sockets can do for a tap, to measure others against in the same run.
 *
 *   floor PORT                         answer every client frame with a TAPPED of fixed numbers
 *   floor PORT --fanout RATE BYTES     also send BYTES of payload to every socket, RATE times a second; 0 = at once again
 *
 * One epoll, one thread; one recv and one send per readable socket and round. No game, no login, no masking undone, no
 * SHA-1: the handshake's answer is the one for the key of RFC 6455, section 1.3, which the swarm sends. PORT 0 takes a
 * free one; the one it has is printed. A fan-out message begins with CLOCK_REALTIME in microseconds, big-endian.
 *
 * It assumes that a client's frames are short and come whole, as a load generator's do: it is an instrument, no server.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_DESCRIPTORS = 1 << 20, EVENTS = 512, MAX_FANOUT_BYTES = 1 << 16, CLOSE_OPCODE = 8 };
enum state { UNUSED, CONNECTED, UPGRADED };

static const char UPGRADE_ANSWER[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: ppj.v1.msgpack\r\n\r\n";

/* [65, 1000, 1, 1000000, 1000, 4, 1000, 50, 990] behind a frame header: what a game in progress answers. */
static const uint8_t ANSWER[] = {
    0x82, 22, 0x99, 65, 0xCD, 0x03, 0xE8, 1, 0xCE, 0x00, 0x0F, 0x42, 0x40,
    0xCD, 0x03, 0xE8, 4, 0xCD, 0x03, 0xE8, 50, 0xCD, 0x03, 0xDE,
};

static uint8_t states[MAX_DESCRIPTORS];
static uint16_t missing[MAX_DESCRIPTORS]; /* of the last fan-out message, for want of room */
static int highest;
static uint8_t inbound[1 << 16];
static uint8_t outbound[(1 << 16) / 6 * sizeof ANSWER + sizeof ANSWER]; /* a masked frame has at least 6 bytes */

static uint64_t clock_us(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_nsec / 1000u;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void end(int descriptor)
{
    close(descriptor);
    states[descriptor] = UNUSED;
    missing[descriptor] = 0;
}

static void admit(int epoll, int listener)
{
    int one = 1, descriptor;
    while ((descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (descriptor >= MAX_DESCRIPTORS) {
            close(descriptor);
            continue;
        }
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) < 0)
            fail("epoll_ctl");
        states[descriptor] = CONNECTED;
        if (descriptor > highest)
            highest = descriptor;
    }
}

static void answer(int descriptor)
{
    ssize_t size = recv(descriptor, inbound, sizeof inbound, 0);
    if (size <= 0) {
        if (size == 0 || (errno != EAGAIN && errno != EINTR))
            end(descriptor);
        return;
    }
    if (states[descriptor] == CONNECTED) { /* the request comes in one piece, and nothing before its answer */
        states[descriptor] = UPGRADED;
        if (send(descriptor, UPGRADE_ANSWER, sizeof UPGRADE_ANSWER - 1, MSG_NOSIGNAL) < 0)
            end(descriptor);
        return;
    }
    size_t out = 0;
    for (ssize_t at = 0; at + 6 <= size; at += 6 + (inbound[at + 1] & 127)) {
        if ((inbound[at] & 15) == CLOSE_OPCODE) {
            end(descriptor);
            return;
        }
        memcpy(outbound + out, ANSWER, sizeof ANSWER);
        out += sizeof ANSWER;
    }
    if (out && send(descriptor, outbound, out, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
        end(descriptor);
}

static size_t write_fanout_header(uint8_t *frame, size_t payload_bytes)
{
    frame[0] = 0x82;
    if (payload_bytes < 126) {
        frame[1] = (uint8_t)payload_bytes;
        return 2;
    }
    frame[1] = 126;
    frame[2] = (uint8_t)(payload_bytes >> 8);
    frame[3] = (uint8_t)payload_bytes;
    return 4;
}

static void fan_out(size_t payload_bytes)
{
    static uint8_t frame[MAX_FANOUT_BYTES + 4];
    size_t header_bytes = write_fanout_header(frame, payload_bytes);
    uint64_t now_us = clock_us(CLOCK_REALTIME);
    for (int i = 0; i < 8; i++)
        frame[header_bytes + (size_t)i] = (uint8_t)(now_us >> (56 - 8 * i));
    size_t size = header_bytes + payload_bytes;
    for (int descriptor = 0; descriptor <= highest; descriptor++) {
        if (states[descriptor] != UPGRADED)
            continue;
        if (missing[descriptor]) { /* all messages are alike behind the time, so this one's end serves */
            ssize_t sent = send(descriptor, frame + size - missing[descriptor], missing[descriptor], MSG_NOSIGNAL);
            if (sent > 0)
                missing[descriptor] = (uint16_t)(missing[descriptor] - sent);
            if (missing[descriptor])
                continue;
        }
        ssize_t sent = send(descriptor, frame, size, MSG_NOSIGNAL); /* who has no room misses this one */
        missing[descriptor] = sent > 0 ? (uint16_t)((ssize_t)size - sent) : 0;
    }
}

int main(int count, char **words)
{
    bool fans_out = count == 5 && strcmp(words[2], "--fanout") == 0;
    if (count != 2 && !fans_out) {
        fprintf(stderr, "usage: floor PORT [--fanout RATE BYTES]\n");
        return 2;
    }
    double rate = fans_out ? atof(words[3]) : 0;
    size_t payload_bytes = fans_out ? strtoul(words[4], NULL, 10) : 0;
    if (fans_out && (payload_bytes < 8 || payload_bytes > MAX_FANOUT_BYTES - 16 || rate < 0)) {
        fprintf(stderr, "floor: a fan-out has 8 to 65520 bytes and a rate from 0\n");
        return 2;
    }
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)atoi(words[1]));
    socklen_t size = sizeof address;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 4096) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) < 0)
        fail("listen");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN, .data.fd = listener};
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
        fail("epoll");
    uint64_t interval_us = rate > 0 ? (uint64_t)(1e6 / rate) : 0, due_us = clock_us(CLOCK_MONOTONIC) + interval_us;
    for (;;) {
        int timeout_ms = -1;
        if (fans_out) {
            uint64_t now_us = clock_us(CLOCK_MONOTONIC);
            if (now_us >= due_us) {
                fan_out(payload_bytes);
                due_us += interval_us;
                now_us = clock_us(CLOCK_MONOTONIC);
            }
            timeout_ms = due_us > now_us ? (int)((due_us - now_us) / 1000 + 1) : 0;
        }
        int ready = epoll_wait(epoll, events, EVENTS, timeout_ms);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == listener)
                admit(epoll, listener);
            else
                answer(events[i].data.fd);
        }
    }
}
