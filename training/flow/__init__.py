"""How are forecasts of flow learned, compared and kept?

- config: settings of a training
- origins: from where forecasts are tried, and which of them may decide what
- trials: forecasts of each method from each origin, beside what came
- scores: how good they were
- choice: what answers for each measure, and how wide its intervals are
- backtest: all of that for one history
- train: from a history to a run folder
- run: what a training leaves behind
"""
