"""What was found in which file, kept for those who look later?

- records: what a store gives back
- schema: the tables and their columns
- store: the contract
- queries: what is asked of the tables, in SQL that every store understands
- settle: rows of a report to files in their order
- catalog: which Parquet files count
- parquet: DuckDB over Parquet files, for one process
- postgres: PostgreSQL, for several replicas
- choose: a store by its URL
"""
