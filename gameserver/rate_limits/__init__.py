"""How often who may do what: one table, sliding windows for sessions, players and addresses, and what is noted of it.

* `table` – every limit; pure, so that the wire's catalogue can name classes.
* `customer` – whom an address stands for.
* `windows` – the windows of one limit, for a bounded number of subjects.
* `limiter` – asks them all for one operation.
* `refusal_log` – samples who was refused into `rate_limit_logs`.
"""
