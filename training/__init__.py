"""How a model comes into being: from raw files to a run folder with a model, its tables and its measures.

- train: from a data folder to a run folder
- flow: forecasts of work in progress, throughput and cycle time
- errors: what cannot be used
- datasets: what is in a data folder
- inspection: how good data are
- simulation: worlds with known truth
- samples: what is learned from
- network: what learns
- fitting: how it learns
- runs: what a training leaves behind
- metrics: how good scores are
- adoption: how it comes to know another network without labels
- finetuning: how it learns from few labels of another network
- evaluation: how good a run is
- studies: questions to the data and the model
- retraining: whether a new model is better than the one in use
"""
