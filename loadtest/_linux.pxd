"""What the swarm needs of the kernel's interface."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

cdef extern from "<sys/epoll.h>" nogil:
    enum:
        EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP, EPOLLET
        EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL, EPOLL_CLOEXEC
    union epoll_data:
        uint32_t u32
    struct epoll_event:
        uint32_t events
        epoll_data data
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int descriptor, epoll_event* event)
    int epoll_wait(int epoll, epoll_event* events, int room, int timeout_ms)

cdef extern from "<sys/socket.h>" nogil:
    enum:
        AF_INET, SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC, SOL_SOCKET, SO_ERROR, SO_RCVBUF, MSG_NOSIGNAL, MSG_PEEK
    struct sockaddr:
        pass
    int socket(int domain, int kind, int protocol)
    int bind(int descriptor, const sockaddr* address, unsigned int size)
    int connect(int descriptor, const sockaddr* address, unsigned int size)
    int getsockopt(int descriptor, int level, int option, void* value, unsigned int* size)
    int setsockopt(int descriptor, int level, int option, const void* value, unsigned int size)
    ssize_t recv(int descriptor, void* data, size_t size, int flags)
    ssize_t send(int descriptor, const void* data, size_t size, int flags)

cdef extern from "<netinet/in.h>" nogil:
    enum:
        IPPROTO_IP, IPPROTO_TCP
    struct in_addr:
        uint32_t s_addr
    struct sockaddr_in:
        uint16_t sin_family
        uint16_t sin_port
        in_addr sin_addr
    uint16_t htons(uint16_t number)
    uint32_t htonl(uint32_t number)

cdef extern from "<netinet/tcp.h>" nogil:
    enum:
        TCP_NODELAY

cdef extern from * nogil:
    """
    #include <unistd.h>
    #ifndef IP_BIND_ADDRESS_NO_PORT
    #define IP_BIND_ADDRESS_NO_PORT 24
    #endif
    """
    enum:
        IP_BIND_ADDRESS_NO_PORT  # the port is chosen by connect, which then may use one that is busy to another address
    int close(int descriptor)

cdef extern from "<time.h>" nogil:
    enum:
        CLOCK_MONOTONIC, CLOCK_REALTIME
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec* time)

cdef extern from "<sys/timerfd.h>" nogil:
    enum:
        TFD_NONBLOCK, TFD_CLOEXEC, TFD_TIMER_ABSTIME
    struct itimerspec:
        timespec it_interval
        timespec it_value
    int timerfd_create(int clock, int flags)
    int timerfd_settime(int descriptor, int flags, const itimerspec* new, itimerspec* old)


cdef inline uint64_t clock_ns(int clock) noexcept nogil:
    cdef timespec time
    clock_gettime(clock, &time)
    return <uint64_t> time.tv_sec * 1_000_000_000ULL + <uint64_t> time.tv_nsec
