"""How are forecasts of flow learned, compared and kept?

- config: settings of a training
- table: daily flow as a CSV file
- items: stays as days, and the stock that they make
- history: daily series, and the items behind them
- origins: from where forecasts are tried, and which of them may decide what
- methods: what forecasts
- trials: forecasts of each method from each origin, beside what came
- scores: how good they were
- blend: weights of a mean of methods
- choice: what answers for each measure
- calibration: how wide intervals are
- backtest: all of that for one history
- champion: the same of the version that answers now
- train: from a history to a run folder
- run: what a training leaves behind
- report: a backtest as tables
- page: a backtest as HTML
"""
