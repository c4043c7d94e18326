"""`make bench`: every measurement of the performance targets, as ratios within one run on two cores.

The modules, in the order in which a bench goes through them:

* plan: how many sockets, how long, how often
* machine: what it runs on, and the two cores
* servers: the floor, the game and its peers as processes
* probe: who asks one thing again and again meanwhile; health: how soon a question of health is answered
* hard_operation: how soon what has to be committed first
* runs: one repetition, every server after the other; raw figures
* measurements: what is measured, how it is read from the raw figures, and what is enough
* rows: medians and verdicts
* report: a line a measurement, the page, the plots (`svg_plot`)
"""
