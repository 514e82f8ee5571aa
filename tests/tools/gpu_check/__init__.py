"""What only a GPU can show, in one table: ``python -m tests.tools.gpu_check`` (``make gpu-check``).

- __main__: the table, and whether it holds
- graphs: the bundled graph without what makes CUDA wait for the host
- inference: is CUDA as right as the processor, and how much faster?
- training: what does mixed precision save, in time and in memory?
"""
