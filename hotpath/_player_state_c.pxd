"""Player state for other C code: a tap needs no GIL and no Python object. Meaning: `_player_state_py.py`."""

from libc.stdint cimport int64_t, uint32_t

cdef enum:
    COLUMNS = 21  # stored fields of a player: the length of COLUMN_NAMES


cdef class World:
    cdef int64_t _emission_bp
    cdef int64_t _event_bp


cdef class PlayerState:
    cdef readonly int64_t balance_mpt
    cdef readonly int64_t unposted_mpt
    cdef readonly int64_t lifetime_mpt
    cdef readonly int64_t xp
    cdef readonly int64_t taps
    cdef readonly int64_t tap_level
    cdef readonly int64_t energy_cap_level
    cdef readonly int64_t energy_regen_level
    cdef readonly int64_t offline_level
    cdef readonly int64_t energy_ue
    cdef readonly int64_t energy_at_ms
    cdef readonly int64_t bucket_mt
    cdef readonly int64_t bucket_at_ms
    cdef readonly int64_t combo
    cdef readonly int64_t last_tap_at_ms
    cdef readonly int64_t tap_carry
    cdef readonly int64_t raw_day
    cdef readonly int64_t raw_today_mpt
    cdef readonly int64_t streak_days
    cdef readonly int64_t double_until_ms
    cdef readonly int64_t last_seen_ms
    cdef readonly int64_t generation
    cdef readonly int64_t community_bp
    cdef readonly int64_t level
    cdef readonly int64_t revision
    cdef public bint awaiting_flush

    cdef int64_t energy_ue_now(self, int64_t now_ms) noexcept nogil
    cpdef int64_t energy(self, int64_t now_ms) noexcept nogil
    cpdef int64_t combo_at(self, int64_t now_ms) noexcept nogil
    # The C side of multiplier_bp, apply_taps and restore; the objects given must not be None.
    cdef int64_t multiplier(self, int64_t now_ms, World world) noexcept nogil
    cdef int64_t tap(self, int64_t claimed, int64_t now_ms, World world) noexcept nogil
    cdef void become(self, PlayerState snapshot) noexcept nogil
    # The C side of columns: writes COLUMNS integers.
    cdef void copy_columns(self, int64_t* values) noexcept nogil

    cpdef void reopen_bucket(self, int64_t now_ms) noexcept nogil
    cpdef void fill_energy(self, int64_t now_ms) noexcept nogil
    cpdef void mark_seen(self, int64_t now_ms) noexcept nogil
    cpdef int64_t take_unposted(self) noexcept nogil
    cpdef int64_t credit(self, int64_t amount_mpt, bint minted) noexcept nogil
    cpdef void double_for(self, int64_t duration_ms, int64_t now_ms) noexcept nogil


cdef class Cursor:
    cdef readonly uint32_t applied_seq
    cdef readonly uint32_t durable_seq
    cdef readonly uint32_t taken_seq

    cpdef bint advance(self, uint32_t seq) noexcept nogil
    cpdef void take(self) noexcept nogil
    cpdef void confirm(self, uint32_t seq) noexcept nogil
