"""Writes of a player for other C code. Meaning: `_player_writes_py.py`."""

from libc.stdint cimport int64_t, uint32_t

from hotpath._player_state_c cimport COLUMNS, Cursor, PlayerState


cdef class PlayerWrites:
    cdef readonly int64_t player_id
    cdef readonly int64_t owner_epoch
    cdef readonly int64_t minted_mpt
    cdef readonly int64_t burned_mpt
    cdef readonly tuple postings
    cdef readonly tuple applied_grants
    cdef readonly bint release
    cdef readonly tuple answers
    cdef readonly tuple effects
    cdef int64_t[COLUMNS] values
    # The first cursor that moved stands here, so that a player with one device needs no dict.
    cdef uint32_t seq
    cdef bytes key
    cdef object lineage
    cdef Cursor cursor
    cdef list more  # of what a Stretch found moved, as (key, lineage, seq); None if there is no more
    cdef dict given  # the cursors of the constructor; None in what a Stretch has closed

    cdef void move(self, bytes key, object lineage, Cursor cursor)


cdef class Stretch:
    cdef int64_t player_id
    cdef int64_t owner_epoch
    cdef int64_t lifetime_mpt
    cdef readonly int64_t level
    cdef int64_t revision
    cdef public int64_t post_at_ms
    cdef readonly dict lineages

    cpdef PlayerWrites close(
        self, PlayerState state, tuple postings=*, tuple applied_grants=*, bint release=*, int64_t burned_mpt=*,
        tuple answers=*, tuple effects=*,
    )
    cdef void begin(self, PlayerState state) noexcept
    cdef bint has_moved(self) except -1
