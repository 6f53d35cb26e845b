"""`bakeoff tune`: a search for hyper-parameters. Trials are runs of a sweep; Optuna says which. No torch."""
